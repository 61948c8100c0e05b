//! Sorting in little code. The standard sort is built anew for each type, with some 5 KB.

use std::cmp::Ordering;

/// The items in order; stable. For what is sorted rarely or is short.
pub fn sorted<T>(items: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(items.len(), &|a, b| compare(&items[a], &items[b]));
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| items[at].take()).collect()
}

/// Sorts by insertion, stably and in place. For some dozen items.
pub fn sort_few<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && is_less(&items[at], &items[at - 1]) {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[inline(never)]
fn order(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    order.sort_by(|&a, &b| compare(a, b));
    order
}

#[cfg(test)]
mod tests {
    #[test]
    fn equal_items_keep_their_order() {
        for length in (0..8).chain([100]) {
            let items: Vec<_> = (0..length).map(|at| (at * 5 % 3, at)).collect();
            let mut wanted = items.clone();
            wanted.sort_by_key(|&(key, _)| key);
            let mut few = items.clone();
            super::sort_few(&mut few, |a, b| a.0 < b.0);
            assert_eq!(few, wanted);
            assert_eq!(super::sorted(items, |a, b| a.0.cmp(&b.0)), wanted);
        }
    }
}
