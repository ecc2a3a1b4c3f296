//! The steps that ask: an answer at once where it is known, or an event that waits for it.

use std::borrow::Cow;
use std::sync::Arc;

use headwater_kernel::port::{Json, LookupError};

use super::{Core, Flight, Next};
use crate::compile::{Ask, Step, Work};
use crate::doc::{Doc, Fault};
use crate::path::Path;
use crate::runtime::parking::{For, Ticket};

impl Core {
    /// Asks a lookup, if the event has its key.
    pub(super) fn look(&mut self, flight: &mut Flight, ask: &Ask, into: &Path) -> Result<Next, Fault> {
        let Some(key) = key_of(&flight.doc, ask) else { return Ok(Next::Go) };
        let Some(asking) = self.around.asking.get(&flight.step) else {
            headwater_base::never!("step {} has no way to ask", flight.step);
            return Ok(Next::Go);
        };
        let asked = asking.at_once(&key, self.elapsed);
        drop(key);
        match asked {
            Some(answer) => {
                let step = flight.step;
                take_answer(flight, step, into, answer);
                Ok(Next::Go)
            }
            None => Ok(Next::Wait),
        }
    }

    /// Has the questions go out that have gathered. Until then no answer comes, so whoever drives this calls it before it
    /// waits for anything, and every few milliseconds meanwhile.
    pub fn send(&self) {
        self.around.asking.values().for_each(|asking| asking.send());
    }

    /// Asks for a parked event with the next [`Self::send`]; the answer comes in by [`Self::answered`].
    pub(super) fn ask_later(&mut self, ticket: Ticket, step: usize) {
        let plan = Arc::clone(&self.plan);
        let (Some(Step { work: Work::Lookup(lookup), .. }), Some(asking)) =
            (plan.steps.get(step), self.around.asking.get(&step))
        else {
            return;
        };
        let asking = Arc::clone(asking);
        let Some(flight) = self.parking.take(ticket, For::Answer(step)) else { return };
        let key = key_of(&flight.doc, &lookup.ask).unwrap_or_default().into_owned();
        let wait = if flight.retry.is_some() { asking.wait_at_leisure() } else { asking.wait() };
        self.parking.put(ticket, flight, For::Answer(step));
        self.parking.limit(ticket, step, self.around.clock.elapsed(), wait);
        asking.ask(&key, ticket, step);
    }
}

pub(super) fn take_answer(flight: &mut Flight, step: usize, into: &Path, answer: Result<Option<Json>, LookupError>) {
    match answer {
        Ok(Some(json)) => flight.doc.set_checked_json_at(into.segments(), json),
        Ok(None) => {}
        Err(_) => flight.failed.push(step),
    }
}

/// What a lookup is asked about; None where the event does not have it.
pub fn key_of<'a>(doc: &'a Doc, ask: &Ask) -> Option<Cow<'a, str>> {
    match ask {
        Ask::Key(path) => match doc.str(path) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => doc.key(path).and_then(|key| String::from_utf8(key.into()).ok()).map(Cow::Owned),
        },
        Ask::Fields(fields) => {
            let mut text = String::from("{");
            for (name, path) in fields {
                if text.len() > 1 {
                    text.push(',');
                }
                text.push_str(&serde_json::Value::from(name.as_str()).to_string());
                text.push(':');
                let json = doc.json(path);
                text.push_str(json.as_deref().and_then(|json| std::str::from_utf8(json).ok()).unwrap_or("null"));
            }
            text.push('}');
            Some(Cow::Owned(text))
        }
    }
}
