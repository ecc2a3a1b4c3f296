//! Kind Workflow: a definition in the Amazon States Language under a name, and how its executions are kept.
//!
//! Each change makes a published version, numbered by the resource's generation. Executions go on with the definition
//! they began with, whatever becomes of the resource.

use std::sync::Arc;

use headwater_base::{Problem, Span};
use headwater_kernel::kind::{self, Kind, View};
use headwater_kernel::reconcile::{Observed, Plan, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use headwater_kernel::unit::{Task, Unit, UnitKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::alias::{self, Aliases};
use crate::definition::{Definition, Diagnostic, Flavor};
use crate::engine::{Engine, Unknown, Workflow};
use crate::limits::Limits;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Workflow",
    plural: "workflows",
    short: &["wf"],
    doc: "A state machine in the Amazon States Language, whose executions are durable: they survive crashes, wait for days and do each internal effect exactly once.",
    schema: kind::schema::<WorkflowSpec>,
    example: EXAMPLE,
    effective: kind::effective::<WorkflowSpec>,
    validate,
    change: kind::no_change_problems,
    refs: kind::no_refs,
    reconcile,
};

/// The unit kind that makes a workflow startable.
pub const UNIT: &str = "workflow";

const EXAMPLE: &str = r#"apiVersion: headwater.dev/v1
kind: Workflow
metadata: {name: greet}
spec:
  description: Greets a person after a moment.
  type: standard
  tasks: {unknown: retry}
  retention: 30d
  definition:
    QueryLanguage: JSONata
    StartAt: Pause
    States:
      Pause: {Type: Wait, Seconds: 1, Next: Greet}
      Greet: {Type: Pass, Output: '{% "hello " & $states.input.name %}', End: true}
"#;

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowSpec {
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How executions are kept.
    #[serde(default, rename = "type")]
    pub kind: WorkflowType,
    /// The definition in the Amazon States Language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Map<String, Value>>,
    /// The definition as JSON text, instead of `definition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How tasks are treated.
    #[serde(default)]
    pub tasks: TasksSpec,
    /// How long an ended execution, its history and the claim on its name are kept.
    #[serde(default = "retention")]
    pub retention: Span,
    /// Names that stand for a version, or for two that share the executions by weight. A version is a generation of
    /// this resource.
    #[serde(default, skip_serializing_if = "Aliases::is_empty")]
    pub aliases: Aliases,
}

/// How executions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowType {
    /// Every step is durable.
    #[default]
    Standard,
    /// In memory, for at most five minutes; what it does outside happens at least once.
    Express,
}

/// How tasks are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TasksSpec {
    /// What becomes of an external task that was under way when the node crashed.
    #[serde(default)]
    pub unknown: Unknown,
}

fn retention() -> Span {
    Span::from_millis(90 * 86_400_000)
}

impl WorkflowSpec {
    /// The definition's text.
    pub fn text(&self) -> String {
        match (&self.text, &self.definition) {
            (Some(text), _) => text.clone(),
            (None, Some(definition)) => Value::Object(definition.clone()).to_string(),
            (None, None) => String::new(),
        }
    }

    const fn flavor(&self) -> Flavor {
        match self.kind {
            WorkflowType::Standard => Flavor::Standard,
            WorkflowType::Express => Flavor::Express,
        }
    }

    /// The workflow of a resource of this name and generation.
    pub fn workflow(&self, name: &str, generation: u64) -> Workflow {
        let express = self.kind == WorkflowType::Express;
        let retention_s = self.retention.millis() / 1_000;
        let workflow = Workflow::new(name, generation, &self.text(), express, self.tasks.unknown, retention_s);
        Workflow { aliases: self.aliases.clone(), ..workflow }
    }
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: WorkflowSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    if spec.text.is_some() == spec.definition.is_some() {
        let fact = "a workflow has one of `spec.definition` and `spec.text`";
        let problem = Problem::new("HW-WORK-040", fact);
        return vec![draft.origin.blame("/spec", problem.help("write the states below `definition`"))];
    }
    let found = Definition::parse(&spec.text(), spec.flavor(), &Limits::default()).err().unwrap_or_default();
    let mut problems: Vec<Problem> =
        found.iter().map(|diagnostic| placed(draft, diagnostic, spec.text.is_some())).collect();
    problems.extend(alias::problems(&spec.aliases).into_iter().map(|(name, problem)| {
        let pointer = name.map_or_else(|| "/spec/aliases".to_owned(), |name| format!("/spec/aliases/{name}"));
        draft.origin.blame(&pointer, problem)
    }));
    problems
}

/// A diagnostic as a problem at the place of the file where the definition stands.
fn placed(draft: &Draft, diagnostic: &Diagnostic, text: bool) -> Problem {
    let location = diagnostic.location.as_deref().filter(|location| location.starts_with('/')).unwrap_or_default();
    let problem = Problem::new("HW-WORK-001", format!("the definition: {diagnostic}"))
        .help("the Amazon States Language is described at https://states-language.net/spec.html");
    let pointer = if text { "/spec/text".to_owned() } else { format!("/spec/definition{location}") };
    draft.origin.blame(&pointer, problem)
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    Plan { units: vec![UnitSpec::of(UNIT, resource)], ..Plan::default() }
}

/// The row for the kernel's table of unit kinds.
pub fn unit_kind(engine: &Engine) -> UnitKind {
    UnitKind::new(UNIT, engine, start)
}

async fn start(engine: Engine, unit: UnitSpec) -> Result<Arc<dyn Unit>, Problem> {
    let draft = unit.resource.draft();
    let spec: WorkflowSpec = kind::decode(&draft.spec, "/spec", &draft.origin)?;
    let generation = unit.resource.metadata.generation;
    let name = unit.resource.metadata.name.to_string();
    engine.register(spec.workflow(&name, generation)).await?;
    let task = Task::spawn(&unit.id(), move |mut stop| async move {
        stop.wait().await;
        engine.unregister(&name, generation);
        Ok(())
    });
    Ok(task)
}

#[cfg(test)]
mod tests;
