//! Which runs of letters and digits may be encoded text, told without decoding them.
//!
//! A rule's match holds a stretch of ASCII characters, the shortest of which the kernel knows. What identifiers and paths
//! decode to is noise, where every other byte is no ASCII and hardly any of those is part of valid UTF-8. The two upper
//! bits of a decoded byte, which tell what it is, lie within one base64 digit each, so a vector sweep that transposes the
//! digits' bits gives all of them, and a few operations on words say whether a run can hold a stretch that is long enough.

use std::cell::RefCell;

use super::decoded::least_bytes;
use super::kernel::LENGTHY;
use super::overlap::MIN_CARD;
use super::simd::{self, Digits, Runs};
use super::*;

/// The digits of a text.
pub(in super::super) struct Survey<'t> {
    text: &'t [u8],
    /// Their class masks.
    pub(super) runs: Buffer<u64>,
    /// See the kernel.
    stretch: u32,
    without_equals: u32,
    /// Where two neighbouring blocks hold as many decimal digits as a card number and a group behind it.
    pub(in super::super) cards: Range<usize>,
    /// Ranges of digits whose base64 form holds nothing, in order; each as its start and, in the lower half, its end.
    noise: RefCell<Buffer<u64>>,
}

/// What is gathered in the sweep.
struct Sweep<'m> {
    runs: &'m mut [u64],
    blocks: usize,
    cards: Range<usize>,
    /// Decimal digits of the last block.
    before: u32,
}

impl Runs for Sweep<'_> {
    #[inline(always)]
    fn block(&mut self, run: u64, decimals: u64) {
        self.runs[self.blocks] = run;
        self.blocks += 1;
        // With all their separators they are shorter than a block.
        let count = decimals.count_ones();
        if self.before + count >= MIN_CARD {
            let end = self.blocks * 64;
            if self.cards.is_empty() {
                self.cards.start = end.saturating_sub(128);
            }
            self.cards.end = end;
        }
        self.before = count;
    }
}

impl<'t> Survey<'t> {
    pub(in super::super) fn new(s: &Scanner, text: &'t [u8]) -> Survey<'t> {
        let mut runs = Buffer::new();
        runs.resize(text.len() / 64 + 1, 0);
        let sweep = simd::runs(text, Sweep { runs: &mut runs, blocks: 0, cards: 0..0, before: 0 });
        let cards = sweep.cards;
        let (stretch, without_equals) = (s.kernel.stretch(), s.kernel.stretch_without_equals());
        Survey { text, runs, stretch, without_equals, cards, noise: RefCell::default() }
    }

    /// Notes that a range of digits, behind all those noted before, decodes to nothing as base64.
    pub(super) fn note_noise(&self, start: usize, end: usize) {
        if end <= u32::MAX as usize {
            self.noise.borrow_mut().push((start as u64) << 32 | end as u64);
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

    /// Whether what a range of digits decodes to as base64 may hold a match of a rule, a seed phrase or what can be decoded
    /// again.
    pub(super) fn base64(&self, start: usize, end: usize) -> bool {
        if end - start > MAX_SURVEYED || self.stretch < 4 {
            return true;
        }
        let mut before = Decoded::default();
        (start..end).step_by(64).any(|at| {
            let here = self.decoded(at, end);
            let both = before.followed_by(&here);
            before = here;
            let (good, signs) = both.good();
            // At the start of the text a stretch may be shorter.
            at == start && (good >> 64).trailing_ones() + 1 >= places(least_bytes(self.stretch))
                || holds_stretch(good, places(self.without_equals.min(least_bytes(LENGTHY)).min(MIN_RUN)))
                || signs != 0 && signs & in_stretches(good, places(least_bytes(self.stretch))) != 0
                || both.may_hold_escape()
        })
    }

    /// The bytes that up to 64 digits of a range decode to, from a place on where a group of four begins.
    fn decoded(&self, at: usize, end: usize) -> Decoded<u64> {
        let within = !u64::MAX.checked_shl((end - at) as u32).unwrap_or(0);
        let Digits([d5, d4, d3, d2, d1, d0]) = simd::digits_of(&self.text[at..end]);
        // The bits of the digit after each.
        let [n5, n4, n3, n2, n1, n0] = [d5, d4, d3, d2, d1, d0].map(|bits| bits >> 1);
        // Of the four digits of a group, three hold the upper bits of a decoded byte each.
        let by_place = |bits: [u64; 3]| bits[0] & FIRST | bits[1] & FIRST << 1 | bits[2] & FIRST << 2;
        let b7 = by_place([d5, d3, d1]);
        let b6 = by_place([d4, d2, d0]);
        let b5 = by_place([d3, d1, n5]);
        let b4 = by_place([d2, d0, n4]);
        let b3 = by_place([d1, n5, n3]);
        let b2 = by_place([d0, n4, n2]);
        let b1 = by_place([n5, n3, n1]);
        let b0 = by_place([n4, n2, n0]);
        let sign = !b7 & !b6 & b5 & b2 & !b1 & b0;
        // The fourth digit's place repeats the third's, so that neighbouring bytes have neighbouring places.
        let bytes = |of: u64| (of & !(FIRST << 3) | (of & FIRST << 2) << 1) & within;
        Decoded {
            narrow: bytes(!b7),
            follower: bytes(b7 & !b6),
            lead: [b7 & b6 & !b5, b7 & b6 & b5 & !b4, b7 & b6 & b5 & b4 & !b3].map(bytes),
            // 0011_1101 and 0010_0101.
            equals: bytes(sign & b4 & b3),
            percent: bytes(sign & !b4 & !b3),
        }
    }
}

/// Longer runs are decoded at once: noise holds a stretch of some length sooner or later.
const MAX_SURVEYED: usize = 256;

/// The first digit of each group.
const FIRST: u64 = 0x1111_1111_1111_1111;
const FIRST_OF_BOTH: u128 = (FIRST as u128) << 64 | FIRST as u128;

/// What decoded bytes are, in the places of the digits that hold their upper bits.
#[derive(Default)]
struct Decoded<Word> {
    /// ASCII.
    narrow: Word,
    /// Bytes that can follow the first one of a character.
    follower: Word,
    /// Bytes that can begin a character of two, three or four bytes.
    lead: [Word; 3],
    /// `=`
    equals: Word,
    /// `%`
    percent: Word,
}

impl Decoded<u64> {
    fn followed_by(&self, next: &Self) -> Decoded<u128> {
        let both = |first: u64, second: u64| u128::from(second) << 64 | u128::from(first);
        Decoded {
            narrow: both(self.narrow, next.narrow),
            follower: both(self.follower, next.follower),
            lead: std::array::from_fn(|i| both(self.lead[i], next.lead[i])),
            equals: both(self.equals, next.equals),
            percent: both(self.percent, next.percent),
        }
    }
}

impl Decoded<u128> {
    /// Bytes that are part of valid UTF-8 or look so, and those of them that may become an equals sign or more ASCII
    /// characters than bytes.
    fn good(&self) -> (u128, u128) {
        let one = next(self.follower);
        let two = next(one);
        // What follows in the digits to come may be anything.
        let unknown = !0 << 120;
        let short = self.lead[0] & (one | unknown);
        let long = (self.lead[1] | self.lead[2]) & (one | unknown) & (two | unknown);
        let second = after(short | long);
        let third = after(after(long));
        let fourth = after(third & after(after(self.lead[2])));
        // Characters may have begun in the digits before.
        let begun = self.follower & 0xffff;
        (self.narrow | short | long | second | third | fourth | begun, self.equals | long)
    }

    fn may_hold_escape(&self) -> bool {
        self.percent != 0 && {
            let one = next(self.narrow);
            self.percent & one & next(one) != 0
        }
    }
}

const THIRD: u128 = FIRST_OF_BOTH << 2;
const FOURTH: u128 = FIRST_OF_BOTH << 3;

/// In the place of each byte what the next one is.
fn next(of: u128) -> u128 {
    of >> 1 & !THIRD | of >> 2 & THIRD
}

/// In the place of each byte what the one before is.
fn after(of: u128) -> u128 {
    of << 1 & !FOURTH | of << 2 & FOURTH
}

/// The least number of digits' places that so many decoded bytes take up.
fn places(bytes: u32) -> u32 {
    bytes + (bytes - 1) / 3
}

/// Whether there are as many neighbouring bits.
fn holds_stretch(bits: u128, want: u32) -> bool {
    starts_of_stretches(bits, want) != 0
}

/// The bits of such stretches.
fn in_stretches(bits: u128, want: u32) -> u128 {
    let mut all = starts_of_stretches(bits, want);
    let mut have = 1;
    while have < want {
        let step = have.min(want - have);
        all |= all << step;
        have += step;
    }
    all
}

fn starts_of_stretches(mut bits: u128, want: u32) -> u128 {
    let mut have = 1;
    while have < want {
        let step = have.min(want - have);
        bits &= bits >> step;
        have += step;
    }
    bits
}

/// A run that decodes to something of interest.
pub(in super::super) enum Encoded<'d> {
    /// The normalised decoded text, which a rule matches.
    Rules(&'d str, Encoding),
    /// The decoded text, which may hold a seed phrase.
    Phrase(&'d [u8], Encoding),
}

/// Runs of a base64 alphabet of this length are decoded wherever they stand.
pub(super) const MIN_RUN: u32 = 16;
/// Bytes that can become such a run: no character becomes more of ASCII than four thirds of its bytes.
const MIN_FOLDED_RUN: u32 = (MIN_RUN * 3).div_ceil(4);
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

/// Decodes every run of base64, hex or base32 letters, whatever stands around it, and in what that gives every run, escape
/// and delimited hex in turn, as often as the specification does with whole texts.
pub(in super::super) fn encoded_runs(
    s: &Scanner,
    text: &[u8],
    survey: &Survey<'_>,
    mut found: impl FnMut(Encoded<'_>),
) {
    let mut search = Search::new(s);
    let noise = survey.noise.borrow();
    let mut noise = noise.iter().copied().peekable();
    runs::each_in(&survey.runs, MIN_RUN, |start, end| {
        while noise.next_if(|range| range >> 32 < start as u64).is_some() {}
        let is_noise = noise.peek() == Some(&((start as u64) << 32 | end as u64));
        search.run(&text[start..end], !is_noise && survey.base64(start, end), 0, &mut found);
        false
    });
}

/// The same for the runs that removing tabs and line ends joins with others. False when one of these may be another run once
/// the text is normalised; what follows is then not looked at.
pub(in super::super) fn runs_at_line_ends(
    s: &Scanner,
    text: &[u8],
    overview: &Overview,
    mut found: impl FnMut(Encoded<'_>),
) -> bool {
    let mut search = Search::new(s);
    let mut masks = Buffer::new();
    class_masks(&RUN.low, &RUN.high, text, &mut masks);
    masks.iter_mut().zip(overview.others()).for_each(|(mask, other)| *mask |= other);
    !runs::each_in(&masks, MIN_FOLDED_RUN, |start, end| {
        if !(meets_run(text[..start].iter().rev()) || meets_run(text[end..].iter())) {
            return false;
        }
        let run = &text[start..end];
        let is_kept = overview.keeps_lines() || run.iter().all(|&b| is_run(b));
        if is_kept && run.len() >= MIN_RUN as usize {
            search.run(run, true, 0, &mut found);
        }
        !is_kept
    })
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
            self.run(run, !noise, 0, &mut |_| any = true);
        }
        any
    }

    /// Decodes one run; `base64` is false where it is known that its base64 form holds nothing.
    fn run(&mut self, run: &[u8], base64: bool, depth: u32, found: &mut dyn FnMut(Encoded<'_>)) {
        // A run cut off by other text may have a length that no base64 has: the last character is then not part of it.
        let whole = &run[..run.len() - usize::from(run.len() % 4 == 1)];
        let base64 = base64 && !self.is_noise(whole);
        let mut decoded = std::mem::replace(&mut self.decoded[depth as usize], Buffer::empty());
        if base64 && decode::base64_into(whole, &mut decoded).is_some() {
            self.decoded_run(&decoded, Encoding::Base64, depth, found);
        }
        if run.iter().all(u8::is_ascii_hexdigit)
            && decode::hex_plain_into(&run[..run.len() & !1], &mut decoded)
        {
            self.decoded_run(&decoded, Encoding::Hex, depth, found);
        }
        if run.iter().all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'2'..=b'7')) {
            // Without its padding, down to a length that base32 has.
            let whole = &run[..run.len() - [0, 1, 0, 1, 0, 0, 1, 0][run.len() % 8]];
            decode::base32_letters(whole, &mut decoded);
            self.decoded_run(&decoded, Encoding::Base32, depth, found);
        }
        self.decoded[depth as usize] = decoded;
    }

    /// Looks at what a run decodes to, and at what is encoded in that.
    fn decoded_run(
        &mut self,
        decoded: &[u8],
        encoded: Encoding,
        depth: u32,
        found: &mut dyn FnMut(Encoded<'_>),
    ) {
        let possible = self.possible(decoded);
        if possible.phrase && self.phrase_in(decoded) {
            found(Encoded::Phrase(decoded, encoded));
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
        if possible.rule && self.s.kernel.any(&self.rules, norm) {
            found(Encoded::Rules(&crate::text::lossy(norm), encoded));
        }
        if !nested {
            return;
        }
        self.runs_in(decoded, depth, found);
        if is_text && *norm != *decoded {
            self.runs_in(norm, depth, found);
        }
        if let Some(plain) = consists_of(decoded, &HEX).then(|| decode::hex_delimited(decoded)).flatten() {
            self.decoded_run(&plain, Encoding::Hex, depth, found);
        }
        if holds_an_escape(decoded) {
            let plain = crate::text::percent_decode_lenient(decoded, MAX_DEPTH as usize);
            self.decoded_run(&plain, Encoding::Url, depth, found);
        }
    }

    fn runs_in(&mut self, text: &[u8], depth: u32, found: &mut dyn FnMut(Encoded<'_>)) {
        let mut masks = Buffer::new();
        runs::each(text, &RUN, MIN_RUN, &mut masks, |start, end| {
            self.run(&text[start..end], true, depth, found);
            false
        });
    }
}
