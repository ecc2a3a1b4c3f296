//! The recorded behaviour of the services: which schedule expressions they take (`../shared/conformance`).
//!
//! The corpus is not part of this tree. Where it is missing the test says so and counts what it skipped; under CI (`CI`
//! is set) that is a failure.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::fs;
use std::path::PathBuf;

use headwater_bus::schedule::{Dialect, Expression};
use serde_json::Value;

#[test]
fn schedules() {
    let home = std::env::var_os("HEADWATER_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let path = home.join("schedules/cases.json");
    let cases: Vec<Value> = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{}: {error}", path.display());
            eprintln!("skipped: schedules: 0 cases run, {} is missing", path.display());
            return;
        }
    };
    let mut failed = Vec::new();
    for case in &cases {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let dialect = if text("api").starts_with("scheduler") { Dialect::Schedule } else { Dialect::Rule };
        let answer = match Expression::parse(text("expression"), dialect) {
            Ok(_) => "valid".to_owned(),
            Err(problem) if problem.title == text("error") => "invalid".to_owned(),
            Err(problem) => problem.title,
        };
        if answer != text("expect") {
            failed.push(format!("{}: {answer}, recorded {} {}", text("id"), text("expect"), text("error")));
        }
    }
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    eprintln!("schedules: {} passed", cases.len());
}
