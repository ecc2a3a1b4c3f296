//! `cargo xtask crash rules`: does what comes of an event reach its targets, once, in order, and nothing else?
//!
//! A node dies while events come in: `--mode kill` is the real binary and `kill -9`, `--mode powercut` a node whose log
//! is on a simulated disk (`xtask/src/crash/lives.rs`). Rules take events to streams, to documents, to another bus and
//! its rule, to executions of a workflow, and outside; a pipe takes the changes of a table further, another one goes on
//! with what it was answered from outside; what has no key is a dead letter; archives keep some, and in each life a
//! replay gives those out again. After the last start events of all sorts are sent once more, and when they have
//! arrived everywhere each target is compared with the stream that all came of: what was acknowledged is in it; each of
//! its events that a target's pattern takes is there; those of a key are in their order; and nothing else is there.
//! Streams and tables have each event exactly once, behind a question, a workflow or a replay as well: who is asked,
//! and who is told to start an execution, may hear of it again, but the answer's way on is a commit, and an execution's
//! name is that of its event. Outside each event comes at least once and under one key. Files are small, so that new
//! segments, checkpoints and compaction happen all the time.

mod outside;
mod replays;
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
use super::lives::{self, Lives};
use super::{Mode, Options, mixed};
use crate::node::Node;
use crate::process::target;

/// Kills on one data folder.
const KILLS_PER_FOLDER: u64 = 10;
/// Power cuts on one disk, all of which is in memory.
const CUTS_PER_DISK: u64 = 5;
/// Events of one request.
const EVENTS: u64 = 14;
/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(120);
/// A replay begins at most this long before the node dies.
const REPLAY_MS: u64 = 60;
/// Of a stream's newest records: enough for the events that are sent last.
const NEWEST: u64 = 4 * ALL_SORTS;

const RESOURCES: &str = include_str!("rules/resources.yaml");

pub(super) fn execute(options: &Options) -> Result<Value> {
    let program = lives::program(options.mode)?;
    let start = Instant::now();
    let (word, per_folder) = match options.mode {
        Mode::Kill => ("kill", KILLS_PER_FOLDER),
        Mode::Powercut => ("powercut", CUTS_PER_DISK),
    };
    let (mut sum, mut runs, mut failed) = (Found::default(), 0, Vec::new());
    let mut slowest = Duration::ZERO;
    let mut seed = options.seed;
    while runs < options.runs {
        let crashes = per_folder.min(options.runs - runs);
        match one_folder(options.mode, &program, seed, crashes, &mut slowest) {
            Ok(found) => {
                eprintln!(
                    "seed {seed}: {crashes} crashes, {} acknowledged, {} delivered, {} replays, {} lost, {} doubled, \
                     {} out of order, {} excluded",
                    found.acked,
                    found.delivered,
                    found.replays,
                    found.lost,
                    found.doubled,
                    found.out_of_order,
                    found.excluded
                );
                sum.add(&found);
                if !found.notes.is_empty() {
                    failed.push(json!({"seed": seed, "where": found.notes}));
                }
            }
            Err(error) => failed.push(json!({"seed": seed, "said": format!("{error:#}")})),
        }
        runs += crashes;
        seed += 1;
    }
    Ok(json!({
        "mode": word, "runs": runs, "seed": options.seed, "acked": sum.acked, "events": sum.events,
        "delivered": sum.delivered, "replays": sum.replays, "lost": sum.lost, "doubled": sum.doubled,
        "out_of_order": sum.out_of_order, "excluded": sum.excluded, "wrong": sum.wrong(),
        "slowest_restart_ms": slowest.as_millis() as u64, "seconds": start.elapsed().as_secs(), "failed": failed,
    }))
}

/// Several crashes on one data folder, and what is there after the last.
fn one_folder(mode: Mode, program: &Path, seed: u64, crashes: u64, slowest: &mut Duration) -> Result<Found> {
    let outside = Outside::open()?;
    let folder = target().join("crash").join("rules").join("data");
    let mut lives = Lives::begin(mode, program, &folder)?;
    set_up(&lives.node, &outside)?;
    let (mut acked, mut next, mut asked) = (BTreeSet::new(), 0, Vec::new());
    for crash in 0..crashes {
        let (over, node) = (AtomicBool::new(false), &lives.node);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    let numbers = next..next + EVENTS;
                    next = numbers.end;
                    if send(node, numbers.clone()) {
                        acked.extend(numbers);
                    }
                }
            });
            let moment = moment(seed, crash);
            let last = moment.min(Duration::from_millis(mixed(seed, crash) % REPLAY_MS));
            std::thread::sleep(moment.saturating_sub(last));
            asked.push(replays::begin(node, crash));
            std::thread::sleep(last);
            // First this, so that it dies under load; what is sent in between is refused.
            let crashed = lives.crash();
            over.store(true, Ordering::Release);
            let _ = sending.join();
            crashed
        })?;
        lives.go_on(mixed(seed, crash))?;
    }
    *slowest = lives.slowest.max(*slowest);
    let node = &lives.node;
    // A reader goes through a partition in its order: what was sent before these is done when these are.
    let last = next..next + ALL_SORTS;
    if !send(node, last.clone()) {
        bail!("the node takes no events after the last start");
    }
    acked.extend(last.clone());
    wait("the last events to arrive", || arrived(node, &outside, &last))?;
    wait("replays to end", || replays::arrived(node))?;
    let mut found = judge(node, &outside, &acked)?;
    replays::judge(node, &asked, &mut found)?;
    lives.end()?;
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
    let resources = RESOURCES.replace("<outside>", &outside.url()).replace("<ask>", &outside.ask_url());
    let (status, said) = node.post("/v1/apply", "application/yaml", &resources)?;
    if status != 200 {
        bail!("the resources were not applied: {said}");
    }
    for plural in ["tables", "destinations", "workflows", "archives", "rules", "pipes"] {
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
