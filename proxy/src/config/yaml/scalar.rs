//! What a scalar means: null, bool, int, float, time or text, decided as Go's yaml.v3 does. Spec: config §1.4, §2.2.

use std::borrow::Cow;

use super::Timestamp;

/// The tags the dialect knows, in short form; any other is carried as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(pub Cow<'static, str>);

impl Tag {
    pub const NULL: Tag = Tag(Cow::Borrowed("!!null"));
    pub const BOOL: Tag = Tag(Cow::Borrowed("!!bool"));
    pub const STR: Tag = Tag(Cow::Borrowed("!!str"));
    pub const INT: Tag = Tag(Cow::Borrowed("!!int"));
    pub const FLOAT: Tag = Tag(Cow::Borrowed("!!float"));
    pub const TIMESTAMP: Tag = Tag(Cow::Borrowed("!!timestamp"));
    pub const SEQ: Tag = Tag(Cow::Borrowed("!!seq"));
    pub const MAP: Tag = Tag(Cow::Borrowed("!!map"));
    pub const BINARY: Tag = Tag(Cow::Borrowed("!!binary"));
    pub const MERGE: Tag = Tag(Cow::Borrowed("!!merge"));

    /// The short form, for example `!!int`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a plain scalar under this tag is still typed by its text.
    fn is_resolvable(&self) -> bool {
        [Tag::STR, Tag::BOOL, Tag::INT, Tag::FLOAT, Tag::NULL, Tag::TIMESTAMP].contains(self)
    }
}

/// A scalar's value after typing.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// `~`, `null`, nothing.
    Null,
    /// `true`, `false` and their capitalised forms.
    Bool(bool),
    /// A whole number that fits 64 bits with a sign.
    Int(i64),
    /// A whole number that fits only without a sign.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// An unquoted date or time.
    Time(Timestamp),
    /// Text; for `!!binary` the encoded text.
    Text(String),
}

/// Types `text` under an explicit `tag`, or by its look when there is none.
///
/// # Errors
/// When the tag promises a type that the text does not have.
pub fn resolve(tag: Option<&Tag>, text: &str) -> Result<(Tag, Resolved), String> {
    if let Some(tag) = tag {
        if !tag.is_resolvable() {
            return Ok((tag.clone(), Resolved::Text(text.to_owned())));
        }
        if *tag == Tag::STR {
            return Ok((Tag::STR, Resolved::Text(text.to_owned())));
        }
    }
    let (found, value) = by_look(tag, text);
    match tag {
        None => Ok((found, value)),
        Some(tag) if *tag == found => Ok((found, value)),
        Some(tag) if *tag == Tag::FLOAT => match value {
            Resolved::Int(int) => Ok((Tag::FLOAT, Resolved::Float(int as f64))),
            Resolved::Uint(int) => Ok((Tag::FLOAT, Resolved::Float(int as f64))),
            _ => Err(format!("cannot decode {} `{text}` as a {}", found.as_str(), tag.as_str())),
        },
        Some(tag) => Err(format!("cannot decode {} `{text}` as a {}", found.as_str(), tag.as_str())),
    }
}

fn by_look(tag: Option<&Tag>, text: &str) -> (Tag, Resolved) {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return (Tag::NULL, Resolved::Null),
        "true" | "True" | "TRUE" => return (Tag::BOOL, Resolved::Bool(true)),
        "false" | "False" | "FALSE" => return (Tag::BOOL, Resolved::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return (Tag::FLOAT, Resolved::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return (Tag::FLOAT, Resolved::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return (Tag::FLOAT, Resolved::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => decimal_float(text).map(Resolved::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => {
            if tag.is_none_or(|tag| *tag == Tag::TIMESTAMP)
                && let Some(time) = Timestamp::from_plain(text)
            {
                return (Tag::TIMESTAMP, Resolved::Time(time));
            }
            signed_number(&text.replace('_', ""))
        }
        _ => None,
    };
    match number {
        Some(value @ Resolved::Float(_)) => (Tag::FLOAT, value),
        Some(value) => (Tag::INT, value),
        None => (Tag::STR, Resolved::Text(text.to_owned())),
    }
}

/// A number that starts with a sign or digit, separators already removed.
fn signed_number(plain: &str) -> Option<Resolved> {
    let (negative, digits) = match plain.as_bytes().first() {
        Some(b'-') => (true, &plain[1..]),
        Some(b'+') => (false, &plain[1..]),
        _ => (false, plain),
    };
    if let Some(magnitude) = whole_number(digits) {
        if let Some(int) = with_sign(negative, magnitude) {
            return Some(Resolved::Int(int));
        }
        if !plain.starts_with(['-', '+']) {
            return Some(Resolved::Uint(magnitude));
        }
    }
    decimal_float(plain).map(Resolved::Float)
}

/// Go's base-0 integer: decimal, `0x`, `0b`, `0o`, or octal by a leading zero. `None` when it is none or above 64 bits.
fn whole_number(digits: &str) -> Option<u64> {
    let (base, rest) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(rest, base).ok()
}

fn with_sign(negative: bool, magnitude: u64) -> Option<i64> {
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// `[+-] digits [. digits] [e[+-]digits]`, finite. Hexadecimal floats are text here.
fn decimal_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_shaped = exponent.is_none_or(|part| {
        let part = part.strip_prefix(['+', '-']).unwrap_or(part);
        !part.is_empty() && digits(part)
    });
    if !shaped || !exponent_shaped {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}
