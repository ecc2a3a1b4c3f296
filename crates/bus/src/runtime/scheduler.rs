//! The scheduler: one task for all schedules of a node. When one is due, its event's effects and the time it was due are
//! one commit, so that a time counts once whatever happens in between. Each acts on one time after the other, and none
//! waits for another: one whose target has no room, or whose table is behind, holds up its own next time alone.
//!
//! Times that pass while the node does not run, or that the clock leaps over, are made up for once or left out, as the
//! schedule says. A time that meets a bug is a dead letter, and the next ones are due all the same. A calendar that meets
//! one has no next time: the schedule fails, once the time that was due has been acted on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use headwater_base::{Clock, Micros, Problem};
use headwater_kernel::clock::nap;
use headwater_kernel::port::Tables;
use headwater_kernel::unit::{awaited, bug, contained};
use headwater_log::{Commit, Delta, Log, LogError, View, append_when_room};
use headwater_wire::batch::Record;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::event::{self, header};
use crate::kinds::schedule::{Afterwards, Calendar, Missed};
use crate::letter::Place;
use crate::runtime::cohort::Member;
use crate::runtime::deliver::fnv;
use crate::runtime::figures::Figures;
use crate::runtime::reader::count;
use crate::runtime::writer::{Done, Writer};
use crate::subscription::{Effect, Happened};

/// The source of a schedule's events.
pub const SOURCE: &str = "headwater.schedule";
/// The type of a schedule's events.
pub const TYPE: &str = "Scheduled Event";
/// How often it is seen whether nothing waits any more of a schedule that is over.
const LINGER: Duration = Duration::from_millis(250);
/// A time that is late by no more than this is not missed, it is just being made.
const GRACE: Duration = Duration::from_secs(60);
/// Key of the time a schedule was last due, in its own space.
const FIRED: &[u8] = b"fired";

/// Deletes a resource: kind and name.
pub type Retire = Arc<dyn Fn(&'static str, String) + Send + Sync>;

/// The schedules of a node.
pub struct Scheduler {
    log: Arc<dyn Log>,
    tables: Arc<dyn Tables>,
    clock: Arc<dyn Clock>,
    entries: Mutex<BTreeMap<String, Entry>>,
    wake: Notify,
}

struct Entry {
    member: Arc<Member>,
    calendar: Calendar,
    /// The last time it was due; when it was created, as long as it was not.
    last: Micros,
    created: Micros,
    /// The next time, and when it is acted upon: later by its place in the flexible window.
    next: Option<(Micros, Micros)>,
    /// The moment at which somebody made it due, beside its times.
    asked: Option<Micros>,
    /// A time of it is being acted on; the next one waits for that.
    busy: bool,
    /// Why no further time is known.
    broken: Option<Problem>,
    retire: Option<Retire>,
}

/// A time to act on.
#[derive(Clone, Copy)]
struct Due {
    time: Micros,
    /// The last of its calendar's times that is acted on with it; one that waits in its window is none.
    done: Micros,
}

impl Scheduler {
    /// A scheduler without schedules.
    pub fn new(log: Arc<dyn Log>, tables: Arc<dyn Tables>, clock: Arc<dyn Clock>) -> Self {
        Self { log, tables, clock, entries: Mutex::default(), wake: Notify::new() }
    }

    /// Adds a schedule that was created at `created`.
    ///
    /// # Errors
    /// `HW-BUS-022` what the log says; `HW-BUS-064` where its calendar meets a bug.
    pub async fn join(
        &self,
        member: Arc<Member>,
        calendar: Calendar,
        created: Micros,
        retire: Option<Retire>,
    ) -> Result<(), Problem> {
        let space = &member.subscription.space;
        let written = self.log.get(space, FIRED, View::Appended);
        let written = written.and_then(|bytes| Some(Micros(i64::from_le_bytes(bytes.as_ref().try_into().ok()?))));
        let last = match written {
            Some(last) => last,
            None => {
                // A new schedule owes nothing of the time before it was there.
                let deltas = vec![(Arc::clone(space), vec![fired(created)])];
                let mut commit = Commit { deltas, ..Commit::default() };
                append_when_room(&*self.log, &mut commit).await.map_err(|error| failed(&error))?;
                created
            }
        };
        let (next, asked, broken) = (None, None, None);
        let mut entry = Entry { member, calendar, last, created, next, asked, busy: false, broken, retire };
        entry.plan();
        if let Some(problem) = entry.broken.take() {
            return Err(problem);
        }
        self.entries.lock().insert(entry.member.subscription.id(), entry);
        self.wake.notify_one();
        Ok(())
    }

    /// Takes a schedule away; what it still waits to write is left.
    pub fn leave(&self, id: &str) {
        if let Some(entry) = self.entries.lock().remove(id) {
            entry.member.ending.tell(Ok(()));
        }
    }

    /// Makes a schedule due now, beside its times, of which none is left out; the moment, if it runs.
    pub fn run_now(&self, id: &str) -> Option<Micros> {
        let now = self.clock.now();
        self.entries.lock().get_mut(id)?.asked = Some(now);
        self.wake.notify_one();
        Some(now)
    }

    /// Gives a schedule another calendar, for tests.
    #[cfg(test)]
    pub(super) fn change(&self, id: &str, change: impl FnOnce(&mut Calendar)) {
        if let Some(entry) = self.entries.lock().get_mut(id) {
            change(&mut entry.calendar);
        }
    }

    /// Acts on schedules as they are due, for ever.
    pub async fn run(&self) {
        // One of each schedule at most.
        let mut firing = FuturesUnordered::new();
        loop {
            let now = self.clock.now();
            firing.extend(self.due(now).into_iter().map(|(member, due)| self.act(member, due, now)));
            let next = {
                let entries = self.entries.lock();
                entries.values().filter(|entry| !entry.busy).filter_map(|entry| entry.look(now)).min()
            };
            tokio::select! {
                // All that are done by now: each look at what is due is one at all schedules.
                Some(()) = firing.next() => {
                    while let Some(Some(())) = firing.next().now_or_never() {}
                }
                () = self.wake.notified() => {}
                () = nap(&*self.clock, next.unwrap_or(Micros::MAX)), if next.is_some() => {}
            }
        }
    }

    /// What is to be acted on: a time of a schedule, or why it has none any more.
    fn due(&self, now: Micros) -> Vec<(Arc<Member>, Result<Due, Problem>)> {
        let mut entries = self.entries.lock();
        let due = entries.values_mut().filter(|entry| !entry.busy).filter_map(|entry| {
            // A bug that a schedule meets is its own failure: the others are due all the same.
            let taken = contained(|| entry.take(now));
            let failed = |said: String| Err(bug(format_args!("`{}`", entry.member.subscription.id()), &said));
            let due = taken.unwrap_or_else(failed).transpose()?;
            entry.busy = true;
            Some((Arc::clone(&entry.member), due))
        });
        due.collect()
    }

    /// Acts on a time of a schedule, which fails where that does.
    async fn act(&self, member: Arc<Member>, due: Result<Due, Problem>, now: Micros) {
        let id = member.subscription.id();
        let fired = async {
            match due {
                Ok(due) => {
                    let fired = awaited(self.fire(&member, due, now)).await;
                    fired.unwrap_or_else(|said| Err(bug(format_args!("`{id}`"), &said)))
                }
                Err(problem) => Err(problem),
            }
        };
        let fired = tokio::select! {
            biased;
            // Its next life begins where this one has come to.
            _ = member.ending.heard() => return,
            fired = fired => fired,
        };
        {
            let mut entries = self.entries.lock();
            // Its next life may be there already.
            let Some(entry) = entries.get_mut(&id).filter(|entry| Arc::ptr_eq(&entry.member, &member)) else { return };
            entry.busy = false;
            if fired.is_err() {
                // Gone before its end is told: its next life may join as soon as it is.
                entries.remove(&id);
            }
        }
        if let Err(problem) = fired {
            warn!(schedule = %id, code = problem.code, title = problem.title, "a schedule failed");
            member.ending.tell(Err(problem));
        }
    }

    /// One time of one schedule.
    async fn fire(&self, member: &Arc<Member>, due: Due, now: Micros) -> Result<(), Problem> {
        let Due { time, done } = due;
        let mut writer = Writer::new(Arc::clone(&self.log), Arc::clone(&self.tables));
        let subscription = &member.subscription;
        let id = subscription.id();
        let record = occurrence(&id, time);
        let mut buffer = Vec::new();
        let view = event::view(&record, &mut buffer).into_owned();
        let place = Place { stream: &id, partition: 0, offset: time.0 };
        // The beginning of a chain is never its end.
        let happened = Happened { record: &record, view: &view, place, now, hops_max: u32::MAX };
        let effects = subscription.led(&happened)?;
        info!(schedule = %id, time = %time, "schedule is due");
        let Done { ticket, outcomes } = writer.settle(subscription, &effects, vec![fired(done)], &*self.clock).await?;
        Figures::add(&member.figures.matched, 1);
        let mut keys: Vec<Bytes> = Vec::new();
        for (effect, outcome) in effects.iter().zip(outcomes) {
            count(&member.figures, effect, outcome);
            if let Effect::Pending { key, .. } = effect {
                keys.push(key.clone());
            }
        }
        if let (Some(tell), false) = (&member.tell, keys.is_empty()) {
            // A delivery task that ended has told its unit why; the next one finds these in the space.
            let _ = tell.send((ticket.sequence, keys));
        }
        Ok(())
    }
}

impl Entry {
    /// The time that is due now, if one is; plans the next.
    ///
    /// # Errors
    /// `HW-BUS-064` where that failed the last time.
    fn take(&mut self, now: Micros) -> Result<Option<Due>, Problem> {
        if let Some(problem) = self.broken.take() {
            return Err(problem);
        }
        if let Some(time) = self.asked.take() {
            self.member.figures.last.store(time.0, Ordering::Relaxed);
            return Ok(Some(Due { time, done: self.last }));
        }
        let Some((mut time, _)) = self.next.filter(|(_, at)| *at <= now) else {
            self.retire();
            return Ok(None);
        };
        let late = now.minus(GRACE.saturating_add(self.calendar.window));
        if time < late {
            // The newest of all that have passed stands for them; where a bug keeps it from being told, the first does.
            let newest = contained(|| newest(&self.calendar, time, now)).unwrap_or(time);
            self.last = newest;
            time = newest;
            if self.calendar.missed == Missed::Skip && newest < late {
                self.plan();
                return Ok(None);
            }
        }
        self.last = time;
        self.plan();
        Ok(Some(Due { time, done: time }))
    }

    /// When it is to be looked at next; never, where nothing is to come of it any more.
    fn look(&self, now: Micros) -> Option<Micros> {
        if self.broken.is_some() || self.asked.is_some() {
            return Some(now);
        }
        let lingers = self.calendar.afterwards == Afterwards::Delete && self.retire.is_some();
        self.next.map(|(_, at)| at).or_else(|| lingers.then(|| now.plus(LINGER)))
    }

    fn plan(&mut self) {
        let spread = u64::try_from(self.calendar.window.as_micros()).unwrap_or(u64::MAX);
        let id = self.member.subscription.id();
        let next = self.calendar.tell(self.last).unwrap_or_else(|problem| {
            self.broken = Some(problem);
            None
        });
        self.next = next.map(|time| {
            let behind = if spread == 0 { 0 } else { fnv(&[&id, &time.0.to_string()]) % spread };
            (time, time.plus(Duration::from_micros(behind)))
        });
        let shown = self.next.map_or(0, |(time, _)| time.0);
        self.member.figures.next.store(shown, Ordering::Relaxed);
        let last = if self.last > self.created { self.last.0 } else { 0 };
        self.member.figures.last.store(last, Ordering::Relaxed);
    }

    /// Deletes the schedule once it is never due again and nothing of it waits.
    fn retire(&mut self) {
        let over = self.next.is_none() && self.calendar.afterwards == Afterwards::Delete;
        if over
            && Figures::read(&self.member.figures.pending) == 0
            && let Some(retire) = self.retire.take()
        {
            retire("Schedule", self.member.subscription.name.to_string());
        }
    }
}

/// The newest time of a calendar up to `now`, given that `time` is one. Looks back in growing steps, so that a year of
/// missed minutes costs nothing.
fn newest(calendar: &Calendar, time: Micros, now: Micros) -> Micros {
    let mut back = Duration::from_secs(60);
    let mut from = time;
    while now.minus(back) > time {
        let after = now.minus(back);
        if let Some(found) = calendar.next(after).filter(|found| *found <= now) {
            from = found;
            break;
        }
        back *= 2;
    }
    while let Some(next) = calendar.next(from).filter(|next| *next <= now) {
        from = next;
    }
    from
}

/// The event of one time of a schedule.
fn occurrence(id: &str, time: Micros) -> Record {
    let mut headers = event::attributes(&format!("{}-{}", id.replace('/', "-"), time.0), SOURCE, TYPE, time);
    headers.push((header::SUBJECT.to_owned(), Bytes::copy_from_slice(id.as_bytes())));
    let headers = headers.into_iter().map(|(name, value)| (Bytes::from(name), Some(value))).collect();
    Record { offset: time.0, timestamp: time.millis(), key: None, value: Some(Bytes::from_static(b"{}")), headers }
}

fn fired(time: Micros) -> Delta {
    Delta { key: Bytes::from_static(FIRED), value: Some(Bytes::copy_from_slice(&time.0.to_le_bytes())) }
}

fn failed(error: &LogError) -> Problem {
    Problem::new("HW-BUS-022", format!("the scheduler: {error}"))
}
