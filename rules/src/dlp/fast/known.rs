//! Search for known secrets in all their written forms at once.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::super::canary::Canaries;
use super::super::{SecretForm, Secrets};
use super::shape::{Set, frequency};
use super::windows::Windows;

/// Forms whose windows are searched for together with those of the rules.
const MOST_TOGETHER: usize = 128;
/// Shorter secrets are not looked for in what was decoded, bytes.
const SHORTEST_VALUE: usize = 8;

/// Finds out whether any known secret may be in a text.
#[derive(Default)]
pub(in super::super) enum Known {
    /// There are no secrets.
    #[default]
    Nothing,
    /// Windows, then the whole form: those of each window in lower case.
    Windowed { windows: Windows, needles: Vec<Needle>, by_window: HashMap<[u8; 4], Vec<u32>> },
    /// Some are shorter than a window: an automaton that ignores case.
    Automaton(AhoCorasick),
    /// An automaton that could not be built: the exact search always runs.
    Unknown,
}

pub(in super::super) struct Needle {
    bytes: Vec<u8>,
    /// Hex is found in any case.
    any_case: bool,
    /// Where in the needle its window is.
    offset: usize,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known(..)")
    }
}

impl Known {
    pub(in super::super) fn new(lists: &[&Secrets]) -> Known {
        let forms = lists.iter().flat_map(|l| l.iter()).flat_map(|s| s.needles());
        let needle = |(form, bytes): &(SecretForm, Vec<u8>)| Needle {
            bytes: bytes.clone(),
            any_case: *form == SecretForm::Hex,
            offset: 0,
        };
        Known::of(forms.map(needle).collect())
    }

    /// Finds out whether a secret as it is, normalised, or a canary may be in a normalised text: of those that consist of
    /// printable ASCII characters.
    pub(in super::super) fn values(lists: &[&Secrets], canaries: &Canaries) -> Known {
        let secrets = lists.iter().flat_map(|l| l.iter()).map(|secret| (secret.normalised(), false));
        let canaries = canaries.values().map(|value| (value.as_bytes(), true));
        let is_searched =
            |(bytes, _): &(&[u8], bool)| bytes.len() >= SHORTEST_VALUE && crate::text::is_printable(bytes);
        let needle = |(bytes, any_case): (&[u8], bool)| Needle { bytes: bytes.into(), any_case, offset: 0 };
        Known::of(secrets.chain(canaries).filter(is_searched).map(needle).collect())
    }

    /// Bytes of the shortest.
    pub(super) fn shortest(&self) -> Option<usize> {
        match self {
            Known::Windowed { needles, .. } => needles.iter().map(|needle| needle.bytes.len()).min(),
            Known::Nothing | Known::Automaton(_) | Known::Unknown => None,
        }
    }

    fn of(mut needles: Vec<Needle>) -> Known {
        if needles.is_empty() {
            return Known::Nothing;
        }
        if needles.iter().any(|n| n.bytes.len() < 4) {
            let built =
                AhoCorasick::builder().ascii_case_insensitive(true).build(needles.iter().map(|n| &n.bytes));
            return built.map_or(Known::Unknown, Known::Automaton);
        }
        for needle in &mut needles {
            let rarity = |w: &[u8]| w.iter().map(|&b| frequency(b) as u128).product::<u128>();
            let windows = needle.bytes.windows(4).enumerate();
            let (offset, _) = windows.min_by_key(|(_, w)| rarity(w)).unwrap_or((0, &needle.bytes));
            needle.offset = offset;
        }
        let windows = Windows::plan(&needles.iter().zip(0..).map(|(n, i)| n.window(i)).collect::<Vec<_>>());
        let mut by_window: HashMap<[u8; 4], Vec<u32>> = HashMap::new();
        for (needle, number) in needles.iter().zip(0..) {
            if let Some(window) = window_at(&needle.bytes, needle.offset) {
                by_window.entry(window).or_default().push(number);
            }
        }
        Known::Windowed { windows, needles, by_window }
    }

    /// Whether every form consists of characters that the normalisation leaves as they are, each for itself. What is in no
    /// normalised text is then not in the text either.
    pub(in super::super) fn is_kept(&self) -> bool {
        match self {
            Known::Nothing => true,
            Known::Windowed { needles, .. } => needles.iter().all(|n| crate::text::is_printable(&n.bytes)),
            Known::Automaton(_) | Known::Unknown => false,
        }
    }

    /// The windows of all forms, with numbers from one on, where there are few enough to be searched for together with others.
    pub(super) fn windows(&self, first: u32) -> Option<Vec<([Set; 4], [Set; 4], u32)>> {
        match self {
            Known::Windowed { needles, .. } if needles.len() <= MOST_TOGETHER => {
                Some(needles.iter().zip(first..).map(|(n, i)| n.window(i)).collect())
            }
            _ => None,
        }
    }

    /// Whether the form with a number stands where its window is.
    pub(super) fn is_at(&self, number: usize, text: &[u8], window: usize) -> bool {
        match self {
            Known::Windowed { needles, .. } => needles.get(number).is_none_or(|n| n.is_at(text, window)),
            Known::Nothing | Known::Automaton(_) | Known::Unknown => true,
        }
    }

    /// False is certain.
    pub(in super::super) fn possible(&self, text: &[u8]) -> bool {
        match self {
            Known::Nothing => false,
            Known::Unknown => true,
            Known::Automaton(automaton) => automaton.is_match(text),
            Known::Windowed { windows, needles, by_window } => windows.search(text, |at, _| {
                let numbers = window_at(text, at).and_then(|window| by_window.get(&window));
                numbers.is_some_and(|all| all.iter().any(|&number| needles[number as usize].is_at(text, at)))
            }),
        }
    }
}

/// Four bytes from a place on, in lower case.
fn window_at(text: &[u8], at: usize) -> Option<[u8; 4]> {
    text.get(at..)?.first_chunk::<4>().map(|window| window.map(|b| b.to_ascii_lowercase()))
}

impl Needle {
    /// Its window, what follows that, and a number.
    fn window(&self, number: u32) -> ([Set; 4], [Set; 4], u32) {
        let set = |b: u8| {
            let mut set = Set::one(b);
            if self.any_case {
                set.add(b.to_ascii_uppercase());
            }
            set
        };
        let at = |i: usize| self.bytes.get(self.offset + i).map_or(Set::ALL, |&b| set(b));
        (std::array::from_fn(at), std::array::from_fn(|i| at(4 + i)), number)
    }

    fn is_at(&self, text: &[u8], window: usize) -> bool {
        let Some(start) = window.checked_sub(self.offset) else { return false };
        let Some(found) = text.get(start..start + self.bytes.len()) else { return false };
        if self.any_case { found.eq_ignore_ascii_case(&self.bytes) } else { found == self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_each_of_many_secrets_is_found_as_by_the_exact_search() {
        let value = |i: usize| {
            format!("v{}/{:x}_{}", (i + 1000) * 7919, (i + 3000) * 104_729, ["Qm", "zz-", "0"][i % 3])
        };
        for count in [1, 12, 40, 400] {
            let secrets = Secrets::from_env((0..count).map(|i| (format!("N{i}"), value(i))), 10);
            assert!(secrets.len() > count * 9 / 10, "{count}");
            let known = Known::new(&[&secrets]);
            for secret in secrets.iter() {
                for (form, needle) in secret.needles() {
                    let mut text = [b"a line of text: ".as_slice(), needle, b" and more"].concat();
                    assert!(known.possible(&text), "{form:?}");
                    text.make_ascii_uppercase();
                    let found = secrets.find(&[&text]).is_some();
                    assert_eq!(known.possible(&text), found, "{form:?} in capitals");
                    text.make_ascii_lowercase();
                    text[16 + needle.len() / 2] ^= 1;
                    let found = secrets.find(&[&text]).is_some();
                    assert_eq!(known.possible(&text), found, "{form:?} with another byte");
                }
            }
            assert!(!known.possible(b"none of them is in this text, nor v7919000/12ba"));
        }
    }
}
