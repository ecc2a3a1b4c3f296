//! Which of many intervals hold a number: a segment tree over the intervals' ends, asked in the logarithm of their
//! count plus the size of the answer.
//!
//! What it is NOT: dynamic; it is built once with its rule set. Nor is it climbed node by node: from a segment the way
//! leads only to nodes that hold something, because each node that is passed costs memory to wait for.

use crate::reading::NONE;

/// Entries by closed interval; entries are numbers the caller knows.
#[derive(Debug)]
pub(crate) struct Intervals<N> {
    /// Where elementary segments begin, sorted; the first begins the first interval.
    starts: Vec<N>,
    /// By segment: the first node above that holds entries, by where its record begins, or [`NONE`].
    nodes: Vec<u32>,
    /// A node that holds entries is `[above, entries]` and its entries, which hold on its whole span; `above` is the
    /// next such node or [`NONE`].
    records: Vec<u32>,
}

impl<N: Ord + Copy> Intervals<N> {
    /// Builds the tree; `next` is the number after another, `None` behind the last one.
    pub fn build(entries: &[(N, N, u32)], next: impl Fn(N) -> Option<N>) -> Self {
        let mut starts: Vec<N> =
            entries.iter().flat_map(|(low, high, _)| [Some(*low), next(*high)]).flatten().collect();
        starts.sort_unstable();
        starts.dedup();
        let leaves = starts.len();
        // In heap order, leaves behind.
        let mut lists = vec![Vec::new(); leaves * 2];
        for (low, high, entry) in entries.iter().filter(|(low, high, _)| low <= high) {
            let end = next(*high).map_or(leaves, |after| starts.partition_point(|start| *start < after));
            let (mut left, mut right) = (starts.partition_point(|start| start < low) + leaves, end + leaves);
            let mut add = |node: usize| {
                if let Some(list) = lists.get_mut(node) {
                    list.push(*entry);
                }
            };
            while left < right {
                if left % 2 == 1 {
                    add(left);
                    left += 1;
                }
                if right % 2 == 1 {
                    right -= 1;
                    add(right);
                }
                left /= 2;
                right /= 2;
            }
        }
        let (mut nodes, mut records) = (Vec::with_capacity(lists.len()), Vec::new());
        for list in lists {
            let above = nodes.get(nodes.len() / 2).copied().unwrap_or(NONE);
            if list.is_empty() {
                nodes.push(above);
                continue;
            }
            nodes.push(count(records.len()));
            records.extend([above, count(list.len())]);
            records.extend(list);
        }
        Self { starts, nodes: nodes.split_off(leaves), records }
    }

    /// Hands out every entry whose interval holds the number.
    pub fn stab(&self, number: N, mut found: impl FnMut(u32)) {
        let Some(leaf) = self.starts.partition_point(|start| *start <= number).checked_sub(1) else { return };
        let mut node = self.nodes.get(leaf);
        while let Some([above, count, entries @ ..]) = node.and_then(|node| self.records.get(*node as usize..)) {
            entries.iter().take(*count as usize).for_each(|entry| found(*entry));
            node = Some(above);
        }
    }
}

fn count(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

#[cfg(test)]
mod tests;
