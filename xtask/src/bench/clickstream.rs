//! The whole solution: a generator, a catalogue that is slow and fails, three consumers and the node on one machine.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_least, at_most, fresh, rounded};
use crate::node::Node;
use crate::process::read;
use crate::setup::{self, Needs};

/// The peak of article 02: a hundred million events an hour.
const RATE: u64 = 27_800;
/// What the steps of the search differ by.
const STEP: f64 = 1.15;
/// Steps of the search.
const STEPS_MAX: u64 = 12;
/// The longest that pipelines may work on what a feed has left.
const PATIENCE: Duration = Duration::from_secs(180);
/// A smaller job (parse, place of the address, digest, session windows; write to a file) on Bytewax 0.21.1, which was
/// measured on a machine of the same kind: events for each CPU-second.
const BYTEWAX: f64 = 4_400.0;

/// What is fed, and with what.
struct Feeding<'a> {
    binary: &'a Path,
    node: &'a Node,
    /// The same for all feeds: a catalogue that moves is a pipeline that begins anew, with files to read and nothing in
    /// its cache.
    catalogue_port: u16,
}

/// One feed, and what the node used for it.
struct Fed {
    seen: Value,
    /// How long the pipelines had to work after the last event, and three seconds in which nothing was left.
    drain_seconds: f64,
    node_cpu_seconds: f64,
}

pub(super) fn measure(options: &Options, machine: &Machine) -> Result<Value> {
    setup::prepare(Needs::Data)?;
    let binary = options.binary()?;
    let data = fresh("clickstream")?;
    let rate = options.rate.unwrap_or(RATE);
    let seconds = options.seconds.unwrap_or(if options.long { 600 } else { 60 });
    let (node, ready) = Node::start(&binary, &data, None)?;
    let catalogue_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let feeding = Feeding { binary: &binary, node: &node, catalogue_port };
    // The import is not part of what is measured: a short feed carries it.
    let import = feeding.feed(options.users, 1, 100, 2)?;
    let main = feeding.feed(0, 2, rate, seconds)?;
    let peak_rss = node.memory_bytes("VmHWM")?;
    let (highest, steps) = if options.step_seconds > 0 {
        search(&feeding, options.step_seconds, &main, rate)?
    } else {
        (None, Vec::new())
    };
    node.stop()?;
    let best = highest.as_ref().unwrap_or(&main);
    let p = |what: &str, share: &str| main.seen[what][share].as_f64().unwrap_or(f64::INFINITY);
    let goals = json!({
        "enriched_p50_ms": at_most(p("enriched", "p50_ms"), 10.0 + 2.0 * machine.fsync_p50_ms),
        "enriched_p99_ms": at_most(p("enriched", "p99_ms"), 40.0 + 2.0 * machine.fsync_p99_ms),
        "ban_p99_ms": at_most(p("ban", "p99_ms"), 1_000.0),
        "peak_rss_mib": at_most(peak_rss as f64 / 1_048_576.0, 1_024.0),
        "events_per_node_cpu_second": at_least(best.per_cpu_second(), 30_000.0),
        "same_moonshot": at_least(best.per_cpu_second(), 60_000.0),
        "sustained": main.sustained(),
    });
    Ok(json!({
        "bench": "clickstream",
        "seconds": seconds,
        "seen": main.seen,
        "node": {
            "ready_ms": ready.as_millis() as u64,
            "import_cpu_seconds": rounded(import.node_cpu_seconds),
            "cpu_seconds": rounded(main.node_cpu_seconds),
            "drain_seconds": rounded(main.drain_seconds),
            "events_per_cpu_second": main.per_cpu_second().round(),
            "peak_rss_bytes": peak_rss,
        },
        "highest": highest.as_ref().map(Fed::json),
        "ratio_to_smaller_job_on_bytewax": rounded(best.per_cpu_second() / BYTEWAX),
        "steps": steps,
        "goals": goals,
    }))
}

/// The highest rate at which the lag stays flat, going up from what was sustained or down from what was not.
fn search(feeding: &Feeding<'_>, seconds: u64, main: &Fed, rate: u64) -> Result<(Option<Fed>, Vec<Value>)> {
    let up = main.sustained();
    let (mut rate, mut best, mut steps) = (rate as f64, None, Vec::new());
    for step in 0..STEPS_MAX {
        rate = if up { rate * STEP } else { rate / STEP };
        let fed = feeding.feed(0, 3 + step, rate as u64, seconds)?;
        let sustained = fed.sustained();
        steps.push(fed.json());
        if sustained {
            best = Some(fed);
        }
        if sustained != up {
            break;
        }
    }
    Ok((best, steps))
}

impl Feeding<'_> {
    /// Feeds and waits until nothing is left. Each feed has a seed of its own: pipelines drop ids that they know.
    fn feed(&self, users: u32, seed: u64, rate: u64, seconds: u64) -> Result<Fed> {
        let Self { binary, node, catalogue_port } = self;
        let mut command = Command::new(binary);
        command.args(["solution", "feed", "clickstream", "--json"]).env("HEADWATER_DATA", &node.data);
        for (flag, value) in [
            ("--users", users.to_string()),
            ("--seed", seed.to_string()),
            ("--rate", rate.to_string()),
            ("--for", format!("{seconds}s")),
            ("--port-offset", node.offset.to_string()),
            ("--catalogue-port", catalogue_port.to_string()),
        ] {
            command.args([flag, &value]);
        }
        let before = node.cpu_seconds()?;
        let output = read(&mut command)?;
        let seen = serde_json::from_str(output.trim()).context("the feed's figures")?;
        let start = Instant::now();
        drain(node)?;
        Ok(Fed { seen, drain_seconds: start.elapsed().as_secs_f64(), node_cpu_seconds: node.cpu_seconds()? - before })
    }
}

/// Waits until the pipelines have read all there is: what they left for later is part of the work, and must not be in
/// the way of the next feed.
fn drain(node: &Node) -> Result<()> {
    let start = Instant::now();
    let mut quiet = 0;
    while start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(250));
        quiet = if node.metric("hw_flow_lag_events")? + node.metric("hw_flow_waiting_events")? > 0.0 {
            0
        } else {
            quiet + 1
        };
        // Retries come two seconds after their event.
        if quiet == 12 {
            return Ok(());
        }
    }
    bail!("the pipelines still lag {} s after the last event", PATIENCE.as_secs())
}

impl Fed {
    fn number(&self, name: &str) -> f64 {
        self.seen[name].as_f64().unwrap_or_default()
    }

    fn per_cpu_second(&self) -> f64 {
        self.number("records") / self.node_cpu_seconds.max(0.01)
    }

    /// Whether the lag stayed flat: hardly an event came later than a second, and the sender kept to its plan.
    fn sustained(&self) -> bool {
        let late = self.seen["enriched"]["p99_ms"].as_f64().unwrap_or(f64::INFINITY);
        late <= 1_000.0 && self.number("sender_behind_ms") < 1_000.0
    }

    fn json(&self) -> Value {
        json!({
            "rate": self.seen["rate"],
            "sustained": self.sustained(),
            "events_per_cpu_second": self.per_cpu_second().round(),
            "enriched": self.seen["enriched"],
            "lag_ms": self.seen["lag_ms"],
            "sender_behind_ms": self.seen["sender_behind_ms"],
            "sender_cpu_seconds": self.seen["sender_cpu_seconds"],
            "node_cpu_seconds": rounded(self.node_cpu_seconds),
            "drain_seconds": rounded(self.drain_seconds),
        })
    }
}
