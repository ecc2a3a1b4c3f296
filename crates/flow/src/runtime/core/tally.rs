//! What a core counts for each step and each stream it writes, in plain numbers of its own thread; once for each
//! micro-batch they are added to the figures that others read.
//!
//! Time is measured for one walk of an event through the steps of [`SAMPLED`], and counts for all of them: the clock is
//! not read for each event. What operators do when event time moves is measured as it is, once for each micro-batch.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::compile::Plan;
use crate::runtime::figures::Figures;
use crate::runtime::outbox::Target;

/// One walk of so many is measured. No power of two, so that it does not fall onto the same place of every batch.
const SAMPLED: u32 = 61;

/// Counts since the last micro-batch.
#[derive(Debug)]
pub struct Tally {
    /// Records read.
    pub(super) events: u64,
    /// Records written to outputs.
    pub(super) outputs: u64,
    steps: Vec<StepTally>,
    written: Vec<u64>,
    /// Walks until one is measured.
    unmeasured: u32,
    /// Nothing has been counted of steps and streams.
    clean: bool,
}

/// Counts of one step; see [`crate::runtime::figures::StepFigures`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepTally {
    pub events: u64,
    pub passed: u64,
    pub dropped: u64,
    pub dead: u64,
    pub failed: u64,
    pub late: u64,
    pub results: u64,
    nanos: u64,
}

impl Tally {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            events: 0,
            outputs: 0,
            steps: vec![StepTally::default(); plan.steps.len()],
            written: vec![0; plan.streams.len()],
            unmeasured: SAMPLED,
            clean: true,
        }
    }

    /// Counts at a step.
    pub(super) fn at(&mut self, step: usize, count: impl FnOnce(&mut StepTally)) {
        self.clean = false;
        if let Some(tally) = self.steps.get_mut(step) {
            count(tally);
        }
    }

    /// A record has been written.
    pub(super) fn wrote(&mut self, target: Target) {
        self.clean = false;
        if let Some(written) = self.written.get_mut(target) {
            *written += 1;
        }
    }

    /// Whether the walk that begins is measured.
    pub(super) fn measures(&mut self) -> bool {
        self.unmeasured -= 1;
        if self.unmeasured > 0 {
            return false;
        }
        self.unmeasured = SAMPLED;
        true
    }

    /// A measured walk was so long at a step.
    pub(super) fn sampled(&mut self, step: usize, took: Duration) {
        self.took(step, took.saturating_mul(SAMPLED));
    }

    /// A step took so long.
    pub(super) fn took(&mut self, step: usize, took: Duration) {
        if took.is_zero() {
            return;
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.at(step, |tally| tally.nanos = tally.nanos.saturating_add(nanos));
    }

    /// Adds all counts to the figures, and begins anew.
    pub(super) fn tell(&mut self, figures: &Figures) {
        add(&figures.events, std::mem::take(&mut self.events));
        add(&figures.outputs, std::mem::take(&mut self.outputs));
        if self.clean {
            return;
        }
        self.clean = true;
        for (tally, told) in self.steps.iter_mut().zip(&figures.steps) {
            let counted = std::mem::take(tally);
            add(&told.events, counted.events);
            add(&told.passed, counted.passed);
            add(&told.dropped, counted.dropped);
            add(&told.dead, counted.dead);
            add(&told.failed, counted.failed);
            add(&told.late, counted.late);
            add(&told.results, counted.results);
            add(&told.nanos, counted.nanos);
        }
        for (written, told) in self.written.iter_mut().zip(&figures.written) {
            add(told, std::mem::take(written));
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        Figures::add(counter, count);
    }
}
