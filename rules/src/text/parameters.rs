//! The parts of a query, cut by one vector sweep: there may be hundreds, and a search for the end of each costs more than what
//! is then asked about it.

use std::cell::OnceCell;
use std::ops::Range;

use crate::dlp::vector::{self, Class};
use crate::scratch::Buffer;

const ENDS: Class = Class::new(b"&");
const SIGNS: Class = Class::new(b"=");

/// Where a query has its `&` and `=`, a bit for each byte.
#[derive(Debug)]
pub struct Parameters {
    ends: Buffer<u64>,
    signs: Buffer<u64>,
    longest: OnceCell<usize>,
}

impl Parameters {
    /// Those of `query`.
    #[must_use]
    pub fn of(query: &[u8]) -> Self {
        let (mut ends, mut signs) = (Buffer::new(), Buffer::new());
        vector::class_masks(&ENDS.low, &ENDS.high, query, &mut ends);
        vector::class_masks(&SIGNS.low, &SIGNS.high, query, &mut signs);
        Self { ends, signs, longest: OnceCell::new() }
    }

    /// Key and value of each piece between two `&`, as written; a piece without `=` is a key. `query` is the one of before.
    pub fn pairs<'q>(&self, query: &'q [u8]) -> impl Iterator<Item = [&'q [u8]; 2]> {
        self.ranges(query.len()).map(|[key, value]| [&query[key], &query[value]])
    }

    /// Where in a query of so many bytes they are.
    pub fn ranges(&self, length: usize) -> impl Iterator<Item = [Range<usize>; 2]> {
        let ends = Bits::of(&self.ends).chain(std::iter::once(length));
        let mut signs = Bits::of(&self.signs);
        let mut sign = signs.next().unwrap_or(usize::MAX);
        ends.scan(0, move |start, end| {
            let start = std::mem::replace(start, end + 1);
            while sign < start {
                sign = signs.next().unwrap_or(usize::MAX);
            }
            Some(if sign < end { [start..sign, sign + 1..end] } else { [start..end, end..end] })
        })
    }

    /// Length of the longest piece, bytes. `query` is the one of before.
    #[must_use]
    pub fn longest_piece(&self, query: &[u8]) -> usize {
        *self.longest.get_or_init(|| {
            let ends = Bits::of(&self.ends).chain(std::iter::once(query.len()));
            let lengths = ends.scan(0, |start, end| Some(end - std::mem::replace(start, end + 1)));
            lengths.max().unwrap_or(0)
        })
    }
}

/// The positions of set bits, in order.
struct Bits<'m> {
    masks: &'m [u64],
    block: usize,
    /// What is left of that block.
    rest: u64,
}

impl<'m> Bits<'m> {
    fn of(masks: &'m [u64]) -> Self {
        Bits { masks, block: 0, rest: masks.first().copied().unwrap_or(0) }
    }
}

impl Iterator for Bits<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.rest == 0 {
            self.block += 1;
            self.rest = *self.masks.get(self.block)?;
        }
        let at = self.block * 64 + self.rest.trailing_zeros() as usize;
        self.rest &= self.rest - 1;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    fn pairs(query: &str) -> Vec<[String; 2]> {
        let parts = Parameters::of(query.as_bytes());
        let text = |part: &[u8]| String::from_utf8(part.to_vec()).unwrap();
        parts.pairs(query.as_bytes()).map(|pair| pair.map(text)).collect()
    }

    #[test]
    fn cuts_a_query_as_searches_do() {
        let long = "x".repeat(70);
        let queries = ["", "&", "=", "a", "a=b", "a=b=c&d", "=&=", "&a==&&b&", "a&b=c=&d=e"];
        let blocks: Vec<String> =
            (50..70).map(|at| format!("{}&k=v&{}=b", &long[..at], &long[..at])).collect();
        for query in queries.into_iter().chain(blocks.iter().map(String::as_str)) {
            let expected: Vec<[String; 2]> = query
                .split('&')
                .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
                .map(|(key, value)| [key.to_owned(), value.to_owned()])
                .collect();
            assert_eq!(pairs(query), expected, "{query}");
            let longest = query.split('&').map(str::len).max();
            assert_eq!(
                Some(Parameters::of(query.as_bytes()).longest_piece(query.as_bytes())),
                longest,
                "{query}"
            );
        }
    }
}
