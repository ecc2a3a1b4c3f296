//! The fields of one object of a definition: read with their types, every fault noted, none fatal.

use serde_json::{Map, Value};

use super::state::{Amount, ResultPath, Selection};
use super::template::{Template, Term};
use super::{Diagnostic, Language, template};
use crate::limits::Limits;
use crate::path::Path;

/// Where faults are noted.
#[derive(Default)]
pub(super) struct Notes(pub(super) Vec<Diagnostic>);

/// Diagnostics beyond this many are not noted; one is enough to refuse.
const NOTES_MAX: usize = 100;

impl Notes {
    pub(super) fn schema(&mut self, location: &str, message: impl Into<String>) {
        self.add("SCHEMA_VALIDATION_FAILED", location, message.into());
    }

    pub(super) fn transition(&mut self, location: &str, message: impl Into<String>) {
        self.add("MISSING_TRANSITION_TARGET", location, message.into());
    }

    fn add(&mut self, code: &'static str, location: &str, message: String) {
        if self.0.len() < NOTES_MAX {
            let location = if location.is_empty() { "/" } else { location };
            self.0.push(Diagnostic { code, message, location: Some(location.to_owned()) });
        }
    }
}

/// One object, its place and the rules it is read under.
pub(super) struct Fields<'a> {
    pub(super) object: &'a Map<String, Value>,
    /// `/States/Name`.
    pub(super) location: String,
    pub(super) language: Language,
    pub(super) limits: &'a Limits,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field)
    }

    pub(super) fn at(&self, field: &str) -> String {
        format!("{}/{field}", self.location)
    }

    /// Notes fields that are not among `allowed`.
    pub(super) fn only(&self, allowed: &[&[&str]], notes: &mut Notes) {
        let known: Vec<&str> = allowed.iter().flat_map(|list| list.iter().copied()).collect();
        for field in self.object.keys().filter(|field| !known.contains(&field.as_str())) {
            let hint = headwater_base::closest(field, known.iter().copied())
                .map_or(String::new(), |close| format!("; did you mean '{close}'?"));
            notes.schema(&self.at(field), format!("The field '{field}' is not supported here{hint}"));
        }
    }

    /// Notes required fields that are missing, as the service words it.
    pub(super) fn require(&self, required: &[&str], notes: &mut Notes) -> bool {
        let missing: Vec<&str> = required.iter().copied().filter(|field| self.get(field).is_none()).collect();
        if !missing.is_empty() {
            notes.schema(&self.location, format!("These fields are required: [{}]", missing.join(", ")));
        }
        missing.is_empty()
    }

    pub(super) fn text(&self, field: &str, notes: &mut Notes) -> Option<&'a str> {
        let value = self.get(field)?;
        let text = value.as_str();
        if text.is_none() {
            notes.schema(&self.at(field), format!("Expected value of type String, but was {value}"));
        }
        text
    }

    pub(super) fn array(&self, field: &str, notes: &mut Notes) -> &'a [Value] {
        match self.get(field) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(other) => {
                notes.schema(&self.at(field), format!("Expected value of type Array, but was {other}"));
                &[]
            }
        }
    }

    /// An object inside this one.
    pub(super) fn inner(&self, value: &'a Value, location: String, notes: &mut Notes) -> Option<Fields<'a>> {
        let Some(object) = value.as_object() else {
            notes.schema(&location, "Expected value of type Object");
            return None;
        };
        Some(Fields { object, location, language: self.language, limits: self.limits })
    }

    pub(super) fn template(&self, field: &str, notes: &mut Notes) -> Option<Template> {
        let value = self.get(field)?;
        match Template::read(value, field, self.language, self.limits) {
            Ok(template) => Some(template),
            Err(fault) => {
                notes.schema(&format!("{}{}", self.at(field), fault.path), fault.message);
                None
            }
        }
    }

    /// `Assign`: an object whose keys are names of variables.
    pub(super) fn assign(&self, notes: &mut Notes) -> Option<Template> {
        let value = self.get("Assign")?;
        let Some(fields) = value.as_object() else {
            notes.schema(&self.at("Assign"), "Expected value of type Object");
            return None;
        };
        for name in fields.keys() {
            let name = name.strip_suffix(".$").filter(|_| self.language == Language::JsonPath).unwrap_or(name);
            let legal = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
                && name.chars().count() <= 80
                && name != "states";
            if !legal {
                notes.schema(&self.at("Assign"), format!("'{name}' is not a valid variable name"));
            }
        }
        self.template("Assign", notes)
    }

    fn path(&self, field: &str, text: &str, notes: &mut Notes) -> Option<Path> {
        let path = Path::parse(text).ok().filter(|_| text.len() <= self.limits.expression_bytes_max);
        if path.is_none() {
            notes.schema(&self.at(field), format!("Value is not a valid JSONPath: '{text}'"));
        }
        path
    }

    /// `InputPath` and `OutputPath`.
    pub(super) fn selection(&self, field: &str, notes: &mut Notes) -> Selection {
        match self.get(field) {
            None => Selection::Whole,
            Some(Value::Null) => Selection::Nothing,
            Some(_) => {
                let path = self.text(field, notes).and_then(|text| self.path(field, text, notes));
                path.map_or(Selection::Whole, Selection::Path)
            }
        }
    }

    pub(super) fn result_path(&self, notes: &mut Notes) -> ResultPath {
        match self.get("ResultPath") {
            None => ResultPath::Replace,
            Some(Value::Null) => ResultPath::Discard,
            Some(_) => {
                let path = self.text("ResultPath", notes).and_then(|text| self.path("ResultPath", text, notes));
                match path {
                    Some(path) if path.is_root() && path.is_reference() => ResultPath::Replace,
                    Some(path) if path.is_reference() => ResultPath::At(path),
                    Some(path) => {
                        notes.schema(&self.at("ResultPath"), format!("Value is not a Reference Path: '{}'", path.text));
                        ResultPath::Replace
                    }
                    None => ResultPath::Replace,
                }
            }
        }
    }

    /// A path or intrinsic function call.
    pub(super) fn path_term(&self, field: &str, notes: &mut Notes) -> Option<Term> {
        let text = self.text(field, notes)?;
        let term = template::path_or_call(text, self.limits);
        if term.is_none() {
            notes
                .schema(&self.at(field), format!("Value is not a valid JSONPath or intrinsic function call: '{text}'"));
        }
        term
    }

    /// A string, or a JSONata expression in a JSONata state.
    pub(super) fn text_term(&self, field: &str, notes: &mut Notes) -> Option<Term> {
        let text = self.text(field, notes)?;
        match template::query_inside(text, self.language, self.limits) {
            None => Some(Term::Literal(Value::String(text.to_owned()))),
            Some(Ok(query)) => Some(Term::Query(query)),
            Some(Err(message)) => {
                notes.schema(&self.at(field), message);
                None
            }
        }
    }

    /// A whole number from `field` (a literal from `least` to `most`, or an expression) or the path in `path_field`.
    pub(super) fn amount(
        &self,
        field: &'static str,
        path_field: &'static str,
        (least, most): (u64, u64),
        notes: &mut Notes,
    ) -> Option<Amount> {
        let fits = |number: &Value| number.as_u64().is_some_and(|number| (least..=most).contains(&number));
        self.number(field, path_field, &fits, &format!("a whole number from {least} to {most}"), notes)
    }

    /// As [`Self::amount`], of a share in percent.
    pub(super) fn share(&self, field: &'static str, path_field: &'static str, notes: &mut Notes) -> Option<Amount> {
        let fits = |number: &Value| number.as_f64().is_some_and(|share| (0.0..=100.0).contains(&share));
        self.number(field, path_field, &fits, "a number from 0 to 100", notes)
    }

    fn number(
        &self,
        field: &'static str,
        path_field: &'static str,
        fits: &dyn Fn(&Value) -> bool,
        expected: &str,
        notes: &mut Notes,
    ) -> Option<Amount> {
        if self.get(path_field).is_some() && self.language == Language::JsonPath {
            if self.get(field).is_some() {
                notes.schema(&self.location, format!("Only one of '{field}' and '{path_field}' may be given"));
            }
            return self.path_term(path_field, notes).map(|term| Amount { field: path_field, term });
        }
        match self.get(field)? {
            Value::String(_) if self.language == Language::Jsonata => {
                let term = self.text_term(field, notes)?;
                if matches!(term, Term::Literal(_)) {
                    notes.schema(&self.at(field), "Expected a number or a JSONata expression");
                }
                Some(Amount { field, term })
            }
            number if fits(number) => Some(Amount { field, term: Term::Literal(number.clone()) }),
            other => {
                notes.schema(&self.at(field), format!("Expected {expected}, but was {other}"));
                None
            }
        }
    }
}
