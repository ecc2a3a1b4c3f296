//! Source files: length, header, and what must not be left behind.

use super::Tree;

const LINES_MAX: usize = 800;

/// Texts that no file of the tree holds. Written in two halves, so that this file passes.
const LEFT_BEHIND: [(&str, &str); 6] =
    [("dbg", "!("), ("todo", "!("), ("unimplemented", "!("), ("#[ign", "ore"), ("FIX", "ME"), ("thread::sl", "eep(")];

/// Files where waiting by the clock is what the code is for.
const MAY_SLEEP: [&str; 4] = ["xtask/src/", "crates/testkit/src/", "tests/src/", "crates/log/src/park.rs"];

/// Checks every Rust file.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in &tree.rust {
        let lines = file.text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{}: {lines} lines; the limit is {LINES_MAX}: one file, one noun", file.path));
        }
        let is_test = file.path.ends_with("tests.rs") || file.path.contains("/tests/");
        if !is_test && !file.text.starts_with("//!") {
            found.push(format!("{}:1: no `//!` header that says what it is and what it is not", file.path));
        }
        for (number, line) in file.text.lines().enumerate() {
            for (first, second) in LEFT_BEHIND {
                let text = format!("{first}{second}");
                let slept = second == "eep(" && MAY_SLEEP.iter().any(|folder| file.path.starts_with(folder));
                if line.contains(&text) && !slept {
                    found.push(format!("{}:{}: `{text}` must not stay", file.path, number + 1));
                }
            }
        }
    }
    found
}
