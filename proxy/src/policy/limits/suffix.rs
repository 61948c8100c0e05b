//! Public suffixes: the part of a name below which anyone can register, as `co.uk` in `a.evil.co.uk`.
//!
//! The list is kept as the text it is published as, and an index of it is made when this is compiled: 64 KB of numbers in a
//! table that is searched by hash. As code, which is how the crate `psl` holds it, it takes three times the room.
//! `public_suffixes.txt` is the list of publicsuffix.org without its comments, as version 2.1.247 of that crate has it (Mozilla
//! Public License 2.0, <https://mozilla.org/MPL/2.0/>); tests compare every rule with the crate.

/// One rule a line: `com`, `*.ck` (any one label before it), `!www.ck` (an exception to such a rule).
static LIST: &[u8] = include_bytes!("public_suffixes.txt");

/// Places in the table: a power of two, more than half as many again as there are rules.
const SLOTS: usize = 1 << 14;

/// Bits of an entry that say where in the list the rule's name begins; the others are part of the name's hash. 0: no entry.
const PLACE_BITS: u32 = 18;
const PLACE: u32 = (1 << PLACE_BITS) - 1;

/// Most labels of a rule, its wildcard included.
const MOST_LABELS: usize = 7;

static INDEX: [u32; SLOTS] = index();

/// Of a name's bytes from its last to its first, so that one walk over a host meets all of its suffixes.
const SEED: u32 = 0x811c_9dc5;

const fn hash(before: u32, byte: u8) -> u32 {
    (before ^ byte as u32).wrapping_mul(0x0100_0193)
}

const fn slot(hash: u32) -> usize {
    (hash ^ (hash >> 15)) as usize % SLOTS
}

#[allow(long_running_const_eval)]
const fn index() -> [u32; SLOTS] {
    assert!(LIST.len() < PLACE as usize, "the list does not fit the entries");
    let mut index = [0; SLOTS];
    let mut line = 0;
    while line < LIST.len() {
        let mut end = line;
        while LIST[end] != b'\n' {
            end += 1;
        }
        let name = match LIST[line] {
            b'*' => line + 2,
            b'!' => line + 1,
            _ => line,
        };
        let mut sum = SEED;
        let mut at = end;
        while at > name {
            at -= 1;
            sum = hash(sum, LIST[at]);
        }
        let mut place = slot(sum);
        while index[place] != 0 {
            place = (place + 1) % SLOTS;
        }
        // Place 0 is no entry: places are counted from 1.
        index[place] = (sum & !PLACE) | (name as u32 + 1);
        line = end + 1;
    }
    index
}

/// What the list says of a name.
#[derive(Default)]
struct Rules {
    /// It is a suffix.
    exact: bool,
    /// So is any one label before it.
    wildcard: bool,
    /// It is none, although a wildcard says so.
    exception: bool,
}

impl Rules {
    fn of(name: &[u8], sum: u32) -> Rules {
        let mut rules = Rules::default();
        let mut place = slot(sum);
        while INDEX[place] != 0 {
            let entry = INDEX[place];
            place = (place + 1) % SLOTS;
            let start = (entry & PLACE) as usize - 1;
            if entry & !PLACE != sum & !PLACE || !is_line(&LIST[start..], name) {
                continue;
            }
            match start.checked_sub(1).map(|before| LIST[before]) {
                Some(b'.') => rules.wildcard = true,
                Some(b'!') => rules.exception = true,
                _ => rules.exact = true,
            }
        }
        rules
    }
}

fn is_line(text: &[u8], name: &[u8]) -> bool {
    text.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'\n'))
}

/// The registrable part of a host: its public suffix and the label before. `None` when there is no label before. The last label
/// is a suffix also when the list does not have it. `host` is in lower case and has no empty labels.
pub(super) fn registrable(host: &str) -> Option<&str> {
    let bytes = host.as_bytes();
    let mut sum = SEED;
    // Where the longest suffix so far begins, and the label before the place that is looked at.
    let mut suffix = None;
    let mut labels = 0;
    let mut wildcard = false;
    let mut end = bytes.len();
    while labels < MOST_LABELS {
        let label = memchr::memrchr(b'.', &bytes[..end]).map_or(0, |dot| dot + 1);
        sum = bytes[label..end].iter().rev().fold(sum, |sum, byte| hash(sum, *byte));
        let rules = Rules::of(&bytes[label..], sum);
        if rules.exception {
            // The suffix is the name without its first label.
            suffix = Some(end + 1);
            break;
        }
        if rules.exact || wildcard || labels == 0 {
            suffix = Some(label);
        }
        wildcard = rules.wildcard;
        labels += 1;
        if label == 0 {
            break;
        }
        sum = hash(sum, b'.');
        end = label - 1;
    }
    let before = suffix?.checked_sub(1)?;
    let start = memchr::memrchr(b'.', &bytes[..before]).map_or(0, |dot| dot + 1);
    host.get(start..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> impl Iterator<Item = &'static str> {
        std::str::from_utf8(LIST).unwrap().lines()
    }

    /// The crate overlooks a wildcard beside a longer rule: with `*.futurecms.at` and `*.ex.futurecms.at`, it takes
    /// `ex.futurecms.at` for no suffix. Go's list, which the reference uses, takes it for one.
    fn only_a_wildcard_covers(host: &str) -> bool {
        let parent = host.split_once('.').map_or("", |(_, parent)| parent);
        rules().any(|rule| rule.strip_prefix("*.") == Some(parent)) && !rules().any(|rule| rule == host)
    }

    #[test]
    fn agrees_with_the_crate_on_every_rule_and_around_it() {
        let mut compared = 0;
        for rule in rules() {
            let name = rule.trim_start_matches("*.").trim_start_matches('!');
            let parent = name.split_once('.').map_or(name, |(_, parent)| parent);
            for before in ["", "a.", "b.a.", "www.", "c.b.a."] {
                for host in [name, parent].map(|name| format!("{before}{name}")) {
                    let (ours, theirs) = (registrable(&host), psl::domain_str(&host));
                    let agree = ours == theirs || (ours.is_none() && only_a_wildcard_covers(&host));
                    assert!(agree, "{host}, for the rule {rule}: {ours:?}, {theirs:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 100_000);
    }

    #[test]
    fn the_longest_rule_decides() {
        let cases = [
            ("example.com", Some("example.com")),
            ("com", None),
            ("a.b.example.co.uk", Some("example.co.uk")),
            ("a.www.ck", Some("www.ck")),
            ("a.b.other.ck", Some("b.other.ck")),
            ("other.ck", None),
            ("a.b.unlisted", Some("b.unlisted")),
            ("unlisted", None),
            ("", None),
        ];
        for (host, wanted) in cases {
            assert_eq!(registrable(host), wanted, "{host}");
            assert_eq!(psl::domain_str(host), wanted, "{host}, by the crate");
        }
    }

    #[test]
    fn no_rule_has_more_labels_than_are_looked_at() {
        let most = rules().map(|rule| rule.split('.').count()).max();
        assert_eq!(most, Some(MOST_LABELS));
    }
}
