//! User-info, host and port of a URL. (spec: url-scan §3.3, §3.4, §3.9)

use std::borrow::Cow;

use super::escape::{Part, decode, encode_into};
use super::{GoUrl, ParseError};
use crate::policy::address;

/// User name and password, decoded. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct UserInfo<'a> {
    /// Decoded user name.
    pub name: Cow<'a, [u8]>,
    /// Decoded password; `None` when there was no colon.
    pub password: Option<Cow<'a, [u8]>>,
}

impl std::fmt::Debug for UserInfo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserInfo(..)")
    }
}

impl UserInfo<'_> {
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        encode_into(out, &self.name, Part::UserInfo);
        if let Some(password) = &self.password {
            out.push(b':');
            encode_into(out, password, Part::UserInfo);
        }
    }

    pub(super) fn into_owned(self) -> UserInfo<'static> {
        UserInfo {
            name: Cow::Owned(self.name.into_owned()),
            password: self.password.map(|password| Cow::Owned(password.into_owned())),
        }
    }
}

type Authority<'a> = (Option<UserInfo<'a>>, Cow<'a, [u8]>);

pub(super) fn parse(authority: &[u8]) -> Result<Authority<'_>, ParseError> {
    let Some(at) = memchr::memrchr(b'@', authority) else { return Ok((None, parse_host(authority)?)) };
    let host = parse_host(&authority[at + 1..])?;
    let user = &authority[..at];
    if !user.iter().all(|&byte| is_user_byte(byte)) {
        return Err(ParseError::UserInfo);
    }
    let info = match memchr::memchr(b':', user) {
        None => UserInfo { name: decode(user, Part::UserInfo)?, password: None },
        Some(colon) => UserInfo {
            name: decode(&user[..colon], Part::UserInfo)?,
            password: Some(decode(&user[colon + 1..], Part::UserInfo)?),
        },
    };
    Ok((Some(info), host))
}

const fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b':'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b'%'
                | b'@'
        )
}

fn parse_host(host: &[u8]) -> Result<Cow<'_, [u8]>, ParseError> {
    match memchr::memchr(b'[', host) {
        Some(0) => return parse_bracketed(host),
        Some(_) => return Err(ParseError::IpLiteral(host.to_vec())),
        None => {}
    }
    if let Some(colon) = memchr::memrchr(b':', host)
        && !host[colon + 1..].iter().all(u8::is_ascii_digit)
    {
        return Err(ParseError::Port(host[colon..].to_vec()));
    }
    decode(host, Part::Host)
}

fn parse_bracketed(host: &[u8]) -> Result<Cow<'_, [u8]>, ParseError> {
    let close = memchr::memrchr(b']', host).ok_or(ParseError::MissingBracket)?;
    let port = &host[close + 1..];
    if !is_port(port) {
        return Err(ParseError::Port(port.to_vec()));
    }
    let content = &host[1..close];
    let zone_at = memchr::memmem::find(content, b"%25").unwrap_or(content.len());
    let mut address = decode(&content[..zone_at], Part::Host)?;
    if zone_at < content.len() {
        let zone = decode(&content[zone_at..], Part::Zone)?;
        address.to_mut().extend_from_slice(&zone);
    }
    if !address::is_ipv6_literal(&address) {
        return Err(ParseError::IpLiteral(host.to_vec()));
    }
    if matches!(address, Cow::Borrowed(_)) {
        return Ok(Cow::Borrowed(host));
    }
    let mut out = Vec::with_capacity(host.len());
    out.push(b'[');
    out.extend_from_slice(&address);
    out.extend_from_slice(&host[close..]);
    Ok(Cow::Owned(out))
}

/// Empty, or a colon and digits (none is enough).
fn is_port(text: &[u8]) -> bool {
    match text.split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

/// Name (without one pair of brackets) and port of a `host[:port]`.
pub(super) fn split_port(host: &[u8]) -> (&[u8], &[u8]) {
    let (mut name, mut port): (&[u8], &[u8]) = (host, b"");
    if let Some(colon) = memchr::memrchr(b':', host)
        && is_port(&host[colon..])
    {
        (name, port) = (&host[..colon], &host[colon + 1..]);
    }
    if let [b'[', inner @ .., b']'] = name {
        name = inner;
    }
    (name, port)
}

impl GoUrl<'_> {
    /// Replaces the host name and keeps a non-empty port.
    pub(crate) fn set_host_name(&mut self, name: &str) {
        let port = self.port();
        let host =
            if port.is_empty() { name.as_bytes().to_vec() } else { [name.as_bytes(), b":", port].concat() };
        self.host = Cow::Owned(host);
    }
}
