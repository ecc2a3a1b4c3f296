//! Values of a file's nested types as values of a table's: parts of structs stand elsewhere, are called otherwise, or are
//! not there.

use std::fmt::{self, Display};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast};
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::nested_struct::cast_column;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

/// Where a field is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// At this place, in this shape.
    At(usize, Shape),
    /// Nowhere: it has this value everywhere, or none.
    Missing(Option<ScalarValue>),
}

/// How values become those of another type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// By a cast.
    Same,
    /// Where each field of the struct is.
    Struct(Vec<Place>),
    /// What the items become.
    List(Box<Shape>),
    /// What keys and values become.
    Map(Box<[Shape; 2]>),
}

impl Shape {
    fn of(&self, values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
        let unlike = || {
            let from = values.data_type();
            DataFusionError::Execution(format!("a file has {from} where the table has {to}"))
        };
        match (self, to) {
            (Self::Struct(parts), DataType::Struct(fields)) => {
                let from = values.as_struct_opt().ok_or_else(unlike)?;
                let column = |(part, field): (&Place, &FieldRef)| match part {
                    Place::At(at, shape) => shape.of(from.columns().get(*at).ok_or_else(unlike)?, field.data_type()),
                    Place::Missing(Some(value)) => value.to_array_of_size(from.len()),
                    Place::Missing(None) => Ok(new_null_array(field.data_type(), from.len())),
                };
                let columns = parts.iter().zip(fields).map(column).collect::<Result<Vec<_>>>()?;
                let nulls = from.nulls().cloned();
                Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, from.len())?))
            }
            (Self::List(item), DataType::List(field)) => {
                let list = match values.data_type() {
                    DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
                        cast(values, &DataType::List(Arc::clone(inner)))?
                    }
                    _ => Arc::clone(values),
                };
                let from = list.as_list_opt::<i32>().ok_or_else(unlike)?;
                let items = item.of(from.values(), field.data_type())?;
                let (offsets, nulls) = (from.offsets().clone(), from.nulls().cloned());
                Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, items, nulls)?))
            }
            (Self::Map(parts), DataType::Map(field, sorted)) => {
                let from = values.as_map_opt().ok_or_else(unlike)?;
                let DataType::Struct(fields) = field.data_type() else { return Err(unlike()) };
                let both = parts.iter().zip(from.entries().columns()).zip(fields);
                let columns = both.map(|((shape, column), field)| shape.of(column, field.data_type()));
                let columns = columns.collect::<Result<Vec<_>>>()?;
                let entries = StructArray::try_new(fields.clone(), columns, from.entries().nulls().cloned())?;
                let (offsets, nulls) = (from.offsets().clone(), from.nulls().cloned());
                Ok(Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted)?))
            }
            _ if values.data_type() == to => Ok(Arc::clone(values)),
            _ => cast_column(values, to, &CastOptions { safe: false, ..CastOptions::default() }),
        }
    }
}

/// A nested column of a file as the table has it.
#[derive(Clone, Debug)]
pub(super) struct Reshaped {
    column: Arc<dyn PhysicalExpr>,
    shape: Shape,
    field: FieldRef,
}

impl Reshaped {
    /// A column of a file in this shape, as a field of the table.
    pub(super) fn new(column: Arc<dyn PhysicalExpr>, shape: Shape, field: FieldRef) -> Self {
        Self { column, shape, field }
    }
}

impl PartialEq for Reshaped {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.shape == other.shape && self.field == other.field
    }
}

impl Eq for Reshaped {}

impl Hash for Reshaped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.shape.hash(state);
        self.field.hash(state);
    }
}

impl Display for Reshaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by field id", self.column)
    }
}

impl PhysicalExpr for Reshaped {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let values = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(self.shape.of(&values, self.field.data_type())?))
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let column = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.column));
        Ok(Arc::new(Self { column, shape: self.shape.clone(), field: Arc::clone(&self.field) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}
