//! A request target as it goes out, and as hyper can send it.

use http::uri::PathAndQuery;

/// Whether a target is a path, and a query, that can stand in a request line: the query is the client's, byte for byte.
pub(super) fn goes_as_it_is(target: &[u8]) -> bool {
    target.starts_with(b"/") && target.iter().all(|&byte| byte > b' ' && byte != 0x7f)
}

/// The target for hyper, with what [`PathAndQuery`] does not take percent-encoded: it drops what follows a `#`, and refuses some
/// characters. The encoded form means the same to any URL parser.
pub fn request_target(target: &[u8]) -> Result<PathAndQuery, http::Error> {
    if !target.contains(&b'#')
        && let Ok(parsed) = PathAndQuery::try_from(target)
    {
        return Ok(parsed);
    }
    let mut encoded = Vec::with_capacity(target.len() + 16);
    for &byte in target {
        if matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~') {
            encoded.push(byte);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    Ok(PathAndQuery::try_from(encoded)?)
}
