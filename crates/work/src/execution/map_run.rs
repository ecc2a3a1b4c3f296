//! A distributed Map as its parent sees it: what to run, and when too much has failed.
//!
//! The items run as executions of their own; reading them from files, batching, and writing results are the engine's.

use serde_json::Value;

use super::{Attempt, Item};
use crate::definition::{Flavor, MachineId};

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
    pub items: Vec<(Item, Value)>,
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

#[cfg(test)]
mod tests;
