//! WebSocket frames as bytes, read and written one at a time.
//!
//! The relay has to see frames, not messages: it limits, refuses and forwards them one by one and tolerates what a message library
//! refuses on principle (client frames without a mask, reserved bits), because the reference does. A frame is a header of at most
//! fourteen bytes; a payload is only read after the relay has looked at the header, and grows as it comes, so that a length
//! that is only claimed costs nothing. (spec: http-proxy §8.3, RFC 6455 §5.2)

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Operation codes.
pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// The longest reason of a close frame, in bytes.
const MAX_REASON: usize = 123;
/// Most that is made room for before any byte of a payload has come.
const CHUNK: usize = 16 * 1024;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Last or only frame of its message.
    pub fin: bool,
    /// The frame is compressed, or says so.
    pub rsv1: bool,
    /// What it is.
    pub opcode: u8,
    /// The key its payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload.
    pub length: u64,
}

impl Header {
    /// The header at the front of `bytes` and its size; `None`: there is more to come.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
        let (length, mut size) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let mask = if second & 0x80 == 0 {
            None
        } else {
            let key = *bytes.get(size..)?.first_chunk::<4>()?;
            size += 4;
            Some(key)
        };
        let header =
            Self { fin: first & 0x80 != 0, rsv1: first & 0x40 != 0, opcode: first & 0x0f, mask, length };
        Some((header, size))
    }

    /// Control frames are never fragmented and at most 125 bytes long.
    pub fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }

    /// Neither defined by RFC 6455 nor negotiated by an extension.
    pub fn is_reserved(&self) -> bool {
        !matches!(self.opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG)
    }
}

fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// The receiving side of a connection.
pub(super) struct Reader<R> {
    io: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// `early`: what has been read from `io` already.
    pub fn new(io: R, early: &[u8]) -> Self {
        Self { io, buffer: BytesMut::from(early) }
    }

    /// The next header; `None` at the end of the stream. Nothing is lost when the future is dropped.
    pub async fn header(&mut self) -> io::Result<Option<Header>> {
        loop {
            if let Some((header, size)) = Header::parse(&self.buffer) {
                self.buffer.advance(size);
                return Ok(Some(header));
            }
            self.buffer.reserve(CHUNK);
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The payload that belongs to `header`, unmasked. The caller has bounded the length.
    pub async fn payload(&mut self, header: &Header) -> io::Result<Bytes> {
        let length = usize::try_from(header.length).map_err(|_| io::ErrorKind::InvalidData)?;
        while self.buffer.len() < length {
            self.buffer.reserve((length - self.buffer.len()).min(CHUNK));
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut payload = self.buffer.split_to(length);
        if let Some(mask) = header.mask {
            apply_mask(&mut payload, mask);
        }
        Ok(payload.freeze())
    }
}

/// The sending side of a connection.
pub(super) struct Writer<W> {
    io: W,
    masks: bool,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// `masks`: we are the client of this connection.
    pub fn new(io: W, masks: bool) -> Self {
        Self { io, masks }
    }

    /// Sends one frame.
    pub async fn send(&mut self, fin: bool, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mask = self.masks.then(rand::random::<[u8; 4]>);
        self.io.write_all(&encode(fin, opcode, mask, payload)).await?;
        self.io.flush().await
    }

    /// Sends a close frame. The reason is cut to what a frame can hold.
    pub async fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.send(true, CLOSE, &payload).await
    }
}

fn encode(fin: bool, opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    out.push(u8::from(fin) << 7 | opcode);
    let masked = u8::from(mask.is_some()) << 7;
    match payload.len() {
        short @ 0..126 => out.push(masked | short as u8),
        medium @ 126..=0xffff => {
            out.push(masked | 126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            out.push(masked | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask.unwrap_or_default()[..if mask.is_some() { 4 } else { 0 }]);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        apply_mask(&mut out[start..], mask);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_length_and_mask_survives_the_way_in_small_pieces() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            for mask in [None, Some([1, 2, 3, 250])] {
                let payload: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
                let bytes = encode(true, TEXT, mask, &payload);
                let (early, rest) = bytes.split_at(bytes.len().min(3));
                let mut reader = Reader::new(rest, early);
                let header = reader.header().await.unwrap().unwrap();
                assert_eq!((header.length, header.mask), (length as u64, mask), "{length}");
                assert!(header.fin && !header.rsv1 && header.opcode == TEXT);
                assert_eq!(reader.payload(&header).await.unwrap(), payload, "{length} {mask:?}");
                assert!(reader.header().await.unwrap().is_none());
            }
        }
    }

    #[tokio::test]
    async fn a_claimed_length_makes_no_room_and_a_short_payload_is_an_error() {
        let mut bytes = vec![0x82, 127];
        bytes.extend_from_slice(&(u64::MAX / 4).to_be_bytes());
        bytes.extend_from_slice(b"abc");
        let mut reader = Reader::new(&bytes[..], b"");
        let header = reader.header().await.unwrap().unwrap();
        let error = reader.payload(&header).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(reader.buffer.capacity() <= 4 * CHUNK);
    }

    #[tokio::test]
    async fn a_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        Writer::new(&mut out, false).close(1008, &"é".repeat(100)).await.unwrap();
        assert_eq!(out.len(), 2 + 2 + 122);
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xf0]);
    }

    #[test]
    fn headers_are_not_read_before_they_are_whole() {
        for bytes in [
            &[][..],
            &[0x81],
            &[0x81, 0x80],
            &[0x81, 126, 0],
            &[0x81, 127, 0, 0, 0],
            &[0x81, 254, 0, 200, 1, 2, 3],
        ] {
            assert_eq!(Header::parse(bytes), None, "{bytes:?}");
        }
    }
}
