//! What is kept of a Map Run: what it runs, and how far it is.

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::workflows::ExecutionState;
use serde_json::{Map, Value};

use crate::definition::Flavor;
use crate::engine::rows;
use crate::execution::MapRun;
use crate::execution::map_run::{Items, Tolerance};
use crate::execution::record::codec::{Fetch, Large, Reader, Writer};

/// A Map Run's row, with what of it is kept beside the row; `stopped` when nobody waits for it any more.
pub(in crate::engine) fn encode(run: &MapRun, stopped: bool, inline_max: usize) -> (Bytes, Large) {
    let mut writer = Writer::within(inline_max);
    writer.byte(2);
    writer.raw(&rows::attempt_bytes(&run.attempt));
    writer.text(&run.arn);
    writer.text(&run.label);
    writer.number(u64::from(run.machine));
    writer.byte(u8::from(run.flavor == Flavor::Express));
    writer.apart(|writer| run.items.encode(writer));
    for value in [&run.reader, &run.batcher, &run.writer] {
        writer.option(value.as_ref(), Writer::payload);
    }
    writer.number(run.concurrency);
    tolerance(&mut writer, &run.tolerance);
    writer.byte(u8::from(run.redrive));
    writer.byte(u8::from(stopped));
    (Bytes::from(writer.bytes), writer.large)
}

fn tolerance(writer: &mut Writer, of: &Tolerance) {
    writer.option(of.count.as_ref(), |writer, count| writer.number(*count));
    writer.option(of.percentage.as_ref(), |writer, share| writer.raw(&share.to_le_bytes()));
}

fn read_tolerance(reader: &mut Reader<'_>) -> Option<Tolerance> {
    Some(Tolerance {
        count: reader.option(Reader::number)?,
        percentage: reader.option(|reader| Some(f64::from_le_bytes(reader.raw(8)?.try_into().ok()?)))?,
    })
}

/// The Map Run of a row, and whether it was stopped.
pub(in crate::engine) fn decode(bytes: &[u8], fetch: Fetch<'_>) -> Option<(MapRun, bool)> {
    Reader::with(bytes, fetch).whole(read)
}

fn read(reader: &mut Reader<'_>) -> Option<(MapRun, bool)> {
    // The first version kept everything in the row, and its row went when it was stopped.
    let version = reader.byte().filter(|version| (1..=2).contains(version))?;
    let run = MapRun {
        attempt: rows::attempt_of(reader.raw(16)?)?,
        arn: reader.text()?,
        label: reader.text()?,
        machine: reader.small()?,
        flavor: if reader.byte()? == 1 { Flavor::Express } else { Flavor::Standard },
        items: if version == 1 { Items::decode_before_more(reader)? } else { reader.apart(Items::decode)? },
        reader: reader.option(Reader::payload)?,
        batcher: reader.option(Reader::payload)?,
        writer: reader.option(Reader::payload)?,
        concurrency: reader.number()?,
        tolerance: read_tolerance(reader)?,
        redrive: reader.byte()? == 1,
    };
    Some((run, version > 1 && reader.byte()? == 1))
}

/// Children of a Map Run, or their items, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// Every one before this is over and its result durable.
    pub(super) next: u64,
    /// As far as is known.
    pub(super) total: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) timed_out: u64,
    pub(super) aborted: u64,
}

impl Counts {
    /// So many more have ended like this.
    pub(super) fn add(&mut self, state: ExecutionState, count: u64) {
        let those = match state {
            ExecutionState::Succeeded => &mut self.succeeded,
            ExecutionState::TimedOut => &mut self.timed_out,
            ExecutionState::Aborted => &mut self.aborted,
            _ => &mut self.failed,
        };
        *those = those.saturating_add(count);
    }

    /// Those that did not succeed.
    pub(super) const fn lost(&self) -> u64 {
        self.failed.saturating_add(self.timed_out).saturating_add(self.aborted)
    }

    /// Those that came to an end.
    pub(super) const fn ended(&self) -> u64 {
        self.succeeded.saturating_add(self.lost())
    }

    /// From the first one, of which those that succeeded stay counted.
    const fn again(self) -> Self {
        Self { next: 0, failed: 0, timed_out: 0, aborted: 0, ..self }
    }

    fn encode(&self, writer: &mut Writer) {
        let all = [self.next, self.total, self.succeeded, self.failed, self.timed_out, self.aborted];
        all.iter().for_each(|count| writer.number(*count));
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            next: reader.number()?,
            total: reader.number()?,
            succeeded: reader.number()?,
            failed: reader.number()?,
            timed_out: reader.number()?,
            aborted: reader.number()?,
        })
    }
}

/// How far a Map Run is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) struct Progress {
    pub(in crate::engine) arn: String,
    pub(super) execution_arn: String,
    pub(super) status: String,
    pub(super) started: Micros,
    pub(super) stopped: Option<Micros>,
    pub(super) children: Counts,
    /// Of a batch each item counts as its child does.
    pub(super) items: Counts,
    pub(super) concurrency: u64,
    pub(super) tolerance: Tolerance,
    /// Where its results begin in the partition of the stream of results.
    pub(super) first: i64,
    /// How often it was taken up again. Children that succeeded before are passed over.
    pub(super) redrives: u32,
    pub(super) redriven: Option<Micros>,
}

impl Progress {
    /// Of a run that begins, whose results come from `first` on.
    pub(super) fn of(run: &MapRun, execution_arn: String, started: Micros, first: i64) -> Self {
        let total = run.items.count();
        // How many batches the items make is known once they are made.
        let children = Counts { total: if run.batcher.is_some() { 0 } else { total }, ..Counts::default() };
        Self {
            arn: run.arn.clone(),
            execution_arn,
            status: "RUNNING".to_owned(),
            started,
            stopped: None,
            children,
            items: Counts { total, ..Counts::default() },
            concurrency: run.concurrency,
            tolerance: run.tolerance,
            first,
            redrives: 0,
            redriven: None,
        }
    }

    pub(in crate::engine) fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.byte(3);
        for text in [&self.arn, &self.execution_arn, &self.status] {
            writer.text(text);
        }
        writer.time(self.started);
        writer.option(self.stopped.as_ref(), |writer, at| writer.time(*at));
        self.children.encode(&mut writer);
        writer.number(self.concurrency);
        tolerance(&mut writer, &self.tolerance);
        writer.time(Micros(self.first));
        writer.number(u64::from(self.redrives));
        writer.option(self.redriven.as_ref(), |writer, at| writer.time(*at));
        self.items.encode(&mut writer);
        Bytes::from(writer.bytes)
    }

    pub(in crate::engine) fn decode(bytes: &[u8]) -> Option<Self> {
        Reader::new(bytes).whole(Self::read)
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        // The first version knew no redrives, the second took a batch for one item.
        let version = reader.byte().filter(|version| (1..=3).contains(version))?;
        let mut progress = Self {
            arn: reader.text()?,
            execution_arn: reader.text()?,
            status: reader.text()?,
            started: reader.time()?,
            stopped: reader.option(Reader::time)?,
            children: Counts::decode(reader)?,
            items: Counts::default(),
            concurrency: reader.number()?,
            tolerance: read_tolerance(reader)?,
            first: reader.time()?.0,
            redrives: if version == 1 { 0 } else { reader.small()? },
            redriven: if version == 1 { None } else { reader.option(Reader::time)? },
        };
        progress.items = if version < 3 { progress.children } else { Counts::decode(reader)? };
        Some(progress)
    }

    /// Whether it has not come to an end of its own.
    pub(in crate::engine) fn is_running(&self) -> bool {
        self.status == "RUNNING"
    }

    /// Whether the child of this number may have come to an end. Of a run that was taken up again and goes through its
    /// children once more, how many those are is not known.
    pub(super) const fn may_be_over(&self, child: u64) -> bool {
        self.redrives > 0 || child < self.children.next
    }

    /// Takes over bounds that were changed.
    pub(super) fn bound(&mut self, bounds: Bounds) {
        self.concurrency = bounds.concurrency.unwrap_or(self.concurrency);
        self.tolerance.count = bounds.count.or(self.tolerance.count);
        self.tolerance.percentage = bounds.percentage.or(self.tolerance.percentage);
    }

    /// Taken up again from its first child, of which those that succeeded are passed over.
    pub(in crate::engine) fn redrive(mut self, now: Micros) -> Self {
        (self.status, self.stopped) = ("RUNNING".to_owned(), None);
        (self.children, self.items) = (self.children.again(), self.items.again());
        (self.redrives, self.redriven) = (self.redrives.saturating_add(1), Some(now));
        self
    }
}

/// New bounds of a Map Run under way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::engine) struct Bounds {
    pub(super) concurrency: Option<u64>,
    pub(super) count: Option<u64>,
    pub(super) percentage: Option<f64>,
}

impl Bounds {
    /// With what was changed before and is not by this.
    pub(in crate::engine) fn or(self, before: Self) -> Self {
        Self {
            concurrency: self.concurrency.or(before.concurrency),
            count: self.count.or(before.count),
            percentage: self.percentage.or(before.percentage),
        }
    }

    pub(in crate::engine) fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.byte(1);
        writer.option(self.concurrency.as_ref(), |writer, count| writer.number(*count));
        tolerance(&mut writer, &Tolerance { count: self.count, percentage: self.percentage });
        Bytes::from(writer.bytes)
    }

    pub(in crate::engine) fn decode(bytes: &[u8]) -> Option<Self> {
        Reader::new(bytes).whole(|reader| {
            reader.byte().filter(|version| *version == 1)?;
            let concurrency = reader.option(Reader::number)?;
            let Tolerance { count, percentage } = read_tolerance(reader)?;
            Some(Self { concurrency, count, percentage })
        })
    }

    /// Reads `maxConcurrency`, `toleratedFailureCount` and `toleratedFailurePercentage`.
    ///
    /// # Errors
    /// `HW-WORK-033`.
    pub(super) fn of(change: &Map<String, Value>) -> Result<Self, Problem> {
        let wrong = |field: &str| {
            Problem::new("HW-WORK-033", format!("`{field}` of a Map Run is not a number that can be"))
                .help("counts are whole numbers from 0, a percentage lies between 0 and 100")
        };
        let count = |field: &str| match change.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(field)),
        };
        let percentage = match change.get("toleratedFailurePercentage") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let share = value.as_f64().filter(|share| (0.0..=100.0).contains(share));
                Some(share.ok_or_else(|| wrong("toleratedFailurePercentage"))?)
            }
        };
        Ok(Self { concurrency: count("maxConcurrency")?, count: count("toleratedFailureCount")?, percentage })
    }
}

#[cfg(test)]
mod tests;
