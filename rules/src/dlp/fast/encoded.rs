//! Which runs of letters and digits may be encoded text, told without decoding them.
//!
//! A rule's match holds a stretch of ASCII characters, the shortest of which the kernel knows. What identifiers and paths
//! decode to is noise, where every other byte is no ASCII and hardly any of those is part of valid UTF-8. The two upper
//! bits of a decoded byte, which tell what it is, lie within one base64 digit each, so a vector sweep that transposes the
//! digits' bits gives all of them, and a few operations on words say whether a run can hold a stretch that is long enough.

use super::decoded::least_bytes;
use super::overlap::MIN_CARD;
use super::simd::{self, Digits};
use super::*;

crate::scratch::pooled!(Digits);

/// The digits of a text.
pub(in super::super) struct Survey {
    digits: Buffer<Digits>,
    /// Their class masks.
    pub(super) runs: Buffer<u64>,
    solid: u32,
    /// Two neighbouring blocks may hold the decimal digits of a card number and of a group behind it.
    pub(in super::super) cards: bool,
}

impl Survey {
    pub(in super::super) fn new(s: &Scanner, text: &[u8]) -> Survey {
        let (mut digits, mut runs) = (Buffer::new(), Buffer::new());
        simd::digits(text, &mut digits);
        // With all their separators they are shorter than a block.
        let (mut before, mut cards) = (0, false);
        runs.extend(digits.iter().map(|d: &Digits| {
            let count = d.decimals().count_ones();
            cards |= before + count >= MIN_CARD;
            before = count;
            d.run
        }));
        Survey { digits, runs, solid: s.kernel.solid(), cards }
    }

    /// Up to 64 bits of one of the masks from a position on.
    #[inline]
    fn word(&self, at: usize, pick: impl Fn(&Digits) -> u64) -> u64 {
        let (block, shift) = (at / 64, at % 64);
        let here = pick(&self.digits[block]) >> shift;
        match self.digits.get(block + 1) {
            Some(next) if shift != 0 => here | pick(next) << (64 - shift),
            _ => here,
        }
    }

    /// Whether all bytes of a range are digits.
    pub(super) fn all_digits(&self, start: usize, end: usize) -> bool {
        // Not by the end of the run, which may be far behind that of the range.
        (start..end).step_by(64).all(|at| {
            let beyond = u64::MAX.checked_shl((end - at) as u32).unwrap_or(0);
            self.word(at, |d| d.run) | beyond == u64::MAX
        })
    }

    /// Whether a range holds a character that percent-decoding changes.
    pub(super) fn percent(&self, start: usize, end: usize) -> bool {
        (start..end).step_by(64).any(|at| {
            let beyond = u64::MAX.checked_shl((end - at) as u32).unwrap_or(0);
            self.word(at, |d| d.percent) & !beyond != 0
        })
    }

    /// Whether what a range of digits decodes to as base64 may hold a match of a rule.
    pub(super) fn base64(&self, start: usize, end: usize) -> bool {
        const FIRST: u64 = 0x1111_1111_1111_1111;
        if end - start > 64 || self.solid == 0 {
            return true;
        }
        // Of the four digits of a group, three hold the upper bits of a decoded byte each. The fourth digit's place repeats
        // the third's, so that a byte's neighbour is always one place away, or two seen from the third.
        let by_place = |bits: [usize; 3]| {
            let word = |place: usize| self.word(start, |d| d.bits[bits[place]]) & FIRST << place;
            let three = word(0) | word(1) | word(2);
            three | (three & FIRST << 2) << 1
        };
        let (high, low) = (by_place([0, 2, 4]), by_place([1, 3, 5]));
        let (follower, lead) = (high & !low, high & low);
        let next_follows = (follower >> 1 & (FIRST | FIRST << 1)) | (follower >> 2 & FIRST << 2);
        let wide = (lead & next_follows) | (follower & (follower | lead) << 1);
        let beyond = u64::MAX.checked_shl((end - start) as u32).unwrap_or(0);
        let narrow = (!high | FIRST << 3) & !beyond;
        holds_stretch(narrow, self.solid)
            || (wide & !beyond != 0 && holds_stretch((narrow | wide) & !beyond, least_bytes(self.solid)))
    }
}

/// Whether there are as many neighbouring bits as this many decoded bytes take up at least, in places of digits.
fn holds_stretch(mut stretch: u64, bytes: u32) -> bool {
    let want = bytes + (bytes - 1) / 3;
    let mut have = 1;
    while have < want {
        let step = have.min(want - have);
        stretch &= stretch >> step;
        have += step;
    }
    stretch != 0
}

/// A run that decodes to something of interest.
pub(in super::super) enum Encoded<'d> {
    /// The normalised decoded text, which a rule matches.
    Rules(&'d str, Encoding),
    /// The decoded text, which may hold a seed phrase.
    Phrase(&'d [u8], Encoding),
}

/// Runs of a base64 alphabet of this length are decoded wherever they stand.
const MIN_RUN: u32 = 16;
/// Both base64 alphabets, and what counts as one run of them.
pub(super) const RUN: Class =
    Class::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/");

/// Decodes every run of base64, hex or base32 letters, whatever stands around it, one level deep and from there as the
/// specification does with whole texts.
pub(in super::super) fn encoded_runs(
    s: &Scanner,
    text: &[u8],
    survey: &Survey,
    mut found: impl FnMut(Encoded<'_>),
) {
    let mut search = Search::new(s);
    runs::each_in(&survey.runs, MIN_RUN, |start, end| {
        search.run(&text[start..end], survey.base64(start, end), 0, &mut found);
        false
    });
}

impl Search<'_> {
    /// Whether there is something in one run.
    pub(super) fn encoded_run(&mut self, run: &[u8]) -> bool {
        let mut any = false;
        if run.len() >= MIN_RUN as usize {
            self.run(run, true, 0, &mut |_| any = true);
        }
        any
    }

    /// Decodes one run; `base64` is false where it is known that its base64 form holds nothing.
    fn run(&mut self, run: &[u8], base64: bool, depth: u32, found: &mut dyn FnMut(Encoded<'_>)) {
        let take =
            |search: &mut Self, decoded: &[u8], encoded: Encoding, found: &mut dyn FnMut(Encoded<'_>)| {
                let possible = search.possible(decoded);
                if possible.phrase && search.phrase_in(decoded) {
                    found(Encoded::Phrase(decoded, encoded));
                }
                if possible.rule && search.in_normalised(decoded) {
                    found(Encoded::Rules(&crate::text::norm_dlp(decoded), encoded));
                }
                if depth + 1 < MAX_DEPTH && decoded.len() >= MIN_RUN as usize && consists_of(decoded, &RUN) {
                    search.run(decoded, true, depth + 1, found);
                }
            };
        // A run cut off by other text may have a length that no base64 has: the last character is then not part of it.
        let whole = &run[..run.len() - usize::from(run.len() % 4 == 1)];
        let base64 = base64 && !self.is_noise(whole);
        let mut decoded = std::mem::replace(&mut self.decoded[depth as usize], Buffer::empty());
        if base64 && decode::base64_into(whole, &mut decoded).is_some() {
            take(self, &decoded, Encoding::Base64, found);
        }
        if run.iter().all(u8::is_ascii_hexdigit)
            && decode::hex_plain_into(&run[..run.len() & !1], &mut decoded)
        {
            take(self, &decoded, Encoding::Hex, found);
        }
        if run.iter().all(|b| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'2'..=b'7')) {
            // Without its padding, down to a length that base32 has.
            let whole = &run[..run.len() - [0, 1, 0, 1, 0, 0, 1, 0][run.len() % 8]];
            decode::base32_letters(whole, &mut decoded);
            take(self, &decoded, Encoding::Base32, found);
        }
        self.decoded[depth as usize] = decoded;
    }
}
