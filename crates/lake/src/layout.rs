//! A dataset's spec as its table needs it: columns, what they are made of, Iceberg schema, partition spec and sort order,
//! checked.

use std::collections::HashMap;
use std::str::FromStr;

use headwater_base::Problem;
use iceberg::spec::{
    FormatVersion, NestedFieldRef, NullOrder, Schema, SortDirection, SortField, SortOrder, TableMetadataBuilder,
    Transform, UnboundPartitionField, UnboundPartitionSpec,
};

use crate::columns::rollup::{self, Rollup};
use crate::columns::{self, Column, ColumnSpec, Fault, key, shown};
use crate::kinds::dataset::{DatasetSpec, OrderSpec};

/// What a table is made from.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The columns.
    pub columns: Vec<Column>,
    /// How they come of events, if a row is not one event.
    pub rollup: Option<Rollup>,
    /// The columns by which a row takes another one's place; none where each event is a row for itself.
    pub key: Vec<String>,
    /// The stream of dead letters, if rows are of those: every record of it is one.
    pub letters: Option<String>,
    /// Whether rows are documents of a table, which are only known to be JSON.
    pub documents: bool,
    /// Their schema, with preliminary ids.
    pub schema: Schema,
    /// How rows are spread over files.
    pub partition: UnboundPartitionSpec,
    /// How they are sorted within one.
    pub sort: SortOrder,
}

impl Layout {
    /// The layout of a spec.
    ///
    /// # Errors
    /// `HW-LAKE-001` for each thing that cannot be, with its place below the spec.
    pub fn of(spec: &DatasetSpec) -> Result<Self, Vec<Fault>> {
        let own = match (&spec.table, &spec.letters) {
            (_, Some(_)) => of_letters(spec)?,
            _ if !spec.columns.is_empty() => spec.columns.clone(),
            (Some(_), None) => columns::of_any_document(),
            (None, None) => columns::of_any_event(&spec.key),
        };
        let below = |faults: Vec<Fault>| faults.into_iter().map(|(at, it)| (format!("/columns{at}"), it)).collect();
        let columns = columns::read(&own).map_err(|faults: Vec<Fault>| -> Vec<Fault> { below(faults) })?;
        let key = key::read(spec, &columns)?;
        let (columns, rollup) = match &spec.rollup {
            None => (columns, None),
            Some(_) if spec.columns.is_empty() && spec.letters.is_none() => {
                return Err(vec![fault("/rollup", "a `rollup` needs `columns`: what of an event counts")]);
            }
            Some(rollup) => {
                let (columns, rollup) = rollup::read(rollup, columns, !spec.columns.is_empty())?;
                (columns, Some(rollup))
            }
        };
        let schema = columns::schema(&columns).and_then(|schema| {
            let ids: Vec<i32> = key.iter().filter_map(|name| schema.field_id_by_name(name)).collect();
            schema.into_builder().with_identifier_field_ids(ids).build()
        });
        let schema = schema.map_err(|error| vec![fault("/columns", error.message())])?;
        let mut faults = Vec::new();
        let mut parts = Vec::new();
        for (index, part) in spec.partition.iter().enumerate() {
            match transformed(&schema, &part.column, &part.transform) {
                Ok((source_id, name, transform)) => {
                    parts.push(UnboundPartitionField { source_id, field_id: None, name, transform });
                }
                Err(fact) => faults.push(fault(&format!("/partition/{index}"), &fact)),
            }
        }
        let partition = UnboundPartitionSpec::builder().add_partition_fields(parts);
        let partition = partition.map_err(|error| vec![fault("/partition", error.message())])?.build();
        let mut sort = SortOrder::builder();
        for (index, part) in spec.sort.iter().enumerate() {
            match transformed(&schema, &part.column, "identity") {
                Ok((id, _, transform)) => {
                    let (direction, null_order) = match part.order {
                        OrderSpec::Asc => (SortDirection::Ascending, NullOrder::First),
                        OrderSpec::Desc => (SortDirection::Descending, NullOrder::Last),
                    };
                    sort.with_sort_field(SortField { source_id: id, transform, direction, null_order });
                }
                Err(fact) => faults.push(fault(&format!("/sort/{index}"), &fact)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let sort = sort.build(&schema).map_err(|error| vec![fault("/sort", error.message())])?;
        // What only the table as a whole shows, such as a column called like a partition.
        let whole = TableMetadataBuilder::new(
            schema.clone(),
            partition.clone(),
            sort.clone(),
            "file:///".to_owned(),
            FormatVersion::V2,
            HashMap::new(),
        );
        whole.map_err(|error| vec![fault("/columns", error.message())])?;
        let (letters, documents) = (spec.letters.clone(), spec.table.is_some());
        Ok(Self { columns, rollup, key, letters, documents, schema, partition, sort })
    }

    /// The fields of `next`'s schema, if it can follow this one.
    ///
    /// # Errors
    /// `HW-LAKE-002` for each change that cannot be, 064 for each column called like a part of how rows are spread now; with
    /// its place below the columns. How they were spread before that only the table knows.
    pub fn followed_by(&self, next: &Self) -> Result<Vec<NestedFieldRef>, Vec<Fault>> {
        let old = self.schema.as_struct();
        let fields = columns::evolve(old, &next.columns, self.schema.highest_field_id())?;
        let clashes = next.columns.iter().enumerate().filter(|(_, column)| {
            let parts = self.partition.fields();
            old.field_by_name(&column.name).is_none() && parts.iter().any(|part| part.name == column.name)
        });
        let faults: Vec<Fault> =
            clashes.map(|(at, column)| (format!("/{at}"), called_like_a_part(&column.name))).collect();
        if faults.is_empty() { Ok(fields) } else { Err(faults) }
    }
}

/// The code of [`called_like_a_part`].
pub const CLASH: &str = "HW-LAKE-064";

/// `HW-LAKE-064`: a column that comes with a name which older files have for something else.
pub fn called_like_a_part(column: &str) -> Problem {
    let fact = format!("the new column `{}` is called like what older files are spread by", shown(column));
    Problem::new(CLASH, fact).help(
        "call the column otherwise, with `path` for where it is in an event, or build the table anew with `headwater apply --reset-state`",
    )
}

fn fault(at: &str, fact: &str) -> Fault {
    (at.to_owned(), Problem::new("HW-LAKE-001", fact))
}

/// The columns of letters, which are the same in every dataset of them, so that each record fits.
fn of_letters(spec: &DatasetSpec) -> Result<Vec<ColumnSpec>, Vec<Fault>> {
    let mut faults = Vec::new();
    if !spec.columns.is_empty() {
        faults.push(fault("/columns", "the columns of `letters` are given; a `rollup` may pick some of them"));
    }
    if !spec.key.is_empty() {
        faults.push(fault("/key", "each of the `letters` is a row for itself: they have no `key`"));
    }
    if faults.is_empty() { Ok(columns::of_letters()) } else { Err(faults) }
}

/// A column's id, the name of what a transform makes of it, and the transform.
fn transformed(schema: &Schema, column: &str, transform: &str) -> Result<(i32, String, Transform), String> {
    let Some(field) = schema.as_struct().field_by_name(column) else {
        return Err(columns::unknown(column, schema.as_struct().fields().iter().map(|field| field.name.as_str())));
    };
    if !field.field_type.is_primitive() {
        return Err(format!("`{}` is no single value", shown(column)));
    }
    // Others read it as a whole number of 32 bits with a sign.
    let is_number = |number: u32| i32::try_from(number).is_ok_and(|number| number > 0);
    let parsed = Transform::from_str(transform).ok();
    let (suffix, parsed) = match parsed {
        Some(it @ Transform::Identity) => (String::new(), it),
        Some(it @ (Transform::Year | Transform::Month | Transform::Day | Transform::Hour)) => (format!("_{it}"), it),
        Some(it @ Transform::Bucket(count)) if is_number(count) => ("_bucket".to_owned(), it),
        Some(it @ Transform::Truncate(width)) if is_number(width) => ("_trunc".to_owned(), it),
        _ => {
            return Err(format!(
                "`{}` is no transform: there are `identity`, `year`, `month`, `day`, `hour`, `bucket[N]` and `truncate[N]`",
                shown(transform)
            ));
        }
    };
    if parsed.result_type(&field.field_type).is_err() {
        return Err(format!("`{parsed}` cannot be taken of `{}`, which is a {}", shown(column), field.field_type));
    }
    Ok((field.id, format!("{column}{suffix}"), parsed))
}
