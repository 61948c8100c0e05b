//! What is between delimiters, decoded piece by piece.

use super::super::recent::Recent;
use super::encoded::MIN_RUN;
use super::*;

impl Search<'_> {
    /// The pieces between delimiters that lead to a match (spec: dlp §8.6a). `whole`: the text may, decoded as a whole.
    pub(super) fn pieces(
        &mut self,
        norm: &[u8],
        percent: Percent,
        survey: &Survey<'_>,
        whole: bool,
        found: &mut Vec<Range<usize>>,
    ) {
        let complete = |start: usize, end: usize| {
            (start == 0 || is_delimiter(norm[start - 1])) && norm.get(end).is_none_or(|&b| is_delimiter(b))
        };
        let mut masks = std::mem::replace(&mut self.masks, Buffer::empty());
        let spaced = std::mem::replace(&mut self.spaced, Buffer::empty());
        let only_phrases = self.only_phrases;
        let percent = if only_phrases { Percent::Nothing } else { percent };
        class_masks(&PIECE.low, &PIECE.high, norm, &mut masks);
        let is_spaced_hex = |piece: Range<usize>| consists_of(&spaced[piece], &HEX);
        // Pieces that lead to nothing.
        let mut recent = Recent::new();
        let mut look = |start: usize, end: usize| {
            if !complete(start, end) {
                return false;
            }
            let piece = &norm[start..end];
            let mut encoded = || {
                if !survey.all_digits(start, end) {
                    return self.other_steps(piece, 0).0;
                }
                let Some(silent) = self.silent_digits(piece, &mut recent) else { return true };
                let is_run = |at: Option<&u8>| at.is_some_and(|&b| is_run(b));
                if piece.len() >= MIN_RUN as usize && !is_run(norm[..start].last()) && !is_run(norm.get(end))
                {
                    survey.note_silent(start, end, silent);
                }
                false
            };
            let is_whole = piece.len() == norm.len();
            let leads = (whole || !is_whole) && encoded()
                || match percent {
                    Percent::Nothing => false,
                    // Rules were searched in the whole text, and no other decoder takes spaces.
                    Percent::Pluses => {
                        is_spaced_hex(start..end)
                            && survey.percent(start, end)
                            && self.recurse(&spaced[start..end], 1)
                    }
                    _ if !survey.percent(start, end) => false,
                    Percent::Escapes => self.percent_step(piece),
                    Percent::Apart => {
                        is_spaced_hex(start..end) && self.recurse(&spaced[start..end], 1)
                            || self.percent_step(piece)
                    }
                };
            if leads {
                found.push(start..end);
            }
            leads && only_phrases
        };
        // Twice, so that each is a loop for runs of one length.
        if only_phrases {
            runs::each_in(&masks, MIN_ENCODED_PHRASE, look);
        } else {
            runs::each_in(&masks, MIN_PIECE, &mut look);
        }
        self.masks = masks;
        let in_order = found.len();
        match percent {
            Percent::Nothing => {}
            Percent::Pluses => self.rule_in_pieces(norm, &spaced, found),
            Percent::Escapes => self.other_pieces(norm, found),
            Percent::Apart => {
                self.rule_in_pieces(norm, &spaced, found);
                self.other_pieces(norm, found);
            }
        }
        if found.len() > in_order {
            found.sort_unstable_by_key(|piece| piece.start);
            found.dedup();
        }
        self.spaced = spaced;
    }

    /// What is known of a piece of digits that leads to nothing; `None` of one that may lead to something.
    fn silent_digits<'t>(&mut self, piece: &'t [u8], recent: &mut Recent<'t, Silent>) -> Option<Silent> {
        let mut silent = Silent::default();
        let is_base64 = piece.len() % 4 != 1;
        let others = may_be_hex_or_base32(piece);
        if is_base64 && self.stretches.are_noise(&self.s.kernel, piece) {
            silent.base64 = Silence::Throughout;
            if !others {
                return Some(silent);
            }
        }
        if let Some(known) = recent.of(piece) {
            return Some(known);
        }
        if is_base64 && silent.base64 == Silence::Unknown {
            let (found, base64) = self.digits_step(piece);
            if found {
                return None;
            }
            silent.base64 = base64;
        }
        if others {
            let (found, told) = self.other_steps(piece, 0);
            if found {
                return None;
            }
            silent = Silent { base64: silent.base64, ..told };
        }
        recent.remember(piece, silent);
        Some(silent)
    }

    fn percent_step(&mut self, text: &[u8]) -> bool {
        let decoded = percent_decode_all(text);
        *decoded != *text && (self.in_decoded(&decoded) || self.recurse(&decoded, 1))
    }

    /// Pieces with a `+` in which rules may match although they do not match in the whole text.
    fn rule_in_pieces(&mut self, norm: &[u8], spaced: &[u8], found: &mut Vec<Range<usize>>) {
        let places = std::mem::replace(&mut self.places, Buffer::empty());
        let mut done = 0;
        for at in places.iter().map(|&at| at as usize) {
            if at < done {
                continue;
            }
            let piece = piece_around(norm, at);
            done = piece.end;
            if piece.len() >= MIN_PIECE as usize
                && memchr::memchr(b'+', &norm[piece.clone()]).is_some()
                && self.in_decoded(&spaced[piece.clone()])
            {
                found.push(piece);
            }
        }
        self.places = places;
    }

    /// Pieces with other characters change by percent-decoding alone.
    fn other_pieces(&mut self, norm: &[u8], found: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(next) = memchr::memchr2(b'%', b'+', &norm[at..]) {
            let range = piece_around(norm, at + next);
            at = range.end;
            let piece = &norm[range.clone()];
            if piece.len() >= MIN_PIECE as usize && !consists_of(piece, &PIECE) && self.percent_step(piece) {
                found.push(range);
            }
        }
    }
}

/// Whether digits may be hex or base32, as far as the first of them tell.
#[inline]
fn may_be_hex_or_base32(digits: &[u8]) -> bool {
    const CLASSES: [u8; 256] = {
        let mut classes = [0; 256];
        let mut b = 0;
        while b < 256 {
            classes[b] = HEX.has(b as u8) as u8 | (BASE32.has(b as u8) as u8) << 1;
            b += 1;
        }
        classes
    };
    digits.iter().take(8).fold(3, |all, &b| all & CLASSES[usize::from(b)]) != 0
}

/// The piece between delimiters that holds a byte, which is not one.
fn piece_around(text: &[u8], at: usize) -> Range<usize> {
    let start = text[..at].iter().rposition(|&b| is_delimiter(b)).map_or(0, |before| before + 1);
    let end = text[at..].iter().position(|&b| is_delimiter(b)).map_or(text.len(), |length| at + length);
    start..end
}
