//! The port of solutions: sets of resources that are shipped with a node and applied by one request.

use std::collections::BTreeMap;

use headwater_base::Problem;
use serde::{Deserialize, Serialize};

/// A solution as it is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Solution {
    /// Its name.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// A sentence about it.
    pub about: String,
    /// What is different about it from machine to machine.
    pub parameters: Vec<Parameter>,
    /// Its resources, as `Kind/name`.
    pub resources: Vec<String>,
    /// Why it cannot be read, if it cannot; it is offered all the same, lest it be looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What is different about a solution from machine to machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// What it is unless somebody says otherwise; None for a file or a secret that the machine has.
    pub value: Option<String>,
}

/// A file of resources, ready to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name, for the places of problems.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The solutions that a node has on its shelf.
pub trait Solutions: Send + Sync {
    /// All of them, by name.
    fn list(&self) -> &[Solution];

    /// The resources of one, with these values of its parameters. A secret that is not there yet is drawn and kept.
    ///
    /// # Errors
    /// `HW-CLI-201` for a solution or a parameter that is not there or cannot be read, 202 for data that has not been fetched, 206 for a
    /// secret that cannot be kept.
    fn files(&self, name: &str, values: BTreeMap<String, String>) -> Result<Vec<File>, Problem>;
}
