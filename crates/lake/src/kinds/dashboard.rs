//! Kind Dashboard: charts over what SQL can be asked, with filters that their readers set.
//!
//! What it is NOT: rows, or a page. The node makes a statement of each chart (`charts`), and the console draws what
//! comes back.

mod compare;

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Problem, Span};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::charts::{self, Grain};

pub use compare::CompareSpec;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Dashboard",
    plural: "dashboards",
    short: &["dash"],
    doc: "Charts over streams, tables and datasets, with filters, drill-down and links, drawn by the console.",
    schema: kind::schema::<DashboardSpec>,
    example: EXAMPLE,
    effective: kind::effective::<DashboardSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: sales}
spec:
  title: Sales
  range: 7d
  refresh: 30s
  filters:
    - {id: country, label: Country, from: orders, column: country}
    - {id: city, label: City, from: orders, column: city, after: [country]}
  charts:
    - id: total
      title: Revenue
      type: kpi
      from: orders
      time: at
      measures: [{name: revenue, expr: sum(amount)}]
      compare: previous
      at: {x: 0, y: 0, w: 3, h: 3}
    - id: course
      title: Revenue by country
      type: area
      from: orders
      time: at
      dimensions: [country]
      measures: [{name: revenue, expr: sum(amount)}]
      at: {x: 3, y: 0, w: 9, h: 6}
    - id: years
      title: From years to minutes
      type: bar
      from: orders
      time: at
      drill: [year, month, day, hour, minute]
      measures: [{name: orders, expr: count(*)}]
      at: {x: 0, y: 6, w: 6, h: 6}
    - id: customers
      title: Best customers
      type: table
      # A query takes what no single relation has.
      from: SELECT o.*, c.value->>'name' AS customer FROM orders o JOIN tables.customers c ON c.key = o.customer_id
      time: at
      dimensions: [customer_id, customer]
      measures: [{name: revenue, expr: sum(amount)}, {name: orders, expr: count(*)}]
      sort: -revenue
      limit: 50
      totals: true
      link: {label: Open in the shop, url: \"https://shop.example/customers/{customer_id}\"}
      at: {x: 6, y: 6, w: 6, h: 6}
";

/// The spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DashboardSpec {
    /// What it is called on its page. The name by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it shows, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// How far back its charts look at first. All there is without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Span>,
    /// How often it is asked anew, at first. Only when the reader wants it without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Span>,
    /// What readers narrow all charts by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    pub filters: Vec<FilterSpec>,
    /// The charts, where all of them stand on one sheet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub charts: Vec<ChartSpec>,
    /// Sheets with charts of their own, instead of `charts`. Filters and times hold on all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub sheets: Vec<SheetSpec>,
}

/// A sheet: charts that are seen together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SheetSpec {
    /// Its name in URLs.
    pub id: String,
    /// What it is called on its tab. The id by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its charts. No two charts of a dashboard have one id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub charts: Vec<ChartSpec>,
}

/// A choice of values that all charts are narrowed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilterSpec {
    /// Its name in URLs and for `after`.
    pub id: String,
    /// What it is called on the page. The id by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where its values come from: a relation, or a query.
    pub from: String,
    /// The column, or an expression, both there and in the charts.
    pub column: String,
    /// Filters whose values narrow what this one offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The values that are chosen at first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<Value>,
}

/// One chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChartSpec {
    /// Its name in URLs.
    pub id: String,
    /// What it is called on the page. The id by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How it is drawn.
    #[serde(rename = "type")]
    pub shape: Shape,
    /// What it is about: a relation (`orders`, `streams.orders`), or a query, which may join.
    pub from: String,
    /// A condition that all its rows meet.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The moment of a row: what the time range narrows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How finely time is cut along the axis. `auto`, by the time range, is the default of lines and areas; other
    /// charts are not cut by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grain: Option<GrainSpec>,
    /// What rows are grouped by: columns or expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    pub dimensions: Vec<String>,
    /// What is computed of each group. A table without measures shows rows as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub measures: Vec<MeasureSpec>,
    /// Levels that lead into each other, as the chart's axis: grains of its time (`year` to `minute`), or columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub drill: Vec<String>,
    /// Where this chart has the values of a filter, by the filter's id, if not in the filter's own column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// Filters that do not narrow this chart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignores: Vec<String>,
    /// The measure or dimension that rows are sorted by; with `-` in front the largest come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// So many rows at most. Default 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: Option<u32>,
    /// Whether a table has a last row, and a pivot a last row and a last column, with its measures over all rows, also
    /// those that `limit` leaves out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub totals: bool,
    /// The earlier time that a KPI shows its measure of as well, as long as the one that is shown: `previous`, which
    /// is the one right before, or how far back it lies, such as `7d`. There is none where all times are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<CompareSpec>,
    /// Where a line is drawn, and a KPI or gauge turns red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Two measures between which a band is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<BandSpec>,
    /// A measure that is drawn as bars behind the lines where it is not 0: what is out of order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bars: Option<String>,
    /// Where a row leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkSpec>,
    /// Its place. Below all others by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<PlaceSpec>,
}

/// How a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// A line for each series.
    Line,
    /// Areas that stand on each other.
    Area,
    /// Bars beside each other.
    Bar,
    /// Bars that stand on each other.
    StackedBar,
    /// Rows.
    Table,
    /// The values of the last dimension as columns.
    Pivot,
    /// One large number.
    Kpi,
    /// One number on a scale; a second measure is where the scale ends.
    Gauge,
    /// Shares of a whole.
    Pie,
    /// Points at two measures; a third is their size.
    Scatter,
    /// Two dimensions, the measure as a colour.
    Heatmap,
}

/// How finely time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GrainSpec {
    /// By the time range.
    Auto,
    /// Not at all.
    None,
    /// By years.
    Year,
    /// By months.
    Month,
    /// By days.
    Day,
    /// By hours.
    Hour,
    /// By minutes.
    Minute,
}

/// Something computed of a group of rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MeasureSpec {
    /// What it is called.
    pub name: String,
    /// An aggregate: `sum(amount)`, `count(*)`, `sum(amount) / count(DISTINCT customer)`.
    pub expr: String,
}

/// A band.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BandSpec {
    /// The measure at its lower edge.
    pub lower: String,
    /// The measure at its upper edge.
    pub upper: String,
}

/// Where a row leads to: an address outside, or another dashboard, which takes the row's values as its filters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkSpec {
    /// What the link is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `https://…`, `http://…` or `/…` of this node, with `{column}` for values of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The name of a Dashboard. A dimension that has a filter's id there sets that filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
}

/// A place on a grid of twelve columns; a row is 40 pixels high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlaceSpec {
    /// Columns at its left.
    #[schemars(range(max = 11))]
    pub x: u32,
    /// Rows above it.
    #[schemars(range(max = 1000))]
    pub y: u32,
    /// Its width in columns.
    #[schemars(range(min = 1, max = 12))]
    pub w: u32,
    /// Its height in rows.
    #[schemars(range(min = 1, max = 40))]
    pub h: u32,
}

impl DashboardSpec {
    /// All charts, on whichever sheet they stand.
    pub fn all_charts(&self) -> impl Iterator<Item = &ChartSpec> {
        self.charts.iter().chain(self.sheets.iter().flat_map(|sheet| sheet.charts.iter()))
    }
}

impl ChartSpec {
    /// How its time is cut where no level of a drill says it.
    pub fn grain(&self) -> GrainSpec {
        let own = match self.shape {
            Shape::Line | Shape::Area => GrainSpec::Auto,
            _ => GrainSpec::None,
        };
        self.grain.unwrap_or(own)
    }
}

impl GrainSpec {
    /// The grain, if it is a certain one.
    pub const fn fixed(self) -> Option<Grain> {
        match self {
            Self::Auto | Self::None => None,
            Self::Year => Some(Grain::Year),
            Self::Month => Some(Grain::Month),
            Self::Day => Some(Grain::Day),
            Self::Hour => Some(Grain::Hour),
            Self::Minute => Some(Grain::Minute),
        }
    }
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: DashboardSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let placed = |(at, mut problem): (String, Problem)| {
        let pointer = format!("/spec{at}");
        // What the parser says of a text is a place within that text.
        match problem.place.take() {
            Some(inner) => {
                problem.place = Some(draft.origin.inside(&pointer, inner.line, inner.column));
                problem
            }
            None => draft.origin.blame(&pointer, problem),
        }
    };
    charts::check(&spec).into_iter().map(placed).collect()
}

/// The relations that charts and filters name; what queries name is found out when they are asked.
fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<DashboardSpec>(spec.clone()) else { return Vec::new() };
    let filters = spec.filters.iter().map(|filter| &filter.from).enumerate();
    let filters = filters.map(|(number, from)| (from, format!("/spec/filters/{number}/from")));
    let sheets = spec.sheets.iter().enumerate();
    let sheets = sheets.map(|(number, sheet)| (format!("/spec/sheets/{number}"), &sheet.charts));
    let charts = std::iter::once(("/spec".to_owned(), &spec.charts)).chain(sheets).flat_map(|(under, charts)| {
        let charts = charts.iter().enumerate();
        charts.map(move |(number, chart)| (&chart.from, format!("{under}/charts/{number}/from")))
    });
    let named = filters.chain(charts).filter_map(|(from, at)| {
        let (kind, name) = charts::relation(from)?;
        Some(Ref { kind, name, at, needed: true })
    });
    let mut named: Vec<Ref> = named.collect();
    named.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    named.dedup_by(|a, b| a.kind == b.kind && a.name == b.name);
    named
}

fn reconcile(_: &Arc<Resource>, _: &Observed) -> Plan {
    Plan::default()
}

#[cfg(test)]
mod tests;
