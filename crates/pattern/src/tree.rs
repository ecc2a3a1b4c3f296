//! The branches of a rule set, hung up under the keyed tests they need, and at each node by what else finds them.
//!
//! What it is NOT: the tests themselves. A node is visited only if all tests on the way to it are satisfied, so a walk
//! costs the nodes visited times the tests satisfied at most, whatever the number of branches.

use std::collections::BTreeMap;

use crate::address::{self, Address};
use crate::intervals::Intervals;
use crate::matcher::{Leaf, LeafKind, Matcher};
use crate::number::Rank;
use crate::paths::{Map, hasher};
use crate::ruleset::Matching;
use crate::test::{Kind, Test};

/// One way to match a rule: all of these tests, in the order of their paths.
#[derive(Debug)]
pub(crate) struct Branch {
    pub rule: u32,
    pub tests: Vec<u32>,
}

/// All branches.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    branches: Vec<Hung>,
    /// Tests of all branches, one behind the other.
    tests: Vec<u32>,
}

/// A branch as the tree keeps it: where its tests lie in `Tree::tests`.
#[derive(Debug)]
struct Hung {
    rule: u32,
    /// All of them, then those that are not keyed.
    start: u32,
    rest: u32,
    end: u32,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by test.
    few: Vec<(u32, u32)>,
    many: Option<Map<u32, u32>>,
    here: Vec<u32>,
    groups: Option<Box<Map<u32, Group>>>,
}

/// Branches of one node that need a value of one field.
#[derive(Debug, Default)]
struct Group {
    any: Vec<u32>,
    numbers: Option<Intervals<Rank>>,
    addresses: Option<Intervals<(bool, u128)>>,
}

const FEW_MAX: usize = 8;
/// Branches of a node that are asked one by one rather than found by group.
const HERE_MAX: usize = 4;

impl Tree {
    pub fn build(branches: &[Branch], tests: &[Test]) -> Self {
        let mut tree = Self { nodes: vec![Node::default()], branches: Vec::new(), tests: Vec::new() };
        let keyed = |test: &u32| tests.get(*test as usize).is_some_and(|test| test.kind == Kind::Keyed);
        for branch in branches {
            let mut keys: Vec<u32> = branch.tests.iter().copied().filter(keyed).collect();
            keys.sort_unstable();
            keys.dedup();
            let node = keys.into_iter().fold(0, |node, test| tree.grow(node, test));
            let start = count(tree.tests.len());
            tree.tests.extend(&branch.tests);
            let rest = count(tree.tests.len());
            tree.tests.extend(branch.tests.iter().copied().filter(|test| !keyed(test)));
            let number = count(tree.branches.len());
            tree.branches.push(Hung { rule: branch.rule, start, rest, end: count(tree.tests.len()) });
            if let Some(node) = tree.nodes.get_mut(node as usize) {
                node.here.push(number);
            }
        }
        for number in 0..tree.nodes.len() {
            tree.group(number, tests);
        }
        tree
    }

    /// The node one test further.
    fn grow(&mut self, node: u32, test: u32) -> u32 {
        let fresh = count(self.nodes.len());
        let Some(node) = self.nodes.get_mut(node as usize) else { return 0 };
        if let Some(child) = node.child(test) {
            return child;
        }
        node.few.push((test, fresh));
        if let Some(many) = &mut node.many {
            many.insert(test, fresh);
        } else if node.few.len() > FEW_MAX {
            let mut many = Map::with_hasher(hasher());
            many.extend(node.few.iter().copied());
            node.many = Some(many);
        }
        self.nodes.push(Node::default());
        fresh
    }

    /// Sorts a node's many branches into groups by a field they need.
    fn group(&mut self, number: usize, tests: &[Test]) {
        let Some(node) = self.nodes.get_mut(number).filter(|node| node.here.len() > HERE_MAX) else { return };
        let (mut here, mut groups) = (Vec::new(), BTreeMap::<u32, (Vec<u32>, Vec<u32>)>::new());
        for branch in std::mem::take(&mut node.here) {
            let Some(hung) = self.branches.get(branch as usize) else { continue };
            let rest = self.tests.get(hung.rest as usize..hung.end as usize).unwrap_or_default();
            let best = rest.iter().filter_map(|test| tests.get(*test as usize)).min_by_key(|test| test.kind);
            match best.map(|test| (test.kind, test.field)) {
                Some((Kind::Ranged, field)) => groups.entry(field).or_default().0.push(branch),
                Some((Kind::Present, field)) => groups.entry(field).or_default().1.push(branch),
                _ => here.push(branch),
            }
        }
        let mut found: Map<u32, Group> = Map::with_hasher(hasher());
        for (field, (ranged, any)) in groups {
            let (mut numbers, mut addresses) = (Vec::new(), Vec::new());
            for branch in ranged {
                let Some(hung) = self.branches.get(branch as usize) else { continue };
                let rest = self.tests.get(hung.rest as usize..hung.end as usize).unwrap_or_default();
                let own = rest.iter().filter_map(|test| tests.get(*test as usize));
                let Some(test) = own.min_by_key(|test| test.kind) else { continue };
                for matcher in test.ranges() {
                    match matcher {
                        Matcher::Between(low, high) => numbers.push((*low, *high, branch)),
                        Matcher::Block(first, last) => addresses.push((pair(*first), pair(*last), branch)),
                        other => headwater_base::never!("{other:?} is no interval"),
                    }
                }
            }
            let after = |(v6, number): (bool, u128)| number.checked_add(1).map(|number| (v6, number));
            let group = Group {
                any,
                numbers: (!numbers.is_empty()).then(|| Intervals::build(&numbers, |number| number.checked_add(1))),
                addresses: (!addresses.is_empty()).then(|| Intervals::build(&addresses, after)),
            };
            found.insert(field, group);
        }
        node.here = here;
        node.groups = (!found.is_empty()).then(|| Box::new(found));
    }

    /// Hands every branch whose keyed tests are satisfied to the matching.
    pub fn visit(&self, matching: &mut Matching<'_>) {
        let mut open = vec![(0_u32, 0_usize)];
        while let Some((number, from)) = open.pop() {
            let Some(node) = self.nodes.get(number as usize) else { continue };
            self.judge(&node.here, matching);
            if let Some(groups) = &node.groups {
                self.visit_groups(groups, matching);
            }
            let keyed = matching.keyed();
            if let Some(many) = &node.many {
                let rest = keyed.iter().enumerate().skip(from);
                open.extend(rest.filter_map(|(at, test)| Some((*many.get(test)?, at + 1))));
            } else if !node.few.is_empty() {
                let children = node.few.iter().filter(|(test, _)| matching.has(*test));
                open.extend(children.map(|(test, child)| (*child, keyed.partition_point(|other| other <= test))));
            }
        }
    }

    fn visit_groups(&self, groups: &Map<u32, Group>, matching: &mut Matching<'_>) {
        let mut found = Vec::new();
        for field in &matching.reading().present {
            let Some(group) = groups.get(field) else { continue };
            found.extend_from_slice(&group.any);
            if group.numbers.is_none() && group.addresses.is_none() {
                continue;
            }
            for (_, value) in matching.reading().of(*field) {
                let leaf: Leaf<'_> = matching.reading().leaf(matching.event(), value);
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
        self.judge(&found, matching);
    }

    fn judge(&self, branches: &[u32], matching: &mut Matching<'_>) {
        for branch in branches {
            let Some(hung) = self.branches.get(*branch as usize) else { continue };
            let tests = |from: u32, to: u32| self.tests.get(from as usize..to as usize).unwrap_or_default();
            matching.candidate(hung.rule, tests(hung.rest, hung.end), tests(hung.start, hung.rest));
        }
    }
}

impl Node {
    fn child(&self, test: u32) -> Option<u32> {
        match &self.many {
            Some(many) => many.get(&test).copied(),
            None => self.few.iter().find(|(own, _)| *own == test).map(|(_, child)| *child),
        }
    }
}

fn pair(address: Address) -> (bool, u128) {
    (address.v6, address.number)
}

fn count(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
