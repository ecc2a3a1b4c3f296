//! State machines, which are Workflows here.
//!
//! Creating one that is there already, with the same definition, type, logging and tracing, answers it; with any of
//! them different it is refused. Role and tags do not count.

use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::call::{Answer, Call, Operation, seconds};
use super::super::native::{self, held, held_text};
use super::super::refusal::Refusal;
use super::super::shape::{Shape, may, must, secret, text};
use super::super::tags;
use super::{
    MACHINE_ARN, MAX_RESULTS, Machine, NEXT_TOKEN, Qualifier, TAGS, WORKFLOW, definition_fault, listed, machine, name,
    page, versions,
};

const DEFINITION: Shape = secret(1, 1_048_576);
const ROLE: Shape = text(1, 256);
const LOGGING: Shape = Shape::Structure(&[
    may("level", Shape::Choice(&["ALL", "ERROR", "FATAL", "OFF"])),
    may("includeExecutionData", Shape::Flag),
    may("destinations", Shape::List(&Shape::Structure(&[]), 0, 10)),
]);
const TRACING: Shape = Shape::Structure(&[may("enabled", Shape::Flag)]);
/// Keys are not the client's.
pub const ENCRYPTION: Shape = Shape::Structure(&[must("type", Shape::Choice(&["AWS_OWNED_KEY"]))]);

/// What an annotation keeps as it was sent.
const KEPT: [&str; 4] = ["roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration"];

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateStateMachine",
        input: &[
            must("name", text(1, 80)),
            must("definition", DEFINITION),
            must("roleArn", ROLE),
            may("type", Shape::Choice(&["STANDARD", "EXPRESS"])),
            may("loggingConfiguration", LOGGING),
            may("tracingConfiguration", TRACING),
            may("encryptionConfiguration", ENCRYPTION),
            may("publish", Shape::Flag),
            may("versionDescription", secret(0, 256)),
            TAGS,
        ],
        run: |call| Box::pin(create(call)),
    },
    Operation {
        name: "UpdateStateMachine",
        input: &[
            MACHINE_ARN,
            may("definition", DEFINITION),
            may("roleArn", ROLE),
            may("loggingConfiguration", LOGGING),
            may("tracingConfiguration", TRACING),
            may("encryptionConfiguration", ENCRYPTION),
            may("publish", Shape::Flag),
            may("versionDescription", secret(0, 256)),
        ],
        run: |call| Box::pin(update(call)),
    },
    Operation { name: "DeleteStateMachine", input: &[MACHINE_ARN], run: |call| Box::pin(delete(call)) },
    Operation {
        name: "DescribeStateMachine",
        input: &[MACHINE_ARN, may("includedData", Shape::Choice(&["ALL_DATA", "METADATA_ONLY"]))],
        run: |call| Box::pin(describe(call)),
    },
    Operation {
        name: "ListStateMachines",
        input: &[MAX_RESULTS, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
];

async fn create(call: &Call) -> Answer {
    let name = name(call.given("name"))?;
    let arn = call.caller.machine(name);
    let kind = if call.text("type") == Some("EXPRESS") { "express" } else { "standard" };
    let _turn = call.aws.turn.lock().await;
    if call.aws.kernel.get(WORKFLOW, name).is_some_and(|old| old.metadata.deleting.is_some()) {
        return Err(Refusal::new("StateMachineDeleting", format!("State Machine Is Being Deleted: '{arn}'")));
    }
    let old = call.aws.find(WORKFLOW, name);
    if old.as_deref().is_some_and(|old| !same(call, old, kind)) {
        return Err(Refusal::new("StateMachineAlreadyExists", format!("State Machine Already Exists: '{arn}'")));
    }
    if old.is_none() {
        let mut held = kept(call, Map::new());
        tags::put(&mut held, call.list("tags"), &tags::STATES)?;
        let spec = json!({ "type": kind, "text": call.given("definition") });
        let draft = call.aws.draft(WORKFLOW, name, &spec, &held, None).map_err(definition_fault)?;
        call.aws.write(vec![draft]).await.map_err(definition_fault)?;
    }
    let there = call.aws.find(WORKFLOW, name).ok_or_else(|| super::no_machine(&arn))?;
    let mut answer = json!({ "stateMachineArn": arn, "creationDate": seconds(there.metadata.created) });
    publish_if_asked(call, &there, &mut answer).await?;
    Ok(answer)
}

/// Whether creating it anew would come to what is there.
fn same(call: &Call, old: &Resource, kind: &str) -> bool {
    let held = held(old);
    let kept = |member: &str, default: Value| {
        let given = call.value(member).cloned().unwrap_or_else(|| default.clone());
        held.get(member).cloned().unwrap_or(default) == given
    };
    native::text(old, "/type").unwrap_or("standard") == kind
        && definition(old) == call.given("definition")
        && kept("loggingConfiguration", logging_default())
        && kept("tracingConfiguration", tracing_default())
}

async fn update(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let Machine { resource, qualifier } = machine(call, "stateMachineArn")?;
    if qualifier != Qualifier::None {
        return Err(Refusal::validation("a version of a state machine cannot be changed"));
    }
    if call.value("definition").is_none() && KEPT.iter().all(|member| call.value(member).is_none()) {
        let message = "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration \
                       must be specified";
        return Err(Refusal::new("MissingRequiredParameter", message));
    }
    let mut spec = resource.spec.clone();
    if let (Some(definition), Some(spec)) = (call.text("definition"), spec.as_object_mut()) {
        spec.shift_remove("definition");
        spec.insert("text".to_owned(), definition.into());
    }
    let held = kept(call, held(&resource));
    let name = resource.metadata.name.as_str();
    let draft = call.aws.draft(WORKFLOW, name, &spec, &held, Some(&resource)).map_err(definition_fault)?;
    call.aws.write(vec![draft]).await.map_err(definition_fault)?;
    let there = call.aws.find(WORKFLOW, name).ok_or_else(|| super::no_machine(call.given("stateMachineArn")))?;
    let mut answer =
        json!({ "updateDate": seconds(call.aws.kernel.clock().now()), "revisionId": versions::revision(&there) });
    publish_if_asked(call, &there, &mut answer).await?;
    Ok(answer)
}

async fn publish_if_asked(call: &Call, resource: &Resource, answer: &mut Value) -> Result<(), Refusal> {
    if !call.flag("publish") {
        if call.value("versionDescription").is_some() {
            return Err(Refusal::validation("Version description can only be set when publish is true"));
        }
        return Ok(());
    }
    let version = versions::publish(call, resource, call.text("versionDescription")).await?;
    let arn = call.caller.version(resource.metadata.name.as_str(), version.number);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("stateMachineVersionArn".to_owned(), arn.into());
    }
    Ok(())
}

async fn delete(call: &Call) -> Answer {
    let arn = super::arn::states(call.given("stateMachineArn"), &["stateMachine"])?;
    let (name, qualifier) = super::split(&arn);
    if qualifier != Qualifier::None {
        return Err(Refusal::validation(
            "Only a state machine is deleted here; DeleteStateMachineVersion deletes a version, \
             DeleteStateMachineAlias an alias",
        ));
    }
    call.aws.remove(WORKFLOW, name).await?;
    Ok(json!({}))
}

async fn describe(call: &Call) -> Answer {
    let found = machine(call, "stateMachineArn")?;
    versions::described(call, &found)
}

/// A state machine as `DescribeStateMachine` shows it.
pub fn shown(call: &Call, resource: &Resource, definition: &str) -> Map<String, Value> {
    let held = held(resource);
    let kept = |member: &str, default: Value| held.get(member).cloned().unwrap_or(default);
    let mut shown = Map::new();
    let mut put = |member: &str, value: Value| shown.insert(member.to_owned(), value);
    put("name", resource.metadata.name.as_str().into());
    let whole = call.text("includedData") != Some("METADATA_ONLY");
    let definition = if whole { definition } else { "{}" };
    put("definition", definition.into());
    put("roleArn", held_text(resource, "roleArn").unwrap_or_else(|| NO_ROLE.to_owned()).into());
    put("loggingConfiguration", kept("loggingConfiguration", logging_default()));
    put("tracingConfiguration", kept("tracingConfiguration", tracing_default()));
    put("encryptionConfiguration", kept("encryptionConfiguration", json!({ "type": "AWS_OWNED_KEY" })));
    put("revisionId", versions::revision(resource).into());
    shown
}

/// Shown as the role of a state machine that was made without one.
const NO_ROLE: &str = "arn:aws:iam::000000000000:role/none";

/// `STANDARD` or `EXPRESS`.
pub fn shown_type(resource: &Resource) -> &'static str {
    if native::text(resource, "/type") == Some("express") { "EXPRESS" } else { "STANDARD" }
}

/// The definition's text, as it was sent where it was.
pub fn definition(resource: &Resource) -> String {
    match (native::text(resource, "/text"), native::field(resource, "/definition")) {
        (Some(text), _) => text.to_owned(),
        (None, Some(definition)) => definition.to_string(),
        (None, None) => String::new(),
    }
}

fn list(call: &Call) -> Answer {
    let all = call.aws.all(WORKFLOW);
    let items = all.iter().map(|resource| {
        let name = resource.metadata.name.as_str();
        let shown = json!({
            "stateMachineArn": call.caller.machine(name),
            "name": name,
            "type": shown_type(resource),
            "creationDate": seconds(resource.metadata.created),
        });
        (name.to_owned(), shown)
    });
    let (items, next) = page(call, items.collect())?;
    Ok(listed("stateMachines", items, next))
}

fn logging_default() -> Value {
    json!({ "level": "OFF", "includeExecutionData": false })
}

fn tracing_default() -> Value {
    json!({ "enabled": false })
}

/// `held` with what the request brings.
fn kept(call: &Call, mut held: Map<String, Value>) -> Map<String, Value> {
    for member in KEPT {
        if let Some(value) = call.value(member) {
            held.insert(member.to_owned(), value.clone());
        }
    }
    held
}
