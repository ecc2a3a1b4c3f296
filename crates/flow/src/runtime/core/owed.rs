//! Second revisions that are owed: an event went on without an answer that is still to come, and is kept so that it need
//! not be read and run again for it. One whose answer fails or does not come soon goes to the retry stream.
//!
//! What has to be durable is there already: the event stands in the input, and its offset stays open in the commit of its
//! first revision, marked as owed. Whoever takes the pipeline up after a crash reads it again and gives its second
//! revision; the commit that has the second revision, or the copy on the retry stream, closes the offset. Where its record
//! has gone by then, a dead letter closes it: who has the first revision waits for another one.
//!
//! Invariants: a kept event holds back neither event time nor the events of its key, as a copy does not; what is kept is
//! bounded in bytes, in number so that the input goes on, and each event in time.

use std::time::Duration;

use headwater_log::Offset;

use super::{Core, Flight, InputIndex, Rejected};
use crate::compile::{Plan, Work};
use crate::doc::{Doc, Fault};
use crate::runtime::letters::Retry;
use crate::runtime::outbox::Sink;
use crate::runtime::parking::{For, Next, Ticket};
use crate::runtime::positions::Open;

/// Bytes of events that are remembered.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// One of so many that may wait is remembered: others wait to come out at all.
const WAITING_PART: usize = 4;
/// What an event costs beside its document, about.
const EVENT_BYTES: usize = 1_024;
/// How long an event is kept: an answer that takes longer is that of a backend which is ill, and until then an event
/// keeps what was read together with it in memory.
const KEPT: Duration = Duration::from_millis(250);

/// How many events may be remembered, to be kept once their first revisions are out, and how many are.
#[derive(Debug)]
pub(super) struct Budget {
    count_max: usize,
    count: usize,
    bytes: usize,
}

impl Budget {
    /// Of a core in which `waiting_max` events may wait.
    pub fn of(plan: &Plan, waiting_max: usize) -> Self {
        // A step that adds a value to events, and does not count them again, would have to add the same.
        let adds = plan.steps.iter().any(|step| matches!(&step.work, Work::Aggregate(work) if work.into.is_some()));
        let count_max = if plan.retry.is_some() && !adds { waiting_max / WAITING_PART } else { 0 };
        Self { count_max, count: 0, bytes: 0 }
    }

    /// What an event that is to be remembered counts for, if there is room for it.
    fn take(&mut self, flight: &Flight) -> Option<usize> {
        let cost = flight.doc.held_bytes() + EVENT_BYTES;
        if self.count >= self.count_max || self.bytes + cost > BYTES_MAX {
            return None;
        }
        self.count += 1;
        self.bytes += cost;
        Some(cost)
    }

    /// An event is through, or remembered no longer.
    pub fn done(&mut self, flight: &Flight) {
        if flight.owes > 0 {
            self.count -= 1;
            self.bytes -= flight.owes;
        }
    }
}

/// Whether an event whose first revision is out is kept.
pub(super) fn is_kept(flight: &Flight) -> bool {
    // With two answers missing the first to come would find the event before the step of the second.
    flight.second.is_some() && flight.failed.len() == 1
}

/// Whether this is the second revision of an event that was kept, or read again because it was owed.
pub(super) fn is_owed(flight: &Flight) -> bool {
    flight.retry.as_ref().is_some_and(|retry| retry.attempt == 0)
}

/// What an event's copy would say of it before the first try. Its id is its own, as it was for the first revision.
pub(super) fn revision(flight: &Flight) -> Retry {
    let (partition, offset): (u32, Offset) = flight.at;
    Retry {
        id: String::new(),
        attempt: 0,
        failed: Vec::new(),
        partition,
        offset,
        time_ms: flight.time_ms,
        kept: Vec::new(),
    }
}

impl Core {
    /// Remembers an event that goes past the step whose answer it has waited for, as it is here.
    pub(super) fn remember(&mut self, flight: &mut Flight) {
        let asking = self.around.asking.get(&flight.step);
        // Where an event waits as long as its request may take, nothing is still to come.
        let comes = asking.is_some_and(|asking| asking.wait() < asking.wait_at_leisure());
        if comes
            && flight.retry.is_none()
            && flight.failed.is_empty()
            && let Some(cost) = self.owed.take(flight)
        {
            flight.second = Some(Box::new(Doc::clone(&flight.doc)));
            flight.owes = cost;
        }
    }

    /// An answer has come while its event waits for something else: the event is not kept for it.
    pub(super) fn missed(&mut self, ticket: Ticket) {
        if let Some(flight) = self.parking.event_mut(ticket)
            && flight.second.take().is_some()
        {
            self.owed.done(flight);
            flight.owes = 0;
        }
    }

    /// Keeps an event whose first revision is out, where it was when it went on without its answer. Answers whom to take
    /// up now.
    pub(super) fn keep(&mut self, mut flight: Flight, ticket: Option<Ticket>) -> Next {
        let (Some(ticket), Some(doc), Some(step)) = (ticket, flight.second.take(), flight.failed.pop()) else {
            headwater_base::never!("an event to be kept that has not waited");
            return Next::default();
        };
        if let Some(input) = self.inputs.get_mut(flight.input) {
            input.positions.hold(flight.offset, Open::Owed);
            input.moved = true;
        }
        flight.retry = Some(Box::new(revision(&flight)));
        flight.doc = *doc;
        flight.step = step;
        // It comes from there once more.
        self.tally.at(step, |tally| tally.events += 1);
        flight.lane = None;
        flight.late = None;
        flight.first = None;
        let free = self.parking.step_aside(ticket);
        self.parking.put(ticket, flight, For::Answer(step));
        self.parking.limit(ticket, step, self.around.clock.elapsed(), KEPT);
        free
    }

    /// Tells of an event whose record has gone before its second revision.
    pub(super) fn unpaid(&mut self, input: InputIndex, at: (u32, Offset), out: &mut dyn Sink) {
        let event = Rejected { input, at, key: None, data: &[], time_ms: self.now.millis(), cause: None };
        let fault = Fault::new(
            "HW-FLOW-035",
            "the event went on without an answer, and its record is gone from the input: there is no second revision",
        );
        self.dead(event, None, &fault, out);
    }
}
