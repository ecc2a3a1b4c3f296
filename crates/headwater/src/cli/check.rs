//! `headwater check`: everything about files that can be said without a node: YAML, schemas, programs, wiring.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::{Limits, Problem};
use headwater_kernel::kernel::dangling;
use headwater_kernel::port::Context;
use headwater_kernel::{Draft, View};

use super::{Done, files};
use crate::node::registry;
use crate::output;
use crate::problems::Problems;

/// Flags of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, folders with everything below them, or `-`
    #[arg(required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
}

/// Checks files.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn run(args: &Args) -> Done {
    let drafts = read(&files::read(&args.files)?)?;
    let problems = problems(&drafts);
    if !problems.is_empty() {
        return Err(problems.into());
    }
    output::warn(&registry().advise(&drafts, &[]));
    output::note(match drafts.len() {
        0 => return Err(files::nothing().into()),
        1 => "1 resource is fine".to_owned(),
        count => format!("{count} resources are fine"),
    });
    Ok(ExitCode::SUCCESS)
}

/// Reads the resources of files.
///
/// # Errors
/// The problems of all files.
pub fn read(files: &[files::File]) -> Result<Vec<Draft>, Problems> {
    let registry = registry();
    let (mut drafts, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match registry.read(&file.name, file.text.as_bytes(), &Limits::default()) {
            Ok(more) => drafts.extend(more),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(drafts) } else { Err(problems.into()) }
}

/// What kinds say about drafts, and what drafts name that is nowhere.
pub fn problems(drafts: &[Draft]) -> Vec<Problem> {
    let registry = registry();
    let context = Context::without_node(std::env::current_dir().unwrap_or_default());
    let map: HashMap<String, Draft> = drafts.iter().map(|draft| (draft.id(), draft.clone())).collect();
    let view = View { registry: &registry, context: &context, drafts: &map, stored: &|_, _| None };
    let mut problems = Vec::new();
    for draft in drafts {
        if let Some(kind) = registry.kind(&draft.kind) {
            problems.append(&mut (kind.validate)(draft, &view));
        }
    }
    problems.extend(dangling(drafts, &view));
    problems
}
