//! The log as everybody but the kernel holds it: what is appended through it to the stream of a table that tells its
//! changes is decided as a write of that table, so that pipelines and Kafka clients write no document without its
//! change. Everything else goes straight to the log below.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Micros, Name};
use headwater_log::{
    Commit, Ends, Fetched, FoundSpace, Log, LogError, Offset, Sequence, Stream, StreamConfig, Ticket, View,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::TableViews;
use crate::port::tables::TransactError;

/// See the module.
pub struct Gate {
    log: Arc<dyn Log>,
    tables: Arc<TableViews>,
    /// Tables whose views were too far behind when somebody last wrote them, until their next writer has waited.
    behind: Mutex<BTreeSet<Name>>,
}

impl Gate {
    /// Stands before `log`.
    pub fn new(log: Arc<dyn Log>, tables: Arc<TableViews>) -> Self {
        Self { log, tables, behind: Mutex::default() }
    }

    fn decide(&self, commit: &mut Commit) -> Result<Ticket, LogError> {
        match self.tables.decide(&[], commit, false) {
            Ok(decided) => {
                let mut ticket = decided.transacted.ticket;
                ticket.placed.truncate(commit.appends.len());
                Ok(ticket)
            }
            Err(TransactError::Full) => Err(LogError::Full(0)),
            Err(TransactError::Behind(table)) => {
                self.behind.lock().insert(table);
                Err(LogError::Full(0))
            }
            Err(TransactError::Log(error)) => Err(error),
            Err(TransactError::Problem(problem)) => Err(LogError::InvalidRecord(problem.title)),
            Err(TransactError::Condition { .. }) => {
                Err(LogError::InvalidRecord("a condition does not hold".to_owned()))
            }
        }
    }
}

impl Log for Gate {
    fn append(&self, commit: &mut Commit) -> Result<Ticket, LogError> {
        if self.tables.tells(commit) { self.decide(commit) } else { self.log.append(commit) }
    }

    fn room(&self, streams: &[&str]) -> BoxFuture<'_, ()> {
        let written =
            |table: &&Name| streams.iter().any(|stream| stream.strip_prefix("table.") == Some(table.as_str()));
        let behind: Vec<Name> = self.behind.lock().iter().filter(written).cloned().collect();
        let room = self.log.room(streams);
        Box::pin(async move {
            for table in behind {
                // It is asked again in any case.
                let _ = self.tables.caught_up(&table).await;
                self.behind.lock().remove(&table);
            }
            room.await;
        })
    }

    fn create(
        &self,
        name: Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        self.log.create(name, config, extra)
    }

    fn alter(
        &self,
        name: &Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        self.log.alter(name, config, extra)
    }

    fn delete(&self, name: &Name) -> BoxFuture<'_, Result<(), LogError>> {
        self.log.delete(name)
    }

    fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.log.stream(name)
    }

    fn streams(&self) -> Vec<Arc<Stream>> {
        self.log.streams()
    }

    fn durable(&self, sequence: Sequence) -> BoxFuture<'_, Result<(), LogError>> {
        self.log.durable(sequence)
    }

    fn read(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Fetched, LogError> {
        self.log.read(stream, partition, from, bytes_max, view)
    }

    fn read_in_memory(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Option<Fetched>, LogError> {
        self.log.read_in_memory(stream, partition, from, bytes_max, view)
    }

    fn ends(&self, stream: &Name, partition: u32) -> Result<Ends, LogError> {
        self.log.ends(stream, partition)
    }

    fn find_time(&self, stream: &Name, partition: u32, time: Micros) -> Result<Option<(Offset, Micros)>, LogError> {
        self.log.find_time(stream, partition, time)
    }

    fn newest(&self, stream: &Name, partition: u32) -> Result<Option<(Offset, Micros)>, LogError> {
        self.log.newest(stream, partition)
    }

    fn trim(&self, stream: &Name, partition: u32, offset: Offset) -> BoxFuture<'_, Result<Offset, LogError>> {
        self.log.trim(stream, partition, offset)
    }

    fn wake_after(
        &self,
        stream: &Name,
        partition: u32,
        after: Offset,
        view: View,
        waiter: &Arc<Notify>,
    ) -> Result<(), LogError> {
        self.log.wake_after(stream, partition, after, view, waiter)
    }

    fn look(&self, space: &str, key: &[u8], view: View, seen: &mut dyn FnMut(Option<&[u8]>)) {
        self.log.look(space, key, view, seen);
    }

    fn space(&self, name: &str) -> Option<FoundSpace> {
        self.log.space(name)
    }

    fn foresee(&self, keys: &[(&str, &[u8])]) {
        self.log.foresee(keys);
    }

    fn scan(&self, space: &str, prefix: &[u8], after: Option<&[u8]>, count: usize) -> Vec<(Bytes, Bytes)> {
        self.log.scan(space, prefix, after, count)
    }

    fn for_each(&self, space: &str, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.log.for_each(space, each);
    }

    fn for_part(&self, space: &str, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.log.for_part(space, part, each);
    }

    fn space_bytes(&self, space: &str) -> u64 {
        self.log.space_bytes(space)
    }

    fn drop_space(&self, space: &str) -> BoxFuture<'_, Result<(), LogError>> {
        self.log.drop_space(space)
    }

    fn fence(&self, owner: &Name) -> BoxFuture<'_, Result<u64, LogError>> {
        self.log.fence(owner)
    }

    fn producer_id(&self) -> BoxFuture<'_, Result<i64, LogError>> {
        self.log.producer_id()
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        self.log.figures()
    }
}
