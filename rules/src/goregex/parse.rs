//! The parser: Go's grammar (Perl flags) to the engine's intermediate form.
//!
//! One loop over the pattern with an explicit stack of open groups, so that depth is bounded by a counter and not by
//! the machine's stack.

use regex_syntax::hir::{Hir, Look, Repetition};

use super::Error;
use super::class::{self, Set};

/// Greatest repeat count, alone or as the product of nested ones.
const MAX_REPEAT: u32 = 1000;
/// Greatest depth of groups.
const MAX_NEST: usize = 1000;

/// The flags `i m s U`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// `i`: Unicode simple case folding.
    pub case_insensitive: bool,
    /// `m`: `^` and `$` also match around LF.
    pub multi_line: bool,
    /// `s`: `.` also matches LF.
    pub dot_all: bool,
    /// `U`: quantifiers are lazy unless followed by `?`.
    pub swap_greed: bool,
}

/// A parsed piece and the greatest product of nested repeat counts in it.
struct Piece {
    hir: Hir,
    repeats: u32,
}

/// An open group: finished alternatives, the current concatenation, and the flags to go back to.
struct Group {
    alternatives: Vec<Piece>,
    concat: Vec<Piece>,
    flags: Flags,
}

struct Parser<'p> {
    pattern: &'p str,
    at: usize,
    flags: Flags,
    open: Vec<Group>,
    alternatives: Vec<Piece>,
    concat: Vec<Piece>,
}

pub(super) fn parse(pattern: &str, flags: Flags) -> Result<Hir, Error> {
    let parser =
        Parser { pattern, at: 0, flags, open: Vec::new(), alternatives: Vec::new(), concat: Vec::new() };
    parser.run()
}

fn err<T>(reason: &'static str, fragment: &str) -> Result<T, Error> {
    Err(Error { reason, fragment: fragment.to_owned() })
}

fn join(pieces: Vec<Piece>, with: fn(Vec<Hir>) -> Hir) -> Piece {
    let repeats = pieces.iter().map(|p| p.repeats).max().unwrap_or(1);
    Piece { hir: with(pieces.into_iter().map(|p| p.hir).collect()), repeats }
}

impl<'p> Parser<'p> {
    fn run(mut self) -> Result<Hir, Error> {
        // Start of the quantifier that was applied last, if the previous step was one.
        let mut last_quantifier: Option<usize> = None;
        while let Some(c) = self.peek() {
            let quantifier_before = last_quantifier.take();
            let start = self.at;
            match c {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => {
                    self.bump();
                    let done = std::mem::take(&mut self.concat);
                    self.alternatives.push(join(done, Hir::concat));
                }
                '^' => {
                    self.bump();
                    self.push(Hir::look(if self.flags.multi_line { Look::StartLF } else { Look::Start }));
                }
                '$' => {
                    self.bump();
                    self.push(Hir::look(if self.flags.multi_line { Look::EndLF } else { Look::End }));
                }
                '.' => {
                    self.bump();
                    let any: &[(u32, u32)] =
                        if self.flags.dot_all { &[(0, 0x10FFFF)] } else { &[(0, 9), (11, 0x10FFFF)] };
                    self.push(Hir::class(Set::of(any).into_class()));
                }
                '[' => {
                    let set = self.bracket_class()?;
                    self.push(Hir::class(set.into_class()));
                }
                '*' | '+' | '?' => {
                    self.bump();
                    let (min, max) = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(min, max, start, quantifier_before)?;
                    last_quantifier = Some(start);
                }
                '{' => match self.counted() {
                    Some((min, max)) => {
                        let bad = |n: u32| n > MAX_REPEAT;
                        if bad(min) || max.is_some_and(|max| bad(max) || min > max) {
                            return err("invalid repeat count", &self.pattern[start..self.at]);
                        }
                        self.repeat(min, max, start, quantifier_before)?;
                        last_quantifier = Some(start);
                    }
                    None => {
                        self.bump();
                        self.literal('{');
                    }
                },
                '\\' => self.backslash()?,
                _ => {
                    self.bump();
                    self.literal(c);
                }
            }
        }
        if !self.open.is_empty() {
            return err("missing closing )", self.pattern);
        }
        Ok(self.finish_group().hir)
    }

    fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn push(&mut self, hir: Hir) {
        self.concat.push(Piece { hir, repeats: 1 });
    }

    fn literal(&mut self, c: char) {
        let code = u32::from(c);
        self.code_point(code);
    }

    /// A literal by code point: surrogates can be written, and match nothing.
    fn code_point(&mut self, code: u32) {
        let mut set = Set::of(&[(code, code)]);
        if self.flags.case_insensitive {
            set.fold_case();
        }
        // A class of one character becomes a literal by itself.
        self.push(Hir::class(set.into_class()));
    }

    fn finish_group(&mut self) -> Piece {
        let last = join(std::mem::take(&mut self.concat), Hir::concat);
        let mut alternatives = std::mem::take(&mut self.alternatives);
        if alternatives.is_empty() {
            return last;
        }
        alternatives.push(last);
        join(alternatives, Hir::alternation)
    }

    fn close_group(&mut self) -> Result<(), Error> {
        self.bump();
        let Some(outer) = self.open.pop() else {
            return err("unexpected )", self.pattern);
        };
        let piece = self.finish_group();
        self.alternatives = outer.alternatives;
        self.concat = outer.concat;
        self.flags = outer.flags;
        self.concat.push(piece);
        Ok(())
    }

    fn enter(&mut self, flags: Flags) -> Result<(), Error> {
        if self.open.len() >= MAX_NEST {
            return err("expression nests too deeply", self.pattern);
        }
        self.open.push(Group {
            alternatives: std::mem::take(&mut self.alternatives),
            concat: std::mem::take(&mut self.concat),
            flags: self.flags,
        });
        self.flags = flags;
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), Error> {
        let text = self.rest();
        if !text.starts_with("(?") {
            self.bump();
            return self.enter(self.flags);
        }
        for prefix in ["(?P<", "(?<"] {
            let Some(name) = text.strip_prefix(prefix) else { continue };
            if name.is_empty() {
                break;
            }
            let Some(end) = name.find('>') else {
                return err("invalid named capture", text);
            };
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if end == 0 || !name[..end].chars().all(valid) {
                return err("invalid named capture", &text[..prefix.len() + end + 1]);
            }
            self.at += prefix.len() + end + 1;
            return self.enter(self.flags);
        }
        self.group_flags()
    }

    /// `(?flags)` and `(?flags:`.
    fn group_flags(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.at += 2;
        let mut flags = self.flags;
        let (mut on, mut any_since_minus) = (true, true);
        while let Some(c) = self.bump() {
            match c {
                'i' => flags.case_insensitive = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_all = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    on = false;
                    any_since_minus = false;
                    continue;
                }
                ':' | ')' if any_since_minus => {
                    if c == ':' {
                        return self.enter(flags);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => return err("invalid or unsupported Perl syntax", &self.pattern[start..self.at]),
            }
            any_since_minus = true;
        }
        err("missing closing )", self.pattern)
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; nothing is consumed when the text is not of that form.
    fn counted(&mut self) -> Option<(u32, Option<u32>)> {
        let body = self.rest().strip_prefix('{')?;
        let (min, rest) = count(body)?;
        let (max, rest) = match rest.strip_prefix(',') {
            None => (Some(min), rest),
            Some(rest) if rest.starts_with('}') => (None, rest),
            Some(rest) => {
                let (max, rest) = count(rest)?;
                (Some(max), rest)
            }
        };
        let rest = rest.strip_prefix('}')?;
        self.at = self.pattern.len() - rest.len();
        Some((min, max))
    }

    fn repeat(
        &mut self,
        min: u32,
        max: Option<u32>,
        start: usize,
        before: Option<usize>,
    ) -> Result<(), Error> {
        let mut greedy = !self.flags.swap_greed;
        if self.peek() == Some('?') {
            self.bump();
            greedy = !greedy;
        }
        if let Some(first) = before {
            return err("invalid nested repetition operator", &self.pattern[first..self.at]);
        }
        let Some(piece) = self.concat.pop() else {
            return err("missing argument to repetition operator", &self.pattern[start..self.at]);
        };
        let mut repeats = piece.repeats;
        if min >= 2 || max.is_some_and(|max| max >= 2) {
            let count = max.unwrap_or(min);
            repeats = repeats.saturating_mul(count.max(1));
            if count > 0 && repeats > MAX_REPEAT {
                return err("invalid repeat count", &self.pattern[start..self.at]);
            }
        }
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(piece.hir) });
        self.concat.push(Piece { hir, repeats });
        Ok(())
    }

    /// A backslash outside a class.
    fn backslash(&mut self) -> Result<(), Error> {
        let text = self.rest();
        let looks = [
            ("\\A", Look::Start),
            ("\\b", Look::WordAscii),
            ("\\B", Look::WordAsciiNegate),
            ("\\z", Look::End),
        ];
        for (escape, look) in looks {
            if text.starts_with(escape) {
                self.at += 2;
                self.push(Hir::look(look));
                return Ok(());
            }
        }
        if let Some(quoted) = text.strip_prefix("\\Q") {
            let end = quoted.find("\\E");
            for c in quoted[..end.unwrap_or(quoted.len())].chars() {
                self.literal(c);
            }
            self.at = end.map_or(self.pattern.len(), |end| self.at + 2 + end + 2);
            return Ok(());
        }
        if let Some(set) = self.class_escape()? {
            self.push(Hir::class(set.into_class()));
            return Ok(());
        }
        let code = self.escape()?;
        self.code_point(code);
        Ok(())
    }

    /// `\d \s \w \p` and their capitals; `None` (and nothing consumed) for other escapes.
    fn class_escape(&mut self) -> Result<Option<Set>, Error> {
        let text = self.rest();
        let Some(letter) = text.strip_prefix('\\').and_then(|t| t.chars().next()) else { return Ok(None) };
        let fold = self.flags.case_insensitive;
        if let Some(set) = class::perl(letter, fold) {
            self.at += 2;
            return Ok(Some(set));
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(None);
        }
        let after = &text[2..];
        let Some(first) = after.chars().next() else {
            // Go reads a lone `\p` at the end as an ordinary escape, which it does not know.
            return Ok(None);
        };
        let (name, len) = if first == '{' {
            match after.find('}') {
                Some(end) => (&after[1..end], 2 + end + 1),
                None => return err("invalid character class range", text),
            }
        } else {
            (&after[..first.len_utf8()], 2 + first.len_utf8())
        };
        match class::unicode(name, letter == 'P', fold) {
            Some(set) => {
                self.at += len;
                Ok(Some(set))
            }
            None => err("invalid character class range", &text[..len]),
        }
    }

    /// An escape that stands for one code point, in or outside a class.
    fn escape(&mut self) -> Result<u32, Error> {
        let start = self.at;
        self.bump();
        let Some(c) = self.bump() else {
            return err("trailing backslash at end of expression", "");
        };
        let bad = |p: &Self| err("invalid escape sequence", &p.pattern[start..p.at]);
        match c {
            '1'..='7' if !self.peek().is_some_and(|d| d.is_digit(8)) => bad(self),
            '0'..='7' => {
                let mut code = u32::from(c) - u32::from('0');
                for _ in 0..2 {
                    match self.peek().and_then(|d| d.to_digit(8)) {
                        Some(d) => {
                            code = code * 8 + d;
                            self.bump();
                        }
                        None => break,
                    }
                }
                Ok(code)
            }
            'x' => match self.hex_escape() {
                Some(code) => Ok(code),
                None => bad(self),
            },
            'a' => Ok(7),
            'f' => Ok(12),
            'n' => Ok(10),
            'r' => Ok(13),
            't' => Ok(9),
            'v' => Ok(11),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(u32::from(c)),
            _ => bad(self),
        }
    }

    /// What follows `\x`: two hex digits, or any number in braces up to 10FFFF.
    fn hex_escape(&mut self) -> Option<u32> {
        if self.peek()? != '{' {
            let high = self.bump()?.to_digit(16)?;
            let low = self.bump()?.to_digit(16)?;
            return Some(high * 16 + low);
        }
        self.bump();
        let (mut code, mut digits) = (0u32, 0);
        loop {
            match self.bump()? {
                '}' if digits > 0 => return Some(code),
                c => {
                    code = code * 16 + c.to_digit(16)?;
                    digits += 1;
                    if code > 0x10FFFF {
                        return None;
                    }
                }
            }
        }
    }

    /// A bracket class.
    fn bracket_class(&mut self) -> Result<Set, Error> {
        let text = self.rest();
        let fold = self.flags.case_insensitive;
        self.bump();
        let negated = self.peek() == Some('^');
        if negated {
            self.bump();
        }
        let mut set = Set::default();
        let mut first = true;
        loop {
            match self.peek() {
                Some(']') if !first => {
                    self.bump();
                    break;
                }
                None => return err("missing closing ]", text),
                Some(_) => first = false,
            }
            if let Some(name) = self.rest().strip_prefix("[:")
                && let Some(end) = name.find(":]")
            {
                let Some(posix) = class::posix(&name[..end], fold) else {
                    return err("invalid character class range", &self.rest()[..end + 4]);
                };
                set.union(&posix);
                self.at += end + 4;
                continue;
            }
            if let Some(escaped) = self.class_escape()? {
                set.union(&escaped);
                continue;
            }
            let start = self.at;
            let lo = self.class_char(text)?;
            let mut hi = lo;
            let mut following = self.rest().chars();
            if following.next() == Some('-') && following.next().is_some_and(|c| c != ']') {
                self.bump();
                hi = self.class_char(text)?;
                if hi < lo {
                    return err("invalid character class range", &self.pattern[start..self.at]);
                }
            }
            let mut range = Set::of(&[(lo, hi)]);
            if fold {
                range.fold_case();
            }
            set.union(&range);
        }
        if negated {
            set.negate();
        }
        Ok(set)
    }

    fn class_char(&mut self, class: &str) -> Result<u32, Error> {
        match self.peek() {
            None => err("missing closing ]", class),
            Some('\\') => self.escape(),
            Some(c) => {
                self.bump();
                Ok(u32::from(c))
            }
        }
    }
}

/// A decimal number without leading zeros; numbers too large to matter saturate above the limit.
fn count(text: &str) -> Option<(u32, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let digits = &text[..len];
    if digits.is_empty() || (len > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), &text[len..]))
}
