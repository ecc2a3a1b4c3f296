//! `cargo xtask demo`: a node with every solution, to look at: clickstream under traffic, others filled beside it.
//!
//! A solution that cannot be applied or fed is told of and left out; without the traffic there is no demo.

use std::collections::VecDeque;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::console;
use crate::node::{self, Node};
use crate::process::{end_within_while, read, target};
use crate::setup::{self, Needs};

/// The solution under traffic, which its feed applies.
const TRAFFIC: &str = "clickstream";

/// Solutions with feeds that come to an end, the shortest first: what they write is what their dashboards show.
const FED: [&str; 2] = ["workflow-cost", "sales-insights"];

/// How the feed ends that was interrupted.
const INTERRUPTED: i32 = 130;

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
/// When the node or the traffic does not start; a Ctrl-C is not an error.
pub fn execute(options: &Options) -> Result<()> {
    let mut interrupts = Interrupts::new()?;
    match show(options, &mut interrupts) {
        // What was under way has heard it as well, and failed by it.
        Err(_) if interrupts.have_come() => {
            println!("stopped");
            Ok(())
        }
        ended => ended,
    }
}

fn show(options: &Options, interrupts: &mut Interrupts) -> Result<()> {
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
    let solution = |words: &[&str]| {
        let mut command = Command::new(&binary);
        command.args(["--port-offset", &options.port_offset.to_string(), "solution"]).args(words);
        command.env("HEADWATER_DATA", &data).stdin(Stdio::null());
        command
    };
    let seconds = options.exit_after.unwrap_or(24 * 3_600);
    let mut feeds = Feeds::default();
    let mut left_out = Vec::new();
    for offered in offered(&node.get("/v1/solutions")?.1)? {
        if offered.name != TRAFFIC
            && let Err(error) = read(&mut solution(&["apply", &offered.name]))
        {
            if interrupts.have_come() {
                node.stop()?;
                println!("stopped");
                return Ok(());
            }
            failed(&offered.name, &format!("{error:#}"));
            left_out.push(offered.name);
            continue;
        }
        for dashboard in &offered.dashboards {
            println!("dashboard   {}/console/dashboards/{dashboard}   {}", node.http(), offered.title);
        }
    }
    for name in FED.into_iter().filter(|name| !left_out.iter().any(|out| out == name)) {
        let mut feed = solution(&["feed", name]);
        feed.stdout(Stdio::null()).stderr(Stdio::piped());
        feeds.waiting.push_back((name.to_owned(), feed));
    }
    let mut traffic = solution(&["feed", TRAFFIC, "--users", "100000"]);
    traffic
        .args(["--rate", &options.rate.to_string(), "--for", &format!("{seconds}s")])
        .args(["--catalogue-port", &(4580 + options.port_offset).to_string()]);
    let mut traffic = traffic.spawn()?;
    // A machine that cannot keep up with the rate has still to be done in time.
    let fed = end_within_while(&mut traffic, Duration::from_secs(seconds.saturating_add(60)), || feeds.step())?;
    drop(feeds);
    node.stop()?;
    match fed {
        Some(status) if !status.success() && status.code() != Some(INTERRUPTED) => {
            bail!("the feed ended with {status}")
        }
        Some(_) => println!("stopped"),
        None => println!("stopped; this machine is too slow for {} events/s: try a lower --rate", options.rate),
    }
    Ok(())
}

fn failed(solution: &str, why: &str) {
    eprintln!("left out    {solution}: {why}");
}

/// Ctrl-C, which reaches the whole process group: the feeds and the node end by themselves, and we stay to see them
/// end.
struct Interrupts {
    runtime: Runtime,
    signal: Signal,
    come: bool,
}

impl Interrupts {
    /// From now on none ends this process.
    fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signal = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
        Ok(Self { runtime, signal, come: false })
    }

    /// Whether there was one.
    fn have_come(&mut self) -> bool {
        let Self { runtime, signal, come } = self;
        // The runtime looks for signals only where it has to wait.
        *come |=
            runtime.block_on(async { tokio::time::timeout(Duration::from_millis(1), signal.recv()).await.is_ok() });
        *come
    }
}

/// A solution as a node offers it.
#[derive(Debug, PartialEq, Eq)]
struct Offered {
    name: String,
    title: String,
    dashboards: Vec<String>,
}

/// What `GET /v1/solutions` answers.
fn offered(answer: &str) -> Result<Vec<Offered>> {
    let answer: Value = serde_json::from_str(answer).context("the node does not say which solutions it has")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |solution: &Value| {
        let resources = solution["resources"].as_array().into_iter().flatten();
        let dashboards = resources.filter_map(|id| Some(id.as_str()?.strip_prefix("Dashboard/")?.to_owned()));
        Offered { name: text(&solution["name"]), title: text(&solution["title"]), dashboards: dashboards.collect() }
    };
    Ok(answer["solutions"].as_array().into_iter().flatten().map(one).collect())
}

/// Feeds beside the traffic, one after another, lest they take the machine from it. What still runs ends with this.
#[derive(Default)]
struct Feeds {
    waiting: VecDeque<(String, Command)>,
    now: Option<(String, Child)>,
}

impl Feeds {
    /// Starts the next one once the one before is over, and tells of a failure.
    fn step(&mut self) {
        if let Some((name, feed)) = &mut self.now {
            match feed.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) if status.success() => {}
                // A Ctrl-C, which everybody gets.
                Ok(Some(status)) if status.code().is_none_or(|code| code == INTERRUPTED) => self.waiting.clear(),
                Ok(Some(status)) => {
                    let mut said = String::new();
                    if let Some(errors) = &mut feed.stderr {
                        let _ = errors.read_to_string(&mut said);
                    }
                    failed(name, &format!("its feed ended with {status}:\n{}", said.trim_end()));
                }
                Err(error) => failed(name, &error.to_string()),
            }
            self.now = None;
        }
        if let Some((name, mut feed)) = self.waiting.pop_front() {
            match feed.spawn() {
                Ok(feed) => self.now = Some((name, feed)),
                Err(error) => failed(&name, &error.to_string()),
            }
        }
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        if let Some((_, feed)) = &mut self.now {
            let _ = feed.kill();
            let _ = feed.wait();
        }
    }
}

#[cfg(test)]
mod tests;
