//! The response of a plain request on its way to the client. (spec: http-proxy §5.7)

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::events::Event;
use crate::policy::response::Transport;
use crate::policy::url::GoUrl;
use crate::server::answer::Answer;
use crate::server::deliver::{self, Delivery, Kind};
use crate::server::exchange::{Exchange, display, lossy};
use crate::upstream::pool::IncomingBody;

/// Judges and answers. `host` is the one of the request, `final_url` the one that answered.
pub(in crate::server) async fn deliver(
    exchange: Exchange,
    host: &str,
    final_url: &GoUrl<'static>,
    response: Response<IncomingBody>,
    deadline: Instant,
) -> Answer {
    let final_host = lossy(final_url.host_name()).into_owned();
    let status = response.status().as_u16();
    let delivery = Delivery {
        exchange: &exchange,
        policy: &exchange.policy.response,
        offload: &exchange.shared.offload,
        room: &exchange.shared.room,
        transport: Transport::Forward,
        host: &final_host,
        counted_for: host,
    };
    let ended = move |exchange: &Exchange| allowed(exchange, status, 0);
    let response = response.map(|body| InTime::new(body, deadline));
    let (url, of) = (final_url.clone(), final_host.clone());
    // Only the end of a stream tells what was in it.
    let hostile = move |exchange: &Exchange| exchange.observe(|| display(&url), &of, "forward_response");
    let delivered = delivery.run(response, ended, hostile).await;
    exchange.observe(|| display(final_url), &final_host, "forward_response");
    if let Kind::Whole { delivered: bytes, .. } = delivered.kind {
        deliver::account(&exchange, host, bytes);
        allowed(&exchange, status, bytes);
    }
    delivered.answer
}

fn allowed(exchange: &Exchange, status_code: u16, size_bytes: u64) {
    exchange.count_allowed();
    exchange.clean();
    exchange.record(&Event::ForwardHttp {
        ctx: exchange.context(),
        status_code,
        size_bytes,
        duration: exchange.elapsed(),
    });
}

/// A body that fails once the exchange's time is up.
pub(in crate::server) struct InTime {
    body: IncomingBody,
    deadline: Instant,
    /// Set once the body has to be waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl InTime {
    pub(in crate::server) fn new(body: IncomingBody, deadline: Instant) -> Self {
        Self { body, deadline, timer: None }
    }
}

impl Body for InTime {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            let unfinished = |_| io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF");
            return Poll::Ready(frame.map(|frame| frame.map_err(unfinished)));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(this.deadline)));
        if timer.as_mut().poll(cx).is_ready() {
            const TEXT: &str =
                "context deadline exceeded (Client.Timeout or context cancellation while reading body)";
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, TEXT))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
