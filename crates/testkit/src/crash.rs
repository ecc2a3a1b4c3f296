//! The power-cut harness: clients and a pipeline-like loop on a [`FaultyDisk`], whose power is cut at a random
//! operation, be it of an append, a new log segment, a checkpoint, compaction, retention, the deletion of a stream, or
//! of recovery itself; then a comparison of all that was promised with all that is there.
//!
//! A seed fixes what is sent, when the power fails, counted in operations, and what the disk keeps. It does not fix how
//! threads take turns: a seed that fails may take some tries to fail again, which is why a run can save the disk that
//! recovery stumbled over.
//!
//! # Invariants
//! - Whatever was acknowledged is there once, and what was refused is not there.
//! - What was not acknowledged is there as a whole or not at all, and in its order.

mod check;
mod history;
mod load;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_base::{Limits, ManualClock, Micros, Name};
use headwater_log::EmbeddedLog;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::FaultyDisk;
use load::Clients;

const LIVES: u64 = 4;
/// About as many as one compaction of a partition takes.
const COMPACTION_OPERATIONS: u64 = 24;

/// How runs are done.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Switches every sync off, which must show in the report.
    pub without_sync: bool,
    /// Where to save the disk as it was before the recovery that failed.
    pub save: Option<PathBuf>,
}

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records, state changes and streams that were acknowledged.
    pub acked: u64,
    /// Acknowledged ones that are gone.
    pub lost: u64,
    /// Records or results that are there twice, or were taken back and are there again.
    pub doubled: u64,
    /// States that are not what the input up to the promised position, or any step behind it, comes to.
    pub wrong: u64,
    /// What was not as it must be, in words, and recoveries that refused.
    pub faults: Vec<String>,
    /// Crashes: power cuts, and ends of the process alone.
    pub cuts: u64,
    /// What the power failed at -> how often.
    pub cut_at: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.wrong == 0 && self.faults.is_empty()
    }

    /// Adds another run's figures.
    pub fn add(&mut self, other: Self) {
        self.acked += other.acked;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.wrong += other.wrong;
        self.faults.extend(other.faults);
        self.cuts += other.cuts;
        other.cut_at.into_iter().for_each(|(at, times)| *self.cut_at.entry(at).or_default() += times);
    }

    fn lost(&mut self, what: &str, count: usize) {
        self.lost += count as u64;
        self.fault(what, count);
    }

    fn doubled(&mut self, what: &str, count: usize) {
        self.doubled += count as u64;
        self.fault(what, count);
    }

    fn wrong(&mut self, what: &str, count: usize) {
        self.wrong += count as u64;
        self.fault(what, count);
    }

    fn fault(&mut self, what: &str, count: usize) {
        if count > 0 {
            self.faults.push(format!("{what}: {count}"));
        }
    }
}

/// Runs one seed.
pub fn powercut_run(seed: u64, manner: &Manner) -> Report {
    let mut run = Run::new(seed, manner);
    // A panic of ours is a finding like any other, and must not end the runs that follow.
    let ended = catch_unwind(AssertUnwindSafe(|| run.lives()));
    if ended.is_err() {
        run.report.faults.push("a panic; see standard error".into());
    }
    if !run.report.is_clean()
        && let Some(folder) = &manner.save
        && let Err(error) = save(&run.image, &folder.join(format!("seed-{seed}")))
    {
        run.report.faults.push(format!("the disk could not be saved: {error}"));
    }
    run.report.acked = run.clients.acked();
    run.report
}

struct Run {
    seed: u64,
    rng: ChaCha8Rng,
    disk: FaultyDisk,
    clock: Arc<ManualClock>,
    clients: Clients,
    /// The disk as the last recovery found it.
    image: BTreeMap<PathBuf, Vec<u8>>,
    report: Report,
}

impl Run {
    fn new(seed: u64, manner: &Manner) -> Self {
        let disk = FaultyDisk::default();
        if manner.without_sync {
            disk.lie_about_syncs();
        }
        Self {
            seed,
            rng: ChaCha8Rng::seed_from_u64(seed),
            disk,
            clock: Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000))),
            clients: Clients::default(),
            image: BTreeMap::new(),
            report: Report::default(),
        }
    }

    fn lives(&mut self) {
        for life in 0..LIVES {
            // Some recoveries lose power themselves, and some of those again.
            while life > 0 && self.rng.random_bool(0.4) {
                self.disk.cut_after(self.rng.random_range(1..80));
                let opened = self.open().map(drop);
                self.note_cut(Some("recovery"));
                if let Err(error) = opened
                    && !self.disk.is_off()
                {
                    self.report.faults.push(error);
                    return;
                }
                self.crash();
            }
            let Some(log) = self.recovered() else { return };
            match self.rng.random_range(0..10) {
                // The log is closed in order; some of these closings lose power.
                0 | 1 => {
                    self.clients.live(&log, &self.disk, &self.clock, self.seed ^ life, self.rng.random_range(1..60));
                    if self.rng.random_bool(0.5) {
                        self.disk.cut_after(self.rng.random_range(1..30));
                    }
                    if let Err(problem) = log.close()
                        && !self.disk.is_off()
                    {
                        self.report.faults.push(format!("close: {problem}"));
                    }
                }
                draw => {
                    self.disk.cut_after(self.rng.random_range(10..2_000));
                    if draw > 6 {
                        // A compaction is a few of thousands of operations, each of which has to be a safe one to fail at.
                        self.disk.cut_in_work(begins_compaction, self.rng.random_range(1..COMPACTION_OPERATIONS));
                    }
                    self.clients.live(&log, &self.disk, &self.clock, self.seed ^ life, usize::MAX);
                }
            }
            self.note_cut(None);
            self.disk.cut();
            drop(log);
            self.crash();
        }
        let Some(log) = self.recovered() else { return };
        if let Err(problem) = log.close() {
            self.report.faults.push(format!("close: {problem}"));
        }
        drop(log);
        // Once more without any tail.
        drop(self.recovered());
    }

    /// What a crash leaves: of the machine, or of the process alone.
    fn crash(&mut self) {
        self.disk.cut();
        self.report.cuts += 1;
        if self.rng.random_bool(0.2) {
            self.disk.power_on_whole();
        } else {
            self.disk.power_on(self.rng.random());
        }
    }

    /// Opens the log, which must succeed, and compares.
    fn recovered(&mut self) -> Option<Arc<EmbeddedLog>> {
        self.image = self.disk.image();
        match self.open() {
            Ok(log) => {
                self.clients.check(&*log, &mut self.report);
                self.report.is_clean().then_some(log)
            }
            Err(error) => {
                self.report.faults.push(error);
                None
            }
        }
    }

    fn open(&self) -> Result<Arc<EmbeddedLog>, String> {
        let options = crate::options(128 << 10);
        let limits = Limits { tail_cache_bytes: 16 << 10, ..Limits::default() };
        let disk = Arc::new(self.disk.clone());
        EmbeddedLog::open_with(disk, Path::new("/data"), Arc::new(limits), self.clock.clone(), options)
            .map_err(|problem| problem.to_string())
    }

    fn note_cut(&mut self, phase: Option<&'static str>) {
        if let Some(path) = self.disk.failed_at() {
            let phase = phase.or(self.disk.failed_in_work().then_some("compaction"));
            *self.report.cut_at.entry(phase.unwrap_or_else(|| kind(&path))).or_default() += 1;
        }
    }
}

/// Whether a path is touched first of all by a compaction.
pub fn begins_compaction(path: &Path) -> bool {
    kind(path) == "compaction"
}

/// What a path is for.
fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("wal") => "log",
        Some("log") => "segment",
        Some("idx") => "index",
        Some("new") if path.starts_with("/data/log") => "compaction",
        Some("kv" | "new") => "checkpoint",
        _ if path.starts_with("/data/state") => "checkpoint",
        _ => "folder",
    }
}

fn save(image: &BTreeMap<PathBuf, Vec<u8>>, folder: &Path) -> std::io::Result<()> {
    for (name, bytes) in image {
        let path = folder.join(name.strip_prefix("/").unwrap_or(name));
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

fn name(text: &str) -> Option<Name> {
    Name::new(text).ok()
}

fn wait<T>(future: impl Future<Output = T>) -> Option<T> {
    Some(tokio::runtime::Builder::new_current_thread().build().ok()?.block_on(future))
}
