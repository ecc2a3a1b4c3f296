//! What goes into a step and what comes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_base::Micros;
use serde_json::Value;

use super::{Failure, HistoryEvent, MapRun, Status, ThreadId};
use crate::definition::Resource;
use crate::limits::Limits;

/// One attempt at what a state does outside: the identity of an effect. A result names the attempt it is for, so one
/// that comes late or twice is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The thread.
    pub thread: ThreadId,
    /// The stay in a state.
    pub visit: u64,
    /// From 0.
    pub number: u32,
}

/// What happened outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A worker took an activity's task.
    TaskStarted {
        /// Which.
        attempt: Attempt,
        /// The worker's name.
        worker: Option<String>,
    },
    /// A `.sync` or `.waitForTaskToken` call was accepted; its end comes later.
    TaskSubmitted {
        /// Which.
        attempt: Attempt,
        /// What the call answered.
        output: Value,
    },
    /// The task is done.
    TaskSucceeded {
        /// Which.
        attempt: Attempt,
        /// Its result.
        output: Value,
    },
    /// The task failed.
    TaskFailed {
        /// Which.
        attempt: Attempt,
        /// How.
        failure: Failure,
    },
    /// The task lives.
    Heartbeat {
        /// Which.
        attempt: Attempt,
    },
    /// A timer is due.
    Timer(Timer),
    /// A distributed Map is over.
    MapRunEnded {
        /// Which.
        attempt: Attempt,
        /// Its results, or why it failed.
        outcome: Result<Value, Failure>,
    },
    /// Somebody stops the execution.
    Abort(Failure),
    /// The step before had [`Step::more`].
    Continue,
}

/// What a timer is for; its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A Wait state's.
    Wait(Attempt),
    /// Until the next attempt.
    Retry(Attempt),
    /// A task's `TimeoutSeconds`.
    Timeout(Attempt),
    /// A task's `HeartbeatSeconds`.
    Heartbeat(Attempt),
    /// The whole execution's `TimeoutSeconds`.
    Execution,
}

/// What is to be done outside once the step is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Do a task.
    StartTask(Box<StartTask>),
    /// Nobody waits for this task any more; its token is void.
    StopTask(Attempt),
    /// Remember a timer, in place of one with the same identity.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When.
        due: Micros,
    },
    /// Forget a timer.
    ClearTimer(Timer),
    /// Run the items of a distributed Map.
    StartMapRun(Box<MapRun>),
    /// Nobody waits for this Map Run any more.
    StopMapRun(Attempt),
    /// The execution is over.
    Ended(Status),
}

/// A task to do.
#[derive(Clone, Debug, PartialEq)]
pub struct StartTask {
    /// Whom the result is for.
    pub attempt: Attempt,
    /// The state, for routing and mocks.
    pub state: String,
    /// What is called.
    pub resource: Resource,
    /// With what.
    pub parameters: Arc<Value>,
    /// The evaluated `Credentials`.
    pub credentials: Option<Value>,
    /// The token, for a callback or an activity.
    pub token: Option<String>,
}

/// What a step is given besides the event.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// The time of the step.
    pub now: Micros,
    /// Where its random numbers come from; never the same twice.
    pub seed: [u8; 32],
    /// Makes the opaque token of an attempt.
    pub token: &'a dyn Fn(&Attempt) -> String,
    /// What it may cost.
    pub limits: &'a Limits,
}

/// What came of a step. The history and the changed records are one commit; the effects follow it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// In order.
    pub history: Vec<HistoryEvent>,
    /// In order.
    pub effects: Vec<Effect>,
    /// Which records of the execution changed; `record::changes` encodes them.
    pub changed: Changed,
    /// The step stopped at its bound: commit it and come back with [`Event::Continue`].
    pub more: bool,
}

/// Records of an execution that a step changed. The header always is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Threads that moved.
    pub threads: BTreeSet<ThreadId>,
    /// Threads whose data changed.
    pub data: BTreeSet<ThreadId>,
    /// Threads that are gone.
    pub gone: BTreeSet<ThreadId>,
}
