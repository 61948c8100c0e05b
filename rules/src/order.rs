//! Sorting in little code. The standard sort is built anew for each type, with some 5 KB.

use std::cmp::Ordering;

/// The items in order; stable. For what is sorted rarely or is short.
pub fn sorted<T>(items: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(items.len(), &|a, b| compare(&items[a], &items[b]));
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| items[at].take()).collect()
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
        for length in [0, 1, 2, 7, 100] {
            let items: Vec<_> = (0..length).map(|at| (at * 5 % 3, at)).collect();
            let mut wanted = items.clone();
            wanted.sort_by_key(|&(key, _)| key);
            assert_eq!(super::sorted(items, |a, b| a.0.cmp(&b.0)), wanted);
        }
    }
}
