//! The recorded behaviour of other systems, as far as this crate answers for it: prints passed and total of each
//! corpus and the ids that fail, and holds the list of expected misses to the truth in both directions.
//!
//! The corpora lie outside the repository (`HEADWATER_CONFORMANCE`, else `../shared/conformance`). Where they are
//! missing the tests say so and count as skipped; under CI that fails.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test driver")]

mod asl;
mod compare;
mod driver;
mod jsonata;
mod mocked;
mod services;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

/// What one corpus came to.
struct Outcome {
    corpus: &'static str,
    passed: usize,
    failed: BTreeMap<String, String>,
}

/// The folder of a corpus, or None where there is none.
fn corpus(name: &'static str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let given = std::env::var_os("HEADWATER_CONFORMANCE").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| root.join("../shared/conformance")).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "corpus `{name}` is missing at {}", folder.display());
    println!("skipped: corpus `{name}` is not at {}", folder.display());
    None
}

/// Every case of the JSON files below a folder.
fn cases(folder: &std::path::Path) -> Vec<Value> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(cases(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            // The file of lone surrogates is for readers that take them; strict ones refuse it.
            match serde_json::from_str(&text) {
                Ok(Value::Array(list)) => found.extend(list),
                Ok(case) => found.push(case),
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    found
}

/// Runs a corpus case by case and holds it to its list of expected misses.
fn run(corpus: &'static str, cases: Vec<Value>, check: impl Fn(&Value) -> Result<(), String>) {
    let mut outcome = Outcome { corpus, passed: 0, failed: BTreeMap::new() };
    for case in &cases {
        let id = case["id"].as_str().unwrap().to_owned();
        match check(case) {
            Ok(()) => outcome.passed += 1,
            Err(why) => {
                assert!(outcome.failed.insert(id.clone(), why).is_none(), "two cases are called `{id}`");
            }
        }
    }
    outcome.report();
}

impl Outcome {
    fn report(&self) {
        println!("{}: {}/{}", self.corpus, self.passed, self.passed + self.failed.len());
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/conformance/{}.txt", self.corpus));
        let list = std::fs::read_to_string(file).unwrap_or_default();
        let expected: BTreeSet<&str> = list
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .map(|line| line.split(" | ").next().unwrap().trim())
            .collect();
        let mut wrong = Vec::new();
        for (id, why) in &self.failed {
            println!("  {}: {id}: {why}", if expected.contains(id.as_str()) { "expected miss" } else { "FAILED" });
            if !expected.contains(id.as_str()) {
                wrong.push(format!("`{id}` fails and is not on the list"));
            }
        }
        for id in expected.iter().filter(|id| !self.failed.contains_key(**id)) {
            wrong.push(format!("`{id}` is on the list and passes, or there is no such case"));
        }
        assert!(wrong.is_empty(), "{}: {} differences from the list:\n{}", self.corpus, wrong.len(), wrong.join("\n"));
    }
}

#[test]
fn asl_executions_match_the_recorded_service() {
    if let Some(folder) = corpus("asl") {
        run("asl", cases(&folder), asl::check);
    }
}

#[test]
fn mocked_executions_match_the_recorded_service() {
    if let Some(folder) = corpus("asl-mocked") {
        run("asl-mocked", cases(&folder), mocked::check);
    }
}

#[test]
fn validation_matches_the_recorded_service() {
    if let Some(folder) = corpus("asl-validation") {
        run("asl-validation", cases(&folder), validation::check);
    }
}

#[test]
fn jsonata_matches_the_official_suite() {
    if let Some(folder) = corpus("jsonata") {
        let datasets = jsonata::datasets(&folder);
        let mut all = cases(&folder.join("cases"));
        all.extend(jsonata::lone_surrogates(&folder));
        run("jsonata", all, |case| jsonata::check(case, &datasets));
    }
}
