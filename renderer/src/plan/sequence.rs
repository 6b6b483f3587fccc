//! The shortest way from one list to another: what stays, what goes, what comes.
//!
//! Knows nothing of what the items are.

/// The most cells of the table of common subsequences; beyond it (lists of about 1,000 differing items) what differs is
/// taken as replaced, which keeps the cost of hostile input bounded.
const MAX_CELLS: usize = 1 << 20;

/// A step on the way from the old list to the new one, with indices into both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Both have the item.
    Keep { old: usize, new: usize },
    /// Only the old list has it.
    Remove { old: usize },
    /// Only the new list has it.
    Add { new: usize },
}

/// Returns the edits in order; between two kept items all removals come before all additions.
pub(super) fn edits<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Edit> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);

    let mut edits: Vec<Edit> = (0..start).map(|at| Edit::Keep { old: at, new: at }).collect();
    let mut from = (start, start);
    let kept = common(&old[start..old_end], &new[start..new_end]);
    for (old, new) in kept.into_iter().map(|(old, new)| (old + start, new + start)) {
        gap(&mut edits, from, (old, new));
        edits.push(Edit::Keep { old, new });
        from = (old + 1, new + 1);
    }
    gap(&mut edits, from, (old_end, new_end));
    edits.extend((0..end).map(|at| Edit::Keep { old: old_end + at, new: new_end + at }));
    edits
}

fn gap(edits: &mut Vec<Edit>, from: (usize, usize), to: (usize, usize)) {
    edits.extend((from.0..to.0).map(|old| Edit::Remove { old }));
    edits.extend((from.1..to.1).map(|new| Edit::Add { new }));
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
