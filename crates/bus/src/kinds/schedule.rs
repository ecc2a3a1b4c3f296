//! Kind Schedule: targets that get an event at times of an expression.

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use headwater_base::{Micros, Name, Problem, Span};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use headwater_kernel::unit::contained;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{plan, target_problems, target_refs};
use crate::schedule::{self, Dialect, Expression};
use crate::spec::TargetSpec;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Schedule",
    plural: "schedules",
    short: &["sch"],
    doc: "Sends an event to targets at times of an expression, in a time zone, once or again and again.",
    schema: kind::schema::<ScheduleSpec>,
    example: EXAMPLE,
    effective: kind::effective::<ScheduleSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

/// The unit kind that runs a schedule.
pub const UNIT: &str = "schedule";

const EXAMPLE: &str = r#"apiVersion: headwater.dev/v1
kind: Schedule
metadata: {name: reconcile-enrich}
spec:
  expression: cron(10 * * * ? *)
  timezone: Europe/Zurich
  flexibleWindow: 5m
  targets:
    - {type: reconcile, pipeline: enrich, span: 2h, delay: 10m}
"#;

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleSpec {
    /// What the schedule is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it is due: `rate(5 minutes)`, `cron(0 18 ? * MON-FRI *)` or `at(2026-12-24T18:00:00)`.
    pub expression: String,
    /// The IANA name of the time zone that `cron` and `at` are read in. Default `UTC`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Spreads schedules that are due at the same time over so long behind it; one schedule keeps its place. Default
    /// `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flexible_window: Option<Span>,
    /// Not due before this time, RFC 3339. A `rate` counts from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Not due at or after this time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// What becomes of the schedule when it is never due again. Default `keep`.
    #[serde(default)]
    pub afterwards: Afterwards,
    /// What becomes of times that passed while the node did not run. Default `once`.
    #[serde(default)]
    pub missed: Missed,
    /// A schedule that is not enabled is never due.
    #[serde(default = "crate::spec::yes")]
    pub enabled: bool,
    /// Where its events go.
    pub targets: Vec<TargetSpec>,
    /// The stream that takes what cannot be delivered. Default `<name>.dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Name>,
}

/// What becomes of a schedule that is never due again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Afterwards {
    /// It stays.
    #[default]
    Keep,
    /// It deletes itself, once everything is delivered.
    Delete,
}

/// What becomes of times that passed while the node did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// The last of them is made up for.
    #[default]
    Once,
    /// They are left out.
    Skip,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// When a schedule is due, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// The expression.
    pub expression: Expression,
    /// The time zone.
    pub zone: Tz,
    /// What a rate counts from.
    pub anchor: Micros,
    /// The first time allowed.
    pub start: Option<Micros>,
    /// The first time no longer allowed.
    pub end: Option<Micros>,
    /// How long behind its time it may be.
    pub window: Duration,
    /// What becomes of times that passed.
    pub missed: Missed,
    /// What becomes of it in the end.
    pub afterwards: Afterwards,
}

impl Calendar {
    /// The calendar of a schedule that was created at `created`.
    ///
    /// # Errors
    /// Each fault with the key it is in: `HW-BUS-001`, `-002`, `-005`.
    pub fn of(spec: &ScheduleSpec, created: Micros) -> Result<Self, (&'static str, Problem)> {
        let expression =
            Expression::parse(&spec.expression, Dialect::Schedule).map_err(|fault| ("expression", fault))?;
        let zone = schedule::zone(&spec.timezone).map_err(|fault| ("timezone", fault))?;
        let time = |key: &'static str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => Micros::parse_rfc3339(text).map(Some).ok_or_else(|| {
                let fact = format!("`{}` is no time", text.chars().take(60).collect::<String>().escape_debug());
                (key, Problem::new("HW-BUS-005", fact).help("write it as in `2026-12-24T18:00:00+01:00`"))
            }),
        };
        let (start, end) = (time("start", &spec.start)?, time("end", &spec.end)?);
        if let (Some(start), Some(end)) = (start, end)
            && end <= start
        {
            return Err(("end", Problem::new("HW-BUS-005", "`end` is not after `start`")));
        }
        let window = Duration::from_millis(spec.flexible_window.map_or(0, Span::millis));
        let (missed, afterwards) = (spec.missed, spec.afterwards);
        Ok(Self { expression, zone, anchor: start.unwrap_or(created), start, end, window, missed, afterwards })
    }

    /// As [`Self::next`], where a bug in the calendar is an error.
    ///
    /// # Errors
    /// `HW-BUS-064`.
    pub fn tell(&self, after: Micros) -> Result<Option<Micros>, Problem> {
        contained(|| self.next(after)).map_err(|said| untold(after, &said))
    }

    /// The first time after `after`.
    pub fn next(&self, after: Micros) -> Option<Micros> {
        // A rate is due for the first time at its start, if it has one.
        if let (Some(start), Expression::Rate(_)) = (self.start, &self.expression)
            && after < start
        {
            return Some(start).filter(|time| self.end.is_none_or(|end| *time < end));
        }
        let after = self.start.map_or(after, |start| after.max(Micros(start.0.saturating_sub(1))));
        self.expression.next(self.zone, self.anchor, after).filter(|time| self.end.is_none_or(|end| *time < end))
    }
}

/// `HW-BUS-064`.
fn untold(after: Micros, said: &str) -> Problem {
    Problem::new("HW-BUS-064", format!("no time after {after} can be told, by a bug in the program: {said}"))
        .help("write the times another way, and please report this with the expression and its time zone")
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: ScheduleSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = target_problems(&spec.targets, "/spec/targets", &draft.origin);
    let told = |calendar: Calendar| calendar.tell(Micros(0)).map_err(|problem| ("expression", problem));
    if let Err((key, problem)) = Calendar::of(&spec, Micros(0)).and_then(told) {
        problems.push(draft.origin.blame(&format!("/spec/{key}"), problem));
    }
    problems
}

fn refs(spec: &Value) -> Vec<Ref> {
    serde_json::from_value::<ScheduleSpec>(spec.clone())
        .map_or_else(|_| Vec::new(), |spec| target_refs(&spec.targets, "/spec/targets"))
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let Ok(spec) = serde_json::from_value::<ScheduleSpec>(resource.effective().clone()) else { return Plan::default() };
    let mut plan = plan(UNIT, resource, None, &spec.targets, spec.dead_letter.as_ref());
    if !spec.enabled {
        plan.units.clear();
    }
    plan
}
