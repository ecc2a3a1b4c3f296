//! A distributed Map as its parent sees it: what to run, and when too much has failed.
//!
//! The items run as executions of their own; reading them from files, batching, and writing results are the engine's.

mod items;

use std::cell::RefCell;

use serde_json::Value;

use super::scope::Scope;
use super::{Attempt, Execution, Failure, Given, Item, map};
use crate::chance::Chance;
use crate::definition::{Definition, Flavor, Kind, MachineId, Selection};

pub use items::{Each, Items};

/// What a distributed Map runs.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRun {
    /// Whom the result is for.
    pub attempt: Attempt,
    /// Its name in full.
    pub arn: String,
    /// `Label`, or one made up.
    pub label: String,
    /// The item processor.
    pub machine: MachineId,
    /// How its children are kept.
    pub flavor: Flavor,
    /// The items with the inputs of their children; empty with a `reader`.
    pub items: Items,
    /// The evaluated `ItemReader`.
    pub reader: Option<Value>,
    /// The evaluated `ItemBatcher`.
    pub batcher: Option<Value>,
    /// The evaluated `ResultWriter`.
    pub writer: Option<Value>,
    /// Children at once; 0 for no bound of the definition's.
    pub concurrency: u64,
    /// How many may fail.
    pub tolerance: Tolerance,
    /// Takes up the newest Map Run of the same thread and visit: what succeeded there is not run another time.
    pub redrive: bool,
}

/// How many children of a Map Run may fail.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Tolerance {
    /// `ToleratedFailureCount`.
    pub count: Option<u64>,
    /// `ToleratedFailurePercentage`.
    pub percentage: Option<f64>,
}

impl Tolerance {
    /// Whether a run of `total` items goes on after `failed` of them failed. Either bound stops it; without any, one
    /// failure does. A run of no items has nothing to fail.
    pub fn bears(self, failed: u64, total: u64) -> bool {
        if failed == 0 {
            return true;
        }
        if self.count.is_none() && self.percentage.is_none() {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "item counts stay far below 2^53")]
        let within = self.percentage.is_none_or(|share| failed as f64 <= total as f64 * share / 100.0);
        within && self.count.is_none_or(|count| failed <= count)
    }
}

impl Execution {
    /// What a child of a Map Run begins with for an item that its reader has read: `ItemSelector` over what the Map
    /// state's thread sees.
    ///
    /// # Errors
    /// The selector failed, as the Map Run fails then; or that Map Run is over.
    pub fn item_input(
        &self,
        definition: &Definition,
        attempt: Attempt,
        item: &Item,
        given: &Given<'_>,
    ) -> Result<Value, Failure> {
        let over = || Failure::new("States.Runtime", "The Map Run is over.");
        let thread = self.threads.get(&attempt.thread).ok_or_else(over)?;
        let state = definition.state(thread.machine, thread.state).ok_or_else(over)?;
        let Kind::Map(map_state) = &state.kind else { return Err(over()) };
        let chance = RefCell::new(Chance::new(given.seed));
        let scope = |input| Scope {
            execution: self,
            id: attempt.thread,
            thread,
            state,
            given,
            chance: &chance,
            input,
            result: None,
            error_output: None,
            item: None,
        };
        let whole = scope(&thread.data.input);
        let fail = |fault: super::fault::Fault| fault.failure();
        match &state.input_path {
            Selection::Whole => map::item_input(&whole, map_state, item).map_err(fail),
            selection => {
                let input = whole.selection(selection, &thread.data.input).map_err(fail)?;
                map::item_input(&scope(&input), map_state, item).map_err(fail)
            }
        }
    }
}

#[cfg(test)]
mod tests;
