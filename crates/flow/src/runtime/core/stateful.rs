//! The steps that keep state. Each works on an overlay; see [`super::ledger`] for what becomes of the changes.
//!
//! Only first revisions count: an event that was enriched again later has been counted before.

use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::port::Cause;
use smallvec::SmallVec;

use super::tested::Tested;
use super::{Core, Flight, Next, Run};
use crate::compile::{AggregatePlan, DedupePlan, InputCondition, InputPlan, KeyedConfig, KeyedPlan, Work};
use crate::doc::{Doc, Fault, Value};
use crate::operators::value::{render_key, render_text, render_time};
use crate::operators::{Corrupt, Event, Input, Outcome, Position};
use crate::path::Path;
use crate::program::Env;
use crate::runtime::outbox::Sink;
use crate::runtime::overlay::Overlay;

impl Core {
    pub(super) fn aggregate(
        &mut self,
        flight: &mut Flight,
        work: &AggregatePlan,
        out: &mut dyn Sink,
    ) -> Result<Next, Fault> {
        if let Some(retry) = &flight.retry {
            let id = self.plan.steps.get(flight.step).map(|step| step.id.as_str());
            let kept = retry.kept.iter().find(|(step, _)| Some(step.as_str()) == id).map(|(_, json)| json.clone());
            if let (Some(into), Some(json)) = (&work.into, kept) {
                flight.doc.set_json(into, json)?;
                self.tested.forget();
            }
            return Ok(Next::Go);
        }
        if !self.counts(flight) {
            return Ok(Next::Go);
        }
        let Some(key) = flight.doc.key(&work.key) else { return Ok(Next::Go) };
        if let Some(bound) = flight.late {
            self.too_late(flight, bound, out);
            return Ok(Next::Go);
        }
        let Some(Run::Aggregate(run)) = self.runs.get_mut(flight.step) else { return Ok(Next::Go) };
        self.scratch.clear();
        let shown = work.into.is_some();
        {
            let mut texts = Vec::new();
            let inputs = inputs(&work.inputs, &flight.doc, &mut self.env, &mut self.tested, &mut texts)?;
            let mut state = Overlay { kept: &*self.around.kept, space: &run.space, changes: &mut run.changes };
            let out = shown.then_some(&mut self.scratch);
            run.operator.event(&mut state, &key, flight.time, position(flight), &inputs, out).map_err(corrupt)?;
        }
        if work.output.is_some() {
            let row = run.rows.entry(key).or_default();
            row.time = flight.time;
            // One document tells of all the key's events of a commit, so it belongs to the longest of their chains.
            if hops(row.cause.as_deref()) < hops(flight.cause.as_deref()) {
                row.cause.clone_from(&flight.cause);
            }
        }
        if let Some(into) = &work.into {
            let values = Bytes::copy_from_slice(&self.scratch);
            if self.plan.retry.is_some() {
                flight.kept.push((flight.step, values.clone()));
            }
            flight.doc.set_checked_json_at(into.segments(), values);
            self.tested.forget();
        }
        Ok(Next::Go)
    }

    pub(super) fn keyed(&mut self, flight: &mut Flight, work: &KeyedPlan, out: &mut dyn Sink) -> Result<Next, Fault> {
        if !self.counts(flight) {
            return Ok(Next::Go);
        }
        let key = match &work.key {
            Some(path) => match flight.doc.key(path) {
                Some(key) => key,
                None => return Ok(Next::Go),
            },
            None => Bytes::new(),
        };
        let late = match flight.late {
            Some(bound) => Some(bound),
            None => {
                let Some(Run::Keyed(run)) = self.runs.get_mut(flight.step) else { return Ok(Next::Go) };
                let mut texts = Vec::new();
                let inputs = inputs(&work.inputs, &flight.doc, &mut self.env, &mut self.tested, &mut texts)?;
                let mut state = Overlay { kept: &*self.around.kept, space: &run.space, changes: &mut run.changes };
                let (time, position, hops) = (flight.time, position(flight), hops(flight.cause.as_deref()));
                let event = Event { key: &key, time, position, hops, inputs: &inputs };
                match run.operator.event(&mut state, &event, &mut self.emissions).map_err(corrupt)? {
                    Outcome::Taken => None,
                    Outcome::Late { bound } => Some(bound),
                }
            }
        };
        if let Some(bound) = late {
            self.too_late(flight, bound, out);
        }
        if !self.emissions.is_empty() {
            let mut emissions = std::mem::take(&mut self.emissions);
            self.results((flight.step, work), &mut emissions, out);
            self.emissions = emissions;
        }
        Ok(Next::Go)
    }

    /// Counts and tells of an event that its step does not take any more.
    fn too_late(&mut self, flight: &mut Flight, bound: Micros, out: &mut dyn Sink) {
        self.tally.at(flight.step, |tally| tally.late += 1);
        let plan = Arc::clone(&self.plan);
        if let Some(step) = plan.steps.get(flight.step) {
            self.tell_late(flight, bound, &step.id, out);
        }
    }

    pub(super) fn dedupe(&mut self, flight: &mut Flight, work: &DedupePlan) -> Result<Next, Fault> {
        if !self.counts(flight) {
            return Ok(Next::Go);
        }
        let Some(key) = flight.doc.key(&work.key) else { return Ok(Next::Go) };
        let Some(Run::Dedupe(run)) = self.runs.get_mut(flight.step) else { return Ok(Next::Go) };
        let mut state = Overlay { kept: &*self.around.kept, space: &run.space, changes: &mut run.changes };
        let first = run.operator.is_first(&mut state, &key, flight.time).map_err(corrupt)?;
        Ok(if first { Next::Go } else { Next::Drop })
    }

    /// Puts the document of a key's values, as on the aggregate's output stream, into `text`.
    pub(super) fn document(
        &mut self,
        step: usize,
        entity: Option<&str>,
        key: &[u8],
        time: Micros,
        text: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        text.clear();
        text.extend_from_slice(b"{\"key\":");
        render_key(text, key);
        if let Some(entity) = entity {
            text.extend_from_slice(b",\"entity\":");
            render_text(text, entity);
        }
        text.extend_from_slice(b",\"time\":");
        render_time(text, time);
        text.extend_from_slice(b",\"values\":");
        if let Some(Run::Aggregate(run)) = self.runs.get_mut(step) {
            let state = Overlay { kept: &*self.around.kept, space: &run.space, changes: &mut run.changes };
            run.operator.values(&state, key, time, text).map_err(corrupt)?;
        }
        text.push(b'}');
        Ok(())
    }

    fn counts(&self, flight: &mut Flight) -> bool {
        if let Some(first) = flight.first {
            return first;
        }
        let revision = &self.paths.revision;
        let first = flight.retry.is_none() && flight.doc.i64(revision).is_none_or(|revision| revision <= 1);
        flight.first = Some(first);
        if first && flight.late.is_none() {
            self.foresee(flight);
        }
        first
    }

    /// Says of which keys this step and those behind it will need the state, up to one that may keep the event: keys lie all
    /// over memory, and if each step waited for its own, that would be most of what it takes. Where a step in between
    /// changes a key, the hint is a wrong one and does no harm.
    fn foresee(&self, flight: &Flight) {
        let ahead = self.plan.steps.iter().zip(&self.runs).skip(flight.step);
        let sure = ahead.take_while(|(step, _)| !matches!(step.work, Work::Filter(_) | Work::Lookup(_)));
        let keyed = sure.filter_map(|(step, run)| {
            let (space, path) = match (&step.work, run) {
                (Work::Aggregate(work), Run::Aggregate(run)) => (&run.space, &work.key),
                (Work::Dedupe(work), Run::Dedupe(run)) => (&run.space, &work.key),
                // The state of windows is under their starts as well.
                (Work::Keyed(KeyedPlan { config: KeyedConfig::Sessions(_), key: Some(key), .. }), Run::Keyed(run)) => {
                    (&run.space, key)
                }
                _ => return None,
            };
            Some((&**space, flight.doc.key(path)?))
        });
        let keys: SmallVec<[(&str, Bytes); 8]> = keyed.collect();
        if keys.len() > 1 {
            let keys: SmallVec<[(&str, &[u8]); 8]> = keys.iter().map(|(space, key)| (*space, &**key)).collect();
            self.around.kept.foresee(&keys);
        }
    }
}

/// What an event gives to each measure. `texts` holds what is no text in the event while the operator looks at it: the
/// JSON of arrays and objects, and times that a program made.
fn inputs<'a>(
    plans: &[InputPlan],
    doc: &'a Doc,
    env: &mut Env,
    tested: &mut Tested,
    texts: &'a mut Vec<Option<Bytes>>,
) -> Result<SmallVec<[Input<'a>; 8]>, Fault> {
    // Until it is made, a text is an empty one: so no input here is one of JSON already.
    const MADE_LATER: Input<'static> = Input::Json("");
    let mut inputs: SmallVec<[Input<'a>; 8]> = SmallVec::with_capacity(plans.len());
    for plan in plans {
        let is_taken = match &plan.condition {
            Some(InputCondition { condition, place }) => tested.of(*place, || condition.test(doc, env))?,
            None => true,
        };
        inputs.push(match &plan.value {
            _ if !is_taken => Input::Skip,
            None => Input::Unit,
            Some(path) => match doc.get(path) {
                None | Some(Value::Null) => Input::Skip,
                Some(Value::Boolean(value)) => Input::Bool(*value),
                Some(Value::Integer(value)) => Input::Int(*value),
                Some(Value::Float(value)) => Input::Float(value.into_inner()),
                Some(Value::Object(_) | Value::Array(_) | Value::Timestamp(_)) => MADE_LATER,
                Some(value) => value.to_str().map_or(Input::Skip, Input::Text),
            },
        });
    }
    if !inputs.contains(&MADE_LATER) {
        return Ok(inputs);
    }
    texts.extend(plans.iter().zip(&inputs).map(|(plan, input)| {
        let path = plan.value.as_ref().filter(|_| *input == MADE_LATER)?;
        if is_time(doc, path) { doc.key(path) } else { doc.json(path) }
    }));
    let texts: &'a [Option<Bytes>] = texts;
    for ((input, plan), text) in inputs.iter_mut().zip(plans).zip(texts) {
        if *input != MADE_LATER {
            continue;
        }
        *input = match text.as_deref().and_then(|text| std::str::from_utf8(text).ok()) {
            None => Input::Skip,
            // As the event's text will have it.
            Some(text) if plan.value.as_ref().is_some_and(|path| is_time(doc, path)) => Input::Text(text),
            Some(text) => Input::Json(text),
        };
    }
    Ok(inputs)
}

fn is_time(doc: &Doc, path: &Path) -> bool {
    matches!(doc.get(path), Some(Value::Timestamp(_)))
}

fn position(flight: &Flight) -> Position {
    flight.at
}

/// How many steps of its chain lie behind what comes of an event; 0 = it belongs to none.
fn hops(cause: Option<&Cause>) -> u32 {
    cause.map_or(0, |cause| cause.hops)
}

fn corrupt(error: Corrupt) -> Fault {
    Fault::new("HW-FLOW-041", error.to_string())
}
