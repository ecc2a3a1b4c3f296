//! A dataset's life: one thread that reads its stream, shares the rows with queries, writes them as Parquet files and, at
//! most once in an interval, makes a snapshot of them. With a key the rows stay in memory until then, where the last one of
//! each key is left, and a snapshot comes early where they become many.
//!
//! Each event once: a snapshot's positions, the pointer that makes it current and the dead letters that have gathered
//! become true in one commit of the log, under the epoch of this life. Files are on the disk before that; what a crash
//! leaves behind is an orphan and goes at the next start. Dead letters do not wait for a snapshot that is not due: the
//! commit that has them also notes up to which positions there are any, so that reading the same events again writes none
//! twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::ArrowError;
use bytes::Bytes;
use headwater_base::{Clock, Limits, Name, Problem};
use headwater_kernel::letter;
use headwater_log::cursor::{self, Cursor, Pulled};
use headwater_log::outbox::Outbox;
use headwater_log::park::{self, StopSignal};
use headwater_log::{Commit, Delta, Log, LogError, Offset, append_durable};
use headwater_wire::batch::Record;
use iceberg::ErrorKind;
use iceberg::spec::{DataFile, Operation};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::commit::{self, Change, Version};
use crate::figures::Figures;
use crate::kinds::dataset;
use crate::layout::Layout;
use crate::positions::{Positions, SUMMARY_KEY, stream_id};
use crate::rows::{Misfit, Rows};
use crate::tables::{POINTER, Tables, unusable};
use crate::tail::Tail;

mod begin;

/// Records taken from one partition before the next one has its turn.
const TURN_RECORDS: usize = 1_024;
/// Dead letters wait until everything is read, up to this size.
const LETTERS_BYTES: usize = 256 * 1024;
/// After so many snapshots it is looked whether small files are worth merging.
const COMPACT_EVERY: usize = 16;
/// Files of rows are so much smaller than the events that they came from, at least.
const SHRINKS: u64 = 4;
/// What comes within this time after everything was read is read at once.
const GATHER: Duration = Duration::from_millis(100);

/// What a life is made of.
pub struct Setup {
    /// The dataset.
    pub name: Name,
    /// Its stream.
    pub stream: Name,
    /// Its dead-letter stream; none for a dataset of letters, which takes every record.
    pub dead: Option<Name>,
    /// How its table is made.
    pub layout: Layout,
    /// A snapshot at most this often.
    pub interval: Duration,
    /// Bytes of one file: of its events, and of the rows that they were rolled up to.
    pub file_bytes: usize,
    /// Snapshots that are kept.
    pub snapshots: usize,
    /// Grows when the user asks for an empty table.
    pub epoch: u64,
    /// Location of the table's folder.
    pub location: String,
    /// All tables.
    pub tables: Arc<Tables>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Counters.
    pub figures: Arc<Figures>,
    /// Wakes the thread.
    pub wake: Arc<Notify>,
    /// Asks it to stop.
    pub stop: StopSignal,
}

/// Why a life ended.
enum End {
    Stopped,
    Failed(Problem),
}

/// Runs a dataset until it is asked to stop. Call it on a thread of its own.
///
/// # Errors
/// `HW-LAKE-020` for a stream that is another one, 021, 063 and 068 for files, 022 for too many partitions, 023 for the log.
pub fn run(setup: &Setup) -> Result<(), Problem> {
    let lived = Life::begin(setup).and_then(|mut life| {
        loop {
            life.round()?;
        }
    });
    match lived {
        Ok(()) | Err(End::Stopped) => Ok(()),
        Err(End::Failed(problem)) => Err(problem),
    }
}

struct Life<'a> {
    setup: &'a Setup,
    log: Arc<dyn Log>,
    fence: (Name, u64),
    stream_id: u128,
    version: Version,
    /// What is read in this round.
    rows: Rows,
    /// What was read before, and no snapshot has yet.
    tail: Arc<Tail>,
    /// Bytes of what is in no file: of events, and of the rows that they were rolled up to.
    bytes: usize,
    cursors: Vec<Cursor>,
    /// Where the snapshot that comes begins, by partition.
    from: Vec<Offset>,
    /// Dead letters before these offsets have been written, by partition.
    lettered: Vec<Offset>,
    letters: Outbox,
    letter_bytes: usize,
    /// When the next snapshot may be made, by the clock that is never set back.
    due: Duration,
    /// Snapshots since it was last looked for small files.
    uncompacted: usize,
}

impl Life<'_> {
    /// Reads what there is, writes what is due, or rests.
    fn round(&mut self) -> Result<(), End> {
        self.widen()?;
        let (mut read, mut ended) = (0, true);
        for partition in 0..self.cursors.len() {
            let (count, end) = self.turn(partition)?;
            read += count;
            ended &= end;
        }
        if self.letter_bytes >= LETTERS_BYTES {
            self.append(Vec::new())?;
        }
        self.share()?;
        if self.setup.tables.is_crowded(&self.tail, self.setup.limits.lake_tail_bytes) {
            self.make_room()?;
        }
        self.tell();
        if self.is_due(ended) {
            // A compaction takes the place of a snapshot, so that there are not more of them.
            return if self.compact()? { Ok(()) } else { self.snapshot() };
        }
        if self.setup.stop.is_set() {
            return Err(End::Stopped);
        }
        if ended {
            // Why an event is missing is not told an interval later than that it is.
            if self.letter_bytes > 0 {
                self.append(Vec::new())?;
            }
            self.rest(read > 0)?;
        }
        Ok(())
    }

    /// Takes records of one partition; whether none are left.
    fn turn(&mut self, partition: usize) -> Result<(usize, bool), End> {
        let number = u32::try_from(partition).unwrap_or(u32::MAX);
        for count in 0..TURN_RECORDS {
            let Some(cursor) = self.cursors.get_mut(partition) else { return Ok((count, true)) };
            match cursor.pull(&*self.log, |_| None).map_err(|error| self.failed(&error))? {
                Pulled::Record(record) => self.take(&record, number)?,
                Pulled::End | Pulled::NotBefore(_) => return Ok((count, true)),
                Pulled::Corrupt { offset, last, fault, bytes } => {
                    warn!(dataset = %self.setup.name, partition, offset, last, fault, "a batch that cannot be read");
                    let reason = format!("the batch cannot be read: {fault}");
                    self.letter(number, offset, &reason, &bytes)?;
                }
                Pulled::Gone { from, to } => {
                    self.setup.figures.add_gone(u64::try_from(to - from).unwrap_or(0));
                    warn!(dataset = %self.setup.name, partition, from, to, "events were deleted before they were read");
                }
            }
        }
        Ok((TURN_RECORDS, false))
    }

    fn take(&mut self, record: &Record, partition: u32) -> Result<(), End> {
        let value = record.value.as_deref().unwrap_or_default();
        match self.rows.push(record, partition) {
            Ok(()) => self.gathered(value.len() + record.key.as_ref().map_or(0, |key| key.len())),
            Err(misfit) => self.letter(partition, record.offset, &misfit.0, value),
        }
    }

    /// Counts an event of so many bytes that is a row, and makes room where there are many.
    fn gathered(&mut self, bytes: usize) -> Result<(), End> {
        self.bytes += bytes + 16;
        if self.bytes < self.setup.file_bytes {
            return Ok(());
        }
        // What a rollup or a key leaves of them may be little. Less than half has to be left, or it would be put together
        // again and again for a few events each.
        self.share()?;
        if self.bytes >= self.setup.file_bytes / 2 { self.make_room() } else { Ok(()) }
    }

    /// Keeps an event that does not fit, unless an earlier life did.
    fn letter(&mut self, partition: u32, offset: Offset, reason: &str, data: &[u8]) -> Result<(), End> {
        let Some(dead) = &self.setup.dead else {
            return self.stray(partition, offset, reason, data);
        };
        let before = self.lettered.get_mut(partition as usize);
        let Some(before) = before.filter(|before| **before <= offset) else { return Ok(()) };
        *before = offset + 1;
        let place = letter::Place { stream: self.setup.stream.as_str(), partition, offset };
        let now = self.setup.clock.now();
        let owner = letter::Owner { kind: dataset::UNIT, name: self.setup.name.as_str(), code: "HW-LAKE-010" };
        let letter = letter::encode(owner, place, reason, now, data);
        self.letter_bytes += letter.len();
        self.setup.figures.add_letter();
        self.letters.put(0, now.millis(), None, Some(&letter), &[]).map_err(|_| {
            let fact = format!("a dead letter of {} bytes is too large for `{dead}`", letter.len());
            End::Failed(Problem::new("HW-LAKE-023", fact).help("raise `maxBatch` of that stream"))
        })
    }

    /// Makes a row, in a dataset of letters, of what cannot be read at all.
    fn stray(&mut self, partition: u32, offset: Offset, reason: &str, data: &[u8]) -> Result<(), End> {
        let (timestamp, value) = (self.setup.clock.now().millis(), Some(Bytes::copy_from_slice(data)));
        let record = Record { offset, timestamp, key: None, value, headers: Vec::new() };
        if self.rows.push_stray(&record, partition, Misfit(reason.to_owned())).is_err() {
            headwater_base::never!("a letter that does not fit the columns of letters");
        }
        self.gathered(data.len())
    }

    /// Whether a snapshot has to be made now. One whose time has come waits for what is still to be read, but no
    /// longer than another interval.
    fn is_due(&self, ended: bool) -> bool {
        let moved = self.cursors.iter().zip(&self.from).any(|(cursor, from)| cursor.next() > *from);
        let now = self.setup.clock.elapsed();
        moved && now >= self.due && (ended || now >= self.due + self.setup.interval)
    }

    /// Gives the rows read in this round to the tail.
    fn share(&mut self) -> Result<(), End> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let durable = |partition| self.log.ends(&self.setup.stream, partition).map_or(0, |ends| ends.durable);
        let durable: Vec<Offset> = (0_u32..).zip(&self.cursors).map(|(partition, _)| durable(partition)).collect();
        let ends = self.cursors.iter().map(Cursor::next).collect();
        let batch = self.rows.finish().map_err(|error| self.odd(&error))?;
        self.tail.push(batch, ends, &durable, self.rows.merge()).map_err(|error| self.odd(&error))?;
        if self.setup.layout.rollup.is_some() || self.is_keyed() {
            self.bytes = self.tail.bytes();
        }
        Ok(())
    }

    const fn is_keyed(&self) -> bool {
        self.rows.merge().changes().is_some()
    }

    /// Gets the rows in memory into files. Changes are in none before they are in the table.
    fn make_room(&mut self) -> Result<(), End> {
        if self.is_keyed() { self.snapshot() } else { self.seal() }
    }

    /// Writes the rows in memory as files.
    fn seal(&mut self) -> Result<(), End> {
        self.share()?;
        let batches = self.tail.batches();
        if batches.is_empty() {
            return Ok(());
        }
        let batch = self.rows.merge().of(&batches).map_err(|error| self.odd(&error))?;
        drop(batches);
        self.bytes = 0;
        let files = self.setup.tables.files();
        let written = self.wait(commit::write_data(files, &self.version, batch))?;
        let written = written.map_err(|error| self.unwritten(&error))?;
        self.tail.seal(written);
        Ok(())
    }

    /// What all that was read so far adds to the table, and how many rows of events that is.
    fn additions(&mut self) -> Result<(Change, u64), End> {
        let Some(changes) = self.rows.merge().changes().cloned() else {
            self.seal()?;
            let added = self.tail.files();
            let rows = added.iter().map(DataFile::record_count).sum();
            return Ok((Change::new(Operation::Append, added, Vec::new()), rows));
        };
        self.share()?;
        let batch = changes.of(&self.tail.batches()).map_err(|error| self.odd(&error))?;
        let rows = changes.rows(&batch).map_err(|error| self.odd(&error))?.num_rows() as u64;
        let files = self.setup.tables.files();
        let change = self.wait(commit::upsert(files, &self.version, &changes, &batch))?;
        self.bytes = 0;
        Ok((change.map_err(|error| self.unwritten(&error))?, rows))
    }

    /// Makes a snapshot of everything read so far.
    fn snapshot(&mut self) -> Result<(), End> {
        let (mut change, rows) = self.additions()?;
        change.properties = self.positions();
        self.commit(change)?;
        self.from = self.cursors.iter().map(Cursor::next).collect();
        self.uncompacted += 1;
        self.setup.figures.add_snapshot(rows);
        Ok(())
    }

    /// What the summary of a snapshot says of its events: those read since the one before.
    fn positions(&self) -> BTreeMap<String, String> {
        let partitions = self.cursors.iter().zip(&self.from).zip(0_u32..);
        let partitions = partitions.map(|((cursor, from), number)| (number, [*from, cursor.next()])).collect();
        let positions = Positions { stream: stream_id(self.stream_id), epoch: self.setup.epoch, partitions };
        [(SUMMARY_KEY.to_owned(), positions.encode())].into()
    }

    /// Merges small files, if it is time to look and worth it; whether it was.
    fn compact(&mut self) -> Result<bool, End> {
        if self.uncompacted < COMPACT_EVERY {
            return Ok(false);
        }
        self.uncompacted = 0;
        let bytes = self.setup.file_bytes as u64 / SHRINKS;
        let merge = self.rows.merge().of_files();
        let found = commit::compaction(self.setup.tables.files(), &self.version, &merge, bytes);
        let Some(change) = self.wait(found)?.map_err(|error| self.unusable(&error))? else { return Ok(false) };
        info!(dataset = %self.setup.name, files = change.removed.len(), "small files are merged");
        self.commit(change)?;
        Ok(true)
    }

    /// Makes a change of the table current, with the dead letters gathered. What is added is all of the tail; what only
    /// takes the place of something leaves the tail as it is.
    fn commit(&mut self, change: Change) -> Result<(), End> {
        let settles = change.operation != Operation::Replace;
        let files = self.setup.tables.files();
        let now = self.setup.clock.now();
        let made = self.wait(commit::snapshot(files, &self.version, change, now, self.setup.snapshots))?;
        let (version, garbage) = made.map_err(|error| self.unusable(&error))?;
        self.append(vec![Tables::delta(POINTER, &version)])?;
        self.setup.tables.remember(&version);
        if settles {
            self.tail.settle(&version);
        } else {
            self.tail.follow(&version);
        }
        self.version = version;
        self.due = self.setup.clock.elapsed() + self.setup.interval;
        self.setup.tables.leases().retire(garbage);
        Ok(())
    }

    /// Commits the dead letters gathered and `deltas`, and waits until that is durable.
    fn append(&mut self, mut deltas: Vec<Delta>) -> Result<(), End> {
        let appends = self.letters.take();
        self.letter_bytes = 0;
        if !appends.is_empty() {
            deltas.push(begin::lettered_of(&self.lettered));
        }
        let space: Arc<str> = Arc::from(dataset::space(self.setup.name.as_str()));
        let mut commit =
            Commit { appends, deltas: vec![(space, deltas)], fence: Some(self.fence.clone()), ..Commit::default() };
        self.wait(append_durable(&*self.log, &mut commit))?.map(drop).map_err(|error| self.failed(&error))
    }

    /// Takes up partitions that the stream has got.
    fn widen(&mut self) -> Result<(), End> {
        let name = &self.setup.stream;
        let Some(stream) = self.log.stream(name.as_str()).filter(|stream| stream.id == self.stream_id) else {
            return Err(End::Failed(missing(name)));
        };
        for partition in u32::try_from(self.cursors.len()).unwrap_or(u32::MAX)..stream.config.partitions {
            info!(dataset = %self.setup.name, partition, "a stream has got another partition");
            self.cursors.push(Cursor::new(name.clone(), partition, 0, self.setup.limits.batch_decompressed_bytes));
            self.from.push(0);
            self.lettered.push(0);
        }
        Ok(())
    }

    /// Tells how far behind the table is.
    fn tell(&self) {
        let waiting = self.cursors.iter().zip(&self.from).zip(0_u32..).map(|((_, from), partition)| {
            let end = self.log.ends(&self.setup.stream, partition).map_or(*from, |ends| ends.appended);
            u64::try_from(end - from).unwrap_or(0)
        });
        self.setup.figures.set_lag(waiting.sum());
    }

    /// Waits for events, or until a snapshot is due. What trickles in is read a little later, and together.
    fn rest(&mut self, busy: bool) -> Result<(), End> {
        if busy {
            park::nap(&self.setup.wake, GATHER);
            return Ok(());
        }
        cursor::rest(&mut self.cursors, &*self.log, &self.setup.wake).map_err(|error| failed(self.setup, &error))
    }

    fn wait<F: Future>(&self, future: F) -> Result<F::Output, End> {
        park::wait(future, &self.setup.stop).ok_or(End::Stopped)
    }

    fn failed(&self, error: &LogError) -> End {
        failed(self.setup, error)
    }

    fn odd(&self, error: &ArrowError) -> End {
        End::Failed(Problem::new("HW-LAKE-021", format!("rows of `{}`: {error}", self.setup.name)))
    }

    fn unwritten(&self, error: &iceberg::Error) -> End {
        if error.kind() != ErrorKind::PreconditionFailed {
            return self.unusable(error);
        }
        let fact = format!("dataset `{}`: {}", self.setup.name, error.message());
        let help = "choose a coarser `transform` in `partition`, and apply the dataset again";
        End::Failed(Problem::new("HW-LAKE-022", fact).help(help))
    }

    fn unusable(&self, error: &iceberg::Error) -> End {
        End::Failed(unusable(self.setup.name.as_str(), error))
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        self.setup.tables.close_tail(self.setup.name.as_str(), &self.tail);
    }
}

fn failed(setup: &Setup, error: &LogError) -> End {
    let name = &setup.name;
    End::Failed(match error {
        LogError::UnknownStream(_) => missing(&setup.stream),
        LogError::Closed => return End::Stopped,
        LogError::Fenced(..) => {
            Problem::new("HW-LAKE-023", format!("another writer has taken over the dataset `{name}`"))
        }
        error => Problem::new("HW-LAKE-023", format!("the writer of the dataset `{name}`: {error}")),
    })
}

fn missing(stream: &Name) -> Problem {
    Problem::new("HW-LAKE-020", format!("the stream `{stream}` is not the one that the dataset was made of"))
        .help("offsets of another stream say nothing of it: `headwater apply --reset-state` builds the table anew, or make a dataset of another name")
}

#[cfg(test)]
mod tests;
