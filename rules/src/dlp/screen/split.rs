//! Values that begin or end within a character, as those of a query in another encoding than UTF-8 do.
//!
//! Such a value is cut into the bytes that a character before it may go on with, the first bytes of a character that it does
//! not end, and what lies between. A join is then made of these parts, and where two values meet, of what the bytes at
//! that place become together.

use super::Values;
use crate::scratch::Buffer;
use crate::text;

/// More parts than this are not looked at.
const MOST_PARTS: usize = 256;

/// Normalised texts of which every join of the values, in order, is one; some joins of them are not joins of the values. `None`
/// when what stands at a place where values meet depends on more than these.
pub(super) fn parts(values: &Values) -> Option<Values> {
    let mut parts = Values::default();
    let mut buffer = Buffer::new();
    let mut push = |text: &[u8]| {
        let text = text::norm_dlp_quick(text, &mut buffer).unwrap_or(text);
        parts.push_with(|out| out.extend_from_slice(text));
        (parts.len() < MOST_PARTS).then_some(())
    };
    let mut tails: Vec<&[u8]> = vec![&[]];
    for value in values.iter().filter(|value| !value.is_empty()) {
        let (head, middle, tail) = cut(value);
        // Or a character may have bytes of three values.
        if head.len() == value.len() || !text::begins_anew(middle) {
            return None;
        }
        for before in &tails {
            let joint = [before, head].concat();
            // The other bytes of a character without its first belong to none.
            if !before.is_empty() && !text::begins_anew(&joint) {
                return None;
            }
            if !joint.is_empty() {
                push(&joint)?;
            }
        }
        push(middle)?;
        if !tail.is_empty() {
            push(tail)?;
        }
        if !tails.contains(&tail) {
            tails.push(tail);
        }
    }
    Some(parts)
}

/// The bytes at the start of a text that only go on with a character, the first ones of a character at its end, and all between.
fn cut(text: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let follows = |b: &u8| b & 0xC0 == 0x80;
    let (head, rest) = text.split_at(text.iter().take_while(|b| follows(b)).count());
    let ends = (1..=rest.len().min(3)).map(|length| rest.split_at(rest.len() - length)).find(|(_, end)| {
        let length = match end[0] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 0,
        };
        length > end.len() && end[1..].iter().all(follows)
    });
    let (middle, tail) = ends.unwrap_or((rest, &[]));
    (head, middle, tail)
}
