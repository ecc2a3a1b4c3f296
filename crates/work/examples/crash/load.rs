//! What goes on until the crash: executions are started and stopped, tasks are answered, history and blobs are
//! collected.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{join, join_all};
use headwater_base::Problem;
use headwater_kernel::port::workflows::{StartExecution, TaskEnd, Workflows};
use headwater_work::Engine;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::house::{self, ACTIVITY, House};

/// Executions begun at once.
pub const AT_ONCE: u64 = 16;
/// Between two answers of tasks, so that long executions outlive a few crashes.
const PACE: Duration = Duration::from_millis(20);
/// Between two collections.
const REST: Duration = Duration::from_millis(20);

/// What was acknowledged.
pub enum Told {
    /// The start of an execution.
    Started(u64),
    /// Its stop.
    Stopped(u64),
}

/// All that was acknowledged in a run.
#[derive(Default)]
pub struct Promised {
    /// Whether it has a past.
    pub past: bool,
    /// Executions that were started.
    pub started: BTreeSet<u64>,
    /// Those of them that were stopped.
    pub stopped: BTreeSet<u64>,
    /// One past the last execution that was asked for.
    pub next: u64,
}

impl Promised {
    /// Remembers what was acknowledged.
    pub fn take(&mut self, told: Told) {
        match told {
            Told::Started(number) => self.started.insert(number),
            Told::Stopped(number) => self.stopped.insert(number),
        };
    }

    /// Remembers what a line of the process that is killed says.
    pub fn read(&mut self, line: &str) {
        let number = |text: &str| text.parse::<u64>().ok();
        match line.strip_prefix("stopped ") {
            Some(text) => self.stopped.extend(number(text)),
            None => self.started.extend(number(line)),
        }
    }
}

/// Whether an execution is stopped, once it has run for a moment.
pub fn is_stopped(number: u64) -> bool {
    house::is_spread(number) && !(number / AT_ONCE).is_multiple_of(4)
}

/// Starts an execution.
pub async fn start(engine: &Engine, id: &str, input: &Value) -> Result<(), Problem> {
    let (workflow, name) = id.split_once('/').unwrap_or((id, ""));
    let request = StartExecution {
        workflow: workflow.to_owned(),
        name: Some(name.to_owned()),
        input: Some(Bytes::from(input.to_string())),
        ..StartExecution::default()
    };
    engine.start(request).await.map(drop)
}

/// Starts executions until one is refused or `count` are, and stops Maps of the round before. Answers the next number.
pub async fn load(engine: &Engine, mut next: u64, count: u64, mut tell: impl FnMut(Told)) -> u64 {
    let end = next + count;
    while next < end {
        let numbers: Vec<u64> = (next..next + AT_ONCE).collect();
        let before = numbers.iter().filter_map(|number| number.checked_sub(AT_ONCE));
        let over: Vec<u64> = before.filter(|number| is_stopped(*number)).collect();
        next += AT_ONCE;
        let starts = numbers.iter().map(|number| async move {
            let (id, input) = (house::id(*number), house::input(*number));
            start(engine, &id, &input).await.is_ok()
        });
        let stops = over.iter().map(|number| async move {
            let id = house::id(*number);
            engine.stop(&id, None, None).await.is_ok()
        });
        let (started, stopped) = join(join_all(starts), join_all(stops)).await;
        numbers.iter().zip(&started).filter(|(_, good)| **good).for_each(|(number, _)| tell(Told::Started(*number)));
        over.iter().zip(&stopped).filter(|(_, good)| **good).for_each(|(number, _)| tell(Told::Stopped(*number)));
        if started.contains(&false) {
            break;
        }
    }
    next
}

/// What goes on beside the starts of executions until it is aborted.
pub fn beside(house: &House) -> [JoinHandle<()>; 2] {
    [tokio::spawn(collect(house.engine.clone())), tokio::spawn(answer_all(house.engine.clone(), PACE))]
}

async fn collect(engine: Engine) {
    loop {
        // Without power it fails, as everything does.
        let _ = engine.collect().await;
        tokio::time::sleep(REST).await;
    }
}

/// Answers the tasks of long executions, one after the other. One that is left without an answer by a crash is given
/// out again.
pub async fn answer_all(engine: Engine, pace: Duration) {
    loop {
        let _ = answer(&engine, Duration::from_millis(100)).await;
        tokio::time::sleep(pace).await;
    }
}

/// Answers one task with the number of the next round; false when none came in time.
pub async fn answer(engine: &Engine, patience: Duration) -> Result<bool, Problem> {
    let Some(task) = engine.poll_activity(ACTIVITY, None, patience).await? else { return Ok(false) };
    let asked: Value = serde_json::from_slice(&task.input).unwrap_or_default();
    let round = asked["round"].as_u64().unwrap_or(0) + 1;
    engine.end_task(&task.token, TaskEnd::Success(Bytes::from(json!(round).to_string()))).await.map(|()| true)
}
