//! Whether decoded bytes can hold a match at all.
//!
//! Most of what is base64 is compressed or encrypted: noise, of which the normalisation leaves little more than U+FFFD.
//! A rule's match holds a stretch of ASCII characters, the shortest of which the kernel knows, and a seed phrase is a long
//! stretch of characters. So the bytes are classified by a vector sweep, and only where enough of them in a row are part of
//! valid UTF-8 are they looked at, each such stretch alone. Binary data is normalised and searched as a whole only when
//! a rule's window, and all that can be said about its surroundings, is found in one of them.

use super::simd::{self, Bytes};
use super::*;
use crate::text::{Alone, alone, first_char};

crate::scratch::pooled!(Bytes);

/// Longer stretches are text: it is quicker to search the whole data at once.
const MAX_STRETCH: usize = 256;
/// What a byte that is not part of valid UTF-8 becomes.
const OTHER: &[u8] = "\u{FFFD}".as_bytes();

/// What decoded bytes can hold. False is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Possible {
    /// A match of a rule.
    pub(super) rule: bool,
    /// A seed phrase.
    pub(super) phrase: bool,
    /// Enough ASCII characters in a row for a match, or for an encoded one.
    pub(super) stretch: bool,
}

impl Possible {
    const NOTHING: Possible = Possible { rule: false, phrase: false, stretch: false };
}

/// The work space of [`Stretches::possible`].
pub(super) struct Stretches {
    bytes: Buffer<Bytes>,
    /// Bytes that are part of valid UTF-8, or look so.
    good: Buffer<u64>,
    text: Buffer<u8>,
}

impl Stretches {
    pub(super) fn new() -> Stretches {
        Stretches { bytes: Buffer::new(), good: Buffer::new(), text: Buffer::new() }
    }

    pub(super) fn possible(&mut self, kernel: &kernel::Kernel, data: &[u8]) -> Possible {
        let solid = kernel.stretch();
        if solid >= 4 && data.len() <= 64 && !has_stretch(data, solid) {
            return Possible::NOTHING;
        }
        let unknown = solid < 4;
        let mut possible = Possible { rule: unknown, phrase: false, stretch: unknown };
        simd::outline(data, &mut self.bytes);
        self.mark_good();
        let good = std::mem::replace(&mut self.good, Buffer::empty());
        let mut stretch = |start: usize, end: usize| {
            possible.phrase |= end - start >= MIN_PHRASE;
            if !possible.rule && self.is_long_enough(solid as usize, start, end) {
                possible.stretch = true;
                possible.rule = self.may_match(kernel, data, start, end);
            }
            possible.rule && possible.phrase
        };
        let least = least_bytes(solid).clamp(3, MIN_PHRASE as u32);
        // At the start of the text a stretch may be shorter.
        let beginning = runs::end_of_run(&good, 0).min(data.len());
        if beginning > 0 && beginning < least as usize {
            stretch(0, beginning);
        }
        runs::each_in(&good, least, stretch);
        self.good = good;
        possible
    }

    fn mark_good(&mut self) {
        self.good.clear();
        // Bytes of characters that begin in the block before.
        let mut carried = 0;
        for (i, block) in self.bytes.iter().enumerate() {
            let next = self.bytes.get(i + 1).map_or(0, |next| next.follower);
            let followed = |by: u32| block.follower >> by | next << (64 - by);
            let two = block.lead[0] & followed(1);
            let three = block.lead[1] & followed(1) & followed(2);
            let four = block.lead[2] & followed(1) & followed(2) & followed(3);
            let wide = [two | three | four, two | three | four, three | four, four];
            let here = wide.iter().enumerate().fold(carried, |all, (by, bits)| all | bits << by);
            carried = (1..4).fold(0, |all, by| all | wide[by] >> (64 - by));
            self.good.push(block.printable | block.control | here);
        }
    }

    /// 64 bits of one of the words from a position on.
    #[inline]
    fn word(&self, at: usize, of: fn(&Bytes) -> u64) -> u64 {
        let (block, shift) = (at / 64, at % 64);
        let here = of(&self.bytes[block]) >> shift;
        match self.bytes.get(block + 1) {
            Some(next) if shift != 0 => here | of(next) << (64 - shift),
            _ => here,
        }
    }

    /// Whether a stretch of valid UTF-8 can become so many ASCII characters.
    #[inline]
    fn is_long_enough(&self, solid: usize, start: usize, end: usize) -> bool {
        if end - start > 64 {
            return true;
        }
        let within = u64::MAX >> (64 - (end - start));
        let any = |of: fn(&Bytes) -> u64| self.word(start, of) & within;
        // What rules say about the start of a text counts as a character.
        let enough = |length: usize| length + usize::from(start == 0) >= solid;
        // No character becomes more than four of ASCII, and those that do have three bytes.
        let most = |length: usize| match any(|b| b.lead[1] | b.lead[2]) {
            0 => length,
            _ => length.div_ceil(3) * 4,
        };
        (enough(end - start) || enough(most(end - start)))
            && enough(most(end - start - any(|b| b.control).count_ones() as usize))
    }

    /// Whether a stretch of valid UTF-8, and nothing that is not valid beside it, can hold a match.
    fn may_match(&mut self, kernel: &kernel::Kernel, data: &[u8], start: usize, end: usize) -> bool {
        if end - start > MAX_STRETCH {
            return true;
        }
        let stretch = &data[start..end];
        let solid = kernel.stretch() as usize;
        let first = usize::from(start == 0);
        let narrow = stretch.is_ascii();
        self.text.clear();
        if start > 0 {
            self.text.extend_from_slice(OTHER);
        }
        let beginning = self.text.len();
        if narrow {
            self.text.extend(stretch.iter().filter(|b| matches!(b, 0x20..=0x7e)));
        } else {
            let (longest, whole) = fold(stretch, first, &mut self.text);
            if longest < solid {
                return false;
            }
            if !whole {
                self.text.truncate(beginning);
                self.text.extend_from_slice(crate::text::norm_dlp(stretch).as_bytes());
            }
        }
        if end < data.len() {
            self.text.extend_from_slice(OTHER);
        }
        kernel.may_match(&self.text)
    }
}

/// Whether up to 64 bytes hold as many in a row as can become so many ASCII characters.
fn has_stretch(data: &[u8], solid: u32) -> bool {
    let block = simd::outline_short(data);
    let followed = |by: u32| block.follower >> by;
    let two = block.lead[0] & followed(1);
    let three = block.lead[1] & followed(1) & followed(2);
    let four = block.lead[2] & followed(1) & followed(2) & followed(3);
    let all = two | three | four;
    let wide = all | all << 1 | (three | four) << 2 | four << 3;
    let good = block.printable | block.control | wide;
    runs::has(good, solid)
        || good.trailing_ones() + 1 >= solid
        || (three | four != 0
            && (runs::has(good, least_bytes(solid)) || good.trailing_ones() >= least_bytes(solid - 1)))
}

/// Normalises a short text. Returns the length of its longest stretch of ASCII characters, of which `before` lie before the
/// text, and whether the normalisation is right: characters whose surroundings matter are left out and counted.
fn fold(mut text: &[u8], before: usize, out: &mut Vec<u8>) -> (usize, bool) {
    let (mut longest, mut length, mut whole) = (before, before, true);
    // A look-alike of an ASCII letter may compose with the accent after it, and stay.
    let mut after_ascii = false;
    while let Some((&b, rest)) = text.split_first() {
        if b < 0x80 {
            if matches!(b, 0x20..=0x7e) {
                out.push(b);
                length += 1;
                after_ascii = true;
            }
            text = rest;
            continue;
        }
        let (normal, len) = match first_char(text) {
            None => (Alone::Stays, 0),
            Some((c, len)) => (alone(c), len),
        };
        match normal {
            Alone::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                length += text.len();
            }
            Alone::Stays => {
                longest = longest.max(length);
                length = 0;
                out.extend_from_slice(if len == 0 { OTHER } else { &text[..len] });
            }
            // Accents of ASCII letters go.
            Alone::Mark if after_ascii => {
                text = &text[len..];
                continue;
            }
            Alone::Mark | Alone::Unknown => {
                whole = false;
                length += 4;
            }
        }
        after_ascii = false;
        text = &text[len.max(1)..];
    }
    (longest.max(length), whole)
}

/// The least number of bytes that can become so many ASCII characters: no character becomes more than four (as "⑽" does),
/// and those that become so many have three bytes.
pub(super) fn least_bytes(chars: u32) -> u32 {
    (chars * 3).div_ceil(4)
}
