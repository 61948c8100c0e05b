//! Whether decoded bytes can hold a match at all.
//!
//! Most of what is base64 is compressed or encrypted: noise, of which the normalisation leaves little more than U+FFFD.
//! A rule's match holds a stretch of ASCII characters, the shortest of which the kernel knows, and a seed phrase is a long
//! stretch of characters. So the bytes are classified by a vector sweep, and only where enough of them in a row are part of
//! valid UTF-8 are they looked at, each such stretch alone. Binary data is normalised and searched as a whole only when
//! a rule's window, and all that can be said about its surroundings, is found in one of them.

use super::encoded::MIN_RUN;
use super::kernel::LENGTHY;
use super::simd::{self, Bytes};
use super::*;
use crate::text::{Alone, alone, first_char};

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
    /// Encoded data, or a match where each `+` stands for a space.
    pub(super) encoded: bool,
    /// Encoded data between other bytes: a run of digits, or an escape.
    pub(super) nested: bool,
}

impl Possible {
    /// Neither a match nor what can be decoded again.
    pub(super) fn is_nothing(self) -> bool {
        !(self.rule || self.phrase || self.encoded || self.nested)
    }
}

/// The work space of [`Stretches::possible`].
pub(super) struct Stretches {
    /// Bytes that are part of valid UTF-8, or look so.
    good: Buffer<u64>,
    /// Those of them that may be an equals sign.
    equals: Buffer<u64>,
    text: Buffer<u8>,
}

impl Stretches {
    pub(super) fn new() -> Stretches {
        let (good, equals) = (Buffer::new(), Buffer::new());
        Stretches { good, equals, text: Buffer::new() }
    }

    pub(super) fn possible(&mut self, kernel: &kernel::Kernel, data: &[u8]) -> Possible {
        if kernel.stretch() < 4 {
            return Possible { rule: true, phrase: data.len() >= MIN_PHRASE, encoded: true, nested: true };
        }
        if data.len() <= 64 {
            let Marks { good, equals, .. } = marks(&simd::outline_short(data), 0, &mut 0);
            if let Some(possible) = short_noise(kernel, data, good, equals) {
                return possible;
            }
            return self.in_stretches(kernel, data, &[good], &[equals]);
        }
        let mut good = std::mem::replace(&mut self.good, Buffer::empty());
        let mut equals = std::mem::replace(&mut self.equals, Buffer::empty());
        let blocks = data.len() / 64 + 1;
        for words in [&mut good, &mut equals] {
            words.clear();
            words.resize(blocks, 0);
        }
        let (mut carried, mut last) = (0, Bytes::default());
        let mut words = good.iter_mut().zip(equals.iter_mut());
        // A block after the next is known.
        let mut mark = |block: &Bytes, next: u64| {
            if let Some((good, equals)) = words.next() {
                let marks = marks(block, next, &mut carried);
                (*good, *equals) = (marks.good, marks.equals);
            }
        };
        let mut begun = false;
        simd::outline(data, |block| {
            if std::mem::replace(&mut begun, true) {
                mark(&last, block.follower);
            }
            last = block;
        });
        mark(&last, 0);
        let possible = self.in_stretches(kernel, data, &good, &equals);
        (self.good, self.equals) = (good, equals);
        possible
    }

    /// Whether base64 digits decode to what can hold nothing: true is certain. Of more than [`simd::MOST_DIGITS`] it says nothing.
    pub(super) fn are_noise(&mut self, kernel: &kernel::Kernel, digits: &[u8]) -> bool {
        if digits.len() > simd::MOST_DIGITS || kernel.stretch() < 4 {
            return false;
        }
        let (block, percents) = simd::outline_of_digits(digits, &mut self.text);
        is_noise(kernel, &block, percents, digits.len() * 6 / 8)
    }

    /// Looks at every stretch that is long enough for a match, or for one with an equals sign where that may be in it.
    #[inline]
    fn in_stretches(
        &mut self,
        kernel: &kernel::Kernel,
        data: &[u8],
        good: &[u64],
        equals: &[u64],
    ) -> Possible {
        let (solid, long) = (kernel.stretch(), kernel.stretch_without_equals());
        // Encoded data is ASCII, and base32, which may be followed by other bytes, has at least eight characters.
        let mut possible = Possible {
            rule: false,
            phrase: false,
            encoded: data[..data.len().min(8)].is_ascii(),
            nested: runs::each_in(good, MIN_RUN, |_, _| true) || holds_an_escape(data),
        };
        let mut look = |solid: u32, start: usize, end: usize| {
            possible.phrase |= end - start >= MIN_PHRASE;
            if !possible.rule && is_long_enough(data, solid as usize, start, end) {
                possible.encoded |= memchr::memchr(b'+', &data[start..end]).is_some();
                possible.rule = self.may_match(kernel, data, start, end);
            }
            possible.rule && possible.phrase
        };
        let least = |solid: u32| least_bytes(solid).clamp(3, MIN_PHRASE as u32);
        // At the start of the text a stretch may be shorter.
        let mut done = runs::end_of_run(good, 0).min(data.len());
        let mut ended = done > 0 && done + 1 >= least(solid) as usize && look(solid, 0, done);
        let mut lengthy = false;
        ended = ended
            || runs::each_in(good, long.clamp(3, least(LENGTHY)), |start, end| {
                lengthy |= end - start >= least(LENGTHY) as usize;
                look(long, start, end)
            });
        ended = ended || lengthy && runs::each_in(good, least(solid), |start, end| look(solid, start, end));
        for (block, &signs) in equals.iter().enumerate() {
            let mut signs = if ended { 0 } else { signs };
            while signs != 0 {
                let at = block * 64 + signs.trailing_zeros() as usize;
                signs &= signs - 1;
                if at >= done {
                    let start = runs::start_of_run(good, at);
                    done = runs::end_of_run(good, at);
                    if done - start >= least(solid) as usize && look(solid, start, done) {
                        ended = true;
                        break;
                    }
                }
            }
        }
        // A match needs a window in the same place when each `+` is a space.
        possible.encoded |= possible.rule && memchr::memchr(b'+', data).is_some();
        possible
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

/// What [`Stretches::in_stretches`] says of up to 64 bytes without a stretch that is long enough, as most are.
#[inline]
fn short_noise(kernel: &kernel::Kernel, data: &[u8], good: u64, equals: u64) -> Option<Possible> {
    let (solid, long) = (least_bytes(kernel.stretch()), kernel.stretch_without_equals());
    let none = good.trailing_ones() + 1 < solid
        && !runs::has(good, long.clamp(3, least_bytes(LENGTHY)).min(MIN_RUN))
        && (equals == 0 || !runs::has(good, solid));
    let encoded = data[..data.len().min(8)].is_ascii();
    none.then(|| Possible { rule: false, phrase: false, encoded, nested: holds_an_escape(data) })
}

/// Bytes of a block.
struct Marks {
    /// Those that are part of valid UTF-8 or look so.
    good: u64,
    /// Those of them that may become an equals sign or more ASCII characters than bytes: that sign and the first bytes of such
    /// characters, which have three or four.
    equals: u64,
    /// The first bytes of all characters of three or four.
    long: u64,
}

/// `next`: followers in the next block; `carried`: bytes of characters that begin in the block before.
#[inline]
fn marks(block: &Bytes, next: u64, carried: &mut u64) -> Marks {
    let followed = |by: u32| block.follower >> by | next << (64 - by);
    let (one, two) = (followed(1), followed(2));
    let short = block.lead[0] & one;
    let three = block.lead[1] & one & two;
    let four = block.lead[2] & one & two & followed(3);
    let (any, long) = (short | three | four, three | four);
    let good = block.printable | block.control | any | any << 1 | long << 2 | four << 3 | *carried;
    *carried = any >> 63 | long >> 62 | four >> 61;
    Marks { good, equals: block.equals | long & block.compatible, long }
}

/// Whether so many bytes, `percents` of which are percent signs, can hold nothing: true is certain.
#[inline]
fn is_noise(kernel: &kernel::Kernel, block: &Bytes, percents: u64, length: usize) -> bool {
    let Marks { good, equals, long } = marks(block, 0, &mut 0);
    let is_text = !(block.printable | block.control) & ((1 << length.min(8)) - 1) == 0;
    let escapes = percents & block.printable >> 1 & block.printable >> 2;
    if is_text || escapes != 0 || runs::has(good, MIN_RUN) {
        return false;
    }
    // As in `is_long_enough`.
    let most = |stretch: u64| {
        let length = (stretch & !block.control).count_ones();
        if stretch & long == 0 { length } else { length.div_ceil(3) * 4 }
    };
    let (solid, loose) = (kernel.stretch(), kernel.stretch_without_equals());
    // What rules say about the start of a text counts as a character.
    if most(good & !good.wrapping_add(1)) + 1 >= solid.min(loose) {
        return false;
    }
    let around = |at: u32| {
        let begin = 64 - (!good & ((1 << at) - 1)).leading_zeros();
        let length = (good >> at).trailing_ones() + at - begin;
        (u64::MAX >> (64 - length)) << begin
    };
    let holds = |mut places: u64, least: u32| {
        while places != 0 {
            let stretch = around(places.trailing_zeros());
            if most(stretch) >= least {
                return true;
            }
            places &= !stretch;
        }
        false
    };
    !holds(equals & good, solid) && !holds(runs::beginnings(good, loose.clamp(1, MIN_RUN)), loose)
}

/// Whether a stretch of valid UTF-8 can become so many ASCII characters.
#[inline]
fn is_long_enough(data: &[u8], solid: usize, start: usize, end: usize) -> bool {
    if end - start > 64 {
        return true;
    }
    let block = simd::outline_short(&data[start..end]);
    // What rules say about the start of a text counts as a character.
    let enough = |length: usize| length + usize::from(start == 0) >= solid;
    // No character becomes more than four of ASCII, and those that do have three bytes.
    let most = |length: usize| match block.lead[1] | block.lead[2] {
        0 => length,
        _ => length.div_ceil(3) * 4,
    };
    enough(most(end - start - block.control.count_ones() as usize))
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
        let from = out.len();
        let (normal, len) = match first_char(text) {
            None => (Alone::Stays, 0),
            Some((c, len)) => (alone(c, out), len),
        };
        match normal {
            Alone::Changes | Alone::Goes => length += out.len() - from,
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
