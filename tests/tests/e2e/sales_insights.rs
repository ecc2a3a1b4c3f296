//! The sales-insights solution on real demand and on generated sales, and a forecast on a node that is killed.

use std::process::Command;

use e2e::{Node, json, note_skip, output, root, until};
use serde_json::{Value, json};

use super::HEADWATER;

fn trial(more: &[&str]) -> Value {
    let mut command = Command::new(HEADWATER);
    json(&output(command.args(["solution", "test", "sales-insights", "--json"]).args(more), "").unwrap()).unwrap()
}

#[test]
fn generated_sales_are_judged_as_they_were_made() {
    for seed in ["1", "7"] {
        let outcome = trial(&["--seed", seed]);
        assert_eq!(outcome["failures"], json!([]), "seed {seed}: {outcome}");
    }
}

/// Half-hourly demand for taxis, in which a benchmark labelled a marathon, three holidays and a blizzard.
#[test]
fn labelled_windows_of_real_demand_are_found() {
    let data = root().join("../shared/data/nyc_taxi.csv");
    let labels = root().join("../shared/data/nyc_taxi_windows.json");
    if !data.is_file() || !labels.is_file() {
        return note_skip("labelled_windows_of_real_demand_are_found", "../shared/data/nyc_taxi.csv is not there");
    }
    let outcome = trial(&["--input", data.to_str().unwrap(), "--windows", labels.to_str().unwrap()]);
    assert_eq!(outcome["failures"], json!([]), "{outcome}");
    assert!(outcome["found"].as_u64().unwrap() >= 4, "{outcome}");
    assert!(outcome["falseAlarms"].as_array().unwrap().len() <= 10, "{outcome}");
}

#[test]
fn a_file_of_ones_own_is_read_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sales.csv");
    let mut text = "timestamp,sales,shop\n".to_owned();
    for hour in 0..21 * 24 {
        let value = if (480..485).contains(&hour) { 0 } else { 100 + hour % 24 };
        text.push_str(&format!("2026-01-{:02} {:02}:00:00,{value},mill\n", 1 + hour / 24, hour % 24));
    }
    std::fs::write(&file, &text).unwrap();
    let mut command = Command::new(HEADWATER);
    command.args(["solution", "run", "sales-insights", "--json", "--input"]).arg(&file);
    let figures = json(&output(&mut command, "").unwrap()).unwrap();
    assert_eq!((&figures["sales"], &figures["cohorts"], &figures["anomalies"]), (&json!(504), &json!(1), &json!(1)));
    assert_eq!(figures["began"], json!(["2026-01-21T01:00:00Z mill/all"]));

    std::fs::write(&file, text + "soon,much,mill\n").unwrap();
    let mut command = Command::new(HEADWATER);
    let refused = command.args(["solution", "run", "sales-insights", "--input"]).arg(&file).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("error[HW-CLI-206]") && told.contains("sales.csv:506"), "{told}");
}

const FORECAST: &str = "\
apiVersion: headwater.dev/v1
kind: Forecast
metadata: {name: demand}
spec:
  stream: demand
  time: .time
  cohort: [.shop]
  value: .sold
  interval: 1h
  seasons: [6h]
  history: 12d
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: verdicts}
spec:
  stream: demand.verdicts
  snapshotInterval: 200ms
  columns:
    - {name: time, type: timestamp}
    - {name: shop, type: string, path: .parts.shop}
    - {name: actual, type: double}
    - {name: predicted, type: double}
    - {name: anomaly, type: boolean}
    - {name: change, type: string}
";

/// Hours `from..to` of two shops; one of them is closed for two of them.
fn publish(node: &Node, hours: std::ops::Range<i64>) {
    let mut events = Vec::new();
    for hour in hours {
        for shop in ["north", "south"] {
            let closed = shop == "south" && (230..232).contains(&hour);
            let sold = if closed { 0 } else { 50 + hour % 6 * 10 + hour % 5 };
            let time = format!("2026-03-{:02}T{:02}:00:00Z", 1 + hour / 24, hour % 24);
            events.push(json!({"id": format!("{shop}-{hour}"), "time": time, "shop": shop, "sold": sold}));
        }
    }
    let (status, body) = node.post("/v1/streams/demand/events", &Value::from(events)).unwrap();
    assert_eq!(status, 200, "{body}");
}

/// The rows of an answer, without its head.
fn ask(node: &Node, query: &str) -> Vec<String> {
    let answer = node.headwater(&["sql", "-o", "csv", query], "").unwrap();
    answer.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn what_is_no_sale_is_asked_in_sql_whoever_found_out() {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["solution", "apply", "sales-insights"], "").unwrap();
    let sent = |sale: &Value| node.post("/v1/streams/sales.raw/events", &json!([sale])).unwrap().0 == 200;
    let nowhere = json!({"time": "2026-03-02T09:00:00Z", "country": "IN", "amount": 12.5});
    until("the streams are there", || sent(&nowhere)).unwrap();
    let of_schema = "SELECT code, stream, data->>'country' FROM sales_refused";
    assert_eq!(ask(&node, of_schema), ["HW-API-015,sales.raw,IN"], "acknowledged, so found");
    // The schema wants a text there, and the others a time.
    assert!(sent(&json!({"time": "soon", "country": "IN", "channel": "app", "amount": 12.5})));
    let others = "SELECT pipeline, dataset, stream, data->>'time' FROM sales_refused WHERE code <> 'HW-API-015' ORDER BY 1 NULLS LAST";
    until("pipeline and dataset have refused it", || ask(&node, others).len() == 2).unwrap();
    assert_eq!(ask(&node, others), ["sales-windows,,sales.raw,soon", ",sales,sales.raw,soon"]);
}

/// By the row policies of the solution's README, in SQL and on the dashboard.
#[test]
fn an_analyst_of_one_country_sees_no_other() {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["solution", "apply", "sales-insights"], "").unwrap();
    let readme = std::fs::read_to_string(root().join("solutions/sales-insights/README.md")).unwrap();
    let policies = readme.split_once("```yaml\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    node.headwater(&["apply", "-f", "-"], policies).unwrap();
    let hour = output(Command::new("date").args(["-u", "-d", "2 hours ago", "+%Y-%m-%dT%H:00:00Z"]), "").unwrap();
    let sale = |country: &str| json!({"time": hour.trim(), "country": country, "channel": "app", "amount": 12.5});
    let verdict = |country: &str| {
        json!({"time": hour.trim(), "cohort": format!("{country}/app"), "parts": {"country": country, "channel": "app"},
            "actual": 10.0, "predicted": 100.0, "change": "began"})
    };
    for (stream, events) in
        [("sales.raw", json!([sale("CO"), sale("IN")])), ("sales.verdicts", json!([verdict("CO"), verdict("IN")]))]
    {
        let path = format!("/v1/streams/{stream}/events");
        until("the stream is there", || node.post(&path, &events).unwrap().0 == 200).unwrap();
    }
    let began = json!({"dashboard": "sales", "chart": "anomalies"});
    for (who, countries, count) in [("admin", "country\nCO\nIN\n", 2), ("asha", "country\nIN\n", 1)] {
        for relation in ["sales", "sales_verdicts"] {
            let query = format!("SELECT DISTINCT country FROM {relation} ORDER BY country");
            assert_eq!(node.headwater(&["sql", "--as", who, "-o", "csv", &query], "").unwrap(), countries, "{who}");
        }
        let (status, drawn) = node.post_as(who, "/v1/charts", &began).unwrap();
        assert_eq!((status, &json(&drawn).unwrap()["rows"]), (200, &json!([[count]])), "{who}");
    }
    // What the policies do not name is not there.
    let raw = node.run(&["sql", "--as", "asha", "SELECT count(*) FROM streams.\"sales.raw\""]).unwrap();
    assert!(String::from_utf8_lossy(&raw.stderr).contains("HW-LAKE-041"), "{raw:?}");
}

#[test]
fn anomalies_are_rows_of_sql_and_a_kill_doubles_none() {
    let mut node = Node::start(HEADWATER).unwrap();
    let file = node.data().join("../forecast.yaml");
    std::fs::write(&file, FORECAST).unwrap();
    let applied = node.headwater(&["apply", "-f", file.to_str().unwrap()], "").unwrap();
    assert_eq!(applied, "forecast/demand created\ndataset/verdicts created\n");
    let mut hours = 0;
    for more in [60, 90, 90] {
        publish(&node, hours..hours + more);
        hours += more;
        // Whatever it was about: it goes on from its last commit.
        node.kill_and_restart().unwrap();
    }
    let all = || ask(&node, "SELECT count(*), count(DISTINCT (time, shop)) FROM verdicts");
    until("every hour is judged", || all() == [format!("{0},{0}", 2 * hours)]).unwrap();
    let began = ask(&node, "SELECT shop, time FROM verdicts WHERE change = 'began' ORDER BY time");
    assert_eq!(began, ["south,2026-03-10T15:00:00Z"]);
    let closed = ask(&node, "SELECT count(*) FROM verdicts WHERE anomaly AND actual = 0 AND predicted > 0");
    assert_eq!(closed, ["1"]);
    let shown = || node.headwater(&["get", "forecasts"], "").unwrap();
    until("its cohorts are told", || shown().contains("2 cohorts")).unwrap();
}
