//! The past of a run: executions that have been under way for a while, and behind the beginning of their history that
//! of many others, of which nothing else is kept. So it is worth carrying forward, and the lives that follow do that
//! while they are cut off.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use headwater_base::Name;
use headwater_kernel::port::workflows::{ExecutionState, Workflows};
use headwater_log::Log;
use headwater_work::engine::journal;
use serde_json::{Value, json};

use super::check::{Steps, Verdict, same};
use super::house::{House, ROUNDS, padding};
use super::load;

/// Executions that go on for long.
pub const LONGS: u64 = 4;
/// Executions that end and go at once.
pub const SHORTS: u64 = 400;
/// What their records are told by.
const SHORT_IDS: u64 = 1_000_000;
/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(60);

fn long(number: u64) -> String {
    format!("long/n{number}")
}

/// What a long execution begins with; of every second one that is a blob.
fn input(number: u64, round: u64) -> Value {
    let padding = if number.is_multiple_of(2) { padding(number, 40_000) } else { String::new() };
    json!({"id": number, "padding": padding, "round": round})
}

/// Makes the past of a run, without a crash.
pub async fn begin(house: &House) -> Result<(), String> {
    let engine = &house.engine;
    let longs = (0..LONGS).map(|number| async move {
        let (id, input) = (long(number), input(number, 0));
        load::start(engine, &id, &input).await
    });
    for started in join_all(longs).await {
        started.map_err(|problem| problem.to_string())?;
    }
    for _ in 0..LONGS {
        load::answer(engine, PATIENCE).await.map_err(|problem| problem.to_string())?;
    }
    let shorts = (0..SHORTS).map(|number| async move {
        let (id, input) = (format!("short/n{number}"), json!({"id": SHORT_IDS + number}));
        load::start(engine, &id, &input).await
    });
    for started in join_all(shorts).await {
        started.map_err(|problem| problem.to_string())?;
    }
    let begun = Instant::now();
    for number in 0..SHORTS {
        while engine.describe(&format!("short/n{number}")).is_ok() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("short/n{number} is kept although it has ended"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

/// How many of the partitions of history that have long executions were trimmed behind the beginning of theirs: there
/// was nothing before them, so that they have been carried.
pub fn carried(house: &House) -> Result<u64, String> {
    let mut partitions = BTreeSet::new();
    house.each(journal::STREAM, &mut |partition, piece| {
        if piece.key.as_deref().is_some_and(|key| key.starts_with(b"long/")) {
            partitions.insert(partition);
        }
    })?;
    let stream = Name::new(journal::STREAM).unwrap();
    let first = i64::try_from(LONGS).unwrap_or(i64::MAX);
    let mut carried = 0;
    for partition in partitions {
        let start = house.log.ends(&stream, partition).map_err(|error| error.to_string())?.start;
        carried += u64::from(start >= first);
    }
    Ok(carried)
}

/// Waits for the ends of long executions and compares all of the past.
pub async fn compare(house: &House, steps: &Steps, verdict: &mut Verdict) -> Result<(), String> {
    verdict.acked += LONGS + SHORTS;
    for number in 0..SHORTS {
        match steps.get(&(SHORT_IDS + number, "short".to_owned())) {
            Some(_) => verdict.ended += 1,
            None => verdict.lose(format!("short/n{number}")),
        }
    }
    for number in 0..LONGS {
        let id = long(number);
        let waited = house.engine.wait(&id, PATIENCE).await;
        let Ok(view) = waited else {
            verdict.lose(id);
            continue;
        };
        if view.state != ExecutionState::Succeeded {
            return Err(format!("{id}: {:?}, {:?}", view.state, view.cause));
        }
        verdict.ended += 1;
        verdict.expect(same(view.output.as_ref(), &input(number, ROUNDS)), || format!("{id}: another output"));
        // As the journal has it, not as the memory of this life.
        let events = house.engine.history(&id, 0, 10_000, false).map_err(|problem| problem.to_string())?;
        let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
        let answered = kinds.iter().filter(|kind| **kind == "ActivitySucceeded").count() as u64;
        let numbered = (1_u64..).zip(&events).all(|(at, event)| event["id"] == at);
        let whole = kinds.first() == Some(&"ExecutionStarted") && kinds.last() == Some(&"ExecutionSucceeded");
        verdict.expect(whole && numbered && answered == ROUNDS, || format!("{id}: not its history, {answered} rounds"));
        let begun = events.first().and_then(|event| event.pointer("/executionStartedEventDetails/input"));
        let begun = begun.and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
        verdict.expect(begun == Some(input(number, 0)), || format!("{id}: another input"));
        verdict.large += u64::from(number.is_multiple_of(2));
    }
    Ok(())
}

/// Whether a record belongs to the past.
pub fn has(id: u64) -> bool {
    (SHORT_IDS..SHORT_IDS + SHORTS).contains(&id)
}
