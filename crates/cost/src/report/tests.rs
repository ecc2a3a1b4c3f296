use serde_json::json;

use super::*;

fn launch(id: &str, day: u32, seconds: i64, kind: &str, cost: &str) -> Value {
    let started = Time::parse(&format!("2024-03-{day:02}T09:00:00Z")).unwrap();
    let ended = started.plus(seconds * 1_000);
    let amount = if cost == "unknown" { Value::Null } else { json!(cost) };
    json!({
        "id": id, "status": "COMPLETE", "workflow": "variants", "dataset": "small", "consumer": format!("lab-{}", day % 2),
        "service": "batch", "started": started, "ended": ended, "currency": "USD", "extra": {"is": "ignored"},
        "states": [{"state": "PREPARING", "at": started}, {"state": "RUNNING", "at": started.plus(5_000)}, {"state": "COMPLETE", "at": ended}],
        "total_cost": cost, "instance_cost": cost, "volume_cost": "0.00", "filesystem_cost": "0.00", "failed_cost": "0.00",
        "lines": [{"resource": "instance", "id": "m", "type": kind, "purchase": "spot", "place": "us-east-1a",
            "from": started, "to": ended, "quantity": "1", "unit": "hour", "amount": amount}]
    })
}

fn some() -> Vec<Launch> {
    launches(&[
        launch("a", 4, 100, "c5.large", "0.10"),
        launch("b", 5, 110, "c5.large", "0.12"),
        launch("c", 11, 50, "c6i.xlarge", "0.20"),
        launch("d", 12, 60, "c6i.xlarge", "unknown"),
    ])
    .unwrap()
}

fn pick(rows: &[Value], names: &[&str]) -> Vec<Vec<String>> {
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    rows.iter().map(|row| names.iter().map(|name| cell(&row[*name])).collect()).collect()
}

#[test]
fn durations_go_by_state() {
    let rows = report(&some(), By::State, None);
    let names = ["state", "launches", "seconds_total", "seconds_p50", "seconds_max"];
    assert_eq!(
        pick(&rows, &names),
        [
            ["PREPARING", "4", "20.0", "5.0", "5.0"],
            ["RUNNING", "4", "300.0", "55.0", "105.0"],
            ["COMPLETE", "4", "null", "null", "null"]
        ]
    );
}

#[test]
fn what_has_no_price_is_counted_and_not_added() {
    let rows = report(&some(), By::Consumer, None);
    let names = ["consumer", "launches", "unpriced", "total_cost"];
    assert_eq!(pick(&rows, &names), [["lab-0", "2", "1", "0.10"], ["lab-1", "2", "0", "0.32"]]);
}

#[test]
fn periods_begin_where_they_should() {
    for (period, expected) in [
        (Period::Day, ["2024-03-04", "2024-03-05", "2024-03-11", "2024-03-12"].as_slice()),
        (Period::Week, ["2024-03-04", "2024-03-11"].as_slice()),
        (Period::Month, ["2024-03-01"].as_slice()),
        (Period::Year, ["2024-01-01"].as_slice()),
    ] {
        let rows = report(&some(), By::Period, Some(period));
        assert_eq!(pick(&rows, &["period"]).concat(), expected);
    }
}

#[test]
fn currencies_are_never_added_up() {
    let mut documents = [launch("a", 4, 1, "c5.large", "1"), launch("b", 6, 1, "c5.large", "1")];
    documents[1]["currency"] = json!("EUR");
    let rows = report(&launches(&documents).unwrap(), By::Type, None);
    assert_eq!(pick(&rows, &["currency", "total_cost"]), [["EUR", "1.00"], ["USD", "1.00"]]);
}

#[test]
fn machines_are_compared_over_the_same_workflow_and_data() {
    let rows = report(&some(), By::Resource, None);
    let names = ["resource", "launches", "seconds_mean", "cost_mean", "is_cheapest", "is_fastest"];
    assert_eq!(
        pick(&rows, &names),
        [
            ["c5.large spot", "2", "105.0", "0.11", "true", "false"],
            ["c6i.xlarge spot", "1", "50.0", "0.20", "false", "true"]
        ]
    );
}

#[test]
fn a_word_that_is_none_is_answered_with_those_that_are() {
    let problem = word("report", "consumr", &BY).unwrap_err();
    assert!(problem.help.unwrap().contains("did you mean `consumer`?"));
}

#[test]
fn a_cost_that_no_launch_can_have_is_none() {
    let most = "79228162514264337593543950335";
    let launches = launches(&[
        launch("a", 4, 100, "c5.large", most),
        launch("b", 6, 100, "c5.large", most),
        launch("c", 8, 100, "c5.large", "1"),
    ]);
    let rows = report(&launches.unwrap(), By::Consumer, None);
    assert_eq!(pick(&rows, &["launches", "unpriced", "total_cost"]), [["3", "2", "1.00"]]);
}
