//! Following a table's stream: durable events become documents of the view, in the order of the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use headwater_log::{Batches, LogError, Offset, View};
use headwater_store::tables::{self, Change, Row, ViewError};
use headwater_wire::batch;

use super::expiry::AGE_EVERY;
use super::write::{is_object, version};
use super::{Table, TableViews};
use crate::resource::{Resource, Status};
use crate::resources::refused;
use crate::unit::{Stop, Task, Unit, panicked};

/// Bytes of the log applied in one transaction.
const APPLY_BYTES: usize = 4 * 1024 * 1024;

/// Keys read in one step.
const KEYS_SCAN: usize = 5_000;

/// The unit of one table.
struct Follower {
    task: Arc<Task>,
    views: Arc<TableViews>,
    table: Arc<Table>,
}

impl Unit for Follower {
    fn stop(&self) -> BoxFuture<'_, ()> {
        self.task.stop()
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        self.task.finished()
    }

    fn status(&self) -> Status {
        if self.table.caught_up.load(Ordering::SeqCst) {
            return Status::ready("Serving", "");
        }
        let ends = |partition| self.views.log.ends(&self.table.stream.name, partition).map_or(0, |ends| ends.durable);
        let behind =
            (0..).zip(&self.table.applied).map(|(partition, applied)| ends(partition) - applied.load(Ordering::SeqCst));
        Status::pending("CatchingUp", format!("{} events are not applied yet", behind.sum::<i64>().max(0)))
    }
}

/// Starts to follow a table.
pub(super) fn start(views: &Arc<TableViews>, resource: &Resource) -> Result<Arc<dyn Unit>, Problem> {
    let table = views.attach(resource)?;
    let (inner, followed) = (Arc::clone(views), Arc::clone(&table));
    let task = Task::spawn(&resource.id(), |stop| run(inner, followed, stop));
    Ok(Arc::new(Follower { task, views: Arc::clone(views), table }))
}

async fn run(views: Arc<TableViews>, table: Arc<Table>, mut stop: Stop) -> Result<(), Problem> {
    let mut aged = views.clock.elapsed();
    let mortal = table.ttl.is_some() || table.ttl_field.is_some();
    let mut listed = false;
    loop {
        for partition in 0..table.stream.config.partitions {
            while !stop.is_set() {
                let followed = Arc::clone(&table);
                if !views.aside(move |views| views.apply(&followed, partition)).await? {
                    break;
                }
            }
        }
        let mut after: Option<String> = None;
        while !stop.is_set() && table.indexes.iter().any(|index| !index.complete.load(Ordering::SeqCst)) {
            let followed = Arc::clone(&table);
            after = views.aside(move |views| views.backfill(&followed, after.as_deref())).await?;
        }
        table.caught_up.store(true, Ordering::SeqCst);
        if !std::mem::replace(&mut listed, true) {
            let followed = Arc::clone(&table);
            views.aside(move |views| views.list_keys(&followed)).await?;
        }
        for (partition, applied) in (0..).zip(&table.applied) {
            // The end lies one past the last event, as `applied` does: above it there is something to apply.
            let after = applied.load(Ordering::SeqCst);
            let waiting = views.log.wake_after(&table.stream.name, partition, after, View::Durable, &table.news);
            waiting.map_err(|error| gone(&table, &error))?;
        }
        tokio::select! {
            () = table.news.notified() => {}
            () = tokio::time::sleep(AGE_EVERY), if mortal => {}
            () = stop.wait() => return Ok(()),
        }
        if stop.is_set() {
            return Ok(());
        }
        if mortal && views.clock.elapsed() >= aged + AGE_EVERY {
            aged = views.clock.elapsed();
            views.expire(&table, &|| stop.is_set()).await?;
        }
    }
}

fn gone(table: &Table, error: &LogError) -> Problem {
    refused(&format!("the view of the table `{}`", table.name), error)
}

impl TableViews {
    /// What `work` comes to, on a thread that may wait for the disk.
    pub(super) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let views = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&views)).await.map_err(|error| panicked("table view", error))?
    }

    /// Applies the next events of a partition; false at the end.
    pub(super) fn apply(&self, table: &Table, partition: u32) -> Result<bool, Problem> {
        // What is made here, from its offset to its entries of indexes, is made for this one.
        let view = self.view();
        let Some(applied) = table.applied.get(partition as usize) else { return Ok(false) };
        let from = applied.load(Ordering::SeqCst);
        let fetched = match self.log.read(&table.stream.name, partition, from, APPLY_BYTES, View::Durable) {
            Ok(fetched) => fetched,
            Err(LogError::OffsetOutOfRange { start, .. }) if from < start => {
                // Events before `start` were removed by hand; documents made of them stay.
                self.advance(&view, table, partition, &[], start)?;
                return Ok(true);
            }
            Err(LogError::OffsetOutOfRange { end, .. }) => {
                tracing::error!(table = %table.name, applied = from, end, "view is ahead of its stream and is built again");
                self.empty(table)?;
                return Ok(true);
            }
            Err(error) => return Err(gone(table, &error)),
        };
        if fetched.batches.is_empty() {
            return Ok(false);
        }
        let (changes, next) = self.changes(table, &fetched.batches, from)?;
        self.advance(&view, table, partition, &changes, next)?;
        Ok(true)
    }

    /// The changes in `batches` from offset `from` on, the newest of each key, and the offset behind them.
    fn changes(&self, table: &Table, batches: &Batches, from: Offset) -> Result<(Vec<Change>, Offset), Problem> {
        let unreadable = |error: batch::BatchError| {
            Problem::new("HW-KERNEL-022", format!("the stream `{}` cannot be read", table.stream.name)).because(error)
        };
        let mut newest: HashMap<String, Change> = HashMap::new();
        let (mut next, mut ignored) = (from, 0_u64);
        for part in batches.each() {
            let (header, bytes) = part.map_err(unreadable)?;
            next = next.max(header.last_offset() + 1);
            if header.is_control() {
                continue;
            }
            for record in batch::records(&bytes, self.limits.batch_decompressed_bytes).map_err(unreadable)? {
                let record = record.map_err(unreadable)?;
                if record.offset < from {
                    continue;
                }
                let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).map(str::to_owned);
                match (key, record.value) {
                    (Some(key), None) => {
                        newest.insert(key.clone(), Change::Delete(key));
                    }
                    (Some(key), Some(value)) if is_object(&value) => {
                        let updated_us = Micros::from_millis(record.timestamp).0;
                        let row = Row {
                            key: key.clone(),
                            version: version(record.offset),
                            updated_us,
                            value: value.to_vec(),
                        };
                        newest.insert(key, Change::Put(row, Vec::new()));
                    }
                    _ => ignored += 1,
                }
            }
        }
        if ignored > 0 {
            tracing::warn!(table = %table.name, ignored, "events without a text key or a JSON object are no documents");
        }
        let mut changes: Vec<Change> = newest.into_values().collect();
        for change in &mut changes {
            if let Change::Put(row, entries) = change {
                *entries = table.entries(&row.value);
            }
        }
        // In key order the view's pages are written one after the other.
        changes.sort_unstable_by(|a, b| key_of(a).cmp(key_of(b)));
        Ok((changes, next))
    }

    /// Learns the keys that the view holds from an earlier life.
    fn list_keys(&self, table: &Table) -> Result<(), Problem> {
        let mut after: Option<String> = None;
        loop {
            let found = self.answer(|view| view.older(*table.id.read(), i64::MAX, after.as_deref(), KEYS_SCAN))?;
            table.keys.add(found.keys.iter().map(|(key, _)| key.as_str()));
            after = found.last;
            if after.is_none() {
                table.keys.complete();
                return Ok(());
            }
        }
    }

    /// Applies changes that were made for a view to it and to the cache, and tells whoever waits. Nothing of that happens
    /// where the view has been replaced meanwhile: the other one begins at the first offset.
    pub(super) fn advance(
        &self,
        view: &Arc<tables::View>,
        table: &Table,
        partition: u32,
        changes: &[Change],
        next: Offset,
    ) -> Result<(), Problem> {
        // Held until `applied` and the cache have followed: who replaces the view sets both back, before or after.
        let current = self.view.read();
        if !Arc::ptr_eq(view, &current) {
            return Ok(());
        }
        table.cache.begin();
        table.keys.add(changes.iter().map(key_of));
        let result = view.apply(*table.id.read(), partition, changes, next, !table.indexes.is_empty());
        if result.is_ok() {
            for change in changes {
                match change {
                    Change::Put(row, _) => table.cache.change(&row.key, Some(row.into())),
                    Change::Delete(key) => table.cache.change(key, None),
                }
            }
            if let Some(applied) = table.applied.get(partition as usize) {
                applied.store(next, Ordering::SeqCst);
            }
        }
        table.cache.end();
        drop(current);
        match result {
            Ok(()) => {
                if !changes.is_empty() {
                    table.generation.fetch_add(1, Ordering::SeqCst);
                }
                table.moved.notify_waiters();
                Ok(())
            }
            // Replaced by an empty view, which is then filled from the beginning.
            Err(ViewError::Damaged(words)) => self.repair(view, &words),
            Err(error) => Err(super::failed(&error)),
        }
    }

    /// Empties the view of one table.
    fn empty(&self, table: &Table) -> Result<(), Problem> {
        let current = self.view.read();
        let view = Arc::clone(&current);
        table.cache.begin();
        let result = view.clear(*table.id.read());
        table.forget();
        drop(current);
        match result {
            // The one in its place is empty.
            Err(ViewError::Damaged(words)) => self.repair(&view, &words),
            other => other.map_err(|error| super::failed(&error)),
        }
    }
}

impl Table {
    /// Forgets what the view had, which has been emptied since the cache's `begin`.
    pub(super) fn forget(&self) {
        for applied in &self.applied {
            applied.store(0, Ordering::SeqCst);
        }
        self.cache.clear();
        self.keys.clear();
        self.cache.end();
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

fn key_of(change: &Change) -> &str {
    match change {
        Change::Put(row, _) => &row.key,
        Change::Delete(key) => key,
    }
}
