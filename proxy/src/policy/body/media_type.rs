//! Content types and content dispositions as Go's `mime` package reads them.
//!
//! What a body is decides how it is scanned, so the reading of odd headers is part of the verdict: a malformed parameter
//! keeps the type and loses the parameters, a parameter repeated with another value loses both.
//!
//! spec: tls-and-request-bodies §13.4

use std::collections::BTreeMap;

/// A parsed header value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MediaType {
    /// `type/subtype` or a single token, lower-case.
    pub name: String,
    /// Parameters by lower-case name, values decoded. Ordered by name.
    pub params: BTreeMap<String, Vec<u8>>,
}

/// Why a header value is not a media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MediaTypeError {
    /// No usable type at all, or a parameter given twice with different values.
    Invalid,
    /// The type is usable, the parameters are not.
    BadParameter(String),
}

impl MediaType {
    /// Parses strictly: any fault is an error.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, MediaTypeError> {
        let base = value.split(|&byte| byte == b';').next().unwrap_or_default();
        let name = trim(base).to_ascii_lowercase();
        let name = match String::from_utf8(name) {
            Ok(name) if is_type(&name) => name,
            _ => return Err(MediaTypeError::Invalid),
        };
        let mut params = BTreeMap::new();
        let mut pieces: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
        let mut rest = trim_start(&value[base.len()..]);
        while !rest.is_empty() {
            let Some((key, text, behind)) = parameter(rest) else {
                if trim(rest) == b";" {
                    break;
                }
                return Err(MediaTypeError::BadParameter(name));
            };
            let map = match key.split_once('*') {
                Some((base, _)) => pieces.entry(base.to_owned()).or_default(),
                None => &mut params,
            };
            if map.get(&key).is_some_and(|known| *known != text) {
                return Err(MediaTypeError::Invalid);
            }
            map.insert(key, text);
            rest = trim_start(behind);
        }
        for (key, map) in pieces {
            if let Some(text) = stitch(&key, &map) {
                params.insert(key, text);
            }
        }
        Ok(Self { name, params })
    }

    /// Parses as the dispatch does: whatever is unusable is empty.
    pub(crate) fn lenient(value: Option<&[u8]>) -> Self {
        match value.map(Self::parse) {
            Some(Ok(parsed)) => parsed,
            Some(Err(MediaTypeError::BadParameter(name))) => Self { name, params: BTreeMap::new() },
            Some(Err(MediaTypeError::Invalid)) | None => Self::default(),
        }
    }

    /// A parameter as bytes.
    pub(crate) fn param(&self, name: &str) -> Option<&[u8]> {
        self.params.get(name).map(Vec::as_slice)
    }
}

/// `token` or `token/token`.
fn is_type(name: &str) -> bool {
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_token_byte);
    match name.split_once('/') {
        Some((kind, subtype)) => is_token(kind) && is_token(subtype),
        None => is_token(name),
    }
}

/// `; name = value`; gives the lower-case name, the value and what follows.
fn parameter(text: &[u8]) -> Option<(String, Vec<u8>, &[u8])> {
    let rest = trim_start(trim_start(text).strip_prefix(b";")?);
    let (name, rest) = token(rest);
    if name.is_empty() {
        return None;
    }
    let rest = trim_start(trim_start(rest).strip_prefix(b"=")?);
    let (value, behind) = match rest.first()? {
        b'"' => quoted(rest)?,
        _ => {
            let (value, behind) = token(rest);
            if value.is_empty() {
                return None;
            }
            (value.to_vec(), behind)
        }
    };
    // A token is ASCII.
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Some((name, value, behind))
}

fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|&&byte| is_token_byte(byte)).count();
    text.split_at(length)
}

/// A quoted string; only special characters can be escaped, any other backslash is itself (Windows paths).
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some((value, &text[at + 1..])),
            b'\r' | b'\n' => return None,
            b'\\' if text.get(at + 1).is_some_and(|&next| is_special(next)) => {
                value.push(text[at + 1]);
                at += 2;
            }
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
}

/// RFC 2231: `name*` alone, or `name*0`, `name*1*`, … in turn.
fn stitch(key: &str, pieces: &BTreeMap<String, Vec<u8>>) -> Option<Vec<u8>> {
    if let Some(value) = pieces.get(&format!("{key}*")) {
        return decode_charset(value);
    }
    let mut whole = Vec::new();
    let mut any = false;
    for number in 0.. {
        if let Some(value) = pieces.get(&format!("{key}*{number}")) {
            whole.extend_from_slice(value);
        } else if let Some(value) = pieces.get(&format!("{key}*{number}*")) {
            let decoded = if number == 0 { decode_charset(value) } else { percent_decode(value) };
            whole.extend(decoded.unwrap_or_default());
        } else {
            break;
        }
        any = true;
    }
    any.then_some(whole)
}

/// `charset'language'percent-encoded`, for the two charsets known.
fn decode_charset(value: &[u8]) -> Option<Vec<u8>> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let charset = parts.next()?.to_ascii_lowercase();
    let encoded = parts.nth(1)?;
    matches!(charset.as_slice(), b"us-ascii" | b"utf-8").then_some(())?;
    percent_decode(encoded)
}

fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte == b'%' {
            decoded.push(super::form::hex_pair(text.get(at + 1..at + 3)?)?);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    Some(decoded)
}

fn is_special(byte: u8) -> bool {
    b"()<>@,;:\\\"/[]?=".contains(&byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !is_special(byte)
}

/// White space as Unicode has it, since Go trims header values as text.
fn trim_start(mut text: &[u8]) -> &[u8] {
    /// Bytes of the longest such character.
    const LONGEST: usize = 3;
    let first = |text: &[u8]| {
        let begin = &text[..text.len().min(LONGEST)];
        begin.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next())
    };
    while let Some(space) = first(text).filter(|c| c.is_whitespace()) {
        text = &text[space.len_utf8()..];
    }
    text
}

fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let spaces = |valid: &str| valid.len() - valid.trim_end().len();
    match text.utf8_chunks().last() {
        Some(chunk) if chunk.invalid().is_empty() => &text[..text.len() - spaces(chunk.valid())],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> String {
        match MediaType::parse(value.as_bytes()) {
            Ok(parsed) => {
                let params =
                    parsed.params.iter().map(|(name, value)| format!(" {name}=[{}]", value.escape_ascii()));
                parsed.name.clone() + &params.collect::<String>()
            }
            Err(MediaTypeError::BadParameter(name)) => format!("{name} !"),
            Err(MediaTypeError::Invalid) => "!".to_owned(),
        }
    }

    #[test]
    fn reads_types_and_parameters_as_go_does() {
        let cases = [
            ("application/json", "application/json"),
            (" Application/JSON ; Charset=UTF-8", "application/json charset=[UTF-8]"),
            ("application/json;", "application/json"),
            ("application/json; ", "application/json"),
            ("application/json;;", "application/json !"),
            ("application/json; charset", "application/json !"),
            ("application/json; charset=", "application/json !"),
            ("application/json; charset=a; charset=a", "application/json charset=[a]"),
            ("application/json; charset=utf-8; charset=utf-16", "!"),
            ("application/json, text/plain", "!"),
            ("application/json x", "!"),
            ("application/", "!"),
            ("/json", "!"),
            ("", "!"),
            ("form-data; name=\"f\"", "form-data name=[f]"),
            ("form-data; name=\"\"", "form-data name=[]"),
            ("form-data; name=\"a\\\"b\\\\c\"", "form-data name=[a\\\"b\\\\c]"),
            ("form-data; filename=\"C:\\dev\\x.txt\"", "form-data filename=[C:\\\\dev\\\\x.txt]"),
            ("form-data; name=\"open", "form-data !"),
            ("form-data; name=a b", "form-data !"),
            ("a/b; x*=utf-8''%41b", "a/b x=[Ab]"),
            ("a/b; x*=utf-16''%41b", "a/b"),
            ("a/b; x*0=ab; x*1=cd", "a/b x=[abcd]"),
            ("a/b; x*0*=us-ascii'en'%41; x*1*=%42; x*2=c", "a/b x=[ABc]"),
            ("a/b; x*1=cd", "a/b"),
            ("a/b ; c = d", "a/b c=[d]"),
            ("\u{2003} \u{a0}a/b\u{3000};\u{85}c=d", "a/b c=[d]"),
        ];
        for (value, wanted) in cases {
            assert_eq!(shown(value), wanted, "{value}");
        }
    }

    #[test]
    fn the_work_grows_with_the_header_and_no_faster() {
        let value = "text/plain".to_owned() + &";a=b".repeat(1 << 18);
        assert_eq!(shown(&value), "text/plain a=[b]");
    }

    #[test]
    fn dispatch_keeps_a_type_with_bad_parameters() {
        let name = |value: &str| MediaType::lenient(Some(value.as_bytes())).name;
        assert_eq!(name("application/json; charset"), "application/json");
        assert_eq!(name("application/json; a=1; a=2"), "");
        assert_eq!(MediaType::lenient(None).name, "");
    }
}
