//! An execution as records: what a journal holds of it.
//!
//! One small record for the execution, one for where each thread stands, and one for what a thread holds. A step
//! changes a few of them, and those [`Changes`] are one commit; laid over each other in order ([`Stored`]) they are the
//! execution again. A thread's data is apart because an item of a large Map moves the cursor of its parent, not the
//! list of items. The encoding is the same bytes for the same execution, starts with a version, and is read back
//! with every length checked.

pub(crate) mod codec;

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::Problem;

use super::event::Changed;
use super::{Data, Execution, Failure, Identity, Item, Phase, Status, Thread, ThreadId};
use crate::definition::Flavor;
use codec::{Reader, Writer};

/// The version this code writes, and the only one it reads.
const VERSION: u8 = 1;

/// Threads inside each other; JSON that nests as deep is no definition.
const NESTED_MAX: usize = 128;

/// Records that one step wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    header: Vec<u8>,
    threads: Vec<(ThreadId, Vec<u8>)>,
    data: Vec<(ThreadId, Vec<u8>)>,
    gone: Vec<ThreadId>,
    pub(crate) large: codec::Large,
}

/// The newest records of an execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    header: Vec<u8>,
    threads: BTreeMap<ThreadId, Vec<u8>>,
    data: BTreeMap<ThreadId, Vec<u8>>,
}

/// The records of `execution` that `changed` names, whole.
pub fn changes(execution: &Execution, changed: &Changed) -> Changes {
    changes_within(execution, changed, usize::MAX)
}

/// The same, with payloads of more than `inline_max` bytes beside the records.
pub(crate) fn changes_within(execution: &Execution, changed: &Changed, inline_max: usize) -> Changes {
    let mut large = codec::Large::new();
    let mut write = |encode: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::within(inline_max);
        writer.byte(VERSION);
        encode(&mut writer);
        large.append(&mut writer.large);
        writer.bytes
    };
    let mut pick = |ids: &std::collections::BTreeSet<ThreadId>, encode: &dyn Fn(&mut Writer, &Thread)| {
        let present = ids.iter().filter_map(|id| Some((*id, execution.threads.get(id)?)));
        present.map(|(id, thread)| (id, write(&|writer| encode(writer, thread)))).collect()
    };
    let threads = pick(&changed.threads, &thread);
    let data = pick(&changed.data, &|writer, thread| data(writer, &thread.data));
    let header = write(&|writer| header(writer, execution));
    Changes { header, threads, data, gone: changed.gone.iter().copied().collect(), large }
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The execution.
    Header,
    /// Where a thread stands.
    Thread(ThreadId),
    /// What a thread holds.
    Data(ThreadId),
}

impl Changes {
    /// Record by record; None for those that go.
    pub fn parts(&self) -> impl Iterator<Item = (Part, Option<&[u8]>)> {
        let header = std::iter::once((Part::Header, Some(self.header.as_slice())));
        let threads = self.threads.iter().map(|(id, record)| (Part::Thread(*id), Some(record.as_slice())));
        let data = self.data.iter().map(|(id, record)| (Part::Data(*id), Some(record.as_slice())));
        let gone = self.gone.iter().flat_map(|id| [(Part::Thread(*id), None), (Part::Data(*id), None)]);
        header.chain(threads).chain(data).chain(gone)
    }

    /// As one frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.byte(VERSION);
        writer.bytes(&self.header);
        for records in [&self.threads, &self.data] {
            writer.list(records, |writer, (id, record)| {
                writer.number(u64::from(*id));
                writer.bytes(record);
            });
        }
        writer.list(&self.gone, |writer, id| writer.number(u64::from(*id)));
        writer.bytes
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// `HW-WORK-002` when the bytes are none of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        read(bytes, &codec::nowhere, |reader| {
            let header = reader.bytes()?.to_vec();
            let mut records = || reader.list(|reader| Some((reader.small()?, reader.bytes()?.to_vec())));
            let (threads, data) = (records()?, records()?);
            Some(Self { header, threads, data, gone: reader.list(Reader::small)?, large: codec::Large::new() })
        })
    }
}

impl Stored {
    /// The records of these threads, each asked for by `read`.
    ///
    /// # Errors
    /// `HW-WORK-002` at the first thread that has none: what names a thread is no better than what it names.
    pub fn of(
        threads: impl Iterator<Item = ThreadId>,
        mut read: impl FnMut(Part) -> Option<Vec<u8>>,
    ) -> Result<Self, Problem> {
        let mut stored = Self { header: read(Part::Header).unwrap_or_default(), ..Self::default() };
        for id in threads {
            let record = read(Part::Thread(id)).ok_or_else(|| damaged(&format!("thread {id} has no record")))?;
            stored.threads.insert(id, record);
            stored.data.extend(read(Part::Data(id)).map(|record| (id, record)));
        }
        Ok(stored)
    }

    /// Lays changes over what is stored.
    pub fn apply(&mut self, changes: Changes) {
        self.header = changes.header;
        self.threads.extend(changes.threads);
        self.data.extend(changes.data);
        for id in changes.gone {
            self.threads.remove(&id);
            self.data.remove(&id);
        }
    }

    /// The execution these records are, nothing of which is elsewhere.
    ///
    /// # Errors
    /// As [`Stored::restore_with`].
    pub fn restore(&self) -> Result<Execution, Problem> {
        self.restore_with(&codec::nowhere)
    }

    /// The execution these records are.
    ///
    /// # Errors
    /// `HW-WORK-002` when a record is damaged, of another version, or missing, or threads are not inside each other as they
    /// can be.
    pub(crate) fn restore_with(&self, fetch: codec::Fetch<'_>) -> Result<Execution, Problem> {
        let mut execution = read(&self.header, fetch, read_header)?;
        for (id, record) in &self.threads {
            let mut thread = read(record, fetch, read_thread)?;
            let data = self.data.get(id).ok_or_else(|| damaged(&format!("thread {id} has no data")))?;
            thread.data = read(data, fetch, read_data)?;
            execution.threads.insert(*id, thread);
        }
        if !execution.ready.iter().all(|id| execution.threads.contains_key(id)) {
            return Err(damaged("a thread that others name is missing"));
        }
        nested(&execution)?;
        Ok(execution)
    }
}

/// Every thread has a number that was given out, behind that of the one that started it: so none is inside itself, and
/// whoever goes from thread to thread comes to an end.
fn nested(execution: &Execution) -> Result<(), Problem> {
    let mut depths: BTreeMap<ThreadId, usize> = BTreeMap::new();
    for (id, thread) in &execution.threads {
        let depth = match thread.parent {
            None => 0,
            // In the order of their numbers: those before this one have theirs already.
            Some(parent) => 1 + depths.get(&parent).ok_or_else(|| damaged("a thread that others name is missing"))?,
        };
        if depth > NESTED_MAX || *id >= execution.next_thread {
            return Err(damaged(&format!("thread {id} is none that can be")));
        }
        depths.insert(*id, depth);
    }
    Ok(())
}

/// A record of one part as it is written, with what of it is kept beside it, from one that was read.
///
/// # Errors
/// `HW-WORK-002` when it is damaged or of another version.
pub(crate) fn rewritten(
    part: Part,
    bytes: &[u8],
    fetch: codec::Fetch<'_>,
    inline_max: usize,
) -> Result<(Vec<u8>, codec::Large), Problem> {
    let mut writer = Writer::within(inline_max);
    writer.byte(VERSION);
    match part {
        Part::Header => header(&mut writer, &read(bytes, fetch, read_header)?),
        Part::Thread(_) => thread(&mut writer, &read(bytes, fetch, read_thread)?),
        Part::Data(_) => data(&mut writer, &read(bytes, fetch, read_data)?),
    }
    Ok((writer.bytes, writer.large))
}

fn damaged(fact: &str) -> Problem {
    Problem::new("HW-WORK-002", format!("a record of an execution cannot be read: {fact}"))
        .help("restore the node's data folder from a backup, or start the execution again")
}

fn read<T>(
    bytes: &[u8],
    fetch: codec::Fetch<'_>,
    decode: impl FnOnce(&mut Reader<'_>) -> Option<T>,
) -> Result<T, Problem> {
    let mut reader = Reader::with(bytes, fetch);
    match reader.byte() {
        Some(VERSION) => {}
        Some(other) => return Err(damaged(&format!("its version is {other}, not {VERSION}"))),
        None => return Err(damaged("it is empty")),
    }
    let value = decode(&mut reader)
        .ok_or_else(|| damaged("it is cut off, holds an unknown tag, or names a blob that is gone"))?;
    if reader.is_empty() { Ok(value) } else { Err(damaged("bytes follow its end")) }
}

fn header(writer: &mut Writer, execution: &Execution) {
    writer.raw(&execution.definition);
    writer.number(u64::from(execution.machine));
    let identity = &execution.identity;
    for text in [
        &identity.execution_arn,
        &identity.name,
        &identity.machine_arn,
        &identity.machine_name,
        &identity.role_arn,
        &identity.region,
    ] {
        writer.text(text);
    }
    writer.byte(u8::from(execution.flavor == Flavor::Express));
    writer.time(execution.started);
    writer.payload(&execution.input);
    writer.option(execution.item.as_ref(), item);
    match &execution.status {
        Status::Running => writer.byte(0),
        Status::Succeeded(output) => {
            writer.byte(1);
            writer.payload(output);
        }
        Status::Failed(of) => failure(writer, 2, of),
        Status::TimedOut(of) => failure(writer, 3, of),
        Status::Aborted(of) => failure(writer, 4, of),
    }
    writer.number(execution.events);
    writer.number(u64::from(execution.redrives));
    writer.number(execution.visits);
    writer.number(u64::from(execution.next_thread));
    writer.number(execution.ready.len() as u64);
    for id in &execution.ready {
        writer.number(u64::from(*id));
    }
}

fn read_header(reader: &mut Reader<'_>) -> Option<Execution> {
    let definition = reader.raw(32)?.try_into().ok()?;
    let machine = reader.small()?;
    let mut texts = Vec::with_capacity(6);
    for _ in 0..6 {
        texts.push(reader.text()?);
    }
    let mut texts = texts.into_iter();
    let identity = Arc::new(Identity {
        execution_arn: texts.next()?,
        name: texts.next()?,
        machine_arn: texts.next()?,
        machine_name: texts.next()?,
        role_arn: texts.next()?,
        region: texts.next()?,
    });
    Some(Execution {
        definition,
        machine,
        identity,
        flavor: if reader.byte()? == 1 { Flavor::Express } else { Flavor::Standard },
        started: reader.time()?,
        input: reader.payload()?.into(),
        item: reader.option(read_item)?,
        status: match reader.byte()? {
            0 => Status::Running,
            1 => Status::Succeeded(reader.payload()?.into()),
            2 => Status::Failed(read_failure(reader)?),
            3 => Status::TimedOut(read_failure(reader)?),
            4 => Status::Aborted(read_failure(reader)?),
            _ => return None,
        },
        events: reader.number()?,
        redrives: reader.small()?,
        visits: reader.number()?,
        next_thread: reader.small()?,
        ready: reader.list(Reader::small)?.into(),
        threads: BTreeMap::new(),
    })
}

fn thread(writer: &mut Writer, thread: &Thread) {
    writer.option(thread.parent.as_ref(), |writer, parent| writer.number(u64::from(*parent)));
    for small in [thread.slot, thread.machine, thread.state, thread.attempt] {
        writer.number(u64::from(small));
    }
    for number in [thread.cursor, thread.entered, thread.entered_after, thread.visit] {
        writer.number(number);
    }
    writer.time(thread.entered_at);
    writer.list(&thread.retried, |writer, count| writer.number(u64::from(*count)));
    let (tag, numbers): (u8, [u64; 3]) = match &thread.phase {
        Phase::Enter => (0, [0, 0, 0]),
        Phase::Rerun => (1, [0, 0, 0]),
        Phase::Waiting => (2, [0, 0, 0]),
        Phase::Working { timeout, heartbeat_s, beat_at } => {
            writer.byte(3);
            writer.byte(u8::from(*timeout));
            writer.option(heartbeat_s.as_ref(), |writer, seconds| writer.number(*seconds));
            writer.time(*beat_at);
            return;
        }
        Phase::Backoff => (4, [0, 0, 0]),
        Phase::Joining { open, bytes } => (5, [u64::from(*open), 0, *bytes]),
        Phase::Mapping { next, open, bytes } => (6, [u64::from(*next), u64::from(*open), *bytes]),
        Phase::MapRun => (7, [0, 0, 0]),
        Phase::Done => (8, [0, 0, 0]),
        Phase::Leaving => (9, [0, 0, 0]),
        Phase::Redrive => (10, [0, 0, 0]),
    };
    writer.byte(tag);
    numbers.iter().for_each(|number| writer.number(*number));
}

fn read_thread(reader: &mut Reader<'_>) -> Option<Thread> {
    let parent = reader.option(Reader::small)?;
    let (slot, machine, state, attempt) = (reader.small()?, reader.small()?, reader.small()?, reader.small()?);
    let (cursor, entered, entered_after, visit) =
        (reader.number()?, reader.number()?, reader.number()?, reader.number()?);
    let entered_at = reader.time()?;
    let retried = reader.list(Reader::small)?;
    let phase = match reader.byte()? {
        3 => Phase::Working {
            timeout: reader.byte()? == 1,
            heartbeat_s: reader.option(Reader::number)?,
            beat_at: reader.time()?,
        },
        tag => {
            let (first, second, bytes) = (reader.small()?, reader.small()?, reader.number()?);
            match tag {
                0 => Phase::Enter,
                1 => Phase::Rerun,
                2 => Phase::Waiting,
                4 => Phase::Backoff,
                5 => Phase::Joining { open: first, bytes },
                6 => Phase::Mapping { next: first, open: second, bytes },
                7 => Phase::MapRun,
                8 => Phase::Done,
                9 => Phase::Leaving,
                10 => Phase::Redrive,
                _ => return None,
            }
        }
    };
    let data = Data::default();
    Some(Thread {
        parent,
        slot,
        machine,
        state,
        cursor,
        entered,
        entered_after,
        entered_at,
        visit,
        attempt,
        retried,
        phase,
        data,
    })
}

fn data(writer: &mut Writer, data: &Data) {
    writer.payload(&data.input);
    writer.number(data.variables.len() as u64);
    for (name, value) in &data.variables {
        writer.text(name);
        writer.payload(value);
    }
    writer.option(data.item.as_ref(), item);
    writer.payloads(&data.items);
}

fn read_data(reader: &mut Reader<'_>) -> Option<Data> {
    Some(Data {
        input: reader.payload()?.into(),
        variables: reader.list(|reader| Some((reader.text()?, reader.payload()?)))?.into_iter().collect(),
        item: reader.option(read_item)?,
        items: reader.payloads()?.into(),
    })
}

fn item(writer: &mut Writer, item: &Item) {
    writer.number(item.index);
    writer.payload(&item.value);
}

fn read_item(reader: &mut Reader<'_>) -> Option<Item> {
    Some(Item { index: reader.number()?, value: reader.payload()? })
}

fn failure(writer: &mut Writer, tag: u8, failure: &Failure) {
    writer.byte(tag);
    for text in [&failure.error, &failure.cause] {
        writer.option(text.as_ref(), |writer, text| writer.text(text));
    }
}

fn read_failure(reader: &mut Reader<'_>) -> Option<Failure> {
    Some(Failure { error: reader.option(Reader::text)?, cause: reader.option(Reader::text)? })
}

#[cfg(test)]
mod tests;
