//! Pages for people: their length, their links, and the commands they tell the reader to type.

use std::path::Path;

use clap::CommandFactory;

use super::Tree;
use crate::process::root;

/// Pages with a bound, in lines.
const LINES_MAX: [(&str, usize); 2] = [("ARCHITECTURE.md", 400), ("STYLE.md", 60)];

/// The generated page that knows every verb of the command line and its flags.
const VERBS: &str = "docs/reference/cli.md";

/// Checks every Markdown page.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let command = crate::Cli::command();
    let tasks: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    let verbs = tree.markdown.iter().find(|page| page.path == VERBS).map_or("", |page| page.text.as_str());
    for page in &tree.markdown {
        let lines = page.text.lines().count();
        if let Some((_, max)) = LINES_MAX.iter().find(|(path, max)| *path == page.path && lines > *max) {
            found.push(format!("{}: {lines} lines; the limit is {max}", page.path));
        }
        for (number, line) in page.text.lines().enumerate() {
            let place = format!("{}:{}", page.path, number + 1);
            let mut complain = |what: String| found.push(format!("{place}: {what}"));
            for (at, marker) in line.match_indices("cargo xtask ") {
                let rest = line.get(at + marker.len()..).unwrap_or_default();
                let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                if !word.is_empty() && !tasks.contains(&word.as_str()) {
                    complain(format!("there is no `cargo xtask {word}`"));
                }
            }
            let folder = root().join(&page.path);
            for link in links(line) {
                let file = link.split('#').next().unwrap_or_default();
                if !file.is_empty() && folder.parent().is_some_and(|f| !f.join(file).exists()) {
                    complain(format!("the link `{link}` leads nowhere"));
                }
            }
            for code in spans(line) {
                let exists = |base: &Path| base.join(code).exists();
                let beside = folder.parent().is_some_and(exists);
                if is_path(code) && !beside && !["", "crates"].iter().any(|base| exists(&root().join(base))) {
                    complain(format!("there is no `{code}`, neither here nor below crates/"));
                }
                if let Some((of, name)) = method(code)
                    && !tree.rust.iter().any(|file| file.text.contains(of) && file.text.contains(&format!("fn {name}")))
                {
                    complain(format!("there is no function `{code}`"));
                }
            }
            if page.path != VERBS {
                unknown_words(line, verbs).into_iter().for_each(complain);
            }
        }
    }
    found
}

/// What a line tells the reader to type that `headwater` does not know.
pub(super) fn unknown_words(line: &str, verbs: &str) -> Vec<String> {
    let typed = spans(line).chain([line.trim().trim_start_matches("$ ")]);
    let mut found = Vec::new();
    for command in typed.filter_map(|code| code.strip_prefix("headwater ")) {
        let mut section = None;
        let mut name = "headwater".to_owned();
        for word in command.split_whitespace() {
            let deeper = format!("\n## `{name} {word}`\n");
            if let Some(at) = verbs.find(&deeper) {
                (section, name) = (verbs.get(at + 1..), format!("{name} {word}"));
            } else {
                break;
            }
        }
        // Without a verb it is a sentence about the program.
        let Some(section) = section else { continue };
        let section = section.split("\n## ").next().unwrap_or_default();
        let shared = verbs.split("\n## ").nth(1).unwrap_or_default();
        // What is behind a pipe or a comment belongs to something else.
        let own = command.split(['|', '#', '>', '<', '&']).next().unwrap_or_default();
        for flag in own.split_whitespace().filter(|word| word.starts_with("--")) {
            let flag: String = flag.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            let known = [section, shared].iter().any(|text| {
                text.match_indices(&flag).any(|(at, _)| {
                    !text
                        .get(at + flag.len()..)
                        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-'))
                })
            });
            if !known && flag != "--help" && flag != "--version" {
                found.push(format!("`{name}` has no `{flag}`"));
            }
        }
    }
    found
}

/// What stands between backticks.
fn spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a word can only be a file or folder of this tree.
fn is_path(code: &str) -> bool {
    let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_'));
    let ends = ["/", ".rs", ".md", ".toml", ".yaml"].iter().any(|end| code.ends_with(end));
    plain && ends && code.trim_end_matches('/').contains('/') && !code.starts_with(['/', '.'])
}

/// `Type::function`, where both are ours by their form.
fn method(code: &str) -> Option<(&str, &str)> {
    let (of, name) = code.split_once("::")?;
    let of_form = of.starts_with(|c: char| c.is_ascii_uppercase()) && of.chars().all(|c| c.is_ascii_alphanumeric());
    let name_form = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    (of_form && name_form).then_some((of, name))
}

/// Relative link targets of a line: `[text](target)`.
pub(super) fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| {
        let target = line.get(at + 2..)?.split(')').next()?;
        let outside = target.contains("://") || target.starts_with("mailto:") || target.contains(' ');
        (!outside).then_some(target)
    })
}
