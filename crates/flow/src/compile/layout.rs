//! What stored state depends on, so that a changed pipeline keeps it only where it still fits.

use std::collections::BTreeMap;

use headwater_base::Problem;
use serde::{Deserialize, Serialize};

use super::{KeyedConfig, Plan, Work};
use crate::operators::{Aggregate, ConfigError, Operator, Sessions, Windows};

/// What a pipeline's stored state depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// What the positions belong to.
    pub source: String,
    /// What each stateful step's state depends on, by id.
    pub steps: BTreeMap<String, String>,
}

impl Layout {
    /// The layout of a plan.
    pub fn of(plan: &Plan) -> Self {
        let source = plan.input.as_ref().map_or_else(|| "files".to_owned(), |(stream, _)| format!("stream {stream}"));
        let mut steps = BTreeMap::new();
        for step in &plan.steps {
            let layout = match &step.work {
                Work::Filter(_) | Work::Transform(_) | Work::Lookup(_) => continue,
                Work::Aggregate(work) => {
                    let layout =
                        Aggregate::new(work.config.clone()).map(|operator| operator.layout()).unwrap_or_default();
                    format!("aggregate by {}: {layout}", work.key)
                }
                Work::Keyed(work) => {
                    let key = work.key.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
                    let layout = work.config.operator().map(|operator| operator.layout()).unwrap_or_default();
                    format!("by {key}: {layout}")
                }
                Work::Dedupe(work) => format!("dedupe by {}", work.key),
            };
            steps.insert(step.id.to_string(), layout);
        }
        Self { source, steps }
    }
}

impl KeyedConfig {
    /// Builds the operator.
    ///
    /// # Errors
    /// A configuration that cannot be; [`super::compile`] has refused it before.
    pub fn operator(&self) -> Result<Box<dyn Operator>, ConfigError> {
        Ok(match self {
            Self::Windows(config) => Box::new(Windows::new(config.clone())?),
            Self::Sessions(config) => Box::new(Sessions::new(config.clone())?),
        })
    }
}

/// Why state kept under `old` does not fit `new`: one problem for the source and each step.
pub fn incompatible(old: &Layout, new: &Layout) -> Vec<Problem> {
    const HELP: &str = "give the step a new id, or apply with `--reset-state` to start with empty state";
    let mut problems = Vec::new();
    if old.source != new.source {
        let fact = format!(
            "the pipeline has read `{}` and would read `{}`; its positions belong to the first",
            old.source, new.source
        );
        problems.push(
            Problem::new("HW-FLOW-020", fact)
                .help("apply with `--reset-state` to begin anew, or give the pipeline a new name"),
        );
    }
    for (step, layout) in &new.steps {
        if let Some(before) = old.steps.get(step).filter(|before| *before != layout) {
            let problem = Problem::new("HW-FLOW-020", format!("the state of step `{step}` does not fit its new spec"));
            problems.push(problem.because(format!("kept: {before}")).because(format!("wanted: {layout}")).help(HELP));
        }
    }
    problems
}
