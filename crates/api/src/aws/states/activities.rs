//! Activities: tasks that workers outside ask for.

use std::time::Duration;

use serde_json::{Map, json};

use super::super::arn;
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::refusal::Refusal;
use super::super::shape::{Member, may, must, text};
use super::super::tags;
use super::{MAX_RESULTS, NEXT_TOKEN, TAGS, listed, machines, name, page};

const ACTIVITY_ARN: Member = must("activityArn", text(1, 256));

/// The kind of activities here.
pub const ACTIVITY: &str = "Activity";

/// How long a worker waits for a task; clients wait a few seconds longer for the answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateActivity",
        input: &[must("name", text(1, 80)), may("encryptionConfiguration", machines::ENCRYPTION), TAGS],
        run: |call| Box::pin(create(call)),
    },
    Operation { name: "DeleteActivity", input: &[ACTIVITY_ARN], run: |call| Box::pin(delete(call)) },
    Operation { name: "DescribeActivity", input: &[ACTIVITY_ARN], run: |call| Box::pin(async move { describe(call) }) },
    Operation {
        name: "ListActivities",
        input: &[MAX_RESULTS, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation {
        name: "GetActivityTask",
        input: &[ACTIVITY_ARN, may("workerName", text(1, 80))],
        run: |call| Box::pin(task(call)),
    },
];

async fn create(call: &Call) -> Answer {
    let name = name(call.given("name"))?;
    let _turn = call.aws.turn.lock().await;
    if call.aws.find(ACTIVITY, name).is_none() {
        let mut held = Map::new();
        tags::put(&mut held, call.list("tags"), &tags::STATES)?;
        let draft = call.aws.draft(ACTIVITY, name, &json!({}), &held, None)?;
        call.aws.write(vec![draft]).await?;
    }
    let there = call.aws.find(ACTIVITY, name).ok_or_else(|| absent(&call.caller.activity(name)))?;
    Ok(json!({ "activityArn": call.caller.activity(name), "creationDate": seconds(there.metadata.created) }))
}

async fn delete(call: &Call) -> Answer {
    call.aws.remove(ACTIVITY, named(call)?).await?;
    Ok(json!({}))
}

fn describe(call: &Call) -> Answer {
    let name = named(call)?;
    let there = call.aws.find(ACTIVITY, name).ok_or_else(|| absent(call.given("activityArn")))?;
    Ok(json!({
        "activityArn": call.caller.activity(name),
        "name": name,
        "creationDate": seconds(there.metadata.created),
        "encryptionConfiguration": { "type": "AWS_OWNED_KEY" },
    }))
}

fn list(call: &Call) -> Answer {
    let all = call.aws.all(ACTIVITY);
    let items = all.iter().map(|resource| {
        let name = resource.metadata.name.as_str();
        let arn = call.caller.activity(name);
        let shown = json!({ "activityArn": arn, "name": name, "creationDate": seconds(resource.metadata.created) });
        (name.to_owned(), shown)
    });
    let (items, next) = page(call, items.collect())?;
    Ok(listed("activities", items, next))
}

async fn task(call: &Call) -> Answer {
    let name = named(call)?;
    if call.aws.find(ACTIVITY, name).is_none() {
        return Err(absent(call.given("activityArn")));
    }
    let worker = call.text("workerName").map(str::to_owned);
    let mut stop = call.aws.stop.clone();
    let task = tokio::select! {
        task = call.aws.workflows.poll_activity(name, worker, PATIENCE) => task?,
        _ = stop.wait_for(|stop| *stop) => None,
    };
    Ok(match task {
        Some(task) => json!({ "taskToken": task.token, "input": String::from_utf8_lossy(&task.input) }),
        None => json!({}),
    })
}

fn named(call: &Call) -> Result<&str, Refusal> {
    let given = call.given("activityArn");
    arn::states(given, &["activity"])?.behind("activity").ok_or_else(|| absent(given))
}

fn absent(arn: &str) -> Refusal {
    Refusal::new("ActivityDoesNotExist", format!("Activity Does Not Exist: '{arn}'"))
}
