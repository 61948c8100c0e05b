//! The word list as a hash table of packed words.

use std::sync::OnceLock;

/// The word list of the standard, English, sorted.
const WORDS: &str = include_str!("../../../builtin/bip39-english.txt");
/// Places in the table.
const TABLE: usize = 8192;
/// Bits in the filter before it.
const FILTER: usize = 1 << 14;

struct Packed {
    /// A bit for each word, by its hash: most other words end here, in the nearest memory.
    filter: [u64; FILTER / 64],
    /// Words as [`pack_word`] makes them; 0 is an empty place.
    words: [u64; TABLE],
    /// Their indices in the list.
    index: [u16; TABLE],
}

/// The eight bytes from a position on, as far as the text goes, of which the first `length` (1 to 8) are a word's letters:
/// packed in lower case.
#[inline]
pub(super) fn pack_word(word: &[u8], length: usize) -> u64 {
    let bytes = match word.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => word.iter().rev().fold(0, |packed, &b| packed << 8 | u64::from(b)),
    };
    (bytes | 0x2020_2020_2020_2020) & u64::MAX >> (64 - 8 * length)
}

/// Index in the list of a packed word.
#[inline]
pub(super) fn index(packed: u64) -> Option<u16> {
    let table = table();
    let hash = hash(packed);
    let bit = hash % FILTER;
    if table.filter[bit / 64] >> (bit % 64) & 1 == 0 {
        return None;
    }
    let mut place = place(hash);
    while table.words[place] != 0 {
        if table.words[place] == packed {
            return Some(table.index[place]);
        }
        place = (place + 1) % TABLE;
    }
    None
}

fn table() -> &'static Packed {
    static PACKED: OnceLock<Box<Packed>> = OnceLock::new();
    PACKED.get_or_init(|| {
        let mut table = Box::new(Packed { filter: [0; FILTER / 64], words: [0; TABLE], index: [0; TABLE] });
        for (index, word) in (0..).zip(WORDS.lines()) {
            let packed = pack_word(word.as_bytes(), word.len());
            let hash = hash(packed);
            table.filter[hash % FILTER / 64] |= 1 << (hash % 64);
            let mut at = place(hash);
            while table.words[at] != 0 {
                at = (at + 1) % TABLE;
            }
            table.words[at] = packed;
            table.index[at] = index;
        }
        table
    })
}

/// The upper bits of a product, which depend on all of its factor's.
#[inline]
fn hash(packed: u64) -> usize {
    (packed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
}

#[inline]
fn place(hash: usize) -> usize {
    hash >> 11
}
