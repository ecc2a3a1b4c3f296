//! The pages of docs/reference: written from the code by `cargo xtask docs`, held to it by these tests.
//!
//! What it is NOT: part of the program. Nothing on these pages is written by hand; to change them, change the words
//! in the code.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory;
use expect_test::expect_file;
use headwater_api::http::metrics::names;
use headwater_api::http::routes;

use crate::cli::Cli;
use crate::config::{FILE, FileConfig};
use crate::node::registry;
use crate::outline::{Key, Outline};

const WRITTEN: &str = "Written by `cargo xtask docs`; do not edit.";

/// Text inside a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_command_line() {
    let mut page = format!("# Command line\n{WRITTEN}\n");
    let mut program = Cli::command();
    program.build();
    verb(&mut page, &program, "headwater");
    expect_file!["../../../docs/reference/cli.md"].assert_eq(&page);
}

fn verb(page: &mut String, command: &clap::Command, name: &str) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, "\n## `{name}`\n{about}.\n").unwrap();
    writeln!(page, "```text\n{}\n```", command.clone().render_usage()).unwrap();
    let global = |argument: &clap::Arg| argument.is_global_set();
    let top = command.get_name() == "headwater";
    let arguments: Vec<&clap::Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && argument.get_id() != "help" && argument.get_id() != "version")
        .filter(|argument| top || !global(argument))
        .collect();
    if !arguments.is_empty() {
        writeln!(page, "\n| argument | meaning |\n|---|---|").unwrap();
    }
    for argument in arguments {
        let mut words = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if argument.get_action().takes_values() && !values.is_empty() {
            write!(words, ": {}", values.join(", ")).unwrap();
        }
        if let Some(variable) = argument.get_env() {
            write!(words, "; also `{}`", variable.to_string_lossy()).unwrap();
        }
        let default: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if argument.get_action().takes_values() && !default.is_empty() {
            write!(words, "; default `{}`", default.join(" ")).unwrap();
        }
        let shown = match (argument.get_short(), argument.is_positional()) {
            (Some(short), _) => format!("-{short}, {argument}"),
            // In brackets on a terminal because it is optional.
            (None, true) => {
                argument.to_string().trim_start_matches('[').replacen("]", "", usize::from(!argument.is_required_set()))
            }
            (None, false) => argument.to_string(),
        };
        writeln!(page, "| `{}` | {} |", cell(&shown), cell(&words)).unwrap();
    }
    if let Some(after) = command.get_after_help() {
        writeln!(page, "\n{after}").unwrap();
    }
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        verb(page, inner, &format!("{name} {}", inner.get_name()));
    }
}

#[test]
fn the_kinds() {
    let mut page = format!("# Kinds of resources\n{WRITTEN} `headwater explain KIND.KEY` shows the same.\n");
    for kind in registry().kinds() {
        let short = kind.short.iter().map(|short| format!(", `{short}`")).collect::<String>();
        writeln!(page, "\n## {}\n{}\n\nOn the command line: `{}`{short}.", kind.name, kind.doc, kind.plural).unwrap();
        writeln!(page, "\n```yaml\n{}\n```", kind.example.trim_end()).unwrap();
        let schema = (kind.schema)();
        keys(&mut page, "spec", Outline::new(&schema), &[]);
    }
    expect_file!["../../../docs/reference/kinds.md"].assert_eq(&page);
}

/// The keys of a place, then those of the places below it. What stands within itself is shown once, in `above`.
fn keys(page: &mut String, path: &str, outline: Outline<'_>, above: &[Outline<'_>]) {
    if above.iter().any(|known| known.is_same(outline)) {
        return;
    }
    let above = [above, &[outline]].concat();
    let place = outline.place();
    if !place.keys.is_empty() {
        writeln!(page, "\n### `{path}`").unwrap();
        table(page, &place.keys);
        place.keys.iter().for_each(|key| keys(page, &format!("{path}.{}", key.name), key.value, &above));
    }
    for form in place.forms.iter().filter(|form| !form.keys.is_empty()) {
        writeln!(page, "\n### `{path}` of `type: {}`\n{}", form.name, form.words).unwrap();
        table(page, &form.keys);
        form.keys.iter().for_each(|key| keys(page, &format!("{path}.{}.{}", form.name, key.name), key.value, &above));
    }
}

fn table(page: &mut String, keys: &[Key<'_>]) {
    writeln!(page, "\n| key | is | meaning |\n|---|---|---|").unwrap();
    for key in keys {
        let required = if key.required { ", required" } else { "" };
        writeln!(page, "| `{}` | {}{required} | {} |", key.name, cell(&key.is), cell(&key.words)).unwrap();
    }
}

#[test]
fn the_settings() {
    let mut page = format!("# Settings\n{WRITTEN} These are the keys of `{FILE}` in the working folder.\n");
    page.push_str("A flag or a variable `HEADWATER_…` of [the command line](cli.md) comes before the file.\n");
    let schema = headwater_kernel::kind::schema::<FileConfig>();
    table(&mut page, &Outline::new(&schema).place().keys);
    expect_file!["../../../docs/reference/settings.md"].assert_eq(&page);
}

#[test]
fn the_addresses_of_http() {
    let mut page = format!("# HTTP\n{WRITTEN} A running node gives the same as OpenAPI 3.1: `GET /openapi.json`.\n");
    page.push_str("Every refusal is an RFC 9457 problem with a `code`; [errors.md](errors.md) lists them.\n");
    page.push_str("\n| request | meaning |\n|---|---|\n");
    for route in routes::all() {
        let query: String = route.query.iter().map(|(name, meaning)| format!(" `{name}`: {meaning}")).collect();
        writeln!(
            page,
            "| `{} {}` | {}{} |",
            route.method.to_uppercase(),
            route.path,
            cell(route.summary),
            cell(&query)
        )
        .unwrap();
    }
    expect_file!["../../../docs/reference/http.md"].assert_eq(&page);
}

#[test]
fn the_figures() {
    let mut page = format!("# Metrics\n{WRITTEN} `GET /metrics` gives them in Prometheus' text format.\n");
    page.push_str("\n| name | kind | meaning |\n|---|---|---|\n");
    for (name, words) in names::NAMES {
        writeln!(page, "| `{name}` | {} | {} |", names::kind(name), cell(words)).unwrap();
    }
    expect_file!["../../../docs/reference/metrics.md"].assert_eq(&page);
}

#[test]
fn the_error_codes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut page = format!("# Error codes\n{WRITTEN} `headwater explain CODE` shows a page.\n\n");
    for path in names {
        let text = std::fs::read_to_string(&path).unwrap();
        let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let (code, fact) = title.split_once(": ").unwrap_or((title, ""));
        writeln!(page, "- [{code}](../errors/{code}.md): {fact}").unwrap();
    }
    expect_file!["../../../docs/reference/errors.md"].assert_eq(&page);
}
