//! Aliases of state machines, which stand in the spec of the Workflow (`aliases:`): a name for one published version,
//! or for two with weights.
//!
//! When they were made is kept in the annotation. An alias that somebody applied counts from the Workflow's making.

use std::sync::Arc;

use headwater_base::Micros;
use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::arn;
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::native::{self, held};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, secret, text};
use super::{
    MACHINE_ARN, MAX_RESULTS, Machine, NEXT_TOKEN, Qualifier, WORKFLOW, listed, machine, page, split, versions,
};

/// Aliases of one state machine, as there.
const ALIASES_MAX: usize = 100;

/// What the weights add up to.
const WHOLE: u64 = 100;

const ALIAS_ARN: Member = must("stateMachineAliasArn", text(1, 256));
const DESCRIPTION: Member = may("description", secret(0, 256));
const ROUTES: Shape = Shape::List(
    &Shape::Structure(&[must("stateMachineVersionArn", text(1, 256)), must("weight", Shape::Integer(0, 100))]),
    1,
    2,
);

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateStateMachineAlias",
        input: &[must("name", text(1, 80)), DESCRIPTION, must("routingConfiguration", ROUTES)],
        run: |call| Box::pin(create(call)),
    },
    Operation {
        name: "UpdateStateMachineAlias",
        input: &[ALIAS_ARN, DESCRIPTION, may("routingConfiguration", ROUTES)],
        run: |call| Box::pin(update(call)),
    },
    Operation { name: "DeleteStateMachineAlias", input: &[ALIAS_ARN], run: |call| Box::pin(delete(call)) },
    Operation {
        name: "DescribeStateMachineAlias",
        input: &[ALIAS_ARN],
        run: |call| Box::pin(async move { describe(call) }),
    },
    Operation {
        name: "ListStateMachineAliases",
        input: &[MACHINE_ARN, MAX_RESULTS, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
];

/// The aliases of a state machine, as its spec has them.
fn of(resource: &Resource) -> Map<String, Value> {
    native::field(resource, "/aliases").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Whether a state machine has an alias.
pub fn is_there(resource: &Resource, alias: &str) -> bool {
    of(resource).contains_key(alias)
}

/// Versions and weights of an alias.
fn routes(alias: &Value) -> Vec<(u64, u64)> {
    let routes = alias["routes"].as_array().into_iter().flatten();
    routes.filter_map(|route| Some((route["version"].as_u64()?, route["weight"].as_u64()?))).collect()
}

fn routes_to(alias: &Value, version: u64) -> bool {
    routes(alias).iter().any(|(routed, _)| *routed == version)
}

/// The aliases that route to a version of a state machine.
pub fn to_version(resource: &Resource, version: u64) -> Vec<String> {
    of(resource).into_iter().filter(|(_, alias)| routes_to(alias, version)).map(|(name, _)| name).collect()
}

/// The version that most executions of an alias run: of its routes the one with the most weight, the first of equal ones.
pub fn main_version(resource: &Resource, alias: &str) -> Option<u64> {
    let alias = of(resource).shift_remove(alias)?;
    routes(&alias).into_iter().rev().max_by_key(|(_, weight)| *weight).map(|(version, _)| version)
}

/// The state machine that all versions of `routingConfiguration` are of, and the routes as the spec has them.
fn routed(call: &Call) -> Result<(Arc<Resource>, Value), Refusal> {
    let mut found: Option<Arc<Resource>> = None;
    let mut routes = Vec::new();
    let mut sum = 0;
    for route in call.list("routingConfiguration") {
        let given = route["stateMachineVersionArn"].as_str().unwrap_or_default();
        let arn = arn::states(given, &["stateMachine"])?;
        let (name, Qualifier::Version(version)) = split(&arn) else {
            return Err(Refusal::validation(format!(
                "an alias routes to versions of a state machine; {given} is none"
            )));
        };
        let resource = call.aws.find(WORKFLOW, name).ok_or_else(absent)?;
        versions::find(call, &resource, version).map_err(|_| absent())?;
        if found.as_ref().is_some_and(|found| found.metadata.name != resource.metadata.name) {
            return Err(Refusal::validation("the versions of an alias must be of the same state machine"));
        }
        found = Some(resource);
        let weight = route["weight"].as_u64().unwrap_or_default();
        sum += weight;
        routes.push(json!({ "version": version, "weight": weight }));
    }
    let [first, rest @ ..] = routes.as_slice() else {
        return Err(Refusal::validation("routingConfiguration names no version"));
    };
    if rest.iter().any(|route| route["version"] == first["version"]) {
        return Err(Refusal::validation("the versions of an alias must be different ones"));
    }
    if sum != WHOLE {
        let message = format!("Sum of routing configuration weights must equal {WHOLE}; it is {sum}");
        return Err(Refusal::validation(message));
    }
    let resource = found.ok_or_else(absent)?;
    Ok((resource, Value::Array(routes)))
}

/// The state machine and the alias that a member names.
fn named(call: &Call) -> Result<(Arc<Resource>, String), Refusal> {
    let arn = arn::states(call.given("stateMachineAliasArn"), &["stateMachine"])?;
    let (name, Qualifier::Alias(alias)) = split(&arn) else {
        return Err(Refusal::validation("the ARN names no alias of a state machine"));
    };
    Ok((call.aws.find(WORKFLOW, name).ok_or_else(absent)?, alias))
}

fn absent() -> Refusal {
    Refusal::new("ResourceNotFound", "Request references a resource that does not exist.")
}

/// Writes a state machine with an alias changed, made or, without one, gone.
async fn write(call: &Call, resource: &Resource, name: &str, alias: Option<Value>) -> Result<Micros, Refusal> {
    let now = call.aws.kernel.clock().now();
    let (mut aliases, mut held) = (of(resource), held(resource));
    let mut times = held.get("aliases").and_then(Value::as_object).cloned().unwrap_or_default();
    match alias {
        Some(alias) => {
            let made = if aliases.contains_key(name) { made(resource, name).0 } else { now };
            times.insert(name.to_owned(), json!({ "created": made.to_string(), "updated": now.to_string() }));
            aliases.insert(name.to_owned(), alias);
        }
        None => {
            times.shift_remove(name);
            aliases.shift_remove(name);
        }
    }
    let mut spec = resource.spec.clone();
    if let Some(spec) = spec.as_object_mut() {
        if aliases.is_empty() {
            spec.shift_remove("aliases");
        } else {
            spec.insert("aliases".to_owned(), Value::Object(aliases));
        }
    }
    if times.is_empty() {
        held.shift_remove("aliases");
    } else {
        held.insert("aliases".to_owned(), Value::Object(times));
    }
    let machine = resource.metadata.name.as_str();
    let draft = call.aws.draft(WORKFLOW, machine, &spec, &held, Some(resource))?;
    call.aws.write(vec![draft]).await?;
    Ok(now)
}

/// When an alias was made, and when it was changed.
fn made(resource: &Resource, alias: &str) -> (Micros, Micros) {
    let held = held(resource);
    let time = |member: &str| {
        let text = held.get("aliases").and_then(|times| times[alias][member].as_str());
        text.and_then(Micros::parse_rfc3339).unwrap_or(resource.metadata.created)
    };
    (time("created"), time("updated"))
}

async fn create(call: &Call) -> Answer {
    let name = call.given("name");
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !fits || name.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::new("InvalidName", format!("Invalid Name: '{name}'")));
    }
    let _turn = call.aws.turn.lock().await;
    let (resource, routes) = routed(call)?;
    let arn = call.caller.alias(resource.metadata.name.as_str(), name);
    let mut alias = json!({ "routes": routes });
    if let (Some(description), Some(alias)) = (call.text("description"), alias.as_object_mut()) {
        alias.insert("description".to_owned(), description.into());
    }
    let aliases = of(&resource);
    let created = match aliases.get(name) {
        Some(there) if *there == alias => made(&resource, name).0,
        Some(_) => {
            let message = format!("The alias {arn} exists with another routing configuration or description.");
            return Err(Refusal::new("ConflictException", message));
        }
        None if aliases.len() >= ALIASES_MAX => {
            let message = format!("a state machine has {ALIASES_MAX} aliases at most");
            return Err(Refusal::new("ServiceQuotaExceededException", message));
        }
        None => write(call, &resource, name, Some(alias)).await?,
    };
    Ok(json!({ "stateMachineAliasArn": arn, "creationDate": seconds(created) }))
}

async fn update(call: &Call) -> Answer {
    if call.value("routingConfiguration").is_none() && call.text("description").is_none() {
        let message = "Either the description or the routingConfiguration must be specified";
        return Err(Refusal::new("MissingRequiredParameter", message));
    }
    let _turn = call.aws.turn.lock().await;
    let (resource, name) = named(call)?;
    let mut alias = of(&resource).shift_remove(&name).ok_or_else(absent)?;
    let members = alias.as_object_mut().ok_or_else(absent)?;
    if call.value("routingConfiguration").is_some() {
        let (of_versions, routes) = routed(call)?;
        if of_versions.metadata.name != resource.metadata.name {
            return Err(Refusal::validation("the versions of an alias must be of its own state machine"));
        }
        members.insert("routes".to_owned(), routes);
    }
    if let Some(description) = call.text("description") {
        members.insert("description".to_owned(), description.into());
    }
    let updated = write(call, &resource, &name, Some(alias)).await?;
    Ok(json!({ "updateDate": seconds(updated) }))
}

async fn delete(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let (resource, name) = named(call)?;
    if is_there(&resource, &name) {
        write(call, &resource, &name, None).await?;
    }
    Ok(json!({}))
}

fn describe(call: &Call) -> Answer {
    let (resource, name) = named(call)?;
    let alias = of(&resource).shift_remove(&name).ok_or_else(absent)?;
    let machine = resource.metadata.name.as_str();
    let shown_routes = routes(&alias).into_iter().map(|(version, weight)| {
        json!({ "stateMachineVersionArn": call.caller.version(machine, version), "weight": weight })
    });
    let (created, updated) = made(&resource, &name);
    let mut shown = json!({
        "stateMachineAliasArn": call.caller.alias(machine, &name),
        "name": name,
        "routingConfiguration": shown_routes.collect::<Vec<Value>>(),
        "creationDate": seconds(created),
        "updateDate": seconds(updated),
    });
    if let (Some(description), Some(shown)) = (alias["description"].as_str(), shown.as_object_mut()) {
        shown.insert("description".to_owned(), description.into());
    }
    Ok(shown)
}

fn list(call: &Call) -> Answer {
    let Machine { resource, qualifier } = machine(call, "stateMachineArn")?;
    let kept = of(&resource).into_iter().filter(|(_, alias)| match &qualifier {
        Qualifier::Version(version) => routes_to(alias, *version),
        Qualifier::None | Qualifier::Alias(_) => true,
    });
    let machine = resource.metadata.name.as_str();
    let items = kept.map(|(name, _)| {
        let created = seconds(made(&resource, &name).0);
        let shown = json!({ "stateMachineAliasArn": call.caller.alias(machine, &name), "creationDate": created });
        (name, shown)
    });
    let mut items: Vec<(String, Value)> = items.collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (items, next) = page(call, items)?;
    Ok(listed("stateMachineAliases", items, next))
}
