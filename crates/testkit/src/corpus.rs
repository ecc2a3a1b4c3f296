//! Recorded behaviour of other systems: opens a corpus, judges a crate's answers case by case, and holds the list of
//! expected misses to the truth in both directions.
//!
//! The corpora lie outside the repository (`HEADWATER_CONFORMANCE`, else `../shared/conformance` beside it). Where one
//! is missing its test says so and counts as skipped; under CI (`CI` is set) that fails. The lists are
//! `tests/conformance/<corpus>.txt`: `id<TAB>reason` a line, `#` for remarks. With `HEADWATER_CONFORMANCE_REPORT` set,
//! what a corpus came to is written to that file as well, a JSON object a line, for `cargo xtask conformance`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test driver ends where something is not as expected"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A corpus that is there.
#[derive(Debug)]
pub struct Corpus {
    name: &'static str,
    folder: PathBuf,
}

impl Corpus {
    /// Opens a corpus by the name of its folder; None where it is not there.
    ///
    /// # Panics
    /// Under CI, when none of the corpora is there.
    pub fn open(name: &'static str) -> Option<Self> {
        let given = std::env::var_os("HEADWATER_CONFORMANCE").map(PathBuf::from);
        let home = given.unwrap_or_else(|| root().join("../shared/conformance"));
        let folder = home.join(name);
        if folder.is_dir() {
            return Some(Self { name, folder });
        }
        assert!(std::env::var_os("CI").is_none(), "corpus `{name}` is missing at {}", folder.display());
        println!("skipped: {name}: 0 cases run, {} is missing", folder.display());
        None
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every case of the JSON files in the corpus, or in a folder of it.
    ///
    /// # Panics
    /// When a file is no JSON.
    pub fn cases(&self, below: &str) -> Vec<Value> {
        read(&self.folder.join(below))
    }

    /// Judges every case and prints what came of it.
    ///
    /// # Panics
    /// When a case misses that is not listed, or a listed one passes.
    pub fn judge(&self, cases: &[Value], check: impl Fn(&Value) -> Result<(), String>) {
        let (mut passed, mut failed) = (0_usize, BTreeMap::new());
        for case in cases {
            let id = case["id"].as_str().unwrap();
            match check(case) {
                Ok(()) => passed += 1,
                Err(why) => assert!(failed.insert(id, why).is_none(), "two cases are called `{id}`"),
            }
        }
        let ids: BTreeSet<&str> = cases.iter().filter_map(|case| case["id"].as_str()).collect();
        let list = fs::read_to_string(root().join(format!("tests/conformance/{}.txt", self.name))).unwrap_or_default();
        let listed: BTreeMap<&str, &str> = list
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split_once('\t').unwrap_or_else(|| panic!("no reason in `{line}`")))
            .collect();
        println!("{}: {passed}/{}", self.name, cases.len());
        let mut wrong = Vec::new();
        for (id, why) in &failed {
            match listed.get(id) {
                Some(reason) => println!("  listed: {id}: {reason}"),
                None => wrong.push(format!("`{id}` fails and is not listed: {why}")),
            }
        }
        let stale = listed.keys().filter(|id| ids.contains(**id) && !failed.contains_key(**id));
        wrong.extend(stale.map(|id| format!("`{id}` passes; take it off the list")));
        if let Some(report) = std::env::var_os("HEADWATER_CONFORMANCE_REPORT") {
            let misses = failed.iter().map(|(id, why)| json!({ "id": id, "why": why, "reason": listed.get(id) }));
            let line = json!({
                "corpus": self.name, "passed": passed, "total": cases.len(), "failed": misses.collect::<Vec<_>>(),
            });
            let mut file = fs::File::options().create(true).append(true).open(report).unwrap();
            writeln!(file, "{line}").unwrap();
        }
        assert!(wrong.is_empty(), "{}: not as listed:\n{}", self.name, wrong.join("\n"));
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(read(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            match serde_json::from_str(&fs::read_to_string(&path).unwrap()) {
                Ok(Value::Array(list)) => found.extend(list),
                Ok(case) => found.push(case),
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    found
}
