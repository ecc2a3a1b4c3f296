use super::{EXAMPLE, KIND};
use crate::testing::{draft, problems};

/// The problems of a dashboard, each as `line:column: fact`, and what it names.
fn told(yaml: &str) -> (Vec<String>, Vec<String>) {
    let place = |place: headwater_base::Place| format!("{}:{}", place.line, place.column);
    let problems =
        problems(KIND, yaml).into_iter().map(|it| format!("{}: {}", place(it.place.unwrap()), it.title)).collect();
    let names = (KIND.refs)(&draft(KIND, yaml).spec).into_iter().map(|it| format!("{}/{}", it.kind, it.name)).collect();
    (problems, names)
}

#[test]
fn the_example_is_good_and_names_what_it_needs() {
    assert_eq!(told(EXAMPLE), (vec![], vec!["Dataset/orders".to_owned()]));
}

#[test]
fn each_fault_of_a_dashboard_is_told_with_its_place() {
    let (problems, _) = told(
        r#"apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: d}
spec:
  filters:
    - {id: a b, from: orders, column: country, after: [later]}
    - {id: later, from: "SELECT * FROM orders; DROP TABLE x", column: "x) OR (1 = 1"}
  charts:
    - {id: one, type: pie, from: orders, measures: []}
    - id: one
      type: bar
      from: orders o
      time: at
      grain: day
      drill: [month, year, region]
      measures: [{name: n, expr: "count(*), 1"}, {name: n, expr: count(*)}]
      sort: -m
      ignores: [latter]
      bars: o
      at: {x: 8, y: 0, w: 6, h: 2}
      link: {url: "javascript:alert(1)"}
    - {id: two, type: table, from: orders, dimensions: [host], link: {url: "https://{host}/", dashboard: x}}
    - {id: three, type: table, from: orders, dimensions: [host], link: {url: "https://shop.example/{hots}"}}
    - {id: four, type: bar, from: orders, dimensions: [host], measures: [{name: n, expr: count(*)}], totals: true, compare: 1d}
    - {id: five, type: table, from: orders, dimensions: [host], totals: true}
    - {id: six, type: kpi, from: orders, measures: [{name: n, expr: count(*)}], compare: previous}
    - {id: seven, type: kpi, from: orders, time: at, measures: [{name: n, expr: count(*)}], compare: 0s}
    - {id: eight, type: gauge, from: orders, measures: [{name: "", expr: count(*)}, {name: "", expr: max(amount)}]}
"#,
    );
    assert_eq!(
        problems,
        [
            "6:12: `a b` is no id: it has 1 to 60 letters, digits, `-`, `_` or `.`",
            "6:56: there is no filter before this one called `later`",
            "7:46: this is no SQL: Expected: the end, found: ;",
            "7:73: this is no SQL: Expected: the end, found: )",
            "9:23: this chart needs one axis and one measure; it has 0 axes and 0 measures",
            "10:11: there are two charts with the id `one`",
            "12:20: this is no SQL: Expected: the end, found: o",
            "16:43: this is no SQL: Expected: the end, found: ,",
            "16:57: there are two columns called `n`",
            "19:13: there is no measure `o`",
            "17:13: there is no column `m`",
            "15:14: the levels are grains of time (`year` to `minute`) or columns, not both",
            "15:22: `year` is not finer than `month`",
            "14:14: the levels of `drill` say how time is cut",
            "18:17: there is no filter `latter`",
            "20:11: the chart ends at column 14; there are 12",
            "21:19: `javascript:alert(1)` is no address that a chart may lead to",
            "22:70: a link has either `url` or `dashboard`",
            "22:76: `https://{host}/` is no address that a chart may lead to",
            "23:78: there is no column `hots`",
            "24:110: tables and pivots have totals",
            "24:125: a KPI alone is compared with the time before",
            "25:73: totals are of measures, and the chart has none",
            "26:90: times are compared, and the chart has no `time`",
            "27:102: a time is compared with an earlier one",
            "28:64: a measure has a name of one character at least",
            "28:92: a measure has a name of one character at least",
        ]
    );
}

#[test]
fn charts_of_sheets_are_checked_and_named_as_others() {
    let (problems, names) = told(
        "apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: d}
spec:
  filters:
    - {id: country, from: orders, column: country}
  charts: [{id: zero, type: table, from: orders, dimensions: [host]}]
  sheets:
    - id: one
      charts:
        - {id: a, type: table, from: streams.clicks, dimensions: [host]}
    - id: one
      title: Two
      charts:
        - {id: a, type: pie, from: tables.users, dimensions: [host]}
",
    );
    assert_eq!(
        problems,
        [
            "12:11: there are two sheets with the id `one`",
            "15:16: there are two charts with the id `a`",
            "15:25: this chart needs one axis and one measure; it has 1 axes and 0 measures",
            "7:11: the dashboard has sheets, and these charts stand on none",
        ]
    );
    assert_eq!(names, ["Dataset/orders", "Stream/clicks", "Table/users"]);
}

#[test]
fn what_a_kpi_is_compared_with_is_a_word_or_a_span() {
    let compared = |with: &str| {
        told(&format!(
            "apiVersion: headwater.dev/v1\nkind: Dashboard\nmetadata: {{name: d}}\nspec:\n  charts:\n    \
             - {{id: k, type: kpi, from: orders, time: at, measures: [{{name: n, expr: count(*)}}], compare: {with}}}\n"
        ))
        .0
    };
    assert_eq!([compared("previous"), compared("7d")].concat(), Vec::<String>::new());
    let [fault]: [String; 1] = compared("before").try_into().unwrap();
    assert!(fault.contains("or write `previous` for the time right before"), "{fault}");
}
