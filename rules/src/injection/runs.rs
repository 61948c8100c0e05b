//! Normalising text piece by piece. Nearly all characters become one character whatever stands around them: ASCII, most
//! letters of most scripts, single look-alikes. What they become is remembered, and only the runs in between, which hold
//! marks, invisible characters and the like, go through the tables.
//!
//! That is exact because the last step decomposes: joining a letter with its marks only matters for a letter that the
//! look-alike map would have changed, and such a letter is taken into the run of the marks that follow it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};

use unicode_normalization::{IsNormalized, is_nfkc_quick};

use super::views::{is_hidden, thorough_run};
use crate::text::{is_nonspacing_mark, norm_match_str};

/// Characters whose result is remembered: the planes with the scripts and the pictographs.
const REMEMBERED: usize = 0x2_0000;
/// The character needs its surroundings.
const CONTEXT: u32 = 1;

/// Bytes looked at together.
const BLOCK: usize = 32;

const fn is_plain(b: u8) -> bool {
    matches!(b, 0x20..=0x7e | b'\t' | b'\n' | b'\r')
}

/// Length of the longest start of `bytes` that is printable ASCII and the three kept controls, which no step changes.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    // In text of another script a run of ASCII is short.
    let near = bytes.iter().take(BLOCK).take_while(|&&b| is_plain(b)).count();
    if near < BLOCK {
        return near;
    }
    // Without an early exit inside a block all its bytes are compared at once.
    let blocks = bytes.chunks_exact(BLOCK);
    let whole =
        blocks.take_while(|block| block.iter().fold(0, |bad, &b| bad | other(b)) == 0).count() * BLOCK;
    whole + bytes[whole..].iter().take_while(|&&b| is_plain(b)).count()
}

/// 1 for a byte that is not plain: the same test without branches.
const fn other(b: u8) -> u8 {
    let printable = b.wrapping_sub(b' ') < 0x5f;
    !(printable | (b == b'\t') | (b == b'\n') | (b == b'\r')) as u8
}

/// The character is removed before anything else happens.
const REMOVED: u32 = 2;

/// What a character becomes by itself: 0 for not known yet, [`CONTEXT`], [`REMOVED`], or the character's number plus 3.
fn alone(c: char) -> u32 {
    static TABLE: [AtomicU32; REMEMBERED] = [const { AtomicU32::new(0) }; REMEMBERED];
    let Some(cell) = TABLE.get(c as usize) else { return CONTEXT };
    let known = cell.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    let found = look_up(c);
    cell.store(found, Ordering::Relaxed);
    found
}

fn look_up(c: char) -> u32 {
    if is_hidden(c) {
        return REMOVED;
    }
    let mut buffer = [0; 4];
    let text = &*c.encode_utf8(&mut buffer);
    let normalised = norm_match_str(text);
    let mut chars = normalised.chars();
    let (Some(one), None) = (chars.next(), chars.next()) else { return CONTEXT };
    // Marks are put in order, also those that take up space.
    let stands_alone = |c: char| {
        is_nfkc_quick(std::iter::once(c)) != IsNormalized::Maybe
            && !is_nonspacing_mark(c)
            && unicode_normalization::char::canonical_combining_class(c) == 0
    };
    // A character that the thorough form reads differently is left to the runs, so that text without runs has only
    // one form.
    let same = thorough_run(text) == *normalised;
    if same && stands_alone(c) && stands_alone(one) { one as u32 + 3 } else { CONTEXT }
}

/// Normalises `text`, using `fold` for runs of characters that need their surroundings. Says whether there were any,
/// or characters that were removed.
pub(super) fn by_runs<'t>(text: Cow<'t, str>, fold: impl Fn(&str) -> Cow<'_, str>) -> (Cow<'t, str>, bool) {
    let first = plain_prefix(text.as_bytes());
    if first == text.len() {
        return (text, false);
    }
    let mut out = String::with_capacity(text.len());
    let (mut had_runs, mut had_removed) = (false, false);
    let (mut kept, mut rest) = text.split_at(first);
    while !(kept.is_empty() && rest.is_empty()) {
        out.push_str(kept);
        // A run begins with the first character that needs one, or with a changed character directly before it.
        let (mut run, mut at) = (None, 0);
        let mut changed = None;
        for (here, c) in rest.char_indices() {
            at = here;
            if c.is_ascii() && is_plain(c as u8) {
                break;
            }
            match alone(c) {
                CONTEXT => {
                    run.get_or_insert_with(|| changed.map_or(here, |(start, _)| start));
                    changed = None;
                }
                REMOVED => had_removed = true,
                // Past the end of a run.
                _ if run.is_some() => break,
                becomes => {
                    if let Some((_, before)) = changed.take() {
                        out.push(before);
                    }
                    let becomes = char::from_u32(becomes - 3).unwrap_or(c);
                    if becomes == c {
                        out.push(c);
                    } else {
                        changed = Some((here, becomes));
                    }
                }
            }
            at = here + c.len_utf8();
        }
        if let Some((_, before)) = changed {
            out.push(before);
        }
        if let Some(start) = run {
            had_runs = true;
            out.push_str(&fold(&rest[start..at]));
        }
        rest = &rest[at..];
        let plain = plain_prefix(rest.as_bytes());
        (kept, rest) = rest.split_at(plain);
    }
    (Cow::Owned(out), had_runs || had_removed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::injection::views::{normalised, normalised_noting, spaced, thorough};
    use crate::text::norm_match;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn normalising_by_runs_equals_normalising_the_whole(
            text in "(\\PC|[a-e \x00\x0b\u{300}\u{308}\u{327}\u{345}\u{ad}\u{200b}\u{1100}\u{1161}\u{11a8}\u{3099}\u{302e}\u{1d165}\u{1d15e}\u{16ff0}\u{9c7}\u{9be}\u{ffc2}\u{ff9e}\u{ff76}\u{fb01}\u{a8}Øøеёиαό]){0,24}"
        ) {
            let (form, had_runs) = normalised_noting(&text);
            prop_assert_eq!(&form, &norm_match(text.as_bytes()), "{:?}", text);
            prop_assert_eq!(thorough(&text), thorough_run(&text), "{:?}", text);
            if !had_runs {
                prop_assert_eq!(spaced(&text, &form), None, "{:?}", text);
                prop_assert_eq!(&thorough(&text), &form, "{:?}", text);
            }
        }
    }

    #[test]
    fn marks_that_take_up_space_are_put_in_order() {
        let text = "\u{1d15e}\u{16ff0}";
        assert_eq!(normalised(text.as_bytes()), norm_match(text.as_bytes()));
    }

    #[test]
    fn every_character_alone_becomes_what_the_tables_say() {
        for c in '\0'..='\u{1ffff}' {
            let text = c.to_string();
            assert_eq!(normalised(text.as_bytes()), norm_match(text.as_bytes()), "{c:?}");
        }
    }
}
