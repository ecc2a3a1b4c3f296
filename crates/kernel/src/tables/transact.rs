//! Transactions: writes of any tables that are decided together, in the order of the log, and appended in one commit
//! with whatever else their caller has.
//!
//! One at a time decides for a table: transactions hold the tables they touch, taken in the order of their names. What
//! they look at is the view and what is appended behind it ([`super::pending`]). Whoever appends to a table's stream
//! without asking here, such as a Kafka client, moves that stream's end, and the log then refuses the commit
//! ([`LogError::Moved`]), which is decided anew. So the version of a document, the offset of its event plus one, is known
//! before it is appended, and a change can say it in the same commit.
//!
//! Invariants: all or nothing; conditions hold for exactly what lies before the commit in the log; a table with changes
//! tells one change for each document written here, none for a deletion of what is not there; what is appended is
//! remembered whole, or the process ends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use headwater_base::partition::partition_of;
use headwater_base::{Micros, Name, Problem};
use headwater_log::{Append, Commit, LogError, Offset};
use headwater_wire::batch::{self, Builder, Compression};
use headwater_wire::exact::Exact;
use parking_lot::MutexGuard;

use super::changes::{Telling, Told};
use super::pending::{Found, Pending, Unknown, documents};
use super::write::{BATCH_BYTES, version};
use super::{Table, TableViews};
use crate::expression::{Condition, Update};
use crate::port::Document;
use crate::port::tables::{Change, Tell, TransactError, Transacted, Write, Written};
use crate::unit::contained;

/// How often a commit is decided anew because others appended meanwhile.
const TRIES: usize = 1_000;

/// Writes of one transaction.
pub(super) const WRITES_MAX: usize = 10_000;

/// A transaction that has its place in the log.
pub(super) struct Decided {
    pub transacted: Transacted,
    /// Where each write's event stands.
    pub places: Vec<(u32, Offset)>,
}

/// A write that has been read.
struct Ready<'a> {
    write: &'a Write,
    table: usize,
    partition: u32,
    condition: Option<Condition>,
    update: Option<Update>,
}

/// A table that is held.
struct Held<'a> {
    table: &'a Arc<Table>,
    pending: MutexGuard<'a, Vec<Pending>>,
}

/// What a try has decided.
#[derive(Default)]
struct Decision {
    written: Vec<Written>,
    places: Vec<(u32, Offset)>,
    /// In order: table, partition, offset, key, document.
    documents: Vec<(usize, u32, Offset, String, Option<Document>)>,
    newest: HashMap<(usize, String), Option<Document>>,
    /// Where each partition ends, and where it will.
    ends: BTreeMap<(usize, u32), (Offset, Offset)>,
    batches: BTreeMap<(usize, u32), Batches>,
    told: BTreeMap<(usize, u32), Batches>,
}

/// Record batches in the making.
pub(super) struct Batches {
    done: bytes::BytesMut,
    open: Builder,
}

impl Default for Batches {
    fn default() -> Self {
        Self { done: bytes::BytesMut::new(), open: Builder::with_capacity(Compression::None, 256) }
    }
}

impl Batches {
    pub(super) fn push(&mut self, now: Micros, key: &str, value: Option<&[u8]>, headers: &[(&str, &[u8])]) {
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        if !self.open.is_empty() && self.open.bytes() + bytes > BATCH_BYTES {
            let full = std::mem::replace(&mut self.open, Builder::new(Compression::None));
            self.done.unsplit(full.finish());
        }
        self.open.push(now.millis(), Some(key.as_bytes()), value, headers);
    }

    fn finish(mut self) -> bytes::BytesMut {
        self.done.unsplit(self.open.finish());
        self.done
    }
}

impl TableViews {
    /// Decides and appends. With `expiring`, writes are deletions of documents whose time is up.
    pub(super) fn decide(&self, writes: &[Write], also: &mut Commit, expiring: bool) -> Result<Decided, TransactError> {
        self.decide_telling(writes, also, expiring, &mut |_, _| {})
    }

    /// The same, and tells what is decided before it is appended.
    pub(super) fn decide_telling(
        &self,
        writes: &[Write],
        also: &mut Commit,
        expiring: bool,
        tell: &mut Tell<'_>,
    ) -> Result<Decided, TransactError> {
        if writes.len() > WRITES_MAX {
            let fact = format!("a transaction of {} writes; the limit is {WRITES_MAX}", writes.len());
            return Err(Problem::new("HW-KERNEL-021", fact).into());
        }
        let tables = self.touched(writes, also)?;
        if tables.is_empty() {
            return self.append_plainly(also);
        }
        let place = |name: &Name| tables.iter().position(|table| table.name == *name).unwrap_or_default();
        let mut ready = Vec::with_capacity(writes.len());
        for write in writes {
            let table = place(&write.table);
            if let Some(found) = tables.get(table) {
                ready.push(self.read_write(write, table, found)?);
            }
        }
        // In the order of their names, as everybody takes them.
        let mut held: Vec<Held<'_>> =
            tables.iter().map(|table| Held { table, pending: table.writing.lock() }).collect();
        for _ in 0..TRIES {
            let decision = self.decide_once(&ready, &mut held, also, expiring)?;
            match self.append_decision(decision, &mut held, also, tell) {
                Err(LogError::Moved(stream, partition, _))
                    if !also.ends.iter().any(|(own, at, _)| *own == stream && *at == partition) => {}
                // Nothing is written of records that came twice, so nothing is told of them either.
                Err(LogError::Repeated) if writes.is_empty() => return self.append_plainly(also),
                Err(error) => return Err(error.into()),
                Ok(decided) => return Ok(decided),
            }
        }
        Err(TransactError::Full)
    }

    /// The tables that a transaction holds, by name: those of its writes, and those with changes that `also` appends to.
    fn touched(&self, writes: &[Write], also: &Commit) -> Result<Vec<Arc<Table>>, Problem> {
        let mut tables = BTreeMap::new();
        for write in writes {
            if !tables.contains_key(&write.table) {
                tables.insert(write.table.clone(), self.table(write.table.as_str())?);
            }
        }
        let all = self.tables.read();
        for append in &also.appends {
            let Some(name) = append.stream.as_str().strip_prefix("table.") else { continue };
            if let Some(table) = all.get(name).filter(|table| table.changes.is_some()) {
                tables.insert(table.name.clone(), Arc::clone(table));
            }
        }
        Ok(tables.into_values().collect())
    }

    fn read_write<'a>(&self, write: &'a Write, place: usize, table: &Table) -> Result<Ready<'a>, Problem> {
        let (value, update) = match &write.change {
            Change::Put(value) => (Some(value), None),
            Change::Update(expression) => (None, Some(Update::parse(expression)?)),
            Change::Delete => (None, None),
        };
        self.check(table, &write.key, value)?;
        if let (Some(update), Some(field)) = (&update, &table.key)
            && update.touches(field)
        {
            return Err(Problem::new("HW-KERNEL-033", format!("`{field}` is the key of `{}` and stays", table.name)));
        }
        Ok(Ready {
            write,
            table: place,
            partition: partition_of(write.key.as_bytes(), table.stream.config.partitions),
            condition: write.condition.as_ref().map(Condition::parse).transpose()?,
            update,
        })
    }

    fn decide_once(
        &self,
        ready: &[Ready<'_>],
        held: &mut [Held<'_>],
        also: &Commit,
        expiring: bool,
    ) -> Result<Decision, TransactError> {
        let now = self.clock.now();
        let mut decision = Decision::default();
        for append in &also.appends {
            let found = held.iter().position(|held| held.table.stream.name == append.stream);
            let Some(table) = found else { continue };
            self.take_over(&mut decision, held, table, append, now)?;
        }
        for (index, ready) in ready.iter().enumerate() {
            self.catch_up(&mut decision, held, ready.table, ready.partition)?;
            let Some(Held { table, pending }) = held.get(ready.table) else { continue };
            let key = &ready.write.key;
            let found = self.newest(&decision, table, pending, (ready.table, ready.partition), key)?;
            let (alive, expired) = match found {
                Some(found) if !self.alive(table, &found) => (None, Some(found)),
                found => (found, None),
            };
            let refuse = |document: Option<Document>| TransactError::Condition { index, document };
            let there = if expiring { expired } else { alive };
            let current = there.as_ref().map_or(0, |document| document.version);
            let is_missed = ready.write.present && there.is_none();
            if is_missed || ready.write.expect.is_some_and(|expect| expect != current) {
                return Err(refuse(there));
            }
            let read = |document: &Document| {
                Exact::read(&document.value).map_err(|fault| {
                    Problem::new("HW-KERNEL-033", format!("the document `{}` cannot be read", crate::kind::short(key)))
                        .because(fault)
                })
            };
            let tree = match ready.condition.is_some() || ready.update.is_some() {
                true => there.as_ref().map(read).transpose()?,
                false => None,
            };
            if ready.condition.as_ref().is_some_and(|condition| !condition.holds(tree.as_ref())) {
                return Err(refuse(there));
            }
            let value = match (&ready.write.change, &ready.update) {
                (Change::Put(value), _) => Some(value.clone()),
                (Change::Update(_), Some(update)) => Some(self.updated(table, key, tree, update)?),
                _ => None,
            };
            let (_, next) = decision.ends.get(&(ready.table, ready.partition)).copied().unwrap_or_default();
            let new = value.map(|value| Document {
                key: key.clone(),
                version: version(next),
                updated: Micros::from_millis(now.millis()),
                value,
            });
            let batches = decision.batches.entry((ready.table, ready.partition)).or_default();
            batches.push(now, key, new.as_ref().map(|document| document.value.as_ref()), &[]);
            let telling = Telling { cause: ready.write.cause.as_ref(), now, expiring };
            decision.record(table, (ready.table, ready.partition), next, key, there.as_ref(), new.as_ref(), &telling);
            decision.written.push(Written { old: there, new });
            decision.places.push((ready.partition, next));
        }
        Ok(decision)
    }

    /// What an update makes of a document, checked as any other.
    fn updated(&self, table: &Table, key: &str, tree: Option<Exact>, update: &Update) -> Result<Bytes, Problem> {
        let before = tree.unwrap_or_else(|| {
            let field = table.key.iter().map(|field| (field.clone(), Exact::String(key.to_owned())));
            Exact::Map(field.collect())
        });
        let value = Bytes::from(update.apply(&before)?.to_string());
        self.check(table, key, Some(&value))?;
        Ok(value)
    }

    /// Takes over documents that the caller's commit appends to a table's stream.
    fn take_over(
        &self,
        decision: &mut Decision,
        held: &mut [Held<'_>],
        place: usize,
        append: &Append,
        now: Micros,
    ) -> Result<(), TransactError> {
        let partition = append.partition;
        self.catch_up(decision, held, place, partition)?;
        let Some(Held { table, pending }) = held.get(place) else { return Ok(()) };
        let batches = Bytes::copy_from_slice(&append.batches);
        for part in batch::split(&batches) {
            // The log refuses what is none.
            let Ok((header, range)) = part else { return Ok(()) };
            let (_, first) = decision.ends.get(&(place, partition)).copied().unwrap_or_default();
            for found in documents(&batches.slice(range), self.limits.batch_decompressed_bytes) {
                let Found { offset, key, document, cause } = found;
                let offset = first + offset - header.base_offset;
                let new = document.map(|document| Document { version: version(offset), ..document });
                let telling = Telling { cause: cause.as_ref(), now, expiring: false };
                let old = self.newest(decision, table, pending, (place, partition), &key)?;
                let old = old.filter(|document| self.alive(table, document));
                decision.record(table, (place, partition), offset, &key, old.as_ref(), new.as_ref(), &telling);
            }
            if let Some((_, next)) = decision.ends.get_mut(&(place, partition)) {
                *next = first + i64::from(header.last_offset_delta) + 1;
            }
        }
        Ok(())
    }

    /// Knows a partition to its end.
    fn catch_up(
        &self,
        decision: &mut Decision,
        held: &mut [Held<'_>],
        place: usize,
        partition: u32,
    ) -> Result<(), TransactError> {
        if decision.ends.contains_key(&(place, partition)) {
            return Ok(());
        }
        let Some(Held { table, pending }) = held.get_mut(place) else { return Ok(()) };
        let index = partition as usize;
        let (Some(applied), Some(pending)) = (table.applied.get(index), pending.get_mut(index)) else {
            let fact = format!("the table `{}` has no partition {partition}", table.name);
            return Err(Problem::new("HW-KERNEL-021", fact).into());
        };
        let applied = applied.load(Ordering::SeqCst);
        let stream = (&table.stream.name, partition);
        let caught = pending.catch_up(&*self.log, stream, applied, self.limits.batch_decompressed_bytes);
        let end = caught.map_err(|unknown| match unknown {
            Unknown::Behind => TransactError::Behind(table.name.clone()),
            Unknown::Log(error) => error.into(),
        })?;
        decision.ends.insert((place, partition), (end, end));
        Ok(())
    }

    /// The newest document of a key: of this decision, else of what is appended, else of the view.
    fn newest(
        &self,
        decision: &Decision,
        table: &Table,
        pending: &[Pending],
        (place, partition): (usize, u32),
        key: &str,
    ) -> Result<Option<Document>, TransactError> {
        // A table of one partition, the usual case, need not make a key for the question.
        if !decision.newest.is_empty()
            && let Some(found) = decision.newest.get(&(place, key.to_owned()))
        {
            return Ok(found.clone());
        }
        let index = partition as usize;
        let (Some(applied), Some(pending)) = (table.applied.get(index), pending.get(index)) else { return Ok(None) };
        if let Some(found) = pending.get(key) {
            return Ok(found.cloned());
        }
        let found = self.shown(table, key)?;
        // A view that was emptied meanwhile does not show what it did.
        if applied.load(Ordering::SeqCst) < pending.from() {
            return Err(TransactError::Behind(table.name.clone()));
        }
        Ok(found)
    }

    fn append_plainly(&self, also: &mut Commit) -> Result<Decided, TransactError> {
        Ok(Decided {
            transacted: Transacted { ticket: self.log.append(also)?, written: Vec::new() },
            places: Vec::new(),
        })
    }

    /// Appends what was decided, and remembers it.
    fn append_decision(
        &self,
        decision: Decision,
        held: &mut [Held<'_>],
        also: &mut Commit,
        tell: &mut Tell<'_>,
    ) -> Result<Decided, LogError> {
        let Decision { written, places, documents, ends, batches, told, .. } = decision;
        let mut appends = Vec::with_capacity(batches.len() + told.len());
        for ((place, partition), batches) in batches {
            let Some(held) = held.get(place) else { continue };
            appends.push(Append { stream: held.table.stream.name.clone(), partition, batches: batches.finish() });
        }
        for ((place, partition), batches) in told {
            let Some(changes) = held.get(place).and_then(|held| held.table.changes.as_ref()) else { continue };
            appends.push(Append { stream: changes.stream.clone(), partition, batches: batches.finish() });
        }
        let mut expected = Vec::with_capacity(ends.len());
        for ((place, partition), (end, _)) in &ends {
            if let Some(held) = held.get(*place) {
                expected.push((held.table.stream.name.clone(), *partition, *end));
            }
        }
        let (given, own, deltas) = (also.appends.len(), also.ends.len(), also.deltas.len());
        tell(&written, also);
        also.appends.extend(appends);
        also.ends.extend(expected);
        let appended = self.log.append(also);
        also.appends.truncate(given);
        also.ends.truncate(own);
        also.deltas.truncate(deltas);
        let ticket = appended?;
        let remembered = contained(|| {
            for (place, partition, offset, key, document) in documents {
                if let Some(pending) = held.get_mut(place).and_then(|held| held.pending.get_mut(partition as usize)) {
                    pending.put(offset, key, document);
                }
            }
            for ((place, partition), (_, next)) in ends {
                if let Some(pending) = held.get_mut(place).and_then(|held| held.pending.get_mut(partition as usize)) {
                    pending.advance(next);
                }
            }
        });
        if let Err(said) = remembered {
            tracing::error!(said, "the process ends, because tables would be written on what is not so");
            // The next start reads what is appended from the log.
            std::process::abort();
        }
        Ok(Decided { transacted: Transacted { ticket, written }, places })
    }
}

impl Decision {
    /// Takes a document in that will stand at `offset`, with its change.
    #[expect(clippy::too_many_arguments, reason = "it is one write")]
    fn record(
        &mut self,
        table: &Table,
        (place, partition): (usize, u32),
        offset: Offset,
        key: &str,
        old: Option<&Document>,
        new: Option<&Document>,
        telling: &Telling<'_>,
    ) {
        if let Some(changes) = &table.changes
            && (old.is_some() || new.is_some())
        {
            let told = Told { table, partition, key, version: version(offset), old, new };
            changes.tell(&told, telling, self.told.entry((place, partition)).or_default());
        }
        self.newest.insert((place, key.to_owned()), new.cloned());
        self.documents.push((place, partition, offset, key.to_owned(), new.cloned()));
        if let Some((_, next)) = self.ends.get_mut(&(place, partition)) {
            *next = (*next).max(offset + 1);
        }
    }
}
