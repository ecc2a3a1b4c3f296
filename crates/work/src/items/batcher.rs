//! `ItemBatcher`: several items as the input of one child.

use serde_json::{Map, Value, json};

use crate::execution::Failure;

/// The largest input of a child.
const INPUT_BYTES_MAX: u64 = 262_144;

/// Gathers items.
#[derive(Clone, Debug)]
pub struct Batcher {
    count_max: Option<u64>,
    bytes_max: u64,
    input: Option<Value>,
    open: Vec<Value>,
    bytes: u64,
}

impl Batcher {
    /// Of an evaluated `ItemBatcher`.
    ///
    /// # Errors
    /// `States.Runtime` when it bounds nothing or its bounds are none.
    pub fn of(batcher: &Value) -> Result<Self, Failure> {
        let refused = |fact: &str| Failure::new("States.Runtime", fact);
        let bound = |field: &str| match batcher.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().filter(|bound| *bound > 0) {
                Some(bound) => Ok(Some(bound)),
                None => Err(refused(&format!("The {field} field must be a positive integer but was: {value}"))),
            },
        };
        let (count_max, bytes_max) = (bound("MaxItemsPerBatch")?, bound("MaxInputBytesPerBatch")?);
        if count_max.is_none() && bytes_max.is_none() {
            return Err(refused("An ItemBatcher needs MaxItemsPerBatch or MaxInputBytesPerBatch"));
        }
        let input = batcher.get("BatchInput").cloned();
        let bytes_max = bytes_max.unwrap_or(INPUT_BYTES_MAX).min(INPUT_BYTES_MAX);
        let mut batcher = Self { count_max, bytes_max, input, open: Vec::new(), bytes: 0 };
        batcher.bytes = batcher.empty();
        Ok(batcher)
    }

    /// Takes an item; answers the batch that was full before it. A batch always takes one item, whatever its size.
    pub fn add(&mut self, item: Value) -> Option<Value> {
        let size = crate::size::of(&item).0 as u64 + 1;
        let full =
            self.count_max.is_some_and(|count| self.open.len() as u64 >= count) || self.bytes + size > self.bytes_max;
        let batch = if full { self.finish() } else { None };
        self.bytes += size;
        self.open.push(item);
        batch
    }

    /// The last batch.
    pub fn finish(&mut self) -> Option<Value> {
        if self.open.is_empty() {
            return None;
        }
        self.bytes = self.empty();
        let items = std::mem::take(&mut self.open);
        let mut batch = Map::new();
        batch.extend(self.input.clone().map(|input| ("BatchInput".to_owned(), input)));
        batch.insert("Items".to_owned(), Value::Array(items));
        Some(Value::Object(batch))
    }

    /// All batches of these items.
    pub fn batches(mut self, items: Vec<Value>) -> Vec<Value> {
        let mut batches: Vec<Value> = items.into_iter().filter_map(|item| self.add(item)).collect();
        batches.extend(self.finish());
        batches
    }

    /// Bytes of a batch without items.
    fn empty(&self) -> u64 {
        let input = self.input.as_ref().map_or(0, |input| crate::size::of(input).0 + 14);
        input as u64 + json!({ "Items": [] }).to_string().len() as u64
    }
}
