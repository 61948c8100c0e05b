//! The server name in a TLS hello against the host of the CONNECT. (spec: http-proxy §6.3)
//!
//! Pure: bytes in, category out. Only the first record is looked at and nothing in it is believed; every read is bounds-checked
//! by a cursor that returns `None`, which is the category `malformed_tls`. A hello that is split over several records is therefore
//! malformed here, as in the reference; the hardened mode puts the records together first (see [`Need`]).

/// Bytes of the first record that are looked at, header included.
pub const MAX_HELLO: usize = 16_384;

const HANDSHAKE_RECORD: u8 = 0x16;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
const RECORD_HEADER: usize = 5;

/// What the first bytes of a tunnel say. The names are the values of the metric and of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Category {
    /// Same name: proceed.
    Match,
    /// Another name: refuse.
    Mismatch {
        /// The name in the hello.
        sni: String,
    },
    /// Not a TLS handshake: proceed, the relay is opaque anyway.
    NotTls,
    /// A hello without a name: proceed.
    NoExtension,
    /// Starts like TLS but is not a hello: refuse.
    MalformedTls,
    /// No byte within the deadline: refuse.
    Timeout,
}

impl Category {
    /// The metric label and event field.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch { .. } => "mismatch",
            Self::NotTls => "not_tls",
            Self::NoExtension => "no_extension",
            Self::MalformedTls => "malformed_tls",
            Self::Timeout => "timeout",
        }
    }

    /// Whether the tunnel may go on.
    #[must_use]
    pub fn proceeds(&self) -> bool {
        matches!(self, Self::Match | Self::NotTls | Self::NoExtension)
    }

    /// The name in the hello, where it is the reason for a refusal.
    #[must_use]
    pub fn sni(&self) -> &str {
        match self {
            Self::Mismatch { sni } => sni,
            _ => "",
        }
    }
}

/// How much of the stream has to be there before [`classify`] can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// At least this many bytes in all.
    Bytes(usize),
    /// Enough has been read.
    Nothing,
}

/// What is still missing from `seen`. `join_records`: a hello may span several records (hardened mode, D-504).
#[must_use]
pub fn need(seen: &[u8], join_records: bool) -> Need {
    match seen.first() {
        None => return Need::Bytes(1),
        Some(&HANDSHAKE_RECORD) => {}
        Some(_) => return Need::Nothing,
    }
    let mut end = 0;
    let mut payload = 0;
    // The hello's kind and length, whatever records they are in.
    let mut begin = [0; 4];
    loop {
        let Some(header) = seen.get(end..end + RECORD_HEADER) else {
            return Need::Bytes((end + RECORD_HEADER).min(MAX_HELLO));
        };
        if header[0] != HANDSHAKE_RECORD {
            return Need::Nothing;
        }
        let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let record_end = end + RECORD_HEADER + len;
        if record_end > MAX_HELLO {
            return Need::Nothing;
        }
        if seen.len() < record_end {
            return Need::Bytes(record_end);
        }
        let rest = &mut begin[payload.min(4)..];
        let known = len.min(rest.len());
        rest[..known].copy_from_slice(&seen[record_end - len..][..known]);
        payload += len;
        let complete = payload >= 4 + be24(&begin[1..]);
        if complete || !join_records || len == 0 {
            return Need::Nothing;
        }
        end = record_end;
    }
}

/// Compares the server name in the first bytes of a tunnel with the CONNECT host (without port).
#[must_use]
pub fn classify(seen: &[u8], host: &str, join_records: bool) -> Category {
    match seen.first() {
        None => return Category::Timeout,
        Some(&HANDSHAKE_RECORD) => {}
        Some(_) => return Category::NotTls,
    }
    let hello = if join_records { Some(join(seen)) } else { first_record(seen).map(<[u8]>::to_vec) };
    let Some(name) = hello.as_deref().and_then(server_name) else {
        return Category::MalformedTls;
    };
    let Some(name) = name.map(|name| name.strip_suffix(b".").unwrap_or(name)).filter(|n| !n.is_empty())
    else {
        return Category::NoExtension;
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_lowercase();
    let sni = String::from_utf8_lossy(name).into_owned();
    if sni.strip_suffix('.').unwrap_or(&sni).to_lowercase() == host {
        Category::Match
    } else {
        Category::Mismatch { sni }
    }
}

/// The payload of the first record, if all of it is there and within the cap.
fn first_record(seen: &[u8]) -> Option<&[u8]> {
    let len = usize::from(u16::from_be_bytes([*seen.get(3)?, *seen.get(4)?]));
    let end = RECORD_HEADER + len;
    if end > MAX_HELLO { None } else { seen.get(RECORD_HEADER..end) }
}

/// The payloads of all complete handshake records at the front of `seen`, put together.
fn join(seen: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(seen.len());
    let mut rest = seen;
    while rest.first() == Some(&HANDSHAKE_RECORD) {
        let Some(payload) = first_record(rest) else { break };
        out.extend_from_slice(payload);
        rest = &rest[RECORD_HEADER + payload.len()..];
        if payload.is_empty() {
            break;
        }
    }
    out
}

/// `None`: malformed. `Some(None)`: a hello without a host name.
fn server_name(record: &[u8]) -> Option<Option<&[u8]>> {
    let mut record = Cursor(record);
    if record.u8()? != CLIENT_HELLO {
        return None;
    }
    let length = be24(record.take(3)?);
    let mut hello = Cursor(record.take(length)?);
    hello.take(2 + 32)?; // version, random
    let session_id = hello.u8()?;
    hello.take(usize::from(session_id))?;
    let ciphers = hello.u16()?;
    hello.take(usize::from(ciphers))?;
    let compressions = hello.u8()?;
    hello.take(usize::from(compressions))?;
    if hello.0.len() < 2 {
        return Some(None);
    }
    let length = hello.u16()?;
    let mut extensions = Cursor(hello.take(usize::from(length))?);
    while extensions.0.len() >= 4 {
        let kind = extensions.u16()?;
        let length = extensions.u16()?;
        let data = extensions.take(usize::from(length))?;
        if kind == SERVER_NAME {
            return host_name(data);
        }
    }
    Some(None)
}

fn host_name(extension: &[u8]) -> Option<Option<&[u8]>> {
    let mut extension = Cursor(extension);
    let length = extension.u16()?;
    let mut names = Cursor(extension.take(usize::from(length))?);
    while names.0.len() >= 3 {
        let kind = names.u8()?;
        let length = names.u16()?;
        let name = names.take(usize::from(length))?;
        if kind == HOST_NAME {
            return Some(Some(name));
        }
    }
    Some(None)
}

fn be24(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b))
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(extensions: Option<&[u8]>) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        if let Some(extensions) = extensions {
            body.extend((extensions.len() as u16).to_be_bytes());
            body.extend(extensions);
        }
        let mut handshake = vec![1, 0];
        handshake.extend((body.len() as u16).to_be_bytes());
        handshake.extend(body);
        handshake
    }

    fn record(payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0x16, 3, 1];
        out.extend((payload.len() as u16).to_be_bytes());
        out.extend(payload);
        out
    }

    fn name(host: &str) -> Vec<u8> {
        let n = host.len() as u16;
        let mut out = vec![0, 0];
        out.extend((n + 5).to_be_bytes());
        out.extend((n + 3).to_be_bytes());
        out.push(0);
        out.extend(n.to_be_bytes());
        out.extend(host.as_bytes());
        out
    }

    #[test]
    fn hellos_fall_into_their_categories() {
        let named = |host: &str| record(&hello(Some(&name(host))));
        let grease = [vec![0x0a, 0x0a, 0, 1, 0], name("up.test")].concat();
        let cases = [
            (named("up.test"), "match"),
            (named("UP.TEST."), "match"),
            (named("other.test"), "mismatch"),
            (named(""), "no_extension"),
            (named("."), "no_extension"),
            (record(&hello(Some(&grease))), "match"),
            (record(&hello(Some(&[]))), "no_extension"),
            (record(&hello(None)), "no_extension"),
            (record(&[2, 0, 0, 1, 0]), "malformed_tls"),
            (vec![0x16, 3, 1, 0x40, 0x01], "malformed_tls"),
            (vec![0x16, 3], "malformed_tls"),
            (vec![0x16], "malformed_tls"),
            (b"SSH-2.0".to_vec(), "not_tls"),
            (vec![], "timeout"),
        ];
        for (bytes, want) in cases {
            assert_eq!(classify(&bytes, "up.test", false).as_str(), want, "{bytes:02x?}");
        }
    }

    #[test]
    fn every_truncation_of_a_hello_is_malformed_or_needs_more() {
        let whole = record(&hello(Some(&name("up.test"))));
        for n in 1..whole.len() {
            assert_eq!(classify(&whole[..n], "up.test", false), Category::MalformedTls, "{n} bytes");
            assert!(matches!(need(&whole[..n], false), Need::Bytes(m) if m > n), "{n} bytes");
        }
        assert_eq!(need(&whole, false), Need::Nothing);
    }

    #[test]
    fn a_split_hello_is_malformed_for_the_reference_and_joined_when_hardened() {
        let payload = hello(Some(&name("evil.test")));
        let split = [record(&payload[..10]), record(&payload[10..])].concat();
        assert_eq!(classify(&split, "up.test", false), Category::MalformedTls);
        assert_eq!(classify(&split, "up.test", true).as_str(), "mismatch");
        assert_eq!(classify(&split, "evil.test", true), Category::Match);
        assert_eq!(need(&split[..15], true), Need::Bytes(20));
        assert_eq!(need(&split, true), Need::Nothing);
        let bytes: Vec<u8> = payload.iter().flat_map(|byte| record(&[*byte])).collect();
        assert_eq!(need(&bytes, true), Need::Nothing);
        assert_eq!(need(&bytes[..bytes.len() - 1], true), Need::Bytes(bytes.len()));
        assert_eq!(classify(&bytes, "evil.test", true), Category::Match);
    }
}
