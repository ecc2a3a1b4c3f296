//! Rows: events taken apart into the columns of a table, gathered as Arrow batches. Of a rollup, events whose dimensions are
//! equal are one row; of a table with a key, rows are changes, and the last one of each key is left.
//!
//! Invariant: an event is taken whole or not at all. Why one does not fit is told without its data.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int32Builder, Int64Builder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{Array as _, ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};
use headwater_base::Micros;
use headwater_base::json::scan::Extent;
use headwater_wire::batch::Record;
use iceberg::arrow::{UTC_TIME_ZONE, schema_to_arrow_schema};
use iceberg::spec::{Schema, StructType, Type};
use serde_json::Value;

use crate::columns::{Column, Data, Scalar, Source};
use crate::layout::Layout;

mod changes;
mod decimal;
mod fields;
mod groups;
mod keys;
mod merge;
mod numeral;
mod stray;

use fields::{Event, EventFields, View, Wanted};
use groups::Groups;

pub use changes::Changes;
pub use keys::{KeySet, Keys};
pub use merge::Merge;

/// Why an event does not fit, in words, without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(pub String);

/// Rows on their way into a batch.
pub struct Rows {
    /// The columns of an event; without a rollup, those of the table.
    columns: Vec<Column>,
    merge: Merge,
    cells: Vec<Cells>,
    /// Of a rollup, what its metrics have come to, which is not in their cells before a batch is finished.
    groups: Groups,
    /// Events.
    rows: usize,
    /// What is read of an event.
    fields: EventFields,
    /// Which of it is each column's; None for what comes of the record.
    wanted: Vec<Option<Wanted>>,
    /// The stream of dead letters, if rows are of those.
    letters: Option<String>,
    /// Memory of the events before, with nothing in it that counts.
    slots: Vec<Extent>,
    row: Vec<Cell<'static>>,
}

/// The values of one column.
enum Cells {
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Struct { fields: Fields, cells: Vec<Cells>, valid: NullBufferBuilder },
    List { item: FieldRef, cells: Box<Cells>, ends: Vec<i32>, count: i32, valid: NullBufferBuilder },
}

/// One value on its way.
#[derive(Clone)]
enum Cell<'a> {
    Null,
    Boolean(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    /// In units of the last digit behind the point.
    Decimal(i128),
    Text(Cow<'a, str>),
    Struct(Vec<Cell<'a>>),
    List(Vec<Cell<'a>>),
}

/// Where a value stands, for people: the column, and the way from there.
#[derive(Clone, Copy)]
enum At<'p> {
    Column(&'p str),
    Field(&'p At<'p>, &'p str),
    Item(&'p At<'p>, usize),
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Rows {
    /// Rows of a table with this schema, made of events as the layout says.
    ///
    /// # Errors
    /// What `iceberg` says of a schema that Arrow cannot hold.
    pub fn new(layout: &Layout, schema: &Schema) -> iceberg::Result<Self> {
        let arrow = Arc::new(schema_to_arrow_schema(schema)?);
        let (columns, made) = match &layout.rollup {
            None => (arranged(&layout.columns, schema.as_struct()), None),
            Some(rollup) => {
                let made = |name: &str| layout.columns.iter().zip(&rollup.made).find(|(column, _)| column.name == name);
                let made = arrow.fields().iter().filter_map(|field| Some(*made(field.name())?.1));
                (rollup.events.clone(), Some(made.collect()))
            }
        };
        let merge = match layout.key.as_slice() {
            [] => Merge::new(arrow, made),
            key => Merge::keyed(Changes::new(&arrow, key)?),
        };
        let cells = merge.schema().fields().iter().map(|field| Cells::of(field.data_type())).collect();
        let mut fields = EventFields::new(layout.documents);
        let wanted = columns.iter().map(|column| match &column.source {
            Source::Field(path) => Some(fields.want(path, &column.data)),
            _ => None,
        });
        let wanted = wanted.collect();
        let (groups, slots, row) = (Groups::default(), Vec::new(), Vec::new());
        let letters = layout.letters.clone();
        Ok(Self { columns, merge, cells, groups, rows: 0, fields, wanted, letters, slots, row })
    }

    /// How batches of such rows are put together.
    pub const fn merge(&self) -> &Merge {
        &self.merge
    }

    /// Events gathered.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Takes a record of a partition. Of a dataset of letters it takes every record.
    ///
    /// # Errors
    /// Why it does not fit; nothing of it has been taken then.
    pub fn push(&mut self, record: &Record, partition: u32) -> Result<(), Misfit> {
        self.take(record, partition).or_else(|misfit| self.push_stray(record, partition, misfit))
    }

    /// Takes a record that is no letter, into a dataset of letters.
    ///
    /// # Errors
    /// The same reason, where rows are of other events.
    pub fn push_stray(&mut self, record: &Record, partition: u32, why: Misfit) -> Result<(), Misfit> {
        let Some(stream) = &self.letters else { return Err(why) };
        let letter = stray::letter(stream, partition, record, &why.0);
        self.take(&letter, partition)
    }

    fn take(&mut self, record: &Record, partition: u32) -> Result<(), Misfit> {
        // Of a table with a key, what has no value deletes.
        let gone = self.merge.changes().filter(|_| record.value.is_none());
        let trees = self.fields.trees();
        let event = match &record.value {
            _ if self.fields.is_empty() || gone.is_some() => Event::default(),
            None => return Err(Misfit("the record has no value".to_owned())),
            Some(bytes) => self.fields.read(bytes, &mut self.slots, &trees)?,
        };
        let mut row: Vec<Cell<'_>> = std::mem::take(&mut self.row);
        for (at, (column, wanted)) in self.columns.iter().zip(&self.wanted).enumerate() {
            if gone.is_some_and(|changes| !changes.keys().columns().contains(&at)) {
                row.push(Cell::Null);
                continue;
            }
            let cell = match &column.source {
                Source::Field(_) | Source::Value if gone.is_some() => {
                    let fact = "the record has no value, and the row to be deleted is not found without";
                    return Err(Misfit(format!("{fact}: `{}` of its key is read of the value", column.name)));
                }
                Source::Field(_) => match wanted {
                    None => Cell::Null,
                    Some(wanted) => cell(&column.data, &wanted.of(&event), At::Column(&column.name))?,
                },
                Source::Partition if column.data == Data::One(Scalar::Int) => {
                    Cell::Int(i32::try_from(partition).unwrap_or(i32::MAX))
                }
                Source::Partition => Cell::Long(i64::from(partition)),
                Source::Offset => Cell::Long(record.offset),
                Source::Time if record.timestamp < 0 => Cell::Null,
                Source::Time => Cell::Long(record.timestamp.saturating_mul(1_000)),
                Source::Key => text(record.key.as_deref(), &column.name)?,
                Source::Value => whole_value(record, column)?,
            };
            if column.required && matches!(cell, Cell::Null) {
                return Err(Misfit(format!("`{}` is missing", column.name)));
            }
            row.push(cell);
        }
        row.extend(self.merge.changes().map(|_| Cell::Boolean(gone.is_some())));
        match self.merge.made() {
            None => self.cells.iter_mut().zip(&row).for_each(|(cells, cell)| cells.push(cell)),
            Some(made) => self.groups.push(made, &row, &mut self.cells),
        }
        self.rows += 1;
        self.row = emptied(row);
        Ok(())
    }

    /// Takes what has been gathered as a batch.
    ///
    /// # Errors
    /// What Arrow says; the rows are those of the schema by construction.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let made = self.merge.made();
        if let Some(made) = made {
            self.groups.finish(made, &mut self.cells);
        }
        let mut arrays = self.cells.iter_mut().map(Cells::finish).collect::<Result<Vec<_>, _>>()?;
        if made.is_some() {
            // The rows are few, and the bytes that they take say when they are written.
            arrays.iter_mut().for_each(|array| array.shrink_to_fit());
        }
        let batch = RecordBatch::try_new(Arc::clone(self.merge.schema()), arrays)?;
        if made.is_some() { Ok(batch) } else { self.merge.of(&[batch]) }
    }
}

/// The memory of a row, for the next one, which borrows of another event: `collect` keeps the place of what it takes
/// apart, and nothing is left to be taken.
fn emptied<'a>(mut row: Vec<Cell<'_>>) -> Vec<Cell<'a>> {
    row.clear();
    row.into_iter().map(|_| Cell::Null).collect()
}

/// The record's value as it is. Documents of tables have numbers that no double holds, and are JSON.
fn whole_value<'a>(record: &'a Record, column: &Column) -> Result<Cell<'a>, Misfit> {
    let value = text(record.value.as_deref(), &column.name)?;
    if let (Cell::Text(text), Data::One(Scalar::Json)) = (&value, &column.data) {
        let read = serde_json::from_str::<serde::de::IgnoredAny>(text);
        read.map_err(|error| Misfit(format!("the event is no JSON: {}", place(&error))))?;
    }
    Ok(value)
}

/// Where in the text, without the text.
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// The columns in the order of the table.
fn arranged(columns: &[Column], order: &StructType) -> Vec<Column> {
    let one = |field: &iceberg::spec::NestedFieldRef| {
        let column = columns.iter().find(|column| column.name == field.name)?;
        Some(Column { data: arranged_data(&column.data, &field.field_type), ..column.clone() })
    };
    order.fields().iter().filter_map(one).collect()
}

fn arranged_data(data: &Data, of: &Type) -> Data {
    match (data, of) {
        (Data::Struct(columns), Type::Struct(order)) => Data::Struct(arranged(columns, order)),
        (Data::List(items), Type::List(list)) => {
            Data::List(Box::new(arranged_data(items, &list.element_field.field_type)))
        }
        (data, _) => data.clone(),
    }
}

fn text<'a>(bytes: Option<&'a [u8]>, name: &str) -> Result<Cell<'a>, Misfit> {
    let Some(bytes) = bytes else { return Ok(Cell::Null) };
    let text = std::str::from_utf8(bytes).map_err(|_| Misfit(format!("`{name}` is no UTF-8")))?;
    Ok(Cell::Text(Cow::Borrowed(text)))
}

/// Takes a value for what a column holds.
fn cell<'a>(data: &Data, value: &View<'a>, at: At<'_>) -> Result<Cell<'a>, Misfit> {
    let not = |wanted: &str| Misfit(format!("`{at}` is {}, not {wanted}", value.kind()));
    match (data, value) {
        (_, View::Null) => Ok(Cell::Null),
        (Data::One(scalar), value) => one(*scalar, value).ok_or_else(|| not(&wanted(*scalar))),
        (Data::Struct(columns), View::Tree(object @ Value::Object(_))) => {
            let mut fields = Vec::with_capacity(columns.len());
            for column in columns {
                let Source::Field(path) = &column.source else { return Ok(Cell::Null) };
                let at = At::Field(&at, &column.name);
                let field = match path.find(object) {
                    None => Cell::Null,
                    Some(value) => cell(&column.data, &View::from(value), at)?,
                };
                if column.required && matches!(field, Cell::Null) {
                    return Err(Misfit(format!("`{at}` is missing")));
                }
                fields.push(field);
            }
            Ok(Cell::Struct(fields))
        }
        (Data::List(items), View::Tree(Value::Array(values))) => {
            let each = values.iter().enumerate();
            let each = each.map(|(index, value)| cell(items, &View::from(value), At::Item(&at, index)));
            Ok(Cell::List(each.collect::<Result<_, _>>()?))
        }
        (Data::Struct(_), _) => Err(not("an object")),
        (Data::List(_), _) => Err(not("an array")),
    }
}

fn one<'a>(scalar: Scalar, value: &View<'a>) -> Option<Cell<'a>> {
    #![expect(clippy::cast_possible_truncation, reason = "checked to be finite afterwards")]
    Some(match (scalar, value) {
        (Scalar::Boolean, View::Boolean(it)) => Cell::Boolean(*it),
        (Scalar::Int, View::Number(number)) => Cell::Int(i32::try_from(number.whole()?).ok()?),
        (Scalar::Long, View::Number(number)) => Cell::Long(number.whole()?),
        (Scalar::Float, View::Number(number)) => {
            Cell::Float(number.double().map(|number| number as f32).filter(|number| number.is_finite())?)
        }
        (Scalar::Double, View::Number(number)) => Cell::Double(number.double()?),
        (Scalar::Decimal { precision, scale }, View::Text(text)) => {
            Cell::Decimal(decimal::units(text, precision, scale)?)
        }
        (Scalar::Decimal { precision, scale }, View::Number(number)) => {
            Cell::Decimal(number.decimal(precision, scale)?)
        }
        (Scalar::Date, View::Text(text)) => Cell::Int(day(text)?),
        (Scalar::Timestamp, View::Text(text)) => Cell::Long(Micros::parse_rfc3339(text)?.0),
        (Scalar::Timestamp, View::Number(number)) => Cell::Long(number.whole()?.checked_mul(1_000)?),
        (Scalar::String, View::Text(text)) => Cell::Text(text.clone()),
        (Scalar::Json, value) => Cell::Text(Cow::Owned(match value {
            View::Null => "null".to_owned(),
            View::Boolean(it) => it.to_string(),
            View::Number(number) => number.number().to_string(),
            View::Text(text) => serde_json::to_string(text).ok()?,
            View::Tree(tree) => tree.to_string(),
            View::Object | View::Array => return None,
        })),
        _ => return None,
    })
}

/// The days since 1970 of a day such as `2026-11-28`.
fn day(text: &str) -> Option<i32> {
    let mut moment = *b"0000-00-00T00:00:00Z";
    let (day, _) = moment.split_at_mut_checked(10)?;
    if text.len() != day.len() {
        return None;
    }
    day.copy_from_slice(text.as_bytes());
    let moment = Micros::parse_rfc3339(std::str::from_utf8(&moment).ok()?)?;
    i32::try_from(moment.0.div_euclid(MICROS_PER_DAY)).ok()
}

fn wanted(scalar: Scalar) -> Cow<'static, str> {
    Cow::Borrowed(match scalar {
        Scalar::Boolean => "a boolean",
        Scalar::Int => "a whole number of 32 bits",
        Scalar::Long => "a whole number of 64 bits",
        Scalar::Float => "a number of 32 bits",
        Scalar::Double => "a number",
        Scalar::Decimal { precision, scale } => {
            return Cow::Owned(format!("a number of {precision} digits, {scale} of them behind the point"));
        }
        Scalar::Date => "a day such as `2026-11-28`",
        Scalar::Timestamp => "a time by RFC 3339 or in milliseconds since 1970",
        Scalar::String => "a string",
        Scalar::Json => "JSON",
    })
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => f.write_str(name),
            Self::Field(of, name) => write!(f, "{of}.{name}"),
            Self::Item(of, index) => write!(f, "{of}[{index}]"),
        }
    }
}

impl Cells {
    fn of(data: &DataType) -> Self {
        match data {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int32 => Self::Int(Int32Builder::new()),
            DataType::Int64 => Self::Long(Int64Builder::new()),
            DataType::Float32 => Self::Float(Float32Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Decimal128(..) => Self::Decimal(Decimal128Builder::new().with_data_type(data.clone())),
            DataType::Timestamp(..) => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone(UTC_TIME_ZONE)),
            DataType::Struct(fields) => Self::Struct {
                fields: fields.clone(),
                cells: fields.iter().map(|field| Self::of(field.data_type())).collect(),
                valid: NullBufferBuilder::new(0),
            },
            DataType::List(item) => Self::List {
                item: Arc::clone(item),
                cells: Box::new(Self::of(item.data_type())),
                ends: vec![0],
                count: 0,
                valid: NullBufferBuilder::new(0),
            },
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(cells), cell) => {
                cells.append_option(if let Cell::Boolean(it) = cell { Some(*it) } else { None })
            }
            (Self::Int(cells), cell) => cells.append_option(if let Cell::Int(it) = cell { Some(*it) } else { None }),
            (Self::Date(cells), cell) => cells.append_option(if let Cell::Int(it) = cell { Some(*it) } else { None }),
            (Self::Long(cells), cell) => cells.append_option(if let Cell::Long(it) = cell { Some(*it) } else { None }),
            (Self::Timestamp(cells), cell) => {
                cells.append_option(if let Cell::Long(it) = cell { Some(*it) } else { None });
            }
            (Self::Float(cells), cell) => {
                cells.append_option(if let Cell::Float(it) = cell { Some(*it) } else { None });
            }
            (Self::Double(cells), cell) => {
                cells.append_option(if let Cell::Double(it) = cell { Some(*it) } else { None });
            }
            (Self::Decimal(cells), cell) => {
                cells.append_option(if let Cell::Decimal(it) = cell { Some(*it) } else { None });
            }
            (Self::Text(cells), Cell::Text(text)) => cells.append_value(text),
            (Self::Text(cells), _) => cells.append_null(),
            (Self::Struct { cells, valid, .. }, Cell::Struct(fields)) => {
                valid.append_non_null();
                cells.iter_mut().zip(fields).for_each(|(cells, cell)| cells.push(cell));
            }
            (Self::Struct { cells, valid, .. }, _) => {
                valid.append_null();
                cells.iter_mut().for_each(|cells| cells.push(&Cell::Null));
            }
            (Self::List { cells, ends, count, valid, .. }, Cell::List(items)) => {
                valid.append_non_null();
                *count = count.saturating_add(i32::try_from(items.len()).unwrap_or(i32::MAX));
                ends.push(*count);
                items.iter().for_each(|cell| cells.push(cell));
            }
            (Self::List { ends, count, valid, .. }, _) => {
                valid.append_null();
                ends.push(*count);
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Int(cells) => Arc::new(cells.finish()),
            Self::Long(cells) => Arc::new(cells.finish()),
            Self::Float(cells) => Arc::new(cells.finish()),
            Self::Double(cells) => Arc::new(cells.finish()),
            Self::Decimal(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::Timestamp(cells) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Struct { fields, cells, valid } => {
                let length = valid.len();
                let arrays = cells.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, valid.finish(), length)?)
            }
            Self::List { item, cells, ends, count, valid } => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(ends, vec![0])));
                *count = 0;
                Arc::new(ListArray::try_new(Arc::clone(item), ends, cells.finish()?, valid.finish())?)
            }
        })
    }
}

#[cfg(test)]
mod tests;
