//! Which of many intervals hold a number: a segment tree over the intervals' ends, asked in the logarithm of their
//! count plus the size of the answer.
//!
//! What it is NOT: dynamic; it is built once with its rule set.

/// Entries by closed interval; entries are numbers the caller knows.
#[derive(Debug)]
pub(crate) struct Intervals<N> {
    /// Where elementary segments begin, sorted; the first begins the first interval.
    starts: Vec<N>,
    /// The tree in heap order, leaves behind: where each node's entries begin. They hold on its whole span.
    nodes: Vec<u32>,
    entries: Vec<u32>,
}

impl<N: Ord + Copy> Intervals<N> {
    /// Builds the tree; `next` is the number after another, `None` behind the last one.
    pub fn build(entries: &[(N, N, u32)], next: impl Fn(N) -> Option<N>) -> Self {
        let mut starts: Vec<N> =
            entries.iter().flat_map(|(low, high, _)| [Some(*low), next(*high)]).flatten().collect();
        starts.sort_unstable();
        starts.dedup();
        let leaves = starts.len();
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
        let (mut nodes, mut flat) = (Vec::with_capacity(lists.len() + 1), Vec::new());
        for list in lists {
            nodes.push(u32::try_from(flat.len()).unwrap_or(u32::MAX));
            flat.extend(list);
        }
        nodes.push(u32::try_from(flat.len()).unwrap_or(u32::MAX));
        Self { starts, nodes, entries: flat }
    }

    /// Hands out every entry whose interval holds the number.
    pub fn stab(&self, number: N, mut found: impl FnMut(u32)) {
        let Some(leaf) = self.starts.partition_point(|start| *start <= number).checked_sub(1) else { return };
        let mut node = leaf + self.starts.len();
        while node > 0 {
            if let Some([start, end]) = self.nodes.get(node..node + 2) {
                let entries = self.entries.get(*start as usize..*end as usize);
                entries.unwrap_or_default().iter().for_each(|entry| found(*entry));
            }
            node /= 2;
        }
    }
}

#[cfg(test)]
mod tests;
