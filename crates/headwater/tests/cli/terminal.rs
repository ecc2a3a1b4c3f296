//! What is shown on a terminal alone: how far long work has come.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::fakes::fake;
use super::{RESOURCES, command, text};

/// Whether there is a `script` that makes a terminal for a command; if not, it is said that a test is skipped.
#[allow(clippy::print_stderr, reason = "the test harness has no other place for it")]
fn has_script(test: &str) -> bool {
    let version = Command::new("script").arg("--version").stdin(Stdio::null()).output();
    let found = version.is_ok_and(|told| text(&told).contains("util-linux"));
    if !found {
        eprintln!("SKIPPED {test}: util-linux's `script` is not there");
    }
    found
}

/// A command on a terminal, which takes what it says on both its outputs.
fn on_a_terminal(folder: &Path, words: &str) -> String {
    let line = format!("'{}' {words}", env!("CARGO_BIN_EXE_headwater"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(folder).stdin(Stdio::null());
    // Whatever terminal and shell the tests were started from: on some that have no name nothing is drawn.
    let output = script.env("TERM", "xterm").env("SHELL", "/bin/sh").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

#[test]
fn a_run_over_a_file_draws_a_bar() {
    if !has_script("a_run_over_a_file_draws_a_bar") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yaml"), RESOURCES).unwrap();
    std::fs::write(folder.path().join("in.ndjson"), "{\"n\":1}\n{\"n\":3}\n").unwrap();
    let is_drawn = |said: &str| said.contains(['█', '░']);
    let words = ["run", "r.yaml", "--input", "in.ndjson"];
    let shown = on_a_terminal(folder.path(), &words.join(" "));
    assert!(is_drawn(&shown) && shown.contains("2 events"), "{shown}");
    let piped: Output = command(folder.path()).args(words).output().unwrap();
    assert!(!is_drawn(&text(&piped)), "{}", text(&piped));
}

#[test]
fn a_reconciliation_shows_for_how_long_it_has_gone_on() {
    if !has_script("a_reconciliation_shows_for_how_long_it_has_gone_on") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let report = (200, r#"{"events": 2, "streams": {}, "repaired": 0}"#);
    let (url, asked) = fake(&[report, report]);
    let words = ["reconcile", "double", "--server", &url];
    let shown = on_a_terminal(folder.path(), &words.join(" "));
    assert!(shown.contains("recomputing") && shown.contains("2 events read"), "{shown}");
    let piped = command(folder.path()).args(words).output().unwrap();
    assert!(!text(&piped).contains("recomputing"), "{}", text(&piped));
    assert_eq!(asked.join().unwrap(), ["POST /v1/pipelines/double/reconcile HTTP/1.1"; 2]);
}
