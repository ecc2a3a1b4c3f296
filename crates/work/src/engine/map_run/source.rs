//! The children of a Map Run: items at hand or read from a file, alone or in batches, each with its number.

use serde_json::Value;

use crate::definition::Definition;
use crate::engine::{Inner, rows};
use crate::execution::map_run::Items;
use crate::execution::{Execution, Failure, Item, MapRun};
use crate::items::{self, Batcher};

/// One child to run.
pub(super) struct Child {
    pub(super) number: u64,
    pub(super) item: Option<Item>,
    pub(super) input: Value,
    /// Items that it has.
    pub(super) items: u64,
}

/// Where children come from: items at hand or read from a file, alone or in batches.
pub(super) struct Source<'a> {
    items: Box<dyn Iterator<Item = Result<(Item, Value), Failure>> + Send + 'a>,
    batcher: Option<Batcher>,
    next: u64,
    /// Items at hand that are in no child yet.
    pub(super) left: u64,
    /// Children that were taken and come again.
    back: std::vec::IntoIter<Child>,
}

impl<'a> Source<'a> {
    /// Children from the one numbered `from`, of the items at hand where the run has no reader. Without an execution,
    /// which may be over when a run is stopped, inputs are the items as they were read.
    pub(super) fn open(
        inner: &'a Inner,
        run: &MapRun,
        at_hand: Items,
        execution: Option<&'a Execution>,
        definition: &'a Definition,
        (from, stopped): (u64, bool),
    ) -> Result<Self, Failure> {
        let left = if run.reader.is_some() { 0 } else { at_hand.count() };
        let items: Box<dyn Iterator<Item = Result<(Item, Value), Failure>> + Send + 'a> = match &run.reader {
            None => Box::new(at_hand.into_iter()),
            Some(reader) => {
                let missing = || Failure::new("States.ItemReaderFailed", "there are no blobs here");
                let blobs = inner.services.blobs.as_ref().ok_or_else(missing)?;
                let (attempt, key) = (run.attempt, rows::key_of("map", &run.arn));
                let read = items::open(reader, blobs, inner.services.columnar, &inner.limits)?;
                Box::new((0..).zip(read).map(move |(index, value)| {
                    let item = Item { index, value: value? };
                    let selected = execution.map(|execution| {
                        inner.step_in(&key, |given| execution.item_input(definition, attempt, &item, given))
                    });
                    let input = match selected {
                        Some(Ok(input)) => input,
                        Some(Err(failure)) if !stopped => return Err(failure),
                        // The state's thread is gone, and with it what its selector would have seen.
                        _ => item.value.clone(),
                    };
                    Ok((item, input))
                }))
            }
        };
        let batcher = run.batcher.as_ref().map(Batcher::of).transpose()?;
        let mut source = Self { items, batcher, next: 0, left, back: Vec::new().into_iter() };
        // What was done before a restart is read again and passed over.
        while source.next < from {
            if source.child()?.is_none() {
                break;
            }
        }
        Ok(source)
    }

    /// Of a reader that fails before its first item.
    pub(super) fn empty() -> Self {
        Self { items: Box::new(std::iter::empty()), batcher: None, next: 0, left: 0, back: Vec::new().into_iter() }
    }

    /// Takes children back, in order: they are the next ones.
    pub(super) fn put_back(&mut self, children: Vec<Child>) {
        self.back = children.into_iter();
    }

    pub(super) fn next(&mut self, count: usize) -> Result<Vec<Child>, Failure> {
        let mut chunk = Vec::new();
        while chunk.len() < count {
            let Some(child) = self.child()? else { break };
            chunk.push(child);
        }
        Ok(chunk)
    }

    pub(super) fn child(&mut self) -> Result<Option<Child>, Failure> {
        if let Some(child) = self.back.next() {
            return Ok(Some(child));
        }
        loop {
            let item = self.items.next().transpose()?;
            let (item, input) = match (&mut self.batcher, item) {
                (None, None) => return Ok(None),
                (None, Some((item, input))) => (Some(item), input),
                (Some(batcher), Some((_, input))) => match batcher.add(input) {
                    Some(batch) => (None, batch),
                    None => continue,
                },
                (Some(batcher), None) => match batcher.finish() {
                    Some(batch) => (None, batch),
                    None => return Ok(None),
                },
            };
            let batch = input.get("Items").and_then(Value::as_array).filter(|_| item.is_none());
            let items = batch.map_or(1, |items| items.len() as u64);
            let number = self.next;
            self.next += 1;
            self.left = self.left.saturating_sub(items);
            return Ok(Some(Child { number, item, input, items }));
        }
    }
}
