//! Relative references against a base, for redirects: RFC 3986 §5.2 with the standard library's handling of dots.

use std::borrow::Cow;

use super::{GoUrl, ParseError, parse};

impl GoUrl<'_> {
    /// The absolute URL that `reference` (a `Location` value) names, seen from `self`.
    ///
    /// # Errors
    /// When `reference` does not parse.
    pub fn join(&self, reference: &[u8]) -> Result<GoUrl<'static>, ParseError> {
        Ok(self.resolve(parse(reference)?.into_owned()))
    }

    /// The absolute URL that a parsed reference names, seen from `self`.
    #[must_use]
    pub fn resolve(&self, mut url: GoUrl<'static>) -> GoUrl<'static> {
        let own = |text: &Cow<'_, [u8]>| Cow::Owned(text.to_vec());
        let reference_has_scheme = !url.scheme.is_empty();
        if !reference_has_scheme {
            url.scheme = Cow::Owned(self.scheme.to_string());
        }
        if reference_has_scheme || !url.host.is_empty() || url.user.is_some() {
            let path = resolve_path(&url.escaped_path(), b"");
            url.set_path(path);
            return url;
        }
        if !url.opaque.is_empty() {
            return url;
        }
        if url.path.is_empty() && !url.force_query && url.raw_query.is_empty() {
            url.raw_query = own(&self.raw_query);
            if url.fragment.is_empty() {
                url.fragment = own(&self.fragment);
                url.raw_fragment = own(&self.raw_fragment);
            }
        }
        if url.path.is_empty() && !self.opaque.is_empty() {
            url.opaque = own(&self.opaque);
            return url;
        }
        url.host = own(&self.host);
        url.user = self.user.clone().map(super::UserInfo::into_owned);
        let path = resolve_path(&self.escaped_path(), &url.escaped_path());
        url.set_path(path);
        url
    }
}

/// Merges two escaped paths and removes `.` and `..` segments.
fn resolve_path(base: &[u8], reference: &[u8]) -> Vec<u8> {
    let full: Cow<'_, [u8]> = match reference.first() {
        None => Cow::Borrowed(base),
        Some(b'/') => Cow::Borrowed(reference),
        Some(_) => {
            let keep = memchr::memrchr(b'/', base).map_or(0, |at| at + 1);
            Cow::Owned([&base[..keep], reference].concat())
        }
    };
    if full.is_empty() {
        return Vec::new();
    }
    // The result always starts with one slash more than the segments give, dropped again at the end.
    let mut out = vec![b'/'];
    let mut first = true;
    let mut last: &[u8] = b"";
    for segment in full.split(|&byte| byte == b'/') {
        last = segment;
        match segment {
            b"." => first = false,
            b".." => match memchr::memrchr(b'/', &out[1..]) {
                None => {
                    out.truncate(1);
                    first = true;
                }
                Some(at) => out.truncate(1 + at),
            },
            _ => {
                if !first {
                    out.push(b'/');
                }
                out.extend_from_slice(segment);
                first = false;
            }
        }
    }
    if matches!(last, b"." | b"..") {
        out.push(b'/');
    }
    if out.len() > 1 && out[1] == b'/' {
        out.remove(0);
    }
    out
}
