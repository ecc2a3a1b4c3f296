//! Documents whose time is up: by their age, or by a field of their own. They are not shown any more at once, and
//! deleted a little later, by a write like any other that changes tell as expired.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Micros, Problem};
use headwater_log::Commit;
use headwater_store::tables::Range;
use headwater_wire::exact::Exact;

use super::index::{By, expiry_place, time_of};
use super::{Table, TableViews};
use crate::port::Document;
use crate::port::tables::{TransactError, Write};
use crate::resources::refused;

/// How often documents are looked at for their time, and how many in one step.
pub(super) const AGE_EVERY: Duration = Duration::from_secs(30);
const AGE_SCAN: usize = 5_000;

/// Deletions of one commit.
const AT_ONCE: usize = 500;

impl TableViews {
    /// Whether a document's time is not up.
    pub(super) fn alive(&self, table: &Table, document: &Document) -> bool {
        if table.ttl.is_none() && table.ttl_field.is_none() {
            return true;
        }
        let now = self.clock.now();
        table.ttl.is_none_or(|ttl| document.updated.plus(ttl) > now)
            && table.ttl_field.as_deref().and_then(|field| end_of(document, field)).is_none_or(|end| end > now)
    }

    /// Deletes documents whose time is up.
    pub(super) async fn expire(
        self: &Arc<Self>,
        table: &Arc<Table>,
        stopping: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Problem> {
        let now = self.clock.now();
        if let Some(ttl) = table.ttl {
            let limit = now.minus(ttl);
            let mut after: Option<String> = None;
            loop {
                let own = Arc::clone(table);
                let older = move |views: &Self| {
                    views.answer(|view| view.older(*own.id.read(), limit.0, after.as_deref(), AGE_SCAN))
                };
                let aged = self.aside(older).await?;
                self.delete_all(table, &aged.keys).await?;
                after = aged.last;
                if after.is_none() || stopping() {
                    break;
                }
            }
        }
        let by_field = table.indexes.iter().position(|index| matches!(index.by, By::Expiry(_)));
        let Some(index) = by_field else { return Ok(()) };
        let below = expiry_place(now);
        let mut after: Option<(Vec<u8>, String)> = None;
        while !stopping() {
            let own = Arc::clone(table);
            let due = move |views: &Self| {
                let range = Range {
                    from: &[],
                    below: Some(&below),
                    after: after.as_ref().map(|(place, key)| (place.as_slice(), key.as_str())),
                    descending: false,
                    count: AT_ONCE,
                };
                views.answer(|view| match own.index_id(index) {
                    Some(id) => view.find(*own.id.read(), id, &range),
                    None => Ok(Vec::new()),
                })
            };
            let found = self.aside(due).await?;
            let keys: Vec<(String, u64)> = found.iter().map(|(_, row)| (row.key.clone(), row.version)).collect();
            self.delete_all(table, &keys).await?;
            if found.len() < AT_ONCE {
                break;
            }
            after = found.into_iter().next_back().map(|(place, row)| (place, row.key));
        }
        Ok(())
    }

    /// Deletes documents that are still at these versions; one written anew meanwhile has another and stays.
    async fn delete_all(&self, table: &Table, keys: &[(String, u64)]) -> Result<(), Problem> {
        let write = |(key, version): &(String, u64)| Write {
            expect: Some(*version),
            ..Write::unconditional(&table.name, key, None)
        };
        let mut sequence = None;
        for chunk in keys.chunks(AT_ONCE) {
            let mut writes: Vec<Write> = chunk.iter().map(write).collect();
            self.recall(&writes).await?;
            let mut also = Commit::default();
            while !writes.is_empty() {
                match self.decide(&writes, &mut also, true) {
                    Ok(decided) => {
                        sequence = Some(decided.transacted.ticket.sequence);
                        break;
                    }
                    Err(TransactError::Condition { index, .. }) => drop(writes.remove(index)),
                    Err(TransactError::Full) => self.log.room(&also.streams()).await,
                    // The next look finds them again.
                    Err(TransactError::Behind(_)) => break,
                    Err(error) => return Err(error.problem(&writes)),
                }
            }
        }
        if let Some(sequence) = sequence {
            self.log.durable(sequence).await.map_err(|error| refused("an expiry", &error))?;
        }
        Ok(())
    }
}

/// When a document says that it goes.
fn end_of(document: &Document, field: &str) -> Option<Micros> {
    Exact::read(&document.value).ok()?.get(field).and_then(time_of)
}
