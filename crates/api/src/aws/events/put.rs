//! `PutEvents` and `TestEventPattern`.
//!
//! An entry that cannot be taken is answered as one and keeps no other from being taken. Unlike the service an entry
//! for a bus that does not exist is refused: nothing that was answered for is dropped.

use std::collections::BTreeMap;

use headwater_base::{Name, Problem};
use headwater_kernel::port::bus::BusEvent;
use headwater_pattern::{Pattern, RuleSet, Scratch, check_event};
use serde_json::{Map, Value, json};

use super::super::call::{Answer, Call, Operation, time};
use super::super::refusal::Refusal;
use super::super::shape::{Shape, may, must, text};
use super::{bus_of, buses, pattern_fault};

/// Bytes of all entries of a request.
const ENTRIES_BYTES_MAX: usize = 1024 * 1024;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "PutEvents",
        input: &[must(
            "Entries",
            Shape::List(
                &Shape::Structure(&[
                    may("Time", Shape::Time),
                    may("Source", text(0, 1_048_576)),
                    may("Resources", Shape::List(&text(0, 2_048), 0, 1_000)),
                    may("DetailType", text(0, 1_048_576)),
                    may("Detail", Shape::Text(DETAIL)),
                    may("EventBusName", text(1, 1_600)),
                    may("TraceHeader", text(1, 500)),
                ]),
                1,
                10,
            ),
        )],
        run: |call| Box::pin(put(call)),
    },
    Operation {
        name: "TestEventPattern",
        input: &[must("EventPattern", text(0, 4_096)), must("Event", Shape::Text(DETAIL))],
        run: |call| Box::pin(async move { test(call) }),
    },
];

const DETAIL: super::super::shape::Text =
    super::super::shape::Text { min: 0, max: ENTRIES_BYTES_MAX * 2, form: None, secret: true };

/// An entry's refusal: code and message.
type Refused = (&'static str, String);

async fn put(call: &Call) -> Answer {
    let entries = call.list("Entries");
    let bytes: usize = entries.iter().map(size).sum();
    if bytes > ENTRIES_BYTES_MAX {
        return Err(Refusal::validation("Total size of the entries in the request is over the limit."));
    }
    let mut outcomes: Vec<Option<Result<String, Refused>>> = vec![None; entries.len()];
    let mut buses: BTreeMap<Name, Vec<(usize, BusEvent)>> = BTreeMap::new();
    for (number, (entry, outcome)) in entries.iter().zip(&mut outcomes).enumerate() {
        match read(call, entry) {
            Ok((bus, event)) => buses.entry(bus).or_default().push((number, event)),
            Err(refused) => *outcome = Some(Err(refused)),
        }
    }
    for (bus, events) in buses {
        let (numbers, events): (Vec<usize>, Vec<BusEvent>) = events.into_iter().unzip();
        let all = match call.aws.bus.put(&bus, events).await {
            Ok(all) => all,
            Err(problem) => numbers.iter().map(|_| Err(problem.clone())).collect(),
        };
        for (number, one) in numbers.into_iter().zip(all) {
            if let Some(outcome) = outcomes.get_mut(number) {
                *outcome = Some(one.map_err(refused));
            }
        }
    }
    let failed = outcomes.iter().filter(|outcome| !matches!(outcome, Some(Ok(_)))).count();
    let shown = outcomes.into_iter().map(|outcome| match outcome {
        Some(Ok(id)) => json!({ "EventId": id }),
        Some(Err((code, message))) => json!({ "ErrorCode": code, "ErrorMessage": message }),
        None => json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "the bus did not answer for this entry" }),
    });
    Ok(json!({ "FailedEntryCount": failed, "Entries": shown.collect::<Vec<Value>>() }))
}

fn refused(problem: Problem) -> Refused {
    let refusal = Refusal::from(problem);
    let code = match refusal.kind {
        "ServiceUnavailableException" => "ThrottlingException",
        "ValidationException" => "InvalidArgument",
        "RequestEntityTooLargeException" => "InvalidArgument",
        _ => "InternalFailure",
    };
    (code, refusal.message)
}

/// Bytes of an entry as the service counts them.
fn size(entry: &Value) -> usize {
    let length = |member: &str| entry[member].as_str().map_or(0, str::len);
    let resources = entry["Resources"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::len);
    let time = if entry["Time"].is_number() { 14 } else { 0 };
    time + length("Source") + length("DetailType") + length("Detail") + resources.sum::<usize>()
}

/// A text that an entry must have.
fn given<'a>(entry: &'a Value, member: &str) -> Result<&'a str, Refused> {
    let value = entry[member].as_str().filter(|text| !text.is_empty());
    let message = || format!("Parameter {member} is not valid. Reason: {member} is a required argument.");
    value.ok_or_else(|| ("InvalidArgument", message()))
}

fn read(call: &Call, entry: &Value) -> Result<(Name, BusEvent), Refused> {
    let source = given(entry, "Source")?;
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let kind = given(entry, "DetailType")?;
    let detail = given(entry, "Detail")?;
    if serde_json::from_str::<Map<String, Value>>(detail).is_err() {
        return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
    }
    let bus = bus_of(entry["EventBusName"].as_str().unwrap_or("default"));
    let name = Name::new(bus).ok().filter(|_| buses::find(&call.aws, bus).is_some());
    let name = name.ok_or_else(|| ("ResourceNotFoundException", format!("Event bus {bus} does not exist.")))?;
    let resources = entry["Resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let event = BusEvent {
        id: String::new(),
        source: source.to_owned(),
        kind: kind.to_owned(),
        time: time(&entry["Time"]),
        resources: resources.map(str::to_owned).collect(),
        detail: detail.to_owned().into(),
        cause: None,
    };
    Ok((name, event))
}

fn test(call: &Call) -> Answer {
    let event = call.given("Event").as_bytes();
    let matched = || -> Result<bool, Problem> {
        check_event(event)?;
        let pattern = Pattern::parse(call.given("EventPattern"))?;
        let rules = RuleSet::build([&pattern])?;
        Ok(!rules.matches(event, &mut Scratch::default())?.is_empty())
    };
    Ok(json!({ "Result": matched().map_err(pattern_fault)? }))
}
