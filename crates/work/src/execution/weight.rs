//! About what an execution takes in memory as values: known of each thread, so that only what a step has changed is looked
//! at again.
//!
//! Payloads that threads share are counted for each of them, as they are there once for each after a restart.

use std::collections::BTreeMap;

use super::event::Changed;
use super::{Data, Execution, Item, Thread, ThreadId};
use crate::size;

/// See the file's head.
pub(crate) struct Weight {
    threads: BTreeMap<ThreadId, usize>,
    bytes: usize,
}

impl Weight {
    /// Of an execution as it is.
    pub(crate) fn of(execution: &Execution) -> Self {
        let bytes = size_of::<Execution>() + size::in_memory(&execution.input) + item(execution.item.as_ref());
        let mut weight = Self { threads: BTreeMap::new(), bytes };
        execution.threads.keys().for_each(|id| weight.look(*id, execution));
        weight
    }

    /// Follows what has changed of the execution since.
    pub(crate) fn follow(&mut self, execution: &Execution, changed: &Changed) {
        changed.data.iter().chain(&changed.gone).for_each(|id| self.look(*id, execution));
    }

    /// Bytes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn look(&mut self, id: ThreadId, execution: &Execution) {
        let before = match execution.threads.get(&id) {
            Some(thread) => {
                let bytes = size_of::<Thread>() + data(&thread.data);
                self.bytes += bytes;
                self.threads.insert(id, bytes)
            }
            None => self.threads.remove(&id),
        };
        self.bytes -= before.unwrap_or(0);
    }
}

fn data(data: &Data) -> usize {
    let items: usize = data.items.iter().map(size::in_memory).sum();
    size::in_memory(&data.input) + size::fields_in_memory(&data.variables) + item(data.item.as_ref()) + items
}

fn item(item: Option<&Item>) -> usize {
    item.map_or(0, |item| size::in_memory(&item.value))
}
