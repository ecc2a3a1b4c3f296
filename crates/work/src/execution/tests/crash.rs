//! Random machines under random outsides: an execution that is restored from its records before every step makes the
//! same history and effects, event for event, as one that never was; one that failed is taken up again. What it takes in
//! memory is known at every step.

use headwater_base::Micros;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::play::parse;
use crate::definition::{Definition, Flavor};
use crate::execution::record::{Changes, Stored, changes};
use crate::execution::weight::Weight;
use crate::execution::{Attempt, Begin, Effect, Event, Execution, Failure, Given, Identity, Status, Step, Timer};
use crate::limits::Limits;

/// One state of a random machine, by what it does.
#[derive(Clone, Debug)]
enum Piece {
    Pass(Value),
    Task { retry: bool, timeout: bool },
    Wait(u8),
    Choice,
    Assign,
    Fail,
    Parallel(Vec<Vec<Piece>>),
    Map(u8, Vec<Piece>),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let leaf = prop_oneof![
        3 => Just(Piece::Pass(json!({"n": [1, 2, 3], "k": true}))),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(retry, timeout)| Piece::Task { retry, timeout }),
        1 => (0_u8..3).prop_map(Piece::Wait),
        1 => Just(Piece::Choice),
        1 => Just(Piece::Assign),
        1 => Just(Piece::Fail),
    ];
    let piece = leaf.prop_recursive(2, 12, 3, |inner| {
        let some = prop::collection::vec(inner, 1..3);
        prop_oneof![
            prop::collection::vec(some.clone(), 1..3).prop_map(Piece::Parallel),
            (0_u8..4, some).prop_map(|(width, pieces)| Piece::Map(width, pieces)),
        ]
    });
    prop::collection::vec(piece, 1..5)
}

/// The machine of these pieces in a row; names are unique.
fn machine(pieces: &[Piece], names: &mut u32) -> Value {
    let first = *names;
    *names += u32::try_from(pieces.len()).unwrap();
    let mut states = serde_json::Map::new();
    for (number, piece) in (first..).zip(pieces) {
        let mut state = body(piece, number, names);
        let last = number + 1 == first + u32::try_from(pieces.len()).unwrap();
        let ends = matches!(piece, Piece::Fail | Piece::Choice);
        if !ends {
            state[if last { "End" } else { "Next" }] =
                if last { json!(true) } else { json!(format!("S{}", number + 1)) };
        }
        if matches!(piece, Piece::Choice) {
            let next = if last { format!("S{number}") } else { format!("S{}", number + 1) };
            state["Choices"] = json!([{"Variable": "$.k", "IsPresent": true, "Next": next}]);
            state["Default"] = json!(next);
        }
        if matches!(piece, Piece::Fail) && !last {
            // What follows stays reachable: only some inputs fail.
            state = json!({"Type": "Choice", "Default": format!("S{}", number + 1),
                "Choices": [{"Variable": "$.missing", "IsPresent": true, "Next": format!("S{}", number + 1)}]});
        }
        states.insert(format!("S{number}"), state);
    }
    json!({"StartAt": format!("S{first}"), "States": states})
}

fn body(piece: &Piece, number: u32, names: &mut u32) -> Value {
    let handlers = json!([{"ErrorEquals": ["Odd"], "IntervalSeconds": 1, "MaxAttempts": 2, "JitterStrategy": "FULL"}]);
    match piece {
        Piece::Pass(result) => json!({"Type": "Pass", "Result": result}),
        Piece::Task { retry, timeout } => {
            let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"});
            if *retry {
                state["Retry"] = handlers;
            }
            if *timeout {
                state["TimeoutSeconds"] = json!(2);
                state["HeartbeatSeconds"] = json!(1);
            }
            state
        }
        Piece::Wait(seconds) => json!({"Type": "Wait", "Seconds": seconds}),
        Piece::Choice => json!({"Type": "Choice"}),
        Piece::Assign => {
            json!({"Type": "Pass", "Assign": {format!("v{number}"): {"deep.$": "$", "id.$": "States.UUID()"}}})
        }
        Piece::Fail => json!({"Type": "Fail", "Error": "Odd"}),
        Piece::Parallel(branches) => {
            let branches: Vec<Value> = branches.iter().map(|pieces| machine(pieces, names)).collect();
            json!({"Type": "Parallel", "Branches": branches, "Retry": handlers})
        }
        Piece::Map(width, pieces) => json!({"Type": "Map", "QueryLanguage": "JSONata", "MaxConcurrency": width,
            "Items": [1, {"k": 2.5}, -7], "ItemProcessor": machine(pieces, names), "Retry": handlers}),
    }
}

/// The outside: what is under way, and the journal.
struct World<'a> {
    definition: &'a Definition,
    execution: Execution,
    restored: bool,
    stored: Stored,
    weight: Weight,
    said: Vec<String>,
    tasks: Vec<Attempt>,
    timers: Vec<(Timer, Micros)>,
    more: bool,
    now: Micros,
}

impl<'a> World<'a> {
    fn new(definition: &'a Definition, restored: bool, limits: &Limits) -> Self {
        let begin = Begin {
            identity: Identity { name: "e".to_owned(), ..Identity::default() },
            flavor: Flavor::Standard,
            machine: 0,
            input: json!({"k": [1, 2]}),
            item: None,
        };
        let given = Given { now: Micros(0), seed: [0; 32], token: &|attempt| format!("{attempt:?}"), limits };
        let (execution, step) = Execution::start(definition, begin, &given).unwrap();
        let mut world = Self {
            definition,
            weight: Weight::of(&execution),
            execution,
            restored,
            stored: Stored::default(),
            said: Vec::new(),
            tasks: Vec::new(),
            timers: Vec::new(),
            more: false,
            now: Micros(0),
        };
        world.commit(step);
        world
    }

    fn commit(&mut self, step: Step) {
        let frame = changes(&self.execution, &step.changed).to_bytes();
        self.stored.apply(Changes::from_bytes(&frame).unwrap());
        self.weight.follow(&self.execution, &step.changed);
        assert_eq!(self.weight.bytes(), Weight::of(&self.execution).bytes());
        self.said.extend(step.history.iter().map(|event| format!("{event:?}")));
        self.said.extend(step.effects.iter().map(|effect| format!("{effect:?}")));
        for effect in step.effects {
            match effect {
                Effect::StartTask(task) => self.tasks.push(task.attempt),
                Effect::StopTask(attempt) => self.tasks.retain(|other| *other != attempt),
                Effect::SetTimer { timer, due } => {
                    self.timers.retain(|(other, _)| *other != timer);
                    self.timers.push((timer, due));
                }
                Effect::ClearTimer(timer) => self.timers.retain(|(other, _)| *other != timer),
                Effect::Ended(_) => {
                    self.tasks.clear();
                    self.timers.clear();
                }
                _ => {}
            }
        }
        self.more = step.more;
        if self.restored {
            let restored = self.stored.restore().unwrap();
            assert_eq!(restored, self.execution);
            self.execution = restored;
        }
    }

    /// One step of the outside, chosen by a byte; false when nothing is left to do.
    fn turn(&mut self, choice: u8, number: u8, limits: &Limits) -> bool {
        let token = |attempt: &Attempt| format!("{attempt:?}");
        let given = Given { now: self.now, seed: [number; 32], token: &token, limits };
        if self.execution.status != Status::Running {
            return match self.execution.redrive(self.definition, &given) {
                Ok(step) => {
                    self.commit(step);
                    true
                }
                Err(problem) => {
                    assert_eq!(problem.code, "HW-WORK-007");
                    false
                }
            };
        }
        let pick = |length: usize| usize::from(choice / 8) % length;
        let event = if self.more {
            Event::Continue
        } else if self.tasks.is_empty() || (choice.is_multiple_of(8) && !self.timers.is_empty()) {
            self.timers.sort_by_key(|(timer, due)| (*due, *timer));
            if self.timers.is_empty() {
                return false;
            }
            let (timer, due) = self.timers.remove(0);
            self.now = self.now.max(due);
            Event::Timer(timer)
        } else {
            let attempt = self.tasks[pick(self.tasks.len())];
            match choice % 8 {
                1 => Event::Heartbeat { attempt },
                2 => Event::TaskSubmitted { attempt, output: json!({}) },
                3 => {
                    self.tasks.retain(|other| *other != attempt);
                    Event::TaskFailed { attempt, failure: Failure::new("Odd", "because") }
                }
                _ => {
                    self.tasks.retain(|other| *other != attempt);
                    Event::TaskSucceeded { attempt, output: json!({"k": number, "x": 0.1}) }
                }
            }
        };
        let given = Given { now: self.now, ..given };
        match self.execution.step(self.definition, event, &given) {
            Ok(step) => self.commit(step),
            Err(problem) => self.said.push(problem.code),
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_restored_execution_goes_on_as_if_nothing_had_happened(
        pieces in pieces(),
        script in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let limits = Limits { entries_per_step_max: 5, history_events_max: 400, ..Limits::default() };
        let definition = parse(&machine(&pieces, &mut 0));
        let mut live = World::new(&definition, false, &limits);
        let mut restored = World::new(&definition, true, &limits);
        for (number, choice) in (0_u8..).zip(script) {
            let (one, other) = (live.turn(choice, number, &limits), restored.turn(choice, number, &limits));
            prop_assert_eq!(one, other);
            if !one {
                break;
            }
        }
        prop_assert_eq!(&live.said, &restored.said);
        prop_assert_eq!(live.execution, restored.execution);
    }
}
