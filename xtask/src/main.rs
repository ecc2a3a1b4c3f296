//! Tasks around the code: the demo, the tests, the rules of the tree, measurements, outside suites, crash tests.
//!
//! What it is NOT: part of the product. It builds the product, drives its real binary, and judges what it sees.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on its standard streams")]

mod bench;
mod conformance;
mod console;
mod crash;
mod demo;
mod docs;
mod fuzz;
mod node;
mod notices;
#[path = "../../crates/headwater/src/ports.rs"]
mod ports;
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
    /// Build, start a node with every solution and clickstream under traffic, and show what is happening
    Demo(demo::Options),
    /// Run everything a change must pass: rustfmt, tidy, the console's checks, clippy, all tests, the browser
    Test(test::Options),
    /// Make this machine ready: Debian packages, data packages, outside clients
    Setup,
    /// Check the rules of the tree: layers, file lengths, error pages, links
    Tidy,
    /// Measure, with the machine's load and fsync time beside
    Bench(bench::Options),
    /// Run others' test suites against a node, or judge recorded behaviour of other systems
    Conformance(conformance::Options),
    /// Crash nodes and check that nothing is lost or doubled
    Crash(crash::Options),
    /// Feed hostile bytes to everything that parses bytes
    Fuzz(fuzz::Options),
    /// Write the pages of docs/reference anew, from the code
    Docs,
    /// Write THIRD-PARTY-NOTICES.md anew
    Notices,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Test(options) => test::execute(&options),
        Task::Setup => setup::prepare(setup::Needs::DataAndClients),
        Task::Tidy => tidy::execute(),
        Task::Demo(options) => demo::execute(&options),
        Task::Bench(options) => bench::execute(&options),
        Task::Conformance(options) => conformance::execute(&options),
        Task::Crash(options) => crash::execute(&options),
        Task::Fuzz(options) => fuzz::execute(&options),
        Task::Docs => docs::execute(),
        Task::Notices => notices::execute(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
