//! Ports in memory: an execution stays where it is put, an event is kept for looking at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::kind::{self, Kind};
use headwater_kernel::port::Json;
use headwater_kernel::port::bus::{Bus, BusEvent, ReplayRequest};
use headwater_kernel::port::workflows::{
    ActivityTask, CallTask, ExecutionCounts, ExecutionQuery, ExecutionState, ExecutionView, PLACE, StartExecution,
    TaskEnd, Workflows,
};
use headwater_kernel::reconcile::Plan;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

/// A kind of a feature crate, which takes any spec.
pub const fn open(name: &'static str, plural: &'static str) -> Kind {
    Kind {
        name,
        plural,
        short: &[],
        doc: "Takes any spec.",
        schema: || json!({ "type": "object" }),
        example: "",
        effective: |spec, _| spec.clone(),
        validate: kind::no_problems,
        change: kind::no_change_problems,
        refs: kind::no_refs,
        reconcile: |_, _| Plan::default(),
    }
}

#[derive(Default)]
pub struct Engine {
    pub executions: Mutex<BTreeMap<String, ExecutionView>>,
    pub ended: Mutex<Vec<(String, TaskEnd)>>,
    pub changes: Mutex<Vec<Map<String, Value>>>,
    /// The token of the last redrive.
    token: Mutex<Option<String>>,
}

/// The one Map Run there is.
const MAP_RUN: &str = "arn:aws:states:us-east-1:000000000000:mapRun:price/Samples:7f";

fn problem(code: &str) -> Problem {
    Problem::new(code, "as the double says")
}

impl Engine {
    fn begin(&self, request: StartExecution) -> Result<ExecutionView, Problem> {
        let mut executions = self.executions.lock();
        let name = request.name.unwrap_or_else(|| format!("drawn-{}", executions.len()));
        let id = format!("{}/{name}", request.workflow);
        let input = request.input.unwrap_or_else(|| Json::from_static(b"{}"));
        if let Some(there) = executions.get(&id) {
            let same = there.state == ExecutionState::Running && there.input.as_ref() == Some(&input);
            return if same { Ok(there.clone()) } else { Err(problem(crate::aws::states::codes::EXISTS)) };
        }
        let view = ExecutionView {
            id: id.clone(),
            workflow: request.workflow,
            version: request.version.or(request.alias.as_ref().map(|_| 1)),
            alias: request.alias,
            name,
            state: ExecutionState::Running,
            started: Micros(1_700_000_000_123_456),
            stopped: None,
            input: Some(input),
            output: None,
            error: None,
            cause: None,
            redrives: 0,
            redriven: None,
            map_run: None,
        };
        executions.insert(id, view.clone());
        Ok(view)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut ExecutionView)) -> Result<Micros, Problem> {
        let mut executions = self.executions.lock();
        let view = executions.get_mut(id).ok_or_else(|| problem(crate::aws::states::codes::NO_EXECUTION))?;
        change(view);
        Ok(Micros(1_700_000_001_000_000))
    }
}

impl Workflows for Engine {
    fn start(&self, request: StartExecution) -> BoxFuture<'_, Result<ExecutionView, Problem>> {
        Box::pin(async move { self.begin(request) })
    }

    fn run(&self, request: StartExecution) -> BoxFuture<'_, Result<ExecutionView, Problem>> {
        Box::pin(async move {
            let mut view = self.begin(request)?;
            view.state = ExecutionState::Succeeded;
            view.stopped = Some(Micros(view.started.0 + 150_000));
            view.output = view.input.clone();
            Ok(view)
        })
    }

    fn call_task(&self, _: CallTask) -> BoxFuture<'_, Result<Json, Problem>> {
        Box::pin(async { Ok(Json::from_static(b"{}")) })
    }

    fn describe(&self, id: &str) -> Result<ExecutionView, Problem> {
        let found = self.executions.lock().get(id).cloned();
        found.ok_or_else(|| problem(crate::aws::states::codes::NO_EXECUTION))
    }

    fn definition(&self, _: &str) -> Result<Json, Problem> {
        Ok(Json::from_static(b"{\"pinned\":true}"))
    }

    fn list(&self, query: &ExecutionQuery) -> Result<(Vec<ExecutionView>, Option<String>), Problem> {
        if query.after.as_ref().is_some_and(|after| !after.contains('/')) {
            return Err(problem(crate::aws::states::codes::NO_PAGE));
        }
        let executions = self.executions.lock();
        let all = executions.values().filter(|view| {
            query.workflow.as_ref().is_none_or(|workflow| view.workflow == *workflow)
                && query.version.is_none_or(|version| view.version == Some(version))
                && query.alias.as_ref().is_none_or(|alias| view.alias.as_ref() == Some(alias))
                && query.state.is_none_or(|state| view.state == state)
                && query.redriven.is_none_or(|redriven| (view.redrives > 0) == redriven)
                && query.after.as_ref().is_none_or(|after| view.id > *after)
        });
        let page: Vec<ExecutionView> = all.take(query.count).cloned().collect();
        let next = (page.len() == query.count).then(|| page.last().unwrap().id.clone());
        Ok((page, next))
    }

    fn counts(&self) -> BTreeMap<String, ExecutionCounts> {
        let mut counts: BTreeMap<String, ExecutionCounts> = BTreeMap::new();
        for view in self.executions.lock().values() {
            counts.entry(view.workflow.clone()).or_default().add(view.state, view.started);
        }
        counts
    }

    fn history(&self, _: &str, after: u64, count: usize, _: bool) -> Result<Vec<Value>, Problem> {
        let event = |id: u64| {
            json!({ "id": id, "previousEventId": id - 1, "timestamp": 1.5, "type": "PassStateEntered",
                "stateEnteredEventDetails": { "name": "A", "input": "{}" } })
        };
        Ok((after + 1..=5).map(event).take(count).collect())
    }

    fn stop<'a>(
        &'a self,
        id: &'a str,
        error: Option<String>,
        cause: Option<String>,
    ) -> BoxFuture<'a, Result<Micros, Problem>> {
        Box::pin(async move {
            self.change(id, |view| {
                view.state = ExecutionState::Aborted;
                view.stopped = Some(Micros(1_700_000_001_000_000));
                (view.error, view.cause) = (error, cause);
            })
        })
    }

    fn redrive<'a>(&'a self, id: &'a str, token: Option<String>) -> BoxFuture<'a, Result<Micros, Problem>> {
        Box::pin(async move {
            let mut last = self.token.lock();
            if token.is_some() && *last == token {
                return self.change(id, |_| {});
            }
            if id.ends_with("/spent") || self.describe(id)?.state == ExecutionState::Running {
                return Err(problem("HW-WORK-007"));
            }
            *last = token;
            self.change(id, |view| view.state = ExecutionState::Running)
        })
    }

    fn end_task<'a>(&'a self, token: &'a str, end: TaskEnd) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            match token {
                "good" => {
                    self.ended.lock().push((token.to_owned(), end));
                    Ok(())
                }
                "late" => Err(problem(crate::aws::states::codes::TASK_ENDED)),
                _ => Err(problem(crate::aws::states::codes::NO_TOKEN)),
            }
        })
    }

    fn heartbeat<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        let known = token == "good";
        Box::pin(async move { if known { Ok(()) } else { Err(problem(crate::aws::states::codes::NO_TOKEN)) } })
    }

    fn poll_activity<'a>(
        &'a self,
        activity: &'a str,
        worker: Option<String>,
        _: Duration,
    ) -> BoxFuture<'a, Result<Option<ActivityTask>, Problem>> {
        Box::pin(async move {
            let input = json!({ "for": worker }).to_string();
            Ok((activity == "busy").then(|| ActivityTask { token: "good".to_owned(), input: input.into() }))
        })
    }

    fn test_state(&self, request: Map<String, Value>) -> BoxFuture<'_, Result<Map<String, Value>, Problem>> {
        Box::pin(async move {
            match request["definition"].as_str() {
                Some("a Map") => Err(problem(crate::aws::states::codes::NO_MOCK)),
                _ => Ok(Map::from_iter([("output".to_owned(), request["input"].clone())])),
            }
        })
    }

    fn validate(&self, definition: &str, express: bool, warnings: bool, count: usize) -> Map<String, Value> {
        let asked = json!([definition, express, warnings, count]).to_string();
        let diagnostic = json!({ "severity": "ERROR", "code": "ASKED", "message": asked });
        Map::from_iter([("result".to_owned(), "FAIL".into()), ("diagnostics".to_owned(), json!([diagnostic]))])
    }

    fn map_run(&self, id: &str) -> Result<Map<String, Value>, Problem> {
        let found = (id == MAP_RUN).then(|| self.map_runs("").unwrap().remove(0));
        found.ok_or_else(|| problem(crate::aws::states::codes::NO_MAP_RUN))
    }

    fn map_runs(&self, _: &str) -> Result<Vec<Map<String, Value>>, Problem> {
        let execution = format!("arn:aws:states:{PLACE}:execution:price:run-1");
        let run = json!({ "mapRunArn": MAP_RUN, "executionArn": execution, "status": "RUNNING", "startDate": 1.5 });
        Ok(vec![run.as_object().unwrap().clone()])
    }

    fn update_map_run<'a>(&'a self, id: &'a str, change: Map<String, Value>) -> BoxFuture<'a, Result<(), Problem>> {
        let known = self.map_run(id).map(drop);
        self.changes.lock().push(change);
        Box::pin(async move { known })
    }

    fn version_definition(&self, workflow: &str, version: u64) -> Result<Json, Problem> {
        Ok(format!("{{\"of\":\"{workflow}\",\"version\":{version}}}").into())
    }
}

#[derive(Default)]
pub struct Buses {
    pub events: Mutex<Vec<(String, BusEvent)>>,
    replays: Mutex<BTreeMap<String, ReplayRequest>>,
}

impl Bus for Buses {
    fn put<'a>(
        &'a self,
        bus: &'a Name,
        events: Vec<BusEvent>,
    ) -> BoxFuture<'a, Result<Vec<Result<String, Problem>>, Problem>> {
        Box::pin(async move {
            let one = |event: BusEvent| {
                let kind = event.kind.clone();
                self.events.lock().push((bus.to_string(), event));
                if kind == "Refused" { Err(problem("HW-BUS-001")) } else { Ok(format!("id-of-{kind}")) }
            };
            Ok(events.into_iter().map(one).collect())
        })
    }

    fn replay(&self, request: ReplayRequest) -> BoxFuture<'_, Result<(), Problem>> {
        let mut replays = self.replays.lock();
        if replays.len() >= 2 {
            return Box::pin(async { Err(problem("HW-BUS-043")) });
        }
        replays.insert(request.name.clone(), request);
        Box::pin(async { Ok(()) })
    }

    fn run_now(&self, _: &str, _: &str) -> Result<Micros, Problem> {
        Ok(Micros(0))
    }

    fn replays(&self) -> Vec<Map<String, Value>> {
        let replays = self.replays.lock();
        let shown = replays.values().map(|replay| {
            let (from, to) = (replay.from.to_string(), replay.to.to_string());
            json!({ "name": replay.name, "archive": replay.archive, "from": from, "to": to, "state": "running",
                "rules": replay.rules, "description": replay.description })
        });
        shown.filter_map(|replay| replay.as_object().cloned()).collect()
    }

    fn find_replay(&self, name: &str) -> Option<Map<String, Value>> {
        self.replays().into_iter().find(|replay| replay["name"] == name)
    }

    fn cancel_replay<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        let was_there = self.replays.lock().remove(name).is_some_and(|replay| replay.name != "ends");
        Box::pin(async move { if was_there { Ok(()) } else { Err(problem("HW-BUS-044")) } })
    }
}

pub fn engine() -> Arc<Engine> {
    Arc::default()
}
