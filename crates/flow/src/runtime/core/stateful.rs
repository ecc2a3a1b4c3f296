//! The steps that keep state. Each works on an overlay; see [`super::ledger`] for what becomes of the changes.
//!
//! Only first revisions count: an event that was enriched again later has been counted before.

use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::port::Cause;
use smallvec::SmallVec;

use super::{Core, Flight, Next, Run};
use crate::compile::{AggregatePlan, DedupePlan, InputPlan, KeyedConfig, KeyedPlan, Work};
use crate::doc::{Doc, Fault, Value};
use crate::operators::value::render_text;
use crate::operators::{Corrupt, Event, Input, Outcome, Position};
use crate::program::Env;
use crate::runtime::outbox::Sink;
use crate::runtime::overlay::Overlay;

impl Core {
    pub(super) fn aggregate(&mut self, flight: &mut Flight, work: &AggregatePlan) -> Result<Next, Fault> {
        if let Some(retry) = &flight.retry {
            let id = self.plan.steps.get(flight.step).map(|step| step.id.as_str());
            let kept = retry.kept.iter().find(|(step, _)| Some(step.as_str()) == id).map(|(_, json)| json.clone());
            if let (Some(into), Some(json)) = (&work.into, kept) {
                flight.doc.set_json(into, json)?;
            }
            return Ok(Next::Go);
        }
        if !self.counts(flight) || flight.late.is_some() {
            return Ok(Next::Go);
        }
        let Some(key) = flight.doc.key(&work.key) else { return Ok(Next::Go) };
        let Some(Run::Aggregate(run)) = self.runs.get_mut(flight.step) else { return Ok(Next::Go) };
        self.scratch.clear();
        let shown = work.into.is_some();
        {
            let mut texts = Vec::new();
            let inputs = inputs(&work.inputs, &flight.doc, &mut self.env, &mut texts)?;
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
                let inputs = inputs(&work.inputs, &flight.doc, &mut self.env, &mut texts)?;
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
            self.tally.at(flight.step, |tally| tally.late += 1);
            let plan = std::sync::Arc::clone(&self.plan);
            if let Some(step) = plan.steps.get(flight.step) {
                self.tell_late(flight, bound, &step.id, out);
            }
        }
        if !self.emissions.is_empty() {
            let mut emissions = std::mem::take(&mut self.emissions);
            self.results((flight.step, work), &mut emissions, out);
            self.emissions = emissions;
        }
        Ok(Next::Go)
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
        render_text(text, &String::from_utf8_lossy(key));
        if let Some(entity) = entity {
            text.extend_from_slice(b",\"entity\":");
            render_text(text, entity);
        }
        text.extend_from_slice(b",\"time\":");
        render_text(text, &time.to_string());
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
    texts: &'a mut Vec<Option<Bytes>>,
) -> Result<SmallVec<[Input<'a>; 8]>, Fault> {
    let mut taken = SmallVec::<[bool; 8]>::with_capacity(plans.len());
    for plan in plans {
        taken.push(match &plan.condition {
            Some(condition) => condition.test(doc, env)?,
            None => true,
        });
    }
    let is_made = |value: &Value| matches!(value, Value::Object(_) | Value::Array(_) | Value::Timestamp(_));
    let found = plans.iter().map(|plan| plan.value.as_ref().and_then(|path| doc.get(path)));
    let values: SmallVec<[Option<&'a Value>; 8]> = found.collect();
    if values.iter().any(|value| value.is_some_and(is_made)) {
        texts.extend(plans.iter().zip(&values).map(|(plan, value)| {
            let path = plan.value.as_ref()?;
            match (*value)? {
                Value::Object(_) | Value::Array(_) => doc.json(path),
                Value::Timestamp(_) => doc.key(path),
                _ => None,
            }
        }));
    }
    let texts: &'a [Option<Bytes>] = texts;
    let text = |index: usize| texts.get(index)?.as_deref().and_then(|text| std::str::from_utf8(text).ok());
    let read = plans.iter().zip(taken).zip(values).enumerate().map(|(index, ((plan, taken), value))| {
        if !taken {
            return Input::Skip;
        }
        if plan.value.is_none() {
            return Input::Unit;
        }
        match value {
            None | Some(Value::Null) => Input::Skip,
            Some(Value::Boolean(value)) => Input::Bool(*value),
            Some(Value::Integer(value)) => Input::Int(*value),
            Some(Value::Float(value)) => Input::Float(value.into_inner()),
            Some(Value::Object(_) | Value::Array(_)) => text(index).map_or(Input::Skip, Input::Json),
            // As the event's text will have it.
            Some(Value::Timestamp(_)) => text(index).map_or(Input::Skip, Input::Text),
            Some(value) => value.to_str().map_or(Input::Skip, Input::Text),
        }
    });
    Ok(read.collect())
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
