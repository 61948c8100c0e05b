//! A request target as hyper can send it.

use http::uri::PathAndQuery;

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
        match byte {
            b'!' | b'$'..=b';' | b'=' | b'?'..=b'Z' | b'[' | b']' | b'_' | b'a'..=b'z' | b'~' => {
                encoded.push(byte);
            }
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    Ok(PathAndQuery::try_from(encoded)?)
}
