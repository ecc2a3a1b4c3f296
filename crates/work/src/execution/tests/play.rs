//! Plays an execution by hand and writes down what it does, a line for each event and effect.

use std::collections::BTreeMap;

use expect_test::Expect;
use headwater_base::{Micros, Problem};
use serde_json::Value;

use crate::definition::{Definition, Flavor};
use crate::execution::history::Details;
use crate::execution::{Attempt, Begin, Effect, Event, Execution, Failure, Given, Identity, Status, Step, Timer};
use crate::limits::Limits;

#[derive(Debug)]
pub struct Play {
    pub definition: Definition,
    pub execution: Execution,
    pub limits: Limits,
    pub log: String,
    now: Micros,
    more: bool,
    tasks: Vec<(String, Attempt)>,
    timers: BTreeMap<Timer, Micros>,
    map_run: Option<Attempt>,
}

fn given(now: Micros, limits: &Limits) -> Given<'_> {
    Given { now, seed: [u8::try_from(now.0 % 251).unwrap(); 32], token: &|attempt| format!("{attempt:?}"), limits }
}

pub fn parse(definition: &Value) -> Definition {
    Definition::parse(&definition.to_string(), Flavor::Standard, &Limits::default())
        .unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"))
}

impl Play {
    pub fn start(definition: Value, input: Value) -> Self {
        Self::try_start(definition, input).unwrap()
    }

    pub fn try_start(definition: Value, input: Value) -> Result<Self, Problem> {
        let (definition, limits, now) = (parse(&definition), Limits::default(), Micros(0));
        let begin = Begin { identity: Identity::default(), flavor: Flavor::Standard, machine: 0, input, item: None };
        let (execution, step) = Execution::start(&definition, begin, &given(now, &limits))?;
        let mut play = Self {
            definition,
            execution,
            limits,
            log: String::new(),
            now,
            more: false,
            tasks: Vec::new(),
            timers: BTreeMap::new(),
            map_run: None,
        };
        play.note(step);
        Ok(play)
    }

    pub fn event(&mut self, event: Event) -> Result<(), Problem> {
        let step = self.execution.step(&self.definition, event, &given(self.now, &self.limits))?;
        self.note(step);
        Ok(())
    }

    pub fn redrive(&mut self) -> Result<(), Problem> {
        let step = self.execution.redrive(&self.definition, &given(self.now, &self.limits))?;
        self.note(step);
        Ok(())
    }

    fn note(&mut self, step: Step) {
        for event in step.history {
            let detail = match &event.details {
                Details::Entered { name, .. } => name.clone(),
                Details::Exited { name, output, .. } => format!("{name} {output}"),
                Details::Succeeded { output } => output.to_string(),
                Details::Failed(failure) | Details::Evaluation { failure, .. } => {
                    failure.error.clone().unwrap_or_default()
                }
                Details::Task { fields } => fields.get("error").and_then(Value::as_str).unwrap_or_default().to_owned(),
                Details::Iteration { index, .. } => index.to_string(),
                _ => String::new(),
            };
            self.log += format!("{}<{} {} {detail}", event.id, event.previous, event.kind).trim_end();
            self.log += "\n";
        }
        for effect in step.effects {
            let line = match effect {
                Effect::StartTask(task) => {
                    self.tasks.push((task.state.clone(), task.attempt));
                    let token = if task.token.is_some() { " token" } else { "" };
                    format!("start {} {}{token}", task.state, short(task.attempt))
                }
                Effect::StopTask(attempt) => {
                    self.tasks.retain(|(_, other)| *other != attempt);
                    format!("stop {}", short(attempt))
                }
                Effect::SetTimer { timer, due } => {
                    self.timers.insert(timer, due);
                    format!("timer {} at {}", named(timer), due.0 / 1_000_000)
                }
                Effect::ClearTimer(timer) => {
                    self.timers.remove(&timer);
                    format!("clear {}", named(timer))
                }
                Effect::StartMapRun(run) => {
                    self.map_run = Some(run.attempt);
                    format!("map run {}{}", short(run.attempt), if run.redrive { " again" } else { "" })
                }
                Effect::StopMapRun(attempt) => format!("stop map run {}", short(attempt)),
                Effect::Ended(_) => "ended".to_owned(),
            };
            self.log += &format!("  {line}\n");
        }
        self.more = step.more;
    }

    /// The first attempt under way of a state.
    pub fn attempt(&self, state: &str) -> Attempt {
        self.tasks.iter().find(|(name, _)| name == state).unwrap().1
    }

    pub fn succeed(&mut self, state: &str, output: Value) {
        let attempt = self.attempt(state);
        self.succeed_attempt(attempt, output).unwrap();
    }

    pub fn succeed_last(&mut self, state: &str, output: Value) {
        let attempt = self.tasks.iter().rfind(|(name, _)| name == state).unwrap().1;
        self.succeed_attempt(attempt, output).unwrap();
    }

    pub fn succeed_attempt(&mut self, attempt: Attempt, output: Value) -> Result<(), Problem> {
        self.event(Event::TaskSucceeded { attempt, output })?;
        self.tasks.retain(|(_, other)| *other != attempt);
        Ok(())
    }

    pub fn fail(&mut self, state: &str, error: &str) {
        let attempt = self.attempt(state);
        self.tasks.retain(|(_, other)| *other != attempt);
        self.event(Event::TaskFailed { attempt, failure: Failure { error: Some(error.to_owned()), cause: None } })
            .unwrap();
    }

    pub fn take(&mut self, state: &str, worker: &str) {
        let attempt = self.attempt(state);
        self.event(Event::TaskStarted { attempt, worker: Some(worker.to_owned()) }).unwrap();
    }

    pub fn beat(&mut self, state: &str) {
        let attempt = self.attempt(state);
        self.event(Event::Heartbeat { attempt }).unwrap();
    }

    pub fn end_map_run(&mut self, outcome: Result<Value, Failure>) {
        let attempt = self.map_run.take().unwrap();
        self.event(Event::MapRunEnded { attempt, outcome }).unwrap();
    }

    pub fn advance(&mut self, seconds: i64) {
        self.now.0 += seconds * 1_000_000;
    }

    pub fn next_due(&self) -> Option<Micros> {
        self.timers.values().min().copied()
    }

    /// Moves to the next timer and fires it; does nothing when none is set.
    pub fn fire(&mut self) {
        let Some((timer, due)) = self.timers.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due))
        else {
            return;
        };
        self.timers.remove(&timer);
        self.now = self.now.max(due);
        self.event(Event::Timer(timer)).unwrap();
    }

    /// Goes on while steps stop at their bound; answers with the number of steps.
    pub fn run_on(&mut self) -> usize {
        let mut steps = 0;
        while self.more {
            self.event(Event::Continue).unwrap();
            steps += 1;
        }
        steps
    }

    pub fn swap_definition(&mut self, definition: Value) -> Result<(), Problem> {
        self.definition = parse(&definition);
        self.event(Event::Continue)
    }

    pub fn output(&self) -> Option<Value> {
        match &self.execution.status {
            Status::Succeeded(output) => Some(Value::clone(output)),
            _ => None,
        }
    }

    pub fn failure(&self) -> Option<Failure> {
        match &self.execution.status {
            Status::Failed(failure) => Some(failure.clone()),
            _ => None,
        }
    }

    #[track_caller]
    pub fn check(&self, expected: Expect) {
        expected.assert_eq(&self.log);
    }
}

fn short(attempt: Attempt) -> String {
    format!("{}/{}/{}", attempt.thread, attempt.visit, attempt.number)
}

fn named(timer: Timer) -> String {
    match timer {
        Timer::Wait(attempt) => format!("Wait {}", short(attempt)),
        Timer::Retry(attempt) => format!("Retry {}", short(attempt)),
        Timer::Timeout(attempt) => format!("Timeout {}", short(attempt)),
        Timer::Heartbeat(attempt) => format!("Heartbeat {}", short(attempt)),
        Timer::Execution => "Execution".to_owned(),
    }
}
