//! The working part of a step: its operator, with the changes of state since the last commit.

use std::sync::Arc;

use ahash::HashMap;
use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::Cause;

use crate::compile::{Plan, Step, Work};
use crate::operators::{Aggregate, ConfigError, Operator};
use crate::runtime::dedupe::Dedupe;
use crate::runtime::overlay::Changes;

/// The working part of a step.
pub(super) enum Run {
    Stateless,
    Aggregate(Box<AggregateRun>),
    Keyed(Box<KeyedRun>),
    Dedupe(Box<DedupeRun>),
}

pub(super) struct AggregateRun {
    pub space: Arc<str>,
    pub operator: Aggregate,
    pub changes: Changes,
    /// Values to be written to a stream with the next commit, by key.
    pub rows: HashMap<Bytes, Row>,
}

/// A key whose values have changed: of a commit only the last ones become a document, and are rendered.
#[derive(Default)]
pub(super) struct Row {
    /// The time of the event that they came of.
    pub time: Micros,
    /// The longest chain of the events since the last commit.
    pub cause: Option<Box<Cause>>,
}

pub(super) struct KeyedRun {
    pub space: Arc<str>,
    pub operator: Box<dyn Operator>,
    pub changes: Changes,
}

pub(super) struct DedupeRun {
    pub space: Arc<str>,
    pub operator: Dedupe,
    pub changes: Changes,
}

impl Run {
    pub fn of(plan: &Plan, step: &Step) -> Result<Self, Problem> {
        let space: Arc<str> = Arc::from(plan.space(&step.id));
        let refused = |error: ConfigError| Problem::new("HW-FLOW-014", format!("`{}`: {error}", step.id));
        Ok(match &step.work {
            Work::Filter(_) | Work::Transform(_) | Work::Lookup(_) => Self::Stateless,
            Work::Aggregate(work) => Self::Aggregate(Box::new(AggregateRun {
                space,
                operator: Aggregate::new(work.config.clone()).map_err(refused)?,
                changes: Changes::default(),
                rows: HashMap::default(),
            })),
            Work::Keyed(work) => Self::Keyed(Box::new(KeyedRun {
                space,
                operator: work.config.operator().map_err(refused)?,
                changes: Changes::default(),
            })),
            Work::Dedupe(work) => Self::Dedupe(Box::new(DedupeRun {
                space,
                operator: Dedupe::new(work.within),
                changes: Changes::default(),
            })),
        })
    }
}
