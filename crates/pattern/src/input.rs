//! What a target gets of an event: all of it, a constant, what a path leads to, or a filled template.
//!
//! What it is NOT: delivery. The text is made here; sending it, and what becomes of a text that cannot be made, is the
//! bus's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use headwater_base::Problem;

use crate::json;
use crate::jsonpath::JsonPath;
use crate::template::Template;

/// A target's input as it is configured; at most one of the three is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputSpec {
    /// A constant JSON text.
    pub input: Option<String>,
    /// A path into the event.
    pub input_path: Option<String>,
    /// A template.
    pub input_template: Option<String>,
    /// Paths by the names the template uses.
    pub input_paths_map: BTreeMap<String, String>,
}

/// A target's input, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Constant(Vec<u8>),
    Path(JsonPath),
    Template(Template),
}

/// What a template can name besides the event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// `<aws.events.rule-arn>`
    pub rule_arn: &'a str,
    /// `<aws.events.rule-name>`
    pub rule_name: &'a str,
    /// `<aws.events.event.ingestion-time>`, RFC 3339.
    pub ingestion_time: &'a str,
}

impl Input {
    /// Checks a target's input.
    ///
    /// # Errors
    /// HW-PATTERN-020 a path, -021 an undefined variable, -022 more than one form, -024 a constant that is no JSON, -005
    /// a limit.
    pub fn parse(spec: &InputSpec, target: &str) -> Result<Self, Problem> {
        let form = match (&spec.input, &spec.input_path, &spec.input_template) {
            (None, None, None) => Form::Whole,
            (Some(input), None, None) if json::is_value(input.as_bytes()) => Form::Constant(input.clone().into_bytes()),
            (Some(input), None, None) => {
                let title = format!("Input of target {target} is no JSON: `{}`", shorten(input));
                return Err(Problem::new("HW-PATTERN-024", title).help("quote a plain text: \"...\""));
            }
            (None, Some(path), None) => Form::Path(JsonPath::parse(path)?),
            (None, None, Some(template)) => Form::Template(Template::parse(template, &spec.input_paths_map, target)?),
            _ => {
                let title =
                    format!("Only one of Input, InputPath, or InputTransformer must be provided for target {target}.");
                return Err(Problem::new("HW-PATTERN-022", title).help("keep the one you mean"));
            }
        };
        Ok(Self(form))
    }

    /// What the target gets, as JSON text.
    ///
    /// # Errors
    /// HW-PATTERN-023 when a template's text is no JSON, -025 when a path leads nowhere, -005 when the text is too long.
    pub fn render<'e>(&'e self, event: &'e [u8], context: &Context<'_>) -> Result<Cow<'e, [u8]>, Problem> {
        match &self.0 {
            Form::Whole => Ok(Cow::Borrowed(event)),
            Form::Constant(text) => Ok(Cow::Borrowed(text)),
            Form::Path(path) => path.find(event).ok_or_else(|| {
                Problem::new("HW-PATTERN-025", "the input path leads to nothing in the event")
                    .help("match only events that have the field: {\"exists\": true}")
            }),
            Form::Template(template) => template.render(event, context).map(Cow::Owned),
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests;
