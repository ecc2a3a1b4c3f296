//! The command line: one file for each verb.
//!
//! Data goes to stdout, everything else to stderr. Exit codes are in [`AFTER`], which `--help` shows.

pub mod apply;
pub mod check;
pub mod completions;
pub mod delete;
pub mod describe;
pub mod diff;
pub mod doctor;
pub mod execution;
pub mod explain;
pub mod files;
pub mod get;
pub mod group;
pub mod produce;
pub mod query;
pub mod rebuild;
pub mod reconcile;
pub mod replay;
pub mod run;
pub mod schema;
pub mod solution;
pub mod sql;
pub mod start;
pub mod table;
pub mod tail;
pub mod top;
pub mod up;
pub mod words;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use headwater_base::Problem;

use crate::client::Client;
use crate::config::{FILE, FileConfig};
use crate::output;
use crate::ports;
use crate::problems::Problems;

/// What a verb comes to.
pub type Done = Result<ExitCode, Problems>;

/// What stands below the help of the program.
const AFTER: &str = "\
Exit codes: 0 done; 1 failed, or `diff` and `reconcile` found differences; 2 used wrongly.
Data goes to standard output, everything else to standard error; `headwater explain CODE` explains an error.
Settings come from flags, then HEADWATER_* variables, then `headwater.yaml` of the working folder.";

/// Codes of words, flags and variables that make no command together, which the grammar alone does not see.
const MISUSE: [&str; 5] = ["HW-CLI-010", "HW-CLI-023", "HW-CLI-024", "HW-CLI-025", "HW-CLI-026"];

/// An event-driven data platform in one binary: a durable event log with the Kafka protocol, pipelines, tables.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, max_term_width = 100, arg_required_else_help = true, after_help = AFTER)]
pub struct Cli {
    /// The node to talk to [default: http://127.0.0.1:8080]
    #[arg(long, global = true, env = "HEADWATER_SERVER", value_name = "URL", help_heading = "Global options")]
    #[arg(hide_env_values = true)]
    server: Option<String>,
    /// Added to the node's usual ports, to run several nodes on a machine
    #[arg(long, global = true, env = "HEADWATER_PORT_OFFSET", value_name = "N", help_heading = "Global options")]
    #[arg(hide_env_values = true)]
    port_offset: Option<u16>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start a node
    Up(up::Args),
    /// Create and change resources from files
    Apply(apply::Args),
    /// Show what `apply` would change; exit code 1 when there is something
    Diff(diff::Args),
    /// List resources, or show some
    Get(get::Args),
    /// Show resources with status, partitions and the last changes
    Describe(describe::Args),
    /// Delete resources with what they own
    Delete(delete::Args),
    /// Check files without a node: YAML, programs, wiring
    Check(check::Args),
    /// Start an execution of a workflow, or make a report or schedule due now
    Start(start::Args),
    /// Show what happened in an execution
    History(execution::Args),
    /// End an execution as aborted, a replay early, or a query
    Stop(execution::StopArgs),
    /// Take up an execution that did not succeed
    Redrive(execution::Args),
    /// Explain a kind, a key or an error code
    Explain(explain::Args),
    /// Send events, one JSON object on each line of standard input
    Produce(produce::Args),
    /// Read and write documents of tables
    Table(table::Args),
    /// Show a stream's events
    Tail(tail::Args),
    /// Ask streams, tables and datasets
    Sql(sql::Args),
    /// Give the events of an archive out again
    Replay(replay::Args),
    /// Set where a consumer group reads on
    Reset(group::Args),
    /// Show how fast pipelines go and how far behind they are
    Top(top::Args),
    /// Run a pipeline over a file without a node
    Run(run::Args),
    /// Solutions that are shipped in this binary
    Solution(solution::Args),
    /// Compare a pipeline's results with a recomputation, and repair them
    Reconcile(reconcile::Args),
    /// Build derived views again from the log
    Rebuild(rebuild::Args),
    /// Check the data folder, the disk, ports and the node
    Doctor(doctor::Args),
    /// Print a kind's JSON Schema, for editors
    Schema(schema::Args),
    /// Print completions for a shell
    #[command(alias = "completion")]
    Completions(completions::Args),
}

/// What verbs share.
#[derive(Debug)]
pub struct Context {
    /// Given by flag or environment.
    server: Option<String>,
    /// Given by flag or environment.
    port_offset: Option<u16>,
    /// `headwater.yaml` of the working folder.
    pub file: FileConfig,
}

impl Context {
    /// A client of the node that flag, environment or file name.
    ///
    /// # Errors
    /// `HW-CLI-004` for no URL.
    pub fn client(&self) -> Result<Client, Problem> {
        let local = || format!("http://127.0.0.1:{}", ports::HTTP.saturating_add(self.port_offset()));
        // An offset that was given is nearer than a server in the file.
        let of_file = self.file.server.clone().filter(|_| self.port_offset.is_none());
        Client::new(&self.server.clone().or(of_file).unwrap_or_else(local))
    }

    /// What is added to the usual ports.
    pub fn port_offset(&self) -> u16 {
        self.port_offset.or(self.file.port_offset).unwrap_or(0)
    }
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = FileConfig::load(Path::new(FILE))
        .and_then(|file| run(cli.verb, &Context { server: cli.server, port_offset: cli.port_offset, file }));
    match done {
        Ok(code) => code,
        Err(problems) => {
            output::problems(&problems);
            if problems.0.iter().all(|problem| MISUSE.contains(&problem.code.as_str())) {
                return ExitCode::from(2);
            }
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb, context: &Context) -> Done {
    match verb {
        Verb::Up(args) => up::run(args, context),
        Verb::Apply(args) => wait(apply::run(args, context)),
        Verb::Diff(args) => wait(diff::run(args, context)),
        Verb::Get(args) => wait(get::run(args, context)),
        Verb::Describe(args) => wait(describe::run(args, context)),
        Verb::Delete(args) => wait(delete::run(args, context)),
        Verb::Check(args) => check::run(&args),
        Verb::Start(args) => wait(start::run(args, context)),
        Verb::History(args) => wait(execution::history(args, context)),
        Verb::Stop(args) => wait(execution::stop(args, context)),
        Verb::Redrive(args) => wait(execution::redrive(args, context)),
        Verb::Explain(args) => explain::run(&args),
        Verb::Produce(args) => wait(produce::run(args, context)),
        Verb::Table(args) => wait(table::run(args, context)),
        Verb::Tail(args) => wait(tail::run(args, context)),
        Verb::Sql(args) => wait(sql::run(args, context)),
        Verb::Replay(args) => wait(replay::run(args, context)),
        Verb::Reset(args) => wait(group::reset(args, context)),
        Verb::Top(args) => wait(top::run(args, context)),
        Verb::Run(args) => run::run(&args),
        Verb::Solution(args) => wait(solution::run(args, context)),
        Verb::Reconcile(args) => wait(reconcile::run(args, context)),
        Verb::Rebuild(args) => rebuild::run(args, context),
        Verb::Doctor(args) => wait(doctor::run(args, context)),
        Verb::Schema(args) => schema::run(&args),
        Verb::Completions(args) => completions::run(&args),
    }
}

/// Runs a client's work on one thread: it waits most of the time, and starts fast.
///
/// # Errors
/// What the work says, and `HW-CLI-008` when the system gives no runtime.
pub fn wait(work: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Problem::new("HW-CLI-008", "the system refuses what the program needs to run").because(error)
    })?;
    runtime.block_on(work)
}
