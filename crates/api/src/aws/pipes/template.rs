//! Input templates of pipes in the words of the bus.
//!
//! There a path stands in the template itself (`<$.detail.id>`); here it has a name. Of a stream's record the payload
//! alone is seen here, so that its member there (`data`, `value`) is taken off paths.

use serde_json::{Map, Value};

use super::super::refusal::Refusal;

/// What a record's payload is called in paths and patterns there; None where the event is seen as a whole.
pub type Payload = Option<&'static str>;

/// An input of ours for a template; None where the event is wanted as it is.
///
/// # Errors
/// `ValidationException` for what is not served.
pub fn input(template: Option<&str>, payload: Payload) -> Result<Option<Value>, Refusal> {
    let Some(template) = template.filter(|template| !template.is_empty()) else { return Ok(None) };
    let mut variables = Map::new();
    // None that stands in the template as a text.
    let is_free = |name: &String| !template.contains(&format!("<{name}>"));
    let mut names = (0_usize..).map(|number| format!("v{number}")).filter(is_free);
    let mut made = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('<') {
        made.push_str(before);
        let variable = behind.split_once('>').filter(|(name, _)| is_variable(name));
        let Some((name, after)) = variable else {
            made.push('<');
            rest = behind;
            continue;
        };
        made.push('<');
        match name.strip_prefix("aws.pipes.") {
            Some("event" | "event.json") => made.push_str("aws.events.event.json"),
            Some("event.ingestion-time") => made.push_str("aws.events.event.ingestion-time"),
            Some("pipe-name") => made.push_str("aws.events.rule-name"),
            Some(_) => return Err(Refusal::validation(format!("<{name}> is not served in an InputTemplate."))),
            None => {
                let variable = names.next().unwrap_or_default();
                made.push_str(&variable);
                variables.insert(variable, path(name, payload)?.into());
            }
        }
        made.push('>');
        rest = after;
    }
    made.push_str(rest);
    let mut input = Map::new();
    input.insert("template".to_owned(), made.into());
    if !variables.is_empty() {
        input.insert("variables".to_owned(), Value::Object(variables));
    }
    Ok(Some(Value::Object(input)))
}

fn is_variable(name: &str) -> bool {
    name.starts_with('$') || name.starts_with("aws.pipes.")
}

/// A path into what is seen here.
///
/// # Errors
/// `ValidationException` for one that leads beside the payload.
pub fn path(path: &str, payload: Payload) -> Result<String, Refusal> {
    let Some(payload) = payload else { return Ok(path.to_owned()) };
    let inside = path.strip_prefix("$.").and_then(|path| path.strip_prefix(payload));
    match inside.filter(|rest| rest.is_empty() || rest.starts_with(['.', '['])) {
        Some(rest) => Ok(format!("${rest}")),
        None => {
            Err(Refusal::validation(format!("{path} is not served: of a record of a stream only {payload} is seen.")))
        }
    }
}

#[cfg(test)]
mod tests;
