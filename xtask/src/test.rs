//! `cargo xtask test`: everything a change must pass, in the order in which it fails fastest.
//!
//! Cargo's own closing lines go to standard output as they are; ours go to standard error.

use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::console;
use crate::process::{cargo, linting_cargo, run};
use crate::setup::{self, Needs};
use crate::tidy;

/// The parts, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// rustfmt, check only.
    Fmt,
    /// The tree's own rules.
    Tidy,
    /// The web console: built, Biome, types, tests without a browser.
    Console,
    /// Everything built by clippy, warnings are errors.
    Clippy,
    /// All tests of the workspace.
    Tests,
    /// The web console in a real browser against a real node.
    Browser,
}

/// Which parts to run.
#[derive(Args)]
pub struct Options {
    /// Parts to run; all of them by default
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Go on after a part that failed, and fail at the end
    #[arg(long)]
    keep_going: bool,
}

/// Runs the parts.
///
/// # Errors
/// When one fails.
pub fn execute(options: &Options) -> Result<()> {
    let parts = if options.parts.is_empty() { Part::value_variants() } else { &options.parts };
    if parts.contains(&Part::Tests) {
        setup::prepare(Needs::DataAndClients)?;
    } else if parts.contains(&Part::Browser) {
        setup::prepare(Needs::Browser)?;
    }
    let mut failed = Vec::new();
    for part in parts {
        let start = Instant::now();
        let outcome = run_part(*part);
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => eprintln!("xtask test: {part:?} passed in {seconds:.1} s"),
            Err(error) if options.keep_going => {
                eprintln!("xtask test: {part:?} failed after {seconds:.1} s: {error:#}");
                failed.push(*part);
            }
            Err(error) => return Err(error),
        }
    }
    if !failed.is_empty() {
        bail!("failed: {failed:?}");
    }
    Ok(())
}

fn run_part(part: Part) -> Result<()> {
    match part {
        Part::Fmt => run(cargo().args(["fmt", "--all", "--check"])),
        Part::Tidy => tidy::execute(),
        // Before anything is compiled: a node holds the built console.
        Part::Console => console::build().and_then(|()| console::check()),
        Part::Clippy => run(linting_cargo().args(["build", "--workspace", "--all-targets", "--locked", "--quiet"])),
        Part::Tests => run(linting_cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"])),
        Part::Browser => console::browse(),
    }
}
