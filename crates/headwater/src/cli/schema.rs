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
    let schema = match &args.kind {
        Some(word) => registry.resource_schema(registry.find(word)?),
        None => {
            json!({ "oneOf": registry.kinds().iter().map(|kind| registry.resource_schema(kind)).collect::<Vec<_>>() })
        }
    };
    output::line(format!("{schema:#}"))?;
    Ok(ExitCode::SUCCESS)
}
