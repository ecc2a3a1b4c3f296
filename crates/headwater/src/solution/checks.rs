//! A solution's `checks.yaml`: single events, and what its pipelines make of them on demand.

use headwater_base::{Limits, Problem};
use serde::Deserialize;
use serde_json::Value;

use super::node::Node;
use super::package::Package;
use crate::problems::Problems;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    name: String,
    pipeline: String,
    given: Value,
    #[serde(default)]
    expect: Value,
    #[serde(default)]
    present: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
}

/// Runs every check on a node that has the solution; answers their number and what is not as it must be.
///
/// # Errors
/// `HW-CLI-201` when the checks cannot be read, and what the node has to say.
pub async fn run(package: &Package, node: &Node) -> Result<(u64, Vec<String>), Problems> {
    let Some(text) = package.text("checks.yaml") else { return Ok((0, Vec::new())) };
    let path = format!("{}/checks.yaml", package.name);
    let mut count = 0;
    let mut failures = Vec::new();
    for document in headwater_kernel::yaml::read(&path, text.as_bytes(), &Limits::default())? {
        let checks: Vec<Check> = serde_json::from_value(document.value).map_err(|error| {
            Problem::new("HW-CLI-201", "the solution's checks cannot be read").because(error).at(&path, 0, 0)
        })?;
        for check in checks {
            count += 1;
            let body = Some(("application/json", check.given.to_string().into_bytes()));
            let given = node.web.json(reqwest::Method::POST, &["v1", "enrich", &check.pipeline], &[], body).await?;
            let missing = if check.expect.is_null() { Vec::new() } else { differences("", &check.expect, &given) };
            failures.extend(missing.into_iter().map(|difference| format!("{}: {difference}", check.name)));
            let is_there = |field: &&String| given.pointer(&format!("/{}", field.replace('.', "/"))).is_some();
            let left = check.absent.iter().filter(is_there);
            failures.extend(left.map(|field| format!("{}: `.{field}` is still there", check.name)));
            let lacking = check.present.iter().filter(|field| !is_there(field));
            failures.extend(lacking.map(|field| format!("{}: `.{field}` is not there", check.name)));
        }
    }
    Ok((count, failures))
}

/// Where `given` lacks what `expected` says; objects may have more.
fn differences(path: &str, expected: &Value, given: &Value) -> Vec<String> {
    match expected {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| differences(&format!("{path}.{name}"), value, &given[name]))
            .collect(),
        _ if expected == given => Vec::new(),
        _ => vec![format!("`{path}` is {given}, expected {expected}")],
    }
}

#[cfg(test)]
mod tests;
