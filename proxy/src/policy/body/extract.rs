//! From a body and its type to the strings that are scanned.
//!
//! The order of the table is that of the specification. In hardened mode every further reading that a receiver might choose
//! (other Content-Type lines, JSON under another type, other multipart subtypes, UTF-16, character references, quoted-printable,
//! values with comments in them, compressed streams) is added as extras: a reading that fails adds nothing, since only the declared one may refuse the body.
//!
//! spec: tls-and-request-bodies §13.4-13.7

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use muselet_rules::text;

use super::media_type::MediaType;
use super::strings::Strings;
use super::verdict::{BodyFinding, Label};
use super::{charset, form, joints, json, mime, multipart, packed};
use crate::policy::difference;
use crate::policy::shown::shown;

/// How a media type is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Form,
    Multipart,
    Raw,
}

fn shape(media: &MediaType) -> Shape {
    match media.name.as_str() {
        "application/json" => Shape::Json,
        "application/x-www-form-urlencoded" => Shape::Form,
        "multipart/form-data" => Shape::Multipart,
        name if name.ends_with("+json") => Shape::Json,
        _ => Shape::Raw,
    }
}

/// Further lines of Content-Type that say something else; each costs another reading of the body.
const MAX_OTHERS: usize = 8;

/// The type of the first line, and those of others that differ, up to one more than may be read.
fn types(headers: &HeaderMap) -> (MediaType, Vec<MediaType>) {
    let mut lines = headers.get_all(CONTENT_TYPE).iter().map(|line| line.as_bytes());
    let first = MediaType::lenient(lines.next());
    let mut others = Vec::new();
    for media in lines.map(|line| MediaType::lenient(Some(line))) {
        if media != first && !others.contains(&media) {
            others.push(media);
            if others.len() > MAX_OTHERS {
                break;
            }
        }
    }
    (first, others)
}

/// JSON bodies read in one pass, under whatever type: all strings, in another order. `None`: the body is no JSON, or its type has
/// several lines; `Some(Ok(None))`: read it exactly.
pub(super) fn quick<'a>(
    body: &'a [u8],
    headers: &HeaderMap,
    hardened: bool,
) -> Option<Result<Option<Strings<'a>>, BodyFinding>> {
    let (first, others) = types(headers);
    if hardened && (!others.is_empty() || text::has_references(body)) {
        return None;
    }
    match shape(&first) {
        Shape::Json => Some(json::walk(body, hardened).map_err(|_| invalid_json())),
        Shape::Raw if hardened && may_be_json(body) => {
            let mut strings = Strings::new(body);
            strings.push(body);
            let regular = further_readings(body, &first, &others, &mut strings, json_in_text_order);
            Some(Ok(regular.then_some(strings)))
        }
        _ => None,
    }
}

/// All strings, in the order of the reference.
///
/// # Errors
/// The body is not what its type says: it is blocked.
pub(super) fn exact<'a>(
    body: &'a [u8],
    headers: &HeaderMap,
    hardened: bool,
) -> Result<Strings<'a>, BodyFinding> {
    let (first, others) = types(headers);
    let mut strings = read(body, &first, hardened)?;
    if hardened {
        if others.len() > MAX_OTHERS {
            return Err(BodyFinding {
                difference: Some(difference::CONTENT_TYPE_LINES),
                ..BodyFinding::fail_closed(Label::BodyDlp, "too many Content-Type lines")
            });
        }
        further_readings(body, &first, &others, &mut strings, json_by_content);
    }
    Ok(strings)
}

fn read<'a>(body: &'a [u8], media: &MediaType, hardened: bool) -> Result<Strings<'a>, BodyFinding> {
    let block = |reason: String| BodyFinding::fail_closed(Label::BodyDlp, reason);
    let mut strings = Strings::new(body);
    match shape(media) {
        Shape::Json => return json::sorted(body, hardened).map_err(|_| invalid_json()),
        Shape::Form => form::extract(body, &mut strings)
            .map_err(|_| block("invalid application/x-www-form-urlencoded body".to_owned()))?,
        Shape::Multipart => multipart::extract(body, media.param("boundary"), &mut strings, hardened)
            .map_err(|error| block(error.to_string()))?,
        Shape::Raw => strings.push(body),
    }
    Ok(strings)
}

/// Adds what `json` reads in a body whose type does not say that it is JSON, and every other reading; returns what `json` does.
fn further_readings<'a>(
    body: &'a [u8],
    first: &MediaType,
    others: &[MediaType],
    strings: &mut Strings<'a>,
    json: impl FnOnce(&'a [u8], &mut Strings<'a>) -> bool,
) -> bool {
    let mut complete = true;
    if !others.is_empty() {
        strings.push_extra(body, difference::CONTENT_TYPE_LINES, false);
        for media in others {
            if let Ok(reading) = read(body, media, true) {
                strings.absorb(&reading, difference::CONTENT_TYPE_LINES, false);
            }
        }
    }
    let every = || std::iter::once(first).chain(others);
    if !every().any(|media| shape(media) == Shape::Json) && may_be_json(body) {
        complete = json(body, strings);
    }
    for media in
        every().filter(|media| media.name.starts_with("multipart/") && shape(media) != Shape::Multipart)
    {
        let mut reading = Strings::new(body);
        // What was read before an error counts too: the raw scan has judged the body as a whole.
        let _ = multipart::extract(body, media.param("boundary"), &mut reading, true);
        strings.absorb(&reading, difference::MULTIPART_SUBTYPES, false);
    }
    for media in every() {
        for text in charset::utf16(body, media.param("charset").unwrap_or_default()) {
            strings.push_extra(text, difference::UTF_16, false);
        }
    }
    if every().any(|media| shape(media) == Shape::Form) {
        shown(body).into_iter().for_each(|text| strings.push_extra(text, difference::SHOWN, false));
    }
    if packed::is_packed(body) {
        strings.push_packed(body);
    }
    if every().any(|media| is_framed(&media.name)) {
        packed::messages(body).for_each(|message| strings.push_packed(message));
    }
    if let Some(text) = text::without_references(body) {
        strings.push_extra(text, difference::CHARACTER_REFERENCES, false);
    }
    // In JSON these are parts of strings, which are other documents.
    if !every().any(|media| shape(media) == Shape::Json) {
        if let Some(text) = mime::unquoted(body) {
            strings.push_extra(text, difference::QUOTED_PRINTABLE, false);
        }
        if let Some(text) = joints::closed(body) {
            strings.push_extra(text, difference::JOINTS, false);
        }
    }
    complete
}

fn may_be_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// A body that is one JSON object or array, or one on each line, under a type that does not say so.
fn json_by_content<'a>(body: &'a [u8], strings: &mut Strings<'a>) -> bool {
    if let Ok(reading) = json::sorted(body, true) {
        strings.absorb(&reading, difference::JSON_BY_CONTENT, true);
        return true;
    }
    for line in body.split(|&byte| byte == b'\n') {
        if let Ok(reading) = json::sorted(line, true) {
            strings.absorb(&reading, difference::JSON_BY_CONTENT, false);
        }
    }
    true
}

/// The same strings in another order; false if only [`json_by_content`] can tell which they are.
fn json_in_text_order<'a>(body: &'a [u8], strings: &mut Strings<'a>) -> bool {
    let mut whole = true;
    let reading = match json::walk(body, true) {
        Ok(Some(reading)) => reading,
        Ok(None) => return false,
        Err(_) => {
            let mut lines = strings.another();
            if !json::walk_lines(body, &mut lines) {
                return false;
            }
            whole = false;
            lines
        }
    };
    strings.absorb(&reading, difference::JSON_BY_CONTENT, whole);
    true
}

fn is_framed(name: &str) -> bool {
    name.starts_with("application/grpc") || name.starts_with("application/connect+")
}

fn invalid_json() -> BodyFinding {
    BodyFinding::fail_closed(Label::BodyDlp, "invalid JSON body")
}

/// The strings of the body are so much longer than the body that scanning them would take too long.
pub(super) fn expands() -> BodyFinding {
    BodyFinding::fail_closed(Label::BodyDlp, "request body decodes to more text than can be scanned")
}
