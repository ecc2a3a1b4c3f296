//! `headwater solution feed`: the solution's generated traffic, or its sample, into a running node.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use headwater_base::{Micros, Span};
use indicatif::ProgressBar;

use crate::cli::{Context, Done};
use crate::output;
use crate::solution::clickstream::catalogue::Manner;
use crate::solution::clickstream::live;
use crate::solution::sales_insights::{generator, replay, sale};
use crate::solution::workflow_cost::{sample, tables};
use crate::solution::{node, package};

/// Flags of `solution feed`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The solution
    pub(super) name: String,
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
    /// Port of the catalogue stand-in; 0 takes any
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    catalogue_port: u16,
    /// How long the catalogue takes to answer
    #[arg(long, value_name = "SPAN", default_value = "50ms", value_parser = span)]
    catalogue_latency: Span,
    /// How much shorter or longer that may be
    #[arg(long, value_name = "SPAN", default_value = "20ms", value_parser = span)]
    catalogue_spread: Span,
    /// How many of 1,000 requests the catalogue fails
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    catalogue_failures: u64,
    /// Send the sales of this CSV file instead of generated ones (sales-insights)
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Folder for the solution's files and secrets [default: headwater-data]
    #[arg(long, env = "HEADWATER_DATA", value_name = "FOLDER", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Sends the sales of a file, or eleven generated weeks that end now.
///
/// # Errors
/// `HW-CLI-206` when the file cannot be read, and what the node has to say.
pub(super) async fn sales(args: Args, context: &Context) -> Done {
    let sales = match &args.input {
        Some(path) => sale::read(path)?,
        None => generator::until(args.seed, Micros::from_millis(node::wall_ms())),
    };
    let node = node::Node::local(context.port_offset())?;
    let bar = super::bar(sales.len() as u64);
    let sent = replay::send(&node, &sales, |sent| bar.set_position(sent)).await;
    bar.finish_and_clear();
    sent?;
    super::show(&serde_json::json!({ "sales": sales.len() }), args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the sample: its discounts and prices, then its runs, each of which is priced once its launch is there.
///
/// # Errors
/// What the node has to say.
pub(super) async fn runs(args: Args, context: &Context) -> Done {
    let package = package::find(&args.name)?;
    let node = context.client()?;
    let (prices, runs) = (sample::prices(&package)?, sample::runs(&package)?);
    let series = prices.len();
    tables::replace_discounts(&node, sample::discounts(&package)?).await?;
    tables::merge_prices(&node, prices).await?;
    let bar = super::bar(runs.len() as u64);
    for run in &runs {
        tables::launch(&node, run).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    super::show(&serde_json::json!({ "prices": series, "runs": runs.len() }), args.json)?;
    Ok(ExitCode::SUCCESS)
}

/// Feeds and measures; Ctrl-C ends it early and without figures.
///
/// # Errors
/// What the node has to say.
pub(super) async fn traffic(args: Args, context: &Context) -> Done {
    let package = package::find(&args.name)?;
    let options = live::Options {
        seed: args.seed,
        rate: args.rate,
        time: Duration::from_millis(args.time.millis()),
        users: args.users,
        catalogue_port: args.catalogue_port,
        manner: Manner {
            latency: Duration::from_millis(args.catalogue_latency.millis()),
            spread: Duration::from_millis(args.catalogue_spread.millis()),
            failures_per_mille: args.catalogue_failures,
        },
        folder: super::folder(args.data, context)?,
    };
    let node = node::Node::local(context.port_offset())?;
    let line = ProgressBar::new_spinner();
    let feeding = live::run(&package, &node, &options, |moment| {
        let now = format!("enriched {}   sessions {}   bans {}", moment.enriched, moment.sessions, moment.bans);
        // One line that changes on a terminal, a line each second elsewhere.
        if line.is_hidden() && !args.json { output::note(now) } else { line.set_message(now) }
    });
    tokio::select! {
        seen = feeding => {
            line.finish_and_clear();
            super::show(&seen?, args.json)?;
        }
        _ = tokio::signal::ctrl_c() => {
            line.abandon();
            // As a shell tells of what a signal ended: a script must not take it for a whole feed.
            return Ok(ExitCode::from(130));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn span(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned()).map_err(|problem| problem.to_string())
}
