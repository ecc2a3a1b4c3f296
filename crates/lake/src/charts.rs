//! Charts as SQL: a dashboard, one of its charts and what its reader has chosen become a statement. Pure.
//!
//! ```text
//! SELECT date_trunc('day', at) AS "at", country AS "country", sum(amount) AS "revenue"
//! FROM orders
//! WHERE at >= TIMESTAMP '2026-01-01T00:00:00Z' AND (country) IN ('CH')
//! GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 10000
//! ```
//! What it is NOT: it asks nobody and knows no columns; what a statement names is found out by the engine.
//!
//! Invariants: what people wrote goes into a statement only as whole expressions and queries ([`text`]), what readers
//! chose only as literals.

mod beside;
mod check;
mod grain;
pub mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_base::{Micros, Problem, Span, closest};
use headwater_kernel::port::charts::{Choice, Window};
use headwater_kernel::port::sql::Via;
use serde_json::Value;

use crate::kinds::dashboard::{ChartSpec, DashboardSpec, FilterSpec, GrainSpec};
use crate::sql::SCHEMAS;

pub use beside::{Before, GROUPS, Total, before, totals};
pub use check::check;
pub use grain::Grain;

/// Rows of a chart that says nothing about it. An alarm looks at all of them, and says so where that is too much.
const ROWS: u32 = 10_000;
/// Values that a filter offers at once.
const VALUES: u32 = 200;

/// A statement, and what its columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The text.
    pub text: String,
    /// The part of it that says which rows are read: statements that have the same one read the same rows.
    pub source: String,
    /// How finely the first column's times are cut.
    pub grain: Option<Grain>,
    /// So many columns at the beginning say what a row is about.
    pub axes: usize,
}

/// The kind and the name of the resource behind a relation; none of a query or of others' tables.
pub fn relation(from: &str) -> Option<(&'static str, String)> {
    let (schema, name) = text::relation(from)?;
    let (_, kind) = SCHEMAS.iter().find(|(known, _)| *known == schema)?;
    Some((kind, name))
}

/// The statement of a chart. `spec` has no problems ([`check`]).
///
/// # Errors
/// `HW-LAKE-071` for a chart, filter, level or grain that is not there.
pub fn chart(spec: &DashboardSpec, id: &str, choice: &Choice, now: Micros) -> Result<Statement, Problem> {
    let asked = Asked::of(spec, named(spec, id)?, choice, times(spec, choice, now))?;
    Ok(Statement { text: asked.rows(), source: asked.source(), grain: asked.grain, axes: asked.axes })
}

/// The statement of the values that a filter can take, each with the number of its rows.
///
/// # Errors
/// As [`chart`].
pub fn values(spec: &DashboardSpec, id: &str, search: &str, choice: &Choice) -> Result<Statement, Problem> {
    let filter = spec.filters.iter().find(|filter| filter.id == id);
    let filter = filter.ok_or_else(|| absent("filter", id, spec.filters.iter().map(|filter| filter.id.as_str())))?;
    let mut conditions = chosen(spec, choice, |other| filter.after.contains(&other.id).then_some(&other.column))?;
    if !search.is_empty() {
        let (column, part) = (text::closed(&filter.column), text::literal(&search.to_lowercase()));
        conditions.push(format!("strpos(lower(CAST(({column}) AS text)), {part}) > 0"));
    }
    let columns = [(text::closed(&filter.column), "value"), ("count(*)".to_owned(), "rows")];
    let source = source(&filter.from, &conditions);
    let text = select(&columns, &source, 1, &["1".to_owned()], Some(VALUES));
    Ok(Statement { text, source, grain: None, axes: 1 })
}

/// The values of filters that a reader has who has chosen none.
pub fn defaults(spec: &DashboardSpec) -> BTreeMap<String, Vec<Value>> {
    let narrowed = spec.filters.iter().filter(|filter| !filter.default.is_empty());
    narrowed.map(|filter| (filter.id.clone(), filter.default.clone())).collect()
}

/// The chart with this id.
fn named<'a>(spec: &'a DashboardSpec, id: &str) -> Result<&'a ChartSpec, Problem> {
    let chart = spec.all_charts().find(|chart| chart.id == id);
    chart.ok_or_else(|| absent("chart", id, spec.all_charts().map(|chart| chart.id.as_str())))
}

/// A chart as it is asked: what all of its statements have in common.
struct Asked<'a> {
    chart: &'a ChartSpec,
    conditions: Vec<String>,
    /// Its axes, then its measures, each with its name.
    columns: Vec<(String, &'a str)>,
    axes: usize,
    grain: Option<Grain>,
    /// How many rows are asked for; all of them without it.
    limit: Option<u32>,
}

impl<'a> Asked<'a> {
    fn of(spec: &'a DashboardSpec, chart: &'a ChartSpec, choice: &Choice, times: Times) -> Result<Self, Problem> {
        let mut conditions: Vec<String> = chart.condition.iter().map(|words| text::operand(words)).collect();
        conditions.extend(chart.time.iter().flat_map(|time| within(time, times)));
        conditions.extend(chosen(spec, choice, |filter| {
            let ignored = chart.ignores.contains(&filter.id);
            (!ignored).then(|| chart.columns.get(&filter.id).unwrap_or(&filter.column))
        })?);
        conditions.extend(drilled(chart, choice)?);
        let (axis, grain) = axis(chart, choice, times)?;
        let mut columns: Vec<(String, &'a str)> = axis.into_iter().collect();
        columns.extend(chart.dimensions.iter().map(|words| (text::closed(words), words.as_str())));
        let axes = columns.len();
        columns.extend(chart.measures.iter().map(|measure| (text::closed(&measure.expr), measure.name.as_str())));
        let limit = chart.limit.or((choice.via != Via::Alarm).then_some(ROWS));
        Ok(Self { chart, conditions, columns, axes, grain, limit })
    }

    /// The statement of the chart's rows.
    fn rows(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(_, name)| *name).collect();
        let order = order(self.chart, &names, self.axes);
        let grouped = if self.chart.measures.is_empty() { 0 } else { self.axes };
        select(&self.columns, &self.source(), grouped, &order, self.limit)
    }

    /// What all of its statements read.
    fn source(&self) -> String {
        source(&self.chart.from, &self.conditions)
    }
}

/// The rows of a relation or query that meet conditions.
fn source(from: &str, conditions: &[String]) -> String {
    format!("FROM {}{}", text::from(from), clause("WHERE", conditions, " AND "))
}

fn select(columns: &[(String, &str)], source: &str, grouped: usize, order: &[String], limit: Option<u32>) -> String {
    let columns: Vec<String> =
        columns.iter().map(|(words, name)| format!("{words} AS {}", text::quoted(name))).collect();
    let groups: Vec<String> = (1..=grouped).map(|number| number.to_string()).collect();
    [
        format!("SELECT {}\n{source}", columns.join(", ")),
        clause("GROUP BY", &groups, ", "),
        clause("ORDER BY", order, ", "),
        limit.map(|limit| format!("\nLIMIT {limit}")).unwrap_or_default(),
    ]
    .concat()
}

/// A clause on a line of its own; none without parts.
fn clause(word: &str, parts: &[String], between: &str) -> String {
    match parts {
        [] => String::new(),
        _ => format!("\n{word} {}", parts.join(between)),
    }
}

/// The times that are shown.
#[derive(Clone, Copy, Default)]
struct Times {
    /// The first moment, if there is one.
    from: Option<Micros>,
    /// The first moment behind them.
    to: Option<Micros>,
    /// How long they are.
    length: Option<Duration>,
}

fn times(spec: &DashboardSpec, choice: &Choice, now: Micros) -> Times {
    let last = |span: Span| Times { from: Some(now.minus(span.duration())), to: None, length: Some(span.duration()) };
    match choice.window {
        Window::Own => spec.range.map(last).unwrap_or_default(),
        Window::All => Times::default(),
        Window::Last(span) => last(span),
        Window::Between(from, to) => Times { from: Some(from), to: Some(to), length: Some(to.since(from)) },
    }
}

fn within(time: &str, Times { from, to, .. }: Times) -> impl Iterator<Item = String> {
    let time = text::operand(time);
    let from = from.map(|from| format!("{time} >= {}", text::moment(from)));
    let to = to.map(|to| format!("{time} < {}", text::moment(to)));
    from.into_iter().chain(to)
}

/// The conditions of filters that have values; `column` says where, and nothing for a filter that does not count.
fn chosen<'a>(
    spec: &'a DashboardSpec,
    choice: &Choice,
    column: impl Fn(&'a FilterSpec) -> Option<&'a String>,
) -> Result<Vec<String>, Problem> {
    let mut conditions = Vec::new();
    for (id, values) in &choice.filters {
        let filter = spec.filters.iter().find(|filter| filter.id == *id);
        let filter = filter.ok_or_else(|| absent("filter", id, spec.filters.iter().map(|it| it.id.as_str())))?;
        let Some(column) = column(filter).filter(|_| !values.is_empty()) else { continue };
        let column = text::operand(column);
        let mut literals = Vec::new();
        for value in values.iter().filter(|value| !value.is_null()) {
            literals.push(text::value(value).ok_or_else(|| uncomparable(id))?);
        }
        let among = (!literals.is_empty()).then(|| format!("{column} IN ({})", literals.join(", ")));
        let nothing = values.iter().any(Value::is_null).then(|| format!("{column} IS NULL"));
        conditions.push(match (among, nothing) {
            (Some(among), Some(nothing)) => format!("({among} OR {nothing})"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => continue,
        });
    }
    Ok(conditions)
}

/// The conditions of the levels that lie behind the reader.
fn drilled(chart: &ChartSpec, choice: &Choice) -> Result<Vec<String>, Problem> {
    if choice.drill.len() >= chart.drill.len().max(1) {
        let fact =
            format!("the chart `{}` has {} levels, and {} are chosen", chart.id, chart.drill.len(), choice.drill.len());
        return Err(Problem::new("HW-LAKE-071", fact).help("the innermost level leads nowhere"));
    }
    let mut conditions = Vec::new();
    for (level, value) in chart.drill.iter().zip(&choice.drill) {
        match (Grain::of(level), &chart.time) {
            // Rows without a moment are a piece of their own.
            (Some(_), Some(time)) if value.is_null() => conditions.push(format!("{} IS NULL", text::operand(time))),
            (Some(grain), Some(time)) => {
                let from = value.as_str().and_then(begin).ok_or_else(|| {
                    Problem::new("HW-LAKE-071", format!("`{value}` is no moment of the level `{level}`"))
                        .help("choose one that the chart has given")
                })?;
                let (time, from, grain) = (text::operand(time), text::moment(from), grain.word());
                conditions.push(format!("{time} >= {from}"));
                conditions.push(format!("{time} < {from} + INTERVAL '1 {grain}'"));
            }
            _ if value.is_null() => conditions.push(format!("{} IS NULL", text::operand(level))),
            _ => {
                let value = text::value(value).ok_or_else(|| uncomparable(level))?;
                conditions.push(format!("{} = {value}", text::operand(level)));
            }
        }
    }
    Ok(conditions)
}

/// A moment as an answer writes it: with or without a zone, or a day alone.
fn begin(text: &str) -> Option<Micros> {
    let tries = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    tries.iter().find_map(|text| Micros::parse_rfc3339(text))
}

/// The axis that is neither dimension nor measure, with its name: a level of a drill, or time cut into pieces.
fn axis<'a>(
    chart: &'a ChartSpec,
    choice: &Choice,
    times: Times,
) -> Result<(Option<(String, &'a str)>, Option<Grain>), Problem> {
    let cut = |time: &'a String, grain: Grain| {
        let words = format!("date_trunc('{}', {})", grain.word(), text::closed(time));
        (Some((words, time.as_str())), Some(grain))
    };
    if let Some(level) = chart.drill.get(choice.drill.len()) {
        return Ok(match (Grain::of(level), &chart.time) {
            (Some(grain), Some(time)) => cut(time, grain),
            _ => (Some((text::closed(level), level)), None),
        });
    }
    let (Some(time), spec) = (&chart.time, chart.grain()) else { return Ok((None, None)) };
    if spec == GrainSpec::None {
        return Ok((None, None));
    }
    let wanted = choice.grain.as_deref().filter(|word| *word != "auto");
    let wanted = wanted.map(|word| {
        Grain::of(word).ok_or_else(|| {
            Problem::new("HW-LAKE-071", format!("there is no grain `{}`", word.escape_debug()))
                .help("use `auto`, `year`, `month`, `day`, `hour` or `minute`")
        })
    });
    Ok(cut(time, wanted.transpose()?.or(spec.fixed()).unwrap_or_else(|| Grain::fitting(times.length))))
}

/// By what the chart says, or along its axes; rows as they are, the newest first.
fn order(chart: &ChartSpec, names: &[&str], axes: usize) -> Vec<String> {
    let by = chart.sort.as_deref().map(|sort| match sort.strip_prefix('-') {
        Some(name) => (name, " DESC NULLS LAST"),
        None => (sort, ""),
    });
    let sorted = by.and_then(|(name, way)| {
        let place = names.iter().position(|one| *one == name)?;
        Some(format!("{}{way}", place + 1))
    });
    if let Some(sorted) = sorted {
        // Rows that are equal there keep one order.
        return std::iter::once(sorted).chain((1..=axes).map(|number| number.to_string())).collect();
    }
    match &chart.time {
        Some(time) if chart.measures.is_empty() => vec![format!("{} DESC", text::closed(time))],
        _ => (1..=axes).map(|number| number.to_string()).collect(),
    }
}

fn absent<'a>(what: &str, id: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new("HW-LAKE-071", format!("the dashboard has no {what} `{}`", id.escape_debug()));
    match closest(id, known) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

fn uncomparable(what: &str) -> Problem {
    Problem::new("HW-LAKE-071", format!("a value of `{what}` is a list or an object"))
        .help("send texts, numbers, truth values or null")
}

#[cfg(test)]
mod tests;
