//! What becomes of a message: which scans it gets, by its kind, and what it is scanned together with. (spec: http-proxy §8.3)
//!
//! Text of the client is scanned together with the end of what it said before. In hardened mode its binary messages and the
//! payload of its pings are scanned too (D-511), each kind with a memory of its own so that one cannot be used to split the other.

use bytes::Bytes;

use super::scans::{Refusal, Scans, Tail};
use crate::events::Direction;
use crate::server::exchange::Exchange;

/// The difference under which binary messages and pings are scanned.
const ALL_KINDS: &str = "D-511";

/// Judges one direction of a conversation.
pub(super) struct Judge<'a> {
    scans: Scans<'a>,
    text: Tail,
    binary: Tail,
    control: Tail,
}

impl<'a> Judge<'a> {
    /// `host`: of the origin, without port.
    pub fn new(exchange: &'a Exchange, host: &'a str, direction: Direction) -> Self {
        let scans = Scans { exchange, host, direction };
        Self { scans, text: Tail::new(), binary: Tail::new(), control: Tail::new() }
    }

    /// A message in pieces has begun or goes on. What is to be redacted must come whole.
    pub fn fragment(&self) -> Result<(), Refusal> {
        if !self.scans.is_from_client() || !self.scans.exchange.policy.body.redacts() {
            return Ok(());
        }
        Err(self.scans.unredactable("redaction blocked request: ws_message_fragmented".into()))
    }

    /// The payload of a ping or pong.
    pub async fn control(&mut self, payload: &Bytes) -> Result<(), Refusal> {
        if !self.scans.scans_all_kinds() || payload.is_empty() {
            return Ok(());
        }
        self.scans.secrets(&mut self.control, payload, Some(ALL_KINDS)).await
    }

    /// A whole text message, valid UTF-8; what is to be sent in its place.
    pub async fn text(&mut self, message: Bytes) -> Result<Bytes, Refusal> {
        let scans = self.scans;
        if !scans.is_from_client() {
            return if scans.scans() { scans.injection(&mut self.text, message).await } else { Ok(message) };
        }
        let message = scans.redact(message).await?;
        if scans.scans() {
            scans.secrets(&mut self.text, &message, None).await?;
        }
        scans.across(&message, true).await?;
        Ok(message)
    }

    /// A whole binary message.
    pub async fn binary(&mut self, message: Bytes) -> Result<Bytes, Refusal> {
        let scans = self.scans;
        if !scans.is_from_client() {
            return scans.media(message).await;
        }
        let message = scans.redact(message).await?;
        if scans.scans_all_kinds() {
            scans.secrets(&mut self.binary, &message, Some(ALL_KINDS)).await?;
        }
        scans.across(&message, false).await?;
        Ok(message)
    }

    /// Reports that the conversation ends here.
    pub fn report_blocked(&self, scanner: &str, reason: &str, difference: &str) {
        self.scans.report_blocked(scanner, reason, difference);
    }
}
