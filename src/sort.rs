//! Sorting with one sort. The standard library's is compiled anew for each type and each comparison, at 5 to 15 KB of the
//! module a time (84 KB of 1,231 before this), and Envoy compiles the whole module before its first answer. Here it sorts
//! positions only; what differs is the comparison.

use std::cmp::Ordering;

/// The positions `0..len` in the order that `compare` gives; equal ones stay as they were.
pub fn positions(len: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut all: Vec<usize> = (0..len).collect();
    all.sort_by(|a, b| compare(*a, *b));
    all
}

/// Sorts by `compare`, a total order; equal items stay as they were. Takes room for as many items again.
pub fn by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    if items.is_sorted_by(|a, b| compare(a, b) != Ordering::Greater) {
        return;
    }
    let order = positions(items.len(), &mut |a, b| match (items.get(a), items.get(b)) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    });
    let mut taken: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(order.into_iter().filter_map(|at| taken.get_mut(at)?.take()));
}

/// Sorts a handful in place, in quadratic time; equal items stay as they were.
pub fn few_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    for end in 1..items.len() {
        let sorted = items.get_mut(..=end).unwrap_or_default();
        for at in (1..=end).rev() {
            match sorted.get_mut(at - 1..=at) {
                Some([a, b]) if key(a) > key(b) => std::mem::swap(a, b),
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs whose second half tells equal ones apart.
    fn lists() -> impl Iterator<Item = Vec<(u8, usize)>> {
        let mut state = 1_u32;
        (0..200).map(move |len| {
            (0..len)
                .map(|at| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((state >> 28) as u8, at)
                })
                .collect()
        })
    }

    #[test]
    fn sorts_as_the_standard_library_does() {
        for list in lists() {
            let mut expected = list.clone();
            expected.sort_by_key(|item| item.0);
            let mut whole = list.clone();
            by(&mut whole, |a, b| a.0.cmp(&b.0));
            assert_eq!(whole, expected);
            let mut few = list.clone();
            few_by_key(&mut few, |item| item.0);
            assert_eq!(few, expected);
            let found = positions(list.len(), &mut |a, b| list[a].0.cmp(&list[b].0));
            assert!(found.into_iter().map(|at| list[at]).eq(expected));
        }
    }
}
