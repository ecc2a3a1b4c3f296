//! What a running pipeline counts, readable from any thread.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::compile::{Plan, Work};

/// Counters and gauges of one pipeline.
#[derive(Debug, Default)]
pub struct Figures {
    /// Records read.
    pub events: AtomicU64,
    /// Records written to outputs.
    pub outputs: AtomicU64,
    /// Events a filter or dedupe step dropped.
    pub dropped: AtomicU64,
    /// Dead letters.
    pub dead: AtomicU64,
    /// Late events.
    pub late: AtomicU64,
    /// Events whose chain had too many steps.
    pub cut: AtomicU64,
    /// Events with a failed lookup.
    pub failed: AtomicU64,
    /// Copies taken from the retry stream.
    pub retries: AtomicU64,
    /// Events whose retry succeeded.
    pub revised: AtomicU64,
    /// Windows and sessions given out.
    pub results: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// Events that wait for a lookup or their turn.
    pub waiting: AtomicU64,
    /// Records in the input that have not been read.
    pub lag: AtomicU64,
    /// The watermark in microseconds; `i64::MIN` before the first event.
    pub watermark_micros: AtomicI64,
    /// Records that were gone before they were read, by their offsets: those that compaction had taken count as well.
    pub skipped: AtomicU64,
    /// By step of the plan.
    pub steps: Vec<StepFigures>,
    /// Records written, by stream of the plan.
    pub written: Vec<AtomicU64>,
}

/// Counters of one step, as new as the last micro-batch.
#[derive(Debug, Default)]
pub struct StepFigures {
    /// Events that came to it.
    pub events: AtomicU64,
    /// Events that went on from it.
    pub passed: AtomicU64,
    /// Events it dropped.
    pub dropped: AtomicU64,
    /// Events that became dead letters at it.
    pub dead: AtomicU64,
    /// Events that went on without the answer they asked for.
    pub failed: AtomicU64,
    /// Events too late for it.
    pub late: AtomicU64,
    /// Windows and sessions it gave out.
    pub results: AtomicU64,
    /// Time of the pipeline's thread that went into it; an estimate, see [`super::core::Tally`].
    pub nanos: AtomicU64,
}

impl Figures {
    /// Figures with a row for each step and stream of a plan.
    pub fn of(plan: &Plan) -> Self {
        Self {
            steps: plan.steps.iter().map(|_| StepFigures::default()).collect(),
            written: plan.streams.iter().map(|_| AtomicU64::new(0)).collect(),
            ..Self::default()
        }
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Name -> value, as in `hw_flow_*` without the prefix.
    pub fn list(&self) -> Vec<(&'static str, f64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let mut list = vec![
            ("events_total", read(&self.events)),
            ("outputs_total", read(&self.outputs)),
            ("dropped_total", read(&self.dropped)),
            ("dead_letters_total", read(&self.dead)),
            ("late_total", read(&self.late)),
            ("loops_cut_total", read(&self.cut)),
            ("lookups_failed_total", read(&self.failed)),
            ("retries_total", read(&self.retries)),
            ("revised_total", read(&self.revised)),
            ("results_total", read(&self.results)),
            ("commits_total", read(&self.commits)),
            ("waiting_events", read(&self.waiting)),
            ("lag_events", read(&self.lag)),
            ("skipped_total", read(&self.skipped)),
        ];
        let watermark = self.watermark_micros.load(Ordering::Relaxed);
        if watermark != i64::MIN && watermark != i64::MAX {
            list.push(("watermark_seconds", watermark as f64 / 1e6));
        }
        list
    }
}

impl StepFigures {
    /// Name -> value, as in `hw_flow_step_*` without the prefix; only what a step of this kind can count.
    pub fn list(&self, work: &Work) -> Vec<(&'static str, f64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let own: Vec<(&'static str, &AtomicU64)> = match work {
            Work::Filter(_) | Work::Dedupe(_) => vec![("dropped_total", &self.dropped)],
            Work::Transform(_) => Vec::new(),
            Work::Lookup(_) => vec![("failed_total", &self.failed)],
            Work::Aggregate(_) | Work::Keyed(_) => {
                vec![("late_total", &self.late), ("results_total", &self.results)]
            }
        };
        let mut list = vec![
            ("events_total", read(&self.events)),
            ("passed_total", read(&self.passed)),
            ("dead_letters_total", read(&self.dead)),
        ];
        list.extend(own.into_iter().map(|(name, counter)| (name, read(counter))));
        list.push(("seconds_total", read(&self.nanos) / 1e9));
        list
    }
}
