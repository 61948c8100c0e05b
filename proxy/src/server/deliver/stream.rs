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

/// A body whose events are scanned one by one.
pub(super) struct Scanned<B> {
    scanner: Box<SseScanner>,
    source: B,
    exchange: Exchange,
    transport: Transport,
    at_end: Option<Box<dyn FnOnce() + Send>>,
    /// Released before the client was told anything.
    first: Option<Bytes>,
    ended: bool,
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
        at_end: Box<dyn FnOnce() + Send>,
    ) -> Self {
        Self { scanner, source, exchange, transport, at_end: Some(at_end), first: None, ended: false }
    }

    /// Waits for the first event that may pass, or the end: the head of the answer goes out with it, not before.
    pub(super) async fn into_body(mut self) -> Body {
        match self.frame().await {
            Some(Ok(frame)) => {
                self.first = frame.into_data().ok();
                Body::Stream(self.boxed_unsync())
            }
            // A stream that cannot be read ends like one that was cut.
            Some(Err(_)) | None => Body::Empty,
        }
    }

    /// Records what a step found and hands out what it released.
    fn take(&mut self, step: Step) -> Option<Bytes> {
        for finding in &step.reported {
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

    fn cut(&mut self, cut: &Cut) {
        self.ended = true;
        self.at_end = None;
        self.exchange.record(&Event::Blocked {
            ctx: self.context(cut.difference),
            scanner: "sse_stream",
            reason: &cut.reason,
        });
        if self.transport == Transport::Connect {
            self.exchange.shared.events.metrics().tls_response_blocked("sse_stream");
        } else {
            self.exchange.count_blocked("", "sse_stream");
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
            if this.ended {
                return Poll::Ready(None);
            }
            let step = match ready!(Pin::new(&mut this.source).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.scanner.push(&data),
                    Err(_) => continue,
                },
                Some(Err(error)) => {
                    let reason = format!("sse stream read: {error}");
                    Step { cut: Some(Cut { reason, finding: false, difference: None }), ..Step::default() }
                }
                None => {
                    let step = this.scanner.finish();
                    if step.cut.is_none()
                        && let Some(at_end) = this.at_end.take()
                    {
                        at_end();
                    }
                    this.ended = true;
                    step
                }
            };
            if let Some(released) = this.take(step) {
                return Poll::Ready(Some(Ok(Frame::data(released))));
            }
        }
    }
}
