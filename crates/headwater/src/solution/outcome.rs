//! What a test of a solution found, and what it must be.

use serde::Serialize;
use serde_json::Value;

/// One thing that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// What is looked at.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// What it must be.
    pub must: String,
    /// Whether it is.
    pub holds: bool,
}

/// What a test found. It passed when every rule holds.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Everything, for programs.
    pub figures: Value,
    /// What was compared, and how it came out.
    pub rules: Vec<Rule>,
    /// The rest in words.
    pub summary: Vec<String>,
    /// What is not as it must be; empty if all is well.
    pub failures: Vec<String>,
}

impl Rule {
    /// A count that must be this one.
    pub fn exactly(name: &'static str, found: u64, must: u64) -> Self {
        Self { name, found: found.to_string(), must: must.to_string(), holds: found == must }
    }

    /// A count that must not be less.
    pub fn at_least(name: &'static str, found: u64, must: u64) -> Self {
        Self { name, found: found.to_string(), must: format!("at least {must}"), holds: found >= must }
    }

    /// A count that must not be more.
    pub fn at_most(name: &'static str, found: u64, must: u64) -> Self {
        Self { name, found: found.to_string(), must: format!("at most {must}"), holds: found <= must }
    }

    /// What is wrong, if it does not hold.
    pub fn failure(&self) -> Option<String> {
        (!self.holds).then(|| format!("{}: {}, must be {}", self.name, self.found, self.must))
    }
}
