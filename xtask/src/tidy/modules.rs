//! Every source file is part of a crate: a file that no `mod` names is never compiled, and its tests never run.

use std::collections::HashMap;

use super::Tree;

/// Checks that each module file is declared by its parent.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let texts: HashMap<&str, &str> = tree.rust.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    let mut found = Vec::new();
    for file in &tree.rust {
        let Some((folder, name)) = file.path.strip_suffix(".rs").and_then(|path| path.rsplit_once('/')) else {
            continue;
        };
        if is_root(folder, name) {
            continue;
        }
        let parents = [format!("{folder}.rs"), format!("{folder}/lib.rs"), format!("{folder}/main.rs")];
        let declared = parents.iter().filter_map(|parent| texts.get(parent.as_str())).any(|text| declares(text, name));
        if !declared {
            found
                .push(format!("{}: no module declares it, so that it is never compiled; add `mod {name};`", file.path));
        }
    }
    found
}

/// Files that Cargo finds by itself.
fn is_root(folder: &str, name: &str) -> bool {
    let last = folder.rsplit('/').next().unwrap_or_default();
    let of_crate = !folder.contains("/src");
    matches!(name, "lib" | "main") && (last == "src" || of_crate)
        || name == "build" && of_crate
        || last == "bin"
        || of_crate && matches!(last, "tests" | "examples" | "benches")
}

/// Whether a text has `mod name;`, with whatever visibility.
pub(super) fn declares(text: &str, name: &str) -> bool {
    let statement = format!("mod {name};");
    text.lines().any(|line| {
        line.trim()
            .strip_suffix(statement.as_str())
            .is_some_and(|before| before.is_empty() || before.starts_with("pub"))
    })
}
