//! Tasks around the code: the demo, the tests, the rules of the tree, measurements, outside suites, crash tests.
//!
//! What it is NOT: part of the product. It builds the product, drives its real binary, and judges what it sees.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on its standard streams")]

mod process;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the Headwater tree
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run everything a change must pass: rustfmt, tidy, clippy, all tests
    Test(test::Options),
    /// Check the rules of the tree: layers, file lengths, error pages, links
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Test(options) => test::execute(&options),
        Task::Tidy => tidy::execute(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
