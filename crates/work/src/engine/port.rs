//! The engine behind the kernel's port.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::Json;
use headwater_kernel::port::workflows::{
    ActivityTask, CallTask, ExecutionCounts, ExecutionQuery, ExecutionView, StartExecution, TaskEnd, Workflows,
};
use headwater_log::View;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::queue::{Command, Room};
use super::rows::{self, Head, Tag, Task};
use super::{Engine, Inner, identity, list, token, view_ended};
use crate::definition::{Definition, Flavor};
use crate::execution::{Begin, Event, Failure, Item};

impl Inner {
    /// Starts a Standard or an asynchronous Express execution.
    pub(super) async fn start_stored(
        &self,
        head: Head,
        input: Json,
        item: Option<Item>,
        room: Option<Room>,
    ) -> Result<ExecutionView, Problem> {
        let key = rows::key_of(&head.workflow, &head.name);
        let (reply, answer) = oneshot::channel();
        self.push_to(&key, Command::Start { head: Box::new(head), input, item, reply: Some(reply), room });
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    async fn tell(&self, key: rows::Key, event: Event, room: Option<Room>) -> Result<Micros, Problem> {
        let (reply, answer) = oneshot::channel();
        self.push_to(&key, Command::Event { key, event, reply: Some(reply), room });
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }
}

/// Codes of tasks that nobody can work on any more.
const OVER: [&str; 4] = ["HW-WORK-004", "HW-WORK-006", "HW-WORK-030", "HW-WORK-031"];

/// `HW-WORK-034`: the node is on its way down.
pub(super) fn stopping() -> Problem {
    Problem::new("HW-WORK-034", "the engine is stopping").help("send it again once the node is up")
}

fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

fn parse(output: &Json) -> Result<Value, Problem> {
    serde_json::from_slice(output)
        .map_err(|error| Problem::new("HW-WORK-033", "the output is not JSON").because(error).help("give a JSON value"))
}

impl Workflows for Engine {
    fn start(&self, request: StartExecution) -> BoxFuture<'_, Result<ExecutionView, Problem>> {
        Box::pin(async move {
            let (head, input) = self.0.head_of(&request, self.0.clock.now())?;
            let room = self.0.room(input.len())?;
            self.0.start_stored(head, input, None, Some(room)).await
        })
    }

    fn run(&self, request: StartExecution) -> BoxFuture<'_, Result<ExecutionView, Problem>> {
        Box::pin(async move {
            let (mut head, input) = self.0.head_of(&request, self.0.clock.now())?;
            if !head.express {
                let fact = format!(
                    "`{}` is a Standard workflow; only an Express one runs while its caller waits",
                    head.workflow
                );
                return Err(Problem::new("HW-WORK-035", fact).help("start it, and wait for its end"));
            }
            let definition = self.0.definition(&head.definition, true)?;
            let begin = Begin {
                identity: identity(&head.workflow, &head.name),
                flavor: Flavor::Express,
                machine: 0,
                input: parse(&input)?,
                item: None,
            };
            let run = self.0.express(&head.id(), head.cause.clone(), &definition, begin).await?;
            head.stopped = Some(self.0.clock.now());
            head.state = super::state_of(&run.execution.status);
            Ok(view_ended(&head, Some(input), &run.execution.status))
        })
    }

    fn describe(&self, id: &str) -> Result<ExecutionView, Problem> {
        self.0.describe(id)
    }

    fn wait<'a>(&'a self, id: &'a str, patience: Duration) -> BoxFuture<'a, Result<ExecutionView, Problem>> {
        Box::pin(async move {
            // Asked for before looking, so that no end falls in between.
            let mut ended = self.0.waiters.ask(list::key_of(id)?);
            let (_, head) = self.0.durable_head(id)?;
            if head.stopped.is_none()
                && let Ok(Ok(view)) = tokio::time::timeout(patience, &mut ended.receiver).await
            {
                return Ok(view);
            }
            self.0.describe(id)
        })
    }

    fn call_task(&self, call: CallTask) -> BoxFuture<'_, Result<Json, Problem>> {
        Box::pin(async move { self.0.call_task(&call).await })
    }

    fn definition(&self, id: &str) -> Result<Json, Problem> {
        let (_, head) = self.0.durable_head(id)?;
        self.0.definition_text(&head.definition, head.express).map(Json::from)
    }

    fn list(&self, query: &ExecutionQuery) -> Result<(Vec<ExecutionView>, Option<String>), Problem> {
        self.0.list(query)
    }

    fn counts(&self) -> BTreeMap<String, ExecutionCounts> {
        self.0.counts()
    }

    fn history(&self, id: &str, after: u64, count: usize, reverse: bool) -> Result<Vec<Value>, Problem> {
        self.0.history(id, after, count, reverse)
    }

    fn stop<'a>(
        &'a self,
        id: &'a str,
        error: Option<String>,
        cause: Option<String>,
    ) -> BoxFuture<'a, Result<Micros, Problem>> {
        Box::pin(async move {
            let (key, _) = self.0.durable_head(id)?;
            let room = self.0.room(length(&error) + length(&cause))?;
            self.0.tell(key, Event::Abort(Failure { error, cause }), Some(room)).await
        })
    }

    fn redrive<'a>(&'a self, id: &'a str, token: Option<String>) -> BoxFuture<'a, Result<Micros, Problem>> {
        Box::pin(async move {
            let (key, head) = self.0.durable_head(id)?;
            if head.map_run.is_some() {
                // Its Map Run has counted it, and would not hear of another end.
                let fact = format!("execution `{id}` cannot be taken up again by itself: it is an item of a Map Run");
                return Err(Problem::new("HW-WORK-007", fact).help("redrive the execution that the Map Run is of"));
            }
            let (reply, answer) = oneshot::channel();
            self.0.push_to(&key, Command::Redrive { key, token, reply });
            answer.await.unwrap_or_else(|_| Err(stopping()))
        })
    }

    fn end_task<'a>(&'a self, token: &'a str, end: TaskEnd) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            let (key, attempt) = token::parse(token)?;
            let room = self.0.room(match &end {
                TaskEnd::Success(output) => output.len(),
                TaskEnd::Failure { error, cause } => length(error) + length(cause),
            })?;
            let event = match end {
                TaskEnd::Success(output) => Event::TaskSucceeded { attempt, output: parse(&output)? },
                TaskEnd::Failure { error, cause } => Event::TaskFailed { attempt, failure: Failure { error, cause } },
            };
            let (reply, answer) = oneshot::channel();
            self.0.push_to(&key, Command::End { key, attempt, token: token.to_owned(), event, reply, room });
            answer.await.unwrap_or_else(|_| Err(stopping())).map(drop)
        })
    }

    fn heartbeat<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            let (key, attempt) = token::parse(token)?;
            let (reply, answer) = oneshot::channel();
            self.0.push_to(&key, Command::Beat { key, attempt, token: token.to_owned(), reply });
            answer.await.unwrap_or_else(|_| Err(stopping())).map(drop)
        })
    }

    fn poll_activity<'a>(
        &'a self,
        activity: &'a str,
        worker: Option<String>,
        patience: Duration,
    ) -> BoxFuture<'a, Result<Option<ActivityTask>, Problem>> {
        Box::pin(async move {
            let until = tokio::time::Instant::now() + patience;
            loop {
                let mut asked = self.0.activities.ask(activity);
                let Ok(Some((key, attempt))) = tokio::time::timeout_at(until, asked.task()).await else {
                    return Ok(None);
                };
                let row = self.0.row(&key, Tag::Task, &rows::attempt_bytes(&attempt), View::Durable);
                let Some(task) = row.and_then(|row| Task::decode(&row, &|hash| self.0.fetch(hash)).ok()) else {
                    asked.done();
                    continue;
                };
                let event = Event::TaskStarted { attempt, worker: worker.clone() };
                // Refused, it would be gone for every worker.
                let started = self.0.tell(key, event, None).await;
                asked.done();
                match started {
                    Ok(_) => {}
                    // It is over, or its execution is parked or gone, which is no fault of the worker's: the next one.
                    Err(problem) if OVER.contains(&problem.code.as_str()) => continue,
                    Err(problem) => return Err(problem),
                }
                let input = Json::from(task.start.parameters.to_string());
                return Ok(task.start.token.map(|token| ActivityTask { token, input }));
            }
        })
    }

    fn test_state(&self, request: Map<String, Value>) -> BoxFuture<'_, Result<Map<String, Value>, Problem>> {
        Box::pin(async move { self.0.test_state(&request).await })
    }

    fn validate(&self, definition: &str, express: bool, _: bool, count: usize) -> Map<String, Value> {
        let flavor = if express { Flavor::Express } else { Flavor::Standard };
        let found = Definition::parse(definition, flavor, &self.0.limits).err().unwrap_or_default();
        let (failed, truncated) = (!found.is_empty(), found.len() > count);
        let diagnostics: Vec<Value> = found
            .into_iter()
            .take(count)
            .map(|one| {
                let mut shown = json!({"severity": "ERROR", "code": one.code, "message": one.message});
                if let Some(location) = one.location {
                    shown["location"] = json!(location);
                }
                shown
            })
            .collect();
        let result = if failed { "FAIL" } else { "OK" };
        let answer = json!({"result": result, "diagnostics": diagnostics, "truncated": truncated});
        answer.as_object().cloned().unwrap_or_default()
    }

    fn version_definition(&self, workflow: &str, version: u64) -> Result<Json, Problem> {
        let found = self.0.workflow(workflow, Some(version))?;
        Ok(Json::from(found.text.as_bytes().to_vec()))
    }

    fn map_run(&self, id: &str) -> Result<Map<String, Value>, Problem> {
        self.0.map_run(id)
    }

    fn map_runs(&self, execution: &str) -> Result<Vec<Map<String, Value>>, Problem> {
        self.0.map_runs(execution)
    }

    fn update_map_run<'a>(&'a self, id: &'a str, change: Map<String, Value>) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move { self.0.update_map_run(id, &change).await })
    }
}
