//! `cargo xtask demo`: a node with the clickstream solution under traffic, to look at.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::console;
use crate::node::{self, Node};
use crate::process::{end_within, target};
use crate::setup::{self, Needs};

/// How long and how much.
#[derive(Args)]
pub struct Options {
    /// Stop after so many seconds; without it, Ctrl-C stops
    #[arg(long, value_name = "SECONDS")]
    exit_after: Option<u64>,
    /// Events each second
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Added to the ports 8080 (HTTP), 9092 (Kafka) and 4580 (catalogue)
    #[arg(long, default_value_t = 0)]
    port_offset: u16,
}

/// Runs the demo.
///
/// # Errors
/// When something does not start; a Ctrl-C is not an error.
pub fn execute(options: &Options) -> Result<()> {
    // Ctrl-C reaches the whole process group: the feed and the node end by themselves, and we stay to see them end.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _stay = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
    setup::prepare(Needs::Data)?;
    console::build()?;
    let binary = node::build("dev")?;
    let data: PathBuf = target().join("demo/data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    let (node, took) = Node::start(&binary, &data, Some(options.port_offset))?;
    println!("node        ready after {} ms, data in {}", took.as_millis(), data.display());
    println!("console     {}/console/", node.http());
    println!("HTTP        {0}   metrics {0}/metrics, API {0}/openapi.json", node.http());
    println!("Kafka       {}   kcat -b {0} -C -t clicks.enriched -o -5", node.kafka());
    println!("bans        {}/v1/tables/bans/documents", node.http());
    println!("features    {}/v1/features/user/u0000001", node.http());
    let seconds = options.exit_after.unwrap_or(24 * 3_600);
    let mut feed = Command::new(&binary);
    feed.args(["--port-offset", &options.port_offset.to_string()])
        .args(["solution", "feed", "clickstream", "--users", "100000"])
        .args(["--rate", &options.rate.to_string(), "--for", &format!("{seconds}s")])
        .args(["--catalogue-port", &(4580 + options.port_offset).to_string()])
        .env("HEADWATER_DATA", &data)
        .stdin(Stdio::null());
    let mut feed = feed.spawn()?;
    // A machine that cannot keep up with the rate has still to be done in time.
    let fed = end_within(&mut feed, Duration::from_secs(seconds.saturating_add(30)))?;
    node.stop()?;
    match fed {
        Some(status) if !status.success() => bail!("the feed ended with {status}"),
        Some(_) => println!("stopped"),
        None => println!("stopped; this machine is too slow for {} events/s: try a lower --rate", options.rate),
    }
    Ok(())
}
