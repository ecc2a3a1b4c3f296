//! Kind Alarm: a measure of a dashboard's chart, asked again and again, and told of when it crosses a threshold.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Limits, Name, Principal, Problem, Span};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::charts::{Beside, Choice, Window};
use headwater_kernel::port::sql::Via;
use headwater_kernel::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use headwater_log::StreamConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Alarm",
    plural: "alarms",
    short: &[],
    doc: "Watches a measure of a dashboard's chart, with the filters that somebody has chosen, and writes an alert when it crosses a threshold and another when it is back.",
    schema: kind::schema::<AlarmSpec>,
    example: EXAMPLE,
    effective: kind::effective::<AlarmSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

/// The unit kind that runs an alarm.
pub const UNIT: &str = "alarm";

/// The shortest time between two looks.
const EVERY_MIN_MS: u64 = 1_000;

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Alarm
metadata: {name: low-sales}
spec:
  description: Sales of Switzerland that fall below what the shop costs.
  dashboard: sales
  chart: total
  filters: {country: [CH]}
  last: 1h
  below: 1000
  every: 1m
  sustain: 3
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlarmSpec {
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The Dashboard.
    pub dashboard: String,
    /// The id of its chart. Of a chart with dimensions every row is looked at.
    pub chart: String,
    /// The measure. The chart's first one if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// Values of the dashboard's filters, by the filter's id: they go with every alert. Those left out have the
    /// dashboard's own defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filters: BTreeMap<String, Vec<Value>>,
    /// How far back it looks. As far as the dashboard does at first if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Span>,
    /// Values above this one are told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Values below this one are told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// How often it looks, at whole multiples since 1970: `1m` is at the minute. A second at least. Default `1m`.
    #[serde(default = "minute")]
    pub every: Span,
    /// So many looks in succession have to find the threshold crossed. Default 1.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 1000))]
    pub sustain: u32,
    /// As whom it looks: it sees the rows that policies let that principal see. `admin`, who sees all, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The stream of alerts. Default `<name>.alerts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<String>,
}

fn minute() -> Span {
    Span::from_millis(60_000)
}

const fn once() -> u32 {
    1
}

impl AlarmSpec {
    /// The stream of alerts of the alarm `name`.
    ///
    /// # Errors
    /// `HW-BASE-001` for a name that cannot be.
    pub fn alerts(&self, name: &Name) -> Result<Name, Problem> {
        self.alerts.as_deref().map_or_else(|| Name::new(&format!("{name}.alerts")), Name::new)
    }

    /// What a reader who watched instead would have chosen.
    ///
    /// # Errors
    /// `HW-BASE-002` for a principal that is none.
    pub fn choice(&self) -> Result<Choice, Problem> {
        let reader = self.principal.as_deref().map(Principal::new).transpose()?.unwrap_or_default();
        let window = self.last.map_or(Window::Own, Window::Last);
        let (filters, via) = (self.filters.clone(), Via::Alarm);
        Ok(Choice { filters, window, reader, beside: Beside::Nothing, via, ..Choice::default() })
    }
}

/// The key-value space of an alarm.
pub fn space(name: &str) -> String {
    format!("{UNIT}/{name}")
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: AlarmSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Err(problem) = spec.alerts(&draft.name) {
        problems.push(draft.origin.blame("/spec/alerts", problem));
    }
    if let Err(problem) = spec.choice() {
        problems.push(draft.origin.blame("/spec/principal", problem));
    }
    let mut fault = |at: &str, fact: &str, help: &str| {
        problems.push(draft.origin.blame(at, Problem::new("HW-WATCH-003", fact).help(help)));
    };
    match (spec.below, spec.above) {
        (None, None) => fault("/spec", "the alarm has no threshold", "say `above`, `below`, or both"),
        (Some(below), Some(above)) if below > above => {
            fault("/spec/below", "every value is below `below` or above `above`", "`below` is at most `above`");
        }
        _ => {}
    }
    if spec.every.duration().as_millis() < u128::from(EVERY_MIN_MS) {
        fault("/spec/every", "an alarm looks once a second at most", "say `every: 1s` or longer");
    }
    problems
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<AlarmSpec>(spec.clone()) else { return Vec::new() };
    vec![Ref { kind: "Dashboard", name: spec.dashboard, at: "/spec/dashboard".to_owned(), needed: true }]
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let name = &resource.metadata.name;
    let Ok(spec) = serde_json::from_value::<AlarmSpec>(resource.effective().clone()) else { return Plan::default() };
    let Ok(alerts) = spec.alerts(name) else { return Plan::default() };
    let config = StreamConfig { partitions: 1, ..default_config(&Limits::default()) };
    Plan {
        streams: vec![StreamObject { name: alerts, config, extra: Vec::new(), alter: false }],
        units: vec![UnitSpec::of(UNIT, resource)],
        owns: vec![Owned::Space(space(name.as_str()))],
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use headwater_kernel::Registry;
    use headwater_kernel::port::Context;

    use super::*;

    #[test]
    fn each_fault_of_an_alarm_is_told_with_its_place() {
        let told = |yaml: &str| {
            let registry = Registry::new(&[KIND]);
            let drafts = registry.read("a.yaml", yaml.as_bytes(), &Limits::default()).unwrap();
            let view = View {
                registry: &registry,
                context: &Context::without_node("."),
                drafts: &std::collections::HashMap::new(),
                stored: &|_, _| None,
            };
            let problems = validate(drafts.first().unwrap(), &view);
            problems.into_iter().map(|it| (it.place.unwrap().line, it.code)).collect::<Vec<_>>()
        };
        assert_eq!(told(EXAMPLE), []);
        let head =
            "apiVersion: headwater.dev/v1\nkind: Alarm\nmetadata: {name: a}\nspec:\n  dashboard: d\n  chart: c\n";
        let code = |line: u32, code: &str| (line, code.to_owned());
        assert_eq!(told(head), [code(5, "HW-WATCH-003")]);
        assert_eq!(
            told(&format!("{head}  below: 3\n  above: 2\n  every: 10ms\n  principal: \"\"\n")),
            [code(10, "HW-BASE-002"), code(7, "HW-WATCH-003"), code(9, "HW-WATCH-003")]
        );
    }
}
