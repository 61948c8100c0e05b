//! Structured-field dictionaries (RFC 8941 §3.2), just well enough to take members out of one.
//!
//! The grammar is checked in full, because a field that is not a dictionary is treated differently; members that stay keep
//! their own bytes.

/// A field that does not parse.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotADictionary;

/// What is left of a dictionary.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stripped {
    /// No member had the prefix.
    Untouched,
    /// The other members, in one line.
    Rest(Vec<u8>),
    /// There was no other member.
    Empty,
}

/// The dictionary without the members whose key starts with `prefix`.
pub(super) fn without(field: &[u8], prefix: &[u8]) -> Result<Stripped, NotADictionary> {
    let members = parse(field).ok_or(NotADictionary)?;
    if !members.iter().any(|(key, _)| key.starts_with(prefix)) {
        return Ok(Stripped::Untouched);
    }
    let mut rest: Vec<(&[u8], &[u8])> = Vec::new();
    for (key, member) in members {
        if key.starts_with(prefix) {
            continue;
        }
        // A key given twice keeps its place and takes the later value.
        match rest.iter_mut().find(|(other, _)| *other == key) {
            Some(earlier) => earlier.1 = member,
            None => rest.push((key, member)),
        }
    }
    if rest.is_empty() {
        return Ok(Stripped::Empty);
    }
    let members: Vec<&[u8]> = rest.into_iter().map(|(_, member)| member).collect();
    Ok(Stripped::Rest(members.join(&b", "[..])))
}

fn parse(field: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut at = Cursor { bytes: field, at: 0 };
    let mut members = Vec::new();
    at.skip(b" ");
    while !at.is_done() {
        let start = at.at;
        let key = at.key()?;
        if at.eat(b'=') {
            if at.peek() == Some(b'(') { at.inner_list()? } else { at.bare_item()? }
        }
        at.parameters()?;
        members.push((key, &field[start..at.at]));
        at.skip(b" \t");
        if at.is_done() {
            return Some(members);
        }
        if !at.eat(b',') {
            return None;
        }
        at.skip(b" \t");
        if at.is_done() {
            return None;
        }
    }
    Some(members)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    fn skip(&mut self, set: &[u8]) {
        self.take(|b| set.contains(&b));
    }

    fn take(&mut self, allowed: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&allowed) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        self.peek().filter(|b| b.is_ascii_lowercase() || *b == b'*')?;
        Some(self.take(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b)))
    }

    fn parameters(&mut self) -> Option<()> {
        while self.eat(b';') {
            self.skip(b" ");
            self.key()?;
            if self.eat(b'=') {
                self.bare_item()?;
            }
        }
        Some(())
    }

    fn inner_list(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            self.skip(b" ");
            if self.eat(b')') {
                return Some(());
            }
            self.bare_item()?;
            self.parameters()?;
            if !matches!(self.peek(), Some(b' ' | b')')) {
                return None;
            }
        }
    }

    fn bare_item(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string(),
            b':' => {
                self.at += 1;
                self.take(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
                self.eat(b':').then_some(())
            }
            b'?' => {
                self.at += 1;
                (self.eat(b'0') || self.eat(b'1')).then_some(())
            }
            b'-' | b'0'..=b'9' => {
                self.eat(b'-');
                let whole = self.take(|b| b.is_ascii_digit()).len();
                let fraction =
                    if self.eat(b'.') { Some(self.take(|b| b.is_ascii_digit()).len()) } else { None };
                match fraction {
                    None => (1..=15).contains(&whole),
                    Some(digits) => (1..=12).contains(&whole) && (1..=3).contains(&digits),
                }
                .then_some(())
            }
            first if first.is_ascii_alphabetic() || first == b'*' => {
                self.take(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b));
                Some(())
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => {
                    let escaped = self.peek()?;
                    self.at += 1;
                    if !matches!(escaped, b'"' | b'\\') {
                        return None;
                    }
                }
                b' '..=b'~' => {}
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_dictionary_is_recognised() {
        for text in [
            "A=1",
            "a=",
            "a=1,",
            "a=1 b=2",
            "a=(1",
            "a=\"x",
            "a=\"\\n\"",
            "a=:%:",
            "a=?2",
            "a=1.",
            "1=a",
            "a;=1",
        ] {
            assert_eq!(without(text.as_bytes(), b"z"), Err(NotADictionary), "{text}");
        }
        for text in ["", "a", "a=1", "a=-1.5", "a=?1;b;c=\"d\"", "a=(1 \"x\";y tok/en);z=:AA==:,  b", "*a=*b"]
        {
            assert_eq!(without(text.as_bytes(), b"z"), Ok(Stripped::Untouched), "{text}");
        }
    }
}
