//! Columns of files by Iceberg's field ids: a column keeps its id whatever it is called, and wherever it stands.
//!
//! A file says the ids of its columns itself. Of one that does not, the table's name mapping says which names a column
//! has had, and what it does not name is not there; without such a mapping columns are found by name. A column that a
//! file lacks is what it was given as `initial-default` there, or null; what the file is partitioned by is known of all
//! of it (`files.rs`), and not looked for here. What was written as a narrower type is cast.
//!
//! Where a file's columns are called as the table's are, the engine's own way is taken, which is by name.
//!
//! # Source
//! Iceberg table specification, "Column Projection" and "Name Mapping Serialization".

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields as ArrowFields, SchemaRef, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal as Constant};
use datafusion::physical_expr_adapter::{DefaultPhysicalExprAdapter, PhysicalExprAdapter, PhysicalExprAdapterFactory};
use iceberg::arrow::type_to_arrow_type;
use iceberg::spec::{
    DEFAULT_SCHEMA_NAME_MAPPING, Literal, MappedField, NameMapping, NestedField, NestedFieldRef, PrimitiveLiteral,
    TableMetadata, Type,
};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::files;

mod shape;

use shape::{Place, Reshaped, Shape};

/// Which column of a file each column of a scan is.
#[derive(Debug)]
pub struct Fields {
    /// By the name that a scan gives them: those of the table, and those that it had once.
    columns: HashMap<String, NestedFieldRef>,
    /// By field id, what columns are called in files that have no ids.
    names: Option<HashMap<i32, Vec<String>>>,
    /// No column of the table is called so, or begins so.
    mark: String,
}

impl Fields {
    /// Those of a table.
    ///
    /// # Errors
    /// Why its columns cannot be told.
    pub fn of(metadata: &TableMetadata) -> Result<Self, String> {
        let own = metadata.current_schema().as_struct();
        let marks = own.fields().iter().map(|field| field.name.chars().take_while(|it| *it == '#').count());
        let mark = "#".repeat(marks.max().unwrap_or(0) + 1);
        let mut schemas: Vec<_> = metadata.schemas_iter().collect();
        schemas.sort_by_key(|schema| schema.schema_id());
        let once = schemas.iter().flat_map(|schema| schema.as_struct().fields());
        let once = once.filter(|field| own.field_by_id(field.id).is_none());
        // Types only become wider, so the last one has room for all values.
        let once: BTreeMap<i32, &NestedFieldRef> = once.map(|field| (field.id, field)).collect();
        let once = once.into_iter().map(|(id, field)| (format!("{mark}{id}"), Arc::clone(field)));
        let now = own.fields().iter().map(|field| (field.name.clone(), Arc::clone(field)));
        let columns = once.chain(now).collect();
        if let Some(name) = odd_default(own.fields().iter()) {
            return Err(format!("its column `{name}` has a default of a type that has none here"));
        }
        let names = match metadata.properties().get(DEFAULT_SCHEMA_NAME_MAPPING) {
            None => None,
            Some(text) => {
                let mapping: NameMapping = serde_json::from_str(text)
                    .map_err(|error| format!("its `{DEFAULT_SCHEMA_NAME_MAPPING}` cannot be read: {error}"))?;
                let mapped: Vec<&MappedField> = mapping.fields().iter().collect();
                let mut names = HashMap::new();
                gather(&mapped, &mut names)
                    .map_err(|name| format!("its `{DEFAULT_SCHEMA_NAME_MAPPING}` gives `{name}` to two columns"))?;
                Some(names)
            }
        };
        Ok(Self { columns, names, mark })
    }

    /// Those of files that have these columns in any table.
    pub fn reserved(columns: impl IntoIterator<Item = NestedField>) -> Self {
        let columns = columns.into_iter().map(|field| (field.name.clone(), Arc::new(field)));
        Self { columns: columns.collect(), names: None, mark: "#".to_owned() }
    }

    /// A column that the table had once, and what a scan calls it.
    pub fn once(&self, id: i32) -> Option<(&str, &NestedFieldRef)> {
        self.columns.get_key_value(&format!("{}{id}", self.mark)).map(|(name, field)| (name.as_str(), field))
    }

    /// A name that no column has.
    pub fn free_name(&self) -> String {
        format!("{}file", self.mark)
    }
}

impl PhysicalExprAdapterFactory for Fields {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let found = Found::new(self.names.as_ref(), physical.fields());
        let mut places = HashMap::with_capacity(logical.fields().len());
        let mut by_name = true;
        for field in logical.fields() {
            let wanted = self.columns.get(field.name()).ok_or_else(|| {
                DataFusionError::Internal(format!("the column `{}` is none of the table", field.name()))
            })?;
            let place = found.place(wanted, field, physical.fields());
            by_name &= match &place {
                Place::At(column, Shape::Same) => {
                    physical.fields().get(*column).is_some_and(|it| it.name() == field.name())
                }
                Place::At(..) | Place::Missing(Some(_)) => false,
                Place::Missing(None) => physical.column_with_name(field.name()).is_none(),
            };
            places.insert(field.name().clone(), (Arc::clone(field), place));
        }
        if by_name {
            return Ok(Arc::new(DefaultPhysicalExprAdapter::new(logical, physical)));
        }
        Ok(Arc::new(ByFieldId { places, physical }))
    }
}

/// How the columns of one file are told apart.
enum Found<'a> {
    /// It says their ids.
    Ids,
    /// The table says what they have been called.
    Mapping(&'a HashMap<i32, Vec<String>>),
    /// They have their names.
    Names,
}

impl<'a> Found<'a> {
    fn new(names: Option<&'a HashMap<i32, Vec<String>>>, file: &ArrowFields) -> Self {
        match names {
            _ if file.iter().any(|field| has_id(field)) => Self::Ids,
            Some(names) => Self::Mapping(names),
            None => Self::Names,
        }
    }

    /// Where a column is among those of a file, or of a struct in it.
    fn place(&self, wanted: &NestedField, to: &Field, within: &ArrowFields) -> Place {
        let is_wanted = |field: &FieldRef| match self {
            Self::Ids => id(field) == Some(wanted.id),
            Self::Mapping(names) => names.get(&wanted.id).is_some_and(|names| names.contains(field.name())),
            Self::Names => *field.name() == wanted.name,
        };
        match within.iter().enumerate().find(|(_, field)| is_wanted(field)) {
            Some((at, field)) => Place::At(at, self.shape(&wanted.field_type, to.data_type(), field.data_type())),
            None => Place::Missing(default(wanted, to.data_type())),
        }
    }

    /// What becomes of values of a type of a file that are to be of a table's.
    fn shape(&self, wanted: &Type, to: &DataType, from: &DataType) -> Shape {
        match (wanted, to, from) {
            (Type::Struct(of), DataType::Struct(to), DataType::Struct(from)) => {
                let parts: Vec<Place> =
                    of.fields().iter().zip(to).map(|(field, to)| self.place(field, to, from)).collect();
                let mut both = parts.iter().enumerate().zip(to.iter().zip(from));
                let same = to.len() == from.len()
                    && both.all(|((at, part), (to, from))| {
                        *part == Place::At(at, Shape::Same) && to.name() == from.name()
                    });
                if same { Shape::Same } else { Shape::Struct(parts) }
            }
            (
                Type::List(of),
                DataType::List(to),
                DataType::List(from) | DataType::LargeList(from) | DataType::FixedSizeList(from, _),
            ) => match self.shape(&of.element_field.field_type, to.data_type(), from.data_type()) {
                Shape::Same => Shape::Same,
                item => Shape::List(Box::new(item)),
            },
            (Type::Map(of), DataType::Map(to, _), DataType::Map(from, _)) => {
                let (DataType::Struct(to), DataType::Struct(from)) = (to.data_type(), from.data_type()) else {
                    return Shape::Same;
                };
                let part = |at: usize, field: &NestedField| match (to.get(at), from.get(at)) {
                    (Some(to), Some(from)) => self.shape(&field.field_type, to.data_type(), from.data_type()),
                    _ => Shape::Same,
                };
                match [part(0, &of.key_field), part(1, &of.value_field)] {
                    [Shape::Same, Shape::Same] => Shape::Same,
                    parts => Shape::Map(Box::new(parts)),
                }
            }
            _ => Shape::Same,
        }
    }
}

/// Expressions over a table's columns, as expressions over those of one file.
#[derive(Debug)]
struct ByFieldId {
    places: HashMap<String, (FieldRef, Place)>,
    physical: SchemaRef,
}

impl ByFieldId {
    fn column(&self, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let unknown = || DataFusionError::Internal(format!("a scan has no column `{name}`"));
        let (field, place) = self.places.get(name).ok_or_else(unknown)?;
        Ok(match place {
            Place::At(at, shape) => {
                let physical = self.physical.fields().get(*at).ok_or_else(unknown)?;
                let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(physical.name(), *at));
                match shape {
                    Shape::Same => Arc::new(CastExpr::new_with_target_field(column, Arc::clone(field), None)),
                    shape => Arc::new(Reshaped::new(column, shape.clone(), Arc::clone(field))),
                }
            }
            Place::Missing(Some(value)) => Arc::new(Constant::new(value.clone())),
            Place::Missing(None) if field.is_nullable() => {
                Arc::new(Constant::new(ScalarValue::try_new_null(field.data_type())?))
            }
            Place::Missing(None) => {
                let fact = format!("a file has no column `{name}`, which is required and has no default");
                return Err(DataFusionError::Execution(fact));
            }
        })
    }
}

impl PhysicalExprAdapter for ByFieldId {
    fn rewrite(&self, expression: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let rewritten = expression.transform_up(|part| {
            if let Some(column) = part.downcast_ref::<Column>() {
                return self.column(column.name()).map(Transformed::yes);
            }
            Ok(Transformed::no(part))
        });
        Ok(rewritten?.data)
    }
}

/// The id that a file gives a column.
fn id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// Whether a column, or anything in it, has an id.
fn has_id(field: &Field) -> bool {
    id(field).is_some()
        || match field.data_type() {
            DataType::Struct(fields) => fields.iter().any(|field| has_id(field)),
            DataType::List(inner)
            | DataType::LargeList(inner)
            | DataType::FixedSizeList(inner, _)
            | DataType::Map(inner, _) => has_id(inner),
            _ => false,
        }
}

/// What a column is in files that were written before it was there.
fn default(field: &NestedField, of: &DataType) -> Option<ScalarValue> {
    let Some(Literal::Primitive(value)) = &field.initial_default else { return None };
    constant(value, of)
}

/// A value as one of the engine's; None where it is of another type.
pub fn constant(value: &PrimitiveLiteral, of: &DataType) -> Option<ScalarValue> {
    Some(match (value, of) {
        (PrimitiveLiteral::Float(it), DataType::Float32) => ScalarValue::Float32(Some(it.0)),
        (PrimitiveLiteral::Float(it), DataType::Float64) => ScalarValue::Float64(Some(f64::from(it.0))),
        (PrimitiveLiteral::Double(it), DataType::Float64) => ScalarValue::Float64(Some(it.0)),
        (PrimitiveLiteral::Long(it), DataType::Time64(TimeUnit::Microsecond)) => {
            ScalarValue::Time64Microsecond(Some(*it))
        }
        (PrimitiveLiteral::Long(it), DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
            ScalarValue::TimestampNanosecond(Some(*it), zone.clone())
        }
        (PrimitiveLiteral::Binary(it), DataType::LargeBinary) => ScalarValue::LargeBinary(Some(it.clone())),
        (PrimitiveLiteral::Binary(it), DataType::FixedSizeBinary(length)) => {
            ScalarValue::FixedSizeBinary(*length, Some(it.clone()))
        }
        (PrimitiveLiteral::UInt128(it), DataType::FixedSizeBinary(16)) => {
            ScalarValue::FixedSizeBinary(16, Some(it.to_be_bytes().to_vec()))
        }
        _ => files::scalar(value, of)?,
    })
}

/// The fields within a type.
fn within(of: &Type) -> Vec<&NestedFieldRef> {
    match of {
        Type::Primitive(_) => Vec::new(),
        Type::Struct(of) => of.fields().iter().collect(),
        Type::List(of) => vec![&of.element_field],
        Type::Map(of) => vec![&of.key_field, &of.value_field],
    }
}

/// A column whose default is no value of the engine.
fn odd_default<'a>(fields: impl Iterator<Item = &'a NestedFieldRef>) -> Option<&'a str> {
    let mut left: Vec<&NestedFieldRef> = fields.collect();
    while let Some(field) = left.pop() {
        let value = || default(field, &type_to_arrow_type(&field.field_type).ok()?);
        if field.initial_default.is_some() && value().is_none() {
            return Some(&field.name);
        }
        left.extend(within(&field.field_type));
    }
    None
}

/// What columns have been called, by their ids.
///
/// # Errors
/// A name that two columns of one struct have: what a file has there, nobody can tell.
fn gather<'a>(mapped: &[&'a MappedField], names: &mut HashMap<i32, Vec<String>>) -> Result<(), &'a str> {
    let mut seen = HashSet::new();
    for field in mapped {
        if let Some(name) = field.names().iter().find(|name| !seen.insert(name.as_str())) {
            return Err(name.as_str());
        }
        if let Some(id) = field.field_id() {
            names.entry(id).or_default().extend(field.names().iter().cloned());
        }
        gather(&field.fields().iter().map(|field| &**field).collect::<Vec<_>>(), names)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
