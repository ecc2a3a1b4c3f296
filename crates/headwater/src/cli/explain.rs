//! `headwater explain`: what a kind is, its keys at any depth, an example; or what an error code means.

use std::process::ExitCode;

use headwater_base::{Problem, closest};
use include_dir::{Dir, include_dir};

use super::Done;
use crate::node::registry;
use crate::outline::{Key, Outline, Place};
use crate::output;
use crate::problems::Problems;

/// The page of every error code.
static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs/errors");

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A kind, a key of its spec such as `pipeline.steps.lookup`, or an error code; without it, all kinds are listed
    #[arg(value_name = "KIND[.KEY]|CODE")]
    what: Option<String>,
}

/// Explains a kind, a key or a code.
///
/// # Errors
/// `HW-KERNEL-006` for no kind, `HW-CLI-015` for no key, `HW-CLI-016` for no code.
pub fn run(args: &Args) -> Done {
    let registry = registry();
    let Some(word) = &args.what else {
        for kind in registry.kinds() {
            output::line(format!("{:<10} {:<12} {:<6} {}", kind.name, kind.plural, kind.short.join(","), kind.doc))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    if word.to_uppercase().starts_with("HW-") {
        output::line(page(&word.to_uppercase())?.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut steps = word.split('.');
    let kind = registry.find(steps.next().unwrap_or_default())?;
    let steps: Vec<&str> = steps.skip_while(|step| *step == "spec").collect();
    let schema = (kind.schema)();
    let place = Outline::new(&schema).find(&steps)?.place();
    if steps.is_empty() {
        output::line(format!("{} ({})\n{}\n\nKeys of `spec`:", kind.name, kind.plural, kind.doc))?;
        keys(&place.keys, "  ")?;
        output::line(format!("\nExample:\n{}", kind.example.trim_end()))?;
    } else {
        output::line(format!("{} {}: {}", kind.name, steps.join("."), place.is))?;
        below(&place)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn below(place: &Place<'_>) -> Result<(), Problem> {
    if !place.words.is_empty() {
        output::line(&place.words)?;
    }
    if !place.keys.is_empty() {
        output::line("\nKeys:")?;
        keys(&place.keys, "  ")?;
    }
    for form in &place.forms {
        output::line(format!("\n{}: {}", form.name, form.words))?;
        keys(&form.keys, "  ")?;
    }
    Ok(())
}

fn keys(keys: &[Key<'_>], indent: &str) -> Result<(), Problem> {
    let width = keys.iter().map(|key| key.name.len()).max().unwrap_or(0);
    for key in keys {
        let needed = if key.required { ", required" } else { "" };
        output::line(format!("{indent}{:<width$}  {} ({}{needed})", key.name, key.words, key.is))?;
    }
    Ok(())
}

/// The page of a code.
fn page(code: &str) -> Result<&'static str, Problems> {
    let name =
        |file: &include_dir::File<'static>| file.path().file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    if let Some(file) = PAGES.files().find(|file| name(file).as_deref() == Some(code)) {
        return Ok(file.contents_utf8().unwrap_or_default());
    }
    let codes: Vec<String> = PAGES.files().filter_map(name).collect();
    let problem = Problem::new("HW-CLI-016", format!("there is no error code `{}`", code.escape_debug()));
    Err(match closest(code, codes.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("a code is in the brackets of an error, as in `error[HW-KERNEL-007]`"),
    }
    .into())
}
