//! `headwater solution`: what is shipped in the binary: list it, apply it, run it over a file, feed it, test it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use headwater_base::{Problem, Span};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, Done, apply};
use crate::config::DATA;
use crate::output::{self, Column, Format};
use crate::problems::Problems;
use crate::solution::catalogue::Manner;
use crate::solution::package::{self, Settings};
use crate::solution::{live, node, run as over_file, trial};

/// Flags of `solution`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the solutions of this binary
    List {
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
        output: Format,
    },
    /// Show a solution's README
    Show {
        /// The solution
        name: String,
    },
    /// Apply a solution's resources to a node
    Apply {
        /// The solution
        name: String,
        /// Folder for its files and secrets [default: the node's data folder]
        #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER")]
        data: Option<PathBuf>,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Run a solution's pipelines over a file on a node of their own
    Run {
        /// The solution
        name: String,
        /// The file, such as a web server's access log
        #[arg(long, value_name = "FILE")]
        input: PathBuf,
        /// Print the figures as JSON
        #[arg(long)]
        json: bool,
    },
    /// Feed a running node with the solution's generated traffic
    Feed(Feed),
    /// Compare a solution's results with the truth behind generated traffic
    Test {
        /// The solution
        name: String,
        /// Seed of the traffic
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Records to send
        #[arg(long, default_value_t = 60_000)]
        records: u64,
        /// How often the node is killed meanwhile
        #[arg(long, default_value_t = 0)]
        kills: u32,
        /// Print the verdict as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Feed {
    /// The solution
    name: String,
    /// Seed of the traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events each second
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// For how long
    #[arg(long = "for", value_name = "SPAN", default_value = "1m", value_parser = span)]
    time: Span,
    /// Users that are imported into the user table first
    #[arg(long, default_value_t = 0)]
    users: u32,
    /// Port offset of the node
    #[arg(long, env = "HEADWATER_PORT_OFFSET", default_value_t = 0, value_name = "N")]
    port_offset: u16,
    /// Port of the catalogue stand-in; 0 takes any
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    catalogue_port: u16,
    /// Folder for the solution's files and secrets [default: headwater-data]
    #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Does what the verb says.
///
/// # Errors
/// `HW-CLI-201` for no solution, and what the node says.
pub async fn run(args: Args, context: &Context) -> Done {
    match args.verb {
        Verb::List { output } => list(output),
        Verb::Show { name } => {
            output::line(package::find(&name)?.text("README.md").unwrap_or_default().trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Apply { name, data, dry_run } => apply(&name, folder(data, context)?, dry_run, context).await,
        Verb::Run { name, input, json } => {
            let package = package::find(&name)?;
            show(&over_file::access_log(&package, &input).await?, json)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Feed(feed) => self::feed(feed, context).await,
        Verb::Test { name, seed, records, kills, json } => {
            let package = package::find(&name)?;
            let verdict = trial::run(&package, trial::Options { seed, records, kills }).await?;
            show(&verdict, json)?;
            for failure in &verdict.failures {
                output::note(format!("failed: {failure}"));
            }
            Ok(if verdict.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn list(format: Format) -> Done {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    const COLUMNS: &[Column] = &[
        Column::new("NAME", |row| row["name"].as_str().unwrap_or_default().to_owned()),
        Column::new("TITLE", |row| row["title"].as_str().unwrap_or_default().to_owned()),
        Column::wide("ABOUT", |row| row["about"].as_str().unwrap_or_default().to_owned()),
    ];
    let mut rows: Vec<Value> =
        package::all()?.iter().map(|p| json!({ "name": p.name, "title": p.title, "about": p.about })).collect();
    rows.sort_by_key(|row| text(row, "name"));
    output::print(&rows, COLUMNS, format, false)?;
    Ok(ExitCode::SUCCESS)
}

async fn apply(name: &str, folder: PathBuf, dry_run: bool, context: &Context) -> Done {
    let files = package::find(name)?.resources(&Settings { folder, values: Default::default() })?;
    let body = json!({ "files": files }).to_string().into_bytes();
    let query: &[(&str, &str)] = if dry_run { &[("dry-run", "true")] } else { &[] };
    let report =
        context.client()?.json(Method::POST, &["v1", "apply"], query, Some(("application/json", body))).await?;
    for applied in report["resources"].as_array().into_iter().flatten() {
        let suffix = if dry_run { " (dry run)" } else { "" };
        output::line(format!(
            "{} {}{suffix}",
            apply::object(applied),
            applied["outcome"].as_str().unwrap_or_default()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn feed(feed: Feed, context: &Context) -> Done {
    let package = package::find(&feed.name)?;
    let options = live::Options {
        seed: feed.seed,
        rate: feed.rate,
        time: Duration::from_millis(feed.time.millis()),
        users: feed.users,
        catalogue_port: feed.catalogue_port,
        manner: Manner {
            latency: Duration::from_millis(50),
            spread: Duration::from_millis(20),
            failures_per_mille: 20,
        },
        folder: folder(feed.data, context)?,
    };
    let node = node::Node::local(feed.port_offset)?;
    let seen = live::run(&package, &node, &options, |moment| {
        if !feed.json {
            output::note(format!("enriched {}   sessions {}   bans {}", moment.enriched, moment.sessions, moment.bans));
        }
    });
    show(&seen.await?, feed.json)?;
    Ok(ExitCode::SUCCESS)
}

/// The data folder as an absolute path: the node has another working folder.
fn folder(data: Option<PathBuf>, context: &Context) -> Result<PathBuf, Problem> {
    let data = data.or_else(|| context.file.data.clone()).unwrap_or_else(|| PathBuf::from(DATA));
    std::path::absolute(&data).map_err(|error| {
        Problem::new("HW-CLI-002", format!("cannot use the folder `{}`", data.display())).because(error)
    })
}

/// Figures as JSON, or one on each line.
fn show(figures: &impl Serialize, as_json: bool) -> Result<(), Problems> {
    let value = serde_json::to_value(figures).unwrap_or_default();
    if as_json {
        return Ok(output::line(value)?);
    }
    for (name, figure) in value.as_object().into_iter().flatten() {
        let figure = figure.as_str().map_or_else(|| figure.to_string(), str::to_owned);
        output::line(format!("{name:<18} {figure}"))?;
    }
    Ok(())
}

fn span(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned()).map_err(|problem| problem.to_string())
}
