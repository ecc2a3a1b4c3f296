//! Kind Rule: events of a stream that match a pattern, or moments of a schedule, go to targets.

use std::sync::Arc;

use headwater_base::{Name, Problem};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::port::bus::DEFAULT_BUS;
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{pattern, plan, target_problems, target_refs};
use crate::schedule::{Dialect, Expression};
use crate::spec::{Start, TargetSpec};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Rule",
    plural: "rules",
    short: &["ru"],
    doc: "Sends the events of a stream that match a pattern, or the moments of a schedule, to targets.",
    schema: kind::schema::<RuleSpec>,
    example: EXAMPLE,
    effective: kind::effective::<RuleSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

/// The unit kind that runs a rule.
pub const UNIT: &str = "rule";

const EXAMPLE: &str = r#"apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: large-orders}
spec:
  source: bus.default
  pattern:
    source: [shop.orders]
    detail-type: [OrderPlaced]
    detail: {total: [{numeric: [">=", 1000]}]}
  targets:
    - {type: stream, stream: orders.large}
    - type: table
      table: large_orders
      key: $.detail.order
      input: {path: $.detail}
"#;

/// The spec: exactly one of `pattern` and `schedule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleSpec {
    /// What the rule is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The stream whose events are looked at. Default `bus.default`.
    #[serde(default = "default_bus")]
    pub source: String,
    /// What an event must look like, in the language of Amazon EventBridge's event patterns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Map<String, Value>>,
    /// When it is due, in UTC: `rate(5 minutes)` or `cron(0 18 ? * MON-FRI *)`. A Schedule can do more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Where a new rule begins to read. Default: at events that arrive from now on.
    #[serde(default)]
    pub start: Start,
    /// A rule that is not enabled reads nothing; once enabled it goes on where it stopped.
    #[serde(default = "crate::spec::yes")]
    pub enabled: bool,
    /// Where events go. A rule without a target reads nothing.
    pub targets: Vec<TargetSpec>,
    /// The stream that takes what cannot be delivered. Default `<name>.dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Name>,
}

fn default_bus() -> String {
    DEFAULT_BUS.to_owned()
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: RuleSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if !spec.targets.is_empty() {
        problems.append(&mut target_problems(&spec.targets, "/spec/targets", &draft.origin));
    }
    if let Err(problem) = Name::new(&spec.source) {
        problems.push(draft.origin.blame("/spec/source", problem));
    }
    match (&spec.pattern, &spec.schedule) {
        (Some(text), None) => problems.extend(pattern(text, "/spec/pattern", &draft.origin).err()),
        (None, Some(text)) => {
            let fault = Expression::parse(text, Dialect::Rule).err();
            problems.extend(fault.map(|problem| draft.origin.blame("/spec/schedule", problem)));
        }
        (Some(_), Some(_)) => {
            let problem = Problem::new("HW-BUS-004", "a rule has a `pattern` or a `schedule`, not both");
            problems.push(draft.origin.blame("/spec/schedule", problem.help("write two rules")));
        }
        (None, None) => {
            let problem = Problem::new("HW-BUS-004", "a rule needs a `pattern` or a `schedule`")
                .help("`pattern: {source: [shop.orders]}`, or `schedule: rate(5 minutes)`");
            problems.push(draft.origin.blame("/spec", problem));
        }
    }
    problems
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<RuleSpec>(spec.clone()) else { return Vec::new() };
    let mut refs = target_refs(&spec.targets, "/spec/targets");
    if spec.pattern.is_some() {
        refs.push(Ref { kind: "Stream", name: spec.source, at: "/spec/source".to_owned(), needed: false });
    }
    refs
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let Ok(spec) = serde_json::from_value::<RuleSpec>(resource.effective().clone()) else { return Plan::default() };
    let source = spec.pattern.is_some().then(|| Name::new(&spec.source).ok()).flatten().map(|name| (name, 1));
    let mut plan = plan(UNIT, resource, source, &spec.targets, spec.dead_letter.as_ref());
    if !spec.enabled || spec.targets.is_empty() {
        plan.units.clear();
    }
    plan
}

#[cfg(test)]
mod tests;
