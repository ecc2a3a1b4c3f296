//! Writing a batch: everything that its executions did becomes one commit.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::tables::{TransactError, Write, Written};
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView};
use headwater_kernel::unit::contained;
use headwater_log::park;
use headwater_log::{Commit, DISK_RETRY, Delta, LogError, Ticket, View};
use headwater_store::disk::is_full;

use super::batch::Batch;
use super::completer::Post;
use super::{Shard, Stop, buggy};
use crate::engine::index::Listing;
use crate::engine::journal::Pieces;
use crate::engine::queue::{Command, Reply};
use crate::engine::rows::{self, Alarm, AlarmKey, Key, Tag, Task};
use crate::engine::turn::After;
use crate::engine::{BEHIND_MAX, events, payloads, refused, rows::Head};
use crate::execution::Timer;
use crate::tasks::Refusal;

/// A batch as the log takes it.
struct Built {
    commit: Commit,
    writes: Vec<Write>,
    /// Which slot and which of its guarded tasks a write is of.
    owners: Vec<(usize, usize)>,
    /// Rows that keep what writes do: which writes, the row, and its value without that.
    undecided: Vec<(Range<usize>, Bytes, Bytes)>,
    heads: Vec<Head>,
    /// Blobs that each slot points to from now on.
    kept: Vec<Vec<[u8; 32]>>,
    /// Timers that there were and that go or move.
    cleared: Vec<(Micros, Key, AlarmKey)>,
    next: i64,
    history: bool,
}

impl Shard {
    pub(super) fn commit(&mut self, mut batch: Batch) -> Result<(), Stop> {
        for (due, key, alarm) in std::mem::take(&mut batch.late) {
            self.timers.set((due, key, alarm));
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.take_untouched().into_iter().for_each(|turn| self.cache.put(turn));
        self.write(batch)
    }

    fn write(&mut self, mut batch: Batch) -> Result<(), Stop> {
        let (mut patience, mut told) = (BEHIND_MAX, false);
        loop {
            let built = match contained(|| self.build(&batch)) {
                Ok(Ok(built)) => built,
                Ok(Err(error)) if is_full(&error) => {
                    if self.keep_for_disk(&mut batch, &error.to_string(), &mut told)? {
                        continue;
                    }
                    return Ok(());
                }
                Ok(Err(error)) => return Err(Stop::Over(format!("a payload cannot be kept: {error}"))),
                Err(said) => {
                    let Some(key) = batch.slots.first().map(|slot| slot.turn.key) else { return Err(Stop::Over(said)) };
                    if batch.slots.len() > 1 || !batch.loose.is_empty() {
                        return self.halves(batch);
                    }
                    self.park(&mut batch, &key, &buggy(&said));
                    if batch.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
            };
            let runs = batch.runs();
            if !runs.is_empty() {
                self.inner.index.lock().name(runs.iter().copied());
            }
            let appended = self.append(built);
            if !runs.is_empty() && appended.is_err() {
                self.inner.index.lock().forget(runs.into_iter().map(|(name, _)| name));
            }
            match appended {
                Ok((ticket, built, written)) => return self.written(batch, built, ticket, written),
                Err((built, TransactError::Full)) => self.wait_for_room(&built.commit)?,
                Err((_, TransactError::Log(LogError::Disk(why)))) => {
                    if !self.keep_for_disk(&mut batch, &why, &mut told)? {
                        return Ok(());
                    }
                }
                Err((built, error @ TransactError::Condition { index, .. })) => {
                    let Some((slot, number)) = built.owners.get(index).copied() else {
                        return Err(Stop::Over("the tables refused a write that was not made".to_owned()));
                    };
                    self.refuse(&mut batch, slot, number, &error);
                }
                Err((_, TransactError::Behind(table))) if patience > 0 => {
                    patience -= 1;
                    self.inner.handle.block_on(self.inner.caught_up(&table));
                }
                Err((_, TransactError::Log(error @ (LogError::Fenced(..) | LogError::Closed)))) => {
                    return Err(Stop::Over(error.to_string()));
                }
                Err((_, error)) => {
                    if batch.slots.len() > 1 || !batch.slots.is_empty() && !batch.loose.is_empty() {
                        return self.halves(batch);
                    }
                    self.single(&mut batch, &error)?;
                    if batch.is_empty() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Something in a batch cannot be written: its executions are tried apart, so that what is wrong stands alone. Who
    /// asked for something of one is answered with that one, which may be the one that is not written.
    fn halves(&mut self, mut batch: Batch) -> Result<(), Stop> {
        for slot in std::mem::take(&mut batch.slots) {
            let answers = batch.take_answers(&slot.turn.key);
            let mut alone = Batch::of(slot);
            alone.posts = answers;
            self.write(alone)?;
        }
        let mut rest = batch.take_rest();
        rest.posts = batch.posts;
        if rest.is_empty() { Ok(()) } else { self.write(rest) }
    }

    /// The log does not take what one execution wants to write: its internal tasks fail, or it is parked.
    fn single(&mut self, batch: &mut Batch, error: &TransactError) -> Result<(), Stop> {
        let Some(slot) = batch.slots.first() else {
            return Err(Stop::Over(format!("the log takes nothing of this shard: {error:?}")));
        };
        if !slot.turn.writes.is_empty() {
            self.refuse(batch, 0, 0, error);
            return Ok(());
        }
        let key = slot.turn.key;
        let reason = match error {
            TransactError::Problem(problem) => problem.title.clone(),
            TransactError::Log(error) => error.to_string(),
            other => format!("{other:?}"),
        };
        self.park(batch, &key, &reason);
        Ok(())
    }

    fn refuse(&mut self, batch: &mut Batch, place: usize, number: usize, error: &TransactError) {
        let around = Self::around(&self.inner, &*self.log, &self.space);
        let Some(slot) = batch.slots.get_mut(place) else { return };
        let key = slot.turn.key;
        if let Err(problem) = slot.turn.refuse(number, Refusal::Write(error), &around) {
            self.park(batch, &key, &problem.title);
        }
    }

    fn wait_for_room(&self, commit: &Commit) -> Result<(), Stop> {
        self.inner.handle.block_on(self.log.room(&commit.streams()));
        if self.queue().is_closed() { Err(Stop::Over("the node stops".to_owned())) } else { Ok(()) }
    }

    /// The disk refuses a batch: what clients have asked to be started is refused, and the rest waits a while. False
    /// where there is none.
    fn keep_for_disk(&self, batch: &mut Batch, why: &str, told: &mut bool) -> Result<bool, Stop> {
        tell_refused(batch.take_starts(), why);
        if batch.is_empty() {
            return Ok(false);
        }
        self.wait_for_disk(why, told).map(|()| true)
    }

    /// Waits a while for a disk that refuses; executions and those who asked for something of one wait as well. Says so
    /// once.
    fn wait_for_disk(&self, why: &str, told: &mut bool) -> Result<(), Stop> {
        if !std::mem::replace(told, true) {
            tracing::error!(shard = self.index, why, "executions wait for the disk");
        }
        park::pause(DISK_RETRY);
        tell_refused(self.queue().take_starts(), why);
        if self.queue().is_closed() { Err(Stop::Over("the node stops".to_owned())) } else { Ok(()) }
    }

    /// Appends what stands in no batch, once there is room.
    fn append_alone(&self, commit: &mut Commit) -> Result<(), Stop> {
        let mut told = false;
        loop {
            match self.log.append(commit) {
                Ok(_) => return Ok(()),
                Err(LogError::Full(_)) => self.wait_for_room(commit)?,
                Err(LogError::Disk(why)) => self.wait_for_disk(&why, &mut told)?,
                Err(error) => return Err(Stop::Over(error.to_string())),
            }
        }
    }

    fn build(&self, batch: &Batch) -> std::io::Result<Built> {
        let inline_max = self.inner.inline_max();
        let mut pieces = Pieces::new(self.index, self.next, inline_max);
        let mut told = events::Told::new(&*self.log);
        let (mut deltas, mut writes, mut owners, mut heads, mut cleared) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut appends, mut kept, mut undecided) = (Vec::new(), Vec::new(), Vec::new());
        for (place, slot) in batch.slots.iter().enumerate() {
            let turn = &slot.turn;
            let mut large = turn.large.clone();
            let placed = pieces.add(&turn.head.id(), turn.head.last, &turn.history, &mut large);
            let changes = turn.deltas(inline_max, &mut large);
            let fresh = self.inner.keep(&large, &turn.kept)?;
            let mut head = turn.head(placed);
            for hash in &fresh {
                let row = payloads::pointer(&turn.key, head.blobs);
                deltas.push(Delta { key: row, value: Some(Bytes::copy_from_slice(hash)) });
                head.blobs += 1;
            }
            kept.push(fresh);
            deltas.push(Delta { key: rows::row(&turn.key, Tag::Head, &[]), value: Some(head.encode()) });
            deltas.extend(changes.into_iter().map(|(key, value)| Delta { key, value }));
            for state in &turn.told {
                told.add(turn, *state);
            }
            for (alarm, _) in turn.alarms() {
                if turn.fresh {
                    break;
                }
                let there = self.log.get(&self.space, &rows::row(&turn.key, Tag::Timer, alarm), View::Appended);
                let due = there.and_then(|bytes| bytes.as_ref().try_into().ok()).map(i64::from_be_bytes);
                cleared.extend(due.map(|due| (Micros(due), turn.key, *alarm)));
            }
            let before = writes.len();
            undecided.extend(
                turn.undecided().map(|(range, row, value)| (range.start + before..range.end + before, row, value)),
            );
            for (number, guarded) in turn.writes.iter().enumerate() {
                writes.extend(guarded.writes.iter().cloned());
                owners.extend(guarded.writes.iter().map(|_| (place, number)));
            }
            appends.extend(turn.appends.iter().map(|append| copy(append)));
            heads.push(head);
        }
        let mut spaces: BTreeMap<Arc<str>, Vec<Delta>> = BTreeMap::from([(Arc::clone(&self.space), deltas)]);
        for (space, key, value) in &batch.loose {
            let delta = Delta { key: key.clone(), value: value.clone() };
            spaces.entry(Arc::clone(space)).or_default().push(delta);
        }
        let next = pieces.next();
        let first = pieces.finish(&self.history);
        let history = first.is_some();
        let all = first.into_iter().chain(told.finish()).chain(appends).chain(batch.appends.iter().map(copy));
        let commit = Commit {
            appends: all.collect(),
            deltas: spaces.into_iter().filter(|(_, deltas)| !deltas.is_empty()).collect(),
            fence: Some(self.fence.clone()),
            ..Commit::default()
        };
        Ok(Built { commit, writes, owners, undecided, heads, kept, cleared, next, history })
    }

    #[expect(clippy::result_large_err, reason = "what was built is needed to tell whose write was refused")]
    fn append(&self, mut built: Built) -> Result<(Ticket, Built, Vec<Written>), (Built, TransactError)> {
        if built.writes.is_empty() {
            return match self.log.append(&mut built.commit) {
                Ok(ticket) => Ok((ticket, built, Vec::new())),
                Err(error) => Err((built, error.into())),
            };
        }
        let Some(tables) = &self.inner.services.context.tables else {
            let problem = Problem::new("HW-WORK-034", "there are no tables here");
            return Err((built, TransactError::Problem(problem)));
        };
        let Built { commit, writes, undecided, .. } = &mut built;
        let mut tell = |done: &[Written], commit: &mut Commit| {
            let decided = undecided.iter().filter_map(|(range, row, value)| {
                Some(Delta { key: row.clone(), value: Some(Task::decided(value, done.get(range.clone())?)) })
            });
            commit.deltas.push((Arc::clone(&self.space), decided.collect()));
        };
        match tables.transact_telling(writes, commit, &mut tell) {
            Ok(done) => Ok((done.ticket, built, done.written)),
            Err(error) => Err((built, error)),
        }
    }

    /// The batch has its place: memory follows, and what comes next is set going.
    fn written(&mut self, batch: Batch, built: Built, ticket: Ticket, written: Vec<Written>) -> Result<(), Stop> {
        let placed = ticket.placed.first().map(|placed| placed.first).filter(|_| built.history);
        let shift = placed.map_or(0, |first| first - self.next);
        self.next = if built.history { built.next + shift } else { self.next };
        for entry in &built.cleared {
            self.timers.clear(entry);
        }
        let mut written = written.into_iter();
        let (mut posts, mut soon, mut moved, mut listed) = (batch.posts, Vec::new(), Vec::new(), batch.listed);
        let mut deliver = batch.deliver;
        let figures = &self.inner.figures;
        figures.commits.fetch_add(1, Ordering::Relaxed);
        for ((slot, mut head), kept) in batch.slots.into_iter().zip(built.heads).zip(built.kept) {
            let mut turn = slot.turn;
            turn.kept.extend(kept);
            let key = turn.key;
            if turn.fresh {
                figures.started.fetch_add(1, Ordering::Relaxed);
            }
            if turn.told.contains(&ExecutionState::Running) {
                figures.running.fetch_add(1, Ordering::Relaxed);
            }
            if turn.fresh || !turn.told.is_empty() {
                listed.push(Listing::of(key, &head));
            }
            figures.steps.fetch_add(turn.history.len() as u64, Ordering::Relaxed);
            if shift != 0 && !turn.history.is_empty() {
                // Somebody else wrote to the history stream, which nobody should.
                head.last += shift;
                head.first += if turn.head.first < 0 { shift } else { 0 };
                moved.push(Delta { key: rows::row(&key, Tag::Head, &[]), value: Some(head.encode()) });
            }
            for (alarm, due) in turn.alarms() {
                match due {
                    Some(due) => self.timers.set((*due, key, *alarm)),
                    None => {
                        if let Some(Alarm::Of(Timer::Heartbeat(attempt))) = Alarm::of(alarm) {
                            self.beats.forget(&key, &attempt);
                        }
                    }
                }
            }
            let answers = turn.written(&mut written);
            soon.extend(answers.into_iter().map(|event| Command::Event { key, event, reply: None, room: None }));
            for after in std::mem::take(&mut turn.after) {
                match after {
                    After::Deliver(row, to) => deliver.push((row, to)),
                    After::Later(attempt) => soon.push(Command::Perform { key, attempt }),
                    other => {
                        if let After::Ended(view) = &other {
                            self.inner.recent.lock().put(key, view);
                        }
                        posts.push(Post::After(key, other));
                    }
                }
            }
            if head.stopped.is_some() {
                figures.running.fetch_sub(1, Ordering::Relaxed);
                figures.ended.fetch_add(1, Ordering::Relaxed);
                self.beats.forget_all(&key);
            } else if !turn.head.express {
                turn.settle(head);
                self.cache.put(turn);
            }
        }
        if !moved.is_empty() {
            let deltas = vec![(Arc::clone(&self.space), moved)];
            let mut commit = Commit { deltas, fence: Some(self.fence.clone()), ..Commit::default() };
            self.append_alone(&mut commit)?;
        }
        if !listed.is_empty() {
            // Whoever is told of an execution finds it in lists.
            posts.insert(0, Post::Listed(listed));
        }
        self.queue().push_front(soon);
        deliver.into_iter().for_each(|(row, to)| self.inner.push_to(&to, Command::Message { row, to }));
        if !posts.is_empty() && self.done.send((ticket.sequence, posts)).is_err() {
            return Err(Stop::Over("the node stops".to_owned()));
        }
        Ok(())
    }
}

/// Tells clients that the disk refuses what they have asked to be started.
fn tell_refused(starts: Vec<Reply<ExecutionView>>, why: &str) {
    let problem = refused(&LogError::Disk(why.to_owned()));
    for reply in starts {
        // Nobody may be waiting any more.
        let _ = reply.send(Err(problem.clone()));
    }
}

fn copy(append: &headwater_log::Append) -> headwater_log::Append {
    headwater_log::Append {
        stream: append.stream.clone(),
        partition: append.partition,
        batches: bytes::BytesMut::from(append.batches.as_ref() as &[u8]),
    }
}
