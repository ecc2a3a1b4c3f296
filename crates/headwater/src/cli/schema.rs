//! `headwater schema`: a kind's JSON Schema, for editors.

use std::process::ExitCode;

use serde_json::json;

use super::Done;
use crate::node::registry;
use crate::output;

/// Flags of `schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind; without it, one schema that takes every kind
    kind: Option<String>,
}

/// Prints a schema.
///
/// # Errors
/// `HW-KERNEL-006` for no kind.
pub fn run(args: &Args) -> Done {
    let registry = registry();
    let mut schema = match &args.kind {
        Some(word) => registry.resource_schema(registry.find(word)?),
        None => registry.resources_schema(),
    };
    // Editors take a schema that does not say its dialect for an older one, which knows no `$defs`.
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    }
    output::line(format!("{schema:#}"))?;
    Ok(ExitCode::SUCCESS)
}
