//! How a reader writes what a micro-batch leads to, and finds out whose event cannot be written.
//!
//! A commit that is refused, or that meets a bug, is tried in halves, down to one event; then the cohort is halved, down to
//! one subscription. What that one cannot write becomes its dead letter. All others go on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use headwater_base::{Name, Problem};
use headwater_kernel::unit::contained;
use headwater_log::{Commit, Delta, LogError, Offset, park};

use super::ended_by_bug;
use super::life::{End, Item, Life};
use super::members::position;
use crate::letter::Place;
use crate::runtime::cohort::Member;
use crate::runtime::figures::Figures;
use crate::runtime::writer::{Also, Done, Outcome, Owned, Refusal, letter_of, too_much};
use crate::subscription::{Effect, Happened};

/// Commits that may wait for the disk.
const COMMITS_MAX: usize = 256;

/// Why a commit was not written.
enum Unwritten {
    /// It ends the reader's life.
    End(End),
    /// It is too large.
    TooMuch,
    /// A table refuses a document.
    Table(Problem),
    /// An archive's stream refuses a record.
    Unfit(Problem),
    /// It met a bug.
    Bug(String),
    /// A stream that must be there is not.
    Missing(Name),
}

impl Life<'_> {
    /// Writes what a micro-batch leads to, and how far the cohort has come.
    pub(super) fn write(&mut self, index: usize, items: Vec<Item>) -> Result<(), End> {
        let Some(cohort) = self.cohorts.get_mut(index) else { return Ok(()) };
        let last: Vec<Offset> = cohort.cursors.iter().map(|cursor| cursor.next()).collect();
        if items.is_empty() {
            if cohort.at != last {
                cohort.at = last;
                cohort.dirty = true;
            }
            return Ok(());
        }
        let mut parts = apart(items);
        while let Some(mut part) = parts.pop_front() {
            let Some(cohort) = self.cohorts.get(index) else { return Ok(()) };
            let mut at = if parts.is_empty() { last.clone() } else { cohort.at.clone() };
            for item in part.iter().filter(|_| !parts.is_empty()) {
                if let Some(offset) = at.get_mut(item.partition) {
                    *offset = item.next;
                }
            }
            match self.commit(index, &part, &at, &HashMap::new()) {
                Ok(()) => {}
                Err(Unwritten::TooMuch | Unwritten::Table(_) | Unwritten::Unfit(_) | Unwritten::Bug(_))
                    if part.len() > 1 =>
                {
                    let rest = part.split_off(part.len() / 2);
                    parts.push_front(rest);
                    parts.push_front(part);
                }
                Err(unwritten) => {
                    if !self.settle(index, part, unwritten, &at)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// One event that cannot be written as it is. False when the rest of the micro-batch has to be read again.
    fn settle(&mut self, index: usize, mut part: Vec<Item>, unwritten: Unwritten, at: &[Offset]) -> Result<bool, End> {
        let unwritten = match unwritten {
            Unwritten::End(end) => return Err(end),
            Unwritten::Missing(stream) => {
                self.let_go(index, &stream)?;
                return Ok(false);
            }
            unwritten => unwritten,
        };
        let Some(cohort) = self.cohorts.get(index) else { return Ok(true) };
        let [member] = cohort.members.as_slice() else {
            self.halve(index)?;
            return Ok(false);
        };
        let (setup, subscription) = (self.setup, Arc::clone(&member.subscription));
        let Some(item) = part.first() else { return Ok(true) };
        let partition = u32::try_from(item.partition).unwrap_or(0);
        let place = Place { stream: setup.stream.as_str(), partition, offset: item.record.offset };
        let problem = match &unwritten {
            Unwritten::Table(problem) | Unwritten::Unfit(problem) => problem.clone(),
            Unwritten::Bug(said) => subscription.bug(place, said),
            _ => too_much(),
        };
        // Which effect it is, nobody says: without one at a time, then without all.
        let suspect = |effect: &Effect| match unwritten {
            Unwritten::Table(_) => matches!(effect, Effect::Write { .. }),
            Unwritten::Bug(_) => letter_of(&subscription, effect).is_some(),
            _ => false,
        };
        let suspects: Vec<usize> =
            (0..).zip(&item.effects).filter(|(_, (_, effect))| suspect(effect)).map(|(number, _)| number).collect();
        let one = suspects.iter().map(|place| vec![*place]).collect::<Vec<_>>();
        let all = (suspects.len() > 1).then_some(suspects);
        for refused in one.into_iter().chain(all) {
            let refused = refused.into_iter().map(|place| (place, problem.clone())).collect();
            match self.commit(index, &part, at, &refused) {
                Ok(()) => return Ok(true),
                Err(Unwritten::Table(_) | Unwritten::Bug(_)) => {}
                Err(Unwritten::End(end)) => return Err(end),
                Err(Unwritten::TooMuch | Unwritten::Unfit(_) | Unwritten::Missing(_)) => break,
            }
        }
        if let Some(item) = part.first_mut() {
            let view = item.record.value.as_deref().unwrap_or_default();
            let (now, hops_max) = (setup.clock.now(), setup.limits.event_hops);
            let event = Happened { record: &item.record, view, place, now, hops_max };
            if let Ok(letter) = contained(|| subscription.given_up(&event, &problem)) {
                // Its data may be what is too much.
                let small = matches!(unwritten, Unwritten::TooMuch);
                let letter = if small { letter.without_data() } else { letter };
                item.effects = vec![(0, Effect::Dead(letter))];
                match self.commit(index, &part, at, &HashMap::new()) {
                    Ok(()) => return Ok(true),
                    Err(Unwritten::End(end)) => return Err(end),
                    Err(_) => {}
                }
            }
        }
        // Not even a dead letter can be written: the unit says so and is tried again.
        let problem = Problem::new(
            "HW-BUS-022",
            format!("`{}` can write neither an event nor its dead letter", subscription.id()),
        );
        self.let_go_of(index, &subscription.id(), problem)?;
        Ok(false)
    }

    /// One commit: effects, and the cohort's new position.
    fn commit(
        &mut self,
        index: usize,
        items: &[Item],
        at: &[Offset],
        refused: &HashMap<usize, Problem>,
    ) -> Result<(), Unwritten> {
        self.make_room().map_err(Unwritten::End)?;
        let Some(cohort) = self.cohorts.get(index) else { return Ok(()) };
        let mut effects: Vec<(&Arc<Member>, Owned<'_>)> = Vec::new();
        for (member, effect) in items.iter().flat_map(|item| &item.effects) {
            let Some(member) = cohort.members.get(*member) else { continue };
            effects.push((member, Owned { subscription: &member.subscription, effect }));
        }
        let owned: Vec<Owned<'_>> = effects.iter().map(|(_, owned)| *owned).collect();
        let deltas = vec![(Arc::clone(&self.space), vec![position(cohort.id, cohort.members.len(), at)])];
        let also = Also { deltas, fence: self.fence.clone() };
        let now = self.setup.clock.now();
        let Done { ticket, outcomes } = loop {
            match self.writer.commit(&owned, refused, &also, now) {
                Ok(done) => break done,
                Err(Refusal::Full(streams)) => {
                    park::wait(self.writer.room(&streams), self.stop).ok_or(Unwritten::End(End::Stopped))?;
                }
                Err(Refusal::Behind(table)) => {
                    park::wait(self.writer.caught_up(&table), self.stop).ok_or(Unwritten::End(End::Stopped))?;
                }
                Err(Refusal::TooMuch) => return Err(Unwritten::TooMuch),
                Err(Refusal::Unfit(reason)) => return Err(Unwritten::Unfit(Problem::new("HW-BUS-014", reason))),
                Err(Refusal::Bug(said)) => return Err(Unwritten::Bug(said)),
                Err(Refusal::Doubt(said)) => {
                    return Err(Unwritten::End(End::Failed(ended_by_bug(&self.setup.stream, &said))));
                }
                Err(Refusal::Table(problem)) => return Err(Unwritten::Table(problem)),
                Err(Refusal::Missing(stream)) => return Err(Unwritten::Missing(stream)),
                Err(Refusal::Log(error)) => return Err(Unwritten::End(self.failed(&error))),
            }
        };
        let mut told: Vec<(&Arc<Member>, Vec<Bytes>)> = Vec::new();
        for ((member, Owned { effect, .. }), outcome) in effects.iter().zip(outcomes) {
            count(&member.figures, effect, outcome);
            if let Effect::Pending { key, .. } = effect {
                match told.last_mut().filter(|(other, _)| Arc::ptr_eq(other, member)) {
                    Some((_, keys)) => keys.push(key.clone()),
                    None => told.push((member, vec![key.clone()])),
                }
            }
        }
        for (member, keys) in told {
            if let Some(tell) = &member.tell {
                // A delivery task that ended has told its unit why; the next one finds these in the space.
                let _ = tell.send((ticket.sequence, keys));
            }
        }
        self.unsynced.push_back(self.setup.log.durable(ticket.sequence));
        if let Some(cohort) = self.cohorts.get_mut(index) {
            cohort.at = at.to_vec();
            cohort.dirty = false;
        }
        Ok(())
    }

    /// Waits where too many commits wait for the disk.
    fn make_room(&mut self) -> Result<(), End> {
        loop {
            let has_room = self.unsynced.len() < COMMITS_MAX;
            let Some(first) = self.unsynced.front_mut() else { return Ok(()) };
            let synced = if has_room { first.now_or_never() } else { park::wait(first, self.stop) };
            match synced {
                None if has_room => return Ok(()),
                None => return Err(End::Stopped),
                Some(Ok(())) => drop(self.unsynced.pop_front()),
                Some(Err(error)) => return Err(self.failed(&error)),
            }
        }
    }

    /// Writes state alone.
    pub(super) fn note(&mut self, deltas: Vec<(Arc<str>, Vec<Delta>)>) -> Result<(), End> {
        self.make_room()?;
        let mut commit = Commit { deltas, fence: self.fence.clone(), ..Commit::default() };
        loop {
            match self.setup.log.append(&mut commit) {
                Ok(ticket) => {
                    self.unsynced.push_back(self.setup.log.durable(ticket.sequence));
                    return Ok(());
                }
                Err(LogError::Full(_)) => self.wait(self.setup.log.room(&[]))?,
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }
}

/// The events of a micro-batch, those with documents each apart: a transaction of tables goes on with one chain.
fn apart(items: Vec<Item>) -> VecDeque<Vec<Item>> {
    let mut parts: VecDeque<Vec<Item>> = VecDeque::new();
    let mut joins = false;
    for item in items {
        let writes = item.effects.iter().any(|(_, effect)| matches!(effect, Effect::Write { .. }));
        match parts.back_mut().filter(|_| joins && !writes) {
            Some(part) => part.push(item),
            None => parts.push_back(vec![item]),
        }
        joins = !writes;
    }
    parts
}

/// Counts what became of an effect.
pub(in crate::runtime) fn count(figures: &Figures, effect: &Effect, outcome: Outcome) {
    match (effect, outcome) {
        (Effect::Pending { value, .. }, Outcome::Waiting) => {
            Figures::add(&figures.pending, 1);
            Figures::add(&figures.pending_bytes, value.len() as u64);
        }
        (_, Outcome::Delivered | Outcome::Waiting) => Figures::add(&figures.delivered, 1),
        (effect, Outcome::Dead) => {
            Figures::add(&figures.dead, 1);
            if matches!(effect, Effect::Dead(letter) if letter.code == "HW-BUS-010") {
                Figures::add(&figures.cut, 1);
            }
        }
    }
}
