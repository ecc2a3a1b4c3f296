//! `headwater explain`: what a kind is, its keys, and an example.

use std::process::ExitCode;

use serde_json::Value;

use super::Done;
use crate::node::registry;
use crate::output;

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind; without it, all kinds are listed
    kind: Option<String>,
}

/// Explains a kind.
///
/// # Errors
/// `HW-KERNEL-006` for no kind.
pub fn run(args: &Args) -> Done {
    let registry = registry();
    let Some(word) = &args.kind else {
        for kind in registry.kinds() {
            output::line(format!("{:<10} {:<12} {}", kind.name, kind.plural, kind.doc))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let kind = registry.find(word)?;
    output::line(format!("{} ({})\n{}\n\nKeys of `spec`:", kind.name, kind.plural, kind.doc))?;
    let schema = (kind.schema)();
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let needed = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let words = key["description"].as_str().unwrap_or_default().replace('\n', " ");
        output::line(format!("  {name}{needed}: {words}"))?;
    }
    output::line(format!("\nExample:\n{}", kind.example.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}
