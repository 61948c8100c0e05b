//! Where the head of an HTTP/1 message ends, for both sides of the proxy.

/// The length of the head at the front of `seen`, its blank line included; `from` is where an earlier search ended.
/// Only a line feed ends a line, as for the reference.
#[must_use]
pub(crate) fn head_end(seen: &[u8], from: usize) -> Option<usize> {
    // A line end found before may be the one before the blank line.
    let mut at = from.saturating_sub(3);
    while let Some(line_feed) = memchr::memchr(b'\n', &seen[at..]) {
        at += line_feed + 1;
        match &seen[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}
