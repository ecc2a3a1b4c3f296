//! Payload templates: JSON with expressions at its leaves.

use serde_json::{Map, Value};

use super::Language;
use crate::intrinsic::Call;
use crate::jsonata::Query;
use crate::limits::Limits;
use crate::path::Path;

/// A value, or what is evaluated to one.
#[derive(Debug, PartialEq)]
pub enum Term {
    /// As written.
    Literal(Value),
    /// A path.
    Path(Path),
    /// An intrinsic function call.
    Call(Call),
    /// A JSONata expression.
    Query(Query),
}

/// JSON whose leaves are terms.
#[derive(Debug, PartialEq)]
pub enum Template {
    /// Without any expression inside.
    Literal(Value),
    /// An expression and where it stands: `Output/total` or `total.$`.
    Term(Term, String),
    /// An array.
    Array(Vec<Template>),
    /// An object, in the order of the text.
    Object(Vec<(String, Template)>),
}

/// What is wrong with a template, and below which keys.
pub(super) struct Fault {
    pub(super) path: String,
    pub(super) message: String,
}

impl Template {
    /// Reads a template that stands in `field`.
    pub(super) fn read(value: &Value, field: &str, language: Language, limits: &Limits) -> Result<Self, Fault> {
        let reader = Reader { language, limits };
        reader.value(value, field, String::new(), limits.value_depth_max)
    }

    /// Calls `found` with every term.
    pub fn terms<'a>(&'a self, found: &mut dyn FnMut(&'a Term)) {
        let mut open = vec![self];
        while let Some(template) = open.pop() {
            match template {
                Self::Literal(_) => {}
                Self::Term(term, _) => found(term),
                Self::Array(items) => open.extend(items.iter().rev()),
                Self::Object(fields) => open.extend(fields.iter().rev().map(|(_, field)| field)),
            }
        }
    }
}

/// Reads the text of one expression of JSONPath: a path or a call.
pub(super) fn path_or_call(text: &str, limits: &Limits) -> Option<Term> {
    if text.len() > limits.expression_bytes_max {
        return None;
    }
    if Call::looks_like(text) {
        return Call::parse(text).ok().map(Term::Call);
    }
    Path::parse(text).ok().map(Term::Path)
}

struct Reader<'a> {
    language: Language,
    limits: &'a Limits,
}

impl Reader<'_> {
    fn value(&self, value: &Value, place: &str, path: String, depth: usize) -> Result<Template, Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            let message = format!("The template nests deeper than {} levels", self.limits.value_depth_max);
            return Err(Fault { path, message });
        };
        match value {
            Value::String(text) if self.language == Language::Jsonata => self.query(text, place, path),
            Value::Array(items) => {
                let mut read = Vec::with_capacity(items.len());
                for (number, item) in items.iter().enumerate() {
                    let inner = format!("{place}[{number}]");
                    read.push(self.value(item, &inner, format!("{path}/{number}"), depth)?);
                }
                Ok(if read.iter().all(|item| matches!(item, Template::Literal(_))) {
                    Template::Literal(value.clone())
                } else {
                    Template::Array(read)
                })
            }
            Value::Object(fields) => self.object(value, fields, place, path, depth),
            _ => Ok(Template::Literal(value.clone())),
        }
    }

    fn object(
        &self,
        value: &Value,
        fields: &Map<String, Value>,
        place: &str,
        path: String,
        depth: usize,
    ) -> Result<Template, Fault> {
        let mut read = Vec::with_capacity(fields.len());
        for (key, field) in fields {
            match key.strip_suffix(".$").filter(|_| self.language == Language::JsonPath) {
                Some(plain) => {
                    let term = field.as_str().and_then(|text| path_or_call(text, self.limits)).ok_or_else(|| Fault {
                        path: path.clone(),
                        message: format!(
                            "The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call"
                        ),
                    })?;
                    read.push((plain.to_owned(), Template::Term(term, key.clone())));
                }
                None => {
                    let inner = format!("{place}/{key}");
                    read.push((key.clone(), self.value(field, &inner, format!("{path}/{key}"), depth)?));
                }
            }
        }
        Ok(if read.iter().all(|(_, field)| matches!(field, Template::Literal(_))) {
            Template::Literal(value.clone())
        } else {
            Template::Object(read)
        })
    }

    fn query(&self, text: &str, place: &str, path: String) -> Result<Template, Fault> {
        match query_inside(text, self.language, self.limits) {
            None => Ok(Template::Literal(Value::String(text.to_owned()))),
            Some(Ok(query)) => Ok(Template::Term(Term::Query(query), place.to_owned())),
            Some(Err(message)) => Err(Fault { path, message }),
        }
    }
}

/// The JSONata expression inside `{% %}`; None when the text is plain.
pub(super) fn query_inside(text: &str, language: Language, limits: &Limits) -> Option<Result<Query, String>> {
    let inside = Query::inside(text).filter(|_| language == Language::Jsonata)?;
    if inside.len() > limits.expression_bytes_max {
        let (size, limit) = (inside.len(), limits.expression_bytes_max);
        return Some(Err(format!("The JSONata expression has {size} bytes; the limit is {limit}")));
    }
    Some(Query::parse(inside).map_err(|error| format!("Invalid JSONata expression '{inside}': {error}")))
}
