//! A request body on its way through inspection: read within its bound, scanned, ready to be forwarded.
//!
//! The forward path and the intercepting path share this. The body is held once: a single frame is kept as it came, several
//! are appended to one buffer, the scan borrows it, and the same buffer goes upstream unless redaction made another. Reading stops at the first byte beyond the
//! bound. (spec: tls-and-request-bodies §13.1-13.2)

use std::fmt::{self, Debug, Display};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;

use super::offload::Offload;
use super::room::{Lease, NoRoom, Room};
use crate::policy::body::{BodyFinding, BodyPolicy, BodyVerdict, Gate};

/// What became of a body.
#[expect(clippy::large_enum_variant, reason = "one a request, moved twice; a box would cost more")]
pub enum Inspected<B> {
    /// Not scanned: to be streamed through.
    Streamed(B),
    /// Read and scanned. The verdict may hold a finding that only warns; `verdict.replacement` has been put into `body`.
    Buffered {
        /// The bytes to forward.
        body: Bytes,
        /// Trailers that came behind it.
        trailers: Option<HeaderMap>,
        /// What the scan says.
        verdict: BodyVerdict,
    },
    /// Refused before it was read to the end.
    Refused(BodyFinding),
    /// There is no room for it.
    NoRoom(NoRoom),
}

impl<B> Debug for Inspected<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Streamed(_) => f.write_str("Streamed"),
            // Never the bytes: they may hold what was found.
            Self::Buffered { body, verdict, .. } => f
                .debug_struct("Buffered")
                .field("bytes", &body.len())
                .field("verdict", verdict)
                .finish_non_exhaustive(),
            Self::Refused(finding) => f.debug_tuple("Refused").field(finding).finish(),
            Self::NoRoom(_) => f.write_str("NoRoom"),
        }
    }
}

/// Takes a body through gate, reading and scan.
///
/// `room`: where its memory is counted; `carries` and `declared` as in [`BodyPolicy::gate`]; `headers` and `host` as in [`BodyPolicy::recall_or_scan`].
pub async fn inspect<B>(
    policy: &Arc<BodyPolicy>,
    offload: &Offload,
    room: &Room,
    headers: &HeaderMap,
    host: &str,
    body: B,
    carries: bool,
) -> Inspected<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let declared = body.size_hint().exact();
    let limit = match policy.gate(headers, carries, declared) {
        Gate::Skip => return Inspected::Streamed(body),
        Gate::Block(finding) => return Inspected::Refused(finding),
        Gate::Buffer { limit } => limit,
    };
    let mut lease = room.lease_for(&body, usize::try_from(limit).unwrap_or(usize::MAX));
    let (body, trailers) = match read(body, limit, declared, &mut lease).await {
        Ok(read) => read,
        Err(Unread::Finding(finding)) => return Inspected::Refused(finding),
        Err(Unread::Room(why)) => return Inspected::NoRoom(why),
    };
    let kept = lease.keep();
    let body = kept.tie(body);
    let scanned = if Offload::is_in_place(body.len()) {
        Ok(policy.recall_or_scan(&body, headers, host))
    } else {
        let (policy, body) = (Arc::clone(policy), body.clone());
        let (headers, host) = (headers.clone(), host.to_owned());
        offload.run(body.len(), move || policy.recall_or_scan(&body, &headers, &host)).await
    };
    match scanned {
        Ok(mut verdict) => {
            let body = verdict.replacement.take().map_or(body, |new| kept.tie(new.into()));
            Inspected::Buffered { body, trailers, verdict }
        }
        Err(aborted) => Inspected::Refused(BodyFinding::unreadable(aborted)),
    }
}

/// Why a body was not read to its end.
enum Unread {
    Finding(BodyFinding),
    Room(NoRoom),
}

impl From<BodyFinding> for Unread {
    fn from(finding: BodyFinding) -> Self {
        Self::Finding(finding)
    }
}

impl From<NoRoom> for Unread {
    fn from(why: NoRoom) -> Self {
        Self::Room(why)
    }
}

/// Reads a body of at most `limit` bytes; stops at the first byte beyond.
async fn read<B>(
    mut body: B,
    limit: u64,
    declared: Option<u64>,
    lease: &mut Lease,
) -> Result<(Bytes, Option<HeaderMap>), Unread>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Display,
{
    let limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
    let room = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or_default().min(limit_bytes);
    // It is read in one piece, so its room is taken beforehand.
    lease.reserve(room).await?;
    // What came first, for as long as nothing came after it: most bodies are never copied.
    let mut first = Bytes::new();
    let mut buffer = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = lease.unless_given_up(body.frame()).await? {
        match frame.map_err(BodyFinding::unreadable)?.into_data() {
            Ok(data) => {
                let have = first.len() + buffer.len();
                if data.len() > limit_bytes - have {
                    return Err(BodyFinding::too_large(limit).into());
                }
                lease.cover(have + data.len()).await?;
                if have == 0 {
                    first = data;
                    continue;
                }
                if buffer.is_empty() {
                    // Not before something arrived: a declared length alone costs nothing.
                    buffer.reserve(room.max(have + data.len()));
                    buffer.extend_from_slice(&std::mem::take(&mut first));
                }
                buffer.extend_from_slice(&data);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    let body = if buffer.is_empty() { first } else { buffer.freeze() };
    Ok((body, trailers))
}

#[cfg(test)]
mod tests;
