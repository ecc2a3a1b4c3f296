//! Kind Forecast: what each cohort of a stream will bring, with a band, and verdicts on what it brought.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_base::{Limits, Name, Problem, Span};
use headwater_kernel::kind::{self, ApplyOptions, Kind, Ref, View};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::path::Path;
use headwater_kernel::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use headwater_log::StreamConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::holidays::Holidays;
use crate::model::{CYCLES_MIN, ERRORS_MIN, has_band};
use crate::reader::Reader;
use crate::shape::{Missing, Shape, Side};

mod calendar;

pub use calendar::{CalendarSpec, DAYS_MAX, DaySpec, WeekdaySpec};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Forecast",
    plural: "forecasts",
    short: &["fc"],
    doc: "Forecasts of a stream's values by cohort, each written with its band before its interval begins, and verdicts that hold what came against them.",
    schema: kind::schema::<ForecastSpec>,
    example: EXAMPLE,
    effective: kind::effective::<ForecastSpec>,
    validate,
    change,
    refs,
    reconcile,
};

/// The unit kind that runs a forecast, and what its letters call it.
pub const UNIT: &str = "forecast";

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Forecast
metadata: {name: sales}
spec:
  description: Sales of each country and channel, hour by hour.
  stream: sales.hourly
  time: .window_start
  cohort: [.measures.country, .measures.channel]
  value: .measures.amount
  interval: 1h
  seasons: [1d, 7d]
  history: 8w
  horizon: 1d
  side: below
  missing: zero
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForecastSpec {
    /// What is forecast, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The stream, from its first event on: one value for each interval and cohort, as a pipeline's window gives them
    /// out. It has one partition, or the cohort as its key. Cannot change.
    pub stream: String,
    /// Path of the time: RFC 3339, the interval's start or any time within. Cannot change.
    pub time: String,
    /// Paths of what tells cohorts apart; without any all is one cohort. Cannot change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub cohort: Vec<String>,
    /// Path of the value. Cannot change.
    pub value: String,
    /// Length of an interval. Cannot change.
    pub interval: Span,
    /// After these spans things repeat: a day, a week. Each is a multiple of the interval. Default `[1d, 7d]`. Cannot
    /// change.
    #[serde(default = "seasons")]
    #[schemars(length(min = 1, max = 3))]
    pub seasons: Vec<Span>,
    /// How much of the past counts: three of the longest season at least, by default eight. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Span>,
    /// How long before its interval a forecast is written: at most the longest season, by default the shortest. Cannot
    /// change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<Span>,
    /// Half the width of the band, in the error that nine in ten forecasts of that time of the day stayed below. Default
    /// 2: were errors normal, one in a thousand intervals would be outside.
    #[serde(default = "two")]
    #[schemars(range(min = 0.1, max = 100.0))]
    pub width: f64,
    /// Half the width of the band at least, in the values' own unit: for series that hardly ever move. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
    /// So many intervals in succession outside the band, on one side, are an anomaly. Default 2: one by itself is as
    /// often a slip of whoever counted.
    #[serde(default = "twice")]
    #[schemars(range(min = 1, max = 1000))]
    pub sustain: u32,
    /// Which deviations count. Default `both`.
    #[serde(default)]
    pub side: SideSpec,
    /// What an interval without a value means. Default `unknown`.
    #[serde(default)]
    pub missing: MissingSpec,
    /// Days of their own kind. They can change; what was forecast before stays as it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holidays: Option<CalendarSpec>,
    /// The most cohorts; values of further ones are dead letters. Default 1,000.
    #[serde(default = "thousand")]
    #[schemars(range(min = 1, max = 100_000))]
    pub cohorts: u32,
    /// A value whose interval ends further ahead of the node's clock than this is implausible, and a dead letter. Default
    /// `1h`.
    #[serde(default = "hour")]
    pub ahead: Span,
    /// The stream of forecasts. Default `<name>.forecasts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecasts: Option<String>,
    /// The stream of verdicts. Default `<name>.verdicts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<String>,
    /// The stream of values that are refused. Default `<name>.dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<String>,
}

/// Which deviations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SideSpec {
    /// Too much and too little.
    #[default]
    Both,
    /// Too little.
    Below,
    /// Too much.
    Above,
}

/// What an interval without a value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingSpec {
    /// Nothing is known of it, and nothing is said.
    #[default]
    Unknown,
    /// Nothing happened: the value is zero. A window without events gives nothing out.
    Zero,
}

/// The most points of one series.
const POINTS_MAX: i64 = 50_000;

fn seasons() -> Vec<Span> {
    vec![Span::from_millis(86_400_000), Span::from_millis(7 * 86_400_000)]
}

const fn two() -> f64 {
    2.0
}

const fn twice() -> u32 {
    2
}

const fn thousand() -> u32 {
    1_000
}

fn hour() -> Span {
    Span::from_millis(3_600_000)
}

/// The key-value space of a forecast.
pub fn space(name: &str) -> String {
    format!("{UNIT}/{name}")
}

impl ForecastSpec {
    /// The streams that the forecast `name` writes: forecasts, verdicts, dead letters.
    ///
    /// # Errors
    /// `HW-BASE-001` for a name that cannot be.
    pub fn outputs(&self, name: &Name) -> Result<[Name; 3], Problem> {
        let stream =
            |given: &Option<String>, word: &str| Name::new(&given.clone().unwrap_or_else(|| format!("{name}.{word}")));
        Ok([
            stream(&self.forecasts, "forecasts")?,
            stream(&self.verdicts, "verdicts")?,
            stream(&self.dead_letters, "dead")?,
        ])
    }

    /// How it forecasts, and what it reads of a record. Days that stand outside of the spec come later, by
    /// [`CalendarSpec`].
    ///
    /// # Errors
    /// `HW-WATCH-001`, or 040 for the calendar, each with the place in the spec.
    pub fn plan(&self, limits: &Limits) -> Result<(Shape, Reader), Vec<(String, Problem)>> {
        let mut faults = Faults::default();
        let reader = self.reader(&mut faults);
        let interval = i64::try_from(self.interval.millis()).unwrap_or(i64::MAX);
        if !(1_000..=7 * 86_400_000).contains(&interval) {
            faults.add("/interval", format!("`interval` is {}; it can be 1s to 7d", self.interval));
            return Err(faults.0);
        }
        let whole = |span: &Span| {
            let millis = i64::try_from(span.millis()).unwrap_or(i64::MAX);
            (millis % interval == 0).then_some(millis / interval)
        };
        let mut seasons = Vec::new();
        for (at, season) in self.seasons.iter().enumerate() {
            match whole(season).filter(|intervals| *intervals >= 2) {
                Some(intervals) => seasons.push(intervals),
                None => faults.add(
                    &format!("/seasons/{at}"),
                    format!("a season of {season} is not two or more whole intervals of {}", self.interval),
                ),
            }
        }
        seasons.sort_unstable();
        seasons.dedup();
        let (Some(short), Some(long)) = (seasons.first().copied(), seasons.last().copied()) else {
            return Err(faults.0);
        };
        let cycles = self.history.as_ref().map_or(Some(8), |span| whole(span).map(|intervals| intervals / long));
        let cycles = cycles.unwrap_or(0);
        let least = i64::try_from(CYCLES_MIN).unwrap_or(i64::MAX);
        if cycles < least {
            faults.add(
                "/history",
                format!("`history` is less than {least} of the longest season, or not whole intervals"),
            );
        }
        let horizon = self.horizon.as_ref().map_or(Some(short), whole).unwrap_or(0);
        if !(1..=long).contains(&horizon) {
            let fact = "`horizon` has to be whole intervals, one at least and the longest season at most";
            faults.add("/horizon", fact.to_owned());
        }
        let shape = Shape {
            interval_micros: interval * 1_000,
            seasons,
            cycles,
            horizon,
            width: self.width,
            tolerance: self.tolerance,
            sustain: self.sustain,
            side: match self.side {
                SideSpec::Both => Side::Both,
                SideSpec::Below => Side::Below,
                SideSpec::Above => Side::Above,
            },
            missing: match self.missing {
                MissingSpec::Unknown => Missing::Unknown,
                MissingSpec::Zero => Missing::Zero,
            },
            holidays: self.holidays(interval * 1_000, &mut faults),
        };
        bounds(self, &shape, limits, &mut faults);
        match reader {
            Some(reader) if faults.0.is_empty() => Ok((shape, reader)),
            _ => Err(faults.0),
        }
    }

    fn holidays(&self, interval_micros: i64, faults: &mut Faults) -> Holidays {
        let Some(calendar) = &self.holidays else { return Holidays::default() };
        calendar.holidays(interval_micros, &[]).unwrap_or_else(|found| {
            faults.0.extend(found.into_iter().map(|(at, problem)| (format!("/holidays{at}"), problem)));
            Holidays::default()
        })
    }

    fn reader(&self, faults: &mut Faults) -> Option<Reader> {
        let mut path = |at: &str, text: &str| match Path::parse(text) {
            Ok(path) => Some(path),
            Err(fact) => {
                faults.add(at, fact);
                None
            }
        };
        let (time, value) = (path("/time", &self.time), path("/value", &self.value));
        let parts: Vec<(String, Option<Path>)> = self
            .cohort
            .iter()
            .enumerate()
            .map(|(at, text)| (text.clone(), path(&format!("/cohort/{at}"), text)))
            .collect();
        let (mut cohort, mut names) = (Vec::new(), BTreeSet::new());
        for (at, (text, path)) in parts.into_iter().enumerate() {
            let Some(path) = path else { continue };
            let name = path.name().unwrap_or_default().to_owned();
            if name.is_empty() || !names.insert(name.clone()) {
                let fact = format!("`{text}` gives a part of a cohort no name of its own");
                faults.add(&format!("/cohort/{at}"), fact);
            }
            cohort.push((name, path));
        }
        Some(Reader { time: time?, cohort, value: value? })
    }
}

#[derive(Default)]
struct Faults(Vec<(String, Problem)>);

impl Faults {
    fn add(&mut self, at: &str, fact: String) {
        self.0.push((at.to_owned(), Problem::new("HW-WATCH-001", fact)));
    }
}

/// What a series and all of them together may take.
fn bounds(spec: &ForecastSpec, shape: &Shape, limits: &Limits, faults: &mut Faults) {
    let points = shape.history().saturating_add(shape.horizon);
    if points > POINTS_MAX {
        let fact = format!("a cohort would have {points} intervals of history; the limit is {POINTS_MAX}");
        faults.add("/interval", fact);
    }
    if shape.cycles > 0 && !has_band(shape) {
        let fact = format!(
            "`history` is too short for a band: it needs {ERRORS_MIN} errors around each moment of the shortest season"
        );
        faults.add("/history", fact);
    }
    let all = points.saturating_mul(i64::from(spec.cohorts));
    let limit = i64::try_from(limits.forecast_points).unwrap_or(i64::MAX);
    if all > limit {
        let fact = format!("{} cohorts would have {all} intervals of history; the limit is {limit}", spec.cohorts);
        faults.add("/cohorts", fact);
    }
    if !(0.1..=100.0).contains(&spec.width) || !(0.0..=f64::MAX).contains(&spec.tolerance) {
        faults.add(
            "/width",
            format!("`width` is {}, `tolerance` {}; both have to be above zero", spec.width, spec.tolerance),
        );
    }
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: ForecastSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Err(problem) = Name::new(&spec.stream) {
        problems.push(draft.origin.blame("/spec/stream", problem));
    }
    match spec.outputs(&draft.name) {
        Err(problem) => problems.push(draft.origin.blame("/spec", problem)),
        Ok(outputs) => {
            let names: BTreeSet<&str> =
                outputs.iter().map(|name| name.as_str()).chain([spec.stream.as_str()]).collect();
            if names.len() < 4 {
                let fact = "the stream, its forecasts, verdicts and dead letters have to be four different streams";
                problems.push(draft.origin.blame("/spec/stream", Problem::new("HW-WATCH-001", fact)));
            }
        }
    }
    if let Err(faults) = spec.plan(&Limits::default()) {
        problems.extend(faults.into_iter().map(|(at, problem)| draft.origin.blame(&format!("/spec{at}"), problem)));
    }
    problems
}

fn change(old: &Resource, new: &Draft, options: &ApplyOptions) -> Vec<Problem> {
    let read = |spec: &Value| serde_json::from_value::<ForecastSpec>(spec.clone()).ok();
    let (Some(before), Some(after)) = (read(old.effective()), read(&new.spec)) else { return Vec::new() };
    if options.reset_state {
        return Vec::new();
    }
    let fixed = [
        ("stream", before.stream != after.stream),
        ("time", before.time != after.time),
        ("cohort", before.cohort != after.cohort),
        ("value", before.value != after.value),
        ("interval", before.interval != after.interval),
        ("seasons", before.seasons != after.seasons),
        ("history", before.history != after.history),
        ("horizon", before.horizon != after.horizon),
    ];
    let changed = fixed.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| {
        let fact = format!("`spec.{field}` of a forecast cannot change: the series that are kept were made by it");
        let problem = Problem::new("HW-WATCH-002", fact)
            .help("make a forecast of another name, or begin anew with what the stream still has: `headwater apply --reset-state`");
        new.origin.blame(&format!("/spec/{field}"), problem)
    });
    changed.collect()
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<ForecastSpec>(spec.clone()) else { return Vec::new() };
    let stream = Ref { kind: "Stream", name: spec.stream, at: "/spec/stream".to_owned(), needed: false };
    let calendar = spec.holidays.as_ref();
    let (table, dataset) = (calendar.and_then(|it| it.table.as_ref()), calendar.and_then(|it| it.dataset.as_ref()));
    let days = [("Table", "table", table), ("Dataset", "dataset", dataset)];
    let days = days.into_iter().filter_map(|(kind, key, name)| {
        Some(Ref { kind, name: name?.to_string(), at: format!("/spec/holidays/{key}"), needed: true })
    });
    std::iter::once(stream).chain(days).collect()
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let name = &resource.metadata.name;
    let Ok(spec) = serde_json::from_value::<ForecastSpec>(resource.effective().clone()) else { return Plan::default() };
    let (Ok(stream), Ok(outputs)) = (Name::new(&spec.stream), spec.outputs(name)) else { return Plan::default() };
    let made = |name: Name| {
        let config = StreamConfig { partitions: 1, ..default_config(&Limits::default()) };
        StreamObject { name, config, extra: Vec::new(), alter: false }
    };
    Plan {
        reads: vec![stream.clone()],
        streams: [stream].into_iter().chain(outputs).map(made).collect(),
        units: vec![UnitSpec::of(UNIT, resource)],
        owns: vec![Owned::Space(space(name.as_str()))],
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests;
