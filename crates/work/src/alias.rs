//! Aliases of a workflow: a name that stands for a version of it, or for two that share the executions by weight.
//!
//! What it is NOT: it keeps no versions, and does not know which there are; the engine says so when one is started.
//!
//! Source: Step Functions, `CreateStateMachineAlias` (names, weights, bounds).

use std::collections::BTreeMap;

use headwater_base::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// Aliases of one workflow.
pub const ALIASES_MAX: usize = 100;

/// Versions of one alias.
pub const ROUTES_MAX: usize = 2;

/// Characters of a name.
const NAME_MAX: usize = 80;

/// What the weights of one alias add up to.
const WHOLE: u64 = 100;

/// The aliases of a workflow by their names.
pub type Aliases = BTreeMap<String, Alias>;

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Alias {
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// One version, or two; their weights add up to 100.
    pub routes: Vec<Route>,
}

/// A version and its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// The generation of the Workflow that is run.
    pub version: u64,
    /// Executions out of a hundred.
    #[schemars(range(min = 0, max = 100))]
    pub weight: u8,
}

impl Alias {
    /// A version, as often as its weight says.
    pub fn pick(&self, chance: &mut Chance) -> Option<u64> {
        let drawn = chance.below(WHOLE);
        let mut end = 0;
        let mut shares = self.routes.iter().map(|route| {
            end += u64::from(route.weight);
            (route.version, end)
        });
        shares.find(|(_, end)| drawn < *end).map(|(version, _)| version)
    }

    fn fault(&self) -> Option<String> {
        let count = self.routes.len();
        if count == 0 || count > ROUTES_MAX {
            return Some(format!("routes to {count} versions; 1 to {ROUTES_MAX} are allowed"));
        }
        let sum: u64 = self.routes.iter().map(|route| u64::from(route.weight)).sum();
        if sum != WHOLE {
            return Some(format!("has weights of {sum} together; they add up to {WHOLE}"));
        }
        let mut versions = self.routes.iter().map(|route| route.version);
        let (first, second) = (versions.next(), versions.next());
        if first == second {
            return Some(format!("names version {} twice", first.unwrap_or_default()));
        }
        (first == Some(0) || second == Some(0)).then(|| "names version 0; the first one is 1".to_owned())
    }
}

/// What is wrong with aliases: `HW-WORK-060`, each with the keys that lead to it.
pub fn problems(aliases: &Aliases) -> Vec<(Option<&str>, Problem)> {
    let problem = |fact: String| {
        Problem::new("HW-WORK-060", fact)
            .help("write it as in `aliases: {live: {routes: [{version: 3, weight: 90}, {version: 5, weight: 10}]}}`")
    };
    let mut found = Vec::new();
    if aliases.len() > ALIASES_MAX {
        let fact = format!("there are {} aliases; the limit is {ALIASES_MAX}", aliases.len());
        found.push((None, problem(fact)));
    }
    for (name, alias) in aliases {
        let shown: String = name.chars().take(NAME_MAX).collect();
        let shown = shown.escape_debug();
        if !is_name(name) {
            let form = "letters, digits, `-`, `_` and `.`, not digits alone";
            let fact = format!("`{shown}` cannot be an alias: a name is up to {NAME_MAX} {form}");
            found.push((Some(name.as_str()), problem(fact)));
        } else if let Some(fault) = alias.fault() {
            found.push((Some(name.as_str()), problem(format!("alias `{shown}` {fault}"))));
        }
    }
    found
}

/// Digits alone are a version.
fn is_name(name: &str) -> bool {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    fits && (1..=NAME_MAX).contains(&name.len()) && !name.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
