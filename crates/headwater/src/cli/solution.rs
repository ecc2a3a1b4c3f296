//! `headwater solution`: what is shipped in the binary: list it, show it, apply it, and what else a solution can do.

mod drivers;
mod feed;
mod import;
mod over;
mod report;
mod test;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use headwater_base::Problem;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, Done, apply, delete, diff};
use crate::config::DATA;
use crate::node::registry;
use crate::output::{self, Column, Format};
use crate::problems::Problems;
use crate::solution::package::{self, Settings};

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
        #[command(flatten)]
        chosen: Chosen,
        /// Say what would happen and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Let a pipeline start with an empty state where its new spec does not fit the old one
        #[arg(long)]
        reset_state: bool,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
        output: Format,
    },
    /// Delete a solution's resources from a node, with what they own and the streams that the node made for them
    Delete {
        /// The solution
        name: String,
        /// Delete resources that name them as well
        #[arg(long)]
        cascade: bool,
        /// Say what would go and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Show what `apply` would change
    Diff(Chosen),
    /// Run a solution's pipelines over a file on a node of their own
    Run(over::Args),
    /// Feed a running node with the solution's generated traffic
    Feed(feed::Args),
    /// Import records from outside into the solution's tables
    Import(import::Args),
    /// Report on what a solution has gathered
    Report(report::Args),
    /// Compare a solution's results with what is known by another route
    Test(test::Args),
}

/// A solution, and what is different about it here.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// The solution
    name: String,
    /// Folder for its files and secrets [default: the node's data folder]
    #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Another value for one of its parameters, such as `catalogue=http://10.0.0.9:8000`
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    values: Vec<(String, String)>,
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
        Verb::Apply { chosen, dry_run, reset_state, output } => {
            let flags = [("dry-run", dry_run), ("reset-state", reset_state)];
            let query: Vec<(&str, &str)> =
                flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "true")).collect();
            let body = Some(("application/json", chosen.body(context)?));
            let report = context.client()?.json(Method::POST, &["v1", "apply"], &query, body).await?;
            apply::show(&report, dry_run, output)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Delete { name, cascade, dry_run } => {
            let registry = registry();
            let mut targets = Vec::new();
            for id in package::find(&name)?.shown()?.resources {
                let (kind, name) = id.split_once('/').unwrap_or(("", &id));
                targets.push(delete::Target::any((registry.find(kind)?.plural.to_owned(), name.to_owned())));
            }
            // Some may be gone already, or never have been applied.
            let how = delete::How { cascade, force: false, made: true, ignore_not_found: true, dry_run };
            delete::all(context.client()?, targets, how).await
        }
        Verb::Diff(chosen) => diff::against_node(chosen.body(context)?, context).await,
        Verb::Run(args) => drivers::find(&args.name, "run", |driver| driver.run)?(args, context).await,
        Verb::Feed(args) => drivers::find(&args.name, "feed", |driver| driver.feed)?(args, context).await,
        Verb::Import(args) => drivers::find(&args.name, "import", |driver| driver.import)?(args, context).await,
        Verb::Report(args) => drivers::find(&args.name, "report", |driver| driver.report)?(args, context).await,
        Verb::Test(args) => drivers::find(&args.name, "test", |driver| driver.test)?(args, context).await,
    }
}

fn list(format: Format) -> Done {
    const COLUMNS: &[Column] = &[
        Column::new("NAME", |row| row["name"].as_str().unwrap_or_default().to_owned()),
        Column::new("TITLE", |row| row["title"].as_str().unwrap_or_default().to_owned()),
        Column::wide("ABOUT", |row| row["about"].as_str().unwrap_or_default().to_owned()),
    ];
    let row = |(name, package): (String, Result<package::Package, Problem>)| match package {
        Ok(package) => json!({ "name": name, "title": package.title, "about": package.about }),
        Err(problem) => json!({ "name": name, "title": problem.title, "about": problem.causes.join("; ") }),
    };
    output::print(&package::all().into_iter().map(row).collect::<Vec<Value>>(), COLUMNS, format, false)?;
    Ok(ExitCode::SUCCESS)
}

impl Chosen {
    /// The body of a request that applies the solution.
    fn body(self, context: &Context) -> Result<Vec<u8>, Problem> {
        let settings = Settings { folder: folder(self.data, context)?, values: BTreeMap::from_iter(self.values) };
        let files = package::find(&self.name)?.resources(&settings)?;
        Ok(json!({ "files": files }).to_string().into_bytes())
    }
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

/// Progress on stderr, and only on a terminal.
fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    match ProgressStyle::with_template("{msg:<10} {bar:40} {human_pos}/{human_len} {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
