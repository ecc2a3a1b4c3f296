//! The deliveries of one subscription: a task that makes what waits in its space, tries again with growing pauses, and
//! gives up into the dead-letter stream.
//!
//! At least once: a delivery leaves the space only in a commit behind its success, or in the one that writes its dead
//! letter. Bounded: readers stop at [`super::cohort::PENDING_MAX`]; in memory stand keys and times, no bodies.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use headwater_base::{Clock, Limits, Micros, Problem};
use headwater_kernel::port::Tables;
use headwater_kernel::unit::{awaited, bug};
use headwater_log::{Delta, Log, LogError, Sequence, View};
use tokio::sync::{Notify, mpsc};

use crate::pending::{PREFIX, Pending};
use crate::runtime::batch::attempt_together;
use crate::runtime::deliver::{Outside, Verdict, again, attempt, fnv};
use crate::runtime::figures::Figures;
use crate::runtime::reader::count;
use crate::runtime::writer::Writer;
use crate::spec::DeliverySpec;
use crate::subscription::{Effect, Source, Subscription};

/// The longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// The longest nap while something is due later: a clock may be set.
const NAP_MAX: Duration = Duration::from_millis(100);
/// Entries read at a time when a task begins.
const SCAN: usize = 1_000;
/// Outcomes written in one commit.
const SETTLE_MAX: usize = 256;

/// No further ones are written with them once they hold so many bytes: what is tried again is written with its body, and
/// one commit has to take it all.
const SETTLE_BYTES: u64 = 1024 * 1024;

/// What a task of deliveries works with.
pub struct Dispatch {
    /// Whose deliveries.
    pub subscription: Arc<Subscription>,
    /// Its counters.
    pub figures: Arc<Figures>,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Documents.
    pub tables: Arc<dyn Tables>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who can be delivered to.
    pub outside: Arc<Outside>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Seed of the pauses' random part.
    pub seed: u64,
    /// Wakes who waits for room.
    pub freed: Arc<Notify>,
}

/// A delivery in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    due: Micros,
    key: Bytes,
    lane: Option<String>,
}

/// A delivery that is about to be tried.
struct Taken {
    ticket: Ticket,
    pending: Pending,
    body: Bytes,
    bytes: u64,
}

/// A try that ended.
struct Ended {
    ticket: Ticket,
    /// Key of the first delivery of its request: the pause is drawn by it, so that they are tried together again.
    first: Bytes,
    pending: Pending,
    body: Bytes,
    bytes: u64,
    verdict: Verdict,
}

/// What is to be made, and in which order.
#[derive(Default)]
pub struct Queue {
    due: BinaryHeap<Reverse<Ticket>>,
    /// Deliveries behind the first of the same order.
    lanes: HashMap<String, VecDeque<Ticket>>,
    /// What is due, and waits for others to go with it.
    gathered: Vec<Ticket>,
    /// When it waits no longer.
    until: Micros,
}

impl Queue {
    fn push(&mut self, ticket: Ticket) {
        if let Some(lane) = &ticket.lane {
            if let Some(behind) = self.lanes.get_mut(lane) {
                return behind.push_back(ticket);
            }
            self.lanes.insert(lane.clone(), VecDeque::new());
        }
        self.due.push(Reverse(ticket));
    }

    /// The first of a lane is done: the next has its turn.
    fn pass(&mut self, lane: Option<&String>) {
        let Some(lane) = lane else { return };
        match self.lanes.get_mut(lane).and_then(VecDeque::pop_front) {
            Some(next) => self.due.push(Reverse(next)),
            None => drop(self.lanes.remove(lane)),
        }
    }

    fn next(&mut self, now: Micros) -> Option<Ticket> {
        if self.due.peek()?.0.due > now {
            return None;
        }
        self.due.pop().map(|Reverse(ticket)| ticket)
    }

    /// Up to `count` deliveries that are due, of different orders. Fewer wait for others as long as `window`.
    fn gather(&mut self, now: Micros, count: usize, window: Duration) -> Vec<Ticket> {
        while self.gathered.len() < count
            && let Some(ticket) = self.next(now)
        {
            if self.gathered.is_empty() {
                self.until = now.plus(window);
            }
            self.gathered.push(ticket);
        }
        // A clock that was set back keeps nobody waiting for longer.
        self.until = self.until.min(now.plus(window));
        if self.gathered.len() < count && now < self.until { Vec::new() } else { std::mem::take(&mut self.gathered) }
    }

    /// When there is something to do again.
    fn wakes(&self) -> Option<Micros> {
        let gathered = (!self.gathered.is_empty()).then_some(self.until);
        gathered.into_iter().chain(self.due.peek().map(|Reverse(next)| next.due)).min()
    }
}

impl Dispatch {
    /// What waits already: counts it and gives its tickets.
    pub fn begin(&self) -> Queue {
        let mut queue = Queue::default();
        let mut after: Option<Bytes> = None;
        loop {
            let entries = self.log.scan(&self.subscription.space, PREFIX, after.as_deref(), SCAN);
            let Some((last, _)) = entries.last() else { return queue };
            after = Some(last.clone());
            for (key, value) in entries {
                Figures::add(&self.figures.pending, 1);
                Figures::add(&self.figures.pending_bytes, value.len() as u64);
                queue.push(ticket(key, &value));
            }
        }
    }

    /// Makes deliveries until it is dropped.
    ///
    /// # Errors
    /// `HW-BUS-022` what the log says, `HW-BUS-020` when there is no dead-letter stream.
    pub async fn run(
        self,
        mut queue: Queue,
        mut told: mpsc::UnboundedReceiver<(Sequence, Vec<Bytes>)>,
    ) -> Result<(), Problem> {
        let mut writer = Writer::new(Arc::clone(&self.log), Arc::clone(&self.tables));
        let mut trying: FuturesUnordered<BoxFuture<'_, Vec<Ended>>> = FuturesUnordered::new();
        let batch = self.batch();
        let concurrency = (self.policy(0).concurrency as usize).max(batch);
        // Deliveries, not requests.
        let mut under_way = 0;
        loop {
            let now = self.clock.now();
            while under_way + batch <= concurrency {
                let taken = self.take(&mut queue, now, batch);
                if taken.is_empty() {
                    break;
                }
                under_way += taken.len();
                trying.push(self.attempt(taken));
            }
            let full = under_way + batch > concurrency;
            let nap = queue.wakes().filter(|_| !full).map(|wakes| wakes.since(now).min(NAP_MAX));
            tokio::select! {
                told = told.recv() => {
                    let Some((sequence, keys)) = told else { return Ok(()) };
                    self.log.durable(sequence).await.map_err(|error| self.failed(&error))?;
                    for key in keys {
                        if let Some(value) = self.log.get(&self.subscription.space, &key, View::Durable) {
                            queue.push(ticket(key, &value));
                        }
                    }
                }
                Some(mut all) = trying.next(), if !trying.is_empty() => {
                    let weight = |ended: &[Ended]| ended.iter().map(|one| one.bytes).sum::<u64>();
                    while all.len() < SETTLE_MAX
                        && weight(&all) < SETTLE_BYTES
                        && let Some(Some(more)) = futures::FutureExt::now_or_never(trying.next())
                    {
                        all.extend(more);
                    }
                    under_way -= all.len();
                    self.settle(all, &mut queue, &mut writer).await?;
                    self.freed.notify_one();
                }
                () = tokio::time::sleep(nap.unwrap_or(NAP_MAX)), if nap.is_some() => {}
            }
        }
    }

    /// How many events are tried together, at most.
    fn batch(&self) -> usize {
        let asked = self.subscription.enrichment.as_ref().map_or(1, |(enrichment, _)| enrichment.batch() as usize);
        self.subscription.batch.map_or(asked, |batch| batch.size).min(self.limits.batch_events).max(1)
    }

    /// Up to `count` deliveries that are due, of different orders, in the order of their streams.
    fn take(&self, queue: &mut Queue, now: Micros, count: usize) -> Vec<Taken> {
        let (mut all, mut sum): (Vec<Taken>, u64) = (Vec::new(), 0);
        let window = self.subscription.batch.map_or(Duration::ZERO, |batch| batch.window);
        let mut tickets = queue.gather(now, count, window).into_iter();
        while let Some(ticket) = tickets.next() {
            let value = self.log.get(&self.subscription.space, &ticket.key, View::Appended);
            let Some((bytes, (pending, body))) =
                value.and_then(|value| Some((value.len() as u64, Pending::decode(&value)?)))
            else {
                // Somebody else's hand took it out of the space.
                queue.pass(ticket.lane.as_ref());
                continue;
            };
            sum += bytes;
            if !all.is_empty() && sum > self.limits.payload_bytes as u64 {
                queue.gathered.push(ticket);
                queue.gathered.extend(tickets);
                break;
            }
            all.push(Taken { ticket, pending, body, bytes });
        }
        all.sort_by(|a, b| a.ticket.key.cmp(&b.ticket.key));
        all
    }

    /// A try of deliveries: of one, or of those that go together.
    fn attempt(&self, taken: Vec<Taken>) -> BoxFuture<'_, Vec<Ended>> {
        let together = self.batch() > 1 || self.subscription.batch.is_some();
        let first = taken.first().map(|taken| taken.ticket.key.clone()).unwrap_or_default();
        Box::pin(async move {
            let tried = async {
                match taken.as_slice() {
                    [one] if !together => {
                        vec![attempt(&self.outside, &self.subscription, &one.pending, &one.body).await]
                    }
                    all => {
                        let events: Vec<(Pending, Bytes)> =
                            all.iter().map(|one| (one.pending.clone(), one.body.clone())).collect();
                        attempt_together(&self.outside, &self.subscription, &events).await
                    }
                }
            };
            // What meets a bug is tried again and given up as what its target does not take, and holds nobody up.
            let verdicts = awaited(tried).await.unwrap_or_else(|said| {
                let problem = bug("the delivery", &said);
                taken.iter().map(|_| again(&problem)).collect()
            });
            let ended = taken.into_iter().zip(verdicts).map(|(taken, verdict)| {
                let Taken { ticket, pending, body, bytes } = taken;
                Ended { ticket, first: first.clone(), pending, body, bytes, verdict }
            });
            ended.collect::<Vec<Ended>>()
        })
    }

    /// Writes what became of tries in one commit; if a table refuses a document of one of them, one by one.
    async fn settle(&self, ended: Vec<Ended>, queue: &mut Queue, writer: &mut Writer) -> Result<(), Problem> {
        let now = self.clock.now();
        let (mut effects, mut deltas, mut back) = (Vec::new(), Vec::new(), Vec::new());
        let mut inside = Vec::new();
        for one in ended {
            if !matches!(one.verdict, Verdict::Later) {
                *self.figures.fault.lock() = one.verdict.fault().map(str::to_owned);
            }
            if matches!(one.verdict, Verdict::Inside(_)) {
                inside.push(one);
                continue;
            }
            self.judge(one, now, &mut effects, &mut deltas, &mut back);
        }
        self.write(&effects, deltas, writer).await?;
        for one in inside {
            let (lane, bytes) = (one.ticket.lane.clone(), one.bytes);
            let deltas = vec![Delta { key: one.ticket.key.clone(), value: None }];
            let Verdict::Inside(effect) = one.verdict else { continue };
            self.write(&[*effect], deltas, writer).await?;
            self.gone(bytes);
            queue.pass(lane.as_ref());
        }
        for (ticket, again) in back {
            match again {
                true => queue.due.push(Reverse(ticket)),
                false => queue.pass(ticket.lane.as_ref()),
            }
        }
        Ok(())
    }

    /// What one try comes to: gone, tried again, or a dead letter.
    fn judge(
        &self,
        one: Ended,
        now: Micros,
        effects: &mut Vec<Effect>,
        deltas: &mut Vec<Delta>,
        back: &mut Vec<(Ticket, bool)>,
    ) {
        let Ended { mut ticket, first, mut pending, body, bytes, verdict } = one;
        let policy = self.policy(pending.target);
        pending.attempts = pending.attempts.saturating_add(1);
        let (code, reason, status) = match verdict {
            Verdict::Delivered | Verdict::Inside(_) => {
                Figures::add(&self.figures.delivered, 1);
                self.gone(bytes);
                deltas.push(Delta { key: ticket.key.clone(), value: None });
                return back.push((ticket, false));
            }
            Verdict::Again(refused) => {
                let age = now.since(pending.first);
                let pause = refused.after.unwrap_or_else(|| pause(&policy, &first, pending.attempts, self.seed));
                let old = age + pause > Duration::from_millis(policy.age.millis());
                if !old && pending.attempts < policy.attempts {
                    Figures::add(&self.figures.retried, 1);
                    pending.due = now.plus(pause);
                    ticket.due = pending.due;
                    deltas.push(Delta { key: ticket.key.clone(), value: pending.encode(&body) });
                    return back.push((ticket, true));
                }
                let bound = match old {
                    true => format!("not delivered within {}", policy.age),
                    false => format!("not delivered in {} tries", policy.attempts),
                };
                ("HW-BUS-012".to_owned(), format!("{bound}: {}", refused.reason), refused.status)
            }
            Verdict::Never(code, reason, status) => (code, reason, status),
            // Nothing of it has changed.
            Verdict::Later => return back.push((ticket, true)),
        };
        let cause = pending.chain();
        let source = Source { time: pending.time, cause: &cause, place: pending.place(), now };
        let mut letter = self.subscription.letter_of(&source, Some(pending.target), code, reason, &body);
        letter.attempts = pending.attempts;
        letter.status = status;
        letter.first = Some(pending.first.to_string());
        self.gone(bytes);
        effects.push(Effect::Dead(letter));
        deltas.push(Delta { key: ticket.key.clone(), value: None });
        back.push((ticket, false));
    }

    async fn write(&self, effects: &[Effect], deltas: Vec<Delta>, writer: &mut Writer) -> Result<(), Problem> {
        if deltas.is_empty() {
            return Ok(());
        }
        let done = writer.settle(&self.subscription, effects, deltas, &*self.clock).await?;
        for (effect, outcome) in effects.iter().zip(done.outcomes) {
            count(&self.figures, effect, outcome);
        }
        Ok(())
    }

    /// A delivery has left the space.
    fn gone(&self, bytes: u64) {
        Figures::take(&self.figures.pending, 1);
        Figures::take(&self.figures.pending_bytes, bytes);
    }

    fn policy(&self, target: usize) -> DeliverySpec {
        let of_target = self.subscription.targets.get(target).and_then(|target| target.delivery.clone());
        of_target.unwrap_or_default()
    }

    fn failed(&self, error: &LogError) -> Problem {
        Problem::new("HW-BUS-022", format!("deliveries of `{}`: {error}", self.subscription.id()))
    }
}

/// The pause before the next try: doubles, up to ten minutes, and a random part of up to half of it is left out.
fn pause(policy: &DeliverySpec, key: &[u8], attempts: u32, seed: u64) -> Duration {
    let doubled = policy.pause.millis().saturating_mul(1 << attempts.saturating_sub(1).min(20));
    let whole = Duration::from_millis(doubled).min(PAUSE_MAX);
    let drawn = fnv(&[&format!("{key:x?}"), &attempts.to_string(), &seed.to_string()]) >> 33;
    #[expect(clippy::cast_precision_loss, reason = "31 bits fit")]
    let part = drawn as f64 / (1_u64 << 31) as f64;
    whole.mul_f64(0.5 + part / 2.0)
}

/// A delivery's ticket; one that cannot be read is taken up at once, and then goes.
fn ticket(key: Bytes, value: &[u8]) -> Ticket {
    match Pending::decode(value) {
        Some((pending, _)) => {
            let lane = pending.order.as_ref().map(|order| format!("{}/{order}", pending.target));
            Ticket { due: pending.due, key, lane }
        }
        None => Ticket { due: Micros(0), key, lane: None },
    }
}

#[cfg(test)]
mod tests;
