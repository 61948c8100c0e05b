//! A request target as hyper can send it.

use http::uri::PathAndQuery;

/// Whether a target is a path, and a query, of which [`request_target`] makes the same bytes.
pub(super) fn goes_as_it_is(target: &[u8]) -> bool {
    target.starts_with(b"/") && target.iter().all(|&byte| is_kept(byte))
}

const fn is_kept(byte: u8) -> bool {
    matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'Z' | b'[' | b']' | b'_' | b'a'..=b'z' | b'~')
}

/// The target with every byte that [`PathAndQuery`] does not take percent-encoded: it drops what follows a `#`, and refuses some
/// characters that origins have always been sent raw. The encoded form means the same to any URL parser.
pub fn request_target(target: &[u8]) -> Result<PathAndQuery, http::Error> {
    if !target.contains(&b'#')
        && let Ok(parsed) = PathAndQuery::try_from(target)
    {
        return Ok(parsed);
    }
    let mut encoded = Vec::with_capacity(target.len() + 16);
    for &byte in target {
        if is_kept(byte) {
            encoded.push(byte);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    Ok(PathAndQuery::try_from(encoded)?)
}
