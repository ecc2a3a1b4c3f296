//! Seeded marketplace traffic: people, crowds behind one address, and attackers, as JSON events of about 1.2 KB.
//!
//! What it is NOT: it reads no clock and sends nothing. [`Traffic::next`] gives one record after the other; how fast
//! they are sent is the sender's business, so a seed means the same records at any rate. [`Truth`] is what really
//! happened; the pipelines under test never see it.
//!
//! Invariants: records come in order of arrival; an event's time is its arrival, except where it is meant to be late
//! or wrong; the same [`World`] gives the same bytes on every machine (own generator, no floating-point library calls
//! whose last bit may differ decide a branch).

mod actors;
mod random;
mod template;
mod templates;
mod truth;
mod world;

pub use truth::{Attacker, Fact, Flaw, Session, Truth, sessions};
pub use world::World;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use actors::{Act, Actor};
use random::Random;
use template::Templates;
use world::hash;

/// A number that follows from a seed and another number: chance for whoever plays along with this traffic.
pub fn chance(seed: u64, number: u64) -> u64 {
    hash(seed, 11, number)
}

/// A record as it is to be sent; its bytes are in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Whose record it is: the visitor's number, from which the record's key is made.
    pub visitor: u32,
    /// When it is to arrive, in milliseconds since 1970.
    pub arrival_ms: i64,
}

/// What waits in the queue of things to come.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// An actor does something.
    Act(u32),
    /// A finished record arrives, late or for the second time.
    Record(u32),
}

/// A finished record on its way.
#[derive(Default)]
struct Held {
    visitor: u32,
    bytes: Vec<u8>,
    /// The event it brings; None for one that was sent before.
    event: Option<Fact>,
}

/// The stream of records.
pub struct Traffic {
    world: World,
    random: Random,
    templates: Templates,
    /// Arrivals, earliest first; the number breaks ties, so that order never depends on the heap.
    queue: BinaryHeap<Reverse<(i64, u64, Due)>>,
    actors: Vec<Actor>,
    free: Vec<u32>,
    held: Vec<Held>,
    held_free: Vec<u32>,
    busy: std::collections::HashSet<u32>,
    queued: u64,
    records: u64,
    rendered: u64,
    attackers: u32,
    truth: Truth,
}

impl Traffic {
    /// Traffic of a world, from its beginning.
    pub fn new(world: World) -> Self {
        Self {
            random: Random::new(world.seed),
            templates: Templates::new(),
            world,
            queue: BinaryHeap::new(),
            actors: Vec::new(),
            free: Vec::new(),
            held: Vec::new(),
            held_free: Vec::new(),
            busy: std::collections::HashSet::new(),
            queued: 0,
            records: 0,
            rendered: 0,
            attackers: 0,
            truth: Truth::default(),
        }
    }

    /// Writes the next record's bytes into `out`, which is emptied first.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Sent {
        out.clear();
        let arrival_ms = self.world.start_ms + self.offset_ms(self.records);
        self.records += 1;
        self.truth.records += 1;
        let due = match self.queue.peek() {
            Some(Reverse((at, _, _))) if *at <= arrival_ms => self.queue.pop(),
            _ => None,
        };
        let visitor = match due {
            Some(Reverse((at, _, Due::Act(actor)))) => self.act(actor, at, out),
            Some(Reverse((_, _, Due::Record(held)))) => self.release(held, out),
            None => {
                let actor = self.arrive(arrival_ms);
                self.act(actor, arrival_ms, out)
            }
        };
        Sent { visitor, arrival_ms }
    }

    /// What really happened so far.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The world these events come from.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn offset_ms(&self, record: u64) -> i64 {
        i64::try_from(u128::from(record) * 1_000_000 / u128::from(self.world.events_per_kilosecond.max(1)))
            .unwrap_or(i64::MAX)
    }

    fn push(&mut self, at: i64, due: Due) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, due)));
    }

    /// Somebody new comes: mostly a person, now and then an attacker.
    fn arrive(&mut self, now: i64) -> u32 {
        let attack = self.world.attackers && self.random.one_in(self.world.people_per_attacker);
        let actor = if attack {
            self.attackers += 1;
            let (actor, attacker) = Actor::attacker(&self.world, &mut self.random, self.attackers, now);
            if self.world.keep_truth {
                self.truth.attackers.push(attacker);
            }
            actor
        } else {
            // Nobody is in two places at once: if the favourites are out already, anybody who is free comes instead.
            let mut user = self.world.pick_user(&mut self.random);
            for _ in 0..100 {
                if self.busy.insert(user) {
                    break;
                }
                user = self.random.below(u64::from(self.world.users)) as u32;
            }
            Actor::person(&self.world, &mut self.random, user)
        };
        if let Some(place) = self.free.pop()
            && let Some(slot) = self.actors.get_mut(place as usize)
        {
            *slot = actor;
            return place;
        }
        self.actors.push(actor);
        (self.actors.len() - 1) as u32
    }

    /// An actor does its next thing: renders the event, and queues what follows from it.
    fn act(&mut self, place: u32, now: i64, out: &mut Vec<u8>) -> u32 {
        let Some(actor) = self.actors.get_mut(place as usize) else { return 0 };
        let Act { event, next_ms, twin } = actor.act(&self.world, &mut self.random, now);
        let visitor = event.visitor;
        let attacker = actor.attacker_number();
        match next_ms {
            Some(at) => self.push(at, Due::Act(place)),
            None => {
                if attacker.is_none() {
                    let user = self.actors.get(place as usize).map_or(0, Actor::user);
                    self.busy.remove(&user);
                }
                self.free.push(place);
            }
        }
        if let Some((time_ms, arrival_ms)) = twin {
            // An event between two of the same visitor's that arrives after both: it joins what looked like two sessions.
            let mut bytes = Vec::new();
            let mut late = event.clone();
            late.time_ms = time_ms;
            let fact = self.render(&late, Flaw::None, attacker, &mut bytes);
            self.hold(arrival_ms, Held { visitor, bytes, event: Some(fact) });
        }
        self.emit(event, attacker, now, out);
        visitor
    }

    /// Renders an event with whatever goes wrong on its way.
    fn emit(&mut self, mut event: actors::Event, attacker: Option<u32>, now: i64, out: &mut Vec<u8>) {
        let roll = if self.world.flaws { self.random.below(100_000) } else { u64::MAX };
        let visitor = event.visitor;
        let flaw = match roll {
            // Far too late: its time lies hours back.
            500..600 => {
                event.time_ms = now - self.random.range(2 * 3_600_000, 6 * 3_600_000);
                Flaw::TooLate
            }
            // A clock that is years off, either way.
            600..620 => {
                let years = self.random.range(20, 40) * 365 * 86_400_000;
                let ahead = self.random.one_in(2);
                event.time_ms = if ahead { now + years } else { now - years };
                if ahead { Flaw::Ahead } else { Flaw::TooLate }
            }
            // Cut off on its way.
            620..680 => Flaw::Malformed,
            // Out of order, and well within what pipelines must take; never before the visitor's event before it.
            680..1_700 => {
                event.time_ms = now - self.random.range(200, 40_000).min(event.quiet_ms.saturating_sub(1).max(0));
                Flaw::None
            }
            _ => Flaw::None,
        };
        let fact = self.render(&event, flaw, attacker, out);
        if flaw == Flaw::Malformed {
            out.truncate(out.len() / 2);
        }
        self.happened(fact);
        if roll < 500 {
            // Sent twice: the very same bytes again within five seconds.
            let again = now + self.random.range(1, 5_000);
            self.hold(again, Held { visitor, bytes: out.clone(), event: None });
        }
    }

    fn render(&mut self, event: &actors::Event, flaw: Flaw, attacker: Option<u32>, out: &mut Vec<u8>) -> Fact {
        self.rendered += 1;
        let id = hash(self.world.seed, 1, self.rendered);
        self.templates.render(&self.world, &mut self.random, event, id, out);
        Fact {
            id,
            visitor: event.visitor,
            time_ms: event.time_ms,
            kind: event.kind.word(),
            address: event.address.into(),
            flaw,
            attacker,
        }
    }

    /// Notes an event that has been handed out.
    fn happened(&mut self, fact: Fact) {
        self.truth.events += 1;
        match fact.flaw {
            Flaw::None => {}
            Flaw::Malformed => self.truth.malformed += 1,
            Flaw::TooLate => self.truth.too_late += 1,
            Flaw::Ahead => self.truth.ahead += 1,
        }
        if self.world.keep_truth {
            self.truth.facts.push(fact);
        }
    }

    fn hold(&mut self, at: i64, held: Held) {
        let place = match self.held_free.pop() {
            Some(place) => place,
            None => {
                self.held.push(Held::default());
                (self.held.len() - 1) as u32
            }
        };
        if let Some(slot) = self.held.get_mut(place as usize) {
            *slot = held;
        }
        self.push(at, Due::Record(place));
    }

    fn release(&mut self, place: u32, out: &mut Vec<u8>) -> u32 {
        self.held_free.push(place);
        let Some(slot) = self.held.get_mut(place as usize) else { return 0 };
        let Held { visitor, bytes, event } = std::mem::take(slot);
        out.extend_from_slice(&bytes);
        match event {
            Some(fact) => self.happened(fact),
            None => self.truth.duplicates += 1,
        }
        visitor
    }
}

#[cfg(test)]
mod tests;
