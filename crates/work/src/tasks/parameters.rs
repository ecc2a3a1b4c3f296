//! Reading a task's parameters strictly: an unknown field is a failure that names the known ones.

use headwater_base::closest;
use serde_json::{Map, Value};

use super::failure;
use crate::execution::Failure;

/// A task's parameters.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a>(&'a Map<String, Value>);

impl<'a> Parameters<'a> {
    /// Checks that `value` is an object with no fields but `known`.
    pub fn new(value: &'a Value, known: &[&str]) -> Result<Self, Failure> {
        let Some(map) = value.as_object() else {
            return Err(failure::parameters(format!(
                "a task's parameters are an object with `{}`",
                known.join("`, `")
            )));
        };
        let unknown = map.keys().find(|key| !known.contains(&key.as_str()));
        if let Some(key) = unknown {
            let near = closest(key, known.iter().copied())
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let fact = format!(
                "the field `{}` is not supported; fields are `{}`{near}",
                key.escape_debug(),
                known.join("`, `")
            );
            return Err(failure::parameters(fact));
        }
        Ok(Self(map))
    }

    /// A field that is there and not null.
    pub fn get(self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub fn required(self, field: &str) -> Result<&'a Value, Failure> {
        self.get(field).ok_or_else(|| failure::parameters(format!("the field `{field}` is missing")))
    }

    /// A text that must be there.
    pub fn text(self, field: &str) -> Result<&'a str, Failure> {
        self.required(field)?.as_str().ok_or_else(|| of_kind(field, "a text"))
    }

    /// A text that may be there.
    pub fn optional_text(self, field: &str) -> Result<Option<&'a str>, Failure> {
        self.get(field).map(|value| value.as_str().ok_or_else(|| of_kind(field, "a text"))).transpose()
    }

    /// A whole number that may be there, 0 or more.
    pub fn optional_number(self, field: &str) -> Result<Option<u64>, Failure> {
        self.get(field).map(|value| value.as_u64().ok_or_else(|| of_kind(field, "a whole number"))).transpose()
    }

    /// True or false, if it is there.
    pub fn optional_flag(self, field: &str) -> Result<Option<bool>, Failure> {
        self.get(field).map(|value| value.as_bool().ok_or_else(|| of_kind(field, "true or false"))).transpose()
    }

    /// An object that may be there.
    pub fn optional_object(self, field: &str) -> Result<Option<&'a Map<String, Value>>, Failure> {
        self.get(field).map(|value| value.as_object().ok_or_else(|| of_kind(field, "an object"))).transpose()
    }

    /// A list that may be there.
    pub fn optional_list(self, field: &str) -> Result<Option<&'a Vec<Value>>, Failure> {
        self.get(field).map(|value| value.as_array().ok_or_else(|| of_kind(field, "a list"))).transpose()
    }
}

fn of_kind(field: &str, kind: &str) -> Failure {
    failure::parameters(format!("the field `{field}` is {kind}"))
}
