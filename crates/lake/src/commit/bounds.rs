//! Bounds: between which values those of a file's columns are, as its manifest tells every reader.
//!
//! `iceberg` 0.10 takes them from Parquet's statistics, row group by row group, and leaves out what Parquet has cut, which
//! it does to texts of more than 64 bytes. Where one group has such a text and another has not, the bounds of the other
//! stand for the whole file, and readers pass over rows that are there. So those of texts are made of the rows here.
//!
//! Invariant: each value is within the bounds of its column; a bound that cannot be told is not there.
//!
//! # Source
//! Iceberg table specification, "Data files": `lower_bounds`, `upper_bounds`.

use std::collections::HashMap;

use arrow_array::cast::AsArray as _;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use iceberg::spec::{DataFile, Datum, NestedField, PrimitiveLiteral, PrimitiveType, Schema, Type};

/// So many bytes of a text a bound has.
const TEXT_BYTES_MAX: usize = 64;

/// Bounds by the id of a column.
type Bounds = HashMap<i32, Datum>;

/// The lower and upper bounds of a file with these rows, of which `iceberg` has told what it knows.
pub(super) fn corrected(file: &DataFile, schema: &Schema, rows: &RecordBatch) -> (Bounds, Bounds) {
    let numbers = |bounds: &Bounds| -> Bounds {
        bounds.iter().filter(|(_, bound)| !can_be_cut(bound)).map(|(id, bound)| (*id, bound.clone())).collect()
    };
    let (mut lower, mut upper) = (numbers(file.lower_bounds()), numbers(file.upper_bounds()));
    let mut texts = Vec::new();
    for field in schema.as_struct().fields() {
        if let Some(values) = rows.column_by_name(&field.name) {
            find_texts(field, values, &mut texts);
        }
    }
    for (id, values) in texts {
        let Some((least, greatest)) = ends(values) else { continue };
        lower.insert(id, Datum::string(below(least)));
        upper.extend(above(greatest).map(|text| (id, Datum::string(text))));
    }
    (lower, upper)
}

/// Whether what a file tells of its texts is true of all of them. The writer of `iceberg` names no order of a file's rows, and
/// is wrong where there are several row groups; whoever names one, as this node does now, makes bounds of its own.
fn tells_texts(file: &DataFile) -> bool {
    file.sort_order_id().is_some() || file.split_offsets().is_none_or(|offsets| offsets.len() == 1)
}

/// A bound that can be believed.
pub fn believed<'a>(file: &DataFile, bound: Option<&'a Datum>) -> Option<&'a PrimitiveLiteral> {
    bound.filter(|bound| !can_be_cut(bound) || tells_texts(file)).map(Datum::literal)
}

/// Whether Parquet's statistics may have only a part of such a value.
fn can_be_cut(bound: &Datum) -> bool {
    matches!(bound.literal(), PrimitiveLiteral::String(_) | PrimitiveLiteral::Binary(_))
}

/// The texts of a column, with the ids of their fields.
fn find_texts<'a>(field: &NestedField, values: &'a ArrayRef, found: &mut Vec<(i32, &'a StringArray)>) {
    match &*field.field_type {
        Type::Primitive(PrimitiveType::String) => {
            found.extend(values.as_string_opt::<i32>().map(|values| (field.id, values)));
        }
        Type::Struct(of) => {
            let Some(values) = values.as_struct_opt() else { return };
            for field in of.fields() {
                if let Some(values) = values.column_by_name(&field.name) {
                    find_texts(field, values, found);
                }
            }
        }
        Type::List(of) => {
            if let Some(values) = values.as_list_opt::<i32>() {
                find_texts(&of.element_field, values.values(), found);
            }
        }
        Type::Primitive(_) | Type::Map(_) => {}
    }
}

/// The least and the greatest of texts, by their bytes.
fn ends(values: &StringArray) -> Option<(&str, &str)> {
    let mut texts = values.iter().flatten();
    let first = texts.next()?;
    Some(texts.fold((first, first), |(least, greatest), text| (least.min(text), greatest.max(text))))
}

/// How a text begins, which is no text that it is below.
fn below(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A short text that is not below this one; None where what it begins with is the last there is.
fn above(text: &str) -> Option<String> {
    let kept = below(text);
    if kept.len() == text.len() {
        return Some(text.to_owned());
    }
    let mut kept = kept.chars();
    while let Some(last) = kept.next_back() {
        // The order of texts by their bytes is that by their characters.
        if let Some(next) = (last..=char::MAX).nth(1) {
            return Some(format!("{}{next}", kept.as_str()));
        }
    }
    None
}
