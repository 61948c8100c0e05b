//! An event stream on its way through the scanner: each event is released, or ends the stream, as soon as it is whole.
//! spec: response-scan §7

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;

use crate::events::{self, Event};
use crate::policy::response::{Cut, SseScanner, Step, Transport};
use crate::server::answer::Body;
use crate::server::exchange::Exchange;

type Hook = Box<dyn FnOnce(&Exchange) + Send>;

/// What the handler wants to hear of a stream, and the host that it is counted for.
pub(super) struct Hooks {
    pub counted_for: String,
    /// It has ended cleanly.
    pub at_end: Hook,
    /// An injection was found in it, for the first time.
    pub hostile: Option<Hook>,
}

/// A body whose events are scanned one by one.
pub(super) struct Scanned<B> {
    scanner: Box<SseScanner>,
    source: B,
    /// What has come and is not scanned yet.
    unread: Bytes,
    exchange: Exchange,
    transport: Transport,
    counted_for: String,
    at_end: Option<Hook>,
    hostile: Option<Hook>,
    /// Released before the client was told anything.
    first: Option<Bytes>,
    ended: bool,
    /// The client must see that the stream did not end by itself.
    aborts: bool,
    /// What came before the cut has been given out.
    flushed: bool,
}

impl<B> Scanned<B>
where
    B: HttpBody<Data = Bytes, Error = io::Error> + Send + Unpin + 'static,
{
    pub(super) fn new(
        scanner: Box<SseScanner>,
        source: B,
        exchange: Exchange,
        transport: Transport,
        hooks: Hooks,
    ) -> Self {
        Self {
            scanner,
            source,
            unread: Bytes::new(),
            exchange,
            transport,
            counted_for: hooks.counted_for,
            at_end: Some(hooks.at_end),
            hostile: hooks.hostile,
            first: None,
            ended: false,
            aborts: false,
            flushed: false,
        }
    }

    /// Waits for the first event that may pass, or the end: the head of the answer goes out with it, not before.
    pub(super) async fn into_body(mut self) -> Body {
        match self.frame().await {
            Some(Ok(frame)) => {
                self.first = frame.into_data().ok();
                Body::Stream(self.boxed_unsync())
            }
            Some(Err(_)) if self.aborts => Body::Stream(self.boxed_unsync()),
            // A stream that cannot be read ends like one that was cut.
            Some(Err(_)) | None => Body::Empty,
        }
    }

    /// Records what a step found and hands out what it released.
    fn take(&mut self, step: Step) -> Option<Bytes> {
        if step.prompt_hit {
            self.exchange.findings.mark_hostile();
            if let Some(hostile) = self.hostile.take() {
                hostile(&self.exchange);
            }
        }
        if !step.reported.is_empty() || step.cut.is_some() {
            self.exchange.findings.mark();
        }
        for finding in &step.reported {
            if self.transport == Transport::Reverse {
                self.record_scan("warn", &finding.reason, finding.difference);
                continue;
            }
            self.exchange.record(&Event::Anomaly {
                ctx: self.context(finding.difference),
                scanner: "sse_stream",
                reason: &finding.reason,
                score: 0.0,
            });
        }
        if let Some(cut) = &step.cut {
            self.cut(cut);
        }
        (!step.release.is_empty()).then(|| step.release.into())
    }

    fn context(&self, difference: Option<&'static str>) -> events::Context<'_> {
        events::Context { difference: difference.unwrap_or_default(), ..self.exchange.context() }
    }

    /// How the reverse listener writes down a finding in a stream.
    fn record_scan(&self, action: &str, reason: &str, difference: Option<&'static str>) {
        self.exchange.record(&Event::ResponseScan {
            ctx: self.context(difference),
            action,
            match_count: 0,
            patterns: vec![&format!("sse_stream: {reason}")],
            bundle_rules: Vec::new(),
        });
    }

    fn cut(&mut self, cut: &Cut) {
        self.ended = true;
        self.at_end = None;
        if self.transport == Transport::Reverse {
            self.aborts = true;
            if cut.finding {
                self.record_scan("block", &cut.reason, cut.difference);
                self.exchange.shared.events.metrics().reverse_blocked("response", "sse_stream");
            } else {
                super::record_error(&self.exchange, &cut.reason);
            }
            return;
        }
        self.exchange.record(&Event::Blocked {
            ctx: self.context(cut.difference),
            scanner: "sse_stream",
            reason: &cut.reason,
        });
        if self.transport == Transport::Connect {
            self.exchange.shared.events.metrics().tls_response_blocked("sse_stream");
        } else {
            self.exchange.count_blocked(&self.counted_for, "sse_stream");
        }
    }
}

impl<B> HttpBody for Scanned<B>
where
    B: HttpBody<Data = Bytes, Error = io::Error> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            if this.ended && this.aborts && !this.flushed {
                // An error drops what has not been written yet; a pause has it written.
                this.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.ended {
                let abort = || Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the stream was cut"));
                return Poll::Ready(this.aborts.then(abort));
            }
            let step = if this.unread.is_empty() {
                match ready!(Pin::new(&mut this.source).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        this.unread = frame.into_data().unwrap_or_default();
                        continue;
                    }
                    Some(Err(error)) => {
                        let reason = format!("sse stream read: {error}");
                        Step {
                            cut: Some(Cut { reason, finding: false, difference: None }),
                            ..Step::default()
                        }
                    }
                    None => {
                        this.ended = true;
                        this.scanner.finish()
                    }
                }
            } else {
                this.scanner.push(&mut this.unread)
            };
            let released = this.take(step);
            // A cut takes it away.
            if this.ended
                && let Some(at_end) = this.at_end.take()
            {
                at_end(&this.exchange);
            }
            if let Some(released) = released {
                return Poll::Ready(Some(Ok(Frame::data(released))));
            }
        }
    }
}
