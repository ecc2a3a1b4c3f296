//! What a request may look like, as data: each operation's members, and the check of a body against them.
//!
//! What it is NOT: a check of what the members mean. Members that no row names are passed over, as the services do,
//! so that a newer client goes on working; an operation reads only what its rows name.
//!
//! Source: the services' published models (Smithy `stepfunctions`, `eventbridge`); wording of a refusal as they word it.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// One member of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// As it stands in the JSON.
    pub name: &'static str,
    /// What it may be.
    pub shape: Shape,
    /// Whether it may be left out.
    pub required: bool,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text.
    Text(Text),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number between these.
    Integer(i64, i64),
    /// A number between these.
    Number(f64, f64),
    /// True or false.
    Flag,
    /// Seconds since 1970 with a fraction.
    Time,
    /// So many at least and at most of these.
    List(&'static Shape, usize, usize),
    /// Texts to these.
    Map(&'static Shape),
    /// A structure of these.
    Structure(&'static [Member]),
}

/// What a text may be.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Characters, at least.
    pub min: usize,
    /// Characters, at most.
    pub max: usize,
    /// A test and the service's pattern for it.
    pub form: Option<(fn(&str) -> bool, &'static str)>,
    /// Never repeated in an answer.
    pub secret: bool,
}

/// Text of so many characters.
pub const fn text(min: usize, max: usize) -> Shape {
    Shape::Text(Text { min, max, form: None, secret: false })
}

/// Text of so many characters that is never repeated in an answer.
pub const fn secret(min: usize, max: usize) -> Shape {
    Shape::Text(Text { min, max, form: None, secret: true })
}

/// The names of EventBridge.
pub const fn name(max: usize) -> Shape {
    Shape::Text(Text { min: 1, max, form: Some((is_name, r"[\.\-_A-Za-z0-9]+")), secret: false })
}

/// A member that must be there.
pub const fn must(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: true }
}

/// A member that may be there.
pub const fn may(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: false }
}

/// A service's ARN.
pub const ARN: Shape = text(1, 1_600);

/// Complaints that one refusal lists; each repeats at most [`SHOWN_MAX`] characters of the request.
const COMPLAINTS_MAX: usize = 10;

/// Characters of a value that a refusal repeats.
const SHOWN_MAX: usize = 256;

fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Checks a body against an operation's members.
///
/// # Errors
/// `SerializationException` for a value of another type, `ValidationException` with every constraint that is not met.
pub fn check(members: &[Member], body: &Map<String, Value>) -> Result<(), Refusal> {
    let mut complaints = Complaints::default();
    structure(members, body, "", &mut complaints)?;
    let Complaints { count, shown } = complaints;
    match count {
        0 => Ok(()),
        1 => Err(Refusal::validation(format!("1 validation error detected: {}", shown.join("; ")))),
        _ => Err(Refusal::validation(format!("{count} validation errors detected: {}", shown.join("; ")))),
    }
}

#[derive(Debug, Default)]
struct Complaints {
    count: usize,
    shown: Vec<String>,
}

impl Complaints {
    fn add(&mut self, value: Option<&Value>, path: &str, constraint: &str) {
        self.count += 1;
        if self.shown.len() < COMPLAINTS_MAX {
            let value = match value {
                None => " ".to_owned(),
                Some(Value::Null) => " null ".to_owned(),
                Some(value) => format!(" '{}' ", shown(value)),
            };
            self.shown.push(format!("Value{value}at '{path}' failed to satisfy constraint: {constraint}"));
        }
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().nth(SHOWN_MAX).is_none() { text } else { text.chars().take(SHOWN_MAX).chain(['…']).collect() }
}

fn structure(
    members: &[Member],
    body: &Map<String, Value>,
    path: &str,
    complaints: &mut Complaints,
) -> Result<(), Refusal> {
    for member in members {
        let at = step(path, &lower(member.name));
        match body.get(member.name) {
            None | Some(Value::Null) if member.required => {
                complaints.add(Some(&Value::Null), &at, "Member must not be null");
            }
            None | Some(Value::Null) => {}
            Some(value) => examine(member.shape, value, &at, complaints)?,
        }
    }
    Ok(())
}

fn examine(shape: Shape, value: &Value, path: &str, complaints: &mut Complaints) -> Result<(), Refusal> {
    match (shape, value) {
        (Shape::Text(form), Value::String(given)) => text_complaints(&form, given, value, path, complaints),
        (Shape::Choice(choices), Value::String(given)) => {
            if !choices.contains(&given.as_str()) {
                let set = choices.join(", ");
                complaints.add(Some(value), path, &format!("Member must satisfy enum value set: [{set}]"));
            }
        }
        (Shape::Integer(min, max), Value::Number(number)) => {
            let Some(given) = number.as_i64() else { return Err(mistyped(value, "an integer")) };
            if given < min {
                complaints.add(Some(value), path, &format!("Member must have value greater than or equal to {min}"));
            } else if given > max {
                complaints.add(Some(value), path, &format!("Member must have value less than or equal to {max}"));
            }
        }
        (Shape::Number(min, max), Value::Number(number)) => {
            let given = number.as_f64().unwrap_or(f64::NAN);
            if given < min {
                complaints.add(Some(value), path, &format!("Member must have value greater than or equal to {min}"));
            } else if given > max {
                complaints.add(Some(value), path, &format!("Member must have value less than or equal to {max}"));
            }
        }
        (Shape::Flag, Value::Bool(_)) | (Shape::Time, Value::Number(_)) => {}
        (Shape::List(of, min, max), Value::Array(items)) => {
            if items.len() < min {
                complaints.add(Some(value), path, &length("greater", min));
            } else if items.len() > max {
                complaints.add(Some(value), path, &length("less", max));
                return Ok(());
            }
            for (number, item) in items.iter().enumerate() {
                examine(*of, item, &format!("{path}.{}.member", number + 1), complaints)?;
            }
        }
        (Shape::Map(of), Value::Object(entries)) => {
            for (key, entry) in entries {
                let at = if key.len() <= SHOWN_MAX { step(path, key) } else { path.to_owned() };
                examine(*of, entry, &at, complaints)?;
            }
        }
        (Shape::Structure(members), Value::Object(body)) => structure(members, body, path, complaints)?,
        (Shape::Text(_) | Shape::Choice(_), _) => return Err(mistyped(value, "a String")),
        (Shape::Integer(..) | Shape::Number(..), _) => return Err(mistyped(value, "a Number")),
        (Shape::Flag, _) => return Err(mistyped(value, "a Boolean")),
        (Shape::Time, _) => return Err(mistyped(value, "a Timestamp")),
        (Shape::List(..), _) => return Err(mistyped(value, "a List")),
        (Shape::Map(_) | Shape::Structure(_), _) => return Err(mistyped(value, "a Structure")),
    }
    Ok(())
}

fn text_complaints(form: &Text, given: &str, value: &Value, path: &str, complaints: &mut Complaints) {
    let value = (!form.secret).then_some(value);
    // A character has at most four bytes, so that most texts need not be counted.
    let (at_least, at_most) = (given.len() / 4, given.len());
    let characters = || given.chars().count();
    if at_least < form.min && characters() < form.min {
        complaints.add(value, path, &length("greater", form.min));
    }
    if at_most > form.max && characters() > form.max {
        complaints.add(value, path, &length("less", form.max));
    } else if let Some((_, pattern)) = form.form.filter(|(fits, _)| !fits(given)) {
        complaints.add(value, path, &format!("Member must satisfy regular expression pattern: {pattern}"));
    }
}

fn length(side: &str, bound: usize) -> String {
    format!("Member must have length {side} than or equal to {bound}")
}

fn mistyped(value: &Value, wanted: &str) -> Refusal {
    let found = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    Refusal::new("SerializationException", format!("{found} can not be converted to {wanted}"))
}

/// The services name members as their Java beans do.
fn lower(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

fn step(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests;
