//! `cargo xtask crash rules`: does what comes of an event reach its targets, once, in order, and nothing else?
//!
//! `--mode kill`: the real binary, killed with `kill -9` while events come in. Rules take them to streams, to documents, to
//! another bus and its rule, and outside; a pipe takes the changes of a table further; what has no key is a dead letter;
//! an archive keeps some. After the last start events of all sorts are sent once more, and when they have arrived
//! everywhere each target is compared with the stream that all came of: what was acknowledged is in it; each of its
//! events that a target's pattern takes is there (exactly once in streams and tables, at least once outside and under one
//! key); those of a key are in their order; and nothing else is there. Files are small, so that new segments,
//! checkpoints and compaction happen all the time.
//!
//! There is no `--mode powercut`: the bus on a simulated disk is tested in `crates/bus/src/runtime/tests/powercut.rs`.

mod outside;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use self::outside::Outside;
use self::verdict::{ALL_SORTS, Event, Found, TARGETS, event, goes_out, last_of_keys, of_value, text};
use super::{Mode, Options, mixed};
use crate::node::{self, Node};
use crate::process::target;

/// Kills on one data folder.
const KILLS_PER_FOLDER: u64 = 10;
/// Events of one request.
const EVENTS: u64 = 14;
/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(120);
const SMALL: [(&str, &str); 1] = [("HEADWATER_SMALL_LOG", "1")];
/// Of a stream's newest records: enough for the events that are sent last.
const NEWEST: u64 = 4 * ALL_SORTS;

const RESOURCES: &str = r#"
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: crash.in}
spec: {partitions: 3}
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: crash.large}
spec: {partitions: 3}
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: crash.shaped}
spec: {partitions: 2}
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: bus.crash}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: crash.docs}
spec: {changes: {images: newImage}}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: crash.last}
spec: {partitions: 2}
---
apiVersion: headwater.dev/v1
kind: Destination
metadata: {name: crash-outside}
spec: {url: "<outside>"}
---
apiVersion: headwater.dev/v1
kind: Archive
metadata: {name: crash}
spec: {source: crash.in, pattern: {kind: [a, c]}}
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-large}
spec:
  source: crash.in
  pattern: {kind: [a], amount: [{numeric: [">=", 50]}]}
  targets: [{type: stream, stream: crash.large}]
  deadLetter: crash.unexpected
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-shaped}
spec:
  source: crash.in
  pattern: {kind: [{prefix: b}]}
  targets:
    - type: stream
      stream: crash.shaped
      key: $.key
      input:
        template: '{"n": <n>, "key": <key>}'
        variables: {n: $.n, key: $.key}
  deadLetter: crash.unexpected
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-documents}
spec:
  source: crash.in
  pattern: {kind: [a, b]}
  targets:
    - {type: table, table: crash.docs, key: $.n}
    - {type: table, table: crash.last, key: $.key}
  deadLetter: crash.unexpected
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-keyless}
spec:
  source: crash.in
  pattern: {kind: [c]}
  targets: [{type: table, table: crash.docs, key: $.missing}]
  deadLetter: crash.dead
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-hop}
spec:
  source: crash.in
  pattern: {kind: [d]}
  targets:
    - {type: stream, stream: bus.crash, event: {source: crash, type: Hop}}
  deadLetter: crash.unexpected
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-hopped}
spec:
  source: bus.crash
  pattern: {source: [crash], detail-type: [Hop], detail: {amount: [{numeric: [">=", 50]}]}}
  targets:
    - {type: stream, stream: crash.hopped, key: $.detail.key, input: {path: $.detail}}
  deadLetter: crash.unexpected
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-outside}
spec:
  source: crash.in
  pattern: {kind: [d], amount: [{numeric: ["<", 50]}]}
  targets:
    - {type: destination, destination: crash-outside, delivery: {orderBy: $.key}}
  deadLetter: crash.unexpected
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: crash-none}
spec:
  source: crash.in
  pattern: {kind: [e]}
  targets: [{type: stream, stream: crash.none}]
  deadLetter: crash.unexpected
---
apiVersion: headwater.dev/v1
kind: Pipe
metadata: {name: crash-piped}
spec:
  source: {type: table, table: crash.docs, shape: dynamodb}
  filter:
    - dynamodb: {NewImage: {kind: {S: [b]}}}
  target:
    type: stream
    stream: crash.piped
    key: $.dynamodb.NewImage.key.S
    input:
      template: '{"n": <n>, "key": <key>}'
      variables: {n: $.dynamodb.NewImage.n.N, key: $.dynamodb.NewImage.key.S}
  deadLetter: crash.unexpected
"#;

pub(super) fn execute(options: &Options) -> Result<Value> {
    match options.mode {
        Mode::Kill => kill(options),
        Mode::Powercut => {
            bail!("rules are crashed with `--mode kill`; `cargo test -p headwater-bus powercut` cuts their power")
        }
    }
}

fn kill(options: &Options) -> Result<Value> {
    let binary = node::build("dev")?;
    let start = Instant::now();
    let (mut sum, mut runs, mut failed) = (Found::default(), 0, Vec::new());
    let mut slowest = Duration::ZERO;
    let mut seed = options.seed;
    while runs < options.runs {
        let kills = KILLS_PER_FOLDER.min(options.runs - runs);
        match one_folder(&binary, seed, kills, &mut slowest) {
            Ok(found) => {
                eprintln!(
                    "seed {seed}: {kills} kills, {} acknowledged, {} delivered, {} lost, {} doubled, {} out of order, \
                     {} excluded",
                    found.acked, found.delivered, found.lost, found.doubled, found.out_of_order, found.excluded
                );
                sum.acked += found.acked;
                sum.events += found.events;
                sum.delivered += found.delivered;
                sum.lost += found.lost;
                sum.doubled += found.doubled;
                sum.out_of_order += found.out_of_order;
                sum.excluded += found.excluded;
                sum.differing += found.differing;
                if !found.notes.is_empty() {
                    failed.push(json!({"seed": seed, "where": found.notes}));
                }
            }
            Err(error) => failed.push(json!({"seed": seed, "said": format!("{error:#}")})),
        }
        runs += kills;
        seed += 1;
    }
    Ok(json!({
        "mode": "kill", "runs": runs, "seed": options.seed, "acked": sum.acked, "events": sum.events,
        "delivered": sum.delivered, "lost": sum.lost, "doubled": sum.doubled, "out_of_order": sum.out_of_order,
        "excluded": sum.excluded, "wrong": sum.wrong(), "slowest_restart_ms": slowest.as_millis() as u64,
        "seconds": start.elapsed().as_secs(), "failed": failed,
    }))
}

/// Several kills on one data folder, and what is there after the last.
fn one_folder(binary: &Path, seed: u64, kills: u64, slowest: &mut Duration) -> Result<Found> {
    let folder = target().join("crash").join("rules").join("data");
    let _ = std::fs::remove_dir_all(&folder);
    let outside = Outside::open()?;
    let (mut acked, mut next) = (BTreeSet::new(), 0);
    for kill in 0..kills {
        let (node, took) = Node::start_with(binary, &folder, None, &SMALL)?;
        *slowest = took.max(*slowest);
        if kill == 0 {
            set_up(&node, &outside)?;
        }
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    let numbers = next..next + EVENTS;
                    next = numbers.end;
                    if send(&node, numbers.clone()) {
                        acked.extend(numbers);
                    }
                }
            });
            std::thread::sleep(moment(seed, kill));
            // First this, so that it dies under load; what is sent in between is refused.
            node.kill();
            over.store(true, Ordering::Release);
            let _ = sending.join();
        });
    }
    let (node, took) = Node::start_with(binary, &folder, None, &SMALL)?;
    *slowest = took.max(*slowest);
    // A reader goes through a partition in its order: what was sent before these is done when these are.
    let last = next..next + ALL_SORTS;
    if !send(&node, last.clone()) {
        bail!("the node takes no events after the last start");
    }
    acked.extend(last.clone());
    wait("the last events to arrive", || arrived(&node, &outside, &last))?;
    let found = judge(&node, &outside, &acked)?;
    node.stop()?;
    Ok(found)
}

/// When a node dies: in three of four lives somewhere in a second and a half, else while it is taking up its work.
fn moment(seed: u64, kill: u64) -> Duration {
    let draw = mixed(seed, kill);
    let within = if draw.is_multiple_of(4) { 120 } else { 1_500 };
    Duration::from_millis((draw >> 8) % within)
}

/// Applies the resources and waits until each subscription has its place: from then on it owes every event.
fn set_up(node: &Node, outside: &Outside) -> Result<()> {
    let resources = RESOURCES.replace("<outside>", &outside.url());
    let (status, said) = node.post("/v1/apply", "application/yaml", &resources)?;
    if status != 200 {
        bail!("the resources were not applied: {said}");
    }
    for plural in ["tables", "destinations", "archives", "rules", "pipes"] {
        wait(&format!("all {plural} to be ready"), || {
            let listed: Value = serde_json::from_str(&node.get(&format!("/v1/{plural}"))?.1)?;
            let items = listed["items"].as_array().context("no list")?;
            Ok(!items.is_empty() && items.iter().all(|item| item["status"]["ready"] == "true"))
        })?;
    }
    Ok(())
}

/// Sends events; true when they were acknowledged.
fn send(node: &Node, numbers: Range<u64>) -> bool {
    let body: String = numbers.map(|number| text(number) + "\n").collect();
    let sent = node.post("/v1/streams/crash.in/events?key=.key", "application/x-ndjson", &body);
    sent.is_ok_and(|(status, _)| status == 200)
}

/// Whether these events are at all of their targets.
fn arrived(node: &Node, outside: &Outside, numbers: &Range<u64>) -> Result<bool> {
    for target in &TARGETS {
        if !numbers.clone().any(|number| (target.takes)(&event(number))) {
            continue;
        }
        let newest = records(node, target.stream, &format!("?from=-{NEWEST}"))?;
        if !are_in(numbers, target.takes, &newest.iter().filter_map(target.number).collect()) {
            return Ok(false);
        }
    }
    Ok(are_in(numbers, goes_out, &outside.came().iter().map(|delivery| delivery.number).collect()))
}

/// Whether those of the events that a target takes are among these.
fn are_in(numbers: &Range<u64>, takes: fn(&Event) -> bool, these: &BTreeSet<u64>) -> bool {
    numbers.clone().filter(|number| takes(&event(*number))).all(|number| these.contains(&number))
}

/// Compares everything that is there with the stream that it came of.
fn judge(node: &Node, outside: &Outside, acked: &BTreeSet<u64>) -> Result<Found> {
    let source: Vec<u64> = records(node, "crash.in", "")?.iter().filter_map(of_value).collect();
    let places: HashMap<u64, usize> = source.iter().copied().zip(0..).collect();
    let mut found = Found { acked: acked.len() as u64, events: source.len() as u64, ..Found::default() };
    let gone = acked.iter().filter(|number| !places.contains_key(*number)).count() as u64;
    if gone > 0 {
        found.notes.push(format!("crash.in: {gone} acknowledged events are gone"));
    }
    found.lost += gone;
    for target in &TARGETS {
        let records = records(node, target.stream, "")?;
        let numbers: Vec<u64> = records.iter().filter_map(target.number).collect();
        let unknown = (records.len() - numbers.len()) as u64;
        if unknown > 0 {
            found.notes.push(format!("{}: {unknown} records that came of nothing", target.stream));
            found.excluded += unknown;
        }
        found.compare(target.stream, target.takes, true, &numbers, &places);
    }
    let came = outside.came();
    let numbers: Vec<u64> = came.iter().map(|delivery| delivery.number).collect();
    found.compare("outside", goes_out, false, &numbers, &places);
    let mut keys: HashMap<u64, &str> = HashMap::new();
    let mut renamed = 0;
    for delivery in &came {
        let first: &str = keys.entry(delivery.number).or_insert(delivery.key.as_str());
        renamed += u64::from(first.is_empty() || first != delivery.key.as_str());
    }
    if renamed > 0 {
        found.notes.push(format!("outside: {renamed} deliveries under another key or none"));
    }
    found.differing += renamed;
    // The view of a table may be a moment behind its stream; a document that stays different is wrong.
    let wanted = last_of_keys(&places);
    let _ = wait("the newest documents", || Ok(documents(node)? == wanted));
    let there = documents(node)?;
    let differing = wanted.iter().filter(|(key, number)| there.get(*key) != Some(*number)).count() as u64;
    if differing > 0 {
        found.notes.push(format!("crash.last: {differing} documents are not the last: {there:?}, wanted {wanted:?}"));
    }
    found.differing += differing;
    Ok(found)
}

/// The documents of `crash.last`: key -> number.
fn documents(node: &Node) -> Result<BTreeMap<String, u64>> {
    let (_, text) = node.get("/v1/tables/crash.last/documents")?;
    let page: Value = serde_json::from_str(&text)?;
    let documents = page["documents"].as_array().context("no documents")?;
    let one = |document: &Value| Some((document["key"].as_str()?.to_owned(), of_value(document)?));
    Ok(documents.iter().filter_map(one).collect())
}

/// Records of a stream, those of a partition in their order.
fn records(node: &Node, stream: &str, query: &str) -> Result<Vec<Value>> {
    let (status, text) = node.get(&format!("/v1/streams/{stream}/events{query}"))?;
    if status != 200 {
        bail!("`{stream}` cannot be read: {text}");
    }
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("`{stream}` gave `{line}`"))).collect()
}

/// Waits until something holds; what cannot be asked yet does not.
fn wait(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    loop {
        let held = holds();
        if matches!(held, Ok(true)) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            let why = held.err().unwrap_or_else(|| anyhow!("it has not come to that"));
            return Err(why.context(format!("waited {} s for {what}", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
