//! The strings of one body, without a copy of each: a string is a span of the body, or of one shared arena if it had to be
//! decoded.
//!
//! Two lists: what the reference scans, in its order, and what only the hardened mode scans, each with the difference it
//! stands for. Only the first takes part in the joined text that both modes scan.

use std::borrow::Cow;

use muselet_rules::dlp::{MOST_PIECES, Scanner, TextResult};
use muselet_rules::scratch::Buffer;
use muselet_rules::text;

use crate::policy::difference::{CHARACTER_CODES, CHARACTER_REFERENCES, JSON_BY_CONTENT};
use crate::policy::named;

/// Bytes of the longest piece of a credential.
const MAX_PIECE_BYTES: usize = 1 << 10;
/// Letters of the longest word of a seed phrase.
const LONGEST_WORD: usize = 8;

/// A span; the top bit of `start` tells the arena from the body.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u32,
}

const IN_ARENA: u32 = 1 << 31;

/// The longest body and arena whose offsets fit.
pub(super) const MAX_BYTES: usize = IN_ARENA as usize - 1;

/// A string that only the hardened mode scans.
#[derive(Debug, Clone, Copy)]
struct Extra {
    span: Span,
    difference: &'static str,
    kind: Kind,
}

/// What such a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string of some reading of the body.
    Apart,
    /// The same, also scanned together with all others.
    Joined,
    /// What digits are or spell, of which only what is certain counts: long numbers are account numbers by chance.
    Digits,
}

/// Strings to scan.
#[derive(Debug)]
pub(super) struct Strings<'a> {
    body: &'a [u8],
    arena: Buffer<u8>,
    arena_limit: usize,
    overflowed: bool,
    spans: Vec<Span>,
    extras: Vec<Extra>,
    packed: Vec<Span>,
    pieces: Vec<Span>,
    named: Vec<u8>,
}

impl<'a> Strings<'a> {
    /// No strings yet of `body`, which must not be longer than [`MAX_BYTES`].
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self {
            body,
            arena: Buffer::new(),
            // Decoding makes strings shorter, replacement characters and numbers longer. The bound is for the latter:
            // `1e300` is printed with 301 digits.
            arena_limit: MAX_BYTES.min(body.len().saturating_mul(16) + (1 << 20)),
            overflowed: false,
            spans: Vec::new(),
            extras: Vec::new(),
            packed: Vec::new(),
            pieces: Vec::new(),
            named: Vec::new(),
        }
    }

    /// Adds a string that both modes scan.
    #[inline]
    pub(super) fn push(&mut self, text: impl Into<Cow<'a, [u8]>>) {
        if let Some(span) = self.span(text.into()) {
            self.spans.push(span);
        }
    }

    /// Adds a string that both modes scan, and that may be a piece of a credential together with its neighbours.
    pub(super) fn push_piece(&mut self, text: impl Into<Cow<'a, [u8]>>) {
        self.push(text);
        self.note_last();
    }

    /// Notes that the last string that both modes scan may be such a piece.
    pub(super) fn note_last(&mut self) {
        if let Some(&last) = self.spans.last() {
            self.note(last);
        }
    }

    /// Notes that a string that was added, or need not be, may be such a piece.
    pub(super) fn note_piece(&mut self, text: impl Into<Cow<'a, [u8]>>) {
        if self.pieces.len() <= MOST_PIECES
            && let Some(piece) = self.span(text.into())
        {
            self.note(piece);
        }
    }

    /// Notes strings that were added in another form as well, unless there are too many together.
    pub(super) fn note_pieces(&mut self, texts: Vec<&'a [u8]>) {
        if self.pieces.len() + texts.len() <= MOST_PIECES {
            texts.into_iter().for_each(|text| self.note_piece(text));
        }
    }

    /// Notes one word, without the blanks around it; one more than can be looked at together says that there are too many.
    fn note(&mut self, span: Span) {
        let text = self.get(span);
        let word = text.trim_ascii();
        let is_word = self.pieces.len() <= MOST_PIECES
            && (1..=MAX_PIECE_BYTES).contains(&word.len())
            && !word.iter().any(u8::is_ascii_whitespace);
        if is_word {
            let (before, length) = (text.len() - text.trim_ascii_start().len(), word.len());
            self.pieces.push(Span { start: span.start + before as u32, length: length as u32 });
        }
    }

    /// Notes a value with the name that it has.
    pub(super) fn note_named(&mut self, name: &[u8], value: &[u8]) {
        named::note(&mut self.named, name, value);
    }

    /// Adds a string that only the hardened mode scans; `joined` if also together with all others.
    pub(super) fn push_extra(
        &mut self,
        text: impl Into<Cow<'a, [u8]>>,
        difference: &'static str,
        joined: bool,
    ) {
        if let Some(span) = self.span(text.into()) {
            let kind = if joined { Kind::Joined } else { Kind::Apart };
            self.extras.push(Extra { span, difference, kind });
        }
    }

    /// Adds what numbers spell, if that is anything.
    pub(super) fn push_spelled(&mut self, text: Vec<u8>) {
        if !text.is_empty() {
            self.push_digits(text, CHARACTER_CODES);
        }
    }

    /// Adds what digits are or spell.
    pub(super) fn push_digits(&mut self, text: impl Into<Cow<'a, [u8]>>, difference: &'static str) {
        if let Some(span) = self.span(text.into()) {
            self.extras.push(Extra { span, difference, kind: Kind::Digits });
        }
    }

    /// Adds a compressed stream: what it unpacks to is judged by itself.
    pub(super) fn push_packed(&mut self, stream: impl Into<Cow<'a, [u8]>>) {
        if let Some(span) = self.span(stream.into()) {
            self.packed.push(span);
        }
    }

    /// Adds a string that `write` appends to the arena.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.arena.is_empty() {
            // Decoded strings are hardly ever longer than the body; growing step by step would copy all of them again.
            self.arena.reserve_exact(self.body.len());
        }
        let start = self.arena.len();
        write(&mut self.arena);
        if let Some(span) = self.arena_span(start) {
            self.spans.push(span);
        }
    }

    /// Adds what the string that was decoded last is with its character references read: of a string as it is sent they are read in
    /// the body.
    pub(super) fn read_references(&mut self) {
        let last = self.spans.last().filter(|span| span.start & IN_ARENA != 0).map(|&span| self.get(span));
        if let Some(read) = last.and_then(text::without_references) {
            self.push_extra(read, CHARACTER_REFERENCES, false);
        }
    }

    #[inline]
    fn span(&mut self, text: Cow<'a, [u8]>) -> Option<Span> {
        if let Cow::Borrowed(text) = text {
            let offset = (text.as_ptr() as usize).wrapping_sub(self.body.as_ptr() as usize);
            if offset <= self.body.len() && text.len() <= self.body.len() - offset {
                return Some(Span { start: offset as u32, length: text.len() as u32 });
            }
        }
        self.copied(&text)
    }

    fn copied(&mut self, text: &[u8]) -> Option<Span> {
        let start = self.arena.len();
        self.arena.extend_from_slice(text);
        self.arena_span(start)
    }

    /// The span of what was appended to the arena since `start`.
    fn arena_span(&mut self, start: usize) -> Option<Span> {
        if self.arena.len() > self.arena_limit {
            self.arena.truncate(start);
            self.overflowed = true;
            return None;
        }
        Some(Span { start: start as u32 | IN_ARENA, length: (self.arena.len() - start) as u32 })
    }

    /// No strings yet of the same body.
    pub(super) fn another(&self) -> Self {
        Self::new(self.body)
    }

    /// Takes the strings of another reading of the same body, or of a part of it, as extras; `joined` if also together with all
    /// others.
    pub(super) fn absorb(&mut self, other: &Strings<'a>, difference: &'static str, joined: bool) {
        let shift = self.arena.len();
        if shift + other.arena.len() > self.arena_limit {
            self.overflowed = true;
            return;
        }
        self.arena.extend_from_slice(&other.arena);
        let offset = (other.body.as_ptr() as usize).wrapping_sub(self.body.as_ptr() as usize);
        debug_assert!(offset <= self.body.len() && other.body.len() <= self.body.len() - offset);
        let shifted = |span: Span| {
            let by = if span.start & IN_ARENA == 0 { offset } else { shift };
            Span { start: span.start + by as u32, ..span }
        };
        let kind = if joined { Kind::Joined } else { Kind::Apart };
        let extra = |span| Extra { span: shifted(span), difference, kind };
        self.extras.extend(other.spans.iter().map(|&span| extra(span)));
        self.extras.extend(other.extras.iter().map(|of| match of.kind {
            Kind::Digits => Extra { span: shifted(of.span), ..*of },
            Kind::Apart | Kind::Joined => extra(of.span),
        }));
        self.packed.extend(other.packed.iter().copied().map(shifted));
        let room = (MOST_PIECES + 1).saturating_sub(self.pieces.len());
        if !self.holds_pieces_of(other) {
            self.pieces.extend(other.pieces.iter().copied().map(shifted).take(room));
        }
        let is_known =
            other.body.len() == self.body.len() && memchr::memmem::find(&self.named, &other.named).is_some();
        if !is_known {
            self.named.extend_from_slice(&other.named);
        }
        self.overflowed |= other.overflowed | (self.named.len() > self.arena_limit);
    }

    /// Whether another reading of the same body gives pieces that are known, as equal lines of types make it.
    fn holds_pieces_of(&self, other: &Strings<'a>) -> bool {
        let others = other.words();
        other.body.len() == self.body.len()
            && (others.is_empty() || self.words().windows(others.len()).any(|words| words == others))
    }

    /// Whether a string was left out because decoded strings grew beyond the bound: the body must be blocked.
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed
    }

    fn get(&self, span: Span) -> &[u8] {
        &self.rest(span)[..span.length as usize]
    }

    /// All that there is from the start of a string on.
    fn rest(&self, span: Span) -> &[u8] {
        let whole = if span.start & IN_ARENA == 0 { self.body } else { &self.arena };
        &whole[(span.start & !IN_ARENA) as usize..]
    }

    /// Number of strings that both modes scan.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Strings that both modes scan, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|&span| self.get(span))
    }

    /// Strings that only the hardened mode scans, with their differences and what they are.
    pub(super) fn extras(&self) -> impl Iterator<Item = (&[u8], &'static str, Kind)> {
        self.extras.iter().map(|extra| (self.get(extra.span), extra.difference, extra.kind))
    }

    /// Strings that may be pieces of a credential together, in order: those without a space. None if there are too many.
    pub(super) fn pieces(&self) -> Vec<&[u8]> {
        if self.pieces.len() > MOST_PIECES { Vec::new() } else { self.words() }
    }

    fn words(&self) -> Vec<&[u8]> {
        self.pieces.iter().map(|&span| self.get(span)).collect()
    }

    /// Names with their values, one beneath the other, where a name says that its value is secret.
    pub(super) fn named(&self) -> &[u8] {
        &self.named
    }

    /// Compressed streams.
    pub(super) fn packed(&self) -> impl Iterator<Item = &[u8]> {
        self.packed.iter().map(|&span| self.get(span))
    }

    /// All strings that both modes scan, sorted by bytes and joined with line feeds.
    pub(super) fn joined(&self) -> Buffer<u8> {
        self.join(&self.sorted(self.spans.iter().copied()))
    }

    /// The same with the hardened mode's strings among them, and the difference of the first; `None` if there are none, or too many
    /// [pieces](Self::joined_pieces) of a body that only its content says to be JSON.
    pub(super) fn joined_with_extras(&self) -> Option<(Buffer<u8>, &'static str)> {
        match self.joined_difference()? {
            JSON_BY_CONTENT => self.joined_pieces().map(|text| (text, JSON_BY_CONTENT)),
            difference => Some((self.join(&self.sorted(self.spans_together())), difference)),
        }
    }

    /// The strings of both lists that may be pieces of a credential, if they are no more than [`MOST_PIECES`]. The names and words of
    /// any larger document, sorted and without what parts them, look like a credential or a seed phrase sooner or later, and so do
    /// many short identifiers.
    fn joined_pieces(&self) -> Option<Buffer<u8>> {
        let pieces = self.spans_together().filter(|&span| is_piece(self.get(span)));
        let sorted = self.sorted(pieces.take(MOST_PIECES + 1));
        (sorted.len() <= MOST_PIECES).then(|| self.join(&sorted))
    }

    /// The difference of the first string that only the hardened mode joins with others.
    fn joined_difference(&self) -> Option<&'static str> {
        self.extras.iter().find(|extra| extra.kind == Kind::Joined).map(|extra| extra.difference)
    }

    /// Spans of all strings that the hardened mode joins.
    fn spans_together(&self) -> impl Iterator<Item = Span> {
        let extras = self.extras.iter().filter(|extra| extra.kind == Kind::Joined).map(|extra| extra.span);
        self.spans.iter().copied().chain(extras)
    }

    /// Whether a scan finds nothing in any of the texts: every string, all of them joined, all of both lists, and those that may be
    /// pieces of a credential where these are scanned. True is certain; false says only that they have to be scanned one by one.
    pub(super) fn are_clean(&self, scanner: &Scanner) -> bool {
        let apart =
            self.extras.iter().filter(|extra| extra.kind != Kind::Joined).map(|extra| self.get(extra.span));
        let sorted = self.sorted(self.spans.iter().copied());
        let Some(difference) = self.joined_difference() else {
            let strings = sorted.iter().map(|&(_, span)| self.get(span));
            return scanner.finds_nothing(&self.join(&sorted), strings, apart);
        };
        let is_clean = |text: &[u8]| scanner.scan_text(text) == TextResult::default();
        let all = self.sorted(self.spans_together());
        let strings = all.iter().map(|&(_, span)| self.get(span));
        scanner.finds_nothing(&self.join(&all), strings, apart)
            && is_clean(&self.join(&sorted))
            && (difference != JSON_BY_CONTENT || self.joined_pieces().is_none_or(|text| is_clean(&text)))
    }

    /// Number of strings of both kinds.
    pub(super) fn count(&self) -> usize {
        self.spans.len() + self.extras.len()
    }

    /// Spans in the order of their bytes, each with its first eight.
    fn sorted(&self, spans: impl Iterator<Item = Span>) -> Vec<(u64, Span)> {
        let first = |span: Span| match self.rest(span).first_chunk() {
            Some(bytes) => {
                let others = u64::MAX.checked_shr(8 * span.length.min(8)).unwrap_or(0);
                u64::from_be_bytes(*bytes) & !others
            }
            None => {
                let mut bytes = [0; 8];
                bytes.iter_mut().zip(self.get(span)).for_each(|(byte, &from)| *byte = from);
                u64::from_be_bytes(bytes)
            }
        };
        let mut spans: Vec<(u64, Span)> = spans.map(|span| (first(span), span)).collect();
        spans.sort_unstable_by(|&(a, left), &(b, right)| {
            a.cmp(&b).then_with(|| match left.length.max(right.length) {
                // Only by the zeros behind them they may differ.
                0..=8 => left.length.cmp(&right.length),
                _ => self.get(left).cmp(self.get(right)),
            })
        });
        spans
    }

    fn join(&self, sorted: &[(u64, Span)]) -> Buffer<u8> {
        let bytes: usize = sorted.iter().map(|(_, span)| span.length as usize + 1).sum();
        // Strings of this many bytes are copied without a call.
        const SHORT: usize = 16;
        let mut text = Buffer::new();
        text.reserve_exact(bytes + SHORT);
        for &(_, span) in sorted {
            match self.rest(span).first_chunk::<SHORT>() {
                Some(chunk) if span.length as usize <= SHORT => {
                    let end = text.len() + span.length as usize;
                    text.extend_from_slice(chunk);
                    text.truncate(end);
                }
                _ => text.extend_from_slice(self.get(span)),
            }
            text.push(b'\n');
        }
        // Between them, not behind the last.
        text.pop();
        text
    }
}

/// Whether a string is one word of the characters that credentials consist of: with letters and digits, or of more capital
/// letters than any word of a seed phrase has.
fn is_piece(text: &[u8]) -> bool {
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_+/=".contains(byte);
    text.iter().all(is_usual)
        && text.iter().any(u8::is_ascii_alphabetic)
        && (text.iter().any(u8::is_ascii_digit)
            || text.len() > LONGEST_WORD && !text.iter().any(u8::is_ascii_lowercase))
}
