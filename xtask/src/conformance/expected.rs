//! A list of tests that may fail: `name<TAB>reason` a line, `#` for remarks.
//!
//! Invariant: a list is exact. It is judged against the outcomes in both directions.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};

use super::{Outcome, Verdict};
use crate::process::root;

/// Name to reason.
pub struct Expected(BTreeMap<String, String>);

impl Expected {
    /// The list of that name in `tests/conformance`.
    ///
    /// # Errors
    /// When it cannot be read, and those of [`parse`](Self::parse).
    pub fn read(name: &str) -> Result<Self> {
        let path = root().join("tests/conformance").join(name);
        Self::parse(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Names the line without a reason, or with a name that came before.
    pub fn parse(text: &str) -> Result<Self> {
        let mut tests = BTreeMap::new();
        for (line, number) in text.lines().zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, reason) = line.split_once('\t').with_context(|| format!("line {number}: no tab and reason"))?;
            if tests.insert(name.to_owned(), reason.trim().to_owned()).is_some() {
                bail!("line {number}: `{name}` is listed twice");
            }
        }
        Ok(Self(tests))
    }

    /// Why a test may fail, if it may.
    pub fn reason(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What is not as listed. With `partial`, listed tests may be missing among the outcomes.
    pub fn judge(&self, outcomes: &[Outcome], partial: bool) -> Vec<String> {
        let mut findings = Vec::new();
        for Outcome { name, verdict, .. } in outcomes {
            match (verdict, self.reason(name)) {
                (Verdict::Failed(why), None) => findings.push(format!("`{name}` failed: {why}")),
                (Verdict::Passed, Some(_)) => findings.push(format!("`{name}` passed; take it off the list")),
                (Verdict::NotRun(why), Some(_)) => {
                    findings.push(format!("`{name}` is listed as failing but did not run: {why}"));
                }
                _ => {}
            }
        }
        if !partial {
            let gone = self.0.keys().filter(|name| outcomes.iter().all(|outcome| outcome.name != **name));
            findings.extend(gone.map(|name| format!("`{name}` is listed, and the suite has no such test")));
            if outcomes.iter().all(|outcome| matches!(outcome.verdict, Verdict::NotRun(_))) {
                findings.push("no test ran".to_owned());
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests;
