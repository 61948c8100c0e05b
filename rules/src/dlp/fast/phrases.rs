//! Whether a text may hold a seed phrase (spec: dlp §10).

use super::*;

impl Search<'_> {
    /// True when no candidate of the seed detector holds a phrase (spec: dlp §10). Whole texts and pieces that decode
    /// were looked at together with the rules; here is what differs because line ends are kept.
    pub(super) fn no_phrase(
        &mut self,
        &Texts { input, norm, views, .. }: &Texts<'_>,
        overview: &Overview,
        settings: SeedSettings,
        no_words: &mut bool,
    ) -> bool {
        let min_words = settings.min_words;
        let mut kept = Buffer::new();
        let kept = views.map(|views| views.for_phrases(&mut kept));
        *no_words = match kept {
            Some(kept) => !seed::possible(kept, min_words, AnyPunctuation),
            None => !overview.may_hold_words(input, min_words),
        };
        // A space for each plus sign makes no words. Percent signs come out of both normalisations alike.
        let escapes = overview.holds_percents(norm);
        let whole = overview.pieces || may_decode(input);
        if *no_words && !escapes && !whole {
            return true;
        }
        let mut buffer = Buffer::new();
        let text = match kept {
            _ if overview.keeps_lines() => input,
            Some(kept) => kept,
            None => norm_match_quick(input, &mut buffer).unwrap_or(input),
        };
        let mut checks = Checks::of(self.s.strictness);
        // In a few megabytes of prose there are enough words in a row by chance.
        let mut holds = |text: &[u8]| {
            seed::possible(text, min_words, Separators)
                && (seed::holds_disguised_letter(text) || seed::detect_in_rows(text, settings, &mut checks))
        };
        // Words with separators between them are words with anything between them.
        if !*no_words && holds(text) {
            return false;
        }
        if (escapes || !*no_words)
            && let Cow::Owned(decoded) = percent_decode_all(text)
            && holds(&decoded)
        {
            return false;
        }
        self.checks_spent = checks.spent();
        if text.len() < MIN_PHRASE {
            return true;
        }
        let mut masks = std::mem::replace(&mut self.masks, Buffer::empty());
        let mut decoded = std::mem::replace(&mut self.noise, Buffer::empty());
        let mut decodes_to_phrase = |piece: &[u8]| {
            let holds = |d: &[u8]| d.len() >= MIN_PHRASE && seed::possible(d, min_words, Separators);
            let hex = || consists_of(piece, &HEX).then(|| decode::hex(piece)).flatten();
            let b32 = || {
                consists_of(&piece[..piece.len().min(3)], &BASE32).then(|| decode::base32(piece)).flatten()
            };
            (consists_of(piece, &BASE64)
                && decode::base64_into(piece, &mut decoded).is_some()
                && holds(&decoded))
                || hex().is_some_and(|d| holds(&d))
                || b32().is_some_and(|d| holds(&d))
        };
        // What the normalisation for rules leaves as it is was looked at with them: all of a printable text and, in one that
        // holds nothing but line ends and tabs beside, the pieces that do not touch one.
        let (printable, kept) = (overview.is_printable(), overview.keeps_lines());
        let trimmed = text.trim_ascii();
        let is_line = |at: usize| text.get(at).is_some_and(|&b| parts_lines(b));
        let is_end = |at: usize| text.get(at).is_none_or(|&b| is_delimiter(b));
        let returns = !printable && memchr::memchr(b'\r', text).is_some();
        let found = !(printable && trimmed.len() == text.len()) && decodes_to_phrase(trimmed)
            || !printable
                && overview.pieces
                && runs::each(text, &LINE_PIECE, MIN_ENCODED_PHRASE, &mut masks, |start, end| {
                    let before = start.wrapping_sub(1);
                    let changes = !kept
                        || is_end(before)
                            && is_end(end)
                            && (is_line(before)
                                || is_line(end)
                                || returns && memchr::memchr(b'\r', &text[start..end]).is_some());
                    changes && decodes_to_phrase(&text[start..end])
                });
        self.masks = masks;
        self.noise = decoded;
        !found
    }
}

/// Whether a text, normalised for seed phrases, may be base64, hex or base32 as a whole. The normalisation leaves what stands
/// before the first character that it changes, and the white space that is no part of such a text is at its ends.
fn may_decode(input: &[u8]) -> bool {
    let head = &input[..input.len().min(256)];
    let kept =
        head.iter().position(|b| !matches!(b, b' '..=b'~' | b'\t' | b'\n' | b'\r')).unwrap_or(head.len());
    let head = head[..kept].trim_ascii();
    let all = |class: &Class| head.iter().all(|&b| class.has(b));
    all(&BASE64) || all(&HEX) || head.iter().take(3).all(|&b| BASE32.has(b))
}
