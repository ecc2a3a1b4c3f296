//! The branches of a rule set, hung up under the keyed tests they need, and at each node by what else finds them.
//!
//! What it is NOT: the tests themselves. A node is visited only if all tests on the way to it are satisfied, and the
//! test shared by fewest branches comes first, so that hardly a node is visited in vain. What belongs to a node lies
//! side by side: with many rules a visit costs the memory it has to wait for.

use std::collections::BTreeMap;

use crate::address::{self, Address};
use crate::intervals::Intervals;
use crate::matcher::{LeafKind, Matcher};
use crate::number::Rank;
use crate::paths::{Map, hasher};
use crate::reading::NONE;
use crate::ruleset::{Matching, Scratch};
use crate::test::{Kind, Test};

/// One way to match a rule: all of these tests, in the order of their paths.
#[derive(Debug)]
pub(crate) struct Branch {
    pub rule: u32,
    pub tests: Vec<u32>,
}

/// All branches, as records in one array of numbers:
/// - a node is `[group, edges, alone]`, then `edges` times `[test, node]`, then `alone` branches;
/// - a branch is `[rule, open, all]`, then its tests that are not keyed, then all of its tests.
///
/// Nodes and branches are named by where their records begin. `group` is [`NONE`] or a place in `groups`; the branches
/// found through it lie elsewhere. A node whose children are in `many` has [`NONE`] edges.
#[derive(Debug)]
pub(crate) struct Tree {
    records: Vec<u32>,
    root: u32,
    /// By test: the root's child, or [`NONE`].
    first: Vec<u32>,
    many: Map<u32, Map<u32, u32>>,
    groups: Vec<Map<u32, Group>>,
}

/// Branches of one node that need a value of one field.
#[derive(Debug, Default)]
struct Group {
    any: Vec<u32>,
    numbers: Option<Intervals<Rank>>,
    addresses: Option<Intervals<(bool, u128)>>,
}

const EDGES_MAX: usize = 8;
/// Branches of a node that are asked one by one rather than found by group.
const ALONE_MAX: usize = 4;

/// A node while the tree grows.
#[derive(Debug, Default)]
struct Growing {
    children: BTreeMap<u32, u32>,
    branches: Vec<u32>,
}

impl Tree {
    pub fn build(branches: &[Branch], tests: &[Test]) -> Self {
        let keyed = |test: &u32| tests.get(*test as usize).is_some_and(|test| test.kind == Kind::Keyed);
        let mut growing = vec![Growing::default()];
        for (branch, number) in branches.iter().zip(0_u32..) {
            let mut keys: Vec<u32> = branch.tests.iter().copied().filter(keyed).collect();
            keys.sort_unstable();
            let mut at = 0_u32;
            for test in keys {
                let fresh = count(growing.len());
                let Some(node) = growing.get_mut(at as usize) else { continue };
                at = *node.children.entry(test).or_insert(fresh);
                if at == fresh {
                    growing.push(Growing::default());
                }
            }
            if let Some(node) = growing.get_mut(at as usize) {
                node.branches.push(number);
            }
        }
        let mut tree = Self {
            records: Vec::new(),
            root: 0,
            first: vec![NONE; tests.len()],
            many: Map::with_hasher(hasher()),
            groups: Vec::new(),
        };
        // Children grew after their parents, so backwards every child is known when its parent is written.
        let mut written = vec![NONE; growing.len()];
        for (number, node) in growing.into_iter().enumerate().rev() {
            let mut children: Vec<(u32, u32)> = Vec::with_capacity(node.children.len());
            for (test, child) in node.children {
                children.push((test, written.get(child as usize).copied().unwrap_or(NONE)));
            }
            if number == 0 {
                for (test, child) in children.drain(..) {
                    if let Some(first) = tree.first.get_mut(test as usize) {
                        *first = child;
                    }
                }
            }
            let own: Vec<&Branch> = node.branches.iter().filter_map(|own| branches.get(*own as usize)).collect();
            let at = tree.write(children, own, tests);
            if let Some(written) = written.get_mut(number) {
                *written = at;
            }
            tree.root = at;
        }
        tree
    }

    /// Writes a node and its branches.
    fn write(&mut self, children: Vec<(u32, u32)>, own: Vec<&Branch>, tests: &[Test]) -> u32 {
        let mut alone = own;
        let mut group = NONE;
        if alone.len() > ALONE_MAX {
            let (grouped, rest) = alone.into_iter().partition(|branch| best(branch, tests).is_some());
            alone = rest;
            group = self.write_group(grouped, tests);
        }
        let at = count(self.records.len());
        let edges = if children.len() > EDGES_MAX { NONE } else { count(children.len()) };
        self.records.extend([group, edges, count(alone.len())]);
        if edges == NONE {
            let mut many = Map::with_hasher(hasher());
            many.extend(children);
            self.many.insert(at, many);
        } else {
            self.records.extend(children.iter().flat_map(|(test, child)| [*test, *child]));
        }
        for branch in alone {
            self.write_branch(branch, tests);
        }
        at
    }

    /// Writes branches that are found by a value of a field.
    fn write_group(&mut self, grouped: Vec<&Branch>, tests: &[Test]) -> u32 {
        let mut by_field = BTreeMap::<u32, Vec<(&Test, u32)>>::new();
        for branch in grouped {
            let at = self.write_branch(branch, tests);
            if let Some(test) = best(branch, tests) {
                by_field.entry(test.field).or_default().push((test, at));
            }
        }
        if by_field.is_empty() {
            return NONE;
        }
        let mut map = Map::with_hasher(hasher());
        map.extend(by_field.into_iter().map(|(field, members)| (field, Group::build(&members))));
        self.groups.push(map);
        count(self.groups.len() - 1)
    }

    fn write_branch(&mut self, branch: &Branch, tests: &[Test]) -> u32 {
        let at = count(self.records.len());
        let open: Vec<u32> = branch.tests.iter().copied().filter(|test| is_open(*test, tests)).collect();
        self.records.extend([branch.rule, count(open.len()), count(branch.tests.len())]);
        self.records.extend(open);
        self.records.extend(&branch.tests);
        at
    }

    /// Hands every branch whose keyed tests are satisfied to the matching.
    pub fn visit(&self, matching: &mut Matching<'_>) {
        self.visit_node(self.root, 0, matching);
        let Scratch { keyed, open, .. } = &mut *matching.scratch;
        let children = keyed.iter().zip(1_u32..).map(|(test, behind)| (self.first.get(*test as usize), behind));
        open.extend(children.filter_map(|(child, behind)| Some((*child.filter(|child| **child != NONE)?, behind))));
        while let Some((node, from)) = matching.scratch.open.pop() {
            self.visit_node(node, from, matching);
        }
    }

    /// Hands out the branches of a node and opens its children; satisfied tests before `from` are behind it.
    #[inline]
    fn visit_node(&self, at: u32, from: u32, matching: &mut Matching<'_>) {
        let Some([group, edges, alone, rest @ ..]) = self.records.get(at as usize..) else { return };
        let mut rest = rest;
        if *edges == NONE {
            let Some(children) = self.many.get(&at) else { return };
            let Scratch { keyed, open, .. } = &mut *matching.scratch;
            let later = keyed.iter().zip(1_u32..).skip(from as usize);
            open.extend(later.filter_map(|(test, behind)| Some((*children.get(test)?, behind))));
        } else {
            for _ in 0..*edges {
                let [test, child, behind @ ..] = rest else { return };
                rest = behind;
                if matching.has(*test) {
                    let behind = matching.scratch.keyed.partition_point(|other| other <= test);
                    matching.scratch.open.push((*child, count(behind)));
                }
            }
        }
        for _ in 0..*alone {
            let Some(behind) = candidate(rest, matching) else { return };
            rest = behind;
        }
        if let Some(groups) = self.groups.get(*group as usize) {
            let mut found = std::mem::take(&mut matching.scratch.found);
            search(groups, matching.scratch, matching.event, &mut found);
            for branch in found.drain(..) {
                candidate(self.records.get(branch as usize..).unwrap_or_default(), matching);
            }
            matching.scratch.found = found;
        }
    }
}

/// Hands out the branch that begins here; what follows its record.
#[inline]
fn candidate<'r>(record: &'r [u32], matching: &mut Matching<'_>) -> Option<&'r [u32]> {
    let [rule, open, all, rest @ ..] = record else { return None };
    let (open, rest) = rest.split_at_checked(*open as usize)?;
    let (all, rest) = rest.split_at_checked(*all as usize)?;
    matching.candidate(*rule, open, all);
    Some(rest)
}

/// Whether a test is not keyed.
fn is_open(test: u32, tests: &[Test]) -> bool {
    tests.get(test as usize).is_some_and(|test| test.kind != Kind::Keyed)
}

/// The test by which a branch can be found in a group.
fn best<'t>(branch: &Branch, tests: &'t [Test]) -> Option<&'t Test> {
    let open = branch.tests.iter().filter(|test| is_open(**test, tests));
    open.filter_map(|test| tests.get(*test as usize))
        .min_by_key(|test| test.kind)
        .filter(|test| test.kind != Kind::Open)
}

/// The grouped branches that the event's fields and values lead to.
fn search(groups: &Map<u32, Group>, scratch: &Scratch, event: &[u8], found: &mut Vec<u32>) {
    for field in &scratch.reading.present {
        let Some(group) = groups.get(field) else { continue };
        found.extend_from_slice(&group.any);
        if group.numbers.is_none() && group.addresses.is_none() {
            continue;
        }
        for (_, value) in scratch.reading.of(*field) {
            let leaf = scratch.reading.leaf(event, value);
            if let (Some(numbers), LeafKind::Number(number)) = (&group.numbers, leaf.kind) {
                numbers.stab(number, |branch| found.push(branch));
            }
            if let (Some(addresses), LeafKind::Text) = (&group.addresses, leaf.kind)
                && let Some(address) = address::parse(leaf.bytes)
            {
                addresses.stab(pair(address), |branch| found.push(branch));
            }
        }
    }
}

impl Group {
    fn build(members: &[(&Test, u32)]) -> Self {
        let (mut any, mut numbers, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for (test, branch) in members {
            if test.kind != Kind::Ranged {
                any.push(*branch);
                continue;
            }
            for matcher in test.ranges() {
                match matcher {
                    Matcher::Between(low, high) => numbers.push((*low, *high, *branch)),
                    Matcher::Block(first, last) => addresses.push((pair(*first), pair(*last), *branch)),
                    other => headwater_base::never!("{other:?} is no interval"),
                }
            }
        }
        let after = |(v6, number): (bool, u128)| number.checked_add(1).map(|number| (v6, number));
        Self {
            any,
            numbers: (!numbers.is_empty()).then(|| Intervals::build(&numbers, |number| number.checked_add(1))),
            addresses: (!addresses.is_empty()).then(|| Intervals::build(&addresses, after)),
        }
    }
}

fn pair(address: Address) -> (bool, u128) {
    (address.v6, address.number)
}

fn count(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
