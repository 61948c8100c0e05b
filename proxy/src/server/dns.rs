//! A name server that refuses everything, UDP and TCP (spec: launcher §7).
//!
//! A container behind the proxy needs no names of the outside, and look-ups are a way out of their own: labels under an
//! attacker's domain. So its only resolver is this one. Every question is answered REFUSED, written to the log with
//! its name, and the name is judged like a host name of a URL, so that a secret in a label shows as what it is.
//! Nothing is ever sent on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Shared;
use crate::events::{Context, Event};
use crate::policy::url::{Outcome, Pipeline};

/// Largest question that is read; a question is a header and one name of at most 255 bytes.
const MAX_QUESTION: usize = 4096;
/// TCP connections at a time; further ones are closed at once.
const MAX_CONNECTIONS: usize = 64;
/// How long a TCP client may take for one question.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing is taken after an error of a socket.
const PAUSE: Duration = Duration::from_millis(50);
/// How many pairs of ports are tried where any will do.
const PAIRS: usize = 64;
/// Scanner label of a refusal whose name nothing else was found in.
const SCANNER: &str = "dns";
const REASON: &str = "name lookup refused: the proxy resolves the hosts it connects to";

/// The bound sockets.
pub struct DnsRefuser {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl DnsRefuser {
    /// Binds UDP and TCP at the same address. With port 0 the TCP port follows the UDP port; where somebody has it, another pair
    /// is tried.
    ///
    /// # Errors
    /// When the address is taken or may not be used.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let mut pairs = if address.port() == 0 { PAIRS } else { 1 };
        loop {
            let udp = UdpSocket::bind(address).await?;
            match TcpListener::bind(udp.local_addr()?).await {
                Ok(tcp) => return Ok(Self { udp, tcp }),
                Err(error) if pairs > 1 && error.kind() == io::ErrorKind::AddrInUse => pairs -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Answers until the process is told to stop. Names are judged by the policy in force at each question.
    pub async fn serve(self, shared: Arc<Shared>) {
        let stop = shared.stop.drain.clone();
        let recorder = Arc::new(Recorder { shared });
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut buffer = vec![0; MAX_QUESTION];
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                received = self.udp.recv_from(&mut buffer) => {
                    let Ok((length, peer)) = received else {
                        // As a rule it belongs to an earlier answer, whose receiver is gone; if not, it comes again at once.
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    };
                    if let Some(answer) = recorder.answer(&buffer[..length], peer) {
                        let _ = self.udp.send_to(&answer, peer).await;
                    }
                }
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
                        let (recorder, stop) = (Arc::clone(&recorder), stop.clone());
                        tokio::spawn(async move {
                            let _slot = slot;
                            tokio::select! {
                                _ = connection(stream, peer, &recorder) => {}
                                () = stop.cancelled() => {}
                            }
                        });
                    }
                    // Out of descriptors: wait for some to come back instead of spinning.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
            }
        }
    }
}

async fn connection(mut stream: TcpStream, peer: SocketAddr, recorder: &Recorder) -> io::Result<()> {
    loop {
        let question = async {
            let length = usize::from(stream.read_u16().await?);
            if length > MAX_QUESTION {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut question = vec![0; length];
            stream.read_exact(&mut question).await?;
            Ok::<_, io::Error>(question)
        };
        let question = timeout(PATIENCE, question).await??;
        let Some(answer) = recorder.answer(&question, peer) else { return Ok(()) };
        let mut framed = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        timeout(PATIENCE, stream.write_all(&framed)).await??;
    }
}

struct Recorder {
    shared: Arc<Shared>,
}

impl Recorder {
    /// Records a question and gives the answer; none for what is no question.
    fn answer(&self, message: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
        let (answer, question) = refuse(message)?;
        if let Some(question) = question {
            let client_ip = peer.ip().to_string();
            let name = question.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
            let kind = question.query_type().to_string();
            let finding = finding(&self.shared.policy.load().url, &name);
            let (scanner, reason) = finding.as_ref().map_or((SCANNER, REASON), |(s, r)| (s, r.as_str()));
            let ctx = Context {
                method: "DNS",
                target: &name,
                resource: &kind,
                client_ip: &client_ip,
                ..Context::default()
            };
            self.shared.events.record(&Event::Blocked { ctx, scanner, reason });
        }
        Some(answer)
    }
}

/// What the URL pipeline finds in a name before it would look it up: a listed host, a secret or entropy in a label.
fn finding(pipeline: &Pipeline, name: &str) -> Option<(&'static str, String)> {
    let url = format!("https://{name}/");
    match pipeline.begin(url.as_bytes(), Instant::now()) {
        Outcome::Done(verdict) if !verdict.allowed => {
            Some((verdict.label.as_str(), verdict.reason.to_string()))
        }
        _ => None,
    }
}

/// The refusal of a message, and its question; further ones, which nobody asks, are not looked at. None for an answer (never answered: two servers would talk for ever) and
/// for what cannot be read and has no id to answer to. What cannot be read otherwise is refused like the rest.
fn refuse(message: &[u8]) -> Option<(Vec<u8>, Option<Query>)> {
    let id = u16::from_be_bytes(message.get(..2)?.try_into().ok()?);
    let is_response = message.get(2)? & 0x80 != 0;
    if is_response || message.len() < 12 {
        return None;
    }
    let (mut reply, question) = match Message::from_vec(message) {
        Ok(asked) => {
            let mut reply = Message::new(id, MessageType::Response, asked.metadata.op_code);
            reply.metadata.recursion_desired = asked.metadata.recursion_desired;
            let question = asked.queries.into_iter().next();
            reply.add_queries(question.clone());
            (reply, question)
        }
        Err(_) => (Message::new(id, MessageType::Response, OpCode::Query), None),
    };
    reply.metadata.response_code = ResponseCode::Refused;
    Some((reply.to_vec().ok()?, question))
}

#[cfg(test)]
mod tests;
