//! The shortest way from one list to another: what stays, what goes, what comes.
//!
//! Knows nothing of what the items are.

use std::ops::Range;

/// The most cells of the table of common subsequences; beyond it (lists of about 1,000 differing items) what
/// differs is taken as replaced, which keeps the cost of hostile input bounded.
const MAX_CELLS: usize = 1 << 20;

/// Returns what goes and what comes between the items that stay: indices of the old list and of the new one.
pub(in crate::plan) fn gaps<T: PartialEq>(old: &[T], new: &[T]) -> Vec<(Range<usize>, Range<usize>)> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old[start..].iter().rev().zip(new[start..].iter().rev());
    let end = rest.take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    let kept = common(&old[start..old_end], &new[start..new_end]);
    let kept = kept.into_iter().map(|(old, new)| (old + start, new + start)).chain([(old_end, new_end)]);
    let mut gaps = Vec::new();
    let mut from = (start, start);
    for (old, new) in kept {
        if from != (old, new) {
            gaps.push((from.0..old, from.1..new));
        }
        from = (old + 1, new + 1);
    }
    gaps
}

/// Returns a longest common subsequence as pairs of indices.
fn common<T: PartialEq>(old: &[T], new: &[T]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    if (old.len() + 1).saturating_mul(width) > MAX_CELLS {
        return Vec::new();
    }
    // `length[i * width + j]` is the length for `old[i..]` and `new[j..]`.
    let mut length = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            length[i * width + j] = if old[i] == new[j] {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length[(i + 1) * width + j] >= length[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A step on the way from the old list to the new one.
    #[derive(Clone, Copy)]
    enum Edit {
        Keep { old: usize, new: usize },
        Remove { old: usize },
        Add { new: usize },
    }

    /// Returns every step; between two kept items all removals come before all additions.
    fn edits<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Edit> {
        let (mut edits, mut from) = (Vec::new(), (0, 0));
        for (removed, added) in
            gaps(old, new).into_iter().chain([(old.len()..old.len(), new.len()..new.len())])
        {
            edits.extend(
                (from.0..removed.start).zip(from.1..added.start).map(|(old, new)| Edit::Keep { old, new }),
            );
            from = (removed.end, added.end);
            edits.extend(removed.map(|old| Edit::Remove { old }));
            edits.extend(added.map(|new| Edit::Add { new }));
        }
        edits
    }

    fn sign(edits: &[Edit]) -> String {
        edits
            .iter()
            .map(|edit| match edit {
                Edit::Keep { .. } => '=',
                Edit::Remove { .. } => '-',
                Edit::Add { .. } => '+',
            })
            .collect()
    }

    #[test]
    fn equal_lists_are_kept() {
        assert_eq!(sign(&edits(&[1, 2, 3], &[1, 2, 3])), "===");
    }

    #[test]
    fn an_insert_at_the_front_is_one_edit() {
        assert_eq!(sign(&edits(&[1, 2, 3], &[9, 1, 2, 3])), "+===");
    }

    #[test]
    fn what_moved_past_many_is_removed_and_added() {
        assert_eq!(sign(&edits(&[1, 2, 3, 4], &[2, 3, 4, 1])), "-===+");
    }

    #[test]
    fn lists_too_long_to_align_are_replaced() {
        let old: Vec<u32> = (0..2_000).collect();
        let new: Vec<u32> = (0..2_000).rev().collect();
        let edits = edits(&old, &new);
        assert_eq!(edits.len(), 4_000);
    }

    proptest! {
        #[test]
        fn the_edits_lead_from_the_old_list_to_the_new_one(
            old in prop::collection::vec(0_u8..4, 0..12), new in prop::collection::vec(0_u8..4, 0..12)
        ) {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for edit in edits(&old, &new) {
                match edit {
                    Edit::Keep { old: o, new: n } => {
                        prop_assert_eq!(old[o], new[n]);
                        before.push(old[o]);
                        after.push(new[n]);
                    }
                    Edit::Remove { old: o } => before.push(old[o]),
                    Edit::Add { new: n } => after.push(new[n]),
                }
            }
            prop_assert_eq!(before, old);
            prop_assert_eq!(after, new);
        }
    }
}
