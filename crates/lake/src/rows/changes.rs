//! Changes of a table with a key: rows that take the places of others, and keys whose rows go.
//!
//! A batch of changes has the columns of the table, where there may be nothing but in the key, and behind them whether the
//! row of that key goes. Invariant: of changes put together, the last one of each key counts, also one that only deletes.

use std::sync::Arc;

use arrow::compute::not;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;

use super::keys::Keys;

/// What changes of a table are made of.
#[derive(Clone, Debug)]
pub struct Changes {
    stored: SchemaRef,
    schema: SchemaRef,
    keys: Keys,
}

/// The name of the last column; no other can lead into a record.
const DELETED: &str = "$deleted";

impl Changes {
    /// Changes of a table with these columns, by the columns of its key.
    ///
    /// # Errors
    /// What Arrow says of a key that is not among the columns.
    pub fn new(stored: &SchemaRef, key: &[String]) -> Result<Self, ArrowError> {
        let keys = Keys::new(stored, key)?;
        let fields = stored.fields().iter().enumerate().map(|(column, field)| {
            if keys.columns().contains(&column) {
                Arc::clone(field)
            } else {
                Arc::new(field.as_ref().clone().with_nullable(true))
            }
        });
        let deleted = Arc::new(Field::new(DELETED, DataType::Boolean, false));
        let schema = Arc::new(Schema::new(fields.chain([deleted]).collect::<Vec<_>>()));
        Ok(Self { stored: Arc::clone(stored), schema, keys })
    }

    /// The same for some columns of the table, in the order of the table; None where one of the key's is not among them.
    pub fn within(&self, columns: &[usize]) -> Option<Self> {
        let keys = self.keys.within(columns)?;
        let stored = Arc::new(self.stored.project(columns).ok()?);
        let schema = Arc::new(self.schema.project(&self.places(columns)).ok()?);
        Some(Self { stored, schema, keys })
    }

    /// The columns of changes where some of the table are left.
    pub fn places(&self, columns: &[usize]) -> Vec<usize> {
        columns.iter().copied().chain([self.stored.fields().len()]).collect()
    }

    /// The columns of the table.
    pub const fn stored(&self) -> &SchemaRef {
        &self.stored
    }

    /// The columns of changes.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The key.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Puts changes together, in their order.
    ///
    /// # Errors
    /// What Arrow says of batches of other columns.
    pub fn of<'a>(&self, batches: impl IntoIterator<Item = &'a RecordBatch>) -> Result<RecordBatch, ArrowError> {
        self.keys.last(&concat_batches(&self.schema, batches)?)
    }

    /// The rows that changes bring.
    ///
    /// # Errors
    /// What Arrow says of a batch of other columns.
    pub fn rows(&self, changes: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let deleted = changes.columns().last().and_then(|deleted| deleted.as_boolean_opt());
        let deleted = deleted.ok_or_else(|| ArrowError::SchemaError("these are no changes".to_owned()))?;
        let rows = filter_record_batch(changes, &not(deleted)?)?;
        let columns = rows.columns().iter().take(self.stored.fields().len()).cloned().collect();
        RecordBatch::try_new(Arc::clone(&self.stored), columns)
    }
}
