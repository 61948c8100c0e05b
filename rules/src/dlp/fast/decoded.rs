//! Whether decoded bytes can hold a match at all.
//!
//! Most of what is base64 is compressed or encrypted: noise, of which the normalisation leaves little more than U+FFFD.
//! A rule's match holds a stretch of ASCII characters, the shortest of which the kernel knows, and a seed phrase is a long
//! stretch of characters. So the bytes are classified by a vector sweep, and only where enough of them in a row are part of
//! valid UTF-8 are they looked at, each such stretch alone. Binary data is normalised and searched as a whole only when
//! a rule's window, and all that can be said about its surroundings, is found in one of them.

use super::encoded::MIN_RUN;
use super::kernel::LENGTHY;
use super::simd::{self, Bytes, Outlined};
use super::*;
use crate::text::{Alone, alone, first_char};

/// Longer stretches are text: it is quicker to search the whole data at once.
const MAX_STRETCH: usize = 256;
/// What a byte that is not part of valid UTF-8 becomes.
const OTHER: &[u8] = "\u{FFFD}".as_bytes();
/// Stretches are searched together until their text is so long.
const MAX_TEXT: usize = 8 << 10;

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
    /// Where stretches may be long enough.
    places: Buffer<Place>,
    /// Stretches that may hold a match, normalised, with [`OTHER`] between them.
    text: Buffer<u8>,
    spaced: Buffer<u8>,
}

crate::scratch::pooled!(Place);

/// Stretches in a block that may be long enough: a byte of each.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Where the block begins.
    from: usize,
    bytes: u64,
    /// Those of stretches in which, as far as they are in this block, something may be an equals sign.
    equals: u64,
}

impl Stretches {
    pub(super) fn new() -> Stretches {
        let (good, places) = (Buffer::new(), Buffer::new());
        Stretches { good, places, text: Buffer::new(), spaced: Buffer::new() }
    }

    pub(super) fn possible(&mut self, kernel: &kernel::Kernel, data: &[u8]) -> Possible {
        if kernel.stretch() < 4 {
            return Possible { rule: true, phrase: data.len() >= MIN_PHRASE, encoded: true, nested: true };
        }
        if data.len() <= 64
            && let Some(possible) = short_noise(kernel, data)
        {
            return possible;
        }
        let mut good = std::mem::replace(&mut self.good, Buffer::empty());
        let mut places = std::mem::replace(&mut self.places, Buffer::empty());
        good.clear();
        good.resize(data.len() / 64 + 1, 0);
        places.clear();
        let nested = simd::outline(data, Sweep::new(kernel, data, &mut good, &mut places)).end();
        let possible = self.in_stretches(kernel, data, &good, &places, nested);
        (self.good, self.places) = (good, places);
        possible
    }

    /// Whether base64 digits decode to what can hold nothing: true is certain. Of more than [`simd::MOST_DIGITS`] it says nothing.
    pub(super) fn are_noise(&mut self, kernel: &kernel::Kernel, digits: &[u8]) -> bool {
        if digits.len() > simd::MOST_DIGITS || kernel.stretch() < 4 {
            return false;
        }
        let block = simd::outline_of_digits(digits, &mut self.text);
        is_noise(kernel, &block, digits.len() * 6 / 8)
    }

    /// Looks at every stretch that is long enough for a match, or for one with an equals sign where that may be in it.
    fn in_stretches(
        &mut self,
        kernel: &kernel::Kernel,
        data: &[u8],
        good: &[u64],
        places: &[Place],
        nested: bool,
    ) -> Possible {
        let (solid, long) = (kernel.stretch(), kernel.stretch_without_equals());
        let least = |solid: u32| least_bytes(solid).clamp(3, MIN_PHRASE as u32) as usize;
        let lengthy = least(LENGTHY);
        // Encoded data is ASCII, and base32, which may be followed by other bytes, has at least eight characters.
        let is_ascii = data[..data.len().min(8)].is_ascii();
        let mut possible = Possible { rule: false, phrase: false, encoded: is_ascii, nested };
        self.text.clear();
        // At the start of the text a stretch may be shorter.
        let mut done = runs::end_of_run(good, 0);
        let mut longest = done;
        if done > 0 && done + 1 >= least(solid) {
            possible.rule = self.may_match(kernel, data, 0..done, solid);
        }
        for place in places {
            let mut bits = place.bytes;
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                bits ^= bit;
                let at = place.from + bit.trailing_zeros() as usize;
                if at < done {
                    continue;
                }
                let (start, end) = (runs::start_of_run(good, at), runs::end_of_run(good, at));
                longest = longest.max(end - start);
                let may_equal = place.equals & bit != 0;
                let solid = if may_equal { solid } else { long };
                if may_equal {
                    done = end;
                }
                if !possible.rule && end - start >= least(solid).min(lengthy) {
                    possible.rule = self.may_match(kernel, data, start..end, solid);
                }
            }
        }
        possible.phrase = longest >= MIN_PHRASE;
        if longest >= lengthy {
            let mut look = |start, end| self.may_match(kernel, data, start..end, solid);
            possible.rule = possible.rule || runs::each_in(good, least(solid) as u32, &mut look);
        }
        possible.rule = possible.rule || self.settle(kernel);
        // A match needs a window in the same place when each `+` is a space.
        possible.encoded |= possible.rule && memchr::memchr(b'+', data).is_some();
        possible
    }

    /// Adds a stretch of valid UTF-8, with nothing that is not valid beside it, to those that are searched, unless it has fewer
    /// ASCII characters in a row than a match. True if some of those that were searched, or this one, may hold a match.
    fn may_match(&mut self, kernel: &kernel::Kernel, data: &[u8], range: Range<usize>, solid: u32) -> bool {
        if range.len() > MAX_STRETCH {
            return true;
        }
        // What rules say of the start of a text, or of its end, is said of that of the stretches that are searched together.
        let (is_first, is_last) = (range.start == 0, range.end == data.len());
        let mut found = is_first && self.settle(kernel);
        let stretch = &data[range];
        self.add(stretch, solid, is_first, is_last);
        if memchr::memchr(b'+', stretch).is_some() {
            found |= (is_first || is_last) && self.settle(kernel);
            let mut spaced = std::mem::replace(&mut self.spaced, Buffer::empty());
            spaced.clear();
            spaced.extend(stretch.iter().map(|&b| if b == b'+' { b' ' } else { b }));
            self.add(&spaced, solid, is_first, is_last);
            self.spaced = spaced;
        }
        found || (is_last || self.text.len() > MAX_TEXT) && self.settle(kernel)
    }

    fn add(&mut self, stretch: &[u8], solid: u32, is_first: bool, is_last: bool) {
        let (from, before) = (self.text.len(), usize::from(is_first));
        if !is_first {
            self.text.extend_from_slice(OTHER);
        }
        let beginning = self.text.len();
        let longest = if stretch.is_ascii() {
            self.text.extend(stretch.iter().filter(|b| matches!(b, 0x20..=0x7e)));
            self.text.len() - beginning + before
        } else {
            let (longest, whole) = fold(stretch, before, &mut self.text);
            if !whole {
                self.text.truncate(beginning);
                self.text.extend_from_slice(crate::text::norm_dlp(stretch).as_bytes());
            }
            longest
        };
        if longest < solid as usize {
            self.text.truncate(from);
        } else if !is_last {
            self.text.extend_from_slice(OTHER);
        }
    }

    /// Whether there may be a match in the stretches that were added, which are then forgotten.
    fn settle(&mut self, kernel: &kernel::Kernel) -> bool {
        let may_match =
            !self.text.is_empty() && (kernel.may_match(&self.text) || kernel.holds_value(&self.text));
        self.text.clear();
        may_match
    }
}

/// What one sweep over decoded bytes gathers.
struct Sweep<'m> {
    data: &'m [u8],
    good: &'m mut [u64],
    places: &'m mut Vec<Place>,
    /// Length of a stretch that is noted, up to [`MIN_RUN`].
    noted: u32,
    /// ASCII characters of a match with an equals sign in its stretch, and without.
    solid: u32,
    long: u32,
    /// Blocks that were marked.
    blocks: usize,
    /// The block after those, of which the follower must be known.
    last: Option<Bytes>,
    /// Bytes of characters that begin in the block before.
    carried: u64,
    /// The good bytes of that, and those of them that end a long stretch.
    before: u64,
    ended: u64,
    nested: bool,
}

impl<'m> Sweep<'m> {
    fn new(
        kernel: &kernel::Kernel,
        data: &'m [u8],
        good: &'m mut [u64],
        places: &'m mut Vec<Place>,
    ) -> Sweep<'m> {
        let (solid, long) = (kernel.stretch(), kernel.stretch_without_equals());
        Sweep {
            data,
            good,
            places,
            noted: long.clamp(4, MIN_RUN),
            solid,
            long,
            blocks: 0,
            last: None,
            carried: 0,
            before: 0,
            ended: 0,
            nested: false,
        }
    }

    #[inline(always)]
    fn mark(&mut self, block: &Bytes, next: u64) {
        let Marks { good, equals, long } = marks(block, next, &mut self.carried);
        // The ends of stretches of 2, 4, 8 and 16, by the block and the one before.
        let longer = |(here, before): (u64, u64), by: u32| {
            (here & (here << by | before >> (64 - by)), before & before << by)
        };
        let two = longer((good, self.before), 1);
        let four = longer(two, 2);
        let eight = longer(four, 4);
        let sixteen = longer(eight, 8).0;
        let ended = match self.noted {
            4 => four.0,
            5..8 => longer(four, self.noted - 4).0,
            8 => eight.0,
            _ => longer(eight, self.noted - 8).0,
        };
        let first = ended & !(ended << 1 | self.ended >> 63);
        // As if hex digits followed in the next block.
        let mut escapes =
            block.percents & (block.printable >> 1 | 1 << 63) & (block.printable >> 2 | 3 << 62);
        if let Some(mask) = self.good.get_mut(self.blocks) {
            *mask = good;
        }
        self.nested |= sixteen != 0;
        let from = self.blocks * 64;
        let mut place = Place { from, bytes: 0, equals: 0 };
        let mut candidates = first | equals;
        while candidates != 0 {
            let at = candidates.trailing_zeros();
            let stretch = stretch_around(good, at);
            candidates &= !stretch;
            let may_equal = stretch & equals != 0;
            let least = if may_equal { self.solid } else { self.long.min(LENGTHY) };
            // What is not all in this block may be longer.
            if stretch & (1 | 1 << 63) != 0 || most_ascii(stretch, block.control, long) >= least {
                place.bytes |= 1 << at;
                place.equals |= u64::from(may_equal) << at;
            }
        }
        if place.bytes != 0 {
            self.places.push(place);
        }
        while escapes != 0 && !self.nested {
            self.nested = begins_an_escape(&self.data[from + escapes.trailing_zeros() as usize..]);
            escapes &= escapes - 1;
        }
        (self.before, self.ended) = (good, ended);
        self.blocks += 1;
    }

    /// Whether there is encoded data between other bytes.
    fn end(mut self) -> bool {
        if let Some(last) = self.last.take() {
            self.mark(&last, 0);
        }
        self.nested
    }
}

/// What is told of up to 64 bytes without a stretch that is long enough, as most are.
#[inline]
fn short_noise(kernel: &kernel::Kernel, data: &[u8]) -> Option<Possible> {
    let block = simd::outline_short(data);
    let Marks { good, equals, .. } = marks(&block, 0, &mut 0);
    let (solid, long) = (least_bytes(kernel.stretch()), kernel.stretch_without_equals());
    let none = good.trailing_ones() + 1 < solid
        && !runs::has(good, long.clamp(3, least_bytes(LENGTHY)).min(MIN_RUN))
        && (equals == 0 || !runs::has(good, solid));
    let encoded = data[..data.len().min(8)].is_ascii();
    let nested = block.percents & block.printable >> 1 & block.printable >> 2 != 0 && holds_an_escape(data);
    none.then_some(Possible { rule: false, phrase: false, encoded, nested })
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

impl Outlined for Sweep<'_> {
    #[inline(always)]
    fn block(&mut self, block: Bytes) {
        if let Some(last) = self.last.replace(block) {
            self.mark(&last, block.follower);
        }
    }
}

/// The neighbouring bits around one that is set.
#[inline]
fn stretch_around(good: u64, at: u32) -> u64 {
    let begin = 64 - (!good & ((1 << at) - 1)).leading_zeros();
    let length = (good >> at).trailing_ones() + at - begin;
    (u64::MAX >> (64 - length)) << begin
}

/// Most ASCII characters that a stretch may become: no character becomes more than four, and those that do have three bytes.
#[inline]
fn most_ascii(stretch: u64, control: u64, long: u64) -> u32 {
    let length = (stretch & !control).count_ones();
    if stretch & long == 0 { length } else { length.div_ceil(3) * 4 }
}

/// Whether so many bytes can hold nothing: true is certain.
#[inline]
fn is_noise(kernel: &kernel::Kernel, block: &Bytes, length: usize) -> bool {
    let Marks { good, equals, long } = marks(block, 0, &mut 0);
    let is_text = !(block.printable | block.control) & ((1 << length.min(8)) - 1) == 0;
    let escapes = block.percents & block.printable >> 1 & block.printable >> 2;
    if is_text || escapes != 0 || runs::has(good, MIN_RUN) {
        return false;
    }
    let most = |stretch: u64| most_ascii(stretch, block.control, long);
    let (solid, loose) = (kernel.stretch(), kernel.stretch_without_equals());
    // What rules say about the start of a text counts as a character.
    if most(good & !good.wrapping_add(1)) + 1 >= solid.min(loose) {
        return false;
    }
    let holds = |mut places: u64, least: u32| {
        while places != 0 {
            let stretch = stretch_around(good, places.trailing_zeros());
            if most(stretch) >= least {
                return true;
            }
            places &= !stretch;
        }
        false
    };
    !holds(equals & good, solid) && !holds(runs::beginnings(good, loose.clamp(1, MIN_RUN)), loose)
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
