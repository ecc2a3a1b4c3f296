//! The branches of a rule set, hung up under the keyed tests they need, and at each node by what else finds them.
//!
//! What it is NOT: the tests themselves. A node is visited only if all tests on the way to it are satisfied, and the
//! test shared by fewest branches comes first, so that hardly a node is visited in vain. What is needed together lies
//! side by side, from a key to the rules behind it: with many rules a visit costs the memory it has to wait for.

use std::collections::BTreeMap;

use crate::address::{self, Address};
use crate::index::Key;
use crate::intervals::Intervals;
use crate::keys::{Entry, Keys};
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

/// A key, and the tests that values found by it satisfy, each with a wildcard that must match first or [`NONE`].
#[derive(Debug)]
pub(crate) struct Found {
    pub key: Key,
    pub tests: Vec<(u32, u32)>,
}

/// All branches, as records in one array of numbers, beside those of the keys:
/// - a node is `[group, edges, alone]`, then `edges` times `[mark, node]`, then `alone` branches;
/// - a branch is `[rule, open, all]`, then `[mark, test]` of its tests that are still to be asked, then all its tests.
///
/// Nodes and branches are named by where their records begin. `group` is [`NONE`] or a place in `groups`; the branches
/// found through it lie elsewhere. A node whose children are in `many` has [`NONE`] edges. The root's children are not
/// in its record: keys lead to them. Tests have a mark only if more than one place asks for them.
#[derive(Debug)]
pub(crate) struct Tree {
    pub records: Vec<u32>,
    pub keys: Keys,
    root: u32,
    /// By test: its mark or [`NONE`].
    marks: Vec<u32>,
    /// By test: the root's child or [`NONE`].
    first: Vec<u32>,
    many: Map<u32, Map<u32, u32>>,
    groups: Vec<Vec<(u32, Group)>>,
}

/// Branches of one node that need a value of one field.
#[derive(Debug, Default)]
struct Group {
    any: Vec<u32>,
    numbers: Option<Intervals<Rank>>,
    v4: Option<Intervals<u32>>,
    v6: Option<Intervals<u128>>,
}

const EDGES_MAX: usize = 8;
/// Branches of a node that are asked one by one rather than found by group.
const ALONE_MAX: usize = 4;

/// A node while the tree grows.
#[derive(Debug, Default)]
struct Growing {
    /// The test of a child of the root.
    first: Option<u32>,
    children: BTreeMap<u32, u32>,
    branches: Vec<u32>,
}

impl Tree {
    pub fn build(branches: &[Branch], tests: &[Test], found: &[Found]) -> Self {
        let growing = grow(branches, tests);
        let mut tree = Self {
            records: Vec::new(),
            keys: Keys::new(found.len()),
            root: 0,
            marks: marks(&growing, branches, tests),
            first: vec![NONE; tests.len()],
            many: Map::with_hasher(hasher()),
            groups: Vec::new(),
        };
        // A key is written as soon as all nodes are that it leads to.
        let mut keys_of = vec![Vec::new(); tests.len()];
        let opens: Vec<bool> = opens(&growing, tests.len());
        let leads = |test: &u32| opens.get(*test as usize).copied().unwrap_or_default();
        let mut waiting = vec![0_usize; found.len()];
        for (at, (found, waiting)) in found.iter().zip(&mut waiting).enumerate() {
            for test in found.tests.iter().map(|(test, _)| test).filter(|test| leads(test)) {
                *waiting += 1;
                if let Some(keys) = keys_of.get_mut(*test as usize) {
                    keys.push(at);
                }
            }
            if *waiting == 0 {
                tree.write_key(found);
            }
        }
        // Children grew after their parents, so backwards every child is known when its parent is written.
        let mut written = vec![NONE; growing.len()];
        for (number, node) in growing.into_iter().enumerate().rev() {
            let child = |(test, child): (u32, u32)| (test, written.get(child as usize).copied().unwrap_or(NONE));
            let children = node.children.into_iter().filter(|_| number != 0).map(child).collect();
            let own = node.branches.iter().filter_map(|own| branches.get(*own as usize)).collect();
            tree.root = tree.write(children, own, tests);
            if let Some(written) = written.get_mut(number) {
                *written = tree.root;
            }
            let Some(test) = node.first else { continue };
            if let Some(first) = tree.first.get_mut(test as usize) {
                *first = tree.root;
            }
            for at in keys_of.get(test as usize).into_iter().flatten() {
                let Some((waiting, found)) = waiting.get_mut(*at).zip(found.get(*at)) else { continue };
                *waiting -= 1;
                if *waiting == 0 {
                    tree.write_key(found);
                }
            }
        }
        tree
    }

    /// What a satisfied test leads to, and the wildcard that must match first.
    pub fn entry(&self, test: u32, wildcard: u32) -> Entry {
        let of = |list: &[u32]| list.get(test as usize).copied().unwrap_or(NONE);
        [of(&self.marks), of(&self.first), wildcard]
    }

    fn write_key(&mut self, found: &Found) {
        let entries: Vec<Entry> = found.tests.iter().map(|(test, wildcard)| self.entry(*test, *wildcard)).collect();
        let hash = found.key.hash(&self.keys);
        self.keys.insert(&mut self.records, hash, found.key.scope(), &found.key.bytes, &entries);
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
        let marks = &self.marks;
        let mark = |test: u32| marks.get(test as usize).copied().unwrap_or(NONE);
        let children = children.into_iter().map(|(test, child)| (mark(test), child));
        if edges == NONE {
            let mut many = Map::with_hasher(hasher());
            many.extend(children);
            self.many.insert(at, many);
        } else {
            self.records.extend(children.flat_map(|(mark, child)| [mark, child]));
        }
        for branch in alone {
            self.write_branch(branch, None, tests);
        }
        at
    }

    /// Writes branches that are found by a value of a field.
    fn write_group(&mut self, grouped: Vec<&Branch>, tests: &[Test]) -> u32 {
        let mut by_field = BTreeMap::<u32, Vec<(&Test, u32)>>::new();
        for branch in grouped {
            let Some((number, test)) = best(branch, tests) else { continue };
            // What was found by its interval need not be asked again.
            let at = self.write_branch(branch, Some(number).filter(|_| test.kind == Kind::Ranged), tests);
            by_field.entry(test.field).or_default().push((test, at));
        }
        if by_field.is_empty() {
            return NONE;
        }
        self.groups.push(by_field.into_iter().map(|(field, members)| (field, Group::build(&members))).collect());
        count(self.groups.len() - 1)
    }

    fn write_branch(&mut self, branch: &Branch, known: Option<u32>, tests: &[Test]) -> u32 {
        let at = count(self.records.len());
        let open = branch.tests.iter().copied().filter(|test| Some(*test) != known && is_open(*test, tests));
        let mark = |test: u32| self.marks.get(test as usize).copied().unwrap_or(NONE);
        let open: Vec<u32> = open.flat_map(|test| [mark(test), test]).collect();
        self.records.extend([branch.rule, count(open.len() / 2), count(branch.tests.len())]);
        self.records.extend(open);
        self.records.extend(&branch.tests);
        at
    }

    /// How many marks there are.
    pub fn marks(&self) -> usize {
        self.marks.iter().filter(|mark| **mark != NONE).count()
    }

    /// Hands every branch whose keyed tests are satisfied to the matching.
    pub fn visit(&self, matching: &mut Matching<'_>) {
        // All nodes begin to be fetched before the first is looked into.
        for (node, group) in &mut matching.scratch.open {
            *group = self.group(*node);
        }
        self.visit_node(self.root, self.group(self.root), matching);
        while let Some((node, group)) = matching.scratch.open.pop() {
            self.visit_node(node, group, matching);
        }
    }

    /// What a node's record begins with.
    #[inline]
    fn group(&self, node: u32) -> u32 {
        self.records.get(node as usize).copied().unwrap_or(NONE)
    }

    /// Hands out the branches of a node and opens its children.
    #[inline]
    fn visit_node(&self, at: u32, group: u32, matching: &mut Matching<'_>) {
        let Some([_, edges, alone, rest @ ..]) = self.records.get(at as usize..) else { return };
        let mut rest = rest;
        if *edges == NONE {
            let Some(children) = self.many.get(&at) else { return };
            let Scratch { satisfied, open, .. } = &mut *matching.scratch;
            let children = satisfied.iter().filter_map(|mark| children.get(mark));
            open.extend(children.map(|child| (*child, self.group(*child))));
        } else {
            for _ in 0..*edges {
                let [mark, child, behind @ ..] = rest else { return };
                rest = behind;
                if matching.has(*mark) {
                    matching.scratch.open.push((*child, self.group(*child)));
                }
            }
        }
        for _ in 0..*alone {
            let Some(behind) = candidate(rest, matching) else { return };
            rest = behind;
        }
        if let Some(groups) = self.groups.get(group as usize) {
            let mut found = std::mem::take(&mut matching.scratch.found);
            search(groups, matching.scratch, matching.event, &mut found);
            for branch in found.drain(..) {
                candidate(self.records.get(branch as usize..).unwrap_or_default(), matching);
            }
            matching.scratch.found = found;
        }
    }
}

/// Hangs up the branches.
fn grow(branches: &[Branch], tests: &[Test]) -> Vec<Growing> {
    let mut growing = vec![Growing::default()];
    for (branch, number) in branches.iter().zip(0_u32..) {
        let mut keys: Vec<u32> = branch.tests.iter().copied().filter(|test| !is_open(*test, tests)).collect();
        keys.sort_unstable();
        let mut at = 0_u32;
        for test in keys {
            let fresh = count(growing.len());
            let Some(node) = growing.get_mut(at as usize) else { continue };
            let first = (at == 0).then_some(test);
            at = *node.children.entry(test).or_insert(fresh);
            if at == fresh {
                growing.push(Growing { first, ..Growing::default() });
            }
        }
        if let Some(node) = growing.get_mut(at as usize) {
            node.branches.push(number);
        }
    }
    growing
}

/// By test: whether it opens a child of the root.
fn opens(growing: &[Growing], tests: usize) -> Vec<bool> {
    let mut opens = vec![false; tests];
    for test in growing.iter().filter_map(|node| node.first) {
        if let Some(opens) = opens.get_mut(test as usize) {
            *opens = true;
        }
    }
    opens
}

/// Gives marks to the keyed tests that nodes below the root ask for, and to the others that several branches share.
fn marks(growing: &[Growing], branches: &[Branch], tests: &[Test]) -> Vec<u32> {
    let mut asked = vec![0_u32; tests.len()];
    let below = growing.iter().skip(1).flat_map(|node| node.children.keys().flat_map(|test| [test, test]));
    let open = branches.iter().flat_map(|branch| &branch.tests).filter(|test| is_open(**test, tests));
    for test in below.chain(open) {
        if let Some(asked) = asked.get_mut(*test as usize) {
            *asked += 1;
        }
    }
    let mut next = 0..NONE;
    asked.iter().map(|asked| if *asked > 1 { next.next().unwrap_or(NONE) } else { NONE }).collect()
}

/// Hands out the branch that begins here; what follows its record.
#[inline]
fn candidate<'r>(record: &'r [u32], matching: &mut Matching<'_>) -> Option<&'r [u32]> {
    let [rule, open, all, rest @ ..] = record else { return None };
    let (open, rest) = rest.split_at_checked(*open as usize * 2)?;
    let (all, rest) = rest.split_at_checked(*all as usize)?;
    matching.candidate(*rule, open.as_chunks().0, all);
    Some(rest)
}

/// Whether a test is not keyed.
fn is_open(test: u32, tests: &[Test]) -> bool {
    tests.get(test as usize).is_some_and(|test| test.kind != Kind::Keyed)
}

/// The test by which a branch can be found in a group, and its number.
fn best<'t>(branch: &Branch, tests: &'t [Test]) -> Option<(u32, &'t Test)> {
    let open = branch.tests.iter().filter(|test| is_open(**test, tests));
    open.filter_map(|test| Some((*test, tests.get(*test as usize)?)))
        .min_by_key(|(_, test)| test.kind)
        .filter(|(_, test)| test.kind != Kind::Open)
}

/// The grouped branches that the event's fields and values lead to.
fn search(groups: &[(u32, Group)], scratch: &Scratch, event: &[u8], found: &mut Vec<u32>) {
    for field in &scratch.reading.present {
        let Ok(at) = groups.binary_search_by_key(field, |(field, _)| *field) else { continue };
        let Some((_, group)) = groups.get(at) else { continue };
        found.extend_from_slice(&group.any);
        for (_, value) in scratch.reading.of(*field) {
            let leaf = scratch.reading.leaf(event, value);
            match leaf.kind {
                LeafKind::Number(number) => stab(&group.numbers, number, found),
                LeafKind::Text if group.v4.is_some() || group.v6.is_some() => match address::parse(leaf.bytes) {
                    Some(Address { v6: false, number }) => stab(&group.v4, low(number), found),
                    Some(Address { v6: true, number }) => stab(&group.v6, number, found),
                    None => {}
                },
                LeafKind::Text | LeafKind::Literal => {}
            }
        }
    }
}

fn stab<N: Ord + Copy>(intervals: &Option<Intervals<N>>, number: N, found: &mut Vec<u32>) {
    if let Some(intervals) = intervals {
        intervals.stab(number, |branch| found.push(branch));
    }
}

impl Group {
    fn build(members: &[(&Test, u32)]) -> Self {
        let (mut any, mut numbers, mut v4, mut v6) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (test, branch) in members {
            if test.kind != Kind::Ranged {
                any.push(*branch);
                continue;
            }
            for matcher in test.ranges() {
                match matcher {
                    Matcher::Between(low, high) => numbers.push((*low, *high, *branch)),
                    Matcher::Block(first, last) if first.v6 => v6.push((first.number, last.number, *branch)),
                    Matcher::Block(first, last) => v4.push((low(first.number), low(last.number), *branch)),
                    other => headwater_base::never!("{other:?} is no interval"),
                }
            }
        }
        Self {
            any,
            numbers: (!numbers.is_empty()).then(|| Intervals::build(&numbers, |number| number.checked_add(1))),
            v4: (!v4.is_empty()).then(|| Intervals::build(&v4, |number| number.checked_add(1))),
            v6: (!v6.is_empty()).then(|| Intervals::build(&v6, |number| number.checked_add(1))),
        }
    }
}

/// An IPv4 address's number.
fn low(number: u128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn count(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
