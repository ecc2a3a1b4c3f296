//! Runs one execution to its end: a clock that jumps to the next timer, and services that answer at once.
//!
//! After every step the execution is rebuilt from the bytes that a journal would hold, and must equal the live one.

use std::collections::BTreeMap;

use headwater_base::Micros;
use headwater_work::definition::Definition;
use headwater_work::execution::{
    Attempt, Begin, Effect, Event, Execution, Failure, Given, HistoryEvent, Identity, MapRun, StartTask, Status, Step,
    Timer, record,
};
use headwater_work::{Flavor, Limits};
use serde_json::{Value, json};

/// What a service does with a task.
pub enum Reply {
    Success(Value),
    /// First the answer of the call, then the result.
    Submitted(Value, Result<Value, Failure>),
    Failure(Failure),
}

/// Answers tasks.
pub trait Services {
    fn call(&mut self, task: &StartTask, now: Micros) -> Reply;
}

/// An execution that was run.
pub struct Ran {
    pub execution: Execution,
    pub history: Vec<HistoryEvent>,
}

pub struct Driver<'a> {
    pub definition: &'a Definition,
    pub limits: Limits,
    pub now: Micros,
    pub services: &'a mut dyn Services,
    /// Leave the execution when it waits for a timer.
    pub leave_waiting: bool,
    /// Abort it then.
    pub abort_waiting: bool,
    seed: u64,
}

impl<'a> Driver<'a> {
    pub fn new(definition: &'a Definition, services: &'a mut dyn Services) -> Self {
        let now = Micros::from_millis(1_732_000_000_000);
        Self {
            definition,
            limits: Limits::default(),
            now,
            services,
            leave_waiting: false,
            abort_waiting: false,
            seed: 0,
        }
    }

    pub fn run(&mut self, identity: Identity, flavor: Flavor, input: Value) -> Result<Ran, String> {
        self.begin(Begin { identity, flavor, machine: 0, input, item: None })
    }

    fn begin(&mut self, begin: Begin) -> Result<Ran, String> {
        let mut timers: BTreeMap<Timer, Micros> = BTreeMap::new();
        let token = |attempt: &Attempt| format!("token-{}-{}", attempt.visit, attempt.number);
        let seed = self.next_seed();
        let given = Given { now: self.now, seed, token: &token, limits: &self.limits };
        let (mut execution, step) = Execution::start(self.definition, begin, &given).map_err(|p| p.to_string())?;
        let mut stored = record::Stored::default();
        let mut history = Vec::new();
        let mut events = self.committed(&execution, step, &mut stored, &mut history, &mut timers)?;
        let mut steps = 0;
        while execution.status == Status::Running {
            steps += 1;
            assert!(steps < 10_000, "the execution does not end");
            let event = if events.is_empty() {
                if self.leave_waiting {
                    break;
                }
                if self.abort_waiting {
                    Event::Abort(Failure::default())
                } else {
                    let next = timers.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due));
                    let (timer, due) = next.ok_or("the execution waits for nothing")?;
                    timers.remove(&timer);
                    self.now = self.now.max(due);
                    Event::Timer(timer)
                }
            } else {
                events.remove(0)
            };
            let given = Given { now: self.now, seed: self.next_seed(), token: &token, limits: &self.limits };
            let step = execution.step(self.definition, event, &given).map_err(|problem| problem.to_string())?;
            events.extend(self.committed(&execution, step, &mut stored, &mut history, &mut timers)?);
        }
        Ok(Ran { execution, history })
    }

    fn next_seed(&mut self) -> [u8; 32] {
        self.seed += 1;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed
    }

    /// Stores what a step changed, checks that it is the execution, and dispatches the effects.
    fn committed(
        &mut self,
        execution: &Execution,
        step: Step,
        stored: &mut record::Stored,
        history: &mut Vec<HistoryEvent>,
        timers: &mut BTreeMap<Timer, Micros>,
    ) -> Result<Vec<Event>, String> {
        let frame = record::changes(execution, &step.changed).to_bytes();
        stored.apply(record::Changes::from_bytes(&frame).map_err(|problem| problem.to_string())?);
        let restored = stored.restore().map_err(|problem| problem.to_string())?;
        assert_eq!(&restored, execution, "what was stored is not the execution");
        history.extend(step.history);
        let mut events = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::SetTimer { timer, due } => {
                    timers.insert(timer, due);
                }
                Effect::ClearTimer(timer) => {
                    timers.remove(&timer);
                }
                Effect::StartTask(task) => {
                    let attempt = task.attempt;
                    let end = |result: Result<Value, Failure>| match result {
                        Ok(output) => Event::TaskSucceeded { attempt, output },
                        Err(failure) => Event::TaskFailed { attempt, failure },
                    };
                    match self.services.call(&task, self.now) {
                        Reply::Success(output) => events.push(end(Ok(output))),
                        Reply::Failure(failure) => events.push(end(Err(failure))),
                        Reply::Submitted(output, result) => {
                            events.push(Event::TaskSubmitted { attempt, output });
                            events.push(end(result));
                        }
                    }
                }
                Effect::StartMapRun(run) => {
                    let outcome = self.map_run(&execution.identity, &run)?;
                    events.push(Event::MapRunEnded { attempt: run.attempt, outcome });
                }
                Effect::StopTask(_) | Effect::StopMapRun(_) | Effect::Ended(_) => {}
            }
        }
        if step.more {
            events.push(Event::Continue);
        }
        Ok(events)
    }

    fn map_run(&mut self, parent: &Identity, run: &MapRun) -> Result<Result<Value, Failure>, String> {
        let (mut results, mut failed) = (Vec::new(), 0);
        for (number, read) in run.items.clone().into_iter().enumerate() {
            let (item, input) = read.map_err(|failure| format!("{failure:?}"))?;
            let mut identity = parent.clone();
            identity.name = format!("child-{number}");
            let begin = Begin { identity, flavor: run.flavor, machine: run.machine, input, item: Some(item) };
            let child = self.begin(begin)?;
            match child.execution.status {
                Status::Succeeded(output) => results.push(Value::clone(&output)),
                _ => failed += 1,
            }
        }
        if run.tolerance.bears(failed, run.items.count()) {
            return Ok(Ok(json!(results)));
        }
        let cause = "The specified tolerated failure threshold was exceeded";
        Ok(Err(Failure::new("States.ExceedToleratedFailureThreshold", cause)))
    }
}
