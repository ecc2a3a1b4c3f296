//! What is wrong with a dashboard, all of it, each with its place below `spec`.

use std::collections::HashSet;

use headwater_base::{Problem, closest};
use serde_json::Value;

use super::{Grain, text};
use crate::kinds::dashboard::{ChartSpec, CompareSpec, DashboardSpec, FilterSpec, GrainSpec, LinkSpec, Shape};

/// Columns of the grid.
const GRID: u32 = 12;
/// Characters of an id.
const ID_MAX: usize = 60;

/// Gives all problems (`HW-LAKE-070`, and `HW-LAKE-040` for a text that is no SQL) with JSON pointers below the spec.
/// The place of `HW-LAKE-040` is within the text.
pub fn check(spec: &DashboardSpec) -> Vec<(String, Problem)> {
    let mut found = Found::default();
    let mut ids = HashSet::new();
    for (number, filter) in spec.filters.iter().enumerate() {
        found.under = format!("/filters/{number}");
        found.id(&filter.id, "filter", &mut ids);
        of_filter(&mut found, spec, filter, number);
    }
    ids.clear();
    of_charts(&mut found, spec, "", &spec.charts, &mut ids);
    let mut sheets = HashSet::new();
    for (number, sheet) in spec.sheets.iter().enumerate() {
        let under = format!("/sheets/{number}");
        found.under.clone_from(&under);
        found.id(&sheet.id, "sheet", &mut sheets);
        of_charts(&mut found, spec, &under, &sheet.charts, &mut ids);
    }
    if !spec.charts.is_empty() && !spec.sheets.is_empty() {
        found.under.clear();
        found.push("/charts", "the dashboard has sheets, and these charts stand on none");
    }
    found.all
}

/// The charts of a sheet, or of a dashboard without any.
fn of_charts<'a>(
    found: &mut Found,
    spec: &DashboardSpec,
    under: &str,
    charts: &'a [ChartSpec],
    ids: &mut HashSet<&'a str>,
) {
    for (number, chart) in charts.iter().enumerate() {
        found.under = format!("{under}/charts/{number}");
        found.id(&chart.id, "chart", ids);
        of_chart(found, spec, chart);
    }
}

#[derive(Default)]
struct Found {
    under: String,
    all: Vec<(String, Problem)>,
}

impl Found {
    fn push(&mut self, at: &str, fact: impl Into<String>) {
        self.problem(at, Problem::new("HW-LAKE-070", fact));
    }

    fn problem(&mut self, at: &str, problem: Problem) {
        self.all.push((format!("{}{at}", self.under), problem));
    }

    fn expression(&mut self, at: &str, words: &str) {
        if let Err(problem) = text::expression(words) {
            self.problem(at, problem);
        }
    }

    fn source(&mut self, words: &str) {
        if let Err(problem) = text::source(words) {
            self.problem("/from", problem);
        }
    }

    fn id<'a>(&mut self, id: &'a str, what: &str, seen: &mut HashSet<&'a str>) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > ID_MAX || !id.chars().all(plain) {
            let shown: String = id.chars().take(ID_MAX).collect();
            let fact = format!("`{shown}` is no id: it has 1 to {ID_MAX} letters, digits, `-`, `_` or `.`");
            self.push("/id", fact);
        }
        if !seen.insert(id) {
            self.push("/id", format!("there are two {what}s with the id `{id}`"));
        }
    }

    /// A name that has to be one of some.
    fn one_of<'a>(&mut self, at: &str, name: &str, what: &str, known: impl Iterator<Item = &'a str> + Clone) {
        if known.clone().any(|one| one == name) {
            return;
        }
        let problem = Problem::new("HW-LAKE-070", format!("there is no {what} `{name}`"));
        let problem = match closest(name, known) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        };
        self.problem(at, problem);
    }
}

fn of_filter(found: &mut Found, spec: &DashboardSpec, filter: &FilterSpec, number: usize) {
    found.source(&filter.from);
    found.expression("/column", &filter.column);
    let before = spec.filters.iter().take(number).map(|filter| filter.id.as_str());
    for (index, other) in filter.after.iter().enumerate() {
        found.one_of(&format!("/after/{index}"), other, "filter before this one called", before.clone());
    }
    for (index, value) in filter.default.iter().enumerate() {
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            found.push(&format!("/default/{index}"), "a filter's value is a text, a number, a truth value or null");
        }
    }
}

fn of_chart(found: &mut Found, spec: &DashboardSpec, chart: &ChartSpec) {
    found.source(&chart.from);
    let optional = [("/where", &chart.condition), ("/time", &chart.time)];
    for (at, words) in optional {
        if let Some(words) = words {
            found.expression(at, words);
        }
    }
    for (index, dimension) in chart.dimensions.iter().enumerate() {
        found.expression(&format!("/dimensions/{index}"), dimension);
    }
    for (index, measure) in chart.measures.iter().enumerate() {
        found.expression(&format!("/measures/{index}/expr"), &measure.expr);
    }
    names(found, chart);
    levels(found, chart);
    shape(found, chart);
    beside(found, chart);
    let filters = spec.filters.iter().map(|filter| filter.id.as_str());
    for (filter, column) in &chart.columns {
        found.one_of(&format!("/columns/{filter}"), filter, "filter", filters.clone());
        found.expression(&format!("/columns/{filter}"), column);
    }
    for (index, filter) in chart.ignores.iter().enumerate() {
        found.one_of(&format!("/ignores/{index}"), filter, "filter", filters.clone());
    }
    if let Some(place) = chart.at
        && place.x + place.w > GRID
    {
        found.push("/at", format!("the chart ends at column {}; there are {GRID}", place.x + place.w));
    }
    if let Some(link) = &chart.link {
        of_link(found, chart, link);
    }
}

/// Columns of a chart are told by their names.
fn names(found: &mut Found, chart: &ChartSpec) {
    let mut seen: HashSet<&str> = chart.time.iter().chain(&chart.drill).map(String::as_str).collect();
    for (index, dimension) in chart.dimensions.iter().enumerate() {
        if !seen.insert(dimension) {
            found.push(&format!("/dimensions/{index}"), format!("there are two columns called `{dimension}`"));
        }
    }
    for (index, measure) in chart.measures.iter().enumerate() {
        let at = format!("/measures/{index}/name");
        if measure.name.is_empty() {
            found.push(&at, "a measure has a name of one character at least");
        } else if !seen.insert(&measure.name) {
            found.push(&at, format!("there are two columns called `{}`", measure.name));
        }
    }
    let measures = chart.measures.iter().map(|measure| measure.name.as_str());
    let band = chart.band.iter().flat_map(|band| [("/band/lower", &band.lower), ("/band/upper", &band.upper)]);
    for (at, name) in band.chain(chart.bars.iter().map(|name| ("/bars", name))) {
        found.one_of(at, name, "measure", measures.clone());
    }
    if let Some(sort) = &chart.sort {
        let name = sort.strip_prefix('-').unwrap_or(sort);
        found.one_of("/sort", name, "column", columns(chart));
    }
}

/// The names of what a chart shows.
fn columns(chart: &ChartSpec) -> impl Iterator<Item = &str> + Clone {
    let measures = chart.measures.iter().map(|measure| measure.name.as_str());
    let axes = chart.drill.iter().chain(&chart.time).chain(&chart.dimensions);
    axes.map(String::as_str).chain(measures)
}

/// Levels are grains of a time, each finer than the one before, or columns.
fn levels(found: &mut Found, chart: &ChartSpec) {
    let grains = chart.drill.iter().filter_map(|level| Grain::of(level)).count();
    if grains > 0 && chart.time.is_none() {
        found.push("/drill", "the levels are times, and the chart has no `time`");
    }
    if grains > 0 && grains < chart.drill.len() {
        found.push("/drill", "the levels are grains of time (`year` to `minute`) or columns, not both");
    }
    let mut before: Option<Grain> = None;
    for (index, level) in chart.drill.iter().enumerate() {
        let grain = Grain::of(level);
        if let (Some(coarser), Some(grain)) = (before, grain)
            && grain <= coarser
        {
            found.push(&format!("/drill/{index}"), format!("`{level}` is not finer than `{}`", coarser.word()));
        }
        if grain.is_none() {
            found.expression(&format!("/drill/{index}"), level);
        }
        before = grain.or(before);
    }
    if chart.grain.is_some_and(|grain| grain != GrainSpec::None) {
        if chart.time.is_none() {
            found.push("/grain", "time is cut by `grain`, and the chart has no `time`");
        }
        if !chart.drill.is_empty() {
            found.push("/grain", "the levels of `drill` say how time is cut");
        }
    }
}

/// What a chart of its type needs.
fn shape(found: &mut Found, chart: &ChartSpec) {
    let cut = chart.time.is_some() && chart.grain() != GrainSpec::None;
    let axes = chart.dimensions.len() + usize::from(cut || !chart.drill.is_empty());
    let measures = chart.measures.len();
    let fits = match chart.shape {
        Shape::Line | Shape::Area | Shape::Bar | Shape::StackedBar => axes >= 1 && measures >= 1,
        Shape::Table => axes + measures >= 1,
        Shape::Pivot => axes >= 2 && measures >= 1,
        Shape::Kpi => axes == 0 && measures == 1,
        Shape::Gauge => axes == 0 && (1..=2).contains(&measures),
        Shape::Pie => axes == 1 && measures == 1,
        Shape::Scatter => axes >= 1 && (2..=3).contains(&measures),
        Shape::Heatmap => axes == 2 && measures == 1,
    };
    if !fits {
        let needs = match chart.shape {
            Shape::Line | Shape::Area | Shape::Bar | Shape::StackedBar => "an axis and a measure at least",
            Shape::Table => "a dimension or a measure at least",
            Shape::Pivot => "two axes and a measure at least",
            Shape::Kpi => "one measure and no axis",
            Shape::Gauge => "one measure, a second one for the end of its scale, and no axis",
            Shape::Pie => "one axis and one measure",
            Shape::Scatter => "a dimension at least, and two measures, a third one for the size",
            Shape::Heatmap => "two axes and one measure",
        };
        let fact = format!("this chart needs {needs}; it has {axes} axes and {measures} measures");
        let problem = Problem::new("HW-LAKE-070", fact);
        found.problem("/type", problem.help("axes are dimensions, levels of `drill`, and a time that `grain` cuts"));
    }
}

/// What stands beside a chart's rows.
fn beside(found: &mut Found, chart: &ChartSpec) {
    if chart.totals {
        if !matches!(chart.shape, Shape::Table | Shape::Pivot) {
            found.push("/totals", "tables and pivots have totals");
        } else if chart.measures.is_empty() {
            found.push("/totals", "totals are of measures, and the chart has none");
        }
    }
    let Some(compare) = chart.compare else { return };
    if chart.shape != Shape::Kpi {
        found.push("/compare", "a KPI alone is compared with the time before");
    } else if chart.time.is_none() {
        found.push("/compare", "times are compared, and the chart has no `time`");
    }
    if matches!(compare, CompareSpec::Before(span) if span.duration().is_zero()) {
        found.push("/compare", "a time is compared with an earlier one");
    }
}

/// A link leads to the web or to this node, and a value of a row never chooses the host.
fn of_link(found: &mut Found, chart: &ChartSpec, link: &LinkSpec) {
    if link.url.is_some() == link.dashboard.is_some() {
        found.push("/link", "a link has either `url` or `dashboard`");
    }
    let Some(url) = &link.url else { return };
    let fixed = url.split('{').next().unwrap_or_default();
    let outside = ["https://", "http://"].iter().find_map(|scheme| fixed.strip_prefix(scheme));
    let good = match outside {
        Some(rest) => !rest.starts_with('/') && (rest.contains('/') || fixed.len() == url.len()) && !rest.is_empty(),
        None => fixed.starts_with('/') && !fixed.starts_with("//") && !fixed.starts_with("/\\"),
    };
    if !good || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let problem = Problem::new("HW-LAKE-070", format!("`{url}` is no address that a chart may lead to"));
        found.problem(
            "/link/url",
            problem.help("it begins with `https://host/`, `http://host/` or `/`, without values"),
        );
    }
    for part in url.split('{').skip(1) {
        match part.split_once('}') {
            Some((name, _)) => found.one_of("/link/url", name, "column", columns(chart)),
            None => found.push("/link/url", "a `{` has no `}`"),
        }
    }
}
