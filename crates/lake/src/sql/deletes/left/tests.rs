use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The rows of a file that a plan has read.
fn read(plan: &ParquetAccessPlan, groups: &[u64]) -> Vec<u64> {
    let (mut begin, mut found) = (0, Vec::new());
    for (access, rows) in plan.inner().iter().zip(groups) {
        let mut next = begin;
        begin += rows;
        match access {
            RowGroupAccess::Skip => {}
            RowGroupAccess::Scan => found.extend(next..begin),
            RowGroupAccess::Selection(selection) => {
                for selector in selection.iter() {
                    let end = next + selector.row_count as u64;
                    if !selector.skip {
                        found.extend(next..end);
                    }
                    next = end;
                }
                assert_eq!(next, begin, "a selection is about all rows of its group");
            }
        }
    }
    found
}

#[test]
fn a_group_without_deleted_rows_is_read_as_ever_and_one_of_no_others_not_at_all() {
    let plan = without(&[3, 4, 5, 7], [3, 3, 3].into_iter()).unwrap();
    assert_eq!(plan.inner()[..2], [RowGroupAccess::Scan, RowGroupAccess::Skip]);
    assert_eq!(read(&plan, &[3, 3, 3]), [0, 1, 2, 6, 8]);
}

proptest! {
    #[test]
    fn what_is_read_is_what_is_not_deleted(
        groups in prop::collection::vec(0_u64..12, 0..6), deleted in prop::collection::btree_set(0_u64..80, 0..40),
    ) {
        let plan = without(&deleted.iter().copied().collect::<Vec<_>>(), groups.iter().copied()).unwrap();
        let all: BTreeSet<u64> = (0..groups.iter().sum::<u64>()).collect();
        prop_assert_eq!(read(&plan, &groups), all.difference(&deleted).copied().collect::<Vec<_>>());
    }
}
