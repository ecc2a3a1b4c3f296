//! Replays of archives.

use headwater_base::{Micros, Problem};
use headwater_kernel::port::bus::ReplayRequest;
use serde_json::{Map, Value, json};

use super::super::arn::{Arn, Caller};
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, name, text};
use super::{DESCRIPTION, LIMIT, NEXT_TOKEN, archives, bus_of, exists, listed, not_found, put_some, rules};

const NAME: Member = must("ReplayName", name(64));
const STATES: &[&str] = &["STARTING", "RUNNING", "CANCELLING", "COMPLETED", "CANCELLED", "FAILED"];

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "StartReplay",
        input: &[
            NAME,
            DESCRIPTION,
            must("EventSourceArn", text(1, 1_600)),
            must("EventStartTime", Shape::Time),
            must("EventEndTime", Shape::Time),
            must(
                "Destination",
                Shape::Structure(&[
                    must("Arn", text(1, 1_600)),
                    may("FilterArns", Shape::List(&text(1, 1_600), 0, 100)),
                ]),
            ),
        ],
        run: |call| Box::pin(start(call)),
    },
    Operation { name: "DescribeReplay", input: &[NAME], run: |call| Box::pin(async move { describe(call) }) },
    Operation {
        name: "ListReplays",
        input: &[
            may("NamePrefix", name(64)),
            may("State", Shape::Choice(STATES)),
            may("EventSourceArn", text(1, 1_600)),
            LIMIT,
            NEXT_TOKEN,
        ],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation { name: "CancelReplay", input: &[NAME], run: |call| Box::pin(cancel(call)) },
];

fn arn(caller: &Caller, replay: &str) -> String {
    caller.arn("events", format_args!("replay/{replay}"))
}

async fn start(call: &Call) -> Answer {
    let replay = call.given("ReplayName");
    let invalid = |member: &str, reason: &str| {
        Err(Refusal::validation(format!("Parameter {member} is not valid. Reason: {reason}")))
    };
    let Some(archive) = archives::named(call.given("EventSourceArn")) else {
        return invalid("EventSourceArn", "Must contain an archive ARN.");
    };
    let destination = call.value("Destination").unwrap_or(&Value::Null);
    let to = destination["Arn"].as_str().unwrap_or_default();
    if !Arn::read(to).is_some_and(|arn| arn.service == "events" && arn.path.starts_with("event-bus/")) {
        return invalid("Destination.Arn", "Must contain an event bus ARN.");
    }
    let Some(found) = call.aws.find(super::ARCHIVE, archive) else {
        return invalid("EventSourceArn", &format!("Archive {archive} does not exist."));
    };
    let bus = archives::bus(&found);
    if bus_of(to) != bus {
        return invalid("Destination.Arn", "Cross event bus replay is not permitted.");
    }
    let (Some(from), Some(until)) = (call.time("EventStartTime"), call.time("EventEndTime")) else {
        return invalid("EventStartTime", "EventStartTime and EventEndTime must be times.");
    };
    if from >= until {
        return invalid("EventEndTime", "EventStartTime must be before EventEndTime.");
    }
    let mut only = Vec::new();
    for given in destination["FilterArns"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let path = Arn::read(given).and_then(|arn| arn.path.strip_prefix("rule/"));
        let Some(name) = path.map(|path| path.rsplit('/').next().unwrap_or(path)) else {
            return invalid("Destination.FilterArns", "Must contain rule ARNs.");
        };
        let Some(rule) = rules::find(&call.aws, bus, name) else {
            return invalid("Destination.FilterArns", &format!("Rule {name} does not exist on EventBus {bus}."));
        };
        only.push(rule.metadata.name.to_string());
    }
    let _turn = call.aws.turn.lock().await;
    if find(call, replay).is_some() {
        return Err(exists(format!("Replay {replay} already exists.")));
    }
    let request = ReplayRequest {
        name: replay.to_owned(),
        description: call.text("Description").map(str::to_owned),
        archive: archive.to_owned(),
        from,
        to: until,
        rules: only,
    };
    call.aws.bus.replay(request).await.map_err(|problem| fault(problem, replay))?;
    Ok(json!({
        "ReplayArn": arn(&call.caller, replay),
        "State": "STARTING",
        "ReplayStartTime": seconds(call.aws.kernel.clock().now()),
    }))
}

fn find(call: &Call, replay: &str) -> Option<Map<String, Value>> {
    call.aws.bus.find_replay(replay)
}

fn named(call: &Call) -> Result<Map<String, Value>, Refusal> {
    let replay = call.given("ReplayName");
    find(call, replay).ok_or_else(|| not_found(format!("Replay {replay} does not exist.")))
}

fn describe(call: &Call) -> Answer {
    let found = named(call)?;
    let mut answer = shown(call, &found);
    let replay = call.given("ReplayName");
    answer.insert("ReplayArn".to_owned(), arn(&call.caller, replay).into());
    put_some(&mut answer, "Description", found.get("description").and_then(Value::as_str));
    let archive = found.get("archive").and_then(Value::as_str).unwrap_or_default();
    if let Some(archive) = call.aws.find(super::ARCHIVE, archive) {
        let bus = archives::bus(&archive);
        let rules = found.get("rules").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let arns = rules.map(|rule| call.caller.rule(bus, rule.strip_prefix(&format!("{bus}.")).unwrap_or(rule)));
        let destination = json!({ "Arn": call.caller.bus(bus), "FilterArns": arns.collect::<Vec<String>>() });
        answer.insert("Destination".to_owned(), destination);
    }
    Ok(Value::Object(answer))
}

/// The port's object in the service's members.
fn shown(call: &Call, replay: &Map<String, Value>) -> Map<String, Value> {
    let text = |member: &str| replay.get(member).and_then(Value::as_str);
    let mut shown = Map::new();
    shown.insert("ReplayName".to_owned(), text("name").unwrap_or_default().into());
    shown.insert("EventSourceArn".to_owned(), archives::arn(&call.caller, text("archive").unwrap_or_default()).into());
    shown.insert("State".to_owned(), state(replay).into());
    put_some(&mut shown, "StateReason", text("reason"));
    let times = [
        ("EventStartTime", "from"),
        ("EventEndTime", "to"),
        ("EventLastReplayedTime", "replayedTo"),
        ("ReplayStartTime", "started"),
        ("ReplayEndTime", "ended"),
    ];
    for (member, ours) in times {
        let time = text(ours).and_then(Micros::parse_rfc3339);
        put_some(&mut shown, member, time.map(seconds));
    }
    shown
}

fn state(replay: &Map<String, Value>) -> String {
    replay.get("state").and_then(Value::as_str).unwrap_or("RUNNING").to_ascii_uppercase()
}

fn list(call: &Call) -> Answer {
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let (wanted, source) = (call.text("State"), call.text("EventSourceArn"));
    let shown = call.aws.bus.replays().into_iter().map(|replay| shown(call, &replay));
    let kept = shown.filter(|replay| {
        let is = |member: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| replay.get(member).and_then(Value::as_str) == Some(wanted))
        };
        let named = replay.get("ReplayName").and_then(Value::as_str).is_some_and(|name| name.starts_with(prefix));
        named && is("State", wanted) && is("EventSourceArn", source)
    });
    let items = kept
        .map(|replay| (replay.get("ReplayName").and_then(Value::as_str).unwrap_or_default().to_owned(), replay))
        .map(|(name, replay)| (name, Value::Object(replay)));
    listed(call, "Replays", items.collect())
}

async fn cancel(call: &Call) -> Answer {
    let replay = call.given("ReplayName");
    let found = named(call)?;
    if !["STARTING", "RUNNING"].contains(&state(&found).as_str()) {
        return Err(ended(replay));
    }
    call.aws.bus.cancel_replay(replay).await.map_err(|problem| fault(problem, replay))?;
    let state = named(call).map_or_else(|_| "CANCELLING".to_owned(), |found| state(&found));
    Ok(json!({ "ReplayArn": arn(&call.caller, replay), "State": state }))
}

/// What the bus says of a replay in the service's words.
fn fault(problem: Problem, replay: &str) -> Refusal {
    match problem.code.as_str() {
        "HW-BUS-040" => exists(format!("Replay {replay} already exists.")),
        "HW-BUS-043" => Refusal::new("LimitExceededException", problem.title),
        "HW-BUS-044" => ended(replay),
        _ => problem.into(),
    }
}

fn ended(replay: &str) -> Refusal {
    Refusal::new("IllegalStatusException", format!("Replay {replay} is not in a valid state for this operation."))
}
