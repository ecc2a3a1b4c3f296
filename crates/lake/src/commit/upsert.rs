//! Upsert by copy on write: a table gets the last row of each key, and loses the rows that were there of those keys.
//!
//! A file is read only if what the manifests say of it (bounds of the key's columns, its partition) lets it have one of the
//! keys, and written anew only if it has. Files are read one after another, and what is left of each stands in the table's
//! current schema.
//!
//! Invariant: a table that has one row of each key has one of each key afterwards.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::slice;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_ord::sort::sort_to_indices;
use arrow_schema::{DataType, TimeUnit};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take;
use iceberg::Result;
use iceberg::spec::{
    DataFile, Literal, ManifestEntryRef, Operation, PartitionSpec, PartitionSpecRef, PrimitiveLiteral,
};

use super::bounds::believed;
use super::write::{made, write_under};
use super::{Change, Version, compact, live, write_data};
use crate::files::Files;
use crate::rows::{Changes, KeySet, Keys};

/// The change that `batch` makes of a table: changes, the last of each key.
///
/// # Errors
/// As [`write_data`], and files that cannot be read.
pub async fn upsert(files: &Files, version: &Version, changes: &Changes, batch: &RecordBatch) -> Result<Change> {
    let rows = changes.rows(batch)?;
    let added = if rows.num_rows() == 0 { Vec::new() } else { write_data(files, version, rows).await? };
    let mut change = Change::new(Operation::Append, added, Vec::new());
    if batch.num_rows() == 0 {
        return Ok(change);
    }
    let keys = KeySet::new(changes.keys(), batch)?;
    let mut by_spec = HashMap::new();
    for manifest in version.manifests(files).await? {
        let spec = version.partition_spec(manifest.partition_spec_id)?;
        let sought = match by_spec.entry(spec.spec_id()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Sought::new(version, spec, changes.keys(), batch)?),
        };
        for entry in live(files, slice::from_ref(&manifest)).await? {
            if sought.may_be_in(entry.data_file())
                && let Some(left) = without(files, version, spec, changes, &keys, &entry).await?
            {
                change.bring(version, spec.spec_id(), left);
                change.removed.push(entry);
            }
        }
    }
    if !change.removed.is_empty() {
        change.operation = Operation::Overwrite;
    }
    Ok(change)
}

/// A file anew without the rows of these keys, under its own partition spec: there they fall into one partition, and into
/// any number of them under another. None if it has none of the keys.
async fn without(
    files: &Files,
    version: &Version,
    spec: &PartitionSpecRef,
    changes: &Changes,
    keys: &KeySet,
    entry: &ManifestEntryRef,
) -> Result<Option<Vec<DataFile>>> {
    let location = entry.file_path();
    let bytes = compact::read(files, location).await?;
    // The key alone first: most files that may have one of the keys have none.
    let Some(of_key) = changes.within(changes.keys().columns()) else { return Ok(None) };
    let mut is_in = false;
    for batch in compact::rows(location, bytes.clone(), of_key.stored())? {
        is_in |= keys.others(of_key.keys(), &batch?)?.has_false();
        if is_in {
            break;
        }
    }
    if !is_in {
        return Ok(None);
    }
    let mut left = Vec::new();
    for batch in compact::rows(location, bytes, changes.stored())? {
        let batch = batch?;
        left.push(filter_record_batch(&batch, &keys.others(changes.keys(), &batch)?)?);
    }
    let left = concat_batches(changes.stored(), &left)?;
    if left.num_rows() == 0 {
        return Ok(Some(Vec::new()));
    }
    write_under(files, version, spec, left).await.map(Some)
}

/// Keys, as files tell what they have of them.
struct Sought {
    /// Values by key, in the order of the first of them.
    values: Vec<(Told, ArrayRef)>,
    count: usize,
}

/// What a file tells of a value of its rows.
enum Told {
    /// Between which bounds the column with this id is.
    Bounds(i32),
    /// What it is of all rows: one of the values of its partition.
    Part(usize),
}

impl Sought {
    /// The keys of a batch, for files of this partition spec.
    fn new(version: &Version, spec: &PartitionSpec, keys: &Keys, batch: &RecordBatch) -> Result<Self> {
        let schema = version.metadata.current_schema().as_struct();
        let of_keys = batch.project(keys.columns())?;
        let order = of_keys.columns().first().map(|first| sort_to_indices(first, None, None)).transpose()?;
        let mut values = Vec::new();
        for (field, column) in of_keys.schema().fields().iter().zip(of_keys.columns()) {
            let Some(field) = schema.field_by_name(field.name()) else { continue };
            let column = match &order {
                Some(order) => take(column, order, None)?,
                None => Arc::clone(column),
            };
            for (at, part) in spec.fields().iter().enumerate() {
                if part.source_id == field.id {
                    values.push((Told::Part(at), made(part.transform, &column)?));
                }
            }
            // The first column comes first, whatever is made of it.
            let at = if values.iter().any(|(told, _)| matches!(told, Told::Bounds(_))) { values.len() } else { 0 };
            values.insert(at, (Told::Bounds(field.id), column));
        }
        Ok(Self { values, count: batch.num_rows() })
    }

    /// Whether one of the keys may be in a file.
    fn may_be_in(&self, file: &DataFile) -> bool {
        let told: Vec<_> =
            self.values.iter().map(|(told, values)| (values, told.least(file), told.greatest(file))).collect();
        let is = |values: &ArrayRef, row, of: Option<&PrimitiveLiteral>, order| {
            of.is_some_and(|of| compare(values, row, of) == Some(order))
        };
        let Some((values, least, greatest)) = told.first() else { return true };
        let from = first(self.count, |row| !is(values, row, *least, Ordering::Less));
        let to = first(self.count, |row| is(values, row, *greatest, Ordering::Greater));
        let fits = |row: usize| {
            told.iter().all(|(values, least, greatest)| {
                !is(values, row, *least, Ordering::Less) && !is(values, row, *greatest, Ordering::Greater)
            })
        };
        (from..to).any(fits)
    }
}

impl Told {
    fn least<'a>(&self, file: &'a DataFile) -> Option<&'a PrimitiveLiteral> {
        match self {
            Self::Bounds(id) => believed(file, file.lower_bounds().get(id)),
            Self::Part(at) => part(file, *at),
        }
    }

    fn greatest<'a>(&self, file: &'a DataFile) -> Option<&'a PrimitiveLiteral> {
        match self {
            Self::Bounds(id) => believed(file, file.upper_bounds().get(id)),
            Self::Part(at) => part(file, *at),
        }
    }
}

fn part(file: &DataFile, at: usize) -> Option<&PrimitiveLiteral> {
    match file.partition().fields().get(at)?.as_ref()? {
        Literal::Primitive(literal) => Some(literal),
        _ => None,
    }
}

/// How a value stands to what a file tells; None where that cannot be said.
fn compare(values: &ArrayRef, row: usize, of: &PrimitiveLiteral) -> Option<Ordering> {
    Some(match (values.data_type(), of) {
        (DataType::Boolean, PrimitiveLiteral::Boolean(of)) => values.as_boolean().value(row).cmp(of),
        (DataType::Int32, PrimitiveLiteral::Int(of)) => values.as_primitive::<Int32Type>().value(row).cmp(of),
        (DataType::Date32, PrimitiveLiteral::Int(of)) => values.as_primitive::<Date32Type>().value(row).cmp(of),
        (DataType::Int64, PrimitiveLiteral::Long(of)) => values.as_primitive::<Int64Type>().value(row).cmp(of),
        // The file is from before the column was widened.
        (DataType::Int64, PrimitiveLiteral::Int(of)) => {
            values.as_primitive::<Int64Type>().value(row).cmp(&i64::from(*of))
        }
        (DataType::Timestamp(TimeUnit::Microsecond, _), PrimitiveLiteral::Long(of)) => {
            values.as_primitive::<TimestampMicrosecondType>().value(row).cmp(of)
        }
        (DataType::Decimal128(..), PrimitiveLiteral::Int128(of)) => {
            values.as_primitive::<Decimal128Type>().value(row).cmp(of)
        }
        (DataType::Utf8, PrimitiveLiteral::String(of)) => values.as_string::<i32>().value(row).cmp(of.as_str()),
        _ => return None,
    })
}

/// The first row for which something holds, if it holds for all behind that; `count` where it holds for none.
fn first(count: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, count);
    while from < to {
        let middle = from.midpoint(to);
        if holds(middle) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    from
}
