//! `events:putEvents`: events on a bus, exactly once.
//!
//! All or nothing: an entry that is refused fails the task, before anything is put. A bus is the stream `bus.<name>`;
//! an event's content is the record's value and its attributes are headers, as everywhere.

use headwater_base::Micros;
use headwater_kernel::port::bus::DEFAULT_BUS;
use serde_json::{Map, Value, json};

use super::parameters::Parameters;
use super::publish::{self, Record};
use super::{Answer, Call, Internal, Plan, Services, start};
use crate::definition::resource::Service;
use crate::execution::Failure;

/// The most entries of one call, as in the recorded service.
const ENTRIES_MAX: usize = 10;

/// The largest content of one entry.
const DETAIL_BYTES_MAX: usize = 1 << 20;

/// An event to put.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub source: String,
    pub kind: String,
    pub time: Option<Micros>,
    pub resources: Vec<String>,
    pub detail: Value,
}

pub(super) fn plan(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Entries", "EndpointId"])?;
    let entries = parameters.optional_list("Entries")?.map_or(&[][..], Vec::as_slice);
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        let fact = format!("`Entries` has {} events; 1 to {ENTRIES_MAX} can be put at once", entries.len());
        return Err(Failure::new("EventBridge.ValidationException", fact));
    }
    let (mut appends, mut answers) = (Vec::new(), Vec::new());
    for (number, given) in entries.iter().enumerate() {
        let (stream, entry) = read(given)?;
        let id = start::drawn(&format!("{}/{number}", call.key));
        answers.push(json!({ "EventId": id }));
        appends.extend(publish::appends(services, &stream, &[record(&entry, &id, call)], call)?);
    }
    let answer = Answer::Known(json!({ "Entries": answers, "FailedEntryCount": 0 }));
    Ok(Plan::Internal(Internal { appends, ..Internal::new(answer, publish::refused) }))
}

/// The bus's stream and the event.
fn read(given: &Value) -> Result<(String, Entry), Failure> {
    const FIELDS: &[&str] = &["Source", "DetailType", "Detail", "EventBusName", "Resources", "Time", "TraceHeader"];
    let entry = Parameters::new(given, FIELDS)?;
    let stream = match entry.optional_text("EventBusName")? {
        None => DEFAULT_BUS.to_owned(),
        // A name, or an ARN that ends in `event-bus/NAME`.
        Some(name) => format!("bus.{}", name.rsplit('/').next().unwrap_or(name)),
    };
    let detail = match entry.get("Detail") {
        None => Value::Object(Map::new()),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(other) => other.clone(),
    };
    if !detail.is_object() {
        return Err(Failure::new("EventBridge.FailedEntry", "`Detail` is no JSON object"));
    }
    let size = crate::size::of(&detail).0;
    if size > DETAIL_BYTES_MAX {
        let fact = format!("`Detail` has {size} bytes; the limit is {DETAIL_BYTES_MAX}");
        return Err(Failure::new("EventBridge.FailedEntry", fact));
    }
    let time = match entry.get("Time") {
        None => None,
        Some(Value::Number(seconds)) => seconds.as_f64().map(|seconds| Micros((seconds * 1e6) as i64)),
        Some(Value::String(text)) => Micros::parse_rfc3339(text),
        Some(_) => None,
    };
    if entry.get("Time").is_some() && time.is_none() {
        return Err(Failure::new("EventBridge.FailedEntry", "`Time` is neither RFC 3339 nor seconds since 1970"));
    }
    let resources = entry.optional_list("Resources")?.into_iter().flatten();
    let entry = Entry {
        source: entry.text("Source")?.to_owned(),
        kind: entry.text("DetailType")?.to_owned(),
        time,
        resources: resources.filter_map(|resource| resource.as_str().map(str::to_owned)).collect(),
        detail,
    };
    Ok((stream, entry))
}

/// An event as a record in binary mode.
pub(super) fn record(entry: &Entry, id: &str, call: &Call<'_>) -> Record {
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", id.to_owned()),
        ("ce_source", entry.source.clone()),
        ("ce_type", entry.kind.clone()),
        ("ce_time", entry.time.unwrap_or(call.now).to_string()),
    ];
    if !entry.resources.is_empty() {
        headers.push(("ce_resources", json!(entry.resources).to_string()));
    }
    let own = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
    let headers = own.chain(publish::chain(call)).collect();
    Record { key: None, value: entry.detail.to_string().into_bytes(), headers }
}
