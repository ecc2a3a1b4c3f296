//! Many patterns as one matcher: an event is read once and finds its rules, instead of each rule looking at the event.
//!
//! What it is NOT: incremental. A rule set is built as a whole and never changes; whoever adds or removes a rule builds
//! the next one beside it and swaps. That keeps matching free of locks and lets the build order tests by how many
//! rules share them; building is linear in the rules (`examples/patterns_bench` measures it).
//!
//! How an event is matched:
//! 1. One walk collects the leaves of the fields that rules name (`reading`).
//! 2. Equal tests of different rules are one test. Each leaf is looked up for the *keyed* tests it satisfies: values,
//!    prefixes, suffixes, wildcards (`index`), in one table of all fields (`keys`).
//! 3. A branch (a rule, or one way through its `$or`s) hangs in a trie under its keyed tests, those shared by fewest
//!    branches first. Keys lead to the root's children; from there on only nodes whose tests are all satisfied are
//!    visited (`tree`).
//! 4. At a node, branches with an interval test are found by the number or address, those with `exists` or
//!    `anything-but` by the presence of a field. What is left of a branch is asked test by test, once for each event.
//! 5. Where named fields stand in arrays of objects, the leaves must fit each other (`arrays`).
//!
//! So the cost grows with the event and with the branches that get as far as step 4, not with the number of rules.

use headwater_base::Problem;

use crate::arrays::{Arrays, TooManySteps};
use crate::index::{Buffers, FIELDS_MAX, FieldIndex, Key, Shelf, key};
use crate::keys::{Entry, PROBES, Probes};
use crate::limits;
use crate::matcher::Matcher;
use crate::paths::{Map, Paths, hasher};
use crate::reading::{Halt, NONE, Reading};
use crate::syntax::Pattern;
use crate::test::{Kind, Test};
use crate::tree::{Branch, Found, Tree};
use crate::wildcard::Wildcard;

/// Patterns compiled into one matcher; a rule's number is its place among the patterns.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) paths: Paths,
    /// By field.
    fields: Vec<Option<FieldIndex>>,
    pub(crate) tests: Vec<Test>,
    wildcards: Vec<Wildcard>,
    tree: Tree,
    /// How many marks of tests there are.
    marks: usize,
    rules: u32,
}

/// Buffers of matching, kept from event to event; one for each thread, for any number of rule sets.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) reading: Reading,
    arrays: Arrays,
    buffers: Buffers,
    /// Grows with each event, so that marks of an earlier one never count.
    epoch: u64,
    /// By mark of a test: the epoch in which it was asked, twice, and one more if it was satisfied.
    asked: Vec<u64>,
    /// Marks of the keyed tests satisfied.
    pub(crate) satisfied: Vec<u32>,
    /// Nodes of the tree still to be visited, with their groups.
    pub(crate) open: Vec<(u32, u32)>,
    /// Branches found by group.
    pub(crate) found: Vec<u32>,
    rules: Vec<u32>,
}

impl RuleSet {
    /// Compiles patterns.
    ///
    /// # Errors
    /// HW-PATTERN-005 for more rules, branches or fields than numbers can name.
    pub fn build<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> Result<Self, Problem> {
        let mut builder = Builder {
            paths: Paths::new(),
            fields: Map::with_hasher(hasher()),
            tests: Vec::new(),
            known: Map::with_hasher(hasher()),
        };
        let mut branches = Vec::new();
        let mut rules = 0_u32;
        for pattern in patterns {
            for branch in &pattern.branches {
                let tests = branch.iter().map(|(path, alternatives)| builder.test(path, &alternatives.matchers));
                branches.push(Branch { rule: rules, tests: tests.collect() });
            }
            rules = rules.saturating_add(1);
        }
        if rules == u32::MAX || u32::try_from(branches.len()).is_err() {
            return Err(Problem::new("HW-PATTERN-005", format!("a rule set has more than {} branches", u32::MAX)));
        }
        if builder.fields.len() > FIELDS_MAX as usize {
            return Err(Problem::new("HW-PATTERN-005", format!("a rule set names more than {FIELDS_MAX} fields")));
        }
        Ok(builder.finish(branches, rules))
    }

    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.rules as usize
    }

    /// Whether it has no rule.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }

    /// The numbers of the rules that match an event, ascending.
    ///
    /// # Errors
    /// HW-PATTERN-010 for an event that is no JSON object, -011 for one beyond a limit, -012 when arrays of the event
    /// can be combined in too many ways.
    pub fn matches<'s>(&self, event: &[u8], scratch: &'s mut Scratch) -> Result<&'s [u32], Problem> {
        scratch.epoch += 1;
        scratch.rules.clear();
        scratch.satisfied.clear();
        scratch.open.clear();
        scratch.arrays.reset();
        if scratch.asked.len() < self.marks {
            scratch.asked.resize(self.marks, 0);
        }
        scratch.reading.read(event, &self.paths, self.fields.len()).map_err(|halt| unreadable(halt, event))?;
        self.look_up(event, scratch);
        let mut matching = Matching { set: self, event, scratch, failed: false };
        self.tree.visit(&mut matching);
        if matching.failed {
            return Err(too_many_steps());
        }
        scratch.rules.sort_unstable();
        scratch.rules.dedup();
        Ok(&scratch.rules)
    }

    /// Finds the keyed tests that the event's values satisfy, and the nodes that they open.
    fn look_up(&self, event: &[u8], scratch: &mut Scratch) {
        let Scratch { reading, buffers, satisfied, asked, open, epoch, .. } = scratch;
        let yes = *epoch * 2 + 1;
        let shelf = Shelf { keys: &self.tree.keys, records: &self.tree.records, wildcards: &self.wildcards };
        let mut lead = |[mark, node, _]: &Entry| {
            if let Some(asked) = asked.get_mut(*mark as usize).filter(|asked| **asked != yes) {
                *asked = yes;
                satisfied.push(*mark);
            }
            if *node != NONE {
                open.push((*node, NONE));
            }
        };
        let mut probes = Probes::new();
        for field in &reading.present {
            let Some(Some(index)) = self.fields.get(*field as usize) else { continue };
            for (_, value) in reading.of(*field) {
                index.find(shelf, reading.leaf(event, value), &mut probes, buffers, &mut lead);
                if probes.len() >= PROBES / 2 {
                    shelf.find_all(&mut probes, &mut lead);
                }
            }
        }
        shelf.find_all(&mut probes, &mut lead);
        // Several values, or one in several ways, may lead to one node.
        open.sort_unstable();
        open.dedup();
    }
}

/// One event being matched: what the tree asks.
pub(crate) struct Matching<'a> {
    set: &'a RuleSet,
    pub event: &'a [u8],
    pub scratch: &'a mut Scratch,
    failed: bool,
}

impl Matching<'_> {
    /// Whether the keyed test of a mark is satisfied.
    #[inline]
    pub fn has(&self, mark: u32) -> bool {
        self.scratch.asked.get(mark as usize) == Some(&(self.scratch.epoch * 2 + 1))
    }

    /// Whether any value satisfies a test, or none is needed; remembered for this event if the test has a mark.
    #[inline]
    fn satisfied(&mut self, mark: u32, number: u32) -> bool {
        let no = self.scratch.epoch * 2;
        match self.scratch.asked.get(mark as usize) {
            Some(asked) if *asked >= no => return *asked > no,
            _ => {}
        }
        let Some(test) = self.set.tests.get(number as usize) else { return false };
        let reading = &self.scratch.reading;
        let mut values = reading.of(test.field).peekable();
        let absent = test.absent && (values.peek().is_none() || reading.has_elements());
        let answer = absent || values.any(|(_, value)| test.accepts(reading.leaf(self.event, value)));
        if let Some(asked) = self.scratch.asked.get_mut(mark as usize) {
            *asked = no + u64::from(answer);
        }
        answer
    }

    /// Judges a branch whose keyed tests are satisfied; a rule may be found by several.
    #[inline]
    pub fn candidate(&mut self, rule: u32, open: &[[u32; 2]], all: &[u32]) {
        if !self.failed && open.iter().all(|[mark, test]| self.satisfied(*mark, *test)) && self.fits(all) {
            self.scratch.rules.push(rule);
        }
    }

    /// Whether the satisfying values can come from the same elements.
    fn fits(&mut self, all: &[u32]) -> bool {
        if !self.scratch.reading.has_elements() {
            return true;
        }
        let test = |level: usize| self.set.tests.get(*all.get(level)? as usize);
        let Scratch { arrays, reading, .. } = &mut *self.scratch;
        arrays.consistent(self.event, reading, &test).unwrap_or_else(|TooManySteps| {
            self.failed = true;
            false
        })
    }
}

struct Builder {
    paths: Paths,
    fields: Map<std::sync::Arc<str>, u32>,
    tests: Vec<(u32, Vec<Matcher>)>,
    known: Map<(u32, Vec<Matcher>), u32>,
}

impl Builder {
    /// The number of a test, new or known.
    fn test(&mut self, path: &std::sync::Arc<str>, matchers: &[Matcher]) -> u32 {
        let fresh = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        let field = *self.fields.entry(std::sync::Arc::clone(path)).or_insert_with(|| {
            self.paths.insert(path, fresh);
            fresh
        });
        let fresh = u32::try_from(self.tests.len()).unwrap_or(u32::MAX);
        *self.known.entry((field, matchers.to_vec())).or_insert_with_key(|key| {
            self.tests.push(key.clone());
            fresh
        })
    }

    /// Numbers the tests by how many branches share them and builds the indexes.
    fn finish(self, mut branches: Vec<Branch>, rules: u32) -> RuleSet {
        let mut shared = vec![0_u32; self.tests.len()];
        for test in branches.iter().flat_map(|branch| &branch.tests) {
            if let Some(count) = shared.get_mut(*test as usize) {
                *count += 1;
            }
        }
        let mut order: Vec<usize> = (0..self.tests.len()).collect();
        order.sort_by_key(|test| shared.get(*test).copied());
        let mut number = vec![0_u32; self.tests.len()];
        for (rank, test) in order.iter().enumerate() {
            if let Some(number) = number.get_mut(*test) {
                *number = u32::try_from(rank).unwrap_or(u32::MAX);
            }
        }
        for test in branches.iter_mut().flat_map(|branch| &mut branch.tests) {
            *test = number.get(*test as usize).copied().unwrap_or_default();
        }
        let mut fields: Vec<Option<FieldIndex>> = (0..self.fields.len()).map(|_| None).collect();
        let mut tests = Vec::with_capacity(order.len());
        let mut found: Vec<Found> = Vec::new();
        let mut numbers: Map<Key, usize> = Map::with_hasher(hasher());
        let mut wildcards: Vec<Wildcard> = Vec::new();
        // By field: tests of wildcards without a key.
        let mut pieces: Map<u32, Vec<(u32, u32)>> = Map::with_hasher(hasher());
        for (field, matchers) in order.iter().filter_map(|test| self.tests.get(*test)) {
            let test = Test::new(*field, matchers);
            let number = u32::try_from(tests.len()).unwrap_or(u32::MAX);
            let keyed = test.kind == Kind::Keyed;
            tests.push(test);
            let Some(index) = fields.get_mut(*field as usize).filter(|_| keyed) else { continue };
            let index = index.get_or_insert_with(|| FieldIndex::new(*field));
            for matcher in matchers {
                let mut wildcard = NONE;
                if let Matcher::Wildcard(one) = matcher {
                    wildcard = u32::try_from(wildcards.len()).unwrap_or(NONE);
                    wildcards.push(one.clone());
                }
                let Some(key) = key(*field, matcher) else {
                    pieces.entry(*field).or_default().push((number, wildcard));
                    continue;
                };
                index.insert(&key);
                let at = *numbers.entry(key).or_insert_with_key(|key| {
                    found.push(Found { key: key.clone(), tests: Vec::new() });
                    found.len() - 1
                });
                if let Some(found) = found.get_mut(at) {
                    found.tests.push((number, wildcard));
                }
            }
        }
        let tree = Tree::build(&branches, &tests, &found);
        for (field, tests) in pieces {
            let entries = tests.iter().map(|(test, wildcard)| tree.entry(*test, *wildcard)).collect();
            if let Some(Some(index)) = fields.get_mut(field as usize) {
                index.finish(entries, &wildcards);
            }
        }
        let marks = tree.marks();
        RuleSet { paths: self.paths, fields, tests, wildcards, tree, marks, rules }
    }
}

/// Tells why an event cannot be read.
pub(crate) fn unreadable(halt: Halt, event: &[u8]) -> Problem {
    match halt {
        Halt::Broken(broken) => {
            let title = format!("the event is no JSON object: expected {} at byte {}", broken.expected, broken.at);
            Problem::new("HW-PATTERN-010", title).help("send one JSON object")
        }
        Halt::Deep(at) => {
            let title = format!("the event nests deeper than {} levels at byte {at}", limits::EVENT_DEPTH_MAX);
            Problem::new("HW-PATTERN-011", title).help("rules cannot look so deep; send a flatter event")
        }
        Halt::Long => {
            let title = format!("the event has {} bytes; the limit is {}", event.len(), limits::EVENT_BYTES_MAX);
            Problem::new("HW-PATTERN-011", title).help("store the payload as a blob and send a reference")
        }
    }
}

pub(crate) fn too_many_steps() -> Problem {
    let title = format!("the event's arrays take more than {} steps to match with the rules", limits::ARRAY_STEPS_MAX);
    Problem::new("HW-PATTERN-012", title).help("send shorter arrays of objects, or name fewer fields of them in rules")
}

#[cfg(test)]
mod tests;
