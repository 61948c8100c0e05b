//! Which runs of letters and digits are encoded text.

use std::cell::RefCell;

use super::super::recent::Recent;
use super::overlap::MIN_CARD;
use super::simd::{self, Runs};
use super::*;

crate::scratch::pooled!((Range<u32>, Silent));

/// The digits of a text.
pub(in super::super) struct Survey<'t> {
    text: &'t [u8],
    /// Their class masks.
    pub(super) runs: Buffer<u64>,
    /// Where two neighbouring blocks hold as many decimal digits as a card number and a group behind it.
    pub(in super::super) cards: Range<usize>,
    /// Somewhere there are as many decimal digits in a row as character codes whose separators are gone.
    long_number: bool,
    /// Blocks that, with the one before, may hold groups of hex digits that stand for text, counted from one.
    groups: Buffer<u64>,
    /// The same of numbers that may stand for characters.
    codes: Buffer<u64>,
    /// What is known of ranges of digits, in order.
    silent: RefCell<Buffer<(Range<u32>, Silent)>>,
}

/// What is gathered in the sweep.
struct Sweep<'m> {
    runs: &'m mut [u64],
    blocks: usize,
    cards: Range<usize>,
    long_number: bool,
    groups: Buffer<u64>,
    codes: Buffer<u64>,
    /// Decimal digits of the last block.
    before: u64,
}

impl Runs for Sweep<'_> {
    #[inline(always)]
    fn block(&mut self, run: u64, decimals: u64, signs: impl FnOnce() -> [u64; 2]) {
        self.runs[self.blocks] = run;
        self.blocks += 1;
        // With all their separators they are shorter than a block.
        let count = decimals.count_ones() + self.before.count_ones();
        if count >= MIN_GROUPS {
            if count >= MIN_CARD {
                if self.cards.start == self.cards.end {
                    self.cards.start = (self.blocks * 64).saturating_sub(128);
                }
                self.cards.end = self.blocks * 64;
            }
            let last = self.blocks.checked_sub(2).map_or(0, |last| self.runs[last]);
            let both = |[before, here]: [u64; 2]| u128::from(here) << 64 | u128::from(before);
            let (decimals, others) = (both([self.before, decimals]), both(signs()) | !both([last, run]));
            if stand_in_groups(decimals, others) {
                self.groups.push(self.blocks as u64);
            }
            if are_codes(decimals, others) {
                self.codes.push(self.blocks as u64);
            }
            self.long_number |= count >= MIN_NUMBER && is_long_number(decimals);
        }
        self.before = decimals;
    }
}

impl<'t> Survey<'t> {
    pub(in super::super) fn new(text: &'t [u8]) -> Survey<'t> {
        let mut runs = Buffer::new();
        runs.resize(text.len() / 64 + 1, 0);
        let (cards, groups, codes) = (0..0, Buffer::empty(), Buffer::empty());
        let sweep = Sweep { runs: &mut runs, blocks: 0, cards, long_number: false, groups, codes, before: 0 };
        let Sweep { cards, long_number, groups, codes, .. } = simd::runs(text, sweep);
        Survey { text, runs, cards, long_number, groups, codes, silent: RefCell::default() }
    }

    /// Whether there may be rows of numbers that stand for characters, or such with nothing between them.
    pub(in super::super) fn may_hold_codes_in_lines(&self) -> bool {
        self.long_number || self.holds_codes()
    }

    /// Whether there may be groups of hex digits that stand for text.
    pub(in super::super) fn holds_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Gives `found` the bytes of all such groups.
    pub(in super::super) fn each_row_of_hex(&self, found: impl FnMut(&[u8])) {
        crate::text::each_row_of_hex(self.text, places(&self.groups), found);
    }

    /// Whether there may be rows of numbers that stand for characters.
    pub(in super::super) fn holds_codes(&self) -> bool {
        !self.codes.is_empty()
    }

    /// What such rows spell, and whether something beside it may have made one too short.
    pub(in super::super) fn spelled_by_codes(&self) -> (Vec<u8>, bool) {
        crate::text::spelled_by_codes(self.text, places(&self.codes))
    }

    /// Notes what is known of a range of digits, behind all those noted before.
    pub(super) fn note_silent(&self, start: usize, end: usize, silent: Silent) {
        if let (Ok(start), Ok(end)) = (start.try_into(), end.try_into()) {
            self.silent.borrow_mut().push((start..end, silent));
        }
    }

    /// Whether all bytes of a range are digits.
    pub(super) fn all_digits(&self, start: usize, end: usize) -> bool {
        // Not by the end of the run, which may be far behind that of the range.
        (start..end).step_by(64).all(|at| {
            let beyond = u64::MAX.checked_shl((end - at) as u32).unwrap_or(0);
            let (block, shift) = (at / 64, at % 64);
            let next = self.runs.get(block + 1).copied().unwrap_or(0);
            let here = (u128::from(next) << 64 | u128::from(self.runs[block])) >> shift;
            here as u64 | beyond == u64::MAX
        })
    }

    /// Whether a range holds a character that percent-decoding changes.
    pub(super) fn percent(&self, start: usize, end: usize) -> bool {
        memchr::memchr2(b'%', b'+', &self.text[start..end]).is_some()
    }
}

/// Pairs of blocks, by the second one.
fn places(blocks: &[u64]) -> impl Iterator<Item = Range<usize>> {
    blocks.iter().map(|&block| (block as usize * 64).saturating_sub(128)..block as usize * 64)
}

/// Decimal digits in ten bytes of text, however they are grouped: the first of each two hex digits of ASCII is one.
const MIN_GROUPS: u32 = 10;

/// Whether some decimal digits stand like the first ones of each two hex digits in groups: in a row of so many, each group as far
/// behind the last as it and what may be between them are long, with nothing before each one that is a letter or digit, or `0x`
/// behind such.
///
/// Without a branch that depends on single digits: in base64 they are no more likely to be there than not.
#[inline(always)]
fn stand_in_groups(decimals: u128, others: u128) -> bool {
    let firsts = decimals & (others << 1 | others << 3);
    if firsts & firsts.wrapping_sub(1) == 0 {
        return false;
    }
    let twos = decimals & decimals >> 2;
    let fours = twos & twos >> 4;
    let eights = fours & fours >> 8;
    // Of the shortest distance to the longest, which has `0x` before a group and four characters between two.
    let pairs = |firsts: u128, shortest: u32| {
        (shortest..=shortest + 5).fold(0, |pairs, distance| pairs | firsts & firsts >> distance)
    };
    firsts & eights | pairs(firsts, 3) | pairs(firsts & twos, 5) | pairs(firsts & fours, 9) != 0
        && rows_of_groups(firsts, twos, fours, eights)
}

/// The same of digits of which two are so far apart.
#[cold]
fn rows_of_groups(firsts: u128, twos: u128, fours: u128, eights: u128) -> bool {
    let in_row = |firsts: u128, distance: u32, doublings: u32| {
        let row = (0..doublings).fold(firsts, |row, n| row & row >> (distance << n));
        row != 0
    };
    firsts & eights != 0
        || (3..=8).any(|distance| in_row(firsts, distance, 3))
        || (5..=10).any(|distance| in_row(firsts & twos, distance, 2))
        || (9..=14).any(|distance| in_row(firsts & fours, distance, 1))
}

/// Decimal digits of a dozen character codes.
const MIN_NUMBER: u32 = 24;

/// Whether there are so many in a row.
#[inline(always)]
fn is_long_number(decimals: u128) -> bool {
    let twos = decimals & decimals >> 1;
    let fours = twos & twos >> 2;
    let eights = fours & fours >> 4;
    eights & eights >> 8 & eights >> 16 != 0
}

/// Whether there are numbers of two and three digits: as many as there are in two blocks at least where twelve character codes stand
/// in a row.
#[inline(always)]
fn are_codes(decimals: u128, others: u128) -> bool {
    const LEAST: u32 = 6;
    let begun = others << 1 & decimals & decimals >> 1;
    let numbers = begun & (others >> 2 | decimals >> 2 & others >> 3);
    numbers.count_ones() >= LEAST
}

/// A run that decodes to something of interest.
pub(in super::super) enum Encoded<'d> {
    /// The normalised decoded text, which a rule matches, or in which a known secret or a canary is.
    Rules(&'d str, Encoding),
    /// The decoded text, which may hold a seed phrase.
    Phrase(&'d [u8], Encoding),
}

/// Runs of a base64 alphabet of this length are decoded wherever they stand.
pub(super) const MIN_RUN: u32 = 16;
/// Bytes that can become such a run: no character becomes more of ASCII than four thirds of its bytes.
const MIN_FOLDED_RUN: u32 = (MIN_RUN * 3).div_ceil(4);
/// Longest run with a name before what is encoded, as in `x-736b2d`, and longest such name.
const MAX_NAMED: usize = 512;
const MAX_NAME: usize = 32;
/// Both base64 alphabets, and what counts as one run of them.
pub(super) const RUN: Class =
    Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/");

/// Whether the normalised text may hold a run. Characters that are not ASCII may become digits, or nothing.
pub(in super::super) fn may_hold_runs(text: &[u8]) -> bool {
    let mut longest = 0;
    let is_short = |b: &u8| {
        longest = if is_run(*b) || !b.is_ascii_graphic() { longest + 1 } else { 0 };
        longest < MIN_FOLDED_RUN
    };
    !text.iter().all(is_short)
}

/// Whether there may be groups of hex digits.
pub(in super::super) fn may_hold_groups(text: &[u8]) -> bool {
    let begins = |three: &&[u8]| {
        !three[0].is_ascii_alphanumeric() && three[1].is_ascii_digit() && three[2].is_ascii_alphanumeric()
    };
    text.iter().filter(|byte| byte.is_ascii_digit()).count() >= MIN_GROUPS as usize
        && text.windows(3).filter(begins).nth(1).is_some()
}

/// Decodes every run of base64, hex or base32 letters, whatever stands around it, and in what that gives every run, escape
/// and delimited hex in turn, as often as the specification does with whole texts.
pub(in super::super) fn encoded_runs(
    s: &Scanner,
    text: &[u8],
    survey: &Survey<'_>,
    mut found: impl FnMut(Encoded<'_>),
) {
    let mut search = Search::new(s);
    let noted = survey.silent.borrow();
    let mut noted = noted.iter().peekable();
    // Runs that hold nothing, by what was known of them.
    let mut recent = Recent::new();
    runs::each_in(&survey.runs, MIN_RUN, |start, end| {
        while noted.next_if(|(range, _)| (range.start as usize) < start).is_some() {}
        let here =
            noted.peek().filter(|(range, _)| range.start as usize == start && range.end as usize == end);
        let silent = here.map(|(_, silent)| *silent).unwrap_or_default();
        let run = &text[start..end];
        if recent.of(run) == Some(silent) {
            return false;
        }
        let mut any = false;
        search.run(run, silent, 0, &mut |encoded| {
            any = true;
            found(encoded);
        });
        if !any {
            recent.remember(run, silent);
        }
        false
    });
}

/// The same for the runs that removing tabs and line ends joins with others. False when one of these may be another run once
/// the text is normalised; what follows is then not looked at. `noise` is told of those whose base64 form holds nothing.
pub(in super::super) fn runs_at_line_ends(
    s: &Scanner,
    text: &[u8],
    overview: &Overview,
    noise: impl Fn(Range<usize>),
    mut found: impl FnMut(Encoded<'_>),
) -> bool {
    let mut search = Search::new(s);
    let mut masks = Buffer::new();
    class_masks(&RUN.low, &RUN.high, text, &mut masks);
    masks.iter_mut().zip(overview.others()).for_each(|(mask, other)| *mask |= other);
    let mut block = Block::default();
    let is_other = runs::each_in(&masks, MIN_FOLDED_RUN, |start, end| {
        let ends_line = text.get(end).is_some_and(|&b| parts_lines(b));
        let begins_line = start > 0 && parts_lines(text[start - 1]);
        // As most runs.
        if !(ends_line || begins_line || block.lines > 0) {
            return false;
        }
        if (ends_line || block.lines > 0) && !block.continues(text, start, end) {
            block.end(text, |run| {
                search.run(run, Silent::default(), 0, &mut found);
            });
            if ends_line {
                block.begin(text, start, end);
            }
        }
        if !(meets_run(text[..start].iter().rev()) || meets_run(text[end..].iter())) {
            return false;
        }
        let run = &text[start..end];
        let is_kept = overview.keeps_lines() || run.iter().all(|&b| is_run(b));
        if is_kept && run.len() >= MIN_RUN as usize && search.run(run, Silent::default(), 0, &mut found) {
            noise(start..end);
        }
        !is_kept
    });
    block.end(text, |run| {
        search.run(run, Silent::default(), 0, &mut found);
    });
    !is_other
}

/// Lines that are one run in several, as encoders wrap them: all of one length but the first, which may stand behind a name, and the
/// last. Where line ends are removed, a word on the line before makes another run of them.
#[derive(Default)]
struct Block {
    lines: usize,
    /// Where the first line begins and the last one ends.
    start: usize,
    end: usize,
    /// Of the lines but the first, and of the last one.
    length: usize,
    last: usize,
    joined: Vec<u8>,
    /// There is more between the lines than their ends.
    is_indented: bool,
}

impl Block {
    /// Begins with a line that ends where the run does.
    fn begin(&mut self, text: &[u8], start: usize, end: usize) {
        self.joined.clear();
        self.joined.extend_from_slice(&text[start..end]);
        (self.lines, self.start, self.end, self.is_indented) = (1, start, end, false);
    }

    /// Takes the next line, if it is one of them.
    fn continues(&mut self, text: &[u8], start: usize, end: usize) -> bool {
        let length = end - start;
        let between = text.get(self.end..start).unwrap_or_default();
        let is_next = match self.lines {
            0 => false,
            1 => true,
            _ => length <= self.length && self.last == self.length,
        };
        if !is_next || !between.iter().all(|&b| parts_lines(b) || b == b' ') || !between.contains(&b'\n') {
            return false;
        }
        if self.lines == 1 {
            self.length = length;
        }
        self.is_indented |= between.contains(&b' ');
        self.joined.extend_from_slice(&text[start..end]);
        (self.lines, self.end, self.last) = (self.lines + 1, end, length);
        true
    }

    /// Gives `found` the run, unless it is one without its line ends, too.
    fn end(&mut self, text: &[u8], found: impl FnOnce(&[u8])) {
        if self.lines == 0 {
            return;
        }
        let rest = &text[self.end..];
        let blank = rest.iter().take_while(|&&b| parts_lines(b) || b == b' ').count();
        let last = rest[blank..].iter().take_while(|&&b| is_run(b)).count();
        let is_last = rest[..blank].contains(&b'\n')
            && last < MIN_FOLDED_RUN as usize
            && (self.lines == 1 || self.last == self.length);
        if is_last {
            self.joined.extend_from_slice(&rest[blank..blank + last]);
        }
        let is_indented = self.is_indented || is_last && rest[..blank].contains(&b' ');
        let is_shifted = is_indented || meets_run(text[..self.start].iter().rev());
        if is_shifted && (self.lines > 1 || is_last && last > 0) && self.joined.iter().all(|&b| is_run(b)) {
            found(&self.joined);
        }
        self.lines = 0;
    }
}

/// The same for runs beside what is neither printable ASCII nor a tab or line end, each by itself: spaces of other kinds are
/// removed, and so are controls; in binary data lengths may look like digits.
/// What says that a text is data may stand in another part of it than the one that is looked at.
pub(in super::super) fn runs_beside_others(
    s: &Scanner,
    text: &[u8],
    is_part: bool,
    mut found: impl FnMut(Encoded<'_>),
) {
    /// Longest length and kind of a string, bytes.
    const MAX_LENGTH: usize = 3;
    let mut search = Search::new(s);
    let is_control = |b: &u8| b.is_ascii_control() && !parts_lines(*b);
    let is_other = |b: &u8| !b.is_ascii() || is_control(b);
    let mut known = None;
    let mut masks = Buffer::new();
    runs::each(text, &RUN, MIN_RUN, &mut masks, |start, end| {
        let mut is_data = || {
            *known
                .get_or_insert_with(|| is_part || text.iter().any(is_control) || !crate::text::is_utf8(text))
        };
        // What ends a line in a text may be a kind of field in data.
        let before = text[..start].last().is_some_and(|b| is_other(b) || parts_lines(*b) && is_data());
        if !before && !text.get(end).is_some_and(is_other) {
            return false;
        }
        let is_data = before && is_data();
        for skipped in 0..=if is_data { MAX_LENGTH } else { 0 } {
            let run = &text[start + skipped..end];
            if run.len() >= MIN_RUN as usize {
                search.run(run, Silent::default(), 0, &mut found);
            }
        }
        false
    });
}

/// Whether there is a run, or what may become one, behind one or more tabs and line ends.
fn meets_run<'t>(beyond: impl Iterator<Item = &'t u8>) -> bool {
    let mut beyond = beyond.copied().peekable();
    beyond.next_if(|&b| parts_lines(b)).is_some()
        && beyond.find(|&b| !parts_lines(b)).is_some_and(|b| is_run(b) || !matches!(b, b' '..=b'~'))
}

impl Search<'_> {
    /// Whether there is something in one run, whose base64 form is known to hold nothing if it is `noise`.
    pub(super) fn encoded_run(&mut self, run: &[u8], noise: bool) -> bool {
        let mut any = false;
        if run.len() >= MIN_RUN as usize {
            let base64 = if noise { Silence::Throughout } else { Silence::Unknown };
            self.run(run, Silent { base64, ..Silent::default() }, 0, &mut |_| any = true);
        }
        any
    }

    /// Decodes one run in the encodings in which it may hold something, and what stands behind a name in it. True if its base64
    /// form was seen to hold nothing.
    fn run(&mut self, run: &[u8], silent: Silent, depth: u32, found: &mut dyn FnMut(Encoded<'_>)) -> bool {
        let noise = self.run_itself(run, silent, depth, found);
        if run.len() <= MAX_NAMED {
            let is_between = |b: &u8| !b.is_ascii_alphanumeric();
            let mut rest = run;
            while let Some(at) = rest.iter().position(is_between) {
                let is_name = rest.len() == run.len() && at <= MAX_NAME;
                rest = &rest[at + 1..];
                if rest.len() < MIN_RUN as usize {
                    break;
                }
                let part = &rest[..rest.iter().position(is_between).unwrap_or(rest.len())];
                if is_name && rest.len() > part.len() {
                    self.run_itself(rest, Silent::default(), depth, found);
                }
                if part.len() >= MIN_RUN as usize {
                    self.run_itself(part, Silent::default(), depth, found);
                }
            }
        }
        noise
    }

    fn run_itself(
        &mut self,
        run: &[u8],
        silent: Silent,
        depth: u32,
        found: &mut dyn FnMut(Encoded<'_>),
    ) -> bool {
        // A run cut off by other text may have a length that no base64 has: the last character is then not part of it.
        let whole = &run[..run.len() - usize::from(run.len() % 4 == 1)];
        let mut decoded = std::mem::replace(&mut self.decoded[depth as usize], Buffer::empty());
        let mut noise = silent.base64 == Silence::Unknown && self.stretches.are_noise(&self.s.kernel, whole);
        if !noise && silent.base64 != Silence::Throughout {
            decode::base64_digits_into(whole, &mut decoded);
            let possible = self.possible_after(&decoded, silent.base64);
            noise = possible.is_nothing();
            if !noise && decode::is_one_alphabet(whole) {
                self.decoded_run(&decoded, (possible, silent.base64), Encoding::Base64, depth, found);
            }
        }
        let hex = run.strip_prefix(b"0x").or(run.strip_prefix(b"0X")).unwrap_or(run);
        if silent.hex != Silence::Throughout
            && hex.iter().all(u8::is_ascii_hexdigit)
            && decode::hex_plain_into(&hex[..hex.len() & !1], &mut decoded)
        {
            let possible = self.possible_after(&decoded, silent.hex);
            self.decoded_run(&decoded, (possible, silent.hex), Encoding::Hex, depth, found);
        }
        if silent.base32 != Silence::Throughout
            && run.iter().all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'2'..=b'7'))
        {
            // Without its padding, down to a length that base32 has.
            let whole = &run[..run.len() - [0, 1, 0, 1, 0, 0, 1, 0][run.len() % 8]];
            decode::base32_letters(whole, &mut decoded);
            let possible = self.possible_after(&decoded, silent.base32);
            self.decoded_run(&decoded, (possible, silent.base32), Encoding::Base32, depth, found);
        }
        self.decoded[depth as usize] = decoded;
        noise
    }

    /// Looks at what a run decodes to, and at what is encoded in that.
    fn decoded_run(
        &mut self,
        decoded: &[u8],
        (possible, silence): (Possible, Silence),
        encoded: Encoding,
        depth: u32,
        found: &mut dyn FnMut(Encoded<'_>),
    ) {
        if !(possible.rule || possible.phrase || possible.nested) {
            return;
        }
        if possible.phrase && self.punctuated_phrase_in(decoded) {
            found(Encoded::Phrase(decoded, encoded));
        } else if possible.phrase && memchr::memchr(0, &decoded[..decoded.len().min(8)]).is_some() {
            // UTF-16.
            let letters: Vec<u8> = decoded.iter().copied().filter(|&byte| byte != 0).collect();
            if self.punctuated_phrase_in(&letters) {
                found(Encoded::Phrase(&letters, encoded));
            }
        }
        let depth = depth + 1;
        let nested = depth < MAX_DEPTH && possible.nested;
        // Line ends, invisible characters and look-alikes in a text; never in binary data, which is long and costs much.
        let is_text = nested && !is_printable(decoded) && std::str::from_utf8(decoded).is_ok();
        let mut buffer = Buffer::new();
        let norm = match possible.rule || is_text {
            true => norm_dlp_quick(decoded, &mut buffer).unwrap_or(decoded),
            false => decoded,
        };
        if possible.rule && (self.s.kernel.any(&self.rules, norm) || self.s.kernel.holds_value(norm)) {
            found(Encoded::Rules(&crate::text::lossy(norm), encoded));
        }
        if !nested {
            return;
        }
        self.runs_in(decoded, silence, depth, found);
        if is_text && *norm != *decoded {
            self.runs_in(norm, Silence::Unknown, depth, found);
        }
        // Digits alone, with spaces beside them, were looked at as a run.
        let digits = decoded.trim_ascii();
        let is_run = digits.len() >= MIN_RUN as usize && digits.iter().all(u8::is_ascii_hexdigit);
        if !is_run && consists_of(decoded, &HEX) && decode::hex_delimited_into(decoded, &mut buffer) {
            let possible = self.possible(&buffer);
            self.decoded_run(&buffer, (possible, Silence::Unknown), Encoding::Hex, depth, found);
        }
        if let Some(plain) = crate::text::unescaped(decoded) {
            let possible = self.possible(&plain);
            self.decoded_run(&plain, (possible, Silence::Unknown), encoded, depth, found);
        }
        if holds_an_escape(decoded) {
            let plain = crate::text::percent_decode_lenient(decoded, MAX_DEPTH as usize);
            let possible = self.possible(&plain);
            self.decoded_run(&plain, (possible, Silence::Unknown), Encoding::Url, depth, found);
        }
    }

    /// What decoded bytes may hold of which something is known.
    fn possible_after(&mut self, decoded: &[u8], silence: Silence) -> Possible {
        match silence {
            Silence::Unknown => self.possible(decoded),
            _ => {
                let escaped = || !is_printable(decoded) && holds_an_escape(decoded);
                let nested = decoded.len() >= MIN_RUN as usize || escaped();
                // Words with more between them than spaces were not looked for.
                let phrase = silence == Silence::Itself && decoded.len() >= MIN_PHRASE;
                Possible { rule: false, phrase, encoded: false, nested }
            }
        }
    }

    /// `silence`: what is known of the text.
    fn runs_in(&mut self, text: &[u8], silence: Silence, depth: u32, found: &mut dyn FnMut(Encoded<'_>)) {
        let mut masks = Buffer::new();
        runs::each(text, &RUN, MIN_RUN, &mut masks, |start, end| {
            // Shorter texts were not decoded, and known secrets were not looked for.
            let was_decoded = start == 0
                && end == text.len()
                && end >= self.s.kernel.min_chars()
                && !self.s.kernel.has_values();
            let silent = if was_decoded { Silent::within(text, silence) } else { Silent::default() };
            self.run(&text[start..end], silent, depth, found);
            false
        });
    }
}
