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
