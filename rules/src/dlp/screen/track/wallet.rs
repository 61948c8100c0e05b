//! Wallet keys: in every run of letters and digits but 0, successive stretches of 51 characters after a 5 and 52 after K or L,
//! of which each one is checked and, valid or not, left behind. (spec: dlp §2.2 rule 40, §6.5)

use super::super::super::Validator;
use super::super::super::validate::may_be_wif;
use super::Track;

const LONGEST: usize = 52;

/// What every valid key looks like.
pub(super) const VALID: &str = "5[HJK][1-9A-HJ-NP-Za-km-z]{49}|(?:K[w-z]|L[1-5])[1-9A-HJ-NP-Za-km-z]{50}";

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() && byte != b'0'
}

/// Length of a candidate by its first character.
fn length(first: u8) -> Option<usize> {
    match first {
        b'5' => Some(51),
        b'K' | b'L' | b'k' | b'l' => Some(52),
        _ => None,
    }
}

fn is_key(candidate: &[u8]) -> bool {
    may_be_wif(candidate) && std::str::from_utf8(candidate).is_ok_and(|text| Validator::Wif.check(text))
}

/// The beginning of a candidate that is not complete.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    text: [u8; LONGEST],
    len: usize,
    /// The value and the place in it where it begins, while it lies in one value.
    from: Option<(u16, u32)>,
}

const NOTHING: Begun = Begun { text: [0; LONGEST], len: 0, from: None };

/// What a value leads to from some place in it: where a candidate begins that it does not end, if there is one.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Key,
    Begun(usize),
    Nothing,
}

#[derive(Debug)]
struct Part {
    text: Vec<u8>,
    /// Where the run ends that the value begins with.
    head: usize,
    /// For each place, once it is known, what follows when a search begins there.
    from: Vec<Option<Rest>>,
    /// For each other value, where a candidate began last that ended in this value and was no key.
    refused: Vec<Option<u32>>,
}

impl Part {
    fn of(value: &[u8], count: usize) -> Self {
        let head = value.iter().position(|&byte| !is_letter(byte)).unwrap_or(value.len());
        Self { text: value.to_vec(), head, from: vec![None; value.len() + 1], refused: vec![None; count] }
    }

    fn from(&mut self, place: usize) -> Rest {
        let mut at = place;
        // Places that a search comes by lead to the same.
        let mut passed = Vec::new();
        let rest = loop {
            let Some(&byte) = self.text.get(at) else { break Rest::Nothing };
            if let Some(known) = self.from[at] {
                break known;
            }
            passed.push(at);
            let Some(len) = length(byte) else {
                at += 1;
                continue;
            };
            let run = self.text[at..].iter().take(len).take_while(|&&byte| is_letter(byte)).count();
            if run == len {
                if is_key(&self.text[at..at + len]) {
                    break Rest::Key;
                }
                at += len;
            } else if at + run == self.text.len() {
                break Rest::Begun(at);
            } else {
                // Nothing in the run is long enough.
                at += run;
            }
        };
        passed.into_iter().for_each(|at| self.from[at] = Some(rest));
        rest
    }
}

/// The search for wallet keys.
pub(super) struct Wallets(Vec<Part>);

impl Wallets {
    pub(super) fn new(values: &[&[u8]]) -> Self {
        Self(values.iter().map(|value| Part::of(value, values.len())).collect())
    }
}

impl Track for Wallets {
    type State = Begun;

    fn start(&self) -> Begun {
        NOTHING
    }

    fn then(&mut self, state: &Begun, value: usize) -> Option<Begun> {
        let part = &mut self.0[value];
        let mut place = 0;
        if let Some(len) = length(state.text[0]).filter(|_| state.len > 0) {
            let taken = (len - state.len).min(part.head);
            let is_complete = state.len + taken == len;
            let known = state.from.is_some_and(|(value, at)| part.refused[usize::from(value)] == Some(at));
            // It goes on, or the run ends too early for this candidate and all later ones.
            let goes_on = !is_complete && taken == part.text.len();
            if goes_on || is_complete && !known {
                let mut longer = state.clone();
                longer.text[state.len..state.len + taken].copy_from_slice(&part.text[..taken]);
                longer.len += taken;
                if goes_on {
                    longer.from = if taken == 0 { state.from } else { None };
                    return Some(longer);
                }
                if is_key(&longer.text[..len]) {
                    return None;
                }
                if let Some((value, at)) = state.from {
                    part.refused[usize::from(value)] = Some(at);
                }
            }
            place = taken;
        }
        match part.from(place) {
            Rest::Key => None,
            Rest::Nothing => Some(NOTHING),
            Rest::Begun(at) => {
                let mut begun = NOTHING;
                begun.len = part.text.len() - at;
                begun.text[..begun.len].copy_from_slice(&part.text[at..]);
                begun.from = Some((value as u16, at as u32));
                Some(begun)
            }
        }
    }

    fn ends(&self, _: &Begun) -> bool {
        false
    }
}
