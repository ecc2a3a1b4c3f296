//! Keys of rows: some of their columns as bytes, which are the same where all of the values are.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::row::{RowConverter, Rows, SortField};
use arrow_array::{BooleanArray, RecordBatch, UInt64Array};
use arrow_schema::{ArrowError, Schema};
use arrow_select::take::take_record_batch;

/// Where rows have their key.
#[derive(Clone, Debug)]
pub struct Keys {
    columns: Arc<[usize]>,
    converter: Arc<RowConverter>,
}

/// Keys that are looked for in other rows.
#[derive(Debug)]
pub struct KeySet(HashSet<Box<[u8]>>);

/// What a key takes in a set besides its bytes, about.
const ENTRY_BYTES: usize = 32;

impl Keys {
    /// The key that these columns are in rows with this schema.
    ///
    /// # Errors
    /// What Arrow says of a column that is not there.
    pub fn new(schema: &Schema, names: &[String]) -> Result<Self, ArrowError> {
        let columns = names.iter().map(|name| schema.index_of(name)).collect::<Result<Arc<[usize]>, _>>()?;
        let fields = columns.iter().map(|column| SortField::new(schema.field(*column).data_type().clone()));
        Ok(Self { converter: Arc::new(RowConverter::new(fields.collect())?), columns })
    }

    /// The same key where some columns are left of such rows; None where one of the key's is not among them.
    pub fn within(&self, left: &[usize]) -> Option<Self> {
        let place = |column: &usize| left.iter().position(|it| it == column);
        let columns = self.columns.iter().map(place).collect::<Option<_>>()?;
        Some(Self { columns, converter: Arc::clone(&self.converter) })
    }

    /// The columns, by their numbers.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The last row of each key, in the order of rows.
    ///
    /// # Errors
    /// What Arrow says of rows with other columns.
    pub fn last(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let keys = self.of(rows)?;
        let mut seen = HashSet::with_capacity(rows.num_rows());
        let mut last: Vec<u64> =
            (0..rows.num_rows()).rev().filter(|row| seen.insert(keys.row(*row))).map(|row| row as u64).collect();
        if last.len() == rows.num_rows() {
            return Ok(rows.clone());
        }
        last.reverse();
        take_record_batch(rows, &UInt64Array::from(last))
    }

    /// The key of each row.
    ///
    /// # Errors
    /// What Arrow says of rows with other columns.
    pub fn of(&self, rows: &RecordBatch) -> Result<Rows, ArrowError> {
        self.converter.convert_columns(rows.project(&self.columns)?.columns())
    }
}

impl KeySet {
    /// The keys of these rows.
    ///
    /// # Errors
    /// What Arrow says of rows with other columns.
    pub fn new(keys: &Keys, rows: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self(keys.of(rows)?.iter().map(|key| key.data().into()).collect()))
    }

    /// Which rows have another key than those.
    ///
    /// # Errors
    /// What Arrow says of rows with other columns.
    pub fn others(&self, keys: &Keys, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        Ok(keys.of(rows)?.iter().map(|key| Some(!self.0.contains(key.data()))).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|key| key.len() + ENTRY_BYTES).sum()
    }
}
