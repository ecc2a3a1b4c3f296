use serde_json::{Value, json};

use super::*;

fn run(change: impl FnOnce(&mut Value)) -> Result<(), String> {
    let mut record = json!({
        "id": "r", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T10:00:00Z",
        "jobs": [{"id": "j", "attempts": [
            {"instance": "m", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T09:30:00Z"}]}],
        "instances": [{"id": "m", "type": "c5.large", "region": "us-east-1", "cpus": 2}],
        "volumes": [{"id": "v", "type": "gp3", "region": "us-east-1", "size_gib": "100", "instance": "m"}],
    });
    change(&mut record);
    let run: Run = serde_json::from_value(record).map_err(|error| error.to_string())?;
    run.check().map_err(|problem| format!("{} {}", problem.place.unwrap().path, problem.title))
}

#[test]
fn a_run_that_can_have_been_is_taken() {
    assert_eq!(run(|_| {}), Ok(()));
}

#[test]
fn what_cannot_have_been_is_refused_with_its_path() {
    let cases: [(fn(&mut Value), &str); 9] = [
        (|r| r["id"] = json!(""), "id"),
        (|r| r["ended"] = json!("2024-03-04T08:00:00Z"), "Run/r"),
        (|r| r["jobs"][0]["attempts"][0]["instance"] = json!("n"), "jobs[0].attempts[0].instance"),
        (|r| r["jobs"][0]["attempts"][0]["ended"] = json!("2024-03-04T08:30:00Z"), "jobs[0].attempts[0]"),
        (|r| r["instances"][0]["purchase"] = json!("spot"), "instances[0].zone"),
        (|r| r["instances"][0]["cpus"] = json!(-2), "instances[0].cpus"),
        (|r| r["volumes"][0]["size_gib"] = json!("0"), "volumes[0].size_gib"),
        (|r| r["volumes"][0]["instance"] = json!("n"), "volumes[0].instance"),
        (|r| r["file_systems"] = json!([{"id": "f", "type": "x", "region": "y", "size_gib": 1, "share": 2}]), "share"),
    ];
    for (change, place) in cases {
        let refusal = run(change).unwrap_err();
        assert!(refusal.contains(place), "{place}: {refusal}");
    }
}

#[test]
fn a_word_that_is_no_field_is_refused() {
    assert!(run(|r| r["instances"][0]["colour"] = json!("blue")).unwrap_err().contains("unknown field `colour`"));
}
