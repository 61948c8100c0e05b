//! The texts that the secret layers derive from a URL. (spec: url-scan §3.6, §10, §11, §12.1)
//!
//! Both secret layers examine nearly the same texts in nearly the same order; each order is a list of [`View`]s, and
//! [`visit`] produces the texts of one list one by one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;

use muselet_rules::dlp::{MOST_VALUES, Values};
use muselet_rules::text::Parameters;
use muselet_rules::{decode, text};

use super::Scan;
use super::parse::query_pairs;

/// More pieces than this make the pair list empty.
const MOST_PIECES: usize = 10_000;
/// Shortest path segment whose decodings are examined, in bytes.
pub(super) const MIN_SEGMENT: usize = 10;
/// Sizes of subsequences.
const SIZES: std::ops::RangeInclusive<usize> = 2..=4;

type Bytes<'a> = Cow<'a, [u8]>;

/// Whether the query is cut into too many pieces for the reference's reader.
pub(super) fn has_too_many_pieces(raw_query: &[u8]) -> bool {
    raw_query.len() >= MOST_PIECES && memchr::memchr_iter(b'&', raw_query).count() >= MOST_PIECES
}

/// Key and value pairs that count. (spec: url-scan §3.6)
pub(super) fn pairs(raw_query: &[u8]) -> impl Iterator<Item = (Bytes<'_>, Bytes<'_>)> {
    query_pairs(if has_too_many_pieces(raw_query) { b"" } else { raw_query })
}

/// The pairs grouped by key, keys in order of first appearance.
pub(super) fn grouped_pairs(raw_query: &[u8]) -> Vec<(Bytes<'_>, Vec<Bytes<'_>>)> {
    let mut groups: Vec<(Bytes<'_>, Vec<Bytes<'_>>)> = Vec::new();
    let mut index: HashMap<Bytes<'_>, usize> = HashMap::new();
    for (key, value) in pairs(raw_query) {
        let at = *index.entry(key).or_insert_with_key(|key| {
            groups.push((key.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(value);
    }
    groups
}

/// The pieces of a query.
pub(super) fn pieces(raw_query: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(b'&', raw_query)
}

/// The segments of a path.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(b'/', path)
}

fn split(at: u8, text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(at, text).chain(std::iter::once(text.len()));
    ends.scan(0, |start, end| Some(&text[std::mem::replace(start, end + 1)..end]))
}

/// Key and value of a piece of a query, as written.
pub(super) fn key_and_value(piece: &[u8]) -> [&[u8]; 2] {
    // Keys are short: to call a search costs more than to make it.
    let (start, rest) = piece.split_at(piece.len().min(8));
    let in_start = start.iter().position(|&byte| byte == b'=');
    match in_start.or_else(|| Some(start.len() + memchr::memchr(b'=', rest)?)) {
        Some(at) => [&piece[..at], &piece[at + 1..]],
        None => [piece, b""],
    }
}

/// [`ordered_values`] into a buffer that is used again.
pub(super) fn write_ordered_values(raw_query: &[u8], parameters: &Parameters, values: &mut Values) {
    values.clear();
    let is_plain = memchr::memchr2(b'%', b'+', raw_query).is_none();
    for [_, value] in parameters.ranges(raw_query.len()) {
        if value.is_empty() {
        } else if is_plain {
            values.push_part(raw_query, value);
        } else {
            values.push_with(|out| text::percent_decode_all_onto(&raw_query[value], out));
        }
    }
}

/// Values in the order of the query, decoded; `None` unless the query has an `&`. (spec: url-scan §10.4)
pub(super) fn ordered_values(raw_query: &[u8]) -> Option<Vec<Bytes<'_>>> {
    memchr::memchr(b'&', raw_query)?;
    let values = pieces(raw_query).filter_map(|piece| {
        let value = &piece[memchr::memchr(b'=', piece)? + 1..];
        (!value.is_empty()).then(|| text::percent_decode_all(value))
    });
    Some(values.collect())
}

/// Single-level decodings of a text.
pub(super) fn decodings(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    decode::decode_all(text).into_iter().map(|(bytes, _)| bytes)
}

/// A kind of derived text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The canonical string.
    Canonical,
    /// The decoded path.
    Path,
    /// The raw query, decoded until it settles.
    Query,
    /// Keys and values, decoded; with their noise removed.
    Pairs,
    /// The same, and each one's base64, hex and base32 decodings.
    PairsAndDecodings,
    /// The host name without dots.
    Host,
    /// The path with its noise removed.
    PathNoise,
    /// The raw path, decoded until it settles.
    RawPath,
    /// Decodings of path segments.
    Segments,
    /// All values joined; with the noise removed.
    Join,
    /// Two, three or four of the first 20 values, joined in order.
    Subsequences,
}

/// What the core layer examines, in order, but for the last: subsequences. (spec: url-scan §11)
pub(super) const CORE: [View; 9] = [
    View::Canonical,
    View::Path,
    View::Query,
    View::Pairs,
    View::Host,
    View::PathNoise,
    View::RawPath,
    View::Segments,
    View::Join,
];

/// What the configurable layer examines, in order, but for the last: subsequences. (spec: url-scan §12.1)
pub(super) const CONFIGURED: [View; 9] = [
    View::Canonical,
    View::Path,
    View::Query,
    View::PairsAndDecodings,
    View::RawPath,
    View::Segments,
    View::Host,
    View::PathNoise,
    View::Join,
];

/// What both examine last, of which there may be thousands.
pub(super) const LAST: [View; 1] = [View::Subsequences];

/// Gives every non-empty text of `views` to `examine` until it breaks.
pub(super) fn visit<B>(
    scan: &Scan<'_>,
    views: &[View],
    examine: &mut impl FnMut(&[u8]) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut examine = |text: &[u8]| if text.is_empty() { ControlFlow::Continue(()) } else { examine(text) };
    for view in views {
        visit_one(scan, *view, &mut examine)?;
    }
    ControlFlow::Continue(())
}

fn visit_one<B>(
    scan: &Scan<'_>,
    view: View,
    examine: &mut impl FnMut(&[u8]) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let url = &scan.url;
    match view {
        View::Canonical => examine(scan.canonical()),
        View::Path => examine(&url.path),
        View::Query => examine(scan.query()),
        View::Pairs | View::PairsAndDecodings => {
            for (key, values) in grouped_pairs(&url.raw_query) {
                for part in std::iter::once(&key).chain(&values) {
                    let part = text::percent_decode_all(part);
                    examine(&part)?;
                    if view == View::PairsAndDecodings {
                        decodings(&part).try_for_each(|decoded| examine(&decoded))?;
                    }
                    examine_stripped(&part, examine)?;
                }
            }
            ControlFlow::Continue(())
        }
        View::Host => {
            let name = url.host_name();
            if !name.contains(&b'.') {
                return ControlFlow::Continue(());
            }
            let joined: Vec<u8> = name.iter().copied().filter(|&byte| byte != b'.').collect();
            examine(&joined)
        }
        View::PathNoise => examine_stripped(&url.path, examine),
        View::RawPath => {
            let decoded = text::percent_decode_all(&url.raw_path);
            if *decoded == *url.path { ControlFlow::Continue(()) } else { examine(&decoded) }
        }
        View::Segments => {
            for segment in segments(&url.path).filter(|segment| segment.len() >= MIN_SEGMENT) {
                decodings(segment).try_for_each(|decoded| examine(&decoded))?;
            }
            ControlFlow::Continue(())
        }
        View::Join => {
            let Some(values) = ordered_values(&url.raw_query) else { return ControlFlow::Continue(()) };
            let joined = values.concat();
            examine(&joined)?;
            examine_stripped(&joined, examine)
        }
        View::Subsequences => {
            let Some(values) = ordered_values(&url.raw_query) else { return ControlFlow::Continue(()) };
            if values.len() < 3 {
                return ControlFlow::Continue(());
            }
            let values = &values[..values.len().min(MOST_VALUES)];
            SIZES
                .filter(|&size| size <= values.len())
                .try_for_each(|size| subsequences(values, size, examine))
        }
    }
}

fn examine_stripped<B>(part: &[u8], examine: &mut impl FnMut(&[u8]) -> ControlFlow<B>) -> ControlFlow<B> {
    text::strip_noise(part).map_or(ControlFlow::Continue(()), |stripped| examine(&stripped))
}

/// Every increasing choice of `size` values, in lexicographic order, joined.
fn subsequences<B>(
    values: &[Bytes<'_>],
    size: usize,
    examine: &mut impl FnMut(&[u8]) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut chosen: Vec<usize> = (0..size).collect();
    let mut joined = Vec::new();
    loop {
        joined.clear();
        for &at in &chosen {
            joined.extend_from_slice(&values[at]);
        }
        examine(&joined)?;
        // Advance the last index that has room, and restart those after it right behind.
        let Some(moved) = (0..size).rfind(|&at| chosen[at] < values.len() - size + at) else {
            return ControlFlow::Continue(());
        };
        chosen[moved] += 1;
        for at in moved + 1..size {
            chosen[at] = chosen[at - 1] + 1;
        }
    }
}
