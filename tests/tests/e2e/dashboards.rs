//! Dashboards as the console asks them: charts, filters, levels, and what cannot be asked.

use e2e::{Node, json};
use serde_json::{Value, json};

use super::HEADWATER;

const RESOURCES: &str = r#"
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: sales}
spec: {partitions: 2}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  stream: sales
  columns:
    - {name: at, type: timestamp}
    - {name: country, type: string}
    - {name: city, type: string}
    - {name: amount, type: double}
---
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: shop}
spec:
  filters:
    - {id: country, from: orders, column: country}
    - {id: city, from: orders, column: city, after: [country]}
  charts:
    - id: january
      type: kpi
      from: orders
      time: at
      measures: [{name: cities, expr: count(DISTINCT city)}]
      compare: 31d
    - id: countries
      type: pivot
      from: orders
      time: at
      grain: year
      dimensions: [country]
      measures: [{name: average, expr: round(avg(amount))}]
      totals: true
    - id: cities
      type: table
      from: orders
      time: at
      dimensions: [city]
      measures: [{name: average, expr: avg(amount)}]
      sort: -average
      limit: 1
      totals: true
    - {id: total, type: kpi, from: orders, time: at, measures: [{name: revenue, expr: sum(amount)}]}
    - id: years
      type: bar
      from: orders
      time: at
      drill: [year, month, day, hour, minute]
      measures: [{name: revenue, expr: sum(amount)}]
    - id: raw
      type: table
      from: streams.sales
      time: time
      dimensions: [value->>'city', partition]
      columns: {country: value->>'country', city: value->>'city'}
      limit: 3
"#;

/// Sales of three days in two months of two countries.
const SALES: &str = r#"{"at": "2025-12-31T23:30:00Z", "country": "CH", "city": "Bern", "amount": 10}
{"at": "2026-01-01T00:30:00Z", "country": "CH", "city": "L'Abbaye", "amount": 20}
{"at": "2026-01-01T01:30:00Z", "country": "AT", "city": "Wien", "amount": 40}
{"at": "2026-02-01T00:00:00Z", "country": "AT", "city": "<b>Graz</b>", "amount": 80}
"#;

/// One reader sees one country.
const POLICIES: &str = "
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: austria}
spec: {principals: [asha], relations: [orders], filter: country = 'AT'}
";

fn ask(node: &Node, path: &str, body: &Value) -> (u16, Value) {
    let (status, said) = node.post(path, body).unwrap();
    (status, json(&said).unwrap())
}

#[test]
fn charts_are_answered_with_filters_times_and_levels() {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], RESOURCES).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    let chart = |chart: &str, more: Value| {
        let mut body = json!({"dashboard": "shop", "chart": chart});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&node, "/v1/charts", &body)
    };
    let rows = |id: &str, more: Value| {
        let (status, said) = chart(id, more);
        assert_eq!(status, 200, "{said}");
        said["rows"].clone()
    };
    assert_eq!(rows("total", json!({})), json!([[150.0]]));
    assert_eq!(rows("total", json!({"filters": {"country": ["CH"]}})), json!([[30.0]]));
    assert_eq!(rows("total", json!({"filters": {"city": ["L'Abbaye", "' OR 1 = 1 --"]}})), json!([[20.0]]));
    let january = json!({"time": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}});
    assert_eq!(rows("total", january), json!([[60.0]]));

    let (_, years) = chart("years", json!({}));
    assert_eq!((&years["grain"], &years["axes"]), (&json!("year"), &json!(1)));
    assert_eq!(years["rows"], json!([["2025-01-01T00:00:00Z", 10.0], ["2026-01-01T00:00:00Z", 140.0]]));
    assert!(years["query"].as_str().unwrap().starts_with("SELECT date_trunc('year', at)"), "{years}");
    // Each level is narrowed by what the one above has answered.
    let mut path = Vec::new();
    for (level, sum) in [("year", 140.0), ("month", 60.0), ("day", 60.0), ("hour", 40.0), ("minute", 40.0)] {
        let (_, said) = chart("years", json!({"drill": path}));
        assert_eq!(said["grain"], json!(level));
        let found = said["rows"].as_array().unwrap().iter().find(|row| row[1] == json!(sum));
        path.push(found.unwrap_or_else(|| panic!("{said}"))[0].clone());
    }
    assert_eq!(rows("years", json!({"drill": &path[..4]})), json!([["2026-01-01T01:30:00Z", 40.0]]));

    let wien = rows("raw", json!({"filters": {"country": ["AT"], "city": ["Wien"]}}));
    assert_eq!(wien[0][0], json!("Wien"));
    assert_eq!(rows("raw", json!({})).as_array().unwrap().len(), 3);
    let recent = rows("raw", json!({"time": {"last": "1h"}}));
    assert_eq!(recent.as_array().unwrap().len(), 3);

    let values = |more: Value| {
        let mut body = json!({"dashboard": "shop", "filter": "city"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&node, "/v1/charts/values", &body).1["rows"].clone()
    };
    assert_eq!(values(json!({"filters": {"country": ["AT"]}})), json!([["<b>Graz</b>", 1], ["Wien", 1]]));
    assert_eq!(values(json!({"search": "l'ABB"})), json!([["L'Abbaye", 1]]));

    let code = |body: Value| {
        let (status, said) = ask(&node, "/v1/charts", &body);
        format!("{status} {}", said["code"].as_str().unwrap_or_default())
    };
    assert_eq!(code(json!({"dashboard": "shop", "chart": "none"})), "400 HW-LAKE-071");
    assert_eq!(code(json!({"dashboard": "none", "chart": "none"})), "404 HW-KERNEL-012");
    assert_eq!(code(json!({"chart": "none"})), "400 HW-API-008");
    assert_eq!(code(json!({"dashboard": "shop", "chart": "total", "time": {"from": "now"}})), "400 HW-API-008");
    let draft = |measure: &str| json!({"spec": {"charts": [{"id": "c", "type": "kpi", "from": "orders", "measures": [{"name": "m", "expr": measure}]}]}, "chart": "c"});
    assert_eq!(ask(&node, "/v1/charts", &draft("count(*)")).1["rows"], json!([[4]]));
    assert_eq!(code(draft("count(*) FROM orders; --")), "400 HW-LAKE-040");
    assert_eq!(code(draft("sum(nothing)")), "400 HW-LAKE-041");
}

#[test]
fn totals_and_earlier_times_are_what_their_reader_may_see() {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], RESOURCES).unwrap();
    node.headwater(&["apply", "-f", "-"], POLICIES).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    let chart = |chart: &str, reader: &str, more: Value| {
        let mut body = json!({"dashboard": "shop", "chart": chart});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, said) = node.post_as(reader, "/v1/charts", &body).unwrap();
        assert_eq!(status, 200, "{said}");
        json(&said).unwrap()
    };
    let totals = |said: &Value| {
        let all = said["totals"].as_array().unwrap().iter();
        all.map(|total| json!([total["by"], total["rows"]])).collect::<Vec<Value>>()
    };
    // An average of averages would be another number, and so would one of the one row that is shown.
    let cities = chart("cities", "admin", json!({}));
    assert_eq!((&cities["rows"], totals(&cities)), (&json!([["<b>Graz</b>", 80.0]]), vec![json!([[], [[37.5]]])]));
    let cities = chart("cities", "admin", json!({"filters": {"country": ["CH"]}}));
    assert_eq!(totals(&cities), [json!([[], [[15.0]]])]);
    assert_eq!(totals(&chart("cities", "asha", json!({}))), [json!([[], [[60.0]]])]);

    let countries = totals(&chart("countries", "admin", json!({})));
    let (first, second) = ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    assert_eq!(
        countries,
        [
            json!([[0], [[first, 10.0], [second, 47.0]]]),
            json!([[1], [["AT", 60.0], ["CH", 15.0]]]),
            json!([[], [[38.0]]])
        ]
    );
    let mine = totals(&chart("countries", "asha", json!({})));
    assert_eq!(mine, [json!([[0], [[second, 60.0]]]), json!([[1], [["AT", 60.0]]]), json!([[], [[60.0]]])]);

    // January against the month of December, whose last evening had one sale.
    let january = json!({"time": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}});
    let compared = chart("january", "admin", january.clone());
    assert_eq!((&compared["rows"], &compared["before"]["rows"]), (&json!([[2]]), &json!([[1]])));
    assert_eq!(compared["before"]["from"], json!("2025-12-01T00:00:00Z"));
    assert_eq!(compared["before"]["to"], json!("2026-01-01T00:00:00Z"));
    let compared = chart("january", "asha", january);
    assert_eq!((&compared["rows"], &compared["before"]["rows"]), (&json!([[1]]), &json!([[0]])));
    assert_eq!(chart("january", "admin", json!({})).get("before"), None);
    assert_eq!(chart("total", "admin", json!({})).get("totals"), None);

    let average =
        json!({"id": "c", "type": "kpi", "from": "orders", "measures": [{"name": "m", "expr": "avg(amount)"}]});
    let sheets = json!({"sheets": [{"id": "empty"}, {"id": "full", "charts": [average]}]});
    let (_, said) = node.post_as("asha", "/v1/charts", &json!({"spec": sheets, "chart": "c"})).unwrap();
    assert_eq!(json(&said).unwrap()["rows"], json!([[60.0]]));
}

/// A line for each chart, told by its id; the rest of it is the chart's own answer.
#[test]
fn charts_that_are_asked_together_are_answered_as_each_alone() {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], RESOURCES).unwrap();
    node.headwater(&["apply", "-f", "-"], POLICIES).unwrap();
    node.headwater(&["produce", "sales"], SALES).unwrap();
    let lines = |reader: &str, body: &Value| -> Vec<Value> {
        let (status, said) = node.post_as(reader, "/v1/charts/together", body).unwrap();
        assert_eq!(status, 200, "{said}");
        assert!(said.ends_with('\n'), "{said}");
        let mut lines: Vec<Value> = said.lines().map(|line| json(line).unwrap()).collect();
        lines.sort_by_key(|line| line["chart"].to_string());
        lines
    };
    let charts = json!([
        {"chart": "cities"},
        {"chart": "countries", "filters": {"country": ["AT", null]}},
        {"chart": "january"},
        {"chart": "none"},
        {"chart": "raw", "filters": {"city": ["Wien"]}},
        {"chart": "total"},
        {"chart": "years", "drill": ["2026-01-01T00:00:00Z"]},
    ]);
    for time in [json!({}), json!({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"})] {
        for reader in ["admin", "asha"] {
            let together = lines(reader, &json!({"dashboard": "shop", "charts": charts, "time": time}));
            assert_eq!(together.len(), 7);
            for (asked, mut line) in charts.as_array().unwrap().iter().zip(together) {
                let mut body = json!({"dashboard": "shop", "time": time});
                body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
                let alone = json(&node.post_as(reader, "/v1/charts", &body).unwrap().1).unwrap();
                assert_eq!(line.as_object_mut().unwrap().remove("chart").as_ref(), asked.get("chart"));
                match line.get("problem") {
                    Some(problem) => assert_eq!(problem["code"], alone["code"], "{asked} by {reader}"),
                    None => assert_eq!(line, alone, "{asked} by {reader}"),
                }
            }
        }
    }

    let draft = |expr: &str, id: &str| json!({"id": id, "type": "kpi", "from": "orders", "measures": [{"name": "m", "expr": expr}]});
    let spec =
        json!({"charts": [draft("count(*)", "a"), draft("count(*) FROM orders; --", "b"), draft("sum(no)", "c")]});
    let said = lines("admin", &json!({"spec": spec, "charts": [{"chart": "a"}, {"chart": "b"}, {"chart": "c"}]}));
    assert_eq!(said[0]["rows"], json!([[4]]));
    let codes = [&said[1]["problem"]["code"], &said[2]["problem"]["code"]];
    assert_eq!(codes, [&json!("HW-LAKE-040"), &json!("HW-LAKE-041")]);

    let refused = |body: Value| {
        let (status, said) = ask(&node, "/v1/charts/together", &body);
        format!("{status} {}", said["code"].as_str().unwrap_or_default())
    };
    let many: Vec<Value> = (0..51).map(|number| json!({"chart": format!("c{number}")})).collect();
    assert_eq!(refused(json!({"dashboard": "shop", "charts": many})), "400 HW-API-105");
    assert_eq!(refused(json!({"dashboard": "shop", "charts": [{"chart": "a"}, {"chart": "a"}]})), "400 HW-API-106");
    assert_eq!(refused(json!({"dashboard": "shop", "charts": []})), "400 HW-API-008");
    assert_eq!(refused(json!({"dashboard": "shop", "chart": "total"})), "400 HW-API-008");
    assert_eq!(refused(json!({"dashboard": "none", "charts": [{"chart": "a"}]})), "404 HW-KERNEL-012");
}
