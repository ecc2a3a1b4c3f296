//! The clickstream solution on seeded traffic and on a real access log.

use std::process::Command;

use e2e::{json, note_skip, output, root};

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

/// The expected figures were computed by a program of its own: regular expressions for the lines, words and woothee's Python library for user agents, a sort
/// and a gap of more than 1,800 s for the sessions, and the GeoIP file read by MaxMind's Python library.
#[test]
fn an_access_log_gives_the_figures_that_another_program_finds() {
    let log = root().join("../shared/data/apache_access.log");
    if !log.is_file() {
        return note_skip("an_access_log_gives_the_figures", "../shared/data/apache_access.log is not there");
    }
    let mut command = Command::new(HEADWATER);
    command.args(["solution", "run", "clickstream", "--json", "--input"]).arg(log);
    let figures = json(&output(&mut command, "").unwrap()).unwrap();
    let expected = [
        ("events", 10_000),
        ("failed", 1),
        ("enriched", 9_999),
        ("late", 0),
        ("sessions", 3_223),
        ("visitors", 1_861),
        ("countries", 95),
        ("bots", 293),
        ("bot_events", 2_095),
    ];
    for (name, value) in expected {
        assert_eq!(figures[name], value, "{name}: {figures}");
    }
}
