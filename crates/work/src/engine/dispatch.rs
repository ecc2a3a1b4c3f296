//! External tasks: run once their commit is durable, so many at once and not more ([`Line`]).
//!
//! What waits is a name (execution, attempt), not the task: that is read from its row when its turn comes, and if the
//! row is gone by then nobody wants it any more.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use headwater_base::Micros;
use headwater_kernel::port::Cause;
use headwater_kernel::unit::awaited;
use headwater_log::View;
use serde_json::Value;

use super::line::Line;
use super::queue::Command;
use super::rows::{self, Head, Key, Tag, Task};
use super::{Inner, identity};
use crate::definition::Resource;
use crate::definition::resource::Pattern;
use crate::execution::{Attempt, Event, Execution, Failure};
use crate::tasks::{self, Plan};

/// Runs a shard's tasks in the order in which they come, until the engine is gone.
pub(super) async fn run(inner: Weak<Inner>, mut line: Line<(Key, Attempt)>) {
    while let Some(((key, attempt), place)) = line.next().await {
        let Some(inner) = inner.upgrade() else { return };
        let handle = inner.handle.clone();
        let mut in_flight = inner.in_flight.lock();
        let task = Arc::clone(&inner);
        let spawned = handle.spawn(async move {
            let done = awaited(perform(Arc::clone(&task), key, attempt)).await;
            let event = done.unwrap_or_else(|said| {
                let cause = format!("the task ended by a bug in the program: {said}");
                Some(Event::TaskFailed { attempt, failure: Failure::new("States.TaskFailed", cause) })
            });
            task.in_flight.lock().remove(&(key, attempt));
            if let Some(event) = event {
                if matches!(event, Event::TaskFailed { .. }) {
                    task.figures.failed_tasks.fetch_add(1, Ordering::Relaxed);
                }
                task.push_to(&key, Command::Event { key, event, reply: None, room: Some(place.over()) });
            }
        });
        in_flight.insert((key, attempt), spawned.abort_handle());
    }
}

/// Does one task. None when nobody wants it any more, or when it is internal after all.
async fn perform(inner: Arc<Inner>, key: Key, attempt: Attempt) -> Option<Event> {
    let row = inner.row(&key, Tag::Task, &rows::attempt_bytes(&attempt), View::Durable)?;
    let head = inner.row(&key, Tag::Head, &[], View::Durable)?;
    let read = Task::decode(&row, &|hash| inner.fetch(hash)).and_then(|task| Ok((task, Head::decode(&head)?)));
    let (task, head) = match read {
        Ok(read) => read,
        Err(problem) => {
            // Nobody would ever do it.
            inner.push_to(&key, Command::Park { key, reason: problem.title });
            return None;
        }
    };
    if task.submitted {
        return None;
    }
    inner.figures.tasks.fetch_add(1, Ordering::Relaxed);
    let id = head.id();
    let cause = head.cause.clone().unwrap_or_else(|| Cause { id: id.clone(), hops: 0 });
    let cause = Cause { hops: cause.hops.saturating_add(1), ..cause };
    let effect = super::turn::effect_key(&id, &attempt);
    let machine_arn = identity(&head.workflow, &head.name).machine_arn;
    let plan = tasks::plan(&inner.services, &task.call(&effect, &machine_arn, Some(&cause), inner.clock.now()));
    let done = match plan {
        Ok(Plan::External(work)) => work.await,
        Ok(Plan::Internal(_)) => {
            inner.push_to(&key, Command::Perform { key, attempt });
            return None;
        }
        Err(failure) => Err(failure),
    };
    Some(event(&task.start.resource, attempt, done))
}

/// What the end of a call means for its task.
pub(super) fn event(resource: &Resource, attempt: Attempt, done: Result<Value, Failure>) -> Event {
    let token = matches!(resource, Resource::Service(service) if service.pattern == Pattern::Token);
    match done {
        Ok(output) if token => Event::TaskSubmitted { attempt, output },
        Ok(output) => Event::TaskSucceeded { attempt, output },
        Err(failure) => Event::TaskFailed { attempt, failure },
    }
}

/// Whether a task is done in the commit of a step; then a crash leaves no doubt about it.
pub(super) fn is_internal(inner: &Inner, execution: &Execution, task: &Task, effect: &str, now: Micros) -> bool {
    let call = task.call(effect, &execution.identity.machine_arn, None, now);
    !matches!(tasks::plan(&inner.services, &call), Ok(Plan::External(_)))
}
