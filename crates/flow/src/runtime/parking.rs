//! Events that wait: for a lookup's answer, or for their turn behind an earlier event of the same order key.
//!
//! Stateless steps and lookups of one key's events run side by side; only what others can see (state, outputs) happens
//! in order. A lane is the queue of one key's waiting events; a key without waiting events has no lane and costs
//! nothing. Lanes go by a hash of the key: two keys that share a hash wait for each other, which harms nothing.
//!
//! Event time waits with them. The watermark does not pass a waiting event, and an event that is much later than one
//! that waits does not overtake it ([`Parking::may_pass`]). So what a pipeline writes is no more out of order than what
//! it reads may be, however fast event time runs: a day's input read in a minute gives the same sessions behind it.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ahash::HashMap;
use headwater_base::Micros;

/// A waiting event's place; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    slot: usize,
    serial: u64,
}

/// What a waiting event waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// The answer to the lookup of this step.
    Answer(usize),
    /// The events before it.
    Turn,
}

/// The waiting events of a pipeline.
#[derive(Debug)]
pub struct Parking<E> {
    slots: Vec<Option<Parked<E>>>,
    free: Vec<usize>,
    serial: u64,
    lanes: HashMap<u64, VecDeque<Ticket>>,
    /// By arrival, with the watermark of that moment; only events that hold event time back.
    fences: VecDeque<(Ticket, Micros)>,
    /// Up to where the same events may be overtaken.
    bounds: BTreeSet<(Micros, u64)>,
    /// By deadline; one queue per length of wait.
    deadlines: Vec<(Duration, VecDeque<Deadline>)>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Duration,
    ticket: Ticket,
    step: usize,
}

#[derive(Debug)]
struct Parked<E> {
    serial: u64,
    /// None while the event is being worked on.
    event: Option<(E, For)>,
    lane: Option<u64>,
    holds: Option<Holds>,
}

/// What an event holds back while it waits. Late and retried events hold nothing back: nothing counts on them any more.
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    /// The watermark when it arrived.
    pub watermark: Micros,
    /// Up to where events that overtake it may lead the watermark.
    pub until: Micros,
}

/// Who may have something to do now that an event has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// The first of its lane.
    pub follower: Option<Ticket>,
    /// The first of all that hold event time back.
    pub oldest: Option<Ticket>,
}

impl<E> Default for Parking<E> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            serial: 0,
            lanes: HashMap::default(),
            fences: VecDeque::new(),
            bounds: BTreeSet::new(),
            deadlines: Vec::new(),
        }
    }
}

impl<E> Parking<E> {
    /// Counts tickets from behind `serial`; to be called before there are any.
    pub const fn count_from(&mut self, serial: u64) {
        self.serial = serial;
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an event of this lane that is not parked yet may go before others.
    pub fn is_clear(&self, lane: Option<u64>) -> bool {
        lane.is_none_or(|lane| self.lanes.is_empty() || !self.lanes.contains_key(&lane))
    }

    /// Whether it is a parked event's turn.
    pub fn is_first(&self, ticket: Ticket) -> bool {
        let lane = self.parked(ticket).and_then(|parked| parked.lane);
        lane.and_then(|lane| self.lanes.get(&lane)).is_none_or(|queue| queue.front() == Some(&ticket))
    }

    /// Whether an event may go on that may lead the watermark to `reached`: none that waits would mind, or it has waited
    /// longest, so that everything read before it is through.
    pub fn may_pass(&self, ticket: Option<Ticket>, reached: Micros) -> bool {
        self.bounds.first().is_none_or(|(until, _)| *until >= reached)
            || self.fences.front().is_some_and(|(first, _)| Some(*first) == ticket)
    }

    /// Gives an event a place at the end of its lane.
    pub fn enter(&mut self, lane: Option<u64>, holds: Option<Holds>) -> Ticket {
        self.serial += 1;
        let parked = Parked { serial: self.serial, event: None, lane, holds };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot) {
                    *place = Some(parked);
                }
                slot
            }
            None => {
                self.slots.push(Some(parked));
                self.slots.len() - 1
            }
        };
        let ticket = Ticket { slot, serial: self.serial };
        if let Some(lane) = lane {
            self.lanes.entry(lane).or_default().push_back(ticket);
        }
        if let Some(Holds { watermark, until }) = holds {
            self.fences.push_back((ticket, watermark));
            self.bounds.insert((until, ticket.serial));
        }
        ticket
    }

    /// Puts the event down at its place.
    pub fn put(&mut self, ticket: Ticket, event: E, what: For) {
        match self.parked_mut(ticket) {
            Some(parked) => parked.event = Some((event, what)),
            None => headwater_base::never!("an event without a place"),
        }
    }

    /// Takes an event up again if it waits for `what`.
    pub fn take(&mut self, ticket: Ticket, what: For) -> Option<E> {
        let parked = self.parked_mut(ticket)?;
        parked.event.take_if(|(_, waits)| *waits == what).map(|(event, _)| event)
    }

    /// A parked event, whatever it waits for.
    pub fn event_mut(&mut self, ticket: Ticket) -> Option<&mut E> {
        self.parked_mut(ticket)?.event.as_mut().map(|(event, _)| event)
    }

    /// Gives the place up. Answers whom to take up again, if they wait for their turn.
    pub fn leave(&mut self, ticket: Ticket) -> Next {
        let Some(Parked { lane, holds, .. }) = self.parked(ticket) else { return Next::default() };
        let (lane, holds) = (*lane, *holds);
        if let Some(place) = self.slots.get_mut(ticket.slot) {
            *place = None;
            self.free.push(ticket.slot);
        }
        Next {
            follower: lane.and_then(|lane| self.leave_lane(ticket, lane)),
            oldest: holds.and_then(|holds| self.let_time_go(ticket, holds)),
        }
    }

    /// Keeps the place, and holds nobody back any more: neither its lane nor event time. Answers as [`Self::leave`].
    pub fn step_aside(&mut self, ticket: Ticket) -> Next {
        let Some(parked) = self.parked_mut(ticket) else { return Next::default() };
        let (lane, holds) = (parked.lane.take(), parked.holds.take());
        Next {
            follower: lane.and_then(|lane| self.leave_lane(ticket, lane)),
            oldest: holds.and_then(|holds| self.let_time_go(ticket, holds)),
        }
    }

    fn leave_lane(&mut self, ticket: Ticket, lane: u64) -> Option<Ticket> {
        let queue = self.lanes.get_mut(&lane)?;
        let was_first = queue.front() == Some(&ticket);
        // Nearly always it is the first, and a lane may be as long as all that may wait.
        if was_first {
            queue.pop_front();
        } else {
            queue.retain(|other| *other != ticket);
        }
        let next = queue.front().copied();
        if next.is_none() {
            self.lanes.remove(&lane);
        }
        next.filter(|_| was_first)
    }

    fn let_time_go(&mut self, ticket: Ticket, holds: Holds) -> Option<Ticket> {
        self.bounds.remove(&(holds.until, ticket.serial));
        let was_oldest = self.fences.front().is_some_and(|(first, _)| *first == ticket);
        while let Some((first, _)) = self.fences.front() {
            if self.parked(*first).is_some_and(|parked| parked.holds.is_some()) {
                break;
            }
            self.fences.pop_front();
        }
        self.fences.front().filter(|_| was_oldest).map(|(first, _)| *first)
    }

    /// The watermark when the longest-waiting event arrived: it must not be passed before that event is done.
    pub fn fence(&self) -> Option<Micros> {
        self.fences.front().map(|(_, watermark)| *watermark)
    }

    /// Sets when a waiting event stops waiting for the answer to a step's lookup.
    pub fn limit(&mut self, ticket: Ticket, step: usize, now: Duration, wait: Duration) {
        let queue = match self.deadlines.iter().position(|(length, _)| *length == wait) {
            Some(at) => self.deadlines.get_mut(at),
            None => {
                self.deadlines.push((wait, VecDeque::new()));
                self.deadlines.last_mut()
            }
        };
        if let Some((_, queue)) = queue {
            queue.push_back(Deadline { at: now.saturating_add(wait), ticket, step });
        }
    }

    /// An event whose deadline has passed while it waits for the answer to the step's lookup.
    pub fn expired(&mut self, now: Duration) -> Option<(Ticket, usize)> {
        self.forget_deadlines();
        for (_, queue) in &mut self.deadlines {
            if let Some(deadline) = queue.pop_front_if(|deadline| deadline.at <= now) {
                return Some((deadline.ticket, deadline.step));
            }
        }
        None
    }

    /// The next deadline of an event that still waits.
    pub fn deadline(&mut self) -> Option<Duration> {
        self.forget_deadlines();
        self.deadlines.iter().filter_map(|(_, queue)| queue.front()).map(|deadline| deadline.at).min()
    }

    /// Drops deadlines of events that no longer wait.
    fn forget_deadlines(&mut self) {
        let slots = &self.slots;
        let waits = |deadline: &Deadline| {
            slots.get(deadline.ticket.slot).and_then(Option::as_ref).is_some_and(|parked| {
                parked.serial == deadline.ticket.serial
                    && parked.event.as_ref().is_some_and(|(_, what)| *what == For::Answer(deadline.step))
            })
        };
        for (_, queue) in &mut self.deadlines {
            while queue.front().is_some_and(|deadline| !waits(deadline)) {
                queue.pop_front();
            }
        }
    }

    fn parked(&self, ticket: Ticket) -> Option<&Parked<E>> {
        self.slots.get(ticket.slot)?.as_ref().filter(|parked| parked.serial == ticket.serial)
    }

    fn parked_mut(&mut self, ticket: Ticket) -> Option<&mut Parked<E>> {
        self.slots.get_mut(ticket.slot)?.as_mut().filter(|parked| parked.serial == ticket.serial)
    }
}

#[cfg(test)]
mod tests;
