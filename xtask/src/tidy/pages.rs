//! Pages for people: their length, their links, and the commands they tell the reader to type.

use clap::CommandFactory;

use super::Tree;
use crate::process::root;

/// Pages with a bound, in lines.
const LINES_MAX: [(&str, usize); 2] = [("ARCHITECTURE.md", 400), ("STYLE.md", 60)];

/// Checks every Markdown page.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let command = crate::Cli::command();
    let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    for page in &tree.markdown {
        let lines = page.text.lines().count();
        if let Some((_, max)) = LINES_MAX.iter().find(|(path, max)| *path == page.path && lines > *max) {
            found.push(format!("{}: {lines} lines; the limit is {max}", page.path));
        }
        for (number, line) in page.text.lines().enumerate() {
            let place = format!("{}:{}", page.path, number + 1);
            for (at, marker) in line.match_indices("cargo xtask ") {
                let rest = line.get(at + marker.len()..).unwrap_or_default();
                let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                if !word.is_empty() && !known.contains(&word.as_str()) {
                    found.push(format!("{place}: there is no `cargo xtask {word}`"));
                }
            }
            for link in links(line) {
                let folder = root().join(&page.path);
                let file = link.split('#').next().unwrap_or_default();
                if !file.is_empty() && folder.parent().is_some_and(|f| !f.join(file).exists()) {
                    found.push(format!("{place}: the link `{link}` leads nowhere"));
                }
            }
        }
    }
    found
}

/// Relative link targets of a line: `[text](target)`.
pub(super) fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| {
        let target = line.get(at + 2..)?.split(')').next()?;
        let outside = target.contains("://") || target.starts_with("mailto:") || target.contains(' ');
        (!outside).then_some(target)
    })
}
