//! Published versions of state machines.
//!
//! The engine keeps every generation of a Workflow, so that publishing one is remembering its number: the annotation
//! lists the numbers, newest last. Numbers are those of generations, so that they grow by more than one where several
//! changes were made in between.

use headwater_base::Micros;
use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::call::{Answer, Call, Operation, seconds};
use super::super::native::{self, held};
use super::super::refusal::Refusal;
use super::super::shape::{may, must, secret, text};
use super::{
    MACHINE_ARN, MAX_RESULTS, Machine, NEXT_TOKEN, Qualifier, WORKFLOW, aliases, listed, machine, machines, no_machine,
    page,
};

/// Versions of one state machine, as there.
const VERSIONS_MAX: usize = 1_000;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "PublishStateMachineVersion",
        input: &[MACHINE_ARN, may("description", secret(0, 256)), may("revisionId", text(0, 256))],
        run: |call| Box::pin(create(call)),
    },
    Operation {
        name: "ListStateMachineVersions",
        input: &[MACHINE_ARN, MAX_RESULTS, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation {
        name: "DeleteStateMachineVersion",
        input: &[must("stateMachineVersionArn", text(1, 2_000))],
        run: |call| Box::pin(delete(call)),
    },
];

/// A published version.
pub struct Version {
    /// The generation it is.
    pub number: u64,
    created: Micros,
    description: Option<String>,
}

/// What a state machine's revision is called: it changes with each change of its definition.
pub fn revision(resource: &Resource) -> String {
    resource.metadata.generation.to_string()
}

/// The published versions of a state machine, oldest first.
fn of(resource: &Resource) -> Vec<Version> {
    let held = held(resource);
    let rows = held.get("versions").and_then(Value::as_array).into_iter().flatten();
    let version = |row: &Value| {
        let created = row["created"].as_str().and_then(Micros::parse_rfc3339)?;
        let description = row["description"].as_str().map(str::to_owned);
        Some(Version { number: row["number"].as_u64()?, created, description })
    };
    rows.filter_map(version).collect()
}

async fn write(call: &Call, resource: &Resource, versions: &[Version]) -> Result<(), Refusal> {
    let rows = versions.iter().map(|version| {
        let created = version.created.to_string();
        json!({ "number": version.number, "created": created, "description": version.description })
    });
    let mut held: Map<String, Value> = held(resource);
    held.insert("versions".to_owned(), rows.collect());
    Ok(call.aws.hold(resource, &held).await?)
}

async fn create(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let Machine { resource, .. } = machine(call, "stateMachineArn")?;
    let current = revision(&resource);
    if let Some(wanted) = call.text("revisionId").filter(|wanted| *wanted != current) {
        let message = format!(
            "Failed to publish the State Machine version for revision {wanted}. The current State Machine revision is \
             {current}."
        );
        return Err(Refusal::new("ConflictException", message));
    }
    let version = publish(call, &resource, call.text("description")).await?;
    let arn = call.caller.version(resource.metadata.name.as_str(), version.number);
    Ok(json!({ "creationDate": seconds(version.created), "stateMachineVersionArn": arn }))
}

/// Publishes what a state machine is now, unless that is published already. The caller holds the turn.
///
/// # Errors
/// `ServiceQuotaExceededException`, and what writing the resource says.
pub async fn publish(call: &Call, resource: &Resource, description: Option<&str>) -> Result<Version, Refusal> {
    let number = resource.metadata.generation;
    let mut versions = of(resource);
    if let Some(there) = versions.iter().position(|version| version.number == number) {
        return Ok(versions.swap_remove(there));
    }
    // A change of an alias counts a generation, too, and makes no other definition.
    let name = resource.metadata.name.as_str();
    let newest = versions.last().and_then(|newest| call.aws.workflows.version_definition(name, newest.number).ok());
    if newest.is_some_and(|newest| *newest == *machines::definition(resource).as_bytes())
        && let Some(newest) = versions.pop()
    {
        return Ok(newest);
    }
    if versions.len() >= VERSIONS_MAX {
        let message = format!("a state machine has {VERSIONS_MAX} versions at most");
        return Err(Refusal::new("ServiceQuotaExceededException", message));
    }
    let version =
        || Version { number, created: call.aws.kernel.clock().now(), description: description.map(str::to_owned) };
    versions.push(version());
    write(call, resource, &versions).await?;
    Ok(version())
}

fn list(call: &Call) -> Answer {
    let Machine { resource, .. } = machine(call, "stateMachineArn")?;
    let name = resource.metadata.name.as_str();
    // Newest first, in the order of the key.
    let items = of(&resource).into_iter().rev().map(|version| {
        let arn = call.caller.version(name, version.number);
        let key = format!("{:020}", u64::MAX - version.number);
        (key, json!({ "stateMachineVersionArn": arn, "creationDate": seconds(version.created) }))
    });
    let (items, next) = page(call, items.collect())?;
    Ok(listed("stateMachineVersions", items, next))
}

async fn delete(call: &Call) -> Answer {
    let arn = super::super::arn::states(call.given("stateMachineVersionArn"), &["stateMachine"])?;
    let (name, Qualifier::Version(number)) = super::split(&arn) else {
        return Err(Refusal::validation("the ARN names no version of a state machine"));
    };
    let _turn = call.aws.turn.lock().await;
    if let Some(resource) = call.aws.find(WORKFLOW, name) {
        let routed = aliases::to_version(&resource, number);
        if !routed.is_empty() {
            let message = format!(
                "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this \
                 version: [{}]",
                routed.join(", ")
            );
            return Err(Refusal::new("ConflictException", message));
        }
        let mut versions = of(&resource);
        versions.retain(|version| version.number != number);
        write(call, &resource, &versions).await?;
    }
    Ok(json!({}))
}

/// A published version of a state machine.
///
/// # Errors
/// `StateMachineDoesNotExist`.
pub fn find(call: &Call, resource: &Resource, number: u64) -> Result<Version, Refusal> {
    let found = of(resource).into_iter().find(|version| version.number == number);
    found.ok_or_else(|| no_machine(&call.caller.version(resource.metadata.name.as_str(), number)))
}

/// What `DescribeStateMachine` answers for a state machine or one of its versions. An alias has no definition of its own:
/// it is shown as the version that most of its executions run.
///
/// # Errors
/// `StateMachineDoesNotExist`, and what the engine says.
pub fn described(call: &Call, machine: &Machine) -> Answer {
    let Machine { resource, qualifier } = machine;
    let name = machine.name();
    let published = match qualifier {
        Qualifier::None => None,
        Qualifier::Version(number) => Some(find(call, resource, *number)?),
        Qualifier::Alias(alias) => {
            let routed = aliases::main_version(resource, alias);
            let number = routed.ok_or_else(|| no_machine(&call.caller.alias(name, alias)))?;
            // An alias that somebody applied may route to a generation that nobody published.
            let unpublished = |_: Refusal| Version { number, created: resource.metadata.created, description: None };
            Some(find(call, resource, number).unwrap_or_else(unpublished))
        }
    };
    let definition = match &published {
        Some(version) => {
            let definition = call.aws.workflows.version_definition(name, version.number)?;
            String::from_utf8_lossy(&definition).into_owned()
        }
        None => machines::definition(resource),
    };
    let mut shown = machines::shown(call, resource, &definition);
    let created = published.as_ref().map_or(resource.metadata.created, |version| version.created);
    let arn = match &published {
        Some(version) => call.caller.version(name, version.number),
        None => call.caller.machine(name),
    };
    shown.insert("stateMachineArn".to_owned(), arn.into());
    shown.insert("type".to_owned(), machines::shown_type(resource).into());
    shown.insert("status".to_owned(), "ACTIVE".into());
    shown.insert("creationDate".to_owned(), seconds(created));
    let description = match published {
        Some(version) => version.description,
        None => native::text(resource, "/description").map(str::to_owned),
    };
    if let Some(description) = description {
        shown.insert("description".to_owned(), description.into());
    }
    Ok(Value::Object(shown))
}
