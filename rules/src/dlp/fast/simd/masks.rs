//! Questions about neighbouring bits of masks, one bit a byte of text, asked of many masks at once.
//!
//! The code is plain; the compiler makes vector code of it for each kind of processor.

/// Masks that are looked at together.
pub(in super::super::super) const LANES: usize = 32;
/// Masks that the compiler takes together.
const STEP: usize = 8;

/// Calls the form of a function for this processor.
macro_rules! for_processor {
    ($name:ident($($argument:expr),*)) => {
        #[cfg(target_arch = "x86_64")]
        if super::wide::available() {
            // SAFETY: the kernels are available, which use more than this.
            return unsafe { x86::wide::$name($($argument),*) };
        } else if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was just detected.
            return unsafe { x86::narrow::$name($($argument),*) };
        }
        plain::$name($($argument),*)
    };
}

/// Of the first masks the positions where `min` (2 to 64) neighbouring bits begin.
pub(in super::super) fn long_runs(masks: &[u64], min: u32, long: &mut [u64; LANES]) {
    if let [first] | [first, _] = *masks {
        // Of a short text, as most pieces are.
        let second = masks.get(1).copied().unwrap_or(0);
        long[0] = plain::long_runs_of(first, second, min);
        long[1] = plain::long_runs_of(second, 0, min);
        return;
    }
    for_processor!(long_runs(masks, min, long));
}

/// Of the masks from `first` on, which are letters, the positions where runs of letters begin, and those of them where no word
/// of three to eight letters does. Within two bytes of what `others` has, which may be nothing, short runs may be longer.
pub(in super::super::super) fn words(
    letters: &[u64],
    others: &[u64],
    first: usize,
    starts: &mut [[u64; LANES]; 2],
) {
    for_processor!(words(letters, others, first, starts));
}

mod plain {
    use super::{LANES, STEP};

    /// Masks from one on, zeros where there are none.
    #[inline(always)]
    fn from<const MANY: usize>(masks: &[u64], first: usize) -> [u64; MANY] {
        let masks = masks.get(first..).unwrap_or_default();
        match masks.first_chunk() {
            Some(masks) => *masks,
            None => {
                let mut padded = [0; MANY];
                padded[..masks.len()].copy_from_slice(masks);
                padded
            }
        }
    }

    /// In the place of each bit the one so many places on.
    #[inline(always)]
    fn ahead(here: u64, next: u64, by: u32) -> u64 {
        here >> by | next << (64 - by)
    }

    /// Of one mask and the one behind it.
    #[inline]
    pub(super) fn long_runs_of(mut here: u64, mut next: u64, min: u32) -> u64 {
        let mut reach = 1;
        while reach < min {
            let step = reach.min(min - reach);
            here &= ahead(here, next, step);
            next &= next >> step;
            reach += step;
        }
        here
    }

    #[inline(always)]
    pub(super) fn long_runs(masks: &[u64], min: u32, long: &mut [u64; LANES]) {
        let padded: [u64; LANES + 1] = from(masks, 0);
        for (first, long) in (0..masks.len()).step_by(STEP).zip(long.as_chunks_mut::<STEP>().0) {
            // Each mask and the one behind it.
            let mut here: [u64; STEP] = from(&padded, first);
            let mut next: [u64; STEP] = from(&padded, first + 1);
            let mut reach = 1;
            while reach < min {
                let step = reach.min(min - reach);
                for (here, next) in here.iter_mut().zip(&mut next) {
                    *here &= ahead(*here, *next, step);
                    *next &= *next >> step;
                }
                reach += step;
            }
            *long = here;
        }
    }

    #[inline(always)]
    pub(super) fn words(letters: &[u64], others: &[u64], first: usize, starts: &mut [[u64; LANES]; 2]) {
        let have = (letters.len() - first).min(LANES).next_multiple_of(STEP);
        let letters: [u64; LANES + 2] = with_neighbours(letters, first);
        let others: Option<[u64; LANES + 2]> = (!others.is_empty()).then(|| with_neighbours(others, first));
        let [all, other] = starts;
        for i in 0..have {
            let (before, here, next) = (letters[i], letters[i + 1], letters[i + 2]);
            let two = [here & ahead(here, next, 1), next & next >> 1];
            let four = [two[0] & ahead(two[0], two[1], 2), two[1] & two[1] >> 2];
            let nine = four[0] & ahead(four[0], four[1], 4) & ahead(here, next, 8);
            let three = two[0] & ahead(here, next, 2);
            all[i] = here & !(here << 1 | before >> 63);
            other[i] = all[i] & (nine | !three);
        }
        if let Some(others) = others {
            for i in 0..have {
                let (before, here, next) = (others[i], others[i + 1], others[i + 2]);
                let near = here << 1 | before >> 63 | ahead(here, next, 1) | ahead(here, next, 2);
                // A run of nine letters is long enough without any more.
                let letters = [letters[i + 1], letters[i + 2]];
                let three = letters[0] & ahead(letters[0], letters[1], 1) & ahead(letters[0], letters[1], 2);
                other[i] &= three | !near;
            }
        }
    }

    /// The same with the mask before the first.
    #[inline(always)]
    fn with_neighbours(masks: &[u64], first: usize) -> [u64; LANES + 2] {
        match first.checked_sub(1) {
            Some(before) => from(masks, before),
            None => {
                let mut all = [0; LANES + 2];
                all[1..].copy_from_slice(&from::<{ LANES + 1 }>(masks, 0));
                all
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    macro_rules! forms {
        ($module:ident, $features:literal) => {
            pub(super) mod $module {
                use super::super::{LANES, plain};

                /// # Safety
                /// The processor must have the features.
                #[target_feature(enable = $features)]
                pub(in super::super) unsafe fn long_runs(masks: &[u64], min: u32, long: &mut [u64; LANES]) {
                    plain::long_runs(masks, min, long);
                }

                /// # Safety
                /// The processor must have the features.
                #[target_feature(enable = $features)]
                pub(in super::super) unsafe fn words(
                    letters: &[u64],
                    others: &[u64],
                    first: usize,
                    starts: &mut [[u64; LANES]; 2],
                ) {
                    plain::words(letters, others, first, starts);
                }
            }
        };
    }

    forms!(wide, "avx512f,avx512bw,avx512vbmi2");
    forms!(narrow, "avx2");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Calls every form that this processor has.
    macro_rules! each_form {
        ($name:ident($($argument:expr),*), $check:expr) => {
            plain::$name($($argument),*);
            $check;
            $name($($argument),*);
            $check;
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: AVX2 was just detected.
                unsafe { x86::narrow::$name($($argument),*) };
                $check;
            }
        };
    }

    fn masks() -> impl Strategy<Value = Vec<u64>> {
        // Runs of all lengths.
        let run =
            (any::<bool>(), prop_oneof![1usize..12, 1usize..140]).prop_map(|(set, length)| vec![set; length]);
        proptest::collection::vec(run, 1..80).prop_map(|runs| {
            let bits = runs.concat();
            bits.chunks(64)
                .map(|bits| bits.iter().rev().fold(0, |mask, &bit| mask << 1 | u64::from(bit)))
                .collect()
        })
    }

    fn bit(masks: &[u64], at: usize) -> bool {
        masks.get(at / 64).is_some_and(|mask| mask >> (at % 64) & 1 == 1)
    }

    proptest! {
        #[test]
        fn long_runs_begin_where_as_many_bits_follow(masks in masks(), min in 2u32..=64) {
            let mut long = [0; LANES];
            each_form!(long_runs(&masks, min, &mut long), for at in 0..masks.len().min(LANES) * 64 {
                let want = (at..at + min as usize).all(|at| bit(&masks, at));
                prop_assert_eq!(bit(&long, at), want, "{} bits at {}", min, at);
            });
        }

        #[test]
        fn words_have_three_to_eight_letters(letters in masks(), others in masks(), any in any::<bool>(), first in 0usize..3) {
            let others: Vec<u64> = match any {
                true => letters.iter().enumerate().map(|(i, l)| others.get(i).unwrap_or(&0) & !l).collect(),
                false => Vec::new(),
            };
            let first = (first * 7).min(letters.len() - 1);
            let mut starts = [[0; LANES]; 2];
            each_form!(words(&letters, &others, first, &mut starts), for i in 0..(letters.len() - first).min(LANES) * 64 {
                let at = first * 64 + i;
                let begins = bit(&letters, at) && !(at > 0 && bit(&letters, at - 1));
                let length = (at..).take_while(|&at| bit(&letters, at)).count();
                let near = at > 0 && bit(&others, at - 1) || bit(&others, at + 1) || bit(&others, at + 2);
                let other = begins && (length > 8 || length < 3 && !near);
                prop_assert_eq!((bit(&starts[0], i), bit(&starts[1], i)), (begins, other), "{} letters at {}", length, at);
            });
        }
    }
}
