//! Map Runs: a distributed Map's items as executions of their own.
//!
//! The parent's journal holds a start and an end. In between, a Map Run is a cursor and counters (one row, written with
//! each chunk of items) and one record for each item in the stream `headwater.work.items`: its result, durable before
//! the cursor passes it. Express children run in memory and at least once; Standard children are executions like any
//! other, whose names follow from the item, so that none starts twice. A Map Run that is taken up again with its
//! execution goes through its items once more and passes over those that succeeded.
//!
//! One that is stopped is marked in its row by the commit that stops it. It begins no child from then on, ends those
//! that run, writes the files of its `ResultWriter` for what there is, and its row goes with the commit that says so; a
//! crash in between, or a disk that takes no files, leaves the mark, and the next start does the rest. One that ends by a
//! bug fails its state and is stopped by the same commit.

mod drive;
mod record;
mod results;
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ahash::HashMap;
use headwater_base::{Limits, Name, Problem, partition_of};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::unit::awaited;
use headwater_log::{StreamConfig, View};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;

use super::Inner;
use super::index::{RunName, run_name};
use super::port::stopping;
use super::queue::Command;
use super::rows::{self, Head, Key, SHARDS, Tag};
use crate::execution::{Attempt, Event, Failure, MapRun};

use record::Counts;
pub(super) use record::{Bounds, Progress, decode, encode};

/// Name of the stream of results.
pub const STREAM: &str = "headwater.work.items";

/// How the stream is kept.
pub(super) fn config(limits: &Limits) -> StreamConfig {
    StreamConfig {
        partitions: SHARDS.try_into().unwrap_or(1),
        retention_ms: Some(90 * 86_400_000),
        ..default_config(limits)
    }
}

/// The Map Runs under way.
#[derive(Default)]
pub(super) struct Runs(Mutex<HashMap<(Key, Attempt), Live>>);

struct Live {
    task: AbortHandle,
    stop: Arc<Stop>,
    /// Told of new bounds.
    bounds: Arc<Notify>,
    running: Arc<Running>,
    /// Its other end goes with the task.
    over: watch::Receiver<()>,
}

/// Tells a Map Run and its children that nobody waits for them any more.
#[derive(Default)]
struct Stop {
    set: AtomicBool,
    told: Notify,
}

impl Stop {
    fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Resolves once it is set.
    async fn wait(&self) {
        // Asked for before looking, so that no telling falls in between.
        let told = self.told.notified();
        if !self.is_set() {
            told.await;
        }
    }
}

/// How many children of a Map Run run now, and items in them.
#[derive(Default)]
struct Running {
    children: AtomicU64,
    items: AtomicU64,
}

/// A child that runs; dropped it does so no more, however it has ended.
struct Begun<'a> {
    running: &'a Running,
    items: u64,
}

impl Running {
    fn begin(&self, items: u64) -> Begun<'_> {
        self.children.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items, Ordering::Relaxed);
        Begun { running: self, items }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.running.children.fetch_sub(1, Ordering::Relaxed);
        self.running.items.fetch_sub(self.items, Ordering::Relaxed);
    }
}

impl Runs {
    /// Children that run now, and the items in them.
    fn running(&self, key: &Key, attempt: &Attempt) -> (u64, u64) {
        let runs = self.0.lock();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        runs.get(&(*key, *attempt)).map_or((0, 0), |live| (count(&live.running.children), count(&live.running.items)))
    }

    /// Ends all of them; the next start takes them up.
    pub(super) fn stop(&self) {
        for (_, live) in self.0.lock().drain() {
            live.task.abort();
        }
    }
}

impl Inner {
    /// Runs a Map Run whose start is durable, or what is left to do of one that was stopped.
    pub(super) fn run_map(&self, key: Key, attempt: Attempt) {
        let Some(inner) = self.me.upgrade() else { return };
        let (stop, bounds, running): (Arc<Stop>, Arc<Notify>, Arc<Running>) = Default::default();
        let (told, bound, begun) = (Arc::clone(&stop), Arc::clone(&bounds), Arc::clone(&running));
        let (ends, over) = watch::channel(());
        let mut runs = self.maps.0.lock();
        // One that was stopped and is taken up again already may not be done with its files.
        let same = |other: &Attempt| (other.thread, other.visit) == (attempt.thread, attempt.visit);
        let earlier = runs.iter().filter(|((one, other), _)| *one == key && same(other));
        let earlier: Vec<watch::Receiver<()>> = earlier.map(|(_, live)| live.over.clone()).collect();
        let task = self.handle.spawn(async move {
            for mut run in earlier {
                while run.changed().await.is_ok() {}
            }
            let outcome = awaited(drive::run(&inner, key, attempt, (&told, &bound), &begun)).await;
            let outcome = outcome.unwrap_or_else(|said| {
                let cause = format!("the Map Run ended by a bug in the program: {said}");
                tracing::error!(said, "a Map Run ended by a bug");
                // One that is stopped would meet it again and again: its row stays, and the next start tries once more.
                (!told.is_set()).then(|| Err(Failure::new("States.Runtime", cause)))
            });
            inner.maps.0.lock().remove(&(key, attempt));
            match outcome {
                // It was over when it was told to stop, so nobody takes its end: its row is left.
                Some(_) if told.is_set() => inner.run_map(key, attempt),
                Some(outcome) => {
                    let event = Event::MapRunEnded { attempt, outcome };
                    inner.push_to(&key, Command::Event { key, event, reply: None, room: None });
                }
                None => {}
            }
            drop(ends);
        });
        runs.insert((key, attempt), Live { task: task.abort_handle(), stop, bounds, running, over });
    }

    /// Stops a Map Run whose mark is durable: it writes down what there is and ends.
    pub(super) fn stop_map(&self, key: &Key, attempt: &Attempt) {
        let runs = self.maps.0.lock();
        let live = runs.get(&(*key, *attempt));
        if let Some(live) = live {
            return live.stop.set();
        }
        drop(runs);
        self.run_map(*key, *attempt);
    }

    /// A Map Run by its name in full.
    ///
    /// # Errors
    /// `HW-WORK-039`.
    pub(super) fn map_run(&self, arn: &str) -> Result<Map<String, Value>, Problem> {
        self.progress(arn).map(|(key, attempt, progress)| self.shown(&key, &attempt, progress))
    }

    /// The Map Runs of an execution.
    ///
    /// # Errors
    /// `HW-WORK-030`.
    pub(super) fn map_runs(&self, execution: &str) -> Result<Vec<Map<String, Value>>, Problem> {
        let (key, head) = self.durable_head(execution)?;
        let read = |attempt: &Attempt| {
            let row = self.row(&key, Tag::Progress, &rows::attempt_bytes(attempt), View::Durable)?;
            Progress::decode(&row).map(|progress| self.shown(&key, attempt, progress))
        };
        Ok(head.maps.iter().filter_map(read).collect())
    }

    fn shown(&self, key: &Key, attempt: &Attempt, progress: Progress) -> Map<String, Value> {
        let progress = self.over(key, attempt, progress);
        // Of a run that is over nothing runs, also while its last children are being ended.
        let running = if progress.is_running() { self.maps.running(key, attempt) } else { (0, 0) };
        shown(&progress, running)
    }

    /// As it is shown: under the bounds that were set last; one whose execution was stopped in its midst is over, too.
    fn over(&self, key: &Key, attempt: &Attempt, mut progress: Progress) -> Progress {
        progress.bound(self.bounds(key, attempt, View::Durable));
        let row = self.row(key, Tag::Head, &[], View::Durable);
        let head = row.and_then(|row| Head::decode(&row).ok());
        if let Some(stopped) = head.and_then(|head| head.stopped)
            && progress.is_running()
        {
            (progress.status, progress.stopped) = ("ABORTED".to_owned(), Some(stopped));
        }
        progress
    }

    /// The newest Map Run of a state that is taken up again.
    pub(super) fn earlier(&self, key: &Key, maps: &[Attempt], attempt: &Attempt) -> Option<(Attempt, Progress)> {
        let earlier = newest(maps, attempt)?;
        let row = self.row(key, Tag::Progress, &rows::attempt_bytes(&earlier), View::Appended)?;
        let mut progress = Progress::decode(&row)?;
        progress.bound(self.bounds(key, &earlier, View::Appended));
        Some((earlier, progress))
    }

    /// The names of an execution's Map Runs.
    pub(super) fn names(&self, key: &Key, maps: &[Attempt]) -> Vec<RunName> {
        let rows = maps.iter().filter_map(|one| {
            let row = self.row(key, Tag::Progress, &rows::attempt_bytes(one), View::Appended)?;
            Progress::decode(&row)
        });
        rows.map(|progress| run_name(&progress.arn)).collect()
    }

    /// How far a Map Run is that begins now.
    pub(super) fn begun(&self, run: &MapRun, execution_arn: String) -> Progress {
        let end = Name::new(STREAM).ok().and_then(|stream| self.log.ends(&stream, partition(&run.arn)).ok());
        Progress::of(run, execution_arn, self.clock.now(), end.map_or(0, |ends| ends.appended))
    }

    /// What was changed of a Map Run's bounds.
    pub(super) fn bounds(&self, key: &Key, attempt: &Attempt, view: View) -> Bounds {
        let row = self.row(key, Tag::Bounds, &rows::attempt_bytes(attempt), view);
        row.and_then(|bytes| Bounds::decode(&bytes)).unwrap_or_default()
    }

    /// Changes the bounds of a Map Run under way; they hold from its next children on, durably: more begin at
    /// once where more may run.
    ///
    /// # Errors
    /// `HW-WORK-039`; `HW-WORK-033` for values that are none, `HW-WORK-063` for a run that is over.
    pub(super) async fn update_map_run(&self, arn: &str, change: &Map<String, Value>) -> Result<(), Problem> {
        let (key, attempt, _) = self.progress(arn)?;
        let change = Bounds::of(change)?;
        let (reply, noted) = oneshot::channel();
        self.push_to(&key, Command::Bound { key, attempt, change, reply });
        match noted.await.unwrap_or_else(|_| Err(stopping())) {
            Ok(_) => {
                if let Some(live) = self.maps.0.lock().get(&(key, attempt)) {
                    live.bounds.notify_one();
                }
                Ok(())
            }
            Err(problem) if problem.code == "HW-WORK-006" => {
                let shown: String = arn.chars().take(200).collect();
                Err(Problem::new("HW-WORK-063", format!("the Map Run `{}` is over", shown.escape_debug()))
                    .help("redrive its execution, and change the bounds while it runs"))
            }
            Err(problem) => Err(problem),
        }
    }

    fn progress(&self, arn: &str) -> Result<(Key, Attempt, Progress), Problem> {
        let owner = self.index.lock().owner(arn);
        let found = owner.and_then(|(key, first)| {
            let head = Head::decode(&self.row(&key, Tag::Head, &[], View::Durable)?).ok()?;
            let attempt = newest(&head.maps, &first)?;
            let row = self.row(&key, Tag::Progress, &rows::attempt_bytes(&attempt), View::Durable)?;
            Some((key, attempt, Progress::decode(&row).filter(|progress| progress.arn == arn)?))
        });
        let shown: String = arn.chars().take(200).collect();
        found.ok_or_else(|| {
            Problem::new("HW-WORK-039", format!("there is no Map Run `{}`", shown.escape_debug()))
                .help("`describe execution/ID` lists the Map Runs of an execution")
        })
    }
}

/// The newest Map Run of the same visit of a state.
fn newest(maps: &[Attempt], attempt: &Attempt) -> Option<Attempt> {
    let same = |one: &&Attempt| (one.thread, one.visit) == (attempt.thread, attempt.visit);
    maps.iter().filter(same).max_by_key(|one| one.number).copied()
}

/// The partition of the stream of results that has those of a run.
fn partition(arn: &str) -> u32 {
    partition_of(arn.as_bytes(), SHARDS.try_into().unwrap_or(1))
}

/// In the shape of `DescribeMapRun`, with how many children and items run. A child that has ended is pending until its
/// result is durable.
fn shown(progress: &Progress, (children, items): (u64, u64)) -> Map<String, Value> {
    let counts = |of: &Counts, running: u64| {
        // How many there are is written down with the first results, where a file or batches make them.
        let begun = of.ended().saturating_add(running);
        let total = of.total.max(begun);
        json!({
            "pending": total - begun,
            "running": running,
            "succeeded": of.succeeded,
            "failed": of.failed,
            "timedOut": of.timed_out,
            "aborted": of.aborted,
            "total": total,
            "resultsWritten": of.next,
            "failuresNotRedrivable": 0,
            "pendingRedrive": 0,
        })
    };
    let mut all = json!({
        "mapRunArn": progress.arn,
        "executionArn": progress.execution_arn,
        "status": progress.status,
        "startDate": progress.started.millis() as f64 / 1e3,
        "maxConcurrency": progress.concurrency,
        "toleratedFailurePercentage": progress.tolerance.percentage.unwrap_or(0.0),
        "toleratedFailureCount": progress.tolerance.count.unwrap_or(0),
        "itemCounts": counts(&progress.items, items),
        "executionCounts": counts(&progress.children, children),
        "redriveCount": progress.redrives,
    });
    if let Some(stopped) = progress.stopped {
        all["stopDate"] = json!(stopped.millis() as f64 / 1e3);
    }
    if let Some(redriven) = progress.redriven {
        all["redriveDate"] = json!(redriven.millis() as f64 / 1e3);
    }
    all.as_object().cloned().unwrap_or_default()
}
