//! Watermarks: how far event time has come.
//!
//! What it is NOT: a clock. Event times come from the events; the wall clock only says what is implausible, and elapsed
//! time only says which partition is idle. Both are passed in.
//!
//! Rules:
//! - A partition's watermark is its largest event time less `disorder`: no event before it is expected any more.
//! - The global watermark is the smallest one of all partitions that are not idle, and never goes back. A partition
//!   that has not had an event yet holds it back until it is idle.
//! - A partition is idle once the runtime has found it empty ([`Watermarks::empty`]) again and again for `idle`, without
//!   an event in between. Input that lies unread in the log is therefore never mistaken for silence, however long it
//!   waits, and neither is a time in which nobody looked: a node that was down, behind or full.
//! - When all are idle, what held the watermark back has had its time: it rises to the largest partition's.
//! - An idle partition that wakes up counts again with its own watermark, which may lie behind the global one: its
//!   events up to `lateness` behind are taken as any other's, and until it catches up the global one stands still.
//! - An event more than `ahead` later than its time of arrival is implausible, and moves nothing.
//! - An event before `watermark - lateness` is late, and moves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_base::Micros;

use crate::operators::codec::{Corrupt, Reader, put_i64, put_time, put_u64};

const VERSION: u8 = 1;

/// How event time is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatermarkConfig {
    /// By how much events of one partition may be out of order without being late.
    pub disorder: Duration,
    /// How far behind the watermark events are still taken.
    pub lateness: Duration,
    /// A partition without events for this long no longer holds the watermark back.
    pub idle: Duration,
    /// An event this much later than its arrival is implausible.
    pub ahead: Duration,
}

impl Default for WatermarkConfig {
    fn default() -> Self {
        Self {
            disorder: Duration::from_secs(5),
            lateness: Duration::from_secs(60),
            idle: Duration::from_secs(10),
            ahead: Duration::from_secs(3_600),
        }
    }
}

/// What an event's time says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// To be taken.
    OnTime,
    /// To the side stream: it is before `bound`.
    Late {
        /// The time from which events are taken.
        bound: Micros,
    },
    /// To the side stream: it is after `bound`; a wrong clock or a wrong unit.
    Implausible {
        /// The time up to which events are taken.
        bound: Micros,
    },
}

/// The watermarks of one pipeline's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermarks {
    config: WatermarkConfig,
    partitions: BTreeMap<u32, Partition>,
    global: Micros,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Partition {
    /// The largest event time; None before the first event.
    newest: Option<Micros>,
    /// Elapsed time at which it was first and last found empty since its last event.
    empty: Option<(Duration, Duration)>,
}

impl Partition {
    const NEW: Self = Self { newest: None, empty: None };

    fn is_idle(&self, idle: Duration) -> bool {
        self.empty.is_some_and(|(first, last)| last.saturating_sub(first) >= idle)
    }
}

impl Watermarks {
    /// Starts before all events, with the partitions `0..count`.
    pub fn new(config: WatermarkConfig, count: u32) -> Self {
        let mut watermarks = Self { config, partitions: BTreeMap::new(), global: Micros::MIN };
        watermarks.grow(count);
        watermarks
    }

    /// Adds partitions up to `count`; those known stay as they are, and any others go: nobody would find them idle.
    pub fn grow(&mut self, count: u32) {
        self.partitions.retain(|partition, _| *partition < count);
        for partition in 0..count {
            self.partitions.entry(partition).or_insert(Partition::NEW);
        }
    }

    /// Judges an event that arrived (was ingested) at `arrived`, and follows its time if it is to be taken.
    pub fn observe(&mut self, partition: u32, time: Micros, arrived: Micros) -> Observed {
        let slot = self.partitions.entry(partition).or_insert(Partition::NEW);
        slot.empty = None;
        let ahead = arrived.plus(self.config.ahead);
        if time > ahead {
            return Observed::Implausible { bound: ahead };
        }
        let bound = bound(self.global, self.config.lateness);
        if time < bound {
            return Observed::Late { bound };
        }
        slot.newest = slot.newest.max(Some(time));
        Observed::OnTime
    }

    /// The runtime has read `partition` to its end and found nothing new.
    pub fn empty(&mut self, partition: u32, elapsed: Duration) {
        if let Some(slot) = self.partitions.get_mut(&partition) {
            slot.empty.get_or_insert((elapsed, elapsed)).1 = elapsed;
        }
    }

    /// Computes the global watermark. Call it at the end of each micro-batch, and now and then without input.
    pub fn advance(&mut self) -> Micros {
        let of = |slot: &Partition| slot.newest.map_or(Micros::MIN, |newest| newest.minus(self.config.disorder));
        let held = self.partitions.values().filter(|slot| !slot.is_idle(self.config.idle)).map(of).min();
        let reached = held.or_else(|| self.partitions.values().map(of).max());
        self.global = self.global.max(reached.unwrap_or(Micros::MIN));
        self.global
    }

    /// The input has ended for good (a file): everything is due.
    pub fn finish(&mut self) -> Micros {
        self.global = Micros::MAX;
        self.global
    }

    /// The global watermark as last computed.
    pub const fn watermark(&self) -> Micros {
        self.global
    }

    /// The largest event time of a partition; for lag figures.
    pub fn newest(&self, partition: u32) -> Option<Micros> {
        self.partitions.get(&partition).and_then(|slot| slot.newest)
    }

    /// The bytes that go into the pipeline's commit. Idleness is not among them: after a restart every partition has
    /// to be found idle again.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_i64(&mut out, self.global.0);
        put_u64(&mut out, self.partitions.len() as u64);
        for (partition, slot) in &self.partitions {
            put_u64(&mut out, u64::from(*partition));
            out.push(u8::from(slot.newest.is_some()));
            if let Some(newest) = slot.newest {
                put_time(&mut out, self.global, newest);
            }
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn decode(config: WatermarkConfig, bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned(bytes, VERSION)?;
        let global = Micros(reader.i64()?);
        let mut partitions = BTreeMap::new();
        for _ in 0..reader.count()? {
            let partition = reader.u32()?;
            let newest = if reader.byte()? == 0 { None } else { Some(reader.time(global)?) };
            partitions.insert(partition, Partition { newest, empty: None });
        }
        reader.end()?;
        Ok(Self { config, partitions, global })
    }
}

/// The time from which events are taken at `watermark`.
pub fn bound(watermark: Micros, lateness: Duration) -> Micros {
    // Before the first watermark and after the last there is nothing to subtract from.
    if watermark == Micros::MIN || watermark == Micros::MAX { watermark } else { watermark.minus(lateness) }
}

#[cfg(test)]
mod tests;
