//! A forecast whose holidays stand in a file of the node's data folder.

use e2e::{Node, json, until};
use serde_json::{Value, json};

use super::HEADWATER;

fn forecast(name: &str, file: &str) -> String {
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
  holidays: {{zone: Asia/Kolkata, file: {file}, days: [{{date: 2026-03-05, name: Audit}}]}}
"
    )
}

#[test]
fn a_calendar_in_a_file_names_its_days_and_one_that_is_missing_is_said() {
    let node = Node::start(HEADWATER).unwrap();
    std::fs::write(node.data().join("days.csv"), "date,name\n2026-03-09,Stocktaking\n").unwrap();
    node.headwater(&["apply", "-f", "-"], &forecast("demand", "days.csv")).unwrap();
    let hour = |hour: u32| {
        let time = format!("2026-03-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
        json!({"time": time, "sold": 50 + hour % 6 * 10 + hour % 5}).to_string()
    };
    let hours: Vec<String> = (0..240).map(hour).collect();
    node.headwater(&["produce", "demand"], &hours.join("\n")).unwrap();
    let words = ["tail", "demand.verdicts", "--from", "earliest", "--follow", "-n", "240"];
    let verdicts = node.headwater(&words, "").unwrap();
    let verdicts: Vec<Value> = verdicts.lines().map(|line| json(line).unwrap()).collect();
    let of = |name: &str| -> Vec<&str> {
        let named = verdicts.iter().filter(|verdict| verdict["holiday"] == name);
        named.map(|verdict| verdict["time"].as_str().unwrap()).collect()
    };
    // A day begins half past six in the evening of the day before, by UTC; an hour belongs to where it begins.
    for (name, first, last) in [
        ("Stocktaking", "2026-03-08T19:00:00Z", "2026-03-09T18:00:00Z"),
        ("Audit", "2026-03-04T19:00:00Z", "2026-03-05T18:00:00Z"),
    ] {
        let hours = of(name);
        assert_eq!((hours.len(), hours.first(), hours.last()), (24, Some(&first), Some(&last)), "{hours:?}");
    }

    node.headwater(&["apply", "-f", "-"], &forecast("other", "none.csv")).unwrap();
    until("what is missing is said", || {
        node.headwater(&["get", "forecasts", "-o", "json"], "").unwrap().contains("HW-WATCH-041")
    })
    .unwrap();
}
