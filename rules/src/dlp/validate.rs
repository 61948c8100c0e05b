//! Checks on what a rule's expression matched (spec: dlp §6).

use sha2::{Digest, Sha256};

/// A named check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validator {
    /// Payment card: issuer, length, Luhn sum.
    Luhn,
    /// IBAN: country, length, remainder 1 modulo 97.
    Mod97,
    /// US bank routing number.
    Aba,
    /// Bitcoin private key in wallet import format.
    Wif,
}

impl Validator {
    /// By its name in configurations; names are case-sensitive.
    pub fn parse(name: &str) -> Option<Validator> {
        Some(match name {
            "luhn" => Validator::Luhn,
            "mod97" => Validator::Mod97,
            "aba" => Validator::Aba,
            "wif" => Validator::Wif,
            _ => return None,
        })
    }

    /// The name in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Validator::Luhn => "luhn",
            Validator::Mod97 => "mod97",
            Validator::Aba => "aba",
            Validator::Wif => "wif",
        }
    }

    /// Whether the exact matched text passes.
    pub fn check(self, matched: &str) -> bool {
        match self {
            Validator::Luhn => luhn(matched),
            Validator::Mod97 => mod97(matched),
            Validator::Aba => aba(matched),
            Validator::Wif => wif(matched),
        }
    }
}

/// The ASCII digits of a text as numbers, or `None` when there are more than `N`.
fn digits<const N: usize>(text: &str) -> Option<([u8; N], usize)> {
    let mut out = [0u8; N];
    let mut n = 0;
    for b in text.bytes().filter(u8::is_ascii_digit) {
        *out.get_mut(n)? = b - b'0';
        n += 1;
    }
    Some((out, n))
}

/// Digits of the shortest and of the longest card number. (spec: dlp §6.5)
pub(super) const SHORTEST_CARD: usize = 15;
pub(super) const LONGEST_CARD: usize = 19;

fn luhn(text: &str) -> bool {
    let Some((d, n)) = digits::<LONGEST_CARD>(text) else { return false };
    if n < SHORTEST_CARD {
        return false;
    }
    let p4 = d[..4].iter().fold(0u32, |acc, &d| acc * 10 + u32::from(d));
    let sum: u32 = d[..n]
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &d)| match (i % 2, u32::from(d)) {
            (0, d) => d,
            (_, d) if d > 4 => 2 * d - 9,
            (_, d) => 2 * d,
        })
        .sum();
    is_issued(p4, n) && sum.is_multiple_of(10)
}

/// Whether there are cards with these first four digits and this many digits.
pub(super) fn is_issued(first: u32, digits: usize) -> bool {
    match (first / 1000, first / 100) {
        (4, _) => matches!(digits, 16 | 19),
        (_, 51..=55) => digits == 16,
        (_, 34 | 37) => digits == 15,
        (_, 65) => matches!(digits, 16 | 19),
        _ => match first {
            2221..=2720 => digits == 16,
            3528..=3589 => (16..=19).contains(&digits),
            6011 | 6440..=6499 => matches!(digits, 16 | 19),
            _ => false,
        },
    }
}

fn aba(text: &str) -> bool {
    let Some((d, 9)) = digits::<9>(text) else { return false };
    let district = d[0] * 10 + d[1];
    let sum: u32 = d.iter().zip([3u32, 7, 1].iter().cycle()).map(|(&d, w)| u32::from(d) * w).sum();
    matches!(district, 0..=12 | 21..=32 | 61..=72 | 80) && sum.is_multiple_of(10)
}

fn mod97(text: &str) -> bool {
    let compact: Vec<char> =
        text.chars().filter(|c| !matches!(c, ' ' | '-')).flat_map(char::to_uppercase).collect();
    let bytes: usize = compact.iter().map(|c| c.len_utf8()).sum();
    if !(15..=34).contains(&bytes) || bytes != compact.len() {
        return false;
    }
    let country = [compact[0] as u8, compact[1] as u8];
    if !is_account_of(country, bytes) || !compact[2..4].iter().all(char::is_ascii_digit) {
        return false;
    }
    let mut remainder = 0u32;
    for &c in compact[4..].iter().chain(&compact[..4]) {
        // Digits first, then A = 10 to Z = 35: base 36 without folding, since the text is upper-case.
        let Some(v) = c.to_digit(36).filter(|_| !c.is_ascii_lowercase()) else { return false };
        remainder = (remainder * if v > 9 { 100 } else { 10 } + v) % 97;
    }
    remainder == 1
}

/// Whether the account numbers of a country (two capital letters) have this many characters.
pub(super) fn is_account_of(country: [u8; 2], characters: usize) -> bool {
    let known = IBAN_LENGTHS.binary_search_by(|(known, _)| known.as_bytes().cmp(&country));
    known.is_ok_and(|at| usize::from(IBAN_LENGTHS[at].1) == characters)
}

/// The countries whose account numbers are accepted, in order: two capital letters each.
pub(super) fn account_countries() -> impl Iterator<Item = &'static str> {
    IBAN_LENGTHS.iter().map(|(country, _)| *country)
}

/// The 90 countries of the IBAN registry that are accepted, with the length of their numbers.
const IBAN_LENGTHS: [(&str, u8); 90] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SN", 28),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

const BASE58_VALUE: [u8; 256] = {
    let mut t = [0xff_u8; 256];
    let mut i = 0;
    while i < 58 {
        t[BASE58[i] as usize] = i as u8;
        i += 1;
    }
    t
};

/// Whether a text begins as a wallet key does: the version byte 0x80 in front of 36 bytes (51 characters) or 37 (52) leaves
/// few possibilities for the first two characters.
pub(super) fn may_be_wif(text: &[u8]) -> bool {
    matches!(text, [b'5', b'H' | b'J' | b'K', ..] | [b'K', b'w'..=b'z', ..] | [b'L', b'1'..=b'5', ..])
}

fn wif(text: &str) -> bool {
    // The rule's matches are 51 or 52 characters; nothing longer can be the 37 or 38 bytes of a key, except by leading
    // zero bytes, and then the version byte is wrong.
    if text.len() > 64 {
        return false;
    }
    // Most candidates end here, at little cost.
    if !may_be_wif(text.as_bytes()) || text.bytes().any(|b| BASE58_VALUE[b as usize] == 0xff) {
        return false;
    }
    // The last five bytes of a key of 52 characters begin with a 1.
    let low = text
        .bytes()
        .fold(0u64, |low, b| low.wrapping_mul(58).wrapping_add(u64::from(BASE58_VALUE[usize::from(b)])));
    if text.len() == 52 && low >> 32 & 0xff != 1 {
        return false;
    }
    // The number, most significant part first; ten digits at a time.
    let mut parts = [0u64; 6];
    for digits in text.as_bytes().chunks(10) {
        let value =
            |acc: (u64, u64), &b: &u8| (acc.0 * 58, acc.1 * 58 + u64::from(BASE58_VALUE[usize::from(b)]));
        let (scale, value) = digits.iter().fold((1, 0), value);
        let mut carry = u128::from(value);
        for part in parts.iter_mut().rev() {
            carry += u128::from(*part) * u128::from(scale);
            *part = carry as u64;
            carry >>= 64;
        }
        if carry != 0 {
            return false;
        }
    }
    let mut number = [0u8; 48];
    for (bytes, part) in number.chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&part.to_be_bytes());
    }
    let Some(start) = number.iter().position(|&b| b != 0) else { return false };
    let bytes = &number[start..];
    if bytes[0] != 0x80 || !matches!(bytes.len(), 37 | 38) || (bytes.len() == 38 && bytes[33] != 1) {
        return false;
    }
    let (payload, check) = bytes.split_at(bytes.len() - 4);
    Sha256::digest(Sha256::digest(payload))[..4] == *check
}
