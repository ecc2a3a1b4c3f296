//! Rules of buses, which are Rules here.
//!
//! A rule's name is unique on its bus there and on its node here: a rule of another bus than `default` is the resource
//! `BUS.NAME`. A Rule that somebody applied under any name shows under that name on the bus that it reads.

use std::sync::Arc;

use headwater_base::Problem;
use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::Aws;
use super::super::call::{Answer, Call, Operation};
use super::super::native::{self, held};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, name, text};
use super::super::tags;
use super::{
    BUS, DESCRIPTION, LIMIT, NEXT_TOKEN, RULE, TAGS, buses, listed, not_found, pattern, put_some, targets, there,
};

const NAME: Member = must("Name", name(64));

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "PutRule",
        input: &[
            NAME,
            BUS,
            may("EventPattern", text(0, 4_096)),
            may("ScheduleExpression", text(0, 256)),
            may("State", Shape::Choice(&["ENABLED", "DISABLED"])),
            DESCRIPTION,
            may("RoleArn", text(1, 1_600)),
            TAGS,
        ],
        run: |call| Box::pin(put(call)),
    },
    Operation { name: "DescribeRule", input: &[NAME, BUS], run: |call| Box::pin(async move { describe(call) }) },
    Operation {
        name: "ListRules",
        input: &[may("NamePrefix", name(64)), BUS, LIMIT, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation {
        name: "DeleteRule",
        input: &[NAME, BUS, may("Force", Shape::Flag)],
        run: |call| Box::pin(delete(call)),
    },
    Operation { name: "EnableRule", input: &[NAME, BUS], run: |call| Box::pin(enable(call, true)) },
    Operation { name: "DisableRule", input: &[NAME, BUS], run: |call| Box::pin(enable(call, false)) },
    Operation {
        name: "ListRuleNamesByTarget",
        input: &[must("TargetArn", text(1, 1_600)), BUS, LIMIT, NEXT_TOKEN],
        run: |call| Box::pin(async move { by_target(call) }),
    },
];

/// The resource's name of a rule of a bus.
pub fn key(bus: &str, rule: &str) -> String {
    if bus == "default" { rule.to_owned() } else { format!("{bus}.{rule}") }
}

/// A rule's name on its bus.
pub fn shown_name<'a>(bus: &str, resource: &'a Resource) -> &'a str {
    let name = resource.metadata.name.as_str();
    let inside = name.strip_prefix(bus).and_then(|rest| rest.strip_prefix('.')).filter(|_| bus != "default");
    inside.unwrap_or(name)
}

/// Whether a rule reads a bus.
fn reads(resource: &Resource, bus: &str) -> bool {
    native::text(resource, "/source").and_then(buses::of_stream) == Some(bus)
}

/// The rules of a bus.
pub fn of_bus(aws: &Aws, bus: &str) -> Vec<Arc<Resource>> {
    let mut rules = aws.all(RULE);
    rules.retain(|rule| reads(rule, bus));
    rules
}

/// A rule of a bus.
pub fn find(aws: &Aws, bus: &str, rule: &str) -> Option<Arc<Resource>> {
    let made_here = aws.find(RULE, &key(bus, rule));
    made_here.or_else(|| aws.find(RULE, rule)).filter(|found| reads(found, bus))
}

/// The rule that a call's members name, and its bus.
pub fn named<'a>(call: &'a Call, member: &str) -> Result<(&'a str, Arc<Resource>), Refusal> {
    let (bus, rule) = (there(call, "EventBusName")?, call.given(member));
    let found = find(&call.aws, bus, rule);
    Ok((bus, found.ok_or_else(|| not_found(format!("Rule {rule} does not exist on EventBus {bus}.")))?))
}

async fn put(call: &Call) -> Answer {
    let (bus, rule) = (there(call, "EventBusName")?, call.given("Name"));
    let (pattern, schedule) = (pattern(call)?, call.text("ScheduleExpression").filter(|text| !text.is_empty()));
    match (pattern, schedule) {
        (None, None) => {
            return Err(Refusal::validation("Parameter(s) EventPattern or ScheduleExpression must be specified."));
        }
        (Some(_), Some(_)) => {
            return Err(Refusal::validation(
                "EventPattern and ScheduleExpression in one rule are not served; put two rules.",
            ));
        }
        (None, Some(_)) if bus != "default" => {
            return Err(Refusal::validation("ScheduleExpression is supported only on the default event bus."));
        }
        _ => {}
    }
    let _turn = call.aws.turn.lock().await;
    let old = find(&call.aws, bus, rule);
    let name = old.as_ref().map_or_else(|| key(bus, rule), |old| old.metadata.name.to_string());
    if let Some(other) = call.aws.kernel.get(RULE, &name).filter(|_| old.is_none()) {
        let source = native::text(&other, "/source").unwrap_or_default();
        let message = format!("the name is taken by the rule {name}, which reads {source} or is being deleted");
        return Err(Refusal::new("ConcurrentModificationException", message));
    }
    let (mut held, mut spec) = match &old {
        Some(old) => (held(old), old.spec.as_object().cloned().unwrap_or_default()),
        None => (Map::new(), Map::new()),
    };
    for member in ["description", "pattern", "schedule"] {
        spec.shift_remove(member);
    }
    spec.insert("source".to_owned(), buses::stream(bus).into());
    spec.insert("enabled".to_owned(), (call.text("State") != Some("DISABLED")).into());
    put_some(&mut spec, "description", call.text("Description"));
    put_some(&mut spec, "schedule", schedule);
    put_some(&mut spec, "pattern", pattern.and_then(|text| serde_json::from_str::<Value>(text).ok()));
    spec.entry("targets").or_insert_with(|| json!([]));
    // The text, because DescribeRule gives back what was sent.
    held.shift_remove("EventPattern");
    held.shift_remove("RoleArn");
    put_some(&mut held, "EventPattern", pattern);
    put_some(&mut held, "RoleArn", call.text("RoleArn"));
    if old.is_none() {
        tags::put(&mut held, call.list("Tags"), &tags::EVENTS)?;
    }
    write(call, &name, &Value::Object(spec), &held, old.as_deref()).await?;
    Ok(json!({ "RuleArn": call.caller.rule(bus, rule) }))
}

/// Writes a rule.
pub async fn write(
    call: &Call,
    name: &str,
    spec: &Value,
    held: &Map<String, Value>,
    old: Option<&Resource>,
) -> Result<(), Refusal> {
    let draft = call.aws.draft(RULE, name, spec, held, old).map_err(fault)?;
    call.aws.write(vec![draft]).await.map_err(fault)
}

/// What the kind says about a schedule or a pattern is worded as the service words it.
fn fault(problems: Vec<Problem>) -> Refusal {
    match problems.into_iter().next() {
        Some(problem) if problem.title.starts_with("Parameter ScheduleExpression") => {
            Refusal::validation(problem.title)
        }
        Some(problem) => super::pattern_fault(problem),
        None => Refusal::unavailable("refused without a reason"),
    }
}

fn describe(call: &Call) -> Answer {
    let (bus, found) = named(call, "Name")?;
    let mut answer = shown(call, bus, &found);
    answer.insert("CreatedBy".to_owned(), call.caller.account.as_str().into());
    Ok(Value::Object(answer))
}

fn shown(call: &Call, bus: &str, rule: &Resource) -> Map<String, Value> {
    let held = held(rule);
    let name = shown_name(bus, rule);
    let mut shown = Map::new();
    shown.insert("Name".to_owned(), name.into());
    shown.insert("Arn".to_owned(), call.caller.rule(bus, name).into());
    put_some(&mut shown, "EventPattern", shown_pattern(rule, &held));
    put_some(&mut shown, "ScheduleExpression", native::text(rule, "/schedule"));
    let enabled = native::field(rule, "/enabled") != Some(&Value::Bool(false));
    shown.insert("State".to_owned(), if enabled { "ENABLED" } else { "DISABLED" }.into());
    put_some(&mut shown, "Description", native::text(rule, "/description"));
    put_some(&mut shown, "RoleArn", held.get("RoleArn").cloned());
    shown.insert("EventBusName".to_owned(), bus.into());
    shown
}

/// A resource's pattern as it was sent, if it still is the one that was sent.
pub fn shown_pattern(resource: &Resource, held: &Map<String, Value>) -> Option<String> {
    let pattern = native::field(resource, "/pattern")?;
    let sent = held.get("EventPattern").and_then(Value::as_str);
    let current = |text: &&str| serde_json::from_str::<Value>(text).is_ok_and(|sent| sent == *pattern);
    Some(sent.filter(current).map_or_else(|| pattern.to_string(), str::to_owned))
}

fn list(call: &Call) -> Answer {
    let bus = there(call, "EventBusName")?;
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let rules = of_bus(&call.aws, bus);
    let kept = rules.iter().filter(|rule| shown_name(bus, rule).starts_with(prefix));
    let items = kept.map(|rule| (shown_name(bus, rule).to_owned(), Value::Object(shown(call, bus, rule))));
    listed(call, "Rules", items.collect())
}

async fn delete(call: &Call) -> Answer {
    let (bus, rule) = (there(call, "EventBusName")?, call.given("Name"));
    let _turn = call.aws.turn.lock().await;
    let Some(found) = find(&call.aws, bus, rule) else { return Ok(Value::Null) };
    if found.spec["targets"].as_array().is_some_and(|targets| !targets.is_empty()) {
        return Err(Refusal::validation("Rule can't be deleted since it has targets."));
    }
    call.aws.remove(RULE, found.metadata.name.as_str()).await?;
    Ok(Value::Null)
}

async fn enable(call: &Call, enabled: bool) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let (_, found) = named(call, "Name")?;
    let mut spec = found.spec.clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("enabled".to_owned(), enabled.into());
    }
    write(call, found.metadata.name.as_str(), &spec, &held(&found), Some(&found)).await?;
    Ok(Value::Null)
}

fn by_target(call: &Call) -> Answer {
    let (wanted, bus) = (call.given("TargetArn"), there(call, "EventBusName")?);
    let rules = of_bus(&call.aws, bus);
    let names = rules
        .iter()
        .filter(|rule| targets::shown(&call.caller, rule).iter().any(|target| target["Arn"].as_str() == Some(wanted)));
    let items = names.map(|rule| shown_name(bus, rule)).map(|name| (name.to_owned(), Value::from(name)));
    listed(call, "RuleNames", items.collect())
}
