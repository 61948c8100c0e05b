//! Checks on what a rule's expression matched (spec: dlp §6).

use sha2::block_api::compress256;

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
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    // The sum, and that of a number of which the last digit counts double.
    let (mut sum, mut other) = (0, 0);
    let (mut first, mut n) = (0, 0);
    for digit in text.bytes().filter(u8::is_ascii_digit).map(|b| usize::from(b - b'0')) {
        (sum, other) = (other + digit as u32, sum + DOUBLED[digit]);
        first = if n < 4 { first * 10 + digit as u32 } else { first };
        n += 1;
    }
    (SHORTEST_CARD..=LONGEST_CARD).contains(&n) && is_issued(first, n) && sum.is_multiple_of(10)
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
    if !text.is_ascii() {
        // A few other letters have a capital in ASCII.
        let capitals = text.to_uppercase();
        return capitals.is_ascii() && mod97(&capitals);
    }
    let mut compact = [0u8; 34];
    let mut length = 0;
    for b in text.bytes().filter(|b| !matches!(b, b' ' | b'-')) {
        let Some(place) = compact.get_mut(length) else { return false };
        *place = b.to_ascii_uppercase();
        length += 1;
    }
    let compact = &compact[..length];
    let Some((&[a, b, c, d], number)) = compact.split_first_chunk() else { return false };
    if !(is_account_of([a, b], length) && c.is_ascii_digit() && d.is_ascii_digit()) {
        return false;
    }
    let mut remainder = 0u64;
    for &b in number.iter().chain(&[a, b, c, d]) {
        // A = 10 to Z = 35.
        let (scale, value) = match b {
            b'0'..=b'9' => (10, b - b'0'),
            b'A'..=b'Z' => (100, b - b'A' + 10),
            _ => return false,
        };
        remainder = remainder * scale + u64::from(value);
        if remainder >= u64::MAX / 200 {
            remainder %= 97;
        }
    }
    remainder % 97 == 1
}

/// Whether the account numbers of a country (two capital letters) have this many characters.
pub(super) fn is_account_of([a, b]: [u8; 2], characters: usize) -> bool {
    /// By the letters' numbers; 0 for others than countries.
    const LENGTHS: [[u8; 26]; 26] = {
        let mut lengths = [[0; 26]; 26];
        let mut at = 0;
        while at < IBAN_LENGTHS.len() {
            let (country, length) = IBAN_LENGTHS[at];
            let [a, b] = [country.as_bytes()[0], country.as_bytes()[1]];
            lengths[(a - b'A') as usize][(b - b'A') as usize] = length;
            at += 1;
        }
        lengths
    };
    let place = |letter: u8| usize::from(letter.wrapping_sub(b'A'));
    let length = LENGTHS.get(place(a)).and_then(|row| row.get(place(b)));
    characters > 0 && length.is_some_and(|&length| usize::from(length) == characters)
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
    if !may_be_wif(text.as_bytes()) {
        return false;
    }
    // Ten digits at a time: what they are worth, and what all before them are multiplied with.
    let mut groups = [(1u64, 0u64); 7];
    let mut all = 0;
    for (digits, (scale, value)) in text.as_bytes().chunks(10).zip(&mut groups) {
        for &b in digits {
            let digit = BASE58_VALUE[usize::from(b)];
            all |= digit;
            (*scale, *value) = (*scale * 58, *value * 58 + u64::from(digit));
        }
    }
    if all == 0xff {
        return false;
    }
    // The last five bytes of a key of 52 characters begin with a 1.
    let low = groups.iter().fold(0u64, |low, &(scale, value)| low.wrapping_mul(scale).wrapping_add(value));
    if text.len() == 52 && low >> 32 & 0xff != 1 {
        return false;
    }
    // The number, most significant part first.
    let mut parts = [0u64; 5];
    for (scale, value) in groups {
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
    let mut number = [0u8; 40];
    for (bytes, part) in number.chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&part.to_be_bytes());
    }
    let Some(start) = number.iter().position(|&b| b != 0) else { return false };
    let bytes = &number[start..];
    if bytes[0] != 0x80 || !matches!(bytes.len(), 37 | 38) || (bytes.len() == 38 && bytes[33] != 1) {
        return false;
    }
    let (payload, check) = bytes.split_at(bytes.len() - 4);
    sha256_of_short(&sha256_of_short(payload))[..4] == *check
}

/// SHA-256 of what fits a single block, up to 55 bytes.
fn sha256_of_short(bytes: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..bytes.len()].copy_from_slice(bytes);
    block[bytes.len()] = 0x80;
    block[56..].copy_from_slice(&(8 * bytes.len() as u64).to_be_bytes());
    let mut state = SHA256;
    compress256(&mut state, &[block]);
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// What SHA-256 begins with.
const SHA256: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    #[test]
    fn a_short_digest_is_that_of_the_library() {
        for length in 0..=55 {
            let bytes: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(37)).collect();
            assert_eq!(super::sha256_of_short(&bytes)[..], Sha256::digest(&bytes)[..]);
        }
    }
}
