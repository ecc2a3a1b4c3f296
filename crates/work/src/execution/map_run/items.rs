//! The items of a Map Run with the inputs of their children, as bytes of its record.
//!
//! As values they take ten times as much memory, all of them for as long as the run takes; so each becomes a value when
//! its child begins. What it is NOT: items that a reader finds in files.

use serde_json::Value;

use crate::execution::record::codec::{Reader, Writer};
use crate::execution::{Failure, Item};

/// Bytes of the smallest item: its index, its value, its child's input.
const ITEM_BYTES_MIN: u64 = 3;

/// Items with the inputs of their children, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    count: u64,
    bytes: Vec<u8>,
}

/// Items one by one; behind one that cannot be read (`States.Runtime`) there is none.
#[derive(Debug)]
pub struct Each {
    bytes: Vec<u8>,
    at: usize,
    left: u64,
}

impl Items {
    /// Adds an item and what its child begins with.
    pub fn push(&mut self, item: &Item, input: &Value) {
        let mut writer = Writer::default();
        std::mem::swap(&mut writer.bytes, &mut self.bytes);
        writer.number(item.index);
        writer.value(&item.value);
        writer.value(input);
        self.bytes = writer.bytes;
        self.count += 1;
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.number(self.count);
        writer.raw(&self.bytes);
    }

    /// Items that are all that is left of a record, or of a part of one.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.number()?;
        let bytes = reader.rest();
        (count <= bytes.len() as u64 / ITEM_BYTES_MIN).then(|| Self { count, bytes: bytes.to_vec() })
    }

    /// Items that have more of the record behind them.
    pub(crate) fn decode_before_more(reader: &mut Reader<'_>) -> Option<Self> {
        let mut items = Self::default();
        for _ in 0..reader.number()? {
            let (item, input) = read(reader)?;
            items.push(&item, &input);
        }
        Some(items)
    }
}

impl IntoIterator for Items {
    type Item = Result<(Item, Value), Failure>;
    type IntoIter = Each;

    fn into_iter(self) -> Each {
        Each { bytes: self.bytes, at: 0, left: self.count }
    }
}

impl Iterator for Each {
    type Item = Result<(Item, Value), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader::new(self.bytes.get(self.at..).unwrap_or_default());
        let Some(found) = read(&mut reader) else {
            self.left = 0;
            return Some(Err(Failure::new("States.Runtime", "an item of the Map Run cannot be read")));
        };
        self.at = self.bytes.len() - reader.rest().len();
        Some(Ok(found))
    }
}

fn read(reader: &mut Reader<'_>) -> Option<(Item, Value)> {
    let item = Item { index: reader.number()?, value: reader.value()? };
    Some((item, reader.value()?))
}

#[cfg(test)]
mod tests;
