//! Tumbling and sliding windows: results for fixed stretches of event time.
//!
//! Rules:
//! - A window holds the events from its start up to, not including, its end. Windows begin at multiples of `every` since
//!   1970; with `every` equal to `size` they tumble, with a smaller `every` each event is in `size / every` of them.
//! - A window is given out once the watermark has reached its end, and again with the next revision for each
//!   micro-batch that brought late events, until `watermark - lateness` has reached its end as well.
//! - Windows without events are not given out.
//!
//! State: one value for each window of a key, under its start (8 bytes, big-endian, sign bit turned) and the key.

use std::time::Duration;

use bytes::Bytes;
use headwater_base::Micros;

use crate::operators::codec::{Corrupt, Reader, corrupt, put_u64};
use crate::operators::live::Live;
use crate::operators::measure::{Measured, layout};
use crate::operators::time::bound;
use crate::operators::timers::Timers;
use crate::operators::{
    ADVANCE_MAX, Advance, ConfigError, Emission, Event, HOPS_MAX, Kind, Measure, Operator, Outcome, State, WindowRow,
};

const VERSION: u8 = 1;

/// Windows over one event at most.
pub const OVERLAP_MAX: u128 = 1_000;

/// A window step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowConfig {
    /// Length of a window.
    pub size: Duration,
    /// A window begins at each multiple of this; equal to `size` for tumbling windows.
    pub every: Duration,
    /// How far behind the watermark events are still taken.
    pub lateness: Duration,
    /// What is measured.
    pub measures: Vec<Measure>,
}

/// The window operator.
#[derive(Debug)]
pub struct Windows {
    config: WindowConfig,
    kinds: Vec<Kind>,
    watermark: Micros,
    timers: Timers,
    live: Live<Window>,
    /// The place of the window at hand.
    place: Vec<u8>,
}

/// What the state holds of one window.
#[derive(Clone, Debug, PartialEq)]
struct Window {
    events: u64,
    revision: u32,
    /// There is something to give out.
    pending: bool,
    /// The most of its events; at most [`HOPS_MAX`].
    hops: u32,
    measures: Vec<Measured>,
}

impl WindowConfig {
    /// The starts of the windows that hold `time`, latest first.
    pub fn starts(&self, time: Micros) -> impl Iterator<Item = Micros> + use<> {
        let every = i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX).max(1);
        let size = self.size;
        let latest = time.0.div_euclid(every).saturating_mul(every);
        (0..)
            .map(move |back: i64| Micros(latest.saturating_sub(every.saturating_mul(back))))
            .take_while(move |start| start.plus(size) > time && *start > Micros::MIN)
    }

    /// The next time something happens to the window.
    fn due(&self, start: Micros, window: &Window) -> Micros {
        let end = start.plus(self.size);
        if window.pending { end } else { end.plus(self.lateness) }
    }
}

impl Windows {
    /// Builds the operator.
    ///
    /// # Errors
    /// A size or step of zero, a step over the size, or more than [`OVERLAP_MAX`] windows over each event.
    pub fn new(config: WindowConfig) -> Result<Self, ConfigError> {
        let (size, every) = (config.size.as_micros(), config.every.as_micros());
        if size == 0 || every == 0 {
            return Err(ConfigError("a window needs a size and a step above zero".to_owned()));
        }
        if every > size {
            return Err(ConfigError(format!(
                "windows of {:?} every {:?} would leave events out",
                config.size, config.every
            )));
        }
        if size.div_ceil(every) > OVERLAP_MAX {
            let overlap = size.div_ceil(every);
            return Err(ConfigError(format!("each event would be in {overlap} windows; the limit is {OVERLAP_MAX}")));
        }
        let kinds = config.measures.iter().map(|measure| measure.kind).collect();
        let width = i64::try_from(every).unwrap_or(i64::MAX);
        let (timers, live) = (Timers::new(width), Live::default());
        Ok(Self { config, kinds, watermark: Micros::MIN, timers, live, place: Vec::new() })
    }
}

impl Window {
    fn new(kinds: &[Kind]) -> Self {
        let measures = kinds.iter().map(|kind| Measured::new(*kind)).collect();
        Self { events: 0, revision: 0, pending: false, hops: 0, measures }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        put_u64(out, self.events);
        // What belongs to no chain pays nothing for it.
        put_u64(out, u64::from(self.hops) << 33 | u64::from(self.revision) << 1 | u64::from(self.pending));
        for measured in &self.measures {
            measured.put(out, Micros(0));
        }
    }

    fn decode(kinds: &[Kind], bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned(bytes, VERSION)?;
        let events = reader.u64()?;
        let flags = reader.u64()?;
        let (revision, hops) = ((flags >> 1) as u32, (flags >> 33) as u32);
        let read = |kind: &Kind| Measured::read(*kind, &mut reader, Micros(0));
        let measures = kinds.iter().map(read).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { events, revision, pending: flags & 1 > 0, hops, measures })
    }
}

impl Operator for Windows {
    fn event(
        &mut self,
        state: &mut dyn State,
        event: &Event<'_>,
        _out: &mut Vec<Emission>,
    ) -> Result<Outcome, Corrupt> {
        let bound = bound(self.watermark, self.config.lateness);
        if event.time < bound {
            return Ok(Outcome::Late { bound });
        }
        for start in self.config.starts(event.time) {
            self.place.clear();
            put_place(&mut self.place, start, event.key);
            let kinds = &self.kinds;
            let known = |bytes: Option<&[u8]>| match bytes {
                Some(bytes) => Window::decode(kinds, bytes),
                None => Ok(Window::new(kinds)),
            };
            let window = self.live.change(state, &self.place, known)?;
            if !window.pending {
                window.pending = true;
                self.timers.schedule(self.config.due(start, window), &self.place);
            }
            window.events = window.events.saturating_add(1);
            window.hops = window.hops.max(event.hops.min(HOPS_MAX));
            for (measured, input) in window.measures.iter_mut().zip(event.inputs) {
                measured.add(input, (event.time, event.position));
            }
        }
        Ok(Outcome::Taken)
    }

    fn advance(
        &mut self,
        state: &mut dyn State,
        watermark: Micros,
        out: &mut Vec<Emission>,
    ) -> Result<Advance, Corrupt> {
        self.watermark = self.watermark.max(watermark);
        let bound = bound(self.watermark, self.config.lateness);
        let mut outcome = Advance::More;
        for _ in 0..ADVANCE_MAX {
            let Some(place) = self.timers.pop(self.watermark) else {
                outcome = Advance::Done;
                break;
            };
            let read = |bytes: &[u8]| Window::decode(&self.kinds, bytes);
            let Some(mut taken) = self.live.take(state, &place, read)? else { continue };
            let (start, key) = read_place(&place)?;
            let end = start.plus(self.config.size);
            let window = &mut taken.value;
            if window.pending && end <= self.watermark {
                window.pending = false;
                window.revision = window.revision.saturating_add(1);
                out.push(Emission::Window(WindowRow {
                    key: Bytes::copy_from_slice(key),
                    start,
                    end,
                    revision: window.revision,
                    events: window.events,
                    hops: window.hops,
                    measures: window.measures.iter().map(Measured::value).collect(),
                }));
                taken.changed = true;
            }
            if end <= bound && !window.pending {
                state.delete(&place);
            } else {
                self.timers.schedule(self.config.due(start, window), &place);
                self.live.put(place, taken);
            }
        }
        self.live.settle(state, Window::encode);
        Ok(outcome)
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let (start, _) = read_place(key)?;
        let due = self.config.due(start, &Window::decode(&self.kinds, value)?);
        self.timers.schedule(due, key);
        Ok(())
    }

    fn measures(&self) -> &[Measure] {
        &self.config.measures
    }

    fn layout(&self) -> String {
        let (size, every) = (self.config.size, self.config.every);
        format!("window/{VERSION} {size:?} every {every:?} {}", layout(&self.config.measures))
    }
}

/// Appends the key of a window in the state: sorts by start.
fn put_place(place: &mut Vec<u8>, start: Micros, key: &[u8]) {
    place.extend_from_slice(&(start.0 ^ i64::MIN).to_be_bytes());
    place.extend_from_slice(key);
}

fn read_place(place: &[u8]) -> Result<(Micros, &[u8]), Corrupt> {
    match place.split_first_chunk::<8>() {
        Some((start, key)) => Ok((Micros(i64::from_be_bytes(*start) ^ i64::MIN), key)),
        None => corrupt("a window's start in its key"),
    }
}

#[cfg(test)]
mod tests;
