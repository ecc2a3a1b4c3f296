//! Kind Report: a dashboard's charts, sent to destinations at times of an expression.
//!
//! What it is NOT: drawing and sending. When it is due, its charts are asked and become an event on a stream
//! ([`crate::report`]); that event is delivered as any rule's is.

mod period;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use headwater_base::{Micros, Name, Principal, Problem, Span, closest};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::origin::child;
use headwater_kernel::reconcile::{Observed, Owned, Plan, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schedule::{Afterwards, Calendar, Missed};
use super::{dead_letters, made, space};
use crate::schedule::{self, Dialect, Expression};
use crate::spec::{DeliverySpec, DestinationTarget, InputShape, TargetSpec};
use crate::subscription::Target;

pub use period::PeriodSpec;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Report",
    plural: "reports",
    short: &["rep"],
    doc: "Sends charts of a dashboard, with the filters that somebody has chosen, to destinations at times of an expression: as tables, and as a picture where there is a browser.",
    schema: kind::schema::<ReportSpec>,
    example: EXAMPLE,
    effective: kind::effective::<ReportSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

/// The unit kind that runs a report.
pub const UNIT: &str = "report";
/// What its deliveries are called in figures and idempotency keys.
pub const POST: &str = "report-post";

/// The source of the events that reports become.
pub const SOURCE: &str = "headwater.report";
/// Their type.
pub const TYPE: &str = "Report";

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Report
metadata: {name: daily-sales}
spec:
  dashboard: sales
  charts: [total, course]
  filters: {country: [CH]}
  period: yesterday
  schedule: cron(0 7 ? * MON-FRI *)
  timezone: Europe/Zurich
  to:
    - {destination: sales-team}
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportSpec {
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What it is called in its subject. The dashboard's title if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The Dashboard.
    pub dashboard: String,
    /// Ids of its charts. All of them if it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub charts: Vec<String>,
    /// Values of the dashboard's filters, by the filter's id. Those left out have the dashboard's own defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub filters: BTreeMap<String, Vec<Value>>,
    /// How far back from the time it is due it looks. As far as the dashboard does at first if this and `period` are
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Span>,
    /// Which time of the calendar it looks at instead, as seen in `timezone` when it is due. Weeks begin with Monday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<PeriodSpec>,
    /// Whose rows it has: those that policies let that principal see. `admin`, who sees all, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// When it is due: `rate(1 hours)` or `cron(0 7 ? * MON-FRI *)`.
    pub schedule: String,
    /// The IANA name of the time zone that `cron` and `period` are read in and times are told in. Default `UTC`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// What becomes of times that passed while the node did not run. Default `once`.
    #[serde(default)]
    pub missed: Missed,
    /// Rows of each chart that go with it, at most. Default 50.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    pub rows: u32,
    /// Whether a picture of the dashboard goes with it, where the node finds Chromium. Default true.
    #[serde(default = "crate::spec::yes")]
    pub picture: bool,
    /// A report that is not enabled is never due.
    #[serde(default = "crate::spec::yes")]
    pub enabled: bool,
    /// Where it goes. Each destination gets all of it, in one commit.
    #[schemars(length(min = 1, max = 10))]
    pub to: Vec<ReportTarget>,
    /// The stream of reports. Default `<name>.reports`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Name>,
    /// The stream that takes what cannot be drawn or delivered. Default `<name>.dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Name>,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportTarget {
    /// The Destination.
    pub destination: Name,
    /// What is sent. Default: the report; paths begin at its event, as in `$.detail.text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
    /// How often and how long it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn fifty() -> u32 {
    50
}

impl ReportTarget {
    /// As a rule's target.
    pub fn target(&self) -> TargetSpec {
        let report = || InputShape { path: Some("$.detail".to_owned()), ..InputShape::default() };
        TargetSpec::Destination(DestinationTarget {
            destination: self.destination.clone(),
            input: Some(self.input.clone().unwrap_or_else(report)),
            delivery: self.delivery.clone(),
        })
    }
}

impl ReportSpec {
    /// The stream of reports of the report `name`.
    ///
    /// # Errors
    /// `HW-BASE-001` for a name that is too long.
    pub fn stream(&self, name: &Name) -> Result<Name, Problem> {
        self.reports.clone().map_or_else(|| Name::new(&format!("{name}.reports")), Ok)
    }

    /// Who reads it.
    ///
    /// # Errors
    /// `HW-BASE-002` for a principal that is none.
    pub fn reader(&self) -> Result<Principal, Problem> {
        Ok(self.principal.as_deref().map(Principal::new).transpose()?.unwrap_or_default())
    }

    /// The time zone; UTC for one that [`Self::calendar`] refuses.
    pub fn zone(&self) -> Tz {
        schedule::zone(&self.timezone).unwrap_or(Tz::UTC)
    }

    /// When a report that was created at `created` is due.
    ///
    /// # Errors
    /// Each fault with the key it is in: `HW-BUS-001`, `-002`.
    pub fn calendar(&self, created: Micros) -> Result<Calendar, (&'static str, Problem)> {
        Ok(Calendar {
            expression: Expression::parse(&self.schedule, Dialect::Schedule).map_err(|fault| ("schedule", fault))?,
            zone: schedule::zone(&self.timezone).map_err(|fault| ("timezone", fault))?,
            anchor: created,
            start: None,
            end: None,
            window: std::time::Duration::ZERO,
            missed: self.missed,
            afterwards: Afterwards::Keep,
        })
    }
}

fn validate(draft: &Draft, view: &View<'_>) -> Vec<Problem> {
    let spec: ReportSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    let mut check = |pointer: &str, fault: Option<Problem>| {
        problems.extend(fault.map(|problem| draft.origin.blame(pointer, problem)));
    };
    check("/spec/reports", spec.stream(&draft.name).err());
    check("/spec/principal", spec.reader().err());
    if let Err((key, problem)) = spec.calendar(Micros(0)) {
        check(&format!("/spec/{key}"), Some(problem));
    }
    if spec.last.is_some() && spec.period.is_some() {
        let fact = "`last` and `period` both say which time the report is about";
        check("/spec/period", Some(Problem::new("HW-BUS-063", fact).help("leave one of them out")));
    }
    for (number, to) in spec.to.iter().enumerate() {
        check(&format!("/spec/to/{number}"), Target::compile(number, &to.target()).err());
    }
    let Some(dashboard) = view.spec("Dashboard", &spec.dashboard) else { return problems };
    for (number, id) in spec.charts.iter().enumerate() {
        check(&format!("/spec/charts/{number}"), absent(&dashboard, "chart", id));
    }
    for id in spec.filters.keys() {
        check(&child("/spec/filters", id), absent(&dashboard, "filter", id));
    }
    problems
}

/// What is said when a dashboard has no such chart or filter.
fn absent(dashboard: &Value, what: &str, id: &str) -> Option<Problem> {
    let key = format!("{what}s");
    let sheets = dashboard["sheets"].as_array().into_iter().flatten();
    let all = std::iter::once(dashboard).chain(sheets).filter_map(|it| it[&key].as_array()).flatten();
    let ids: Vec<&str> = all.filter_map(|one| one["id"].as_str()).collect();
    if ids.contains(&id) {
        return None;
    }
    let problem = Problem::new("HW-BUS-060", format!("the dashboard has no {what} `{}`", id.escape_debug()));
    Some(match closest(id, ids.iter().copied()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    })
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<ReportSpec>(spec.clone()) else { return Vec::new() };
    let dashboard = Ref { kind: "Dashboard", name: spec.dashboard, at: "/spec/dashboard".to_owned(), needed: true };
    let to = spec.to.iter().enumerate().map(|(number, to)| Ref {
        kind: "Destination",
        name: to.destination.to_string(),
        at: format!("/spec/to/{number}/destination"),
        needed: true,
    });
    std::iter::once(dashboard).chain(to).collect()
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let name = &resource.metadata.name;
    let Ok(spec) = serde_json::from_value::<ReportSpec>(resource.effective().clone()) else { return Plan::default() };
    let Ok(reports) = spec.stream(name) else { return Plan::default() };
    Plan {
        streams: vec![made(reports, 1), made(dead_letters(name, spec.dead_letter.as_ref()), 1)],
        units: if spec.enabled { vec![UnitSpec::of(UNIT, resource)] } else { Vec::new() },
        owns: vec![Owned::Space(space(UNIT, name)), Owned::Space(space(POST, name))],
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests;
