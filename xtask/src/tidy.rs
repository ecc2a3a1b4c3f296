//! `cargo xtask tidy`: the rules of this tree that neither the compiler nor clippy knows.
//!
//! Each rule is a function from the tree to findings; a finding names file, line and the rule's way out. The same
//! check runs as a unit test of this crate, so `cargo test` fails on an untidy tree too.

mod codes;
mod files;
mod layers;
mod modules;
mod notices;
mod pages;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::root;

/// A text file of the tree, by its path from the root.
pub struct File {
    path: String,
    text: String,
}

/// Everything the rules look at.
pub struct Tree {
    rust: Vec<File>,
    markdown: Vec<File>,
    /// Configuration and scripts.
    other: Vec<File>,
    metadata: serde_json::Value,
    lock: String,
    console_lock: String,
}

/// Checks the tree.
///
/// # Errors
/// Lists every finding.
pub fn execute() -> Result<()> {
    let findings = findings(&Tree::read()?);
    if findings.is_empty() {
        return Ok(());
    }
    bail!("the tree is not tidy:\n{}", findings.join("\n"));
}

/// Every finding of every rule.
fn findings(tree: &Tree) -> Vec<String> {
    let rules: [fn(&Tree) -> Vec<String>; 7] =
        [layers::check, files::check, modules::check, codes::check, pages::check, words::check, notices::check];
    rules.iter().flat_map(|rule| rule(tree)).collect()
}

impl Tree {
    fn read() -> Result<Self> {
        let root = root();
        let mut paths = Vec::new();
        for folder in ["crates", "fuzz", "xtask", "tests", "docs", "solutions", "console"] {
            walk(&root.join(folder), &mut paths)?;
        }
        for entry in fs::read_dir(&root)? {
            let path = entry?.path();
            if path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        let mut tree = Self {
            rust: Vec::new(),
            markdown: Vec::new(),
            other: Vec::new(),
            metadata: metadata()?,
            lock: fs::read_to_string(root.join("Cargo.lock"))?,
            console_lock: fs::read_to_string(root.join(notices::CONSOLE_LOCK))?,
        };
        for path in paths {
            let list = match path.extension().and_then(|e| e.to_str()) {
                Some("rs") => &mut tree.rust,
                Some("md") => &mut tree.markdown,
                Some("yaml" | "toml" | "py" | "js" | "ts" | "tsx" | "css" | "html" | "sh") => &mut tree.other,
                _ => continue,
            };
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let path = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
            list.push(File { path, text });
        }
        Ok(tree)
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "target" | "node_modules" | "dist") && !name.starts_with('.') {
                walk(&path, found)?;
            }
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn metadata() -> Result<serde_json::Value> {
    let words = ["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"];
    Ok(serde_json::from_str(&crate::process::read(crate::process::cargo().args(words))?)?)
}

#[cfg(test)]
mod tests;
