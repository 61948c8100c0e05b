//! Sorting of lists that are never long, in little code: the standard sort is built anew for each type, with some 6 KB.

/// Sorts by insertion, stably. For some dozen entries.
pub(crate) fn sort<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && is_less(&items[at], &items[at - 1]) {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn equal_entries_keep_their_order() {
        for length in 0..7_usize {
            let mut items: Vec<_> = (0..length).map(|at| (at * 5 % 3, at)).collect();
            let mut wanted = items.clone();
            wanted.sort_by_key(|&(key, _)| key);
            super::sort(&mut items, |a, b| a.0 < b.0);
            assert_eq!(items, wanted);
        }
    }
}
