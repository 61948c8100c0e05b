//! The pull parser: one event a call, an explicit stack of container kinds, no allocation but that stack.
//!
//! The grammar is RFC 8259: control characters below U+0020 end a string as invalid, `\u` takes four hex digits, numbers
//! have no leading zeros. Bytes above 0x7F are accepted as they come; whether they are UTF-8 is the reader's business.
//!
//! Where strings end and escapes begin is found beforehand for the whole text, by vectors: one bit a byte. Strings are long
//! in what agents send, and looking for their ends byte by byte would be most of the work; so would going from escape to
//! escape, since nothing predicts where the next one is. See [`Marks`].

use std::ops::Range;

use super::string::push_escape;
use super::{Invalid, Str};
use crate::dlp::vector::{Marks, unescape};

/// Containers that may be open at once. One more makes the text invalid.
pub const MAX_DEPTH: usize = 10_000;

/// What the parser met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// The name of a member; its value follows.
    Key(Str<'a>),
    /// A string value.
    String(Str<'a>),
    /// A number as written.
    Number(&'a [u8]),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// A value (top level, after `:`, or after `,` in an array).
    Value,
    /// A value or `]`, right after `[`.
    ValueOrEnd,
    /// A name or `}`, right after `{`.
    KeyOrEnd,
    /// A name, after `,` in an object.
    Key,
    /// `,` or the end of the container; at top level the end of the text.
    Separator,
}

/// Reads one JSON value from a byte slice, event by event.
pub struct Parser<'a> {
    /// What is read: a beginning of `whole`.
    text: &'a [u8],
    whole: &'a [u8],
    at: usize,
    /// Open containers, innermost last; `true` is an object.
    open: Vec<bool>,
    expect: Expect,
    marks: Marks,
}

impl<'a> Parser<'a> {
    /// A parser at the beginning of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self::with(text, Marks::new(text))
    }

    #[cfg(test)]
    pub(crate) fn without_kernel(text: &'a [u8]) -> Self {
        Self::with(text, Marks::without_kernel(text))
    }

    fn with(text: &'a [u8], marks: Marks) -> Self {
        Self { text, whole: text, at: 0, open: Vec::new(), expect: Expect::Value, marks }
    }

    /// Begins with the value in a part of the text, whatever was read before.
    pub fn restart(&mut self, part: Range<usize>) {
        self.text = self.whole.get(..part.end).unwrap_or(self.whole);
        self.at = part.start;
        self.open.clear();
        self.expect = Expect::Value;
    }

    /// The first place from `at` on at which a string may end or has to be looked at, or the end of the text.
    #[inline]
    pub(super) fn stop(&self, at: usize) -> usize {
        let mut block = at / 64;
        let mut found = self.marks.stops.get(block).map_or(0, |word| word & u64::MAX << (at % 64));
        while found == 0 {
            block += 1;
            match self.marks.stops.get(block) {
                Some(&word) => found = word,
                None => return self.text.len(),
            }
        }
        block * 64 + found.trailing_zeros() as usize
    }

    /// Appends the text that a string of this parser means, its escapes decoded and all other bytes as they are: the same
    /// as [`Str::decode_into`], and faster, where the whole text is known to be UTF-8.
    pub fn unescape_into(&self, string: Str<'a>, out: &mut Vec<u8>) {
        let mut at = string.raw().as_ptr() as usize - self.text.as_ptr() as usize;
        let end = at + string.raw().len();
        while at < end {
            let stop = self.stop(at).min(end);
            unescape(self.whole, at..stop, &self.marks.escapes, out);
            at = stop;
            if at < end {
                at += push_escape(&self.text[at..end], out);
            }
        }
    }

    /// Whether the whole text is ASCII.
    pub fn is_ascii(&self) -> bool {
        self.marks.ascii
    }

    /// Number of containers open after the last event.
    #[inline]
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Offset in bytes behind the last event.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next event; `None` once the value is complete and only white space followed it.
    ///
    /// # Errors
    /// The text is not one valid value. The parser must not be used after an error.
    #[expect(clippy::should_implement_trait, reason = "a fallible pull parser is not an iterator")]
    pub fn next(&mut self) -> Result<Option<Event<'a>>, Invalid> {
        loop {
            self.skip_space();
            let Some(&byte) = self.text.get(self.at) else {
                if self.expect == Expect::Separator && self.open.is_empty() {
                    return Ok(None);
                }
                return Err(self.invalid());
            };
            match self.expect {
                Expect::Separator => {
                    let Some(&object) = self.open.last() else {
                        return Err(self.invalid());
                    };
                    self.at += 1;
                    match (byte, object) {
                        (b',', true) => self.expect = Expect::Key,
                        (b',', false) => self.expect = Expect::Value,
                        (b'}', true) => return Ok(Some(self.close(Event::ObjectEnd))),
                        (b']', false) => return Ok(Some(self.close(Event::ArrayEnd))),
                        _ => return Err(self.invalid()),
                    }
                }
                Expect::KeyOrEnd if byte == b'}' => {
                    self.at += 1;
                    return Ok(Some(self.close(Event::ObjectEnd)));
                }
                Expect::KeyOrEnd | Expect::Key => {
                    if byte != b'"' {
                        return Err(self.invalid());
                    }
                    let key = self.string()?;
                    self.skip_space();
                    if self.text.get(self.at) != Some(&b':') {
                        return Err(self.invalid());
                    }
                    self.at += 1;
                    self.expect = Expect::Value;
                    return Ok(Some(Event::Key(key)));
                }
                Expect::ValueOrEnd if byte == b']' => {
                    self.at += 1;
                    return Ok(Some(self.close(Event::ArrayEnd)));
                }
                Expect::ValueOrEnd | Expect::Value => return self.value(byte).map(Some),
            }
        }
    }

    fn value(&mut self, byte: u8) -> Result<Event<'a>, Invalid> {
        match byte {
            b'{' => {
                self.push(true)?;
                self.expect = Expect::KeyOrEnd;
                return Ok(Event::ObjectStart);
            }
            b'[' => {
                self.push(false)?;
                self.expect = Expect::ValueOrEnd;
                return Ok(Event::ArrayStart);
            }
            _ => {}
        }
        self.expect = Expect::Separator;
        match byte {
            b'"' => self.string().map(Event::String),
            b't' => self.word(b"true").map(|()| Event::Bool(true)),
            b'f' => self.word(b"false").map(|()| Event::Bool(false)),
            b'n' => self.word(b"null").map(|()| Event::Null),
            b'-' | b'0'..=b'9' => self.number().map(Event::Number),
            _ => Err(self.invalid()),
        }
    }

    fn push(&mut self, object: bool) -> Result<(), Invalid> {
        if self.open.len() == MAX_DEPTH {
            return Err(self.invalid());
        }
        self.at += 1;
        self.open.push(object);
        Ok(())
    }

    fn close(&mut self, event: Event<'a>) -> Event<'a> {
        self.open.pop();
        self.expect = Expect::Separator;
        event
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Invalid> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.invalid())
        }
    }

    /// A string from its opening quote; the parser ends behind the closing one.
    fn string(&mut self) -> Result<Str<'a>, Invalid> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = self.stop(at);
            match self.text.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    escaped |= self.marks.escapes_in(start..at);
                    return Ok(Str::new(&self.text[start..at], escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    let valid = match self.text.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') => match self.text.get(at + 2..at + 6) {
                            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => 6,
                            _ => 0,
                        },
                        _ => 0,
                    };
                    if valid == 0 {
                        self.at = at;
                        return Err(self.invalid());
                    }
                    at += valid;
                }
                _ => {
                    self.at = at;
                    return Err(self.invalid());
                }
            }
        }
    }

    fn number(&mut self) -> Result<&'a [u8], Invalid> {
        let start = self.at;
        let mut at = start + usize::from(self.text[start] == b'-');
        match self.text.get(at) {
            Some(b'0') => at += 1,
            Some(b'1'..=b'9') => at += self.digits(at),
            _ => return Err(self.invalid()),
        }
        if self.text.get(at) == Some(&b'.') {
            let digits = self.digits(at + 1);
            if digits == 0 {
                return Err(self.invalid());
            }
            at += 1 + digits;
        }
        if let Some(b'e' | b'E') = self.text.get(at) {
            let sign = usize::from(matches!(self.text.get(at + 1), Some(b'+' | b'-')));
            let digits = self.digits(at + 1 + sign);
            if digits == 0 {
                return Err(self.invalid());
            }
            at += 1 + sign + digits;
        }
        self.at = at;
        Ok(&self.text[start..at])
    }

    fn digits(&self, from: usize) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn invalid(&self) -> Invalid {
        Invalid { offset: self.at }
    }
}

/// Whether `text` is exactly one JSON value, white space around it allowed.
pub fn is_valid(text: &[u8]) -> bool {
    let mut parser = Parser::new(text);
    loop {
        match parser.next() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
