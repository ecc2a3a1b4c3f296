//! What becomes of a pipe that was sent: its source, filters, enrichment and target in the words of a Pipe.
//!
//! A pipe is kept twice, as a rule's targets are: as the Pipe's spec, and in the annotation as it was sent, which is
//! shown as long as it comes to the same spec.

use headwater_kernel::Resource;
use headwater_pattern::Pattern;
use serde_json::{Map, Value, json};

use super::super::arn::{Arn, Caller};
use super::super::events::{buses, put_some, targets};
use super::super::native::held;
use super::super::refusal::Refusal;
use super::template::{self, Payload};

/// The members of a spec that come from what was sent.
pub const MEMBERS: [&str; 5] = ["source", "filter", "enrichment", "target", "batch"];

/// Shown as the role of a pipe that was made without one.
const NO_ROLE: &str = "arn:aws:iam::000000000000:role/none";

/// Tries of a delivery, at most.
const ATTEMPTS_MAX: i64 = 1_000;

/// Events that go together, at most, where the client says more.
const BATCH_MAX: u64 = 100;

/// A source: the Pipe's, how its records are seen, and what events of it are called.
struct Source {
    native: Value,
    payload: Payload,
    name: &'static str,
    /// How it was asked to be read.
    parameters: Value,
}

impl Source {
    /// How many of its records go together.
    fn batch_size(&self) -> u64 {
        self.parameters["BatchSize"].as_u64().unwrap_or(1).clamp(1, BATCH_MAX)
    }

    /// How its records go to a target together.
    fn batch(&self) -> Value {
        let mut batch = Map::new();
        batch.insert("size".to_owned(), self.batch_size().into());
        let window = self.parameters["MaximumBatchingWindowInSeconds"].as_u64().filter(|seconds| *seconds > 0);
        put_some(&mut batch, "window", window.map(|seconds| format!("{seconds}s")));
        Value::Object(batch)
    }
}

/// A spec's members for what was sent.
///
/// # Errors
/// `ValidationException` for what is not served.
pub fn native(sent: &Value, name: &str) -> Result<Map<String, Value>, Refusal> {
    let source = source(sent)?;
    let mut spec = Map::new();
    let filters = filters(&sent["SourceParameters"]["FilterCriteria"], source.payload)?;
    let enrichment = enrichment(sent, &source)?;
    // An answer takes the event's place: nothing of the record is left.
    let payload = source.payload.filter(|_| enrichment.is_none());
    let target = target(sent, name, &source, payload)?;
    // A state machine gets a list there, of however many events.
    let batch = (target["type"] == "workflow").then(|| source.batch());
    spec.insert("source".to_owned(), source.native);
    put_some(&mut spec, "filter", (!filters.is_empty()).then_some(filters));
    put_some(&mut spec, "enrichment", enrichment);
    spec.insert("target".to_owned(), target);
    put_some(&mut spec, "batch", batch);
    Ok(spec)
}

/// Whether a pipe is what was sent.
pub fn is_sent(pipe: &Resource, sent: &Value) -> bool {
    let made = native(sent, pipe.metadata.name.as_str());
    made.is_ok_and(|made| MEMBERS.iter().all(|member| made.get(*member) == pipe.spec.get(*member)))
}

/// A pipe as clients see it.
pub fn shown(caller: &Caller, pipe: &Resource) -> Value {
    if let Some(sent) = held(pipe).get("Pipe").filter(|sent| is_sent(pipe, sent)) {
        return sent.clone();
    }
    let (source, enrichment) = (&pipe.spec["source"], &pipe.spec["enrichment"]);
    let arn = match (source["table"].as_str(), source["stream"].as_str()) {
        (Some(table), _) => caller.arn("dynamodb", format_args!("table/{table}/stream/changes")),
        (None, stream) => caller.arn("kinesis", format_args!("stream/{}", stream.unwrap_or_default())),
    };
    let target = targets::arn_of(caller, &pipe.spec["target"]);
    let mut shown = json!({ "Source": arn, "Target": target, "RoleArn": NO_ROLE });
    if !enrichment.is_null() {
        shown["Enrichment"] = targets::arn_of(caller, enrichment).into();
    }
    shown
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Kind and name at an ARN's path.
fn split<'a>(arn: &Arn<'a>) -> (&'a str, &'a str) {
    arn.path.split_once(['/', ':']).unwrap_or((arn.path, ""))
}

fn read(given: &str) -> Result<Arn<'_>, Refusal> {
    Arn::read(given).ok_or_else(|| Refusal::validation(format!("Provided Arn {given} is not valid.")))
}

/// Refuses members that are there and are none of `served`.
fn only(parameters: &Value, served: &[&str]) -> Result<(), Refusal> {
    let mut members = parameters.as_object().into_iter().flatten();
    match members.find(|(name, value)| !value.is_null() && !served.contains(&name.as_str())) {
        Some((name, _)) => Err(Refusal::validation(format!("{name} are not served."))),
        None => Ok(()),
    }
}

fn source(sent: &Value) -> Result<Source, Refusal> {
    let (given, parameters) = (text(&sent["Source"]), &sent["SourceParameters"]);
    let [dynamodb, kinesis, msk, kafka] = [
        "DynamoDBStreamParameters",
        "KinesisStreamParameters",
        "ManagedStreamingKafkaParameters",
        "SelfManagedKafkaParameters",
    ];
    only(parameters, &["FilterCriteria", dynamodb, kinesis, msk, kafka])?;
    if given.starts_with("smk://") {
        return kafka_source(&parameters[kafka], "SelfManagedKafka");
    }
    let arn = read(given)?;
    match (arn.service, split(&arn)) {
        ("dynamodb", ("table", rest)) => {
            let Some((table, _)) = rest.split_once("/stream/") else { return Err(no_source(given)) };
            let parameters = parameters[dynamodb].clone();
            let start = start(&parameters)?;
            let native = json!({ "type": "table", "table": table, "shape": "dynamodb", "start": start });
            Ok(Source { native, payload: None, name: "aws:dynamodb", parameters })
        }
        ("kinesis", ("stream", stream)) => {
            let parameters = parameters[kinesis].clone();
            let start = start(&parameters)?;
            let native = json!({ "type": "stream", "stream": stream, "start": start });
            Ok(Source { native, payload: Some("data"), name: "aws:kinesis", parameters })
        }
        ("kafka", ("cluster", _)) => kafka_source(&parameters[msk], "aws:kafka"),
        _ => Err(no_source(given)),
    }
}

fn kafka_source(parameters: &Value, name: &'static str) -> Result<Source, Refusal> {
    let Some(stream) = parameters["TopicName"].as_str() else {
        return Err(Refusal::validation("TopicName must be given for a source that is a topic of Kafka."));
    };
    let start = if parameters["StartingPosition"].is_null() { "latest" } else { start(parameters)? };
    let native = json!({ "type": "stream", "stream": stream, "start": start });
    Ok(Source { native, payload: Some("value"), name, parameters: parameters.clone() })
}

fn start(parameters: &Value) -> Result<&'static str, Refusal> {
    match parameters["StartingPosition"].as_str() {
        Some("TRIM_HORIZON") => Ok("earliest"),
        Some("LATEST") => Ok("latest"),
        Some(other) => Err(Refusal::validation(format!("StartingPosition {other} is not served."))),
        None => Err(Refusal::validation("StartingPosition must be given for a source that is a stream.")),
    }
}

fn no_source(given: &str) -> Refusal {
    Refusal::validation(format!(
        "Source {given} is not served: a pipe's source is the stream of a table (dynamodb), a stream (kinesis) or a \
         topic (kafka, smk://)."
    ))
}

fn filters(criteria: &Value, payload: Payload) -> Result<Vec<Value>, Refusal> {
    let filters = criteria["Filters"].as_array().into_iter().flatten();
    let patterns = filters.map(|filter| text(&filter["Pattern"])).filter(|pattern| !pattern.is_empty());
    patterns.map(|pattern| filter(pattern, payload)).collect()
}

fn filter(pattern: &str, payload: Payload) -> Result<Value, Refusal> {
    Pattern::parse(pattern).map_err(|problem| Refusal::validation(problem.title))?;
    let mut parsed: Map<String, Value> = serde_json::from_str(pattern)
        .map_err(|error| Refusal::validation(format!("Filter pattern is not valid: {error}")))?;
    let Some(payload) = payload else { return Ok(Value::Object(parsed)) };
    match (parsed.shift_remove(payload), parsed.is_empty()) {
        (Some(inside @ Value::Object(_)), true) => Ok(inside),
        _ => Err(Refusal::validation(format!(
            "Filter pattern {pattern} is not served: of a record of a stream only the fields of {payload} are seen."
        ))),
    }
}

fn enrichment(sent: &Value, source: &Source) -> Result<Option<Value>, Refusal> {
    let (given, parameters) = (text(&sent["Enrichment"]), &sent["EnrichmentParameters"]);
    if given.is_empty() {
        return Ok(None);
    }
    let no_http = parameters["HttpParameters"].as_object().is_none_or(Map::is_empty);
    let served: &[&str] = if no_http { &["InputTemplate", "HttpParameters"] } else { &["InputTemplate"] };
    only(parameters, served)?;
    let arn = read(given)?;
    let mut native = match (arn.service, split(&arn)) {
        ("states", ("stateMachine", rest)) if !rest.is_empty() && !rest.contains(':') => targets::workflow(rest),
        ("events", ("api-destination", rest)) if !rest.is_empty() => destination(rest),
        _ => {
            return Err(Refusal::validation(format!(
                "Enrichment {given} is not served: events are enriched by an Express state machine (states), without \
                 alias or version, or by an API destination (events)."
            )));
        }
    };
    put_some(&mut native, "input", template::input(parameters["InputTemplate"].as_str(), source.payload)?);
    // An API destination is asked about each event by itself, there as here.
    let batch = Some(source.batch_size()).filter(|size| arn.service == "states" && *size > 1);
    put_some(&mut native, "batch", batch);
    Ok(Some(Value::Object(native)))
}

fn destination(rest: &str) -> Map<String, Value> {
    // Behind the name stands an id.
    let name = rest.split('/').next().unwrap_or_default();
    let mut native = Map::new();
    native.insert("type".to_owned(), "destination".into());
    native.insert("destination".to_owned(), name.into());
    native
}

fn stream(name: &str) -> Map<String, Value> {
    let mut native = Map::new();
    native.insert("type".to_owned(), "stream".into());
    native.insert("stream".to_owned(), name.into());
    native
}

fn target(sent: &Value, name: &str, source: &Source, payload: Payload) -> Result<Value, Refusal> {
    let (given, parameters) = (text(&sent["Target"]), &sent["TargetParameters"]);
    let arn = read(given)?;
    let (kind, rest) = split(&arn);
    let (mut native, own) = match (arn.service, kind) {
        _ if rest.is_empty() => return Err(no_target(given)),
        ("states", "stateMachine") => (targets::workflow(rest), "StepFunctionStateMachineParameters"),
        ("events", "event-bus") => (stream(&buses::stream(rest)), "EventBridgeEventBusParameters"),
        ("events", "api-destination") => (destination(rest), "InputTemplate"),
        ("kinesis", "stream") => (stream(rest), "KinesisStreamParameters"),
        _ => return Err(no_target(given)),
    };
    only(parameters, &["InputTemplate", own])?;
    put_some(&mut native, "input", template::input(parameters["InputTemplate"].as_str(), payload)?);
    match (arn.service, kind) {
        ("events", "event-bus") => {
            native.insert("event".to_owned(), event(&parameters[own], name, source.name)?);
        }
        ("kinesis", _) => {
            let key = parameters[own]["PartitionKey"].as_str().filter(|key| key.starts_with("$."));
            put_some(&mut native, "key", key.map(|key| template::path(key, payload)).transpose()?);
        }
        _ => put_some(&mut native, "delivery", delivery(&source.parameters)),
    }
    Ok(Value::Object(native))
}

fn no_target(given: &str) -> Refusal {
    Refusal::validation(format!(
        "Target {given} is not served: a pipe's target is a state machine (states), an event bus or API destination \
         (events) or a stream (kinesis)."
    ))
}

/// Source and type of what is put on a bus.
fn event(parameters: &Value, pipe: &str, source: &str) -> Result<Value, Refusal> {
    only(parameters, &["DetailType", "Source"])?;
    let given = |member: &str, default: String| match parameters[member].as_str() {
        Some(path) if path.starts_with("$.") => {
            Err(Refusal::validation(format!("{member} {path} is not served: it is a text, no path.")))
        }
        Some(text) => Ok(text.to_owned()),
        None => Ok(default),
    };
    let kind = given("DetailType", format!("Event from {source}"))?;
    Ok(json!({ "source": given("Source", format!("Pipe {pipe}"))?, "type": kind }))
}

/// How a target outside is tried, where the source's parameters say so.
fn delivery(parameters: &Value) -> Option<Value> {
    let mut delivery = Map::new();
    // A retry is a try behind the first; -1 is no bound there.
    let attempts = parameters["MaximumRetryAttempts"].as_i64().map(|retries| match retries {
        0.. => (retries + 1).min(ATTEMPTS_MAX),
        _ => ATTEMPTS_MAX,
    });
    let age = parameters["MaximumRecordAgeInSeconds"].as_i64().filter(|seconds| *seconds > 0);
    put_some(&mut delivery, "attempts", attempts);
    put_some(&mut delivery, "age", age.map(|seconds| format!("{seconds}s")));
    (!delivery.is_empty()).then_some(Value::Object(delivery))
}
