//! A request target as it goes out, and as hyper can send it.

use http::uri::PathAndQuery;
use http::{Method, Uri};

/// Whether a target is a path, and a query, that can stand in a request line: the query is the client's, byte for byte.
pub(super) fn goes_as_it_is(target: &[u8]) -> bool {
    target.starts_with(b"/") && target.iter().all(|&byte| byte > b' ' && byte != 0x7f)
}

/// A request line that goes out in place of hyper's, whose target is another.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) ours: Vec<u8>,
    pub(super) hypers: Vec<u8>,
}

impl Line {
    /// `None` where hyper's says the same, or where the target cannot stand in a request line.
    pub(super) fn of(method: &Method, target: &[u8], hypers: &Uri) -> Option<Self> {
        let hypers = hypers.path_and_query().filter(|hypers| hypers.as_str().as_bytes() != target)?;
        let line = |target| [method.as_str().as_bytes(), b" ", target, b" HTTP/1.1\r\n"].concat();
        goes_as_it_is(target).then(|| Self { ours: line(target), hypers: line(hypers.as_str().as_bytes()) })
    }
}

/// The target for hyper, with what [`PathAndQuery`] does not take percent-encoded: it drops what follows a `#`, and refuses some
/// characters. Over HTTP/1.1 a `Line` goes out in its place; over HTTP/2 this is what an origin sees.
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
