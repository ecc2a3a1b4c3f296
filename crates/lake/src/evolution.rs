//! Evolution of a dataset's table: what of its columns, partition spec and sort order becomes another one, because the
//! dataset's spec has changed. Files that are there stay as they are, spread and sorted as they were written.
//!
//! Invariants: a part of a partition spec that was there before is called as it was, by whose name and id readers put the
//! files of all specs together; no two parts of a table that differ are called alike, nor is one called like a column.
//!
//! # Source
//! Iceberg table specification, version 2: "Partition evolution", "Sorting".

use headwater_base::Problem;
use iceberg::spec::{
    Operation, PartitionField, Schema, SortField, SortOrder, TableMetadata, UnboundPartitionField, UnboundPartitionSpec,
};
use iceberg::{Error, ErrorKind};

use crate::columns;
use crate::commit::{Change, Shape, Version};
use crate::layout::{Layout, called_like_a_part};
use crate::tables::unusable;

/// The change that gives a table a layout; None if it has it.
///
/// # Errors
/// `HW-LAKE-002` for columns that cannot follow those of the table, 064 for one that is called like a part of a partition
/// spec which older files have, 021 for what `iceberg` cannot follow.
pub fn change(table: &str, version: &Version, layout: &Layout) -> Result<Option<Change>, Problem> {
    let metadata = &version.metadata;
    let old = metadata.current_schema();
    let fields = columns::evolve(old.as_struct(), &layout.columns, metadata.last_column_id()).map_err(|faults| {
        let first = faults.into_iter().next().map(|(_, problem)| problem);
        first.unwrap_or_else(|| Problem::new("HW-LAKE-002", "the columns cannot follow those of the table"))
    })?;
    for field in &fields {
        let is_new = metadata.schemas_iter().all(|schema| schema.as_struct().field_by_name(&field.name).is_none());
        if is_new && parts(metadata).any(|part| part.name == field.name) {
            return Err(called_like_a_part(&field.name));
        }
    }
    let unusable = |error: Error| unusable(table, &error);
    let schema = Schema::builder().with_fields(fields).with_identifier_field_ids(old.identifier_field_ids());
    let schema = schema.build().map_err(unusable)?;
    let partition = partition(metadata, &schema, layout).map_err(unusable)?;
    let sort = sort(metadata, &schema, layout).map_err(unusable)?;
    let schema = (schema.as_struct() != old.as_struct()).then_some(schema);
    if schema.is_none() && partition.is_none() && sort.is_none() {
        return Ok(None);
    }
    let change = Change::new(Operation::Append, Vec::new(), Vec::new());
    Ok(Some(Change { shape: Shape { schema, partition, sort }, ..change }))
}

/// The parts of all partition specs that a table has had.
fn parts(metadata: &TableMetadata) -> impl Iterator<Item = &PartitionField> {
    metadata.partition_specs_iter().flat_map(|spec| spec.fields())
}

/// The partition spec of a layout, if it is not the table's.
fn partition(
    metadata: &TableMetadata,
    schema: &Schema,
    layout: &Layout,
) -> iceberg::Result<Option<UnboundPartitionSpec>> {
    let mut fields: Vec<UnboundPartitionField> = Vec::new();
    for part in layout.partition.fields() {
        let source_id = id(layout, schema, part.source_id)?;
        let is_same = |it: &&PartitionField| it.source_id == source_id && it.transform == part.transform;
        let name = match parts(metadata).find(is_same) {
            Some(same) => same.name.clone(),
            None => {
                let is_free = |name: &String| {
                    parts(metadata).all(|it| it.name != *name)
                        && fields.iter().all(|it| it.name != *name)
                        // A part that is the column itself is called like it.
                        && (*name == part.name || schema.field_by_name(name).is_none())
                };
                let numbered = (2_u64..).map(|number| format!("{}_{number}", part.name));
                let mut names = std::iter::once(part.name.clone()).chain(numbered);
                names.find(is_free).unwrap_or_default()
            }
        };
        fields.push(UnboundPartitionField { source_id, field_id: None, name, transform: part.transform });
    }
    let current = metadata.default_partition_spec().fields();
    let mut both = current.iter().zip(&fields);
    if current.len() == fields.len()
        && both.all(|(is, to)| is.source_id == to.source_id && is.transform == to.transform)
    {
        return Ok(None);
    }
    Ok(Some(UnboundPartitionSpec::builder().add_partition_fields(fields)?.build()))
}

/// The sort order of a layout, if it is not the table's.
fn sort(metadata: &TableMetadata, schema: &Schema, layout: &Layout) -> iceberg::Result<Option<SortOrder>> {
    let mut fields = Vec::new();
    for field in &layout.sort.fields {
        fields.push(SortField { source_id: id(layout, schema, field.source_id)?, ..field.clone() });
    }
    if metadata.default_sort_order().fields == fields {
        return Ok(None);
    }
    // The number is the table's to give.
    SortOrder::builder().with_fields(fields).build_unbound().map(Some)
}

/// The id that a table's schema has for a column of a layout.
fn id(layout: &Layout, schema: &Schema, of_layout: i32) -> iceberg::Result<i32> {
    let name = layout.schema.name_by_field_id(of_layout);
    name.and_then(|name| schema.field_id_by_name(name)).ok_or_else(|| {
        Error::new(ErrorKind::DataInvalid, format!("the table has no column `{}`", name.unwrap_or_default()))
    })
}
