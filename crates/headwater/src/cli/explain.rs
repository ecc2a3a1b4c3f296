//! `headwater explain`: what a kind is, its keys at any depth, an example; what an error code means; or why an event
//! matches a pattern or not.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use headwater_base::{Problem, closest};
use headwater_kernel::Kind;
use headwater_pattern::{BranchReport, Pattern, Verdict, explain};
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
    /// A kind, a key of its spec such as `pipeline.steps.lookup`, an error code, or `match`; without it, all kinds are
    /// listed
    #[arg(value_name = "KIND[.KEY]|CODE|match")]
    what: Option<String>,
    /// For `match`: the file of an event pattern; `-` reads standard input
    #[arg(long, value_name = "FILE", requires = "event")]
    pattern: Option<PathBuf>,
    /// For `match`: the file of an event; `-` reads standard input
    #[arg(long, value_name = "FILE", requires = "pattern")]
    event: Option<PathBuf>,
}

/// Explains a kind, a key or a code.
///
/// # Errors
/// `HW-KERNEL-006` for no kind, `HW-CLI-015` for no key, `HW-CLI-016` for no code.
pub fn run(args: &Args) -> Done {
    let registry = registry();
    let Some(word) = &args.what else {
        let titles = ["KIND", "LISTED AS", "SHORT", "WHAT IT IS"].map(str::to_owned);
        let row =
            |kind: &Kind| vec![kind.name.to_owned(), kind.plural.to_owned(), kind.short.join(","), kind.doc.to_owned()];
        output::grid(&titles, &registry.kinds().iter().map(row).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    };
    match (word.as_str(), &args.pattern, &args.event) {
        ("match", Some(pattern), Some(event)) => return matching(pattern, event),
        ("match", ..) => {
            return Err(Problem::new("HW-CLI-010", "`explain match` needs an event pattern and an event")
                .help("`headwater explain match --pattern FILE --event FILE`")
                .into());
        }
        (_, None, None) => {}
        (other, ..) => {
            return Err(Problem::new("HW-CLI-010", format!("`explain {other}` takes no event pattern"))
                .help("`headwater explain match --pattern FILE --event FILE`")
                .into());
        }
    }
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

/// Why an event matches a pattern or not, field by field. The exit code says whether it does.
fn matching(pattern: &Path, event: &Path) -> Done {
    let pattern = Pattern::parse(&String::from_utf8_lossy(&file(pattern)?))
        .map_err(|problem| problem.at(pattern.display().to_string(), 0, 0))?;
    let explained =
        explain(&pattern, &file(event)?).map_err(|problem| problem.at(event.display().to_string(), 0, 0))?;
    output::line(if explained.matched { "matches" } else { "does not match" })?;
    let several = explained.branches.len() > 1;
    for (number, branch) in (1..).zip(&explained.branches) {
        if several {
            let answer = if branch.matched { "matches" } else { "does not match" };
            output::line(format!("\nway {number} through `$or` {answer}"))?;
        }
        fields(branch)?;
    }
    Ok(if explained.matched { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fields(branch: &BranchReport) -> Result<(), Problem> {
    let width = branch.fields.iter().map(|field| field.path.chars().count()).max().unwrap_or(0);
    for field in &branch.fields {
        let wanted = field.wanted.join(" or ");
        let found = match field.found_count.saturating_sub(field.found.len()) {
            0 => field.found.join(", "),
            more => format!("{} and {more} more", field.found.join(", ")),
        };
        let (sign, words) = match &field.verdict {
            Verdict::Matched { by, value: Some(value) } => ("yes", format!("{value} matches {by}")),
            Verdict::Matched { by, value: None } => ("yes", format!("missing, as {by} wants it")),
            Verdict::Missing => ("no", format!("missing; wanted is {wanted}")),
            Verdict::Unwanted => ("no", format!("is {found}, and must not be there")),
            Verdict::Different { hint: None } => ("no", format!("is {found}; wanted is {wanted}")),
            Verdict::Different { hint: Some(hint) } => ("no", format!("is {found}; wanted is {wanted} ({hint})")),
        };
        output::line(format!("  {sign:<3}  {:<width$}  {words}", field.path))?;
    }
    if branch.different_elements {
        output::line("  no   each field matches, but not within one element of the array")?;
    }
    Ok(())
}

fn file(path: &Path) -> Result<Vec<u8>, Problem> {
    let read = match path.as_os_str() == "-" {
        true => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut text).map(|_| text)
        }
        false => std::fs::read(path),
    };
    read.map_err(|error| {
        Problem::new("HW-CLI-002", format!("the file `{}` cannot be read", path.display())).because(error)
    })
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
