//! Layers that look only at the URL's spelling: scheme, encoded line breaks, `..` segments. (spec: url-scan §5–§7)

use std::borrow::Cow;

use super::layers::Step;
use super::{Pipeline, Scan, quote};
use crate::policy::verdict::{Label, UrlVerdict};

/// Layer 2.
pub(super) fn scheme(_: &Pipeline, scan: &mut Scan<'_>) -> Step {
    let scheme = &*scan.url.scheme;
    if matches!(scheme, "http" | "https") {
        return Step::Pass;
    }
    let reason = format!("scheme {} not allowed: only http and https", quote(scheme.as_bytes()));
    Step::Block(UrlVerdict::block(Label::Scheme, reason))
}

/// Layer 3: plain substring tests on the text before the fragment. (spec: url-scan §6)
pub(super) fn crlf(_: &Pipeline, scan: &mut Scan<'_>) -> Step {
    let text = scan.before_fragment();
    let mut found = [false; 4];
    for at in memchr::memchr_iter(b'%', text) {
        let rest = &text[at + 1..];
        if let Some(then) = line_break(rest) {
            let pair = then && rest.get(2) == Some(&b'%') && line_break(&rest[3..]) == Some(false);
            found[if pair { 0 } else { 2 }] = true;
        } else if let Some(rest) = rest.strip_prefix(b"25")
            && let Some(then) = line_break(rest)
        {
            let pair = then && rest[2..].strip_prefix(b"%25").and_then(line_break) == Some(false);
            found[if pair { 1 } else { 3 }] = true;
        }
    }
    const REASONS: [&str; 4] = [
        "CRLF injection sequence in URL",
        "double-encoded CRLF injection sequence in URL",
        "encoded CR or LF in URL",
        "double-encoded CR or LF in URL",
    ];
    let first = found.iter().position(|&found| found);
    first.map(|first| UrlVerdict::block(Label::CrlfInjection, REASONS[first])).into()
}

/// Whether `digits` starts with `0d` (true) or `0a` (false) in either case.
fn line_break(digits: &[u8]) -> Option<bool> {
    match digits {
        [b'0', b'd' | b'D', ..] => Some(true),
        [b'0', b'a' | b'A', ..] => Some(false),
        _ => None,
    }
}

/// Layer 4. (spec: url-scan §7)
pub(super) fn traversal(_: &Pipeline, scan: &mut Scan<'_>) -> Step {
    let raw_path = &scan.url.raw_path;
    let path = if raw_path.is_empty() { &scan.url.path } else { raw_path };
    // Every form has two dots, written as such or as escapes.
    let has_two_dots = || memchr::memchr_iter(b'.', path).any(|at| path.get(at + 1) == Some(&b'.'));
    if memchr::memchr2(b'%', b'\\', path).is_none() && !has_two_dots() {
        return Step::Pass;
    }
    let path: Cow<'_, [u8]> = if path.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(path.to_ascii_lowercase())
    } else {
        Cow::Borrowed(path)
    };
    if has_dots_between_separators(&path) {
        return Step::Block(UrlVerdict::block(Label::PathTraversal, "path traversal sequence in URL"));
    }
    let contains = |needle: &[u8]| memchr::memmem::find(&path, needle).is_some();
    let double = contains(b"/%252e%252e/") || contains(b"/%252e%252e%252f") || path.ends_with(b"/%252e%252e");
    double.then(|| UrlVerdict::block(Label::PathTraversal, "double-encoded path traversal in URL")).into()
}

/// A separator, two dots, then a separator or the end; each plain or percent-encoded. `path` is lower-cased.
fn has_dots_between_separators(path: &[u8]) -> bool {
    (0..path.len()).any(|at| {
        let Some(rest) = separator(&path[at..]) else { return false };
        let Some(rest) = dot(rest).and_then(dot) else { return false };
        rest.is_empty() || separator(rest).is_some()
    })
}

fn separator(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'/' | b'\\', rest @ ..] | [b'%', b'2', b'f', rest @ ..] | [b'%', b'5', b'c', rest @ ..] => {
            Some(rest)
        }
        _ => None,
    }
}

fn dot(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'.', rest @ ..] | [b'%', b'2', b'e', rest @ ..] => Some(rest),
        _ => None,
    }
}
