//! Who is in which of a reader's cohorts: subscriptions that come, go, fall behind and catch up.
//!
//! Each change is one commit, so that what is written down always says for every subscription how far it is.

use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Name, Problem};
use headwater_log::{Delta, Offset, View};

use super::life::{End, Life, missing};
use crate::runtime::cohort::{self, Cohort, Member};
use crate::spec::Start;

/// Key of how far a subscription is, in its own space.
const AT: &[u8] = b"at";

impl Life<'_> {
    pub(super) fn join(&mut self, member: Arc<Member>) -> Result<(), End> {
        let log = &*self.setup.log;
        let mut at = Vec::new();
        let Some(stream) = log.stream(self.setup.stream.as_str()) else { return Err(missing(&self.setup.stream)) };
        for partition in 0..stream.config.partitions {
            let ends = log.ends(&self.setup.stream, partition).map_err(|error| self.failed(&error))?;
            at.push(if member.subscription.start == Start::Latest { ends.appended } else { ends.start });
        }
        let mut deltas = Vec::new();
        match log.get(&member.subscription.space, AT, View::Appended).as_deref().map(read_at) {
            None => {}
            Some(Some(Written::Position(position))) => overlay(&mut at, &position),
            Some(Some(Written::Cohort(id))) => match self.earlier.get_mut(&id) {
                Some((left, position)) => {
                    overlay(&mut at, position);
                    *left = left.saturating_sub(1);
                    let (left, position) = (*left, position.clone());
                    deltas.push((Arc::clone(&self.space), vec![self::position(id, left, &position)]));
                    if left == 0 {
                        self.earlier.remove(&id);
                    }
                }
                None => {
                    let fact = format!("`{}` has read to a place that is not written down", member.subscription.id());
                    return self.refuse(&member, Problem::new("HW-BUS-025", fact));
                }
            },
            Some(None) => {
                let fact = format!("how far `{}` has read cannot be told", member.subscription.id());
                return self.refuse(&member, Problem::new("HW-BUS-025", fact));
            }
        }
        let id = self.draw_id();
        deltas.push((Arc::clone(&member.subscription.space), vec![in_cohort(id)]));
        deltas.push((Arc::clone(&self.space), vec![position(id, 1, &at)]));
        self.note(deltas)?;
        let decompressed_max = self.setup.limits.batch_decompressed_bytes;
        self.cohorts.push(Cohort::new(id, &self.setup.stream, at, vec![member], decompressed_max));
        Ok(())
    }

    /// Ends one subscription and no other.
    fn refuse(&mut self, member: &Member, problem: Problem) -> Result<(), End> {
        let id = member.subscription.id();
        member.ending.tell(Err(problem.help(format!("delete `{id}` and apply it again: it then begins anew"))));
        Ok(())
    }

    /// Takes a subscription out of its cohort and writes down where it stopped.
    pub(super) fn leave(&mut self, id: &str) -> Result<(), End> {
        let found = self.cohorts.iter().enumerate().find_map(|(index, cohort)| {
            let place = cohort.members.iter().position(|member| member.subscription.id() == id)?;
            Some((index, place))
        });
        let Some((index, place)) = found else { return Ok(()) };
        let Some(cohort) = self.cohorts.get_mut(index) else { return Ok(()) };
        let member = cohort.members.remove(place);
        cohort.regroup();
        let stopped = Delta { key: Bytes::from_static(AT), value: Some(stopped(&cohort.at)) };
        let deltas = vec![
            (Arc::clone(&member.subscription.space), vec![stopped]),
            (Arc::clone(&self.space), vec![position(cohort.id, cohort.members.len(), &cohort.at)]),
        ];
        self.note(deltas)
    }

    /// Lets subscriptions go whose stream is missing: their units are started again, and go on from here.
    pub(super) fn let_go(&mut self, index: usize, stream: &Name) -> Result<(), End> {
        let Some(cohort) = self.cohorts.get(index) else { return Ok(()) };
        let named = |member: &&Arc<Member>| member.subscription.streams().any(|name| name == stream);
        let gone: Vec<String> = cohort.members.iter().filter(named).map(|member| member.subscription.id()).collect();
        self.writer.refresh();
        for id in gone {
            let problem = Problem::new("HW-BUS-020", format!("there is no stream `{stream}`"));
            self.let_go_of(
                index,
                &id,
                problem.help("the node makes it again; apply a Stream of that name to have it otherwise"),
            )?;
        }
        Ok(())
    }

    /// Lets one subscription go, which says why. Its cohort reads again what it has not written.
    pub(super) fn let_go_of(&mut self, index: usize, id: &str, problem: Problem) -> Result<(), End> {
        let decompressed_max = self.setup.limits.batch_decompressed_bytes;
        let Some(cohort) = self.cohorts.get_mut(index) else { return Ok(()) };
        cohort.rewind(&self.setup.stream, decompressed_max);
        if let Some(member) = cohort.members.iter().find(|member| member.subscription.id() == id) {
            member.ending.tell(Err(problem));
        }
        self.leave(id)
    }

    /// Splits a cohort in two, so that it shows whose event cannot be written.
    pub(super) fn halve(&mut self, index: usize) -> Result<(), End> {
        let Some(cohort) = self.cohorts.get(index) else { return Ok(()) };
        let half: Vec<String> =
            cohort.members.iter().skip(cohort.members.len() / 2).map(|member| member.subscription.id()).collect();
        self.split(index, &|member| half.contains(&member.subscription.id()))
    }

    /// Puts those with too much to deliver into cohorts of their own, so that they wait alone.
    pub(super) fn part_full(&mut self) -> Result<(), End> {
        for index in 0..self.cohorts.len() {
            let Some(cohort) = self.cohorts.get(index) else { break };
            let full = cohort.members.iter().filter(|member| member.is_full()).count();
            if full > 0 && full < cohort.members.len() {
                self.split(index, &|member| member.is_full())?;
            }
        }
        Ok(())
    }

    fn split(&mut self, index: usize, moves: &dyn Fn(&Member) -> bool) -> Result<(), End> {
        let id = self.draw_id();
        let Some(cohort) = self.cohorts.get_mut(index) else { return Ok(()) };
        let (moved, stay): (Vec<_>, Vec<_>) = cohort.members.drain(..).partition(|member| moves(member));
        cohort.members = stay;
        cohort.regroup();
        cohort.apart = Some(cohort.at.clone());
        let at = cohort.at.clone();
        let decompressed_max = self.setup.limits.batch_decompressed_bytes;
        cohort.rewind(&self.setup.stream, decompressed_max);
        let mut deltas: Vec<(Arc<str>, Vec<Delta>)> =
            moved.iter().map(|member| (Arc::clone(&member.subscription.space), vec![in_cohort(id)])).collect();
        let both = vec![position(cohort.id, cohort.members.len(), &at), position(id, moved.len(), &at)];
        deltas.push((Arc::clone(&self.space), both));
        self.note(deltas)?;
        let mut other = Cohort::new(id, &self.setup.stream, at.clone(), moved, decompressed_max);
        other.apart = Some(at);
        self.cohorts.push(other);
        Ok(())
    }

    /// Brings cohorts together that have read equally far.
    pub(super) fn merge(&mut self) -> Result<(), End> {
        let may = |cohort: &Cohort| {
            cohort.apart.as_ref() != Some(&cohort.at) && !cohort.members.iter().any(|member| member.is_full())
        };
        let mut index = 0;
        while index < self.cohorts.len() {
            let Some(cohort) = self.cohorts.get(index).filter(|cohort| may(cohort)) else {
                index += 1;
                continue;
            };
            let equal = |other: &Cohort| other.id != cohort.id && other.at == cohort.at && may(other);
            // The larger one takes in the smaller: fewer words to write.
            let into =
                self.cohorts.iter().position(|other| equal(other) && other.members.len() >= cohort.members.len());
            let Some(into) = into else {
                index += 1;
                continue;
            };
            let gone = self.cohorts.remove(index);
            let into = if into > index { into - 1 } else { into };
            let Some(cohort) = self.cohorts.get_mut(into) else { break };
            let mut deltas: Vec<(Arc<str>, Vec<Delta>)> = gone
                .members
                .iter()
                .map(|member| (Arc::clone(&member.subscription.space), vec![in_cohort(cohort.id)]))
                .collect();
            cohort.members.extend(gone.members);
            cohort.regroup();
            cohort.dirty = false;
            let both = vec![position(cohort.id, cohort.members.len(), &cohort.at), position(gone.id, 0, &gone.at)];
            deltas.push((Arc::clone(&self.space), both));
            self.note(deltas)?;
        }
        Ok(())
    }
}

/// A cohort's entry in its stream's space; without subscriptions it goes.
pub(super) fn position(id: u64, members: usize, at: &[Offset]) -> Delta {
    let value = (members > 0).then(|| cohort::encode(members, at));
    Delta { key: Bytes::copy_from_slice(&id.to_be_bytes()), value }
}

/// What a subscription's space says of how far it is.
enum Written {
    Position(Vec<Offset>),
    Cohort(u64),
}

fn in_cohort(id: u64) -> Delta {
    let mut value = vec![b'c'];
    value.extend_from_slice(&id.to_be_bytes());
    Delta { key: Bytes::from_static(AT), value: Some(Bytes::from(value)) }
}

fn stopped(at: &[Offset]) -> Bytes {
    let mut value = vec![b'p'];
    value.extend_from_slice(&cohort::encode(1, at));
    Bytes::from(value)
}

fn read_at(bytes: &[u8]) -> Option<Written> {
    match bytes.split_first()? {
        (b'c', rest) => Some(Written::Cohort(u64::from_be_bytes(rest.try_into().ok()?))),
        (b'p', rest) => Some(Written::Position(cohort::decode(rest)?.1)),
        _ => None,
    }
}

/// A written position over that of a new subscription: partitions that came since begin at their beginning.
fn overlay(at: &mut [Offset], written: &[Offset]) {
    for (partition, offset) in at.iter_mut().enumerate() {
        *offset = written.get(partition).copied().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn how_far_a_subscription_is_comes_back(id in any::<u64>(), at in prop::collection::vec(any::<i64>(), 0..9)) {
            let cohort = in_cohort(id).value.unwrap_or_default();
            prop_assert!(matches!(read_at(&cohort), Some(Written::Cohort(found)) if found == id));
            prop_assert!(matches!(read_at(&stopped(&at)), Some(Written::Position(found)) if found == at));
        }

        #[test]
        fn any_bytes_say_how_far_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let found = read_at(&bytes);
            let kind = bytes.first().copied();
            prop_assert!(found.is_none() || kind == Some(b'c') || kind == Some(b'p'));
            let mut at = vec![7; 3];
            if let Some(Written::Position(written)) = found {
                overlay(&mut at, &written);
                prop_assert_eq!(&at[..written.len().min(3)], &written[..written.len().min(3)]);
            }
        }
    }
}
