//! Recorded answers that depend on the reference's random order of query keys.
//!
//! The reference walks the keys of a query in the random order of a Go map. That never changes whether or by which layer a
//! URL is blocked, but when several keys have something to report, any of them may be the one that is. We report the first
//! in order of appearance; a recording that names another is one of several right answers when moving that key to the
//! front makes ours the same. (spec: url-scan §3.6, §25 item 37)

/// The same URL with the pieces of one key moved to the front of the query, for each key but the first.
pub(super) fn variants(url: &[u8]) -> Vec<Vec<u8>> {
    let end = url.iter().position(|&byte| byte == b'#').unwrap_or(url.len());
    let Some(start) = url[..end].iter().position(|&byte| byte == b'?').map(|at| at + 1) else {
        return Vec::new();
    };
    let pieces: Vec<&[u8]> = url[start..end].split(|&byte| byte == b'&').collect();
    let key =
        |piece: &'_ [u8]| -> Vec<u8> { piece.split(|&byte| byte == b'=').next().unwrap_or(piece).to_vec() };
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for piece in &pieces {
        if !keys.contains(&key(piece)) {
            keys.push(key(piece));
        }
    }
    keys.iter()
        .skip(1)
        .map(|first| {
            let (front, back): (Vec<&[u8]>, Vec<&[u8]>) =
                pieces.iter().partition(|piece| key(piece) == *first);
            let query = [front, back].concat().join(&b'&');
            [&url[..start], &query, &url[end..]].concat()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::variants;

    #[test]
    fn moves_each_later_key_to_the_front() {
        let shown = |url: &str| -> Vec<String> {
            variants(url.as_bytes())
                .iter()
                .map(|variant| String::from_utf8_lossy(variant).into_owned())
                .collect()
        };
        assert_eq!(shown("http://h/?a=1&b=2&a=3#f"), ["http://h/?b=2&a=1&a=3#f"]);
        assert!(shown("http://h/?a=1").is_empty());
        assert!(shown("http://h/").is_empty());
    }
}
