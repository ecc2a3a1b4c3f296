//! Keys: the columns by which a row takes the place of another one, checked.
//!
//! What it is NOT: it compares no rows (`rows/keys.rs` does).
//!
//! # Source
//! Iceberg table specification, "Identifier field IDs": single values that every row has, no floating-point numbers.

use headwater_base::Problem;

use super::{Column, Data, Fault, Scalar, Source, unknown};
use crate::kinds::dataset::DatasetSpec;

/// The names of the columns that are the key of a dataset with these columns; none without a key. The key of a table is
/// that of its documents.
///
/// # Errors
/// `HW-LAKE-001` for each thing that cannot be, with its place below the spec.
pub fn read(spec: &DatasetSpec, columns: &[Column]) -> Result<Vec<String>, Vec<Fault>> {
    let is_keyed = spec.table.is_some() || !spec.key.is_empty();
    if is_keyed && spec.rollup.is_some() {
        let at = if spec.table.is_some() { "/table" } else { "/key" };
        return Err(vec![fault(
            at,
            "a `rollup` adds up events, and a dataset with a key has the last one of each key alone",
        )]);
    }
    if spec.table.is_some() { of_table(spec, columns) } else { of_stream(spec, columns) }
}

fn of_table(spec: &DatasetSpec, columns: &[Column]) -> Result<Vec<String>, Vec<Fault>> {
    if !spec.key.is_empty() {
        return Err(vec![fault("/key", "the key of a dataset of a `table` is that of its documents")]);
    }
    let Some((at, column)) = columns.iter().enumerate().find(|(_, column)| column.source == Source::Key) else {
        let fact = "a dataset of a `table` needs a column with `path: $key`: by it a document is found again";
        return Err(vec![fault("/columns", fact)]);
    };
    match unfit(column) {
        None => Ok(vec![column.name.clone()]),
        Some(fact) => Err(vec![fault(&format!("/columns/{at}"), fact)]),
    }
}

fn of_stream(spec: &DatasetSpec, columns: &[Column]) -> Result<Vec<String>, Vec<Fault>> {
    let mut faults = Vec::new();
    for (at, name) in spec.key.iter().enumerate() {
        let twice = spec.key.iter().take(at).any(|before| before == name);
        let fact = match columns.iter().find(|column| column.name == *name) {
            None => Some(unknown(name, columns.iter().map(|column| column.name.as_str()))),
            Some(_) if twice => Some(format!("the column `{name}` comes twice")),
            Some(column) => unfit(column),
        };
        faults.extend(fact.map(|fact| fault(&format!("/key/{at}"), fact)));
    }
    if faults.is_empty() { Ok(spec.key.clone()) } else { Err(faults) }
}

/// Why a column cannot be part of a key.
fn unfit(column: &Column) -> Option<String> {
    let name = &column.name;
    match (&column.data, &column.source) {
        (Data::Struct(_) | Data::List(_), _) => Some(format!("`{name}` is no single value")),
        (Data::One(Scalar::Float | Scalar::Double), _) => {
            Some(format!("`{name}` is a floating-point number: two that are shown alike may not be equal"))
        }
        (Data::One(Scalar::Json), _) => Some(format!("`{name}` is JSON: the same value can be written in many ways")),
        (_, Source::Offset) => {
            Some(format!("`{name}` is another one for each event: no row would take another's place"))
        }
        _ if !column.required => Some(format!("`{name}` is part of the key: make it `required: true`")),
        _ => None,
    }
}

fn fault(at: &str, fact: impl Into<String>) -> Fault {
    (at.to_owned(), Problem::new("HW-LAKE-001", fact))
}
