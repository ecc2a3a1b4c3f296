//! Writing documents: as events of the table's stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::partition::partition_of;
use headwater_base::{Name, Problem};
use headwater_log::{Append, Commit, LogError, Offset, Ticket, View};
use headwater_wire::batch::{self, Builder, Compression};
use serde_json::Value;

use super::{KEY_BYTES_MAX, Table, TableViews};
use crate::audit;
use crate::kind::short;
use crate::port::Json;
use crate::resources::refused;

/// Size at which a batch of an import is closed.
const IMPORT_BATCH_BYTES: usize = 256 * 1024;

/// Size of the batches of one commit of an import.
const IMPORT_COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// How long a write waits for the view to show it; it is durable already.
const VISIBLE_MAX: Duration = Duration::from_secs(2);

/// A document to write; without a value it is deleted.
pub type Entry = (String, Option<Json>);

impl TableViews {
    pub(super) async fn write_one(
        &self,
        name: &Name,
        key: &str,
        value: Option<Json>,
        expect: Option<u64>,
    ) -> Result<u64, Problem> {
        let table = self.table_soon(name).await?;
        self.check(&table, key, value.as_ref())?;
        let partition = partition_of(key.as_bytes(), table.stream.config.partitions);
        let verb = if value.is_some() { "put" } else { "remove" };
        let ticket = loop {
            match self.decide(&table, partition, key, value.as_ref(), expect, verb)? {
                Ok(ticket) => break ticket,
                Err(LogError::Full(_)) => self.log.room().await,
                Err(error) => return Err(refused("the document", &error)),
            }
        };
        self.log.durable(ticket.sequence).await.map_err(|error| refused("the document", &error))?;
        let last = ticket.placed.first().map_or(-1, |placed| placed.last);
        self.visible(&table, partition, last).await;
        Ok(version(last))
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
                    while builder.bytes() < IMPORT_BATCH_BYTES {
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

    async fn append_all(&self, table: &Table, partition: u32, batches: bytes::BytesMut) -> Result<Ticket, Problem> {
        let append = Append { stream: table.stream.name.clone(), partition, batches };
        let commit = Commit { appends: vec![append], ..Commit::default() };
        loop {
            match self.log.append(&commit) {
                Ok(ticket) => return Ok(ticket),
                Err(LogError::Full(_)) => self.log.room().await,
                Err(error) => return Err(refused("the import", &error)),
            }
        }
    }

    /// Decides a write in the order of the log and appends it with its audit event: one at a time for a table.
    fn decide(
        &self,
        table: &Table,
        partition: u32,
        key: &str,
        value: Option<&Json>,
        expect: Option<u64>,
        verb: &str,
    ) -> Result<Result<Ticket, LogError>, Problem> {
        let now = self.clock.now();
        let mut builder = Builder::new(Compression::None);
        builder.push(now.millis(), Some(key.as_bytes()), value.map(AsRef::as_ref), &[]);
        let mut appends = vec![Append { stream: table.stream.name.clone(), partition, batches: builder.finish() }];
        let entry = audit::Entry {
            time: now,
            who: audit::LOCAL.to_owned(),
            verb: verb.to_owned(),
            kind: "Table".to_owned(),
            name: table.name.to_string(),
            generation: 0,
            outcome: "written".to_owned(),
        };
        appends.extend(audit::append(&[entry]));
        let _one_at_a_time = table.writing.lock();
        if let Some(expect) = expect {
            let there = self.newest(table, partition, key)?;
            if there != expect {
                let fact =
                    format!("`{}` of the table `{}` is at version {there}, not {expect}", short(key), table.name);
                let help = if expect == 0 {
                    "version 0 means that there is none yet"
                } else {
                    "read it again and decide anew"
                };
                return Err(Problem::new("HW-KERNEL-020", fact).help(help));
            }
        }
        Ok(self.log.append(&Commit { appends, ..Commit::default() }))
    }

    /// The version of a document with everything that is appended; 0 = there is none.
    fn newest(&self, table: &Table, partition: u32, key: &str) -> Result<u64, Problem> {
        let Some(applied) = table.applied.get(partition as usize) else { return Ok(0) };
        let from = applied.load(Ordering::SeqCst);
        // Read after `applied`, the view holds at least what lies before `from`.
        let shown = self.answer(|view| view.get(*table.id.read(), key))?.map(super::document);
        let mut newest = shown.filter(|document| self.alive(table, document)).map_or(0, |document| document.version);
        let mut at = from;
        loop {
            let fetched = match self.log.read(&table.stream.name, partition, at, 1 << 20, View::Appended) {
                Ok(fetched) => fetched,
                Err(LogError::OffsetOutOfRange { start, .. }) if start > at => {
                    at = start;
                    continue;
                }
                Err(error) => return Err(refused("the document", &error)),
            };
            if fetched.batches.is_empty() {
                return Ok(newest);
            }
            for part in batch::split(&fetched.batches) {
                let Ok((header, range)) = part else { return Ok(newest) };
                at = header.last_offset() + 1;
                let records = batch::records(&fetched.batches.slice(range), self.limits.batch_decompressed_bytes);
                for record in records.into_iter().flatten().flatten().filter(|record| record.offset >= from) {
                    if record.key.as_deref() == Some(key.as_bytes()) && version(record.offset) > newest {
                        newest = if record.value.is_some() { version(record.offset) } else { 0 };
                    }
                }
            }
        }
    }

    /// Waits until the view shows what was appended at `offset`.
    async fn visible(&self, table: &Arc<Table>, partition: u32, offset: Offset) {
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
        let _ = tokio::time::timeout(VISIBLE_MAX, wait).await;
    }

    fn check(&self, table: &Table, key: &str, value: Option<&Bytes>) -> Result<(), Problem> {
        let invalid = |fact: String| Err(Problem::new("HW-KERNEL-021", fact));
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return invalid(format!("a key of {} bytes; 1 to {KEY_BYTES_MAX} are allowed", key.len()));
        }
        let Some(value) = value else { return Ok(()) };
        let limit = (table.stream.config.batch_bytes_max as usize).saturating_sub(KEY_BYTES_MAX + 1_024);
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
    /// Waits until the view of a table shows everything that is durable now.
    pub(super) async fn settle(&self, table: &str) -> Result<(), Problem> {
        let table = self.table(table)?;
        for partition in 0..table.stream.config.partitions {
            if let Ok(ends) = self.log.ends(&table.stream.name, partition) {
                self.visible(&table, partition, ends.durable - 1).await;
            }
        }
        Ok(())
    }
}
