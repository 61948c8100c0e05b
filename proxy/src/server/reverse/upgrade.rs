//! Protocol upgrades. What flows afterwards cannot be scanned, so a tunnel is made only where nothing would be: with response
//! scanning and media policy both off. spec: http-proxy §9.2 "Protocol upgrades"

use std::time::Duration;

use http::Response;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::unavailable;
use crate::Strictness;
use crate::server::answer::{self, Answer};
use crate::server::exchange::Exchange;
use crate::server::wire::Takeover;
use crate::upstream::pool::IncomingBody;

/// How often a tunnel asks for the kill switch.
const LOOK: Duration = Duration::from_secs(1);

/// Answers a 101 of the origin.
pub(super) async fn serve(
    exchange: Exchange,
    mut response: Response<IncomingBody>,
    takeover: Takeover,
    asked: bool,
    deadline: Instant,
) -> Answer {
    let settings = exchange.policy.response.settings();
    let scanned = settings.enabled || settings.media.enabled;
    if scanned || !asked {
        if exchange.shared.fixed.strictness == Strictness::Reference {
            // The reference waits for the body of such an answer: the client hears nothing until the listener's deadline.
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                () = exchange.shared.stop.cut.cancelled() => {}
            }
        }
        return unavailable(&exchange, "the origin switched protocols, which cannot be scanned");
    }
    let Ok(permit) = std::sync::Arc::clone(&exchange.shared.tunnels).try_acquire_owned() else {
        return unavailable(&exchange, "too many active tunnels");
    };
    let upgraded = hyper::upgrade::on(&mut response);
    let mut answer = answer::empty(response.status());
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    let shared = std::sync::Arc::clone(&exchange.shared);
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let _permit = permit;
        let both = async { tokio::join!(upgraded, takeover.complete::<TcpStream>()) };
        // Both sides fail only when their connection is gone.
        let Ok((Ok(upgraded), Ok((mut client, early)))) = tokio::time::timeout_at(deadline, both).await
        else {
            return;
        };
        let mut origin = TokioIo::new(upgraded);
        if origin.write_all(&early).await.is_err() {
            return;
        }
        let switched = async {
            while shared.kill_switch.active().is_none() {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut origin) => {}
            () = switched => {}
            () = shared.stop.drain.cancelled() => {}
        }
    });
    answer
}
