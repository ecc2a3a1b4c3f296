//! What an event must have to be one: the fields of the envelope that the service fills in or demands.
//!
//! What it is NOT: asked on the way of every event; ingest writes envelopes itself. It is for events that a person
//! hands in, to test a pattern with.

use headwater_base::Problem;

use crate::json::{self, Scanner};
use crate::jsonpath::member;

const REQUIRED: [&str; 6] = ["id", "detail-type", "source", "account", "time", "region"];

/// Checks that a text is an event: one JSON object with `id`, `detail-type`, `source`, `account`, `time` and `region`.
///
/// # Errors
/// HW-PATTERN-013.
pub fn check_event(event: &[u8]) -> Result<(), Problem> {
    let wrong = |cause: String| {
        Problem::new("HW-PATTERN-013", "Parameter Event is not valid.")
            .because(cause)
            .help(format!("an event is a JSON object with the fields {}", REQUIRED.join(", ")))
    };
    let mut scanner = Scanner::new(event);
    if let Err(broken) = json::strict(&mut scanner, 0).and_then(|()| scanner.end()) {
        return Err(wrong(format!("no JSON: expected {} at byte {}", broken.expected, broken.at)));
    }
    if std::str::from_utf8(event).is_err() {
        return Err(wrong("the text is not UTF-8".to_owned()));
    }
    if Scanner::new(event).peek() != Some(b'{') {
        return Err(wrong("the text is JSON, but no object".to_owned()));
    }
    match REQUIRED.iter().find(|field| member(event, field.as_bytes()).is_none()) {
        Some(missing) => Err(wrong(format!("the field `{missing}` is missing"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
