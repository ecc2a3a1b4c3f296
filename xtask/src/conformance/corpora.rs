//! `cargo xtask conformance --corpus DIR`: the recorded behaviour of other systems, judged by the tests of the crates
//! that answer for it (`headwater_testkit::Corpus`), and put together here.
//!
//! DIR holds folders in the formats of the corpora's own README; those that are not there are passed over. What may
//! miss stands with its reason in `tests/conformance/<corpus>.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{linting_cargo, root, target};

/// The corpora that a crate's tests judge.
const JUDGES: [(&str, &[&str]); 3] = [
    ("pattern", &["event-patterns", "event-transformers"]),
    ("bus", &["schedules"]),
    ("work", &["asl", "asl-mocked", "asl-validation", "jsonata"]),
];
/// What these tests are called.
const TESTS: [&str; 2] = ["corpus", "conformance"];

/// Judges every corpus in `folder`.
///
/// # Errors
/// When none is there, or the outcome is not what the lists say.
pub(super) fn execute(folder: &Path, as_json: bool) -> Result<()> {
    let folder = folder.canonicalize().with_context(|| format!("no folder of corpora at {}", folder.display()))?;
    let there: BTreeSet<&str> = JUDGES
        .iter()
        .filter(|(name, _)| root().join("crates").join(name).join("tests").is_dir())
        .flat_map(|(_, corpora)| corpora.iter().copied())
        .filter(|corpus| folder.join(corpus).is_dir())
        .collect();
    if there.is_empty() {
        bail!("{} holds none of the corpora", folder.display());
    }
    let report = target().join("conformance/corpora.jsonl");
    fs::create_dir_all(target().join("conformance"))?;
    if report.exists() {
        fs::remove_file(&report)?;
    }
    let mut findings = Vec::new();
    let mut command = linting_cargo();
    command.args(["test", "--quiet", "--locked", "--workspace", "--no-fail-fast"]);
    command.args(TESTS.iter().flat_map(|test| ["--test", test]));
    command.env("HEADWATER_CONFORMANCE", &folder).env("HEADWATER_CONFORMANCE_REPORT", &report);
    // What is not in DIR is passed over, whoever asks.
    command.env_remove("CI");
    let output = command.output().context("cannot run the tests")?;
    if !output.status.success() {
        findings.push(complaint(&output.stdout, &output.stderr));
    }
    let lines = fs::read_to_string(&report).unwrap_or_default();
    let outcomes: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let seen: BTreeSet<&str> = outcomes.iter().filter_map(|outcome| outcome["corpus"].as_str()).collect();
    findings.extend(there.difference(&seen).map(|corpus| format!("`{corpus}` was not judged")));
    if as_json {
        println!("{}", json!({ "corpora": outcomes, "findings": findings }));
    } else {
        outcomes.iter().for_each(show);
    }
    if findings.is_empty() {
        return Ok(());
    }
    bail!("not as listed in tests/conformance:\n{}", findings.join("\n"))
}

fn show(outcome: &Value) {
    let number = |field: &str| outcome[field].as_u64().unwrap_or(0);
    println!("{:<20} {:>5}/{}", outcome["corpus"].as_str().unwrap_or_default(), number("passed"), number("total"));
    for miss in outcome["failed"].as_array().into_iter().flatten() {
        let text = |field: &str| miss[field].as_str().unwrap_or_default();
        match miss["reason"].as_str() {
            Some(reason) => println!("  listed  {}: {reason}", text("id")),
            None => println!("  FAILED  {}: {}", text("id"), text("why")),
        }
    }
}

/// What a test said, without the frame of the harness.
fn complaint(stdout: &[u8], stderr: &[u8]) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    let kept = text
        .lines()
        .filter(|line| line.contains("not listed") || line.contains("off the list") || line.contains("error"));
    let lines: Vec<&str> = kept.take(50).collect();
    if lines.is_empty() { text } else { lines.join("\n") }
}
