//! Layers: which crate may depend on which, and which outside crate is named where (ARCHITECTURE.md, "layers").

use super::Tree;

/// Our crates from the bottom up; a crate may depend on any crate of a lower layer and on none of its own.
const LAYERS: [(&str, u8); 15] = [
    ("headwater-base", 0),
    ("headwater-wire", 1),
    ("headwater-pattern", 1),
    ("headwater-store", 2),
    ("headwater-log", 3),
    ("headwater-kernel", 4),
    ("headwater-flow", 5),
    ("headwater-connect", 5),
    ("headwater-work", 5),
    ("headwater-bus", 5),
    ("headwater-cost", 5),
    ("headwater-lake", 5),
    ("headwater-watch", 5),
    ("headwater-api", 5),
    ("headwater", 6),
];

/// Crates for tests and tools; anything may use `headwater-testkit` in tests, nothing else may use these.
const TOOLS: [&str; 4] = ["headwater-testkit", "headwater-fuzz", "e2e", "xtask"];

/// An outside crate and the only crates of ours that may name it.
const ONLY: [(&str, &[&str]); 15] = [
    ("vrl", &["headwater-flow"]),
    ("jsonata-core", &["headwater-work"]),
    ("rusqlite", &["headwater-store"]),
    ("iceberg", &["headwater-lake"]),
    ("arrow", &["headwater-lake"]),
    ("arrow-array", &["headwater-lake"]),
    ("datafusion", &["headwater-lake"]),
    ("datafusion-postgres", &["headwater-lake"]),
    ("parquet", &["headwater-lake"]),
    ("axum", &["headwater-api"]),
    ("kafka-protocol", &["headwater-api", "headwater-wire"]),
    ("maxminddb", &["headwater-connect"]),
    ("lettre", &["headwater-connect"]),
    ("anyhow", &["headwater"]),
    ("clap", &["headwater"]),
];

/// What pure crates must not depend on: time, randomness, I/O.
const IMPURE: [&str; 6] = ["tokio", "rand", "rand_chacha", "reqwest", "rusqlite", "rustix"];
const PURE: [&str; 3] = ["headwater-base", "headwater-wire", "headwater-pattern"];

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(n, _)| *n == name).map(|(_, layer)| *layer)
}

/// Checks the edges between our crates and to outside crates.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let none = Vec::new();
    for package in tree.metadata["packages"].as_array().unwrap_or(&none) {
        let name = package["name"].as_str().unwrap_or_default();
        if TOOLS.contains(&name) {
            continue;
        }
        let Some(own) = layer(name) else {
            found.push(format!("crate `{name}` has no layer: add it to xtask/src/tidy/layers.rs and ARCHITECTURE.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap_or(&none) {
            let on = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"].as_str() != Some("dev") {
                found.extend(edge(name, own, on));
            }
        }
    }
    let packages = tree.lock.lines().filter(|line| *line == "[[package]]").count();
    if packages > 800 {
        found.push(format!("Cargo.lock: {packages} packages; the budget is 800"));
    }
    found
}

fn edge(name: &str, own: u8, on: &str) -> Option<String> {
    if TOOLS.contains(&on) {
        return Some(format!("`{name}` depends on `{on}` outside its tests"));
    }
    if layer(on).is_some_and(|below| below >= own) {
        return Some(format!(
            "`{name}` (layer {own}) depends on `{on}`: arrows point down only; meet in a kernel port"
        ));
    }
    if let Some((_, may)) = ONLY.iter().find(|(outside, _)| *outside == on)
        && !may.contains(&name)
    {
        return Some(format!("`{name}` names `{on}`, which belongs to {}", may.join(" and ")));
    }
    (PURE.contains(&name) && IMPURE.contains(&on)).then(|| format!("`{name}` is pure and depends on `{on}`"))
}
