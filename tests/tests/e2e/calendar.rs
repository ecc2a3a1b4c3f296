//! A forecast whose holidays stand elsewhere: in a file of the node's data folder, in a Table, in a Dataset.

use e2e::{Node, json, until};
use serde_json::{Value, json};

use super::HEADWATER;

fn forecast(name: &str, holidays: &str) -> String {
    format!(
        "\
apiVersion: headwater.dev/v1
kind: Forecast
metadata: {{name: {name}}}
spec:
  stream: demand
  time: .time
  value: .sold
  interval: 1h
  seasons: [6h]
  history: 12d
  holidays: {{zone: Asia/Kolkata, {holidays}, days: [{{date: 2026-03-05, name: Audit}}]}}
"
    )
}

/// Sells for ten days; the hours that the verdicts of the forecast `demand` call by each of these names.
fn named(node: &Node, names: &[&str]) -> Vec<Vec<String>> {
    let hour = |hour: u32| {
        let time = format!("2026-03-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
        json!({"time": time, "sold": 50 + hour % 6 * 10 + hour % 5}).to_string()
    };
    let hours: Vec<String> = (0..240).map(hour).collect();
    node.headwater(&["produce", "demand"], &hours.join("\n")).unwrap();
    let words = ["tail", "demand.verdicts", "--from", "earliest", "--follow", "-n", "240"];
    let verdicts = node.headwater(&words, "").unwrap();
    let verdicts: Vec<Value> = verdicts.lines().map(|line| json(line).unwrap()).collect();
    let of = |name: &&str| {
        let named = verdicts.iter().filter(|verdict| verdict["holiday"] == *name);
        named.map(|verdict| verdict["time"].as_str().unwrap().to_owned()).collect()
    };
    names.iter().map(of).collect()
}

/// A day begins half past six in the evening of the day before, by UTC; an hour belongs to where it begins.
fn check(hours: &[String], first: &str, last: &str) {
    let ends = [hours.first(), hours.last()].map(|hour| hour.map(String::as_str));
    assert_eq!((hours.len(), ends), (24, [Some(first), Some(last)]), "{hours:?}");
}

#[test]
fn a_calendar_in_a_file_names_its_days_and_one_that_is_missing_is_said() {
    let node = Node::start(HEADWATER).unwrap();
    std::fs::write(node.data().join("days.csv"), "date,name\n2026-03-09,Stocktaking\n").unwrap();
    node.headwater(&["apply", "-f", "-"], &forecast("demand", "file: days.csv")).unwrap();
    let found = named(&node, &["Stocktaking", "Audit"]);
    check(&found[0], "2026-03-08T19:00:00Z", "2026-03-09T18:00:00Z");
    check(&found[1], "2026-03-04T19:00:00Z", "2026-03-05T18:00:00Z");

    node.headwater(&["apply", "-f", "-"], &forecast("other", "file: none.csv")).unwrap();
    until("what is missing is said", || {
        node.headwater(&["get", "forecasts", "-o", "json"], "").unwrap().contains("HW-WATCH-041")
    })
    .unwrap();
}

#[test]
fn a_calendar_in_tables_is_that_of_its_group() {
    let tables = "\
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: holidays}
spec: {}
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: closures}
spec: {}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: closures}
spec:
  stream: closures
  columns: [{name: day, type: date}, {name: name, type: string}, {name: group, type: string}]
";
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], tables).unwrap();
    let put = |day: &str, name: &str, group: &str| {
        let document = json!({"day": day, "name": name, "group": group}).to_string();
        node.headwater(&["table", "put", "holidays", &format!("{group}-{day}"), &document], "").unwrap();
    };
    put("2026-03-04", "Holi", "IN");
    put("2026-03-06", "Elsewhere", "CH");
    let closed = json!({"day": "2026-03-09", "name": "Stocktaking", "group": "IN"}).to_string();
    node.headwater(&["produce", "closures"], &closed).unwrap();
    let from = "table: holidays, dataset: closures, group: IN";
    node.headwater(&["apply", "-f", "-"], &forecast("demand", from)).unwrap();
    let found = named(&node, &["Holi", "Stocktaking", "Elsewhere"]);
    check(&found[0], "2026-03-03T19:00:00Z", "2026-03-04T18:00:00Z");
    check(&found[1], "2026-03-08T19:00:00Z", "2026-03-09T18:00:00Z");
    assert_eq!(found[2].len(), 0);
    let needed = node.headwater(&["delete", "table/holidays"], "").unwrap_err();
    assert!(needed.to_string().contains("error[HW-KERNEL-013]"), "{needed}");
}
