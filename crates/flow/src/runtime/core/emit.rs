//! What leaves a pipeline: events to outputs, copies to be retried, dead letters, results of windows and sessions.

use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Name;
use headwater_kernel::port::Cause;
use smallvec::SmallVec;

use super::chain::CUT;
use super::{Core, Flight, Rejected, letter_place, owed, reason};
use crate::compile::{KeyedPlan, Output, Plan, Work};
use crate::doc::{Doc, Fault};
use crate::operators::Emission;
use crate::runtime::figures::Figures;
use crate::runtime::letters::{self, Retry};
use crate::runtime::outbox::{Refused, Sink, Target};

impl Core {
    /// Writes an event that has passed all steps of the core's own plan. Answers whether it is the first revision of one
    /// whose lookups failed: it needs a second one, or a copy for that.
    pub(super) fn emit(&mut self, plan: &Plan, flight: &mut Flight, out: &mut dyn Sink) -> bool {
        let looks = !self.around.asking.is_empty();
        if !flight.failed.is_empty() {
            // One that is owed has been counted with its first revision, and has not been tried again.
            if !owed::is_owed(flight) {
                Figures::add(&self.around.figures.failed, 1);
            }
            if flight.retry.is_some() {
                self.again(flight, out);
                return false;
            }
            self.set_id(flight);
            let names: Vec<&str> =
                flight.failed.iter().filter_map(|step| plan.steps.get(*step)).map(|step| step.id.as_str()).collect();
            let json = serde_json::json!({"status": "failed", "failed": names}).to_string();
            flight.doc.set_checked_json_at(self.paths.enrichment.segments(), Bytes::from(json));
        } else if looks && flight.doc.get(&self.paths.enrichment).is_none() {
            flight
                .doc
                .set_checked_json_at(self.paths.enrichment.segments(), Bytes::from_static(b"{\"status\":\"ok\"}"));
        }
        if flight.retry.is_some() {
            self.set_id(flight);
            flight.doc.set(&self.paths.revision, 2);
            Figures::add(&self.around.figures.revised, 1);
        }
        let mut chosen = SmallVec::<[(usize, bool); 4]>::new();
        for (index, output) in plan.outputs.iter().enumerate() {
            match self.wants(flight, output) {
                Ok(Some(delete)) => chosen.push((index, delete)),
                Ok(None) => {}
                Err(fault) => {
                    self.dead_flight(flight, None, &fault, out);
                    return false;
                }
            }
        }
        let chosen = chosen.iter().filter_map(|(index, delete)| Some((plan.outputs.get(*index)?, *delete)));
        let mut memory = std::mem::take(&mut self.scratch);
        let written = self.write_all(flight, chosen, &mut memory, out);
        self.scratch = memory;
        if let Err(fault) = written {
            self.dead_flight(flight, None, &fault, out);
            return false;
        }
        !flight.failed.is_empty()
    }

    /// Whether the output takes the event, and if so, whether it deletes its document. Whatever can fail does so here,
    /// before any output has got the event.
    fn wants(&mut self, flight: &Flight, output: &Output) -> Result<Option<bool>, Fault> {
        if let Some(when) = &output.when
            && !when.test(&flight.doc, &mut self.env)?
        {
            return Ok(None);
        }
        let Some(table) = &output.table else { return Ok(Some(false)) };
        if let Some(path) = &output.key
            && flight.doc.key(path).is_none()
        {
            return Err(Fault::new("HW-FLOW-038", format!("there is no key for the table's document at `{path}`")));
        }
        match &table.delete {
            Some(delete) => delete.test(&flight.doc, &mut self.env).map(Some),
            None => Ok(Some(false)),
        }
    }

    /// Writes the event to outputs, each with whether it deletes its document: to all of them, or to none if one does not
    /// take it. `memory` is for the event's text, which is put together once for all of them.
    fn write_all<'o>(
        &mut self,
        flight: &Flight,
        outputs: impl Iterator<Item = (&'o Output, bool)> + Clone,
        memory: &mut Vec<u8>,
        out: &mut dyn Sink,
    ) -> Result<(), Fault> {
        let takes_all = |(output, delete): (&Output, bool)| !delete && fields(output).is_none();
        let whole = if outputs.clone().any(takes_all) { flight.doc.text(memory) } else { &[] };
        let records: SmallVec<[Outgoing; 2]> = outputs
            .map(|(output, delete)| Outgoing {
                target: output.target,
                own: output.key.as_ref().map(|path| flight.doc.key(path)),
                part: fields(output).filter(|_| !delete).map(|fields| selected(&flight.doc, fields)),
                delete,
            })
            .collect();
        let cause = flight.cause.as_deref();
        // The first one is asked by being written: what is refused then has gone nowhere yet.
        for record in records.iter().skip(1) {
            out.takes(record.target, record.key(flight), record.value(whole), cause)
                .map_err(|refused| self.refused(record.target, refused))?;
        }
        for record in &records {
            self.put(record.target, flight.time_ms, record.key(flight), record.value(whole), cause, out)
                .map_err(|refused| self.refused(record.target, refused))?;
            self.tally.outputs += 1;
        }
        Ok(())
    }

    /// Hands a record over and counts it.
    fn put(
        &mut self,
        target: Target,
        time_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        cause: Option<&Cause>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        out.put(target, time_ms, key, value, cause)?;
        self.tally.wrote(target);
        Ok(())
    }

    fn refused(&self, target: Target, refused: Refused) -> Fault {
        let stream = self.plan.streams.get(target).map_or("", Name::as_str);
        match refused {
            Refused::Oversize { bytes, limit } => Fault::new(
                "HW-FLOW-034",
                format!("the output record has {bytes} bytes; the limit of stream `{stream}` is {limit}"),
            ),
            Refused::NoKey => Fault::new(
                "HW-FLOW-038",
                format!("the output record has no key, and stream `{stream}` is compacted by key"),
            ),
        }
    }

    /// A retried event failed again: another copy, or the end. One that was kept gets its first.
    fn again(&mut self, flight: &Flight, out: &mut dyn Sink) {
        let (Some(retry), Some(plan)) = (&flight.retry, &self.plan.retry) else { return };
        if retry.attempt < plan.attempts {
            let attempt = retry.attempt + 1;
            return self.copy(flight, attempt, out);
        }
        let names = self.failed_steps(flight);
        let fault = Fault::new(
            "HW-FLOW-037",
            format!("the lookups of step `{}` failed {} times", names.join("`, `"), retry.attempt),
        );
        self.dead_flight(flight, None, &fault, out);
    }

    /// Writes a copy of the event as it came in to the retry stream.
    pub(super) fn copy(&mut self, flight: &Flight, attempt: u32, out: &mut dyn Sink) {
        let Some(plan) = self.plan.retry.clone() else { return };
        let kept = match &flight.retry {
            Some(retry) => retry.kept.clone(),
            None => flight
                .kept
                .iter()
                .filter_map(|(step, json)| Some((self.plan.steps.get(*step)?.id.to_string(), json.clone())))
                .collect(),
        };
        let copy = Retry {
            id: self.id(flight),
            attempt,
            failed: self.failed_steps(flight),
            partition: flight.at.0,
            offset: flight.at.1,
            time_ms: flight.time_ms,
            kept,
        };
        let (stream, ..) = self.place(flight.input, flight.at);
        let text = copy.encode(&self.plan.name, &stream, flight.doc.original());
        // The record's time says when the copy was written: from it the next try is counted.
        if let Err(refused) =
            self.put(plan.target, self.now.millis(), flight.key.as_deref(), Some(&text), flight.cause.as_deref(), out)
        {
            let fault = self.refused(plan.target, refused);
            self.dead_flight(flight, None, &fault, out);
        }
    }

    fn failed_steps(&self, flight: &Flight) -> Vec<String> {
        flight.failed.iter().filter_map(|step| Some(self.plan.steps.get(*step)?.id.to_string())).collect()
    }

    /// The event's own id, or its position where it has none.
    fn id(&self, flight: &Flight) -> String {
        let own = flight.retry.as_ref().map(|retry| retry.id.clone()).filter(|id| !id.is_empty());
        let written = || flight.doc.key(&self.paths.id).and_then(|id| String::from_utf8(id.into()).ok());
        own.or_else(written).unwrap_or_else(|| {
            let (stream, partition, offset) = self.place(flight.input, flight.at);
            format!("{stream}/{partition}/{offset}")
        })
    }

    /// Consumers upsert by id, so both revisions need one.
    fn set_id(&self, flight: &mut Flight) {
        if flight.doc.get(&self.paths.id).is_none() {
            let id = self.id(flight);
            flight.doc.set_str(&self.paths.id, &id);
        }
    }

    pub(super) fn dead_flight(&mut self, flight: &Flight, step: Option<&Name>, fault: &Fault, out: &mut dyn Sink) {
        let event = Rejected {
            input: flight.input,
            at: flight.at,
            key: flight.key.as_deref(),
            data: flight.doc.original(),
            time_ms: flight.time_ms,
            cause: flight.cause.as_deref(),
        };
        self.dead(event, step, fault, out);
    }

    pub(super) fn dead(&mut self, event: Rejected<'_>, step: Option<&Name>, fault: &Fault, out: &mut dyn Sink) {
        Figures::add(&self.around.figures.dead, 1);
        let place = self.place(event.input, event.at);
        let time_ms = event.time_ms.max(0);
        let letter = letters::dead(&self.plan.name, letter_place(&place), reason(fault, step), self.now, event.data);
        let cut = event.cause.filter(|_| fault.code == CUT);
        if self.put_dead(time_ms, event.key, &letter, event.cause, cut, out).is_err() {
            // The stream takes only small records: the position leads to the data.
            let letter = letters::dead(&self.plan.name, letter_place(&place), reason(fault, step), self.now, &[]);
            let own = format!("{}/{}/{}", place.0, place.1, place.2);
            if self.put_dead(time_ms, Some(own.as_bytes()), &letter, event.cause, cut, out).is_err() {
                headwater_base::never!("a dead letter without data is too large");
            }
        }
    }

    /// Hands a dead letter over and counts it; `cut` = the chain that was cut, if that is what it says.
    fn put_dead(
        &mut self,
        time_ms: i64,
        key: Option<&[u8]>,
        letter: &[u8],
        cause: Option<&Cause>,
        cut: Option<&Cause>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let target = self.plan.dead;
        match cut {
            Some(chain) => out.put_cut(target, time_ms, key, letter, chain)?,
            None => out.put(target, time_ms, key, Some(letter), cause)?,
        }
        self.tally.wrote(target);
        Ok(())
    }

    pub(super) fn tell_late(
        &mut self,
        flight: &mut Flight,
        bound: headwater_base::Micros,
        step: &Name,
        out: &mut dyn Sink,
    ) {
        if std::mem::replace(&mut flight.late_told, true) {
            return;
        }
        Figures::add(&self.around.figures.late, 1);
        let Some(target) = self.plan.late else { return };
        let place = self.place(flight.input, flight.at);
        let fault = Fault::new(
            "HW-FLOW-033",
            format!("the event time {} is before {bound}, up to which results are final", flight.time),
        );
        let reason = reason(&fault, Some(step));
        let text = letters::late(
            &self.plan.name,
            letter_place(&place),
            reason,
            self.now,
            flight.time,
            bound,
            flight.doc.original(),
        );
        if let Err(refused) =
            self.put(target, flight.time_ms, flight.key.as_deref(), Some(&text), flight.cause.as_deref(), out)
        {
            let fault = self.refused(target, refused);
            self.dead_flight(flight, Some(step), &fault, out);
        }
    }

    /// Writes what a step's windows or sessions gave out. It comes of many events: the longest of their chains goes on,
    /// under the name of the result, since a state keeps its length alone.
    pub(super) fn results(
        &mut self,
        (step, work): (usize, &KeyedPlan),
        emissions: &mut Vec<Emission>,
        out: &mut dyn Sink,
    ) {
        let (target, measures, count) = (work.output, work.config.measures(), emissions.len() as u64);
        Figures::add(&self.around.figures.results, count);
        self.tally.at(step, |tally| tally.results += count);
        for emission in emissions.drain(..) {
            let (key, document, hops) = (emission.id(), emission.render(measures), emission.hops());
            let stream = self.plan.streams.get(target).map_or("", Name::as_str);
            let cause = (hops > 0).then(|| Cause { id: format!("{stream}/{key}"), hops });
            let (now, cause) = (self.now.millis(), cause.as_ref());
            if let Err(refused) = self.put(target, now, Some(key.as_bytes()), document.as_deref(), cause, out) {
                let fault = self.refused(target, refused);
                let id = key.as_bytes();
                let event = Rejected { input: 0, at: (0, -1), key: Some(id), data: id, time_ms: now, cause };
                self.dead(event, None, &fault, out);
            }
        }
    }

    /// Writes the newest values of the keys that changed since the last commit.
    pub(super) fn rows(&mut self, out: &mut dyn Sink) {
        let plan = Arc::clone(&self.plan);
        let now = self.now.millis();
        let mut text = std::mem::take(&mut self.scratch);
        for (index, step) in plan.steps.iter().enumerate() {
            let Work::Aggregate(work) = &step.work else { continue };
            let (Some(target), Some(super::Run::Aggregate(run))) = (work.output, self.runs.get_mut(index)) else {
                continue;
            };
            let entity = work.entity.as_ref().map(Name::as_str);
            let mut rows = std::mem::take(&mut run.rows);
            for (key, row) in rows.drain() {
                let cause = row.cause.as_deref();
                let written = match self.document(index, entity, &key, row.time, &mut text) {
                    Ok(()) => self
                        .put(target, now, Some(&key), Some(&text), cause, out)
                        .map_err(|refused| self.refused(target, refused)),
                    Err(fault) => Err(fault),
                };
                match written {
                    Ok(()) => {
                        Figures::add(&self.around.figures.results, 1);
                        self.tally.at(index, |tally| tally.results += 1);
                    }
                    Err(fault) => {
                        let event =
                            Rejected { input: 0, at: (0, -1), key: Some(&key), data: &text, time_ms: now, cause };
                        self.dead(event, Some(&step.id), &fault, out);
                    }
                }
            }
            if let Some(super::Run::Aggregate(run)) = self.runs.get_mut(index) {
                // Its memory is used again.
                run.rows = rows;
            }
        }
        self.scratch = text;
    }
}

/// An event's record for one output.
struct Outgoing {
    target: Target,
    /// The key that the output names, which the event may lack; None where it names none.
    own: Option<Option<Bytes>>,
    /// The document, where it is not the whole event.
    part: Option<Bytes>,
    delete: bool,
}

impl Outgoing {
    fn key<'r>(&'r self, flight: &'r Flight) -> Option<&'r [u8]> {
        match &self.own {
            Some(own) => own.as_deref(),
            None => flight.key.as_deref(),
        }
    }

    fn value<'r>(&'r self, whole: &'r [u8]) -> Option<&'r [u8]> {
        if self.delete { None } else { Some(self.part.as_deref().unwrap_or(whole)) }
    }
}

/// The fields that an output takes; None for all of the event.
fn fields(output: &Output) -> Option<&[(String, crate::path::Path)]> {
    output.table.as_ref()?.fields.as_deref()
}

/// A document of some of an event's fields.
fn selected(doc: &Doc, fields: &[(String, crate::path::Path)]) -> Bytes {
    let mut text = Vec::with_capacity(256);
    text.push(b'{');
    for (name, path) in fields {
        let Some(json) = doc.json(path) else { continue };
        if text.len() > 1 {
            text.push(b',');
        }
        crate::operators::value::render_text(&mut text, name);
        text.push(b':');
        text.extend_from_slice(&json);
    }
    text.push(b'}');
    Bytes::from(text)
}
