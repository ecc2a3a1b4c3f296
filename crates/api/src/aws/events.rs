//! EventBridge: each file holds operations on one noun, as rows and functions.

mod archives;
pub mod buses;
mod connections;
mod destinations;
mod put;
mod replays;
mod rules;
mod tags;
pub mod targets;

use serde_json::{Map, Value};

use super::arn::Arn;
use super::call::{Answer, Call, Operation};
use super::page;
use super::refusal::Refusal;
use super::shape::{Member, Shape, may, must, text};

/// The operations of EventBridge.
pub const OPERATIONS: &[&[Operation]] = &[
    put::OPERATIONS,
    buses::OPERATIONS,
    rules::OPERATIONS,
    targets::OPERATIONS,
    archives::OPERATIONS,
    replays::OPERATIONS,
    connections::OPERATIONS,
    destinations::OPERATIONS,
    tags::OPERATIONS,
];

const BUS: Member = may("EventBusName", text(1, 1_600));
const DESCRIPTION: Member = may("Description", text(0, 512));
const KEY: Member = may("KmsKeyIdentifier", text(0, 2_048));
const LIMIT: Member = may("Limit", Shape::Integer(1, 100));
const NEXT_TOKEN: Member = may("NextToken", text(1, 2_048));
const TAGS: Member =
    may("Tags", Shape::List(&Shape::Structure(&[must("Key", text(1, 128)), must("Value", text(0, 256))]), 0, 200));

/// The kinds here.
const STREAM: &str = "Stream";
const RULE: &str = "Rule";
const ARCHIVE: &str = "Archive";
const DESTINATION: &str = "Destination";
const SECRET: &str = "Secret";

/// The bus that a member names by name or ARN; `default` without one.
fn bus<'a>(call: &'a Call, member: &str) -> &'a str {
    bus_of(call.text(member).unwrap_or("default"))
}

/// The bus that a text names by name or ARN.
fn bus_of(given: &str) -> &str {
    let arn = Arn::read(given).filter(|arn| arn.service == "events");
    arn.and_then(|arn| arn.path.strip_prefix("event-bus/")).unwrap_or(given)
}

/// The same, if there is such a bus.
fn there<'a>(call: &'a Call, member: &str) -> Result<&'a str, Refusal> {
    let bus = bus(call, member);
    if buses::find(&call.aws, bus).is_some() { Ok(bus) } else { Err(no_bus(bus)) }
}

/// Asked for a key of the client's, it is refused rather than passed over.
fn keyless(call: &Call) -> Result<(), Refusal> {
    if call.text("KmsKeyIdentifier").is_some_and(|key| !key.is_empty()) {
        return Err(Refusal::validation("KmsKeyIdentifier is not served: keys are not the client's."));
    }
    Ok(())
}

fn no_bus(bus: &str) -> Refusal {
    not_found(format!("Event bus {bus} does not exist."))
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new("ResourceNotFoundException", message)
}

fn exists(message: impl Into<String>) -> Refusal {
    Refusal::new("ResourceAlreadyExistsException", message)
}

/// A list's answer: the page its members ask for.
fn listed(call: &Call, member: &str, items: Vec<(String, Value)>) -> Answer {
    page::listed(call, member, "Limit", items)
}

/// A pattern's rejection in the service's words.
fn pattern_fault(problem: headwater_base::Problem) -> Refusal {
    match problem.code.as_str() {
        "HW-PATTERN-013" => Refusal::validation(problem.title),
        code if code.starts_with("HW-PATTERN-") => Refusal::new("InvalidEventPatternException", problem.title),
        _ => problem.into(),
    }
}

/// Checks a pattern; None is none.
fn pattern(call: &Call) -> Result<Option<&str>, Refusal> {
    let Some(text) = call.text("EventPattern").filter(|text| !text.is_empty()) else { return Ok(None) };
    headwater_pattern::Pattern::parse(text).map_err(pattern_fault)?;
    Ok(Some(text))
}

/// Puts a member into an answer if there is something to put.
pub fn put_some(answer: &mut Map<String, Value>, member: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        answer.insert(member.to_owned(), value.into());
    }
}
