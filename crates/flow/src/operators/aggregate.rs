//! Running aggregates of a key over several sliding windows at once, readable after every event.
//!
//! What it is NOT: it gives out nothing at the close of a window and takes events however late, as long as they fall
//! into one of its windows; so it needs no watermark but for forgetting. Whoever moves that says that no event from before
//! it comes any more; then no value shows whether and when a key was forgotten.
//!
//! **Windows slide in panes.** A window of length `w` is cut into panes of a grain `g` (12 to 24 of them, see
//! [`Shape::grains`]): `1m` moves in steps of 5 s, `10m` of 30 s, `1h` of 5 min, `24h` of 1 h. At a time `t` it holds what
//! happened since the start of the pane that lies `w - g` before the pane of `t`. So it never counts an event older than
//! `w`, and always counts one younger than `w - g`.
//!
//! **One set of panes serves all windows.** Each event is in one pane. A pane is as fine as the shortest window that it
//! still belongs to needs; when it leaves that window it melts into the next one's coarser pane. Grains divide each other,
//! so panes never straddle. A key's state thus has at most as many panes as it had events, and never more than all
//! windows together (68 for the four above). Measures that need no panes keep one structure for all windows: `distinct`
//! ([`super::seen`]) and `last`.
//!
//! **All time.** What no window ends, such as the last price of a listing, is kept under the window name `all`. A key that
//! has had no event for a set while begins anew with its next one, so that such keys end as well.
//!
//! **As of when.** Values are as of the newest event of the key, or of the time of reading if that is later.
//!
//! State: one value per key: version, newest tick, all-time measures, `distinct`, `last`, panes newest first. A tick is
//! the number of a finest pane since 1970. A key is deleted once the watermark has left all its windows behind, or has come
//! to where it begins anew; such keys are found by going through the state a part at a time.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::Micros;

use crate::operators::codec::{Corrupt, Reader};
use crate::operators::measure::layout;
use crate::operators::{Advance, Change, ConfigError, FORGOTTEN_TOGETHER, Input, Measure, Position, State};

mod recent;
mod shape;
mod sweep;
mod walk;

pub use shape::Shape;
use sweep::Sweep;
use walk::Scratch;

/// Version of the stored bytes.
const VERSION: u8 = 1;

/// Keys that one call of [`Aggregate::advance`] deletes at most: twice as many as a micro-batch has records, each of which
/// may bring a new key, or else the state of a pipeline that has no pause would grow without end.
const SWEPT_MAX: usize = 2_048;
/// Keys to be deleted that are listed at most; where a part of the state has more, it is looked through again.
const OVER_MAX: usize = 1 << 16;

/// An aggregate step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateConfig {
    /// The windows with the names they have in the spec (`10m`), shortest first.
    pub windows: Vec<(String, Duration)>,
    /// Also measures over all time, under the window name `all`; a key without an event for this long begins anew.
    pub all: Option<Duration>,
    /// What is measured.
    pub measures: Vec<Measure>,
}

/// The aggregate operator.
#[derive(Debug)]
pub struct Aggregate {
    shape: Arc<Shape>,
    sweep: Sweep,
    /// Keys whose windows were all empty when the sweep came by, and that are still to be deleted.
    over: Vec<Box<[u8]>>,
    scratch: Scratch,
}

impl Aggregate {
    /// Builds the operator.
    ///
    /// # Errors
    /// No window at all, no measure, windows that are not in order or cannot share panes, keys that begin anew before
    /// their windows end.
    pub fn new(config: AggregateConfig) -> Result<Self, ConfigError> {
        let shape = Arc::new(Shape::new(config)?);
        Ok(Self { shape, sweep: Sweep::default(), over: Vec::new(), scratch: Scratch::default() })
    }

    /// For readers of features: shared with the operator, needs nothing else of it.
    pub fn shape(&self) -> Arc<Shape> {
        Arc::clone(&self.shape)
    }

    /// Takes one event and writes the values after it behind `out`, if there is one, as a JSON object of fields
    /// `<measure>_<window>` (`failures_10m`). That is more than half of the work: who needs only the last values of a key
    /// asks for [`Self::values`]. Inputs as for [`super::Event`]. An event without any input (all [`Input::Skip`]) changes
    /// nothing and gets the values as of its time.
    ///
    /// # Errors
    /// [`Corrupt`] when the key's state cannot be read; nothing has been changed then.
    pub fn event(
        &mut self,
        state: &mut dyn State,
        key: &[u8],
        time: Micros,
        position: Position,
        inputs: &[Input<'_>],
        mut out: Option<&mut Vec<u8>>,
    ) -> Result<(), Corrupt> {
        let idle = inputs.iter().all(|input| *input == Input::Skip);
        if idle && out.is_none() {
            return Ok(());
        }
        let (shape, sweep, scratch) = (&*self.shape, &mut self.sweep, &mut self.scratch);
        let tick = shape.tick(time);
        if idle {
            return state.read(key, |value| shape.run(value, tick, None, scratch, out.as_deref_mut()));
        }
        let event = walk::Event { at: (time, position), tick, inputs };
        state.change(key, &mut |value, made| {
            shape.run(value, tick, Some(&event), scratch, out.as_deref_mut())?;
            if value.is_none()
                && let Some(due) = shape.due(tick)
            {
                sweep.comes_due(due);
            }
            std::mem::swap(made, &mut scratch.out);
            Ok(Change::Put)
        })
    }

    /// Writes the values of a key behind `out`, as of `at` or of its newest event, if that is later: after the key's last
    /// event, what [`Self::event`] would have written for it.
    ///
    /// # Errors
    /// [`Corrupt`] when the key's state cannot be read.
    pub fn values(&mut self, state: &dyn State, key: &[u8], at: Micros, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let (shape, scratch) = (&*self.shape, &mut self.scratch);
        let tick = shape.tick(at);
        state.read(key, |value| shape.run(value, tick, None, scratch, Some(&mut *out)))
    }

    /// Deletes keys whose windows are all empty at `watermark`: looks through one part of the state with each call at most,
    /// and deletes a bounded number of keys; what is left over is found by later calls, so [`Advance::More`] is no reason to
    /// hurry. The end of the input ([`Micros::MAX`]) is no moment that anything could be old at, and deletes nothing.
    ///
    /// # Errors
    /// [`Corrupt`] when a state cannot be read.
    pub fn advance(&mut self, state: &mut dyn State, watermark: Micros) -> Result<Advance, Corrupt> {
        if watermark == Micros::MAX {
            return Ok(Advance::Done);
        }
        let (shape, sweep, over) = (&*self.shape, &mut self.sweep, &mut self.over);
        if over.is_empty() {
            let Some(part) = sweep.next(watermark, shape.sweeping()) else { return Ok(Advance::Done) };
            let mut read = Ok(());
            state.for_part(part, &mut |key, value| match head(value).map(|newest| shape.due(newest)) {
                Ok(Some(due)) if due > watermark => sweep.comes_due(due),
                Ok(Some(_)) if over.len() < OVER_MAX => over.push(key.into()),
                Ok(_) => {}
                Err(error) => read = Err(error),
            });
            read?;
            if over.len() < OVER_MAX {
                sweep.done();
            }
        }
        let left = over.len().saturating_sub(SWEPT_MAX);
        for keys in over.get(left..).unwrap_or_default().chunks(FORGOTTEN_TOGETHER) {
            state.foresee(keys);
            for key in keys {
                // It may have been written since it was listed.
                state.change(key, &mut |value, _| {
                    let due = value.map(head).transpose()?.and_then(|newest| shape.due(newest));
                    let Some(due) = due else { return Ok(Change::Keep) };
                    if due <= watermark {
                        return Ok(Change::Delete);
                    }
                    sweep.comes_due(due);
                    Ok(Change::Keep)
                })?;
            }
        }
        over.truncate(left);
        if over.is_empty() {
            // Until the next sweep finds some.
            *over = Vec::new();
        }
        Ok(if sweep.is_under_way() || !over.is_empty() { Advance::More } else { Advance::Done })
    }

    /// Takes notice of one entry of the operator's space.
    ///
    /// # Errors
    /// [`Corrupt`] when the state cannot be read.
    pub fn restore(&mut self, _key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if let Some(due) = self.shape.due(head(value)?) {
            self.sweep.comes_due(due);
        }
        Ok(())
    }

    /// What the stored bytes depend on; see [`super::Operator::layout`].
    pub fn layout(&self) -> String {
        let config = self.shape.config();
        let names: Vec<_> = config.windows.iter().map(|(_, size)| format!("{size:?}")).collect();
        let all = if config.all.is_some() { " all" } else { "" };
        format!("aggregate/{VERSION} {}{all} {}", names.join(","), layout(&config.measures))
    }
}

/// The newest tick of a key's state.
fn head(value: &[u8]) -> Result<i64, Corrupt> {
    Reader::versioned(value, VERSION)?.i64()
}

#[cfg(test)]
mod tests;
