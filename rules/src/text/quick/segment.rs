//! A letter and what may compose with it.

use unicode_normalization::char::{
    canonical_combining_class, compose, decompose_canonical, decompose_compatible,
};

use super::super::{confusable, is_nonspacing_mark};
use super::characters::{Entry, Sort, entry, letters, text};
use super::{Kind, decode};

/// Normalises a stretch within which characters may compose; beyond, nothing does.
pub(super) struct Segment {
    /// Characters and their combining classes.
    chars: Vec<(char, u8)>,
    /// Marks are in order.
    sorted: bool,
}

impl Segment {
    pub(super) fn new() -> Segment {
        Segment { chars: Vec::new(), sorted: true }
    }

    /// Appends what becomes of the character at `base` and of all after it that may compose with what stands before them; of
    /// these alone where `base` is `at`, which is one of them. Returns where they end, and the flags of what was appended.
    pub(super) fn normalise(
        &mut self,
        kind: Kind,
        input: &[u8],
        base: usize,
        mut at: usize,
        out: &mut Vec<u8>,
    ) -> (usize, u32) {
        self.chars.clear();
        self.sorted = true;
        let mut removed = 0;
        if base < at
            && let Some((c, len)) = decode(&input[base..])
        {
            self.push(c);
            at = base + len;
        }
        while let Some(&byte) = input.get(at) {
            match byte {
                0x20..0x7f => break,
                b'\t' | b'\n' | b'\r' if kind != Kind::Dlp => break,
                0..0x80 => {
                    removed = Entry::GONE;
                    at += 1;
                }
                _ => {
                    let Some((c, len)) = decode(&input[at..]) else { break };
                    match entry(c).sort() {
                        Sort::Mark | Sort::Drops | Sort::Hard => self.push(c),
                        Sort::Gone => removed = Entry::GONE,
                        Sort::Space if kind == Kind::Dlp => {}
                        _ => break,
                    }
                    at += len;
                }
            }
        }
        if !self.sorted {
            self.chars
                .chunk_by_mut(|&(_, a), &(_, b)| a != 0 && b != 0)
                .for_each(|marks| marks.sort_by_key(|&(_, class)| class));
        }
        (at, removed | self.compose(out))
    }

    fn push(&mut self, c: u32) {
        let Some(c) = char::from_u32(c) else { return };
        decompose_compatible(c, |part| {
            let class = canonical_combining_class(part);
            self.sorted &= class == 0 || self.chars.last().is_none_or(|&(_, last)| last <= class);
            self.chars.push((part, class));
        });
    }

    /// Appends the characters, composed, each as it is when it stands alone.
    fn compose(&mut self, out: &mut Vec<u8>) -> u32 {
        let mut flags = 0;
        let mut rest = self.chars.as_mut_slice();
        // Marks without a letter.
        let marks = rest.iter().take_while(|&&(_, class)| class != 0).count();
        let (before, from) = rest.split_at_mut(marks);
        before.iter().for_each(|&(mark, _)| flags |= push(mark, out));
        rest = from;
        while let Some(&mut (mut letter, _)) = rest.first_mut() {
            // What does not compose with the letter is moved to the front.
            let (mut kept, mut last, mut next) = (1, 0, 1);
            while let Some(&(c, class)) = rest.get(next) {
                let blocked = kept > 1 && last >= class;
                if let Some(composed) = (!blocked).then(|| compose(letter, c)).flatten() {
                    letter = composed;
                } else if class == 0 {
                    break;
                } else {
                    rest[kept] = (c, class);
                    (kept, last) = (kept + 1, class);
                }
                next += 1;
            }
            flags |= push(letter, out);
            rest[1..kept].iter().for_each(|&(mark, _)| flags |= push(mark, out));
            rest = &mut rest[next..];
        }
        flags
    }
}

/// Appends what becomes of a composed character.
fn push(c: char, out: &mut Vec<u8>) -> u32 {
    let mut utf8 = [0; 4];
    if c.is_ascii() {
        out.push(c as u8);
        return 0;
    }
    let entry = entry(c.into());
    let utf8_length = c.encode_utf8(&mut utf8).len();
    if let Some((bytes, length)) = entry.bytes(utf8, utf8_length) {
        out.extend_from_slice(&bytes[..length]);
        return entry.flags();
    }
    match entry.sort() {
        Sort::Long => out.extend_from_slice(text(c.into()).as_bytes()),
        Sort::Hangul => {
            let (bytes, length) = letters(c.into());
            out.extend_from_slice(&bytes[..length]);
        }
        Sort::Mark | Sort::Drops if is_nonspacing_mark(c) => {}
        // What is invisible is removed before anything composes.
        _ => {
            decompose_canonical(confusable(c).unwrap_or(c), |part| {
                if !is_nonspacing_mark(part) {
                    out.extend_from_slice(part.encode_utf8(&mut utf8).as_bytes());
                }
            });
            return Entry::UNSETTLED | Entry::UNSEEN;
        }
    }
    entry.flags()
}
