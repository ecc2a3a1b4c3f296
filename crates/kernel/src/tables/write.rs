//! Writing documents: as events of the table's stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::partition::partition_of;
use headwater_base::{Name, Problem};
use headwater_log::{Append, Commit, LogError, Offset, Ticket};
use headwater_wire::batch::{Builder, Compression};
use serde_json::Value;

use super::transact::{Decided, WRITES_MAX};
use super::{KEY_BYTES_MAX, Table, TableViews};
use crate::audit;
use crate::kind::short;
use crate::port::Json;
use crate::port::tables::{Change, TransactError, Write, Written};
use crate::resources::refused;

/// Size at which a batch of documents is closed.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// Size of the batches of one commit of an import.
const IMPORT_COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// Documents of one commit of an import that tells changes.
const IMPORT_WRITES: usize = 500;

/// How long a write waits for the view to show it; it is durable already.
const VISIBLE_MAX: Duration = Duration::from_secs(2);

/// How long a write waits for a view that is behind to get further.
const BEHIND_MAX: Duration = Duration::from_secs(30);

/// A document to write; without a value it is deleted.
pub type Entry = (String, Option<Json>);

impl TableViews {
    pub(super) async fn write_all(&self, writes: &[Write]) -> Result<Vec<Written>, TransactError> {
        let (written, _) = self.write_durably(writes).await?;
        Ok(written)
    }

    /// Writes with audit events; durable and visible on return. Answers also the version of the last write.
    pub(super) async fn write_durably(&self, writes: &[Write]) -> Result<(Vec<Written>, u64), TransactError> {
        for write in writes {
            self.table_soon(&write.table).await?;
        }
        self.recall(writes).await?;
        let entries: Vec<audit::Entry> = writes.iter().map(|write| self.entry(write)).collect();
        let mut also = Commit { appends: audit::append(&entries).into_iter().collect(), ..Commit::default() };
        let Decided { transacted, places } = loop {
            match self.decide(writes, &mut also, false) {
                Err(TransactError::Full) => self.log.room(&also.streams()).await,
                Err(TransactError::Behind(table)) => self.caught_up(&table).await?,
                other => break other?,
            }
        };
        self.log.durable(transacted.ticket.sequence).await?;
        for (write, (partition, offset)) in writes.iter().zip(&places) {
            let table = self.table(write.table.as_str())?;
            self.visible(&table, *partition, *offset).await;
        }
        let version_of_last = places.last().map_or(0, |(_, offset)| version(*offset));
        Ok((transacted.written, version_of_last))
    }

    /// Has the documents that are to be written read from the disk, aside, where memory does not know them: who decides
    /// holds the tables, and the thread.
    pub(super) async fn recall(&self, writes: &[Write]) -> Result<(), Problem> {
        let mut unknown: Vec<(Arc<Table>, String)> = Vec::new();
        for write in writes.iter().take(WRITES_MAX) {
            let table = self.table(write.table.as_str())?;
            if !table.cache.holds(&write.key) && table.keys.may_hold(&write.key) {
                unknown.push((table, write.key.clone()));
            }
        }
        let Some(me) = self.me.upgrade().filter(|_| !unknown.is_empty()) else { return Ok(()) };
        let read = move || unknown.iter().try_for_each(|(table, key)| me.shown(table, key).map(drop));
        match tokio::task::spawn_blocking(read).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The node stops, as the write will find.
            Err(_) => Ok(()),
        }
    }

    /// As [`Self::settle`], for a write that cannot be decided before.
    pub(super) async fn caught_up(&self, name: &Name) -> Result<(), Problem> {
        self.within(BEHIND_MAX, self.settle(name.as_str())).await.unwrap_or_else(|| {
            let fact = format!("the view of the table `{name}` is behind and does not catch up");
            Err(Problem::new("HW-KERNEL-037", fact).help("`headwater describe table` shows how far it is"))
        })
    }

    fn entry(&self, write: &Write) -> audit::Entry {
        let verb = match &write.change {
            Change::Put(_) => "put",
            Change::Update(_) => "update",
            Change::Delete => "remove",
        };
        audit::Entry {
            time: self.clock.now(),
            who: write.who.as_ref().map_or_else(|| audit::LOCAL.to_owned(), audit::who),
            verb: verb.to_owned(),
            kind: "Table".to_owned(),
            name: write.table.to_string(),
            generation: 0,
            outcome: "written".to_owned(),
        }
    }

    /// Writes many documents without conditions; durable and visible on return. Larger imports call it again and again.
    /// Answers how many were written.
    ///
    /// # Errors
    /// `HW-KERNEL-019`, `-021` (nothing of this call is written then), `-016`.
    pub async fn import(&self, name: &Name, entries: &[Entry]) -> Result<usize, Problem> {
        let table = self.table_soon(name).await?;
        for (key, value) in entries {
            self.check(&table, key, value.as_ref())?;
        }
        if table.changes.is_some() {
            return self.import_telling(&table, entries).await;
        }
        let partitions = table.stream.config.partitions;
        let now = self.clock.now().millis();
        let mut split: Vec<Vec<&Entry>> = (0..partitions).map(|_| Vec::new()).collect();
        for entry in entries {
            if let Some(part) = split.get_mut(partition_of(entry.0.as_bytes(), partitions) as usize) {
                part.push(entry);
            }
        }
        let (mut sequence, mut ends) = (None, Vec::new());
        for (partition, part) in (0..).zip(split) {
            let mut rest = part.into_iter().peekable();
            while rest.peek().is_some() {
                let (mut batches, mut bytes) = (bytes::BytesMut::new(), 0);
                while bytes < IMPORT_COMMIT_BYTES && rest.peek().is_some() {
                    let mut builder = Builder::new(Compression::None);
                    while builder.bytes() < BATCH_BYTES {
                        let Some((key, value)) = rest.next() else { break };
                        builder.push(now, Some(key.as_bytes()), value.as_deref(), &[]);
                    }
                    let batch = builder.finish();
                    bytes += batch.len();
                    batches.unsplit(batch);
                }
                let ticket = self.append_all(&table, partition, batches).await?;
                sequence = Some(ticket.sequence);
                ends.push((partition, ticket.placed.first().map_or(-1, |placed| placed.last)));
            }
        }
        if let Some(sequence) = sequence {
            self.log.durable(sequence).await.map_err(|error| refused("the import", &error))?;
        }
        for (partition, end) in ends {
            self.visible(&table, partition, end).await;
        }
        Ok(entries.len())
    }

    /// An import of a table that tells its changes.
    async fn import_telling(&self, table: &Table, entries: &[Entry]) -> Result<usize, Problem> {
        for chunk in entries.chunks(IMPORT_WRITES) {
            let writes: Vec<Write> =
                chunk.iter().map(|(key, value)| Write::unconditional(&table.name, key, value.clone())).collect();
            self.recall(&writes).await?;
            let mut also = Commit::default();
            let decided = loop {
                match self.decide(&writes, &mut also, false) {
                    Err(TransactError::Full) => self.log.room(&also.streams()).await,
                    Err(TransactError::Behind(table)) => self.caught_up(&table).await?,
                    other => break other.map_err(|error| error.problem(&writes))?,
                }
            };
            self.log
                .durable(decided.transacted.ticket.sequence)
                .await
                .map_err(|error| refused("the import", &error))?;
        }
        for partition in 0..table.stream.config.partitions {
            let end = self.log.ends(&table.stream.name, partition).map_or(0, |ends| ends.appended);
            self.visible(table, partition, end - 1).await;
        }
        Ok(entries.len())
    }

    async fn append_all(&self, table: &Table, partition: u32, batches: bytes::BytesMut) -> Result<Ticket, Problem> {
        let append = Append { stream: table.stream.name.clone(), partition, batches };
        let mut commit = Commit { appends: vec![append], ..Commit::default() };
        loop {
            match self.log.append(&mut commit) {
                Ok(ticket) => return Ok(ticket),
                Err(LogError::Full(_)) => self.log.room(&commit.streams()).await,
                Err(error) => return Err(refused("the import", &error)),
            }
        }
    }

    /// Waits until the view shows what was appended at `offset`.
    async fn visible(&self, table: &Table, partition: u32, offset: Offset) {
        let Some(applied) = table.applied.get(partition as usize) else { return };
        let wait = async {
            loop {
                let moved = table.moved.notified();
                if applied.load(Ordering::SeqCst) > offset {
                    return;
                }
                moved.await;
            }
        };
        // Nothing follows a table while its unit restarts; the write is durable all the same.
        let _ = self.within(VISIBLE_MAX, wait).await;
    }

    /// What a future resolves to within `limit`; also on threads that are no runtime's, as those of pipelines and rules.
    async fn within<F: Future>(&self, limit: Duration, wait: F) -> Option<F::Output> {
        let timeout = {
            let _runtime = self.handle.enter();
            tokio::time::timeout(limit, wait)
        };
        timeout.await.ok()
    }

    pub(super) fn check(&self, table: &Table, key: &str, value: Option<&Bytes>) -> Result<(), Problem> {
        let invalid = |fact: String| Err(Problem::new("HW-KERNEL-021", fact));
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return invalid(format!("a key of {} bytes; 1 to {KEY_BYTES_MAX} are allowed", key.len()));
        }
        let Some(value) = value else { return Ok(()) };
        let limit = table.stream.config.batch_bytes().saturating_sub(KEY_BYTES_MAX + 1_024);
        if value.len() > limit {
            return invalid(format!("the document `{}` has {} bytes; the limit is {limit}", short(key), value.len()));
        }
        if table.schema.is_none() {
            return match is_object(value) {
                true => Ok(()),
                false => invalid(format!("the document `{}` is no JSON object", short(key))),
            };
        }
        let parsed: Result<Value, _> = serde_json::from_slice(value);
        let Some(parsed) = parsed.ok().filter(Value::is_object) else {
            return invalid(format!("the document `{}` is no JSON object", short(key)));
        };
        match table.schema.as_ref().and_then(|schema| crate::schema::mismatch(schema, &parsed)) {
            Some(words) => {
                invalid(format!("the document `{}` does not fit the schema of `{}`: {words}", short(key), table.name))
            }
            None => Ok(()),
        }
    }
}

/// A document's version from the offset of its event.
pub(super) fn version(offset: Offset) -> u64 {
    u64::try_from(offset + 1).unwrap_or(0)
}

/// Whether bytes are the text of a JSON object, without building it.
pub(super) fn is_object(text: &[u8]) -> bool {
    struct Object;
    impl<'de> serde::de::Visitor<'de> for Object {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            Ok(())
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    serde::Deserializer::deserialize_map(&mut reader, Object).is_ok() && reader.end().is_ok()
}

impl TableViews {
    /// Waits until the view of a table shows everything that is appended now.
    pub(super) async fn settle(&self, table: &str) -> Result<(), Problem> {
        let table = self.table(table)?;
        for partition in 0..table.stream.config.partitions {
            if let Ok(ends) = self.log.ends(&table.stream.name, partition) {
                self.visible(&table, partition, ends.appended - 1).await;
            }
        }
        Ok(())
    }
}
