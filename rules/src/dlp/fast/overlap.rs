//! Matches of validated rules that successive leftmost matches step over (hardened strictness only).

use std::ops::Range;

use super::super::Validator;
use super::super::validate::{LONGEST_CARD, SHORTEST_CARD, may_be_wif};
use super::runs::{self, Class};
use super::shape;

/// Characters of wallet keys.
const BASE58: Class = Class::new(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz");

/// Whether some run of such letters is long enough for a wallet key that begins in it as keys do.
pub(super) fn may_hold_key(text: &[u8], masks: &mut Vec<u64>) -> bool {
    memchr::memchr3(b'5', b'K', b'L', text).is_some()
        && runs::each(text, &BASE58, 51, masks, |start, end| beginnings(text, start..end).next().is_some())
}

/// Where wallet keys may begin in a run of at least 51 base58 letters.
fn beginnings(text: &[u8], run: Range<usize>) -> impl Iterator<Item = usize> {
    let firsts = memchr::memchr3_iter(b'5', b'K', b'L', &text[run.start..run.end - 50]);
    firsts.map(move |at| run.start + at).filter(move |&at| may_be_wif(&text[at..run.end]))
}

/// Whether a valid wallet key starts anywhere in a run of base58 letters; at most `most` starts are tried, and `None` says
/// that there were more.
pub(in super::super) fn keys_anywhere(text: &[u8], most: usize) -> Option<bool> {
    let mut left = most;
    let ended = runs::each(text, &BASE58, 51, &mut crate::scratch::Buffer::new(), |start, end| {
        for at in beginnings(text, start..end) {
            let len = if text[at] == b'5' { 51 } else { 52 };
            if left == 0 {
                return true;
            }
            left -= 1;
            let key = text.get(at..at + len).filter(|_| at + len <= end);
            if key.and_then(|k| std::str::from_utf8(k).ok()).is_some_and(|k| Validator::Wif.check(k)) {
                left = usize::MAX;
                return true;
            }
        }
        false
    });
    match (ended, left) {
        (false, _) => Some(false),
        (true, usize::MAX) => Some(true),
        (true, _) => None,
    }
}

/// Decimal digits in the shortest card number and the group behind it. Nineteen digits, four more and single separators
/// between all of the first and before the others make the longest.
pub(super) const MIN_CARD: u32 = SHORTEST_CARD as u32 + 3;

/// Whether a valid card number stands before a separate group of three or four digits, as in number and code, or before the month
/// and year of its end, of which some part is in a range of a text.
pub(in super::super) fn cards_with_a_tail(text: &[u8], range: Range<usize>) -> bool {
    const CARD: Class = Class::new(b"0123456789 -");
    let other = |b: &u8| !CARD.has(*b);
    let end = range.end.min(text.len());
    let end = text[end..].iter().position(other).map_or(text.len(), |length| end + length);
    let start = text[..range.start.min(end)].iter().rposition(other).unwrap_or(0);
    let text = &text[start..end];
    runs::each(text, &CARD, MIN_CARD, &mut crate::scratch::Buffer::new(), |start, end| {
        let run = &text[start..end];
        let digit = |i: usize| run.get(i).is_some_and(u8::is_ascii_digit);
        if start > 0 && shape::is_word(text[start - 1]) && digit(0) {
            return false;
        }
        (0..run.len()).filter(|&i| digit(i) && (i == 0 || !digit(i - 1))).any(|first| {
            let mut at = first;
            let mut digits = 0;
            // Groups with single separators; a boundary after a card number that is followed by a short group.
            while digits < LONGEST_CARD {
                let group = (at..at + 20).take_while(|&i| digit(i)).count();
                if group == 0 || (digits == 0 && group < 4) {
                    return false;
                }
                digits += group;
                at += group;
                let tail = (at + 1..at + 6).take_while(|&i| digit(i)).count();
                let is_month = || {
                    let month = run
                        .get(at + 1..)
                        .filter(|tail| matches!(tail, [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2']));
                    month.is_some() && matches!(text.get(end..), Some([b'/', b'0'..=b'9', ..]))
                };
                if (SHORTEST_CARD..=LONGEST_CARD).contains(&digits)
                    && ((3..=4).contains(&tail) && at + 1 + tail >= run.trim_ascii_end().len() || is_month())
                    && std::str::from_utf8(&run[first..at]).is_ok_and(|card| Validator::Luhn.check(card))
                {
                    return true;
                }
                at += 1;
            }
            false
        })
    })
}
