//! `ItemReader`, `ItemBatcher` and `ResultWriter`: what a distributed Map alone has.
//!
//! All their fields are known here, so that a misspelt one is refused instead of passed over, and so are the numbers
//! that a path may name. What the values mean is read when a Map Run begins ([`crate::items`]).
//!
//! Specification: "ItemReader", "ItemBatcher" and "ResultWriter (Map)" of the AWS Step Functions Developer Guide.

use serde_json::{Map, Value};

use super::fields::{Fields, Notes};
use super::state::{Language, Processor};
use super::template::Template;

/// One of the three: its fields, and those of the configuration inside.
pub(super) struct Part {
    field: &'static str,
    own: &'static [&'static str],
    /// Empty where there is none.
    config: &'static str,
    options: &'static [&'static str],
}

pub(super) const READER: Part = Part {
    field: "ItemReader",
    own: &["Resource", "ReaderConfig", "Parameters", "Arguments"],
    config: "ReaderConfig",
    options: &[
        "InputType",
        "ManifestType",
        "CSVHeaderLocation",
        "CSVHeaders",
        "CSVDelimiter",
        "MaxItems",
        "ItemsPointer",
        "Transformation",
    ],
};

pub(super) const BATCHER: Part = Part {
    field: "ItemBatcher",
    own: &["MaxItemsPerBatch", "MaxInputBytesPerBatch", "BatchInput"],
    config: "",
    options: &[],
};

pub(super) const WRITER: Part = Part {
    field: "ResultWriter",
    own: &["Resource", "Parameters", "Arguments", "WriterConfig"],
    config: "WriterConfig",
    options: &["Transformation", "OutputType"],
};

/// Numbers that a path may name in a state of JSONPath: the field with `Path` behind it.
const BY_PATH: [&str; 3] = ["MaxItems", "MaxItemsPerBatch", "MaxInputBytesPerBatch"];

impl Part {
    /// Reads it from a Map's fields.
    pub(super) fn read(&self, fields: &Fields<'_>, processor: Processor, notes: &mut Notes) -> Option<Template> {
        let value = fields.get(self.field)?;
        let place = fields.at(self.field);
        if processor == Processor::Inline {
            notes.schema(&place, format!("The field '{}' needs a Map of the mode DISTRIBUTED", self.field));
            return None;
        }
        // Of what an expression comes to, no field is known yet.
        if fields.language == Language::Jsonata && value.is_string() {
            return fields.template(self.field, notes);
        }
        let part = fields.inner(value, place.clone(), notes)?;
        let mut object = known(&part, self.own, notes);
        if let Some(config) = part.get(self.config).filter(|config| config.is_object()) {
            let config = part.inner(config, part.at(self.config), notes)?;
            object.insert(self.config.to_owned(), Value::Object(known(&config, self.options, notes)));
        }
        match Template::read(&Value::Object(object), self.field, fields.language, fields.limits) {
            Ok(template) => Some(template),
            Err(fault) => {
                notes.schema(&format!("{place}{}", fault.path), fault.message);
                None
            }
        }
    }
}

/// The fields of an object, those that name a number by a path as a template's. Notes those that are not among `names`.
fn known(fields: &Fields<'_>, names: &[&str], notes: &mut Notes) -> Map<String, Value> {
    let paths = fields.language == Language::JsonPath;
    let by_path = |field: &&str| BY_PATH.contains(field) && paths;
    let with = |ending: &str, field: &str| format!("{field}{ending}");
    let mut allowed: Vec<String> = names.iter().map(|field| with("", field)).collect();
    if paths {
        allowed.extend(names.iter().map(|field| with(".$", field)));
    }
    allowed.extend(names.iter().copied().filter(by_path).map(|field| with("Path", field)));
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    fields.only(&[allowed.as_slice()], notes);
    let mut object = fields.object.clone();
    for field in names.iter().copied().filter(by_path) {
        let path = with("Path", field);
        let Some(value) = object.shift_remove(&path) else { continue };
        if fields.get(field).is_some() {
            notes.schema(&fields.location, format!("Only one of '{field}' and '{path}' may be given"));
        }
        if fields.path_term(&path, notes).is_some() {
            object.insert(with(".$", field), value);
        }
    }
    object
}
