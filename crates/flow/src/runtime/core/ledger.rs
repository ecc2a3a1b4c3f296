//! What makes a micro-batch one fact: the watermark's step, the state changes and the positions of one commit; and how
//! a core comes back to where they say it was.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_log::Delta;

use super::{Core, Input, InputIndex, Run};
use crate::compile::{KeyedConfig, Work};
use crate::operators::codec::{Reader, put_i64};
use crate::operators::time::bound;
use crate::operators::{Advance, Corrupt, Measure, WatermarkConfig, Watermarks};
use crate::runtime::outbox::Sink;
use crate::runtime::overlay::{Overlay, drain};
use crate::runtime::positions::{Open, Positions};

/// Key of the watermarks in the source space.
pub const WATERMARKS: &[u8] = b"watermarks";

/// Key of an input's position in the source space.
pub fn position_key(retry: bool, partition: u32) -> Vec<u8> {
    let mut key = if retry { b"retry/".to_vec() } else { b"input/".to_vec() };
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Changes of state: space -> deltas.
pub type Deltas = Vec<(Arc<str>, Vec<Delta>)>;

impl Core {
    /// An input has been read to its end.
    pub fn empty(&mut self, input: InputIndex, elapsed: Duration) {
        if let Some(input) = self.inputs.get(input).filter(|input| !input.retry) {
            self.watermarks.empty(input.partition, elapsed);
        }
    }

    /// Moves the watermark and gives out what is due. [`Advance::More`]: commit and call again.
    ///
    /// # Errors
    /// `HW-FLOW-041` when operator state cannot be read.
    pub fn advance(&mut self, out: &mut dyn Sink) -> Result<Advance, Problem> {
        let reached = self.watermarks.advance();
        self.advance_to(reached, out)
    }

    /// Tells the operators, whose entries have been restored, how far event time had come in the earlier life.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn resume(&mut self, out: &mut dyn Sink) -> Result<Advance, Problem> {
        self.advance_to(self.held, out)
    }

    /// The input has ended for good: everything is due.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn finish(&mut self, out: &mut dyn Sink) -> Result<Advance, Problem> {
        let reached = self.watermarks.finish();
        self.advance_to(reached, out)
    }

    fn advance_to(&mut self, reached: Micros, out: &mut dyn Sink) -> Result<Advance, Problem> {
        // Events that waited when an earlier life ended hold event time where it was until all of them are through.
        if !self.inputs.iter().any(Input::is_resuming) {
            self.held = self.held.max(self.parking.fence().map_or(reached, |fence| fence.min(reached)));
        }
        self.around.figures.watermark_micros.store(self.held.0, Ordering::Relaxed);
        // Before the operators forget what event time has left behind.
        self.rows(out);
        let plan = Arc::clone(&self.plan);
        // Events are taken for a while behind the watermark. Nothing is forgotten that one of them could meet: so what comes
        // out does not tell what was forgotten when.
        let taken = bound(self.held, plan.watermark.lateness);
        let mut outcome = Advance::Done;
        for (index, step) in plan.steps.iter().enumerate() {
            let broken = |error: Corrupt| {
                Problem::new("HW-FLOW-041", format!("the state of step `{}` cannot be read: {error}", step.id))
                    .help("apply the pipeline with `--reset-state`, and recompute results with `headwater reconcile`")
            };
            let since = self.around.clock.elapsed();
            let Some(run) = self.runs.get_mut(index) else { continue };
            let went = match run {
                Run::Stateless => continue,
                Run::Aggregate(run) => {
                    let mut state = Overlay { kept: &*self.around.kept, space: &run.space, changes: &mut run.changes };
                    run.operator.advance(&mut state, taken).map_err(broken)?
                }
                Run::Dedupe(run) => {
                    let mut state = Overlay { kept: &*self.around.kept, space: &run.space, changes: &mut run.changes };
                    run.operator.advance(&mut state, taken).map_err(broken)?
                }
                Run::Keyed(run) => {
                    let mut state = Overlay { kept: &*self.around.kept, space: &run.space, changes: &mut run.changes };
                    let went = run.operator.advance(&mut state, self.held, &mut self.emissions).map_err(broken)?;
                    if let (Work::Keyed(work), false) = (&step.work, self.emissions.is_empty()) {
                        let mut emissions = std::mem::take(&mut self.emissions);
                        self.results((index, work), &mut emissions, out);
                        self.emissions = emissions;
                    }
                    went
                }
            };
            self.tally.took(index, self.around.clock.elapsed().saturating_sub(since));
            if went == Advance::More {
                outcome = Advance::More;
            }
        }
        self.around.figures.waiting.store(self.parking.len() as u64, Ordering::Relaxed);
        self.tally.tell(&self.around.figures);
        Ok(outcome)
    }

    /// Whether there is anything to commit besides records.
    pub fn has_changes(&self) -> bool {
        let changed = |run: &Run| match run {
            Run::Stateless => false,
            Run::Aggregate(run) => !run.changes.is_empty(),
            Run::Keyed(run) => !run.changes.is_empty(),
            Run::Dedupe(run) => !run.changes.is_empty(),
        };
        self.inputs.iter().any(|input| input.moved) || self.runs.iter().any(changed)
    }

    /// Takes out everything that has to become durable with the records in the sink. Positions are among it where they
    /// have changed.
    pub fn drain(&mut self) -> Deltas {
        let mut deltas = Vec::new();
        for run in &mut self.runs {
            let (space, changes) = match run {
                Run::Stateless => continue,
                Run::Aggregate(run) => (&run.space, &mut run.changes),
                Run::Keyed(run) => (&run.space, &mut run.changes),
                Run::Dedupe(run) => (&run.space, &mut run.changes),
            };
            if !changes.is_empty() {
                deltas.push((Arc::clone(space), drain(changes)));
            }
        }
        let mut source = Vec::new();
        for input in self.inputs.iter_mut().filter(|input| input.moved) {
            input.moved = false;
            let key = position_key(input.retry, input.partition);
            source.push(Delta { key: Bytes::from(key), value: Some(Bytes::from(input.positions.encode())) });
        }
        let mut watermarks = Vec::new();
        put_i64(&mut watermarks, self.held.0);
        watermarks.extend_from_slice(&self.watermarks.encode());
        source.push(Delta { key: Bytes::from_static(WATERMARKS), value: Some(Bytes::from(watermarks)) });
        deltas.push((Arc::from(self.plan.source_space()), source));
        deltas
    }

    /// Takes one entry of a step's space up again.
    ///
    /// # Errors
    /// `HW-FLOW-041` when it cannot be read.
    pub fn restore(&mut self, step: usize, key: &[u8], value: &[u8]) -> Result<(), Problem> {
        let restored = match self.runs.get_mut(step) {
            Some(Run::Aggregate(run)) => run.operator.restore(key, value),
            Some(Run::Keyed(run)) => run.operator.restore(key, value),
            Some(Run::Dedupe(run)) => run.operator.restore(key, value),
            Some(Run::Stateless) | None => Ok(()),
        };
        restored.map_err(|error| {
            let step = self.plan.steps.get(step).map_or("", |step| step.id.as_str());
            Problem::new("HW-FLOW-041", format!("the state of step `{step}` cannot be read: {error}"))
                .help("apply the pipeline with `--reset-state`")
        })
    }
}

/// Reads the watermarks that [`Core::drain`] wrote: the source's, and the one that operators had seen.
///
/// # Errors
/// [`Corrupt`] for anything else.
pub fn watermarks(config: WatermarkConfig, bytes: &[u8]) -> Result<(Watermarks, Micros), Corrupt> {
    let mut reader = Reader::new(bytes);
    let held = Micros(reader.i64()?);
    let mut written = Vec::new();
    put_i64(&mut written, held.0);
    let rest = bytes.get(written.len()..).unwrap_or_default();
    Ok((Watermarks::decode(config, rest)?, held))
}

impl Input {
    /// An input that goes on behind `positions`.
    pub fn new(stream: Arc<str>, partition: u32, retry: bool, positions: Positions) -> Self {
        let resumed = positions.next();
        Self { stream, partition, retry, positions, resumed, moved: false }
    }

    /// Whether events that waited when an earlier life ended are still not through.
    fn is_resuming(&self) -> bool {
        let mut before = self.positions.open().iter().take_while(|(offset, _)| **offset < self.resumed);
        !self.retry && before.any(|(_, open)| *open != Open::Owed)
    }
}

impl KeyedConfig {
    /// The measures, whose names results need.
    pub fn measures(&self) -> &[Measure] {
        match self {
            Self::Windows(config) => &config.measures,
            Self::Sessions(config) => &config.measures,
        }
    }
}
