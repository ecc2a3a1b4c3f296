//! Columns: what a dataset's spec says of a row, and the Iceberg schema that follows from it.
//!
//! What it is NOT: it reads no event (`rows.rs` does). Invariant: a column keeps its field id for ever; the ids are
//! the table's, which gives them when it is made, so that files and metadata never disagree.
//!
//! # Source
//! Iceberg table specification, "Schemas and data types" and "Schema evolution".

use std::sync::Arc;

use headwater_base::Problem;
use headwater_kernel::path::Path;
use iceberg::spec::{ListType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod evolve;
pub mod key;
mod letter;
pub mod rollup;

pub use evolve::evolve;
pub use letter::of_letters;

/// One column, or a field of a struct.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ColumnSpec {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub of: TypeSpec,
    /// Where its value stands: `.customer.id` within the event (within the struct for its fields), or one of
    /// `$partition`, `$offset`, `$time`, `$key` and `$value` of the record. Default: the field of the column's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// An event without it is a dead letter. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// What it means, for people; readers of the table see it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Digits of a `decimal` in all, 1 to 38.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u8>,
    /// Digits of a `decimal` behind the point, at most all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u8>,
    /// The fields of a struct.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ColumnSpec>,
    /// What the elements of a list are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<ItemSpec>>,
}

/// The elements of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ItemSpec {
    /// What they hold.
    #[serde(rename = "type")]
    pub of: TypeSpec,
    /// Digits of a `decimal` in all, 1 to 38.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u8>,
    /// Digits of a `decimal` behind the point, at most all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<u8>,
    /// The fields of a struct.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ColumnSpec>,
    /// What the elements of a list are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<ItemSpec>>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TypeSpec {
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A number of 32 bits.
    Float,
    /// A number of 64 bits.
    Double,
    /// An exact number of `precision` digits, `scale` of them behind the point, written as a number or, beyond 15 digits,
    /// as text.
    Decimal,
    /// A day, written as `2026-11-28`.
    Date,
    /// A moment in microseconds, written by RFC 3339 or as milliseconds since 1970.
    Timestamp,
    /// Text.
    String,
    /// Any JSON, kept as its text.
    Json,
    /// Named fields.
    Struct,
    /// Any number of elements of one type.
    List,
}

/// A column as the writer uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
    /// What it holds.
    pub data: Data,
    /// Whether every row has one.
    pub required: bool,
    /// What it means.
    pub description: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A field of the event.
    Field(Path),
    /// The record's partition.
    Partition,
    /// The record's offset.
    Offset,
    /// The record's time.
    Time,
    /// The record's key as text.
    Key,
    /// The record's value as text.
    Value,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// One value.
    One(Scalar),
    /// Named fields.
    Struct(Vec<Column>),
    /// Elements.
    List(Box<Data>),
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of `TypeSpec` say it")]
pub enum Scalar {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Decimal { precision: u8, scale: u8 },
    Date,
    Timestamp,
    String,
    Json,
}

/// What a column and the elements of a list have in common.
#[derive(Clone, Copy)]
struct Shape<'a> {
    of: TypeSpec,
    precision: Option<u8>,
    scale: Option<u8>,
    fields: &'a [ColumnSpec],
    items: Option<&'a ItemSpec>,
}

impl<'a> From<&'a ColumnSpec> for Shape<'a> {
    fn from(spec: &'a ColumnSpec) -> Self {
        let ColumnSpec { of, precision, scale, fields, items, .. } = spec;
        Self { of: *of, precision: *precision, scale: *scale, fields, items: items.as_deref() }
    }
}

impl<'a> From<&'a ItemSpec> for Shape<'a> {
    fn from(spec: &'a ItemSpec) -> Self {
        let ItemSpec { of, precision, scale, fields, items } = spec;
        Self { of: *of, precision: *precision, scale: *scale, fields, items: items.as_deref() }
    }
}

/// Digits of a decimal, by Iceberg's specification.
const DIGITS_MAX: u8 = 38;
/// Columns of a table, structs and lists included.
const FIELDS_MAX: usize = 1_000;
/// Structs and lists within each other.
const DEPTH_MAX: usize = 16;
/// A name's length.
const NAME_BYTES_MAX: usize = 200;

/// What is wrong, and where it stands below the columns: `/3/fields/0/type`.
pub type Fault = (String, Problem);

/// The columns of a dataset that names none: the record as it is. Those of the `key` are in every row.
pub fn of_any_event(key: &[String]) -> Vec<ColumnSpec> {
    let column = |name: &str, of, required: bool, description| {
        let required = required || key.iter().any(|it| it == name);
        of_record(name, &format!("${name}"), of, required, description)
    };
    vec![
        column("partition", TypeSpec::Int, true, "The stream's partition."),
        column("offset", TypeSpec::Long, true, "The record's number in its partition."),
        column("time", TypeSpec::Timestamp, false, "The record's time."),
        column("key", TypeSpec::String, false, "The record's key."),
        column("value", TypeSpec::String, false, "The record's value: the event."),
    ]
}

/// The columns of a dataset of a table that names none: a document as it is.
pub fn of_any_document() -> Vec<ColumnSpec> {
    vec![
        of_record("key", "$key", TypeSpec::String, true, "The document's key."),
        of_record("updated", "$time", TypeSpec::Timestamp, false, "When it was written."),
        of_record("value", "$value", TypeSpec::Json, false, "The document."),
    ]
}

fn of_record(name: &str, path: &str, of: TypeSpec, required: bool, description: &str) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        of,
        path: Some(path.to_owned()),
        required,
        description: Some(description.to_owned()),
        precision: None,
        scale: None,
        fields: Vec::new(),
        items: None,
    }
}

/// Reads the columns of a spec.
///
/// # Errors
/// `HW-LAKE-001` for each that cannot be, with its place.
pub fn read(specs: &[ColumnSpec]) -> Result<Vec<Column>, Vec<Fault>> {
    let mut reader = Reader { faults: Vec::new(), fields: 0 };
    let columns = reader.columns(specs, "", 0);
    if reader.fields > FIELDS_MAX {
        let fact = format!("there are {} columns and fields; the limit is {FIELDS_MAX}", reader.fields);
        reader.faults.push((String::new(), wrong(fact)));
    }
    if reader.faults.is_empty() { Ok(columns) } else { Err(reader.faults) }
}

/// A name as people are told of it.
pub fn shown(name: &str) -> String {
    name.chars().take(60).collect::<String>().escape_debug().to_string()
}

/// Why no column can be called like that.
fn unnameable(name: &str) -> Option<String> {
    let shown = shown(name);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Some(format!("a column cannot be called `{shown}`: names have 1 to {NAME_BYTES_MAX} bytes"));
    }
    name.contains('.').then(|| format!("a column cannot be called `{shown}`: a dot leads into a struct"))
}

/// That there is no such column, and which one may be meant.
pub fn unknown<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let near = headwater_base::closest(name, names);
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no column `{}`{near}", shown(name))
}

fn wrong(fact: impl Into<String>) -> Problem {
    Problem::new("HW-LAKE-001", fact)
}

struct Reader {
    faults: Vec<Fault>,
    fields: usize,
}

impl Reader {
    fn blame(&mut self, at: String, fact: impl Into<String>) {
        self.faults.push((at, wrong(fact)));
    }

    fn columns(&mut self, specs: &[ColumnSpec], at: &str, depth: usize) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let at = format!("{at}/{index}");
            if let Some(fact) = unnameable(&spec.name) {
                self.blame(format!("{at}/name"), fact);
            }
            // Most readers do not tell upper and lower case apart.
            if columns.iter().any(|other| other.name.eq_ignore_ascii_case(&spec.name)) {
                self.blame(format!("{at}/name"), format!("the column `{}` comes twice", shown(&spec.name)));
            }
            let source = self.source(spec, &format!("{at}/path"), depth);
            let data = self.data(spec.into(), &at, depth);
            columns.push(Column {
                name: spec.name.clone(),
                source,
                data,
                required: spec.required,
                description: spec.description.clone(),
            });
        }
        columns
    }

    fn source(&mut self, spec: &ColumnSpec, at: &str, depth: usize) -> Source {
        let Some(path) = &spec.path else { return Source::Field(Path::field(&spec.name)) };
        let (source, fits): (Source, &[TypeSpec]) = match path.as_str() {
            "$partition" => (Source::Partition, &[TypeSpec::Int, TypeSpec::Long]),
            "$offset" => (Source::Offset, &[TypeSpec::Long]),
            "$time" => (Source::Time, &[TypeSpec::Timestamp]),
            "$key" => (Source::Key, &[TypeSpec::String]),
            "$value" => (Source::Value, &[TypeSpec::String, TypeSpec::Json]),
            _ => {
                return match Path::parse(path) {
                    Ok(path) => Source::Field(path),
                    Err(fact) => {
                        self.blame(at.to_owned(), fact);
                        Source::Value
                    }
                };
            }
        };
        if depth > 0 {
            self.blame(at.to_owned(), format!("`{path}` belongs to the record; a field of a struct cannot hold it"));
        } else if !fits.contains(&spec.of) {
            let fits: Vec<String> = fits.iter().map(|of| format!("`{}`", word(*of))).collect();
            self.blame(at.to_owned(), format!("`{path}` is {}, not `{}`", fits.join(" or "), word(spec.of)));
        }
        source
    }

    fn data(&mut self, shape: Shape<'_>, at: &str, depth: usize) -> Data {
        let Shape { of, precision, scale, fields, items } = shape;
        self.fields += 1;
        if depth > DEPTH_MAX {
            self.blame(at.to_owned(), format!("structs and lists can be {DEPTH_MAX} deep at most"));
            return Data::One(Scalar::Json);
        }
        if of != TypeSpec::Struct && !fields.is_empty() {
            self.blame(format!("{at}/fields"), format!("only a `struct` has `fields`, not a `{}`", word(of)));
        }
        if of != TypeSpec::List && items.is_some() {
            self.blame(format!("{at}/items"), format!("only a `list` has `items`, not a `{}`", word(of)));
        }
        for (key, given) in [("precision", precision), ("scale", scale)] {
            if of != TypeSpec::Decimal && given.is_some() {
                self.blame(format!("{at}/{key}"), format!("only a `decimal` has `{key}`, not a `{}`", word(of)));
            }
        }
        match of {
            TypeSpec::Struct if fields.is_empty() => {
                self.blame(at.to_owned(), "a `struct` needs `fields`");
                Data::Struct(Vec::new())
            }
            TypeSpec::Struct => Data::Struct(self.columns(fields, &format!("{at}/fields"), depth + 1)),
            TypeSpec::List => match items {
                Some(items) => {
                    let at = format!("{at}/items");
                    let data = self.data(items.into(), &at, depth + 1);
                    Data::List(Box::new(data))
                }
                None => {
                    self.blame(at.to_owned(), "a `list` needs `items: {type: ...}`");
                    Data::List(Box::new(Data::One(Scalar::Json)))
                }
            },
            TypeSpec::Boolean => Data::One(Scalar::Boolean),
            TypeSpec::Int => Data::One(Scalar::Int),
            TypeSpec::Long => Data::One(Scalar::Long),
            TypeSpec::Float => Data::One(Scalar::Float),
            TypeSpec::Double => Data::One(Scalar::Double),
            TypeSpec::Decimal => self.decimal(precision, scale, at),
            TypeSpec::Date => Data::One(Scalar::Date),
            TypeSpec::Timestamp => Data::One(Scalar::Timestamp),
            TypeSpec::String => Data::One(Scalar::String),
            TypeSpec::Json => Data::One(Scalar::Json),
        }
    }

    fn decimal(&mut self, precision: Option<u8>, scale: Option<u8>, at: &str) -> Data {
        match (precision, scale) {
            (Some(precision), Some(scale)) if (1..=DIGITS_MAX).contains(&precision) && scale <= precision => {
                Data::One(Scalar::Decimal { precision, scale })
            }
            (Some(precision), Some(scale)) => {
                let fact = format!(
                    "{precision} digits, {scale} of them behind the point: there are 1 to {DIGITS_MAX}, and not more of them behind the point than there are"
                );
                self.blame(at.to_owned(), fact);
                Data::One(Scalar::Double)
            }
            _ => {
                self.blame(at.to_owned(), "a `decimal` needs `precision` and `scale`, such as 12 and 2");
                Data::One(Scalar::Double)
            }
        }
    }
}

/// The word of a type in a spec.
fn word(of: TypeSpec) -> String {
    serde_json::to_value(of).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The Iceberg schema of new columns. Its ids are preliminary: the table gives its own.
///
/// # Errors
/// What `iceberg` says, which [`read`] has excluded.
pub fn schema(columns: &[Column]) -> iceberg::Result<Schema> {
    let mut next = 1;
    let fields = columns.iter().map(|column| new_field(column, &mut next)).collect::<Vec<_>>();
    Schema::builder().with_fields(fields).build()
}

fn draw(next: &mut i32) -> i32 {
    let id = *next;
    *next = next.saturating_add(1);
    id
}

fn new_field(column: &Column, next: &mut i32) -> NestedFieldRef {
    let id = draw(next);
    field(column, id, new_type(&column.data, next))
}

fn field(column: &Column, id: i32, of: Type) -> NestedFieldRef {
    let field = NestedField::new(id, &column.name, of, column.required);
    Arc::new(match &column.description {
        Some(text) => field.with_doc(text),
        None => field,
    })
}

fn new_type(data: &Data, next: &mut i32) -> Type {
    match data {
        Data::One(scalar) => Type::Primitive(primitive(*scalar)),
        Data::Struct(columns) => {
            Type::Struct(StructType::new(columns.iter().map(|column| new_field(column, next)).collect()))
        }
        Data::List(items) => {
            let id = draw(next);
            let of = new_type(items, next);
            Type::List(ListType::new(Arc::new(NestedField::list_element(id, of, false))))
        }
    }
}

fn primitive(scalar: Scalar) -> PrimitiveType {
    match scalar {
        Scalar::Boolean => PrimitiveType::Boolean,
        Scalar::Int => PrimitiveType::Int,
        Scalar::Long => PrimitiveType::Long,
        Scalar::Float => PrimitiveType::Float,
        Scalar::Double => PrimitiveType::Double,
        Scalar::Decimal { precision, scale } => {
            PrimitiveType::Decimal { precision: u32::from(precision), scale: u32::from(scale) }
        }
        Scalar::Date => PrimitiveType::Date,
        Scalar::Timestamp => PrimitiveType::Timestamptz,
        Scalar::String | Scalar::Json => PrimitiveType::String,
    }
}

#[cfg(test)]
mod tests;
