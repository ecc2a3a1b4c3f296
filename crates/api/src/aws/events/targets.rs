//! Targets of rules.
//!
//! A target is kept twice: as the Rule's own target, and in the annotation as it was sent, because a target here has no
//! id and no role. Where the two lists differ in length somebody changed the Rule, and its own targets are shown, with
//! ids made of their places.
//!
//! Dead letters go to the Rule's dead-letter stream, whatever queue a target names.

use headwater_base::Problem;
use headwater_kernel::Resource;
use headwater_pattern::{Input, InputSpec};
use serde_json::{Map, Value, json};

use super::super::arn::{Arn, Caller};
use super::super::call::{Answer, Call, Operation};
use super::super::native::held;
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, name, text};
use super::{BUS, LIMIT, NEXT_TOKEN, buses, listed, put_some, rules};

const RULE_NAME: Member = must("Rule", name(64));

/// Targets of one rule, here and there.
const TARGETS_MAX: usize = 20;

/// How often and how long a target is tried.
pub const RETRY_POLICY: Member = may(
    "RetryPolicy",
    Shape::Structure(&[
        may("MaximumRetryAttempts", Shape::Integer(0, 185)),
        may("MaximumEventAgeInSeconds", Shape::Integer(60, 86_400)),
    ]),
);

/// Where a target's dead letters go.
pub const DEAD_LETTERS: Member = may("DeadLetterConfig", Shape::Structure(&[may("Arn", text(1, 1_600))]));

const TARGET: Shape = Shape::Structure(&[
    must("Id", name(64)),
    must("Arn", text(1, 1_600)),
    may("RoleArn", text(1, 1_600)),
    may("Input", text(0, 8_192)),
    may("InputPath", text(0, 256)),
    may(
        "InputTransformer",
        Shape::Structure(&[may("InputPathsMap", Shape::Map(&text(0, 256))), must("InputTemplate", text(1, 8_192))]),
    ),
    may("KinesisParameters", Shape::Structure(&[must("PartitionKeyPath", text(0, 256))])),
    RETRY_POLICY,
    DEAD_LETTERS,
]);

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "PutTargets",
        input: &[RULE_NAME, BUS, must("Targets", Shape::List(&TARGET, 1, 100))],
        run: |call| Box::pin(put(call)),
    },
    Operation {
        name: "RemoveTargets",
        input: &[RULE_NAME, BUS, must("Ids", Shape::List(&name(64), 1, 100)), may("Force", Shape::Flag)],
        run: |call| Box::pin(remove(call)),
    },
    Operation {
        name: "ListTargetsByRule",
        input: &[RULE_NAME, BUS, LIMIT, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
];

/// Members of a target that no target here can follow.
const NOT_SERVED: [&str; 8] = [
    "RunCommandParameters",
    "EcsParameters",
    "BatchParameters",
    "SqsParameters",
    "HttpParameters",
    "RedshiftDataParameters",
    "SageMakerPipelineParameters",
    "AppSyncParameters",
];

async fn put(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let (_, rule) = rules::named(call, "Rule")?;
    let mut pairs = pairs(&call.caller, &rule);
    for target in call.list("Targets") {
        let native = native(target)?;
        match pairs.iter_mut().find(|(there, _)| there["Id"] == target["Id"]) {
            Some(pair) => *pair = (target.clone(), native),
            None => pairs.push((target.clone(), native)),
        }
    }
    if pairs.len() > TARGETS_MAX {
        let message = format!("The requested resource exceeds the maximum number allowed: {TARGETS_MAX} targets");
        return Err(Refusal::new("LimitExceededException", message));
    }
    write(call, &rule, pairs).await?;
    Ok(json!({ "FailedEntryCount": 0, "FailedEntries": [] }))
}

async fn remove(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let (_, rule) = rules::named(call, "Rule")?;
    let mut pairs = pairs(&call.caller, &rule);
    let mut failed = Vec::new();
    for id in call.texts("Ids") {
        let before = pairs.len();
        pairs.retain(|(there, _)| there["Id"].as_str() != Some(&id));
        if pairs.len() == before {
            let name = call.given("Rule");
            let message = format!("Rule {name} does not have any targets with the Id {id}.");
            failed.push(json!({ "TargetId": id, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": message }));
        }
    }
    write(call, &rule, pairs).await?;
    Ok(json!({ "FailedEntryCount": failed.len(), "FailedEntries": failed }))
}

async fn write(call: &Call, rule: &Resource, pairs: Vec<(Value, Value)>) -> Result<(), Refusal> {
    let (shown, native): (Vec<Value>, Vec<Value>) = pairs.into_iter().unzip();
    let mut held = held(rule);
    held.insert("Targets".to_owned(), shown.into());
    let mut spec = rule.spec.clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("targets".to_owned(), native.into());
    }
    rules::write(call, rule.metadata.name.as_str(), &spec, &held, Some(rule)).await
}

fn list(call: &Call) -> Answer {
    let (_, rule) = rules::named(call, "Rule")?;
    let targets = shown(&call.caller, &rule).into_iter().enumerate();
    listed(call, "Targets", targets.map(|(number, target)| (format!("{number:03}"), target)).collect())
}

/// A rule's targets as clients see them.
pub fn shown(caller: &Caller, rule: &Resource) -> Vec<Value> {
    pairs(caller, rule).into_iter().map(|(shown, _)| shown).collect()
}

/// A rule's targets, each as clients see it and as it is.
fn pairs(caller: &Caller, rule: &Resource) -> Vec<(Value, Value)> {
    let native = rule.spec["targets"].as_array().cloned().unwrap_or_default();
    let sent = held(rule).get("Targets").and_then(Value::as_array).cloned().unwrap_or_default();
    if sent.len() == native.len() {
        return sent.into_iter().zip(native).collect();
    }
    let made = |(number, target): (usize, Value)| {
        let arn = arn_of(caller, &target);
        (json!({ "Id": format!("target-{number}"), "Arn": arn }), target)
    };
    native.into_iter().enumerate().map(made).collect()
}

/// What a target of ours would be called; `headwater` where the services have nothing like it.
pub fn arn_of(caller: &Caller, target: &Value) -> String {
    let text = |member: &str| target[member].as_str().unwrap_or_default();
    match (text("type"), buses::of_stream(text("stream"))) {
        ("workflow", _) if !text("alias").is_empty() => caller.alias(text("workflow"), text("alias")),
        ("workflow", _) => caller.machine(text("workflow")),
        ("destination", _) => caller.arn("events", format_args!("api-destination/{}", text("destination"))),
        ("task", _) => format!("arn:aws:scheduler:::aws-sdk:{}", text("task")),
        ("log", _) => caller.arn("logs", format_args!("log-group:{}", text("note"))),
        ("stream", Some(bus)) => caller.bus(bus),
        ("stream", None) => caller.arn("kinesis", format_args!("stream/{}", text("stream"))),
        (kind, _) => caller.arn("headwater", format_args!("{kind}/{}", text(kind))),
    }
}

/// A target of ours for one that was sent.
fn native(target: &Value) -> Result<Value, Refusal> {
    let given = target["Arn"].as_str().unwrap_or_default();
    let arn = Arn::read(given).ok_or_else(|| {
        Refusal::validation(format!("Parameter {given} is not valid. Reason: Provided Arn is not in correct format."))
    })?;
    if let Some(member) = NOT_SERVED.iter().find(|member| !target[**member].is_null()) {
        return Err(Refusal::validation(format!("Parameter {member} is not served for any target.")));
    }
    let mut native = Map::new();
    let mut set = |member: &str, value: &str| native.insert(member.to_owned(), value.into());
    let (kind, rest) = arn.path.split_once(['/', ':']).unwrap_or((arn.path, ""));
    // Behind the name may stand a version or an id.
    let name = rest.split(['/', ':']).next().unwrap_or_default();
    let outside = match (arn.service, kind) {
        _ if rest.is_empty() => return Err(not_served(given, arn.service)),
        ("states", "stateMachine") => {
            native = workflow(rest);
            true
        }
        ("events", "api-destination") => {
            set("type", "destination");
            set("destination", name);
            true
        }
        ("events", "event-bus") => {
            set("type", "stream");
            set("stream", &buses::stream(rest));
            false
        }
        ("kinesis", "stream") => {
            set("type", "stream");
            set("stream", rest);
            false
        }
        ("logs", "log-group") => {
            set("type", "log");
            set("note", rest);
            return Ok(Value::Object(native));
        }
        (service, _) => return Err(not_served(given, service)),
    };
    put_some(&mut native, "input", input(target)?);
    if outside {
        put_some(&mut native, "delivery", delivery(&target["RetryPolicy"]));
    } else {
        put_some(&mut native, "key", target["KinesisParameters"]["PartitionKeyPath"].as_str());
    }
    Ok(Value::Object(native))
}

/// A workflow as a target, by what stands behind `stateMachine:`: its name, and an alias or a version. A version is not
/// looked at; what the workflow is now is run.
pub fn workflow(rest: &str) -> Map<String, Value> {
    let (name, alias) = rest.split_once(':').unwrap_or((rest, ""));
    let mut native = Map::new();
    native.insert("type".to_owned(), "workflow".into());
    native.insert("workflow".to_owned(), name.into());
    if !alias.is_empty() && !alias.bytes().all(|b| b.is_ascii_digit()) {
        native.insert("alias".to_owned(), alias.into());
    }
    native
}

fn not_served(arn: &str, service: &str) -> Refusal {
    Refusal::validation(format!(
        "Parameter {arn} is not valid. Reason: a {service} target is not served; a rule's target is a state machine \
         (states), an event bus or API destination (events), a stream (kinesis) or a log group (logs)."
    ))
}

/// What the target gets of an event; None = all of it.
fn input(target: &Value) -> Result<Option<Value>, Refusal> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let transformer = &target["InputTransformer"];
    let paths = transformer["InputPathsMap"].as_object().into_iter().flatten();
    let spec = InputSpec {
        input: text(&target["Input"]),
        input_path: text(&target["InputPath"]),
        input_template: text(&transformer["InputTemplate"]),
        input_paths_map: paths.filter_map(|(name, path)| Some((name.clone(), text(path)?))).collect(),
    };
    let id = target["Id"].as_str().unwrap_or_default();
    Input::parse(&spec, id).map_err(|problem: Problem| Refusal::validation(problem.title))?;
    let mut input = Map::new();
    put_some(&mut input, "constant", spec.input.and_then(|text| serde_json::from_str::<Value>(&text).ok()));
    put_some(&mut input, "path", spec.input_path);
    if let Some(template) = spec.input_template {
        input.insert("template".to_owned(), template.into());
        input.insert("variables".to_owned(), json!(spec.input_paths_map));
    }
    Ok((!input.is_empty()).then_some(Value::Object(input)))
}

pub fn delivery(policy: &Value) -> Option<Value> {
    let mut delivery = Map::new();
    // A retry is a try behind the first.
    put_some(&mut delivery, "attempts", policy["MaximumRetryAttempts"].as_u64().map(|retries| retries + 1));
    put_some(&mut delivery, "age", policy["MaximumEventAgeInSeconds"].as_u64().map(|seconds| format!("{seconds}s")));
    (!delivery.is_empty()).then_some(Value::Object(delivery))
}
