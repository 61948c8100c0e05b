//! Host names: their canonical form, and lists of host patterns.
//!
//! The reference has two dialects of pattern matching that differ only in how they treat address literals and blanks; both
//! are one type here, chosen at construction. A list is compiled to a hash table of its suffixes, and a look-up walks the
//! host once from its end, so that its cost does not depend on the length of the list. (spec: url-scan §3.10, §8.1)

use std::borrow::Cow;

use super::address;

/// Lower-cases code point by code point, as the reference does: U+0130 becomes a plain `i`.
#[must_use]
pub fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        return Cow::Owned(lower_chars(name).collect());
    }
    Cow::Borrowed(name)
}

/// [`lower`] of bytes, of which each invalid one becomes U+FFFD.
#[must_use]
pub fn lower_bytes(name: &[u8]) -> Cow<'_, str> {
    if let Ok(name) = std::str::from_utf8(name) {
        return lower(name);
    }
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        out.extend(lower_chars(chunk.valid()));
        out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    Cow::Owned(out)
}

/// U+0130 is the only code point whose lower case is longer than one, and its simple mapping is the first of them.
fn lower_chars(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter_map(|c| c.to_lowercase().next())
}

/// How a list treats address literals and blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `api_allowlist`, `blocklist`, `trusted_domains`: an address matches only its own spelling; patterns are taken as
    /// written. (spec: url-scan §8.1)
    Domains,
    /// `exempt_domains`, `subdomain_entropy_exclusions`, …: a wildcard may match an address; patterns are trimmed and empty
    /// ones skipped.
    Exemptions,
}

/// A compiled list of host patterns (`example.com`, `*.example.com`).
#[derive(Debug, Clone)]
pub struct HostList {
    dialect: Dialect,
    patterns: Vec<String>,
    suffixes: Vec<Suffix>,
    /// Open addressing over `suffixes`: index + 1, or 0. The length is a power of two, at least twice the entries.
    slots: Vec<u32>,
}

/// One distinct text of a list: what matches it exactly, and what matches it as the rest of a wildcard.
#[derive(Debug, Clone)]
struct Suffix {
    text: Box<str>,
    exact: Option<u32>,
    wildcard: Option<u32>,
}

/// FNV-1a from the end of the text towards its start, so that the hash of every suffix is a step of one walk.
const fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0100_0000_01b3)
}
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

const fn slot_of(hash: u64, mask: usize) -> usize {
    (hash ^ (hash >> 32)) as usize & mask
}

impl HostList {
    /// Compiles `patterns`.
    #[must_use]
    pub fn new<S: AsRef<str>>(patterns: &[S], dialect: Dialect) -> Self {
        let mut list = Self {
            dialect,
            patterns: Vec::with_capacity(patterns.len()),
            suffixes: Vec::new(),
            slots: Vec::new(),
        };
        for (index, pattern) in (0u32..).zip(patterns) {
            let written = pattern.as_ref();
            list.patterns.push(written.to_owned());
            let pattern = if dialect == Dialect::Exemptions { written.trim() } else { written };
            if pattern.is_empty() && dialect == Dialect::Exemptions {
                continue;
            }
            let pattern = lower(pattern.strip_suffix('.').unwrap_or(pattern)).into_owned();
            match pattern.strip_prefix("*.") {
                Some(rest) => list.entry(rest).wildcard.get_or_insert(index),
                None => list.entry(&pattern).exact.get_or_insert(index),
            };
        }
        list.index();
        list
    }

    fn entry(&mut self, text: &str) -> &mut Suffix {
        let at = self.suffixes.iter().position(|suffix| &*suffix.text == text).unwrap_or_else(|| {
            self.suffixes.push(Suffix { text: text.into(), exact: None, wildcard: None });
            self.suffixes.len() - 1
        });
        &mut self.suffixes[at]
    }

    fn index(&mut self) {
        let len = (self.suffixes.len() * 2).next_power_of_two().max(4);
        self.slots = vec![0; len];
        for (number, suffix) in (1u32..).zip(&self.suffixes) {
            let hash = suffix.text.bytes().rev().fold(SEED, step);
            let mut at = slot_of(hash, len - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = number;
        }
    }

    fn get(&self, hash: u64, text: &str) -> Option<&Suffix> {
        let mask = self.slots.len() - 1;
        let mut at = slot_of(hash, mask);
        loop {
            let suffix = &self.suffixes[(self.slots[at] as usize).checked_sub(1)?];
            if &*suffix.text == text {
                return Some(suffix);
            }
            at = (at + 1) & mask;
        }
    }

    /// Whether the list has no pattern.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Number of patterns, as written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.patterns.len()
    }

    /// The first pattern, as written, that matches `host` (without port and brackets, any case).
    #[must_use]
    pub fn find(&self, host: &str) -> Option<&str> {
        if self.suffixes.is_empty() {
            return None;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let host = lower(host);
        self.find_lower(&host)
    }

    /// Whether any pattern matches `host`.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        self.find(host).is_some()
    }

    fn find_lower(&self, host: &str) -> Option<&str> {
        if host.is_empty() {
            return None;
        }
        if self.dialect == Dialect::Domains && address::parse_literal(host).is_some() {
            let hash = host.bytes().rev().fold(SEED, step);
            // A wildcard's rest must not match an address, so only the exact half counts.
            return self.get(hash, host)?.exact.and_then(|index| self.pattern(index));
        }
        let bytes = host.as_bytes();
        let mut hash = SEED;
        let mut best: Option<u32> = None;
        let mut take = |index: Option<u32>| best = [best, index].into_iter().flatten().min();
        for at in (0..bytes.len()).rev() {
            if bytes[at] == b'.'
                && let Some(suffix) = self.get(hash, &host[at + 1..])
            {
                take(suffix.wildcard);
            }
            hash = step(hash, bytes[at]);
        }
        if let Some(suffix) = self.get(hash, host) {
            take(suffix.wildcard);
            take(suffix.exact);
        }
        best.and_then(|index| self.pattern(index))
    }

    fn pattern(&self, index: u32) -> Option<&str> {
        self.patterns.get(index as usize).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as the specification states it.
    fn plain(host: &str, pattern: &str, dialect: Dialect) -> bool {
        let pattern = if dialect == Dialect::Exemptions { pattern.trim() } else { pattern };
        let fold = |text: &str| lower(text.strip_suffix('.').unwrap_or(text)).into_owned();
        let (host, pattern) = (fold(host), fold(pattern));
        if host.is_empty() || pattern.is_empty() {
            return false;
        }
        if dialect == Dialect::Domains && address::parse_literal(&host).is_some() {
            return host == pattern;
        }
        match pattern.strip_prefix("*.") {
            Some(rest) => host == rest || host.ends_with(&format!(".{rest}")),
            None => host == pattern,
        }
    }

    #[test]
    fn matches_as_the_table_of_the_specification_says() {
        let cases = [
            ("a.b.example.com", "*.example.com", true),
            ("example.com", "*.example.com", true),
            ("EXAMPLE.com.", "*.example.com", true),
            ("notexample.com", "*.example.com", false),
            ("sub.example.com", "example.com", false),
            ("192.168.1.1", "*.168.1.1", false),
            ("192.168.1.1", "192.168.1.1", true),
            ("::1", "0:0:0:0:0:0:0:1", false),
            ("fe80::1%eth0", "fe80::1%eth0", true),
            ("", "*.example.com", false),
            ("anything.test", "*", false),
            ("g\u{130}thub.com", "github.com", true),
        ];
        for (host, pattern, expected) in cases {
            assert_eq!(
                HostList::new(&[pattern], Dialect::Domains).matches(host),
                expected,
                "{host} {pattern}"
            );
        }
        assert!(HostList::new(&[" *.168.1.1 ", ""], Dialect::Exemptions).matches("192.168.1.1"));
    }

    #[test]
    fn reports_the_first_pattern_as_it_is_written() {
        let list = HostList::new(&["x.test", "*.Example.com.", "a.example.com"], Dialect::Domains);
        assert_eq!(list.find("a.example.com"), Some("*.Example.com."));
    }

    proptest! {
        #[test]
        fn finds_what_a_walk_over_the_list_finds(
            host in "([a-c\u{130}]{0,2}\\.){0,3}[a-c1]{0,3}\\.?",
            patterns in prop::collection::vec("(\\*\\.)?([a-c]{1,2}\\.){0,2}[A-C1]{1,2}\\.?", 0..6),
        ) {
            for dialect in [Dialect::Domains, Dialect::Exemptions] {
                let expected = patterns.iter().find(|pattern| plain(&host, pattern, dialect));
                let list = HostList::new(&patterns, dialect);
                prop_assert_eq!(list.find(&host), expected.map(String::as_str), "{} {:?}", host, patterns);
            }
        }
    }
}
