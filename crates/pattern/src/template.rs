//! Input templates: text with `<variables>` that becomes JSON once their values are put in.
//!
//! What it is NOT: JSON before that; `{"id": <id>}` is a template. How a value is put in depends on where:
//! - outside quotes it stays JSON, and a missing one is `""`;
//! - inside quotes a string gives its content, a missing value nothing, anything else its JSON text;
//! - if the template itself is one or more strings, quotes inside that JSON text are left out:
//!   `"list <list>"` gives `"list [A,B]"`, while `{"list": "<list>"}` gives text that is no JSON.
//!
//! What is no JSON in the end is refused (HW-PATTERN-023); the service drops such events silently.
//!
//! Source: recorded behaviour (conformance corpus, `event-transformers`); "Amazon EventBridge input transformation".

use std::borrow::Cow;
use std::collections::BTreeMap;

use headwater_base::Problem;

use crate::input::Context;
use crate::json::{self, Scanner};
use crate::jsonpath::{JsonPath, members};
use crate::limits;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    /// Whether it is a text of strings rather than a JSON value.
    strings: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Variable { source: Source, quoted: bool },
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Path(JsonPath),
    RuleArn,
    RuleName,
    IngestionTime,
    Event,
    EventJson,
}

impl Template {
    /// Reads a template; `paths` names its variables.
    ///
    /// # Errors
    /// HW-PATTERN-020 a path, -021 a variable that nothing defines, -005 a limit.
    pub fn parse(text: &str, paths: &BTreeMap<String, String>, target: &str) -> Result<Self, Problem> {
        if text.len() > limits::TEMPLATE_BYTES_MAX || paths.len() > limits::TEMPLATE_PATHS_MAX {
            let title = format!(
                "input template has {} bytes and {} paths; the limits are {} and {}",
                text.len(),
                paths.len(),
                limits::TEMPLATE_BYTES_MAX,
                limits::TEMPLATE_PATHS_MAX
            );
            return Err(Problem::new("HW-PATTERN-005", title).help("compute what the target needs in a pipeline"));
        }
        let mut known = BTreeMap::new();
        for (name, path) in paths {
            known.insert(name.as_str(), JsonPath::parse(path)?);
        }
        let mut parts = Vec::new();
        let (mut plain, mut quoted, mut rest) = (String::new(), false, text);
        while let Some(character) = rest.chars().next() {
            if character == '<'
                && let Some((name, behind)) = variable(rest)
            {
                let source = source(name, &known).ok_or_else(|| undefined(name, paths, target))?;
                parts.push(Part::Plain(std::mem::take(&mut plain)));
                parts.push(Part::Variable { source, quoted });
                rest = behind;
                continue;
            }
            quoted ^= character == '"';
            let escape = usize::from(character == '\\' && quoted);
            let length = rest.chars().take(1 + escape).map(char::len_utf8).sum();
            let (taken, behind) = rest.split_at(length);
            plain.push_str(taken);
            rest = behind;
        }
        parts.push(Part::Plain(plain));
        Ok(Self { parts, strings: text.trim_start().starts_with('"') })
    }

    /// Puts the values of an event in.
    ///
    /// # Errors
    /// HW-PATTERN-023 when the text is no JSON afterwards, -005 when it is too long.
    pub fn render(&self, event: &[u8], context: &Context<'_>) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Plain(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable { source, quoted } => {
                    let value = value(source, event, context);
                    match (value.as_deref(), quoted) {
                        (None, true) => {}
                        (None, false) => out.extend_from_slice(b"\"\""),
                        (Some(value), false) => out.extend_from_slice(value),
                        (Some([b'"', content @ .., b'"']), true) => out.extend_from_slice(content),
                        (Some(value), true) if self.strings => without_quotes(value, &mut out),
                        (Some(value), true) => out.extend_from_slice(value),
                    }
                }
            }
            if out.len() > limits::RENDERED_BYTES_MAX {
                let title = format!("the rendered template exceeds {} bytes", limits::RENDERED_BYTES_MAX);
                return Err(Problem::new("HW-PATTERN-005", title).help("send a reference instead of the payload"));
            }
        }
        let valid = if self.strings { is_strings(&out) } else { json::is_value(&out) };
        if valid {
            return Ok(out);
        }
        Err(Problem::new("HW-PATTERN-023", "the rendered template is no JSON").help(
            "an object or array inside quotes is not JSON: put its variable outside quotes, or make the template a string",
        ))
    }
}

/// The name behind a `<`, and what follows its `>`.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix('<')?.split_once('>')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (!name.is_empty() && name.bytes().all(is_name)).then_some((name, behind))
}

fn source(name: &str, known: &BTreeMap<&str, JsonPath>) -> Option<Source> {
    Some(match name {
        "aws.events.rule-arn" => Source::RuleArn,
        "aws.events.rule-name" => Source::RuleName,
        "aws.events.event.ingestion-time" => Source::IngestionTime,
        "aws.events.event" => Source::Event,
        "aws.events.event.json" => Source::EventJson,
        name => Source::Path(known.get(name)?.clone()),
    })
}

fn undefined(name: &str, paths: &BTreeMap<String, String>, target: &str) -> Problem {
    let title = format!("InputTemplate for target {target} contains invalid placeholder {name}.");
    let defined: Vec<&str> = paths.keys().map(String::as_str).collect();
    let help = match headwater_base::closest(name, defined.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? paths are defined for: {}", defined.join(", ")),
        None => format!("add it to the input path map; paths are defined for: {}", defined.join(", ")),
    };
    Problem::new("HW-PATTERN-021", title).help(help)
}

/// A variable's value as JSON text.
fn value<'e>(source: &Source, event: &'e [u8], context: &Context<'_>) -> Option<Cow<'e, [u8]>> {
    Some(match source {
        Source::Path(path) => return path.find(event),
        Source::RuleArn => Cow::Owned(quote(context.rule_arn)),
        Source::RuleName => Cow::Owned(quote(context.rule_name)),
        Source::IngestionTime => Cow::Owned(quote(context.ingestion_time)),
        Source::EventJson => Cow::Borrowed(event.trim_ascii()),
        Source::Event => Cow::Owned(without_detail(event)),
    })
}

/// The event without its `detail`; `detail-type` is spelled `detailType` there.
fn without_detail(event: &[u8]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (key, value) in members(event).filter(|(key, _)| **key != *b"detail") {
        if out.len() > 1 {
            out.push(b',');
        }
        let key = if *key == *b"detail-type" { Cow::Borrowed(b"detailType".as_slice()) } else { key };
        out.extend_from_slice(&quote(&String::from_utf8_lossy(&key)));
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

/// A text as a JSON string.
fn quote(text: &str) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
    out
}

/// JSON text without blanks and without the quotes around its strings.
fn without_quotes(value: &[u8], out: &mut Vec<u8>) {
    let (mut inside, mut bytes) = (false, value.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => inside = !inside,
            b'\\' => {
                out.push(*byte);
                out.extend(bytes.next());
            }
            byte if inside || !byte.is_ascii_whitespace() => out.push(*byte),
            _ => {}
        }
    }
}

/// Whether a text is one or more JSON strings with only blanks between them.
fn is_strings(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    while scanner.peek().is_some() {
        if scanner.peek() != Some(b'"') || json::strict(&mut scanner, 0).is_err() {
            return false;
        }
    }
    std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests;
