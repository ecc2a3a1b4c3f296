//! Which executions there are: by workflow or Map Run, state and start, so that a page of a list costs the page; and
//! whose a Map Run is, by its name in full.
//!
//! Truth are the rows; this is the index over them that a restart builds anew, as it does the timers. Lists follow a
//! commit once that is durable, and before anybody is told of it. About 60 bytes for each execution that is kept, and
//! for each of its Map Runs.

use std::cmp::Reverse;
use std::collections::btree_set::Range;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Bound;

use ahash::HashMap;
use headwater_base::Micros;
use headwater_kernel::port::workflows::{ExecutionCounts, ExecutionState};

use super::rows::{Head, Key};
use crate::execution::Attempt;
use crate::hash;

/// Where an execution stands in a list: the newest first.
pub(super) type Place = (Reverse<Micros>, Key);

/// Executions that are listed together. Children of a Map Run are listed with it alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    Workflow(String),
    MapRun(String),
}

/// A Map Run's name in full, as the beginning of its hash.
pub(super) type RunName = [u8; 16];

/// The short form of a Map Run's name.
pub(super) fn run_name(arn: &str) -> RunName {
    hash::sha256(arn.as_bytes()).first_chunk().copied().unwrap_or_default()
}

/// Whose a Map Run is: the execution, and the thread and visit of the Map state in it. Taken up again it is another
/// attempt of the same visit.
pub(super) type Owner = (Key, Attempt);

/// What a commit says of an execution.
#[derive(Debug)]
pub(super) struct Listing {
    group: Group,
    place: Place,
    /// None for one that is gone.
    state: Option<ExecutionState>,
    /// Its Map Runs that go with it.
    runs: Vec<RunName>,
}

impl Listing {
    /// An execution as its head says.
    pub(super) fn of(key: Key, head: &Head) -> Self {
        let group = match &head.map_run {
            Some(run) => Group::MapRun(run.clone()),
            None => Group::Workflow(head.workflow.clone()),
        };
        Self { group, place: (Reverse(head.started), key), state: Some(head.state), runs: Vec::new() }
    }

    /// An execution of which nothing is kept any more, nor of its Map Runs.
    pub(super) fn gone(key: Key, head: &Head, runs: Vec<RunName>) -> Self {
        Self { state: None, runs, ..Self::of(key, head) }
    }
}

/// The executions of a group by state, in the order of [`ExecutionState::ALL`].
type States = [BTreeSet<Place>; ExecutionState::ALL.len()];

/// See the file's head.
#[derive(Default)]
pub(super) struct Index {
    groups: HashMap<Group, States>,
    runs: HashMap<RunName, Owner>,
}

impl Index {
    /// Takes up what a shard holds, in any order.
    pub(super) fn take_up(&mut self, listings: Vec<Listing>) {
        let mut found: HashMap<Group, [Vec<Place>; ExecutionState::ALL.len()]> = HashMap::default();
        for Listing { group, place, state, .. } in listings {
            let states = found.entry(group).or_default().iter_mut().zip(ExecutionState::ALL);
            states.filter(|(_, one)| Some(*one) == state).for_each(|(places, _)| places.push(place));
        }
        for (group, states) in found {
            for (set, places) in self.groups.entry(group).or_default().iter_mut().zip(states) {
                // Building from all at once fills the trees' nodes.
                set.append(&mut places.into_iter().collect());
            }
        }
    }

    /// Follows a commit.
    pub(super) fn note(&mut self, listing: Listing) {
        let Listing { group, place, state, runs } = listing;
        self.forget(runs);
        let Some(state) = state else {
            let Some(states) = self.groups.get_mut(&group) else { return };
            for set in states.iter_mut() {
                set.remove(&place);
            }
            if states.iter().all(BTreeSet::is_empty) {
                self.groups.remove(&group);
            }
            return;
        };
        for (set, one) in self.groups.entry(group).or_default().iter_mut().zip(ExecutionState::ALL) {
            if one == state {
                set.insert(place);
            } else {
                set.remove(&place);
            }
        }
    }

    /// Names Map Runs. What their rows say counts, so it may come before the commit that they begin in: nobody learns of
    /// one that cannot be found.
    pub(super) fn name(&mut self, runs: impl IntoIterator<Item = (RunName, Owner)>) {
        self.runs.extend(runs);
    }

    /// Forgets Map Runs.
    pub(super) fn forget(&mut self, runs: impl IntoIterator<Item = RunName>) {
        for run in runs {
            self.runs.remove(&run);
        }
    }

    /// Whose the Map Run of a name in full should be.
    pub(super) fn owner(&self, arn: &str) -> Option<Owner> {
        self.runs.get(&run_name(arn)).copied()
    }

    /// Up to `count` places behind `after`; of all workflows without a group.
    pub(super) fn places(
        &self,
        group: Option<&Group>,
        state: Option<ExecutionState>,
        after: Option<Place>,
        count: usize,
    ) -> Vec<Place> {
        let groups: Vec<&States> = match group {
            Some(group) => self.groups.get(group).into_iter().collect(),
            None => {
                let workflows = self.groups.iter().filter(|(group, _)| matches!(group, Group::Workflow(_)));
                workflows.map(|(_, all)| all).collect()
            }
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let sets = groups.into_iter().flat_map(|states| states.iter().zip(ExecutionState::ALL));
        let sets = sets.filter(|(_, one)| state.is_none_or(|state| state == *one));
        let mut ranges: Vec<Range<'_, Place>> = sets.map(|(set, _)| set.range((from, Bound::Unbounded))).collect();
        let firsts = ranges.iter_mut().enumerate();
        let mut next: BinaryHeap<Reverse<(Place, usize)>> =
            firsts.filter_map(|(number, range)| Some(Reverse((*range.next()?, number)))).collect();
        let mut places = Vec::new();
        while places.len() < count
            && let Some(Reverse((place, number))) = next.pop()
        {
            places.push(place);
            let behind = ranges.get_mut(number).and_then(Iterator::next);
            next.extend(behind.map(|place| Reverse((*place, number))));
        }
        places
    }

    /// What the executions of each workflow come to.
    pub(super) fn counts(&self) -> BTreeMap<String, ExecutionCounts> {
        let counts = self.groups.iter().filter_map(|(group, states)| {
            let Group::Workflow(workflow) = group else { return None };
            let newest = states.iter().filter_map(BTreeSet::first).min();
            let started = newest.map(|(started, _)| started.0).unwrap_or_default();
            let states = states.each_ref().map(|set| set.len() as u64);
            Some((workflow.clone(), ExecutionCounts { states, started }))
        });
        counts.collect()
    }
}

#[cfg(test)]
mod tests;
