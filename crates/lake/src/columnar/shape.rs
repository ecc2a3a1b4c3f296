//! What rows are decoded as, and how long they are as text.
//!
//! Texts are decoded as views: rows that share a long one share its bytes. As text each has its own, so a row is weighed
//! before it is written.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, FieldRef, Schema};

/// A number, a time or a flag as text, at most about.
const VALUE_BYTES: u64 = 80;

/// A schema whose texts and bytes are views.
pub(super) fn viewed(schema: &Schema) -> Schema {
    let fields: Vec<FieldRef> = schema.fields().iter().map(field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn field(of: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(of).with_data_type(kind(of.data_type())))
}

fn kind(of: &DataType) -> DataType {
    match of {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => kind(values),
        DataType::List(item) | DataType::ListView(item) => DataType::List(field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, count) => DataType::FixedSizeList(field(item), *count),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

/// How many bytes rows have as text: no less, but for what is escaped.
pub(super) fn weight(rows: &RecordBatch) -> u64 {
    let names: u64 = rows.schema_ref().fields().iter().map(named).sum();
    let values: u64 = rows.columns().iter().map(|column| of(column)).sum();
    names.saturating_mul(rows.num_rows() as u64).saturating_add(values)
}

fn named(field: &FieldRef) -> u64 {
    field.name().len() as u64 + 4
}

fn of(values: &dyn Array) -> u64 {
    let count = values.len() as u64;
    let flat = count.saturating_mul(VALUE_BYTES);
    let inner = match values.data_type() {
        DataType::Utf8View => values.as_string_view().lengths().map(u64::from).sum::<u64>(),
        DataType::BinaryView => values.as_binary_view().lengths().map(|length| 2 * u64::from(length)).sum::<u64>(),
        DataType::FixedSizeBinary(width) => count.saturating_mul(2 * u64::try_from(*width).unwrap_or_default()),
        DataType::List(_) => {
            let list = values.as_list::<i32>();
            let ends = (list.offsets().first().copied(), list.offsets().last().copied());
            part(list.values(), ends.0.map(i64::from), ends.1.map(i64::from))
        }
        DataType::LargeList(_) => {
            let list = values.as_list::<i64>();
            part(list.values(), list.offsets().first().copied(), list.offsets().last().copied())
        }
        DataType::FixedSizeList(..) => of(values.as_fixed_size_list().values()),
        DataType::Map(..) => {
            let map = values.as_map();
            let ends = (map.offsets().first().copied(), map.offsets().last().copied());
            part(map.entries(), ends.0.map(i64::from), ends.1.map(i64::from))
        }
        DataType::Struct(_) => object(values.as_struct()),
        _ => 0,
    };
    flat.saturating_add(inner)
}

fn object(values: &StructArray) -> u64 {
    let names: u64 = values.fields().iter().map(named).sum();
    let inner: u64 = values.columns().iter().map(|column| of(column)).sum();
    names.saturating_mul(values.len() as u64).saturating_add(inner)
}

/// The values between two offsets.
fn part(values: &dyn Array, from: Option<i64>, to: Option<i64>) -> u64 {
    let place = |offset: Option<i64>| offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or_default();
    let (from, to) = (place(from), place(to));
    of(&values.slice(from, to.saturating_sub(from)))
}
