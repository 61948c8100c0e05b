//! The response inside the tunnel. spec: tls-and-request-bodies §11.

use http::Response;

use super::grpc;
use super::steps::Case;
use crate::policy::response::Transport;
use crate::server::answer::Answer;
use crate::server::deliver::{self, Delivery, Kind};
use crate::upstream::pool::IncomingBody;

/// The answer, or the refusal.
pub(super) async fn deliver(case: &Case<'_>, response: Response<IncomingBody>) -> Result<Answer, Answer> {
    let exchange = &case.exchange;
    if case.hardened() && grpc::is_grpc(response.headers()) {
        return grpc::deliver(case, response);
    }
    let delivery = Delivery {
        exchange,
        policy: &exchange.policy.response,
        offload: &exchange.shared.offload,
        room: &case.tunnel.room,
        transport: Transport::Connect,
        host: &case.tunnel.host,
        counted_for: &case.tunnel.host,
    };
    // A stream that ends cleanly is neither counted nor budgeted.
    let delivered = delivery.run(response, |_| {}, |_| {}).await;
    if delivered.kind == Kind::Refused {
        return Err(delivered.answer);
    }
    if let Kind::Whole { received: bytes, .. } = delivered.kind {
        deliver::account(exchange, &case.tunnel.host, bytes);
        // The reference counts these under the agent `anonymous`, whoever asked.
        exchange.shared.events.metrics().request_allowed("anonymous", exchange.elapsed());
        exchange.clean();
    }
    Ok(delivered.answer)
}
