//! Map states: items inside the execution, or the start and end of a distributed Map Run.

use std::sync::Arc;

use headwater_base::Problem;
use serde_json::{Map, Value, json};

use super::event::{Attempt, Effect};
use super::fault::Fault;
use super::history::Details;
use super::map_run::{Items, MapRun, Tolerance};
use super::run::Run;
use super::scope::{Scope, unexpected};
use super::states::{Leave, too_large};
use super::{Data, Failure, Item, Phase, ThreadId};
use crate::definition::{Amount, Flavor, Language, MapState, Processor, State, Template, Term};

/// All inputs of a distributed Map whose items came with the state's own, as JSON: a selector can put all of that into each.
const INPUTS_BYTES_MAX: usize = 32 << 20;

impl Run<'_> {
    pub(super) fn map(&mut self, id: ThreadId, state: &State, map: &MapState) -> Result<(), Fault> {
        let input = self.effective_input(id, state)?;
        let (items, concurrency) = {
            let Some(scope) = self.scope(id, state, &input) else { return Ok(()) };
            (items(&scope, state, map)?, concurrency(&scope, map)?)
        };
        let Processor::Distributed(flavor) = map.processor else {
            return self.inline(id, state, map, items, concurrency);
        };
        let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
        let redrive = self.execution.threads.get(&id).is_some_and(|thread| thread.phase == Phase::Redrive);
        if !redrive {
            self.follow(id, "MapStateStarted", Details::MapStarted { length });
        }
        let run = MapRun { redrive, ..self.map_run(id, state, map, (flavor, input, items, concurrency))? };
        let event = if redrive { "MapRunRedriven" } else { "MapRunStarted" };
        self.follow(id, event, Details::MapRun { arn: run.arn.clone() });
        self.wait_in(id, Phase::MapRun);
        self.step.effects.push(Effect::StartMapRun(Box::new(run)));
        Ok(())
    }

    fn inline(
        &mut self,
        id: ThreadId,
        state: &State,
        map: &MapState,
        items: Vec<Value>,
        concurrency: u64,
    ) -> Result<(), Fault> {
        let limits = self.given.limits;
        if items.len() > limits.map_items_max || self.execution.threads.len() + items.len() > limits.threads_max {
            let reason = format!("The Map state has {} items; the limit is {}.", items.len(), limits.map_items_max);
            return Err(Fault::Runtime(reason));
        }
        let length = items.len();
        self.follow(id, "MapStateStarted", Details::MapStarted { length: u64::try_from(length).unwrap_or(u64::MAX) });
        if let Some(data) = self.data(id) {
            data.items = Arc::new(items);
        }
        self.wait_in(id, Phase::Mapping { next: 0, open: 0, bytes: 0 });
        if length == 0 {
            return self.mapped(id, state);
        }
        let at_once =
            usize::try_from(concurrency).ok().filter(|width| *width > 0).unwrap_or(limits.map_concurrency_max);
        for _ in 0..at_once.min(length).min(limits.map_concurrency_max) {
            self.iteration(id, state, map)?;
        }
        Ok(())
    }

    /// Starts the next item; the thread's cursor is what it follows.
    fn iteration(&mut self, id: ThreadId, state: &State, map: &MapState) -> Result<(), Fault> {
        let Some(thread) = self.execution.threads.get(&id) else { return Ok(()) };
        let Phase::Mapping { next, open, bytes } = thread.phase else { return Ok(()) };
        let Some(value) = usize::try_from(next).ok().and_then(|at| thread.data.items.get(at)).cloned() else {
            return Ok(());
        };
        let item = Item { index: u64::from(next), value };
        let input = self.effective_input(id, state)?;
        let item_input = match self.scope(id, state, &input) {
            Some(scope) => item_input(&scope, map, &item)?,
            None => item.value.clone(),
        };
        self.bounded(state, &item_input)?;
        let details = Details::Iteration { name: state.name.clone(), index: item.index };
        let cursor = self.record(self.cursor(id), "MapIterationStarted", details);
        self.wait_in(id, Phase::Mapping { next: next + 1, open: open + 1, bytes });
        let data = Data { input: Arc::new(item_input), item: Some(item), ..Data::default() };
        self.spawn(Some(id), next, map.machine, cursor, data);
        Ok(())
    }

    pub(super) fn iteration_succeeded(
        &mut self,
        parent: ThreadId,
        child: ThreadId,
        state: &State,
        map: &MapState,
        cursor: u64,
    ) -> Result<(), Fault> {
        let index = self.execution.threads.get(&child).map_or(0, |thread| u64::from(thread.slot));
        let event =
            self.record(cursor, "MapIterationSucceeded", Details::Iteration { name: state.name.clone(), index });
        let Some(thread) = self.thread(parent) else { return Ok(()) };
        let items = thread.data.items.len();
        let Phase::Mapping { next, open, .. } = &mut thread.phase else { return Ok(()) };
        *open = open.saturating_sub(1);
        if usize::try_from(*next).is_ok_and(|next| next < items) {
            // The next item follows what the item before it did, not the note that it is done.
            thread.cursor = cursor;
            return self.iteration(parent, state, map);
        }
        let over = *open == 0;
        thread.cursor = event;
        if over { self.mapped(parent, state) } else { Ok(()) }
    }

    /// All items are done.
    fn mapped(&mut self, id: ThreadId, state: &State) -> Result<(), Fault> {
        let results = self.collect(id);
        self.record(self.cursor(id), "MapStateSucceeded", Details::None);
        self.leave(id, state, Arc::new(Value::Array(results)), &Leave::of(state))
    }

    fn map_run(
        &self,
        id: ThreadId,
        state: &State,
        map: &MapState,
        (flavor, input, items, concurrency): (Flavor, Arc<Value>, Vec<Value>, u64),
    ) -> Result<MapRun, Fault> {
        let scope = self.scope(id, state, &input);
        let evaluate = |template: &Option<Template>| -> Result<Option<Value>, Fault> {
            match (template, &scope) {
                (Some(template), Some(scope)) => scope.template(template).map(Some),
                _ => Ok(None),
            }
        };
        let tolerance = scope.as_ref().map_or(Ok(Tolerance::default()), |scope| tolerance(scope, map))?;
        let identity = &self.execution.identity;
        let mut chance = self.chance.borrow_mut();
        let label = map.label.clone().unwrap_or_else(|| chance.uuid());
        let arn = identity.machine_arn.replacen(":stateMachine:", ":mapRun:", 1);
        let arn = format!("{arn}/{label}:{}", chance.uuid());
        drop(chance);
        let (mut inputs, mut bytes) = (Items::default(), 0);
        for (index, value) in (0..).zip(items) {
            let item = Item { index, value };
            let input = match &scope {
                Some(scope) => item_input(scope, map, &item)?,
                None => item.value.clone(),
            };
            self.bounded(state, &input)?;
            bytes += crate::size::of(&input).0;
            if bytes > INPUTS_BYTES_MAX {
                return Err(Fault::Named("States.DataLimitExceeded", too_large(&state.name)));
            }
            inputs.push(&item, &input);
        }
        Ok(MapRun {
            attempt: self.attempt(id),
            arn,
            label,
            machine: map.machine,
            flavor,
            items: inputs,
            reader: evaluate(&map.reader)?,
            batcher: evaluate(&map.batcher)?,
            writer: evaluate(&map.writer)?,
            concurrency,
            tolerance,
            redrive: false,
        })
    }

    pub(super) fn map_run_ended(&mut self, attempt: Attempt, outcome: Result<Value, Failure>) -> Result<(), Problem> {
        let id = self.expect(attempt, |phase| *phase == Phase::MapRun)?;
        let Some(state) = self.state(id) else { return Ok(()) };
        self.wait_in(id, Phase::Leaving);
        match outcome {
            Ok(results) => {
                let first = self.execution.threads.get(&id).is_some_and(|thread| thread.entered_after == 0);
                let started = self.cursor(id);
                let succeeded = self.follow(id, "MapRunSucceeded", Details::None);
                self.record(succeeded, "MapStateSucceeded", Details::None);
                // As recorded: leaving follows the run's end in the first state of an execution, its start elsewhere.
                if let Some(thread) = self.thread(id) {
                    thread.cursor = if first { succeeded } else { started };
                }
                if let Err(fault) = self.leave(id, state, Arc::new(results), &Leave::of(state)) {
                    self.raise(id, fault);
                }
            }
            Err(failure) => {
                self.follow(id, "MapRunFailed", Details::Failed(failure.clone()));
                self.fail(id, failure);
            }
        }
        Ok(())
    }
}

/// What a child or iteration begins with for an item.
pub(super) fn item_input(scope: &Scope<'_>, map: &MapState, item: &Item) -> Result<Value, Fault> {
    match &map.selector {
        Some(selector) => Scope { item: Some(item), ..*scope }.template(selector),
        None => Ok(item.value.clone()),
    }
}

/// The fields of an object as items, as a reader has them of a file that holds one.
pub(super) fn of_object(fields: Map<String, Value>) -> Vec<Value> {
    fields.into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

pub(super) fn items(scope: &Scope<'_>, state: &State, map: &MapState) -> Result<Vec<Value>, Fault> {
    if map.reader.is_some() && map.items.is_none() {
        return Ok(Vec::new());
    }
    let found = match &map.items {
        Some(Template::Term(Term::Path(path), field)) => {
            scope.path(path).map_err(|miss| Fault::not_in_input(&path.text, field, scope.input, &miss))?
        }
        Some(template) => scope.template(template)?,
        None => scope.input.clone(),
    };
    let jsonata = state.language == Language::Jsonata;
    match (found, &map.items) {
        (Value::Array(items), _) => Ok(items),
        (Value::Object(fields), Some(_)) if jsonata && matches!(map.processor, Processor::Distributed(_)) => {
            Ok(of_object(fields))
        }
        (other, Some(Template::Term(Term::Query(query), field))) => Err(unexpected(query, field, "array", &other)),
        (other, given) if jsonata => {
            let what = if given.is_some() { "Items" } else { "Map state input" };
            Err(Fault::Query {
                message: format!("{what} must be an array but was: {other}"),
                location: None,
                after_evaluation: false,
            })
        }
        (_, Some(Template::Term(Term::Path(path), _))) => {
            Err(Fault::Runtime(format!("Reference path \"{}\" must point to array.", path.text)))
        }
        _ => Err(Fault::Runtime("Reference path \"$\" must point to array.".to_owned())),
    }
}

/// 0 is no bound of the definition's.
pub(super) fn concurrency(scope: &Scope<'_>, map: &MapState) -> Result<u64, Fault> {
    let Some(amount) = &map.max_concurrency else { return Ok(0) };
    integer(amount, scope.amount(amount)?)?
        .try_into()
        .map_err(|_| Fault::Runtime("MaxConcurrency cannot be negative.".to_owned()))
}

pub(super) fn tolerance(scope: &Scope<'_>, map: &MapState) -> Result<Tolerance, Fault> {
    let mut tolerance = Tolerance::default();
    if let Some(amount) = &map.tolerated_count {
        let count = integer(amount, scope.amount(amount)?)?;
        let negative = || Fault::Runtime("ToleratedFailureCount cannot be negative.".to_owned());
        tolerance.count = Some(u64::try_from(count).map_err(|_| negative())?);
    }
    if let Some(amount) = &map.tolerated_percentage {
        let value = scope.amount(amount)?;
        let share = value.as_f64().ok_or_else(|| unfit(amount, &value, "float"))?;
        if !(0.0..=100.0).contains(&share) {
            return Err(Fault::Runtime("ToleratedFailurePercentage must be between 0 and 100.".to_owned()));
        }
        tolerance.percentage = Some(share);
    }
    Ok(tolerance)
}

fn integer(amount: &Amount, value: Value) -> Result<i64, Fault> {
    value.as_i64().ok_or_else(|| unfit(amount, &value, "integer"))
}

fn unfit(amount: &Amount, value: &Value, kind: &str) -> Fault {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let place = match &amount.term {
        Term::Path(path) => path.text.clone(),
        Term::Query(query) => query.text.clone(),
        Term::Call(call) => call.text.clone(),
        Term::Literal(literal) => literal.to_string(),
    };
    Fault::Runtime(format!(
        "The {} field refers to value \"{text}\" which is not a valid {kind}: {place}",
        amount.field
    ))
}
