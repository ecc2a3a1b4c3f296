//! Evolution: the schema of columns as what follows the one that older files were written with.

use std::sync::Arc;

use headwater_base::Problem;
use iceberg::spec::{ListType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type};

use super::{Column, Data, Fault, field, new_field, new_type, primitive};

/// The schema of `columns` as what follows `old`: what is there keeps its ids, what is new gets those behind `last_id`.
/// A column may come, also within a struct; a whole or decimal number may become wider; `required` may be dropped.
///
/// # Errors
/// `HW-LAKE-002` for each change that readers of older files could not follow.
pub fn evolve(old: &StructType, columns: &[Column], last_id: i32) -> Result<Vec<NestedFieldRef>, Vec<Fault>> {
    let mut evolution = Evolution { next: last_id.saturating_add(1), faults: Vec::new() };
    let fields = evolution.fields(old, columns, "", "");
    if evolution.faults.is_empty() { Ok(fields) } else { Err(evolution.faults) }
}

struct Evolution {
    next: i32,
    faults: Vec<Fault>,
}

impl Evolution {
    fn blame(&mut self, at: &str, fact: String) {
        let problem = Problem::new("HW-LAKE-002", fact)
            .help("columns can be added and numbers widened; for anything else make a dataset of another name, or build this one anew from its stream with `headwater apply --reset-state`");
        self.faults.push((at.to_owned(), problem));
    }

    fn fields(&mut self, old: &StructType, columns: &[Column], at: &str, parent: &str) -> Vec<NestedFieldRef> {
        // Those that are there first and in their order: readers by position would mix them up otherwise.
        let mut fields = Vec::with_capacity(columns.len());
        for before in old.fields() {
            let shown = format!("{parent}{}", before.name);
            let Some((index, column)) = columns.iter().enumerate().find(|(_, column)| column.name == before.name)
            else {
                self.blame(at, format!("the column `{shown}` is not there any more"));
                continue;
            };
            let at = format!("{at}/{index}");
            if column.required && !before.required {
                self.blame(&at, format!("`{shown}` cannot become required: there may be rows without it"));
            }
            let of = self.changed(&before.field_type, &column.data, &at, &shown);
            fields.push(field(column, before.id, of));
        }
        for (index, column) in columns.iter().enumerate() {
            if old.fields().iter().any(|before| before.name == column.name) {
                continue;
            }
            if column.required {
                let fact = format!("the new column `{parent}{}` cannot be required: older rows have none", column.name);
                self.blame(&format!("{at}/{index}"), fact);
            }
            let mut next = self.next;
            fields.push(new_field(column, &mut next));
            self.next = next;
        }
        fields
    }

    fn changed(&mut self, old: &Type, data: &Data, at: &str, shown: &str) -> Type {
        match (old, data) {
            (Type::Primitive(before), Data::One(scalar)) => {
                let after = primitive(*scalar);
                let widens = match (before, &after) {
                    (PrimitiveType::Int, PrimitiveType::Long) | (PrimitiveType::Float, PrimitiveType::Double) => true,
                    (
                        PrimitiveType::Decimal { precision, scale },
                        PrimitiveType::Decimal { precision: to, scale: of },
                    ) => precision <= to && scale == of,
                    _ => false,
                };
                if *before != after && !widens {
                    self.blame(at, format!("`{shown}` cannot change from {before} to {after}"));
                }
                Type::Primitive(after)
            }
            (Type::Struct(before), Data::Struct(columns)) => {
                let fields = self.fields(before, columns, &format!("{at}/fields"), &format!("{shown}."));
                Type::Struct(StructType::new(fields))
            }
            (Type::List(before), Data::List(items)) => {
                let element = &before.element_field;
                let of = self.changed(&element.field_type, items, &format!("{at}/items"), &format!("{shown}.element"));
                Type::List(ListType::new(Arc::new(NestedField::list_element(element.id, of, element.required))))
            }
            (before, _) => {
                let kind = match data {
                    Data::One(scalar) => primitive(*scalar).to_string(),
                    Data::Struct(_) => "a struct".to_owned(),
                    Data::List(_) => "a list".to_owned(),
                };
                let before = match before {
                    Type::Struct(_) => "a struct".to_owned(),
                    Type::List(_) => "a list".to_owned(),
                    Type::Map(_) => "a map".to_owned(),
                    Type::Primitive(of) => of.to_string(),
                };
                self.blame(at, format!("`{shown}` cannot change from {before} to {kind}"));
                new_type(data, &mut self.next)
            }
        }
    }
}
