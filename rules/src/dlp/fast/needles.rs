//! The search for windows, for others than the scan for secrets: many strings at once.

use super::shape::Set;
use super::simd;
use super::windows::Windows;

/// Strings of which the first three or four bytes are searched for.
pub(crate) struct Needles(Windows);

impl Needles {
    /// Whether the search runs on vectors on this machine. Without them an automaton is quicker.
    pub(crate) fn are_quick() -> bool {
        simd::has_windows()
    }

    /// `weight` is how frequent a byte is in the texts, in parts of 2^16.
    pub(crate) fn new(strings: &[Vec<u8>], weight: impl Fn(u8) -> u64) -> Self {
        let place = |string: &[u8], at: usize| string.get(at).map_or(Set::ALL, |&b| Set::one(b));
        let four = |string: &[u8], from: usize| std::array::from_fn(|at| place(string, from + at));
        let rows: Vec<([Set; 4], [Set; 4], u32)> =
            (0..).zip(strings).map(|(number, string)| (four(string, 0), four(string, 4), number)).collect();
        // Many strings share their first bytes, and each is asked.
        Self(Windows::plan_for(&rows, |_| false, weight, 8.0))
    }

    /// Calls `hit` with the number of a string and a place, ascending, for every place that has its first bytes.
    pub(crate) fn each(&self, text: &[u8], mut hit: impl FnMut(usize, usize)) {
        self.0.search(text, |at, buckets| {
            self.0.owners(text, at, buckets, |number| {
                hit(number as usize, at);
                false
            })
        });
    }
}
