//! Sets of bytes, and how common their bytes are.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(in super::super::super) struct Set(pub(in super::super) [u64; 4]);

impl Set {
    pub(in super::super) const ALL: Set = Set([u64::MAX; 4]);

    pub(in super::super) fn one(b: u8) -> Set {
        let mut s = Set::default();
        s.add(b);
        s
    }

    pub(in super::super) fn add(&mut self, b: u8) {
        self.0[usize::from(b >> 6)] |= 1 << (b & 63);
    }

    #[inline]
    pub(in super::super::super) fn has(&self, b: u8) -> bool {
        self.0[usize::from(b >> 6)] >> (b & 63) & 1 == 1
    }

    pub(in super::super::super) fn union(&self, other: &Set) -> Set {
        Set(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    pub(super) fn is_subset(&self, of: impl Fn(u8) -> bool) -> bool {
        (0..=255u8).all(|b| !self.has(b) || of(b))
    }

    /// The bytes of the set, ascending.
    pub(in super::super::super) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter().zip((0u8..=255).step_by(64)).flat_map(|(&word, first)| {
            std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
                .take_while(|&word| word != 0)
                .map(move |word| first + word.trailing_zeros() as u8)
        })
    }

    /// Share of text bytes that are in the set, in parts of 2^16, by the table of typical frequencies.
    pub(in super::super) fn weight(&self) -> u64 {
        const TABLE: [u32; 256] = {
            let mut table = [0; 256];
            let mut b = 0;
            while b < 256 {
                table[b] = frequency(b as u8) as u32;
                b += 1;
            }
            table
        };
        self.bytes().map(|b| u64::from(TABLE[usize::from(b)])).sum()
    }
}

/// Typical frequency of a byte in prose, code and JSON, in parts of 2^16 (rounded, never 0).
pub(in super::super) const fn frequency(b: u8) -> u64 {
    match b {
        b' ' => 10000,
        b'e' => 5200,
        b't' => 3900,
        b'a' | b'i' | b'n' | b'o' | b's' | b'r' => 3300,
        b'l' | b'd' | b'c' | b'u' | b'h' => 1800,
        b'p' | b'm' | b'f' | b'g' => 1300,
        b'y' | b'b' | b'w' | b'v' => 800,
        b'k' | b'x' => 400,
        b'j' | b'q' | b'z' => 120,
        b'A'..=b'Z' => 200,
        b'0' | b'1' => 450,
        b'2'..=b'9' => 250,
        b'_' => 500,
        b'-' => 450,
        b'.' | b',' => 600,
        b'"' | b'\\' => 700,
        b'=' | b'(' | b')' | b':' | b'/' => 350,
        0x21..=0x7e => 120,
        0x80..=0xff => 10,
        _ => 2,
    }
}

pub(in super::super::super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}
