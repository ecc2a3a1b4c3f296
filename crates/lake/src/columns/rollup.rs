//! Rollup: rows that stand for all events of one time and the same dimensions. What a spec says of them, and the columns
//! that follow from it.
//!
//! What it is NOT: it adds nothing up (`rows/groups.rs` does, and `rows/merge.rs` for batches).
//!
//! # Source
//! Apache Druid, "Data rollup": `granularitySpec`, `dimensionsSpec`, `metricsSpec`; best-effort rollup.

use std::collections::BTreeSet;

use headwater_base::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Column, DIGITS_MAX, Data, FIELDS_MAX, Fault, Scalar, Source, shown, unknown, unnameable};

/// How events are rolled up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollupSpec {
    /// The time of a row.
    pub time: RollupTimeSpec,
    /// Columns whose values the events of a row have in common. No value is a value, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<String>,
    /// What is computed of the events of a row.
    #[schemars(length(min = 1))]
    pub metrics: Vec<MetricSpec>,
}

/// The time of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RollupTimeSpec {
    /// The column, a `timestamp`.
    pub column: String,
    /// How finely it is cut, in UTC: what a row has is the beginning of its second, minute, hour or day.
    pub grain: RollupGrain,
}

/// How finely the time of rows is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words say it")]
pub enum RollupGrain {
    Second,
    Minute,
    Hour,
    Day,
}

/// What is computed of the events of a row: a column of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricSpec {
    /// Its name. It may be that of a column that is no dimension.
    pub name: String,
    /// What is computed.
    #[serde(rename = "type")]
    pub of: MetricType,
    /// The column that it is computed of; events without a value do not count. A `count` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// What it means, for people; readers of the table see it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricType {
    /// The number of events, a `long`. Queries add it up: `sum(events)`, not `count(*)`.
    Count,
    /// The sum: a `long` of whole numbers, a `double` of others, and of decimals an exact one of 38 digits. Events whose sum
    /// does not fit are rows of their own, so that no sum is ever wrong.
    Sum,
    /// The least number, day, moment or text.
    Min,
    /// The greatest number, day, moment or text.
    Max,
}

/// How rows come of events, as the writer uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// The columns of an event.
    pub events: Vec<Column>,
    /// What each column of the table is made of.
    pub made: Vec<Made>,
}

/// What a column of the table is made of. A number is that of a column of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Its value, cut down.
    Time(usize, RollupGrain),
    /// Its value.
    Dimension(usize),
    /// The number of events.
    Count,
    /// The sum of its values.
    Sum(usize),
    /// The least of its values.
    Min(usize),
    /// The greatest of its values.
    Max(usize),
}

impl RollupGrain {
    /// The beginning of what a moment lies in, both in microseconds since 1970.
    pub const fn cut(self, micros: i64) -> i64 {
        let unit = match self {
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        };
        micros.saturating_sub(micros.rem_euclid(unit))
    }
}

/// Reads a rollup of events with these columns: the table's columns, and what they are made of. Where the spec has them
/// `listed`, something has to be made of each.
///
/// # Errors
/// `HW-LAKE-001` for each thing that cannot be, with its place below the spec.
pub fn read(spec: &RollupSpec, events: Vec<Column>, listed: bool) -> Result<(Vec<Column>, Rollup), Vec<Fault>> {
    let mut reader = Reader {
        events: &events,
        listed,
        columns: Vec::new(),
        made: Vec::new(),
        used: BTreeSet::new(),
        faults: Vec::new(),
    };
    reader.time(&spec.time);
    for (index, name) in spec.dimensions.iter().enumerate() {
        reader.dimension(name, &format!("/rollup/dimensions/{index}"));
    }
    for (index, metric) in spec.metrics.iter().enumerate() {
        reader.metric(metric, &format!("/rollup/metrics/{index}"));
    }
    reader.whole();
    let Reader { columns, made, faults, .. } = reader;
    if faults.is_empty() { Ok((columns, Rollup { events, made })) } else { Err(faults) }
}

struct Reader<'a> {
    events: &'a [Column],
    /// Whether the spec says what these are.
    listed: bool,
    columns: Vec<Column>,
    made: Vec<Made>,
    /// Columns of the event that something is made of.
    used: BTreeSet<usize>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn blame(&mut self, at: &str, fact: impl Into<String>) {
        self.faults.push((at.to_owned(), Problem::new("HW-LAKE-001", fact)));
    }

    fn time(&mut self, spec: &RollupTimeSpec) {
        let at = "/rollup/time/column";
        let Some((index, column, scalar)) = self.event(&spec.column, at) else { return };
        if scalar != Scalar::Timestamp {
            self.blame(at, format!("`{}` is no `timestamp`: only a moment can be cut", column.name));
        }
        self.add(column.clone(), Made::Time(index, spec.grain), at);
    }

    fn dimension(&mut self, name: &str, at: &str) {
        if let Some((index, column, _)) = self.event(name, at) {
            self.add(column.clone(), Made::Dimension(index), at);
        }
    }

    fn metric(&mut self, spec: &MetricSpec, at: &str) {
        if let Some(fact) = unnameable(&spec.name) {
            self.blame(&format!("{at}/name"), fact);
        }
        let of = format!("{at}/column");
        let input = match (spec.of, &spec.column) {
            (MetricType::Count, None) => None,
            (MetricType::Count, Some(_)) => return self.blame(&of, "a `count` is of events, and has no `column`"),
            (_, None) => {
                return self.blame(at, "a metric needs the `column` that it is computed of, if it is no `count`");
            }
            (_, Some(column)) => match self.event(column, &of) {
                Some(input) => Some(input),
                None => return,
            },
        };
        let (data, made, said) = match (spec.of, input) {
            (MetricType::Sum, Some((index, column, scalar))) => {
                let Some(total) = summed(scalar) else {
                    return self.blame(&of, format!("`{}` is no number: there is no sum of it", column.name));
                };
                (Data::One(total), Made::Sum(index), format!("Sum of `{}`.", column.name))
            }
            (MetricType::Min | MetricType::Max, Some((_, column, Scalar::Boolean | Scalar::Json))) => {
                let fact =
                    format!("`{}` is no number, day, moment or text: it has no least and no greatest", column.name);
                return self.blame(&of, fact);
            }
            (MetricType::Min, Some((index, column, _))) => {
                (column.data.clone(), Made::Min(index), format!("Least `{}`.", column.name))
            }
            (MetricType::Max, Some((index, column, _))) => {
                (column.data.clone(), Made::Max(index), format!("Greatest `{}`.", column.name))
            }
            (_, _) => (Data::One(Scalar::Long), Made::Count, "Number of events.".to_owned()),
        };
        let column = Column {
            name: spec.name.clone(),
            // A count is of the records themselves.
            source: input.map_or(Source::Value, |(_, column, _)| column.source.clone()),
            data,
            required: input.is_none_or(|(_, column, _)| column.required),
            description: Some(spec.description.clone().unwrap_or(said)),
        };
        self.add(column, made, &format!("{at}/name"));
    }

    /// A column of the event that holds one value.
    fn event(&mut self, name: &str, at: &str) -> Option<(usize, &'a Column, Scalar)> {
        let Some((index, column)) = self.events.iter().enumerate().find(|(_, column)| column.name == name) else {
            self.blame(at, unknown(name, self.events.iter().map(|column| column.name.as_str())));
            return None;
        };
        self.used.insert(index);
        let Data::One(scalar) = column.data else {
            self.blame(at, format!("`{name}` is no single value"));
            return None;
        };
        Some((index, column, scalar))
    }

    fn add(&mut self, column: Column, made: Made, at: &str) {
        if self.columns.iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
            self.blame(at, format!("the column `{}` comes twice", shown(&column.name)));
        }
        self.columns.push(column);
        self.made.push(made);
    }

    /// What no single part shows.
    fn whole(&mut self) {
        if self.columns.len() > FIELDS_MAX {
            let fact = format!("a row has {} dimensions and metrics; the limit is {FIELDS_MAX}", self.columns.len());
            self.blame("/rollup", fact);
        }
        // A name that is misspelt elsewhere is told there.
        let all = if self.listed && self.faults.is_empty() { self.events } else { &[] };
        for (index, column) in all.iter().enumerate().filter(|(index, _)| !self.used.contains(index)) {
            let name = &column.name;
            let fact =
                format!("nothing is made of `{name}`: make it a dimension or the `column` of a metric, or drop it");
            self.faults.push((format!("/columns/{index}"), Problem::new("HW-LAKE-001", fact)));
        }
    }
}

/// What the sum of such values is.
const fn summed(scalar: Scalar) -> Option<Scalar> {
    match scalar {
        Scalar::Int | Scalar::Long => Some(Scalar::Long),
        Scalar::Float | Scalar::Double => Some(Scalar::Double),
        Scalar::Decimal { scale, .. } => Some(Scalar::Decimal { precision: DIGITS_MAX, scale }),
        Scalar::Boolean | Scalar::Date | Scalar::Timestamp | Scalar::String | Scalar::Json => None,
    }
}
