//! What the children of a Map Run came to: records of the stream of results, and what the state makes of them.
//!
//! One record for each child, by the name of the run; where a run was taken up again, the newest of a child counts. The
//! state's own result is the children's outputs in order, or the files of its `ResultWriter`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use bytes::BytesMut;
use headwater_base::{Micros, Name};
use headwater_kernel::port::workflows::ExecutionState;
use headwater_log::{Append, View};
use headwater_wire::batch::{self, Builder, Compression};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::record::Progress;
use crate::engine::Inner;
use crate::execution::Failure;

/// A batch of results is closed at this size, before it is packed.
const BATCH_BYTES: usize = 512 * 1024;
/// Records of one run have their key, which is the run's name, and the most of their value in common: packed they take
/// about a tenth, in the log's memory as on the disk.
const PACKED: Compression = Compression::Zstd;

/// How a child ended.
pub(super) struct Ended {
    pub(super) number: u64,
    /// Items that it had.
    pub(super) items: u64,
    pub(super) state: ExecutionState,
    pub(super) output: Option<String>,
    pub(super) failure: Failure,
    /// What it began with, where a file of results shows it.
    pub(super) input: Option<String>,
    pub(super) started: Micros,
    pub(super) stopped: Micros,
}

impl Ended {
    fn encode(&self) -> Vec<u8> {
        let mut value = format!("{{\"Index\":{},\"Status\":\"{}\"", self.number, self.state.name()).into_bytes();
        for (name, json) in [("Output", &self.output), ("Input", &self.input)] {
            if let Some(json) = json {
                value.extend_from_slice(format!(",\"{name}\":").as_bytes());
                value.extend_from_slice(json.as_bytes());
            }
        }
        if self.input.is_some() {
            let (started, stopped) = (self.started.0, self.stopped.0);
            value.extend_from_slice(format!(",\"Started\":{started},\"Stopped\":{stopped}").as_bytes());
        }
        for (name, text) in [("Error", &self.failure.error), ("Cause", &self.failure.cause)] {
            if let Some(text) = text {
                value.extend_from_slice(format!(",\"{name}\":{}", json!(text)).as_bytes());
            }
        }
        value.push(b'}');
        value
    }
}

/// How a child ended, as its record says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Record {
    pub(super) index: u64,
    status: String,
    #[serde(default, deserialize_with = "there")]
    pub(super) output: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) input: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) started: i64,
    #[serde(default)]
    pub(super) stopped: i64,
    error: Option<String>,
    cause: Option<String>,
}

/// `null` is an output like any other.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Record {
    pub(super) fn state(&self) -> ExecutionState {
        ExecutionState::named(&self.status).unwrap_or(ExecutionState::Failed)
    }

    pub(super) fn failure(&mut self) -> Failure {
        Failure { error: self.error.take(), cause: self.cause.take() }
    }
}

/// Why results are not at hand, or not written.
pub(super) struct Lack {
    pub(super) failure: Failure,
    /// No other try may do better.
    pub(super) lasting: bool,
}

impl From<Failure> for Lack {
    fn from(failure: Failure) -> Self {
        // What is too large for the state's own result stays so.
        let lasting = failure.error.as_deref() == Some("States.DataLimitExceeded");
        Self { failure, lasting }
    }
}

impl From<Lack> for Failure {
    fn from(lack: Lack) -> Self {
        lack.failure
    }
}

/// Where the records of a run are.
pub(super) struct Place {
    pub(super) stream: Name,
    pub(super) partition: u32,
}

impl Place {
    /// Every durable record of a run in their order, until `each` says stop. What the run cannot have written is passed
    /// over: a client may write to the stream, though none has a reason to.
    ///
    /// # Errors
    /// `States.Runtime` when they cannot be read, or some that the run has counted are gone, which lasts: a result that is
    /// left out would look like a child that never was. The same where there are more than the run has counted: nobody
    /// knows which of them are its own.
    pub(super) fn read(
        &self,
        inner: &Inner,
        progress: &Progress,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<(), Lack> {
        let ends = inner.log.ends(&self.stream, self.partition).map_err(|error| unreadable(&error))?;
        // What is older than the stream keeps may have been that of other runs alone.
        let (mut from, mut found, mut foreign) = (progress.first.max(ends.start), 0, 0_u64);
        loop {
            let fetched = inner.log.read(&self.stream, self.partition, from, 1 << 20, View::Durable);
            let fetched = fetched.map_err(|error| unreadable(&error))?;
            if fetched.batches.is_empty() {
                break;
            }
            for part in fetched.batches.each() {
                let (header, bytes) = part.map_err(|error| unreadable(&error))?;
                from = header.last_offset() + 1;
                for record in batch::records(&bytes, 64 << 20).map_err(|error| unreadable(&error))? {
                    let record = record.map_err(|error| unreadable(&error))?;
                    if record.key.as_deref() != Some(progress.arn.as_bytes()) || record.offset < progress.first {
                        continue;
                    }
                    let ended = serde_json::from_slice::<Record>(record.value.as_deref().unwrap_or_default()).ok();
                    let Some(ended) = ended.filter(|ended| progress.may_be_over(ended.index)) else {
                        foreign += 1;
                        continue;
                    };
                    found += 1;
                    if !each(ended) {
                        return Ok(());
                    }
                }
            }
        }
        if foreign > 0 {
            tracing::warn!(
                run = progress.arn,
                records = foreign,
                "records among the results of a Map Run are none of its own"
            );
        }
        let wanted = progress.children.ended();
        let lasting = |why: &dyn fmt::Display| Err(Lack { failure: unreadable(why), lasting: true });
        if found < wanted {
            return lasting(&format_args!("{} of {wanted} are gone", wanted - found));
        }
        // Of a run that was taken up again those stay that came before.
        if progress.redrives == 0 && found > wanted {
            return lasting(&format_args!("{found} are there of {wanted}; somebody else has written to their stream"));
        }
        Ok(())
    }

    /// The newest durable record of each child in the order of the records, until `each` says stop. Of a run that was taken
    /// up again it answers who these children are.
    ///
    /// # Errors
    /// As [`Place::read`].
    pub(super) fn newest(
        &self,
        inner: &Inner,
        progress: &Progress,
        each: &mut dyn FnMut(Record) -> bool,
    ) -> Result<Marks, Lack> {
        let mut found = Marks::default();
        if progress.redrives == 0 {
            return self.read(inner, progress, each).map(|()| found);
        }
        let (mut left, mut goes_on) = (Tally::default(), true);
        self.read(inner, progress, &mut |ended| {
            left.add(ended.index);
            true
        })?;
        self.read(inner, progress, &mut |ended| {
            if left.take(ended.index) {
                found.set(ended.index);
                goes_on = each(ended);
            }
            goes_on
        })?;
        if goes_on && !left.is_empty() {
            // Older records than the newest were counted, and the newest would be taken for one of those.
            return Err(unreadable(&"some of them went while they were read").into());
        }
        Ok(found)
    }

    /// The children that have succeeded, of a run that was taken up again.
    ///
    /// # Errors
    /// As [`Place::read`].
    pub(super) fn succeeded(&self, inner: &Inner, progress: &Progress) -> Result<Marks, Failure> {
        let mut marks = Marks::default();
        if progress.redrives > 0 {
            self.read(inner, progress, &mut |ended| {
                if ended.state() == ExecutionState::Succeeded {
                    marks.set(ended.index);
                }
                true
            })?;
        }
        Ok(marks)
    }
}

fn unreadable(why: &dyn fmt::Display) -> Failure {
    Failure::new("States.Runtime", format!("the results of the Map Run cannot be read: {why}"))
}

/// A set of children by their numbers, 64 to a word. Words are found by their place, so that a record with a false number
/// takes no room for those before it.
#[derive(Default)]
pub(super) struct Marks(HashMap<u64, u64>);

impl Marks {
    const fn place(number: u64) -> (u64, u64) {
        (number / 64, 1 << (number % 64))
    }

    fn set(&mut self, number: u64) {
        if !self.has(number) {
            self.flip(number);
        }
    }

    /// Puts a child in, or takes it out; whether it is in.
    fn flip(&mut self, number: u64) -> bool {
        let (at, bit) = Self::place(number);
        let word = self.0.entry(at).or_default();
        *word ^= bit;
        *word & bit != 0
    }

    pub(super) fn has(&self, number: u64) -> bool {
        let (at, bit) = Self::place(number);
        self.0.get(&at).is_some_and(|word| word & bit != 0)
    }
}

/// How many records each child has, each bit of the count in a set of its own: nearly all have one or two, and there may
/// be a hundred million of them.
#[derive(Default)]
struct Tally(Vec<Marks>);

impl Tally {
    fn add(&mut self, number: u64) {
        for bits in &mut self.0 {
            if bits.flip(number) {
                return;
            }
        }
        let mut bits = Marks::default();
        bits.set(number);
        self.0.push(bits);
    }

    /// Takes one away; whether it was the last.
    fn take(&mut self, number: u64) -> bool {
        if !self.has(number) {
            return false;
        }
        for bits in &mut self.0 {
            if !bits.flip(number) {
                break;
            }
        }
        !self.has(number)
    }

    fn has(&self, number: u64) -> bool {
        self.0.iter().any(|bits| bits.has(number))
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| bits.0.values().all(|word| *word == 0))
    }
}

/// Results as records.
pub(super) struct Pieces<'a> {
    place: &'a Place,
    arn: &'a str,
    time_ms: i64,
    done: BytesMut,
    builder: Builder,
    pub(super) count: u64,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(place: &'a Place, arn: &'a str, time_ms: i64) -> Self {
        Self { place, arn, time_ms, done: BytesMut::new(), builder: Builder::new(PACKED), count: 0 }
    }

    pub(super) fn add(&mut self, ended: &Ended) {
        let value = ended.encode();
        if !self.builder.is_empty() && self.builder.bytes() + value.len() > BATCH_BYTES {
            let builder = std::mem::replace(&mut self.builder, Builder::new(PACKED));
            self.done.unsplit(builder.finish());
        }
        self.builder.push(self.time_ms, Some(self.arn.as_bytes()), Some(&value), &[]);
        self.count += 1;
    }

    pub(super) fn finish(mut self) -> Vec<Append> {
        if !self.builder.is_empty() {
            self.done.unsplit(self.builder.finish());
        }
        if self.done.is_empty() {
            return Vec::new();
        }
        vec![Append { stream: self.place.stream.clone(), partition: self.place.partition, batches: self.done }]
    }
}

/// The outputs of all children, as far as a payload may hold them.
#[derive(Default)]
pub(super) struct Results {
    outputs: BTreeMap<u64, (Value, usize)>,
    bytes: usize,
    too_large: bool,
}

impl Results {
    /// Takes a child's output, or what it failed with.
    pub(super) fn add(&mut self, number: u64, output: Option<&str>, failure: Failure, bytes_max: usize) {
        if self.too_large {
            return;
        }
        let size = output.map_or(4, str::len) + 1;
        let value = match output {
            Some(output) => serde_json::from_str(output).unwrap_or_default(),
            None => json!({"Error": failure.error, "Cause": failure.cause}),
        };
        let before = self.outputs.insert(number, (value, size)).map_or(0, |(_, size)| size);
        self.bytes = self.bytes + size - before;
        if self.bytes > bytes_max {
            self.too_large = true;
            self.outputs.clear();
        }
    }

    pub(super) fn finish(self) -> Result<Value, Failure> {
        if self.too_large {
            let cause = "the outputs of the Map Run's items are too large for a payload; give it a ResultWriter";
            return Err(Failure::new("States.DataLimitExceeded", cause));
        }
        Ok(Value::Array(self.outputs.into_values().map(|(value, _)| value).collect()))
    }
}

#[cfg(test)]
mod tests;
