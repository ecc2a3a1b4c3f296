//! Kind Ingest: rows of a relation that become events of a stream, again and again.

use std::sync::Arc;

use chrono_tz::Tz;
use headwater_base::{Limits, Micros, Name, Principal, Problem};
use headwater_kernel::kind::{self, ApplyOptions, Kind, Ref, View};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use headwater_kernel::schedule::{self, Dialect, Expression};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::charts::{self, text};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Ingest",
    plural: "ingests",
    short: &["ing"],
    doc: "Reads a relation of SQL (a table of PostgreSQL, files of others, any query) at times of a schedule and writes its rows to a stream: all of them, or those above a watermark, each once.",
    schema: kind::schema::<IngestSpec>,
    example: EXAMPLE,
    effective: kind::effective::<IngestSpec>,
    validate,
    change,
    refs,
    reconcile,
};

/// The unit kind that runs an ingest.
pub const UNIT: &str = "ingest";

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Ingest
metadata: {name: shop-orders}
spec:
  description: Orders of the old shop, as they change there.
  from: external.shop_orders
  stream: orders
  schedule: rate(5 minutes)
  watermark: {column: updated_at}
  key: [id]
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestSpec {
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What is read: a relation such as `external.orders`, or a `SELECT`.
    pub from: String,
    /// The stream that gets an event for each row: a JSON object of its columns. Made if it is not there.
    pub stream: String,
    /// When: `rate(5 minutes)`, `cron(0 18 ? * MON-FRI *)` or `at(2026-12-24T18:00:00)`. A rate begins at once; of times
    /// that passed while the node did not run, one is made up for.
    pub schedule: String,
    /// The IANA name of the time zone that `cron` and `at` are read in. Default `UTC`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Only rows that have come since the run before. All rows, at each run, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<WatermarkSpec>,
    /// The columns that become the event's key, so that a later row takes the place of an earlier one where the stream is
    /// compacted or the dataset is keyed. The text of one column; of several, a JSON array.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub key: Vec<String>,
    /// As whom it reads: it sees the rows that policies let that principal see. `admin`, who sees all, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
}

/// How it is known which rows are new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatermarkSpec {
    /// A column that grows with every new or changed row: a time, a date, a number or a text. Rows without a value are
    /// left out. Cannot change.
    pub column: String,
    /// The first run reads rows from this value on. From the smallest one if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Value>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// When an ingest is due, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    expression: Expression,
    zone: Tz,
    /// What a rate counts from.
    created: Micros,
}

impl Calendar {
    /// When the first run is due.
    pub fn first(&self) -> Option<Micros> {
        match self.expression {
            Expression::Rate(_) => Some(self.created),
            Expression::Cron(_) | Expression::At(_) => self.next(self.created),
        }
    }

    /// When it is due for the first time after `after`.
    pub fn next(&self, after: Micros) -> Option<Micros> {
        self.expression.next(self.zone, self.created, after)
    }
}

impl IngestSpec {
    /// When it is due, of one that was created at `created`.
    ///
    /// # Errors
    /// `HW-BUS-001` and `HW-BUS-002`, each with its key.
    pub fn calendar(&self, created: Micros) -> Result<Calendar, (&'static str, Problem)> {
        let expression = Expression::parse(&self.schedule, Dialect::Schedule).map_err(|fault| ("schedule", fault))?;
        let zone = schedule::zone(&self.timezone).map_err(|fault| ("timezone", fault))?;
        Ok(Calendar { expression, zone, created })
    }

    /// Who reads.
    ///
    /// # Errors
    /// `HW-BASE-002` for a principal that is none.
    pub fn reader(&self) -> Result<Principal, Problem> {
        Ok(self.principal.as_deref().map(Principal::new).transpose()?.unwrap_or_default())
    }
}

/// The key-value space of an ingest: how far it has come.
pub fn space(name: &str) -> String {
    format!("{UNIT}/{name}")
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: IngestSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Err(mut problem) = text::source(&spec.from) {
        problems.push(match problem.place.take() {
            // What the parser says of a text is a place within that text.
            Some(inner) => {
                problem.place = Some(draft.origin.inside("/spec/from", inner.line, inner.column));
                problem
            }
            None => draft.origin.blame("/spec/from", problem),
        });
    }
    if let Err(problem) = Name::new(&spec.stream) {
        problems.push(draft.origin.blame("/spec/stream", problem));
    }
    if let Err((key, problem)) = spec.calendar(Micros(0)) {
        problems.push(draft.origin.blame(&format!("/spec/{key}"), problem));
    }
    if let Err(problem) = spec.reader() {
        problems.push(draft.origin.blame("/spec/principal", problem));
    }
    let mut fault = |at: &str, fact: String, help: &str| {
        problems.push(draft.origin.blame(at, Problem::new("HW-LAKE-080", fact).help(help)));
    };
    if let Some((_, stream)) = text::relation(&spec.from).filter(|(schema, _)| schema == "streams")
        && stream == spec.stream
    {
        let fact = format!("the rows would come back as events of `{stream}`");
        fault("/spec/stream", fact, "write them to another stream");
    }
    if spec
        .watermark
        .as_ref()
        .is_some_and(|it| it.start.as_ref().is_some_and(|start| !start.is_string() && !start.is_number()))
    {
        fault(
            "/spec/watermark/start",
            "`start` is no value of a column".to_owned(),
            "write a number or a text, such as `\"2026-01-01\"`",
        );
    }
    for (number, column) in spec.key.iter().enumerate() {
        if spec.key.iter().take(number).any(|before| before == column) {
            fault(&format!("/spec/key/{number}"), format!("the key has `{column}` twice"), "name each column once");
        }
    }
    problems
}

fn change(old: &Resource, new: &Draft, options: &ApplyOptions) -> Vec<Problem> {
    let read = |spec: &Value| serde_json::from_value::<IngestSpec>(spec.clone()).ok();
    let (Some(before), Some(after)) = (read(old.effective()), read(&new.spec)) else { return Vec::new() };
    let column = |spec: &IngestSpec| spec.watermark.as_ref().map(|watermark| watermark.column.clone());
    if options.reset_state || column(&before) == column(&after) {
        return Vec::new();
    }
    let fact = "`spec.watermark.column` of an ingest cannot change: what was read is known by the other one";
    let help = "make an ingest of another name, or begin anew with `headwater apply --reset-state`: that reads everything again";
    vec![new.origin.blame("/spec/watermark/column", Problem::new("HW-LAKE-081", fact).help(help))]
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<IngestSpec>(spec.clone()) else { return Vec::new() };
    let from = charts::relation(&spec.from).map(|(kind, name)| (kind, name, "/spec/from"));
    let stream = ("Stream", spec.stream, "/spec/stream");
    let named = from.into_iter().chain([stream]);
    named.map(|(kind, name, at)| Ref { kind, name, at: at.to_owned(), needed: false }).collect()
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let name = &resource.metadata.name;
    let Ok(spec) = serde_json::from_value::<IngestSpec>(resource.effective().clone()) else { return Plan::default() };
    let Ok(stream) = Name::new(&spec.stream) else { return Plan::default() };
    let config = default_config(&Limits::default());
    Plan {
        streams: vec![StreamObject { name: stream, config, extra: Vec::new(), alter: false }],
        units: vec![UnitSpec::of(UNIT, resource)],
        owns: vec![Owned::Space(space(name.as_str()))],
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests;
