//! What waits for a shard's thread.
//!
//! A queue refuses nothing, since what executions have for each other would not be asked for again; and it makes nobody
//! wait, or shards that have something for each other could stop for good. What is in it is bounded all the same:
//!
//! - What clients hand over has [`Room`] for its bytes, or is refused. Without room come a few words each: a sign of
//!   life, a redrive, new bounds of a Map Run, that a worker has taken a task.
//! - The end of an external task or of a stored Express execution holds a place of its shard ([`super::line`]), so with
//!   those of the shard that run there are no more than may run at once.
//! - A Map Run waits for what it has asked before it asks for more: the starts of at most a thousand children at once,
//!   or one note, and its end comes last. It had all of that in memory before.
//! - Whoever starts an execution from an Express one waits for it, too.
//! - A message, a task to be done or to be told of, a timer are names; what they name is in rows, which are in memory
//!   in any case, or in blobs, and is read when their turn comes.
//! - What a commit leaves for the next one, as the answers to its writes, is that of one commit and is taken up first.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::Json;
use headwater_kernel::port::workflows::ExecutionView;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::journal::Copied;
use super::map_run::Bounds;
use super::rows::{self, Head, Key};
use crate::execution::{Attempt, Event, Item};

/// An answer that is given once the commit is durable.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Problem>>;

/// Bytes of what clients have handed over and no execution has taken up, or the place of what ran among what its shard
/// may have run; given back with the command that it came in, also where its client has gone meanwhile. A shard never
/// waits for one, so each comes back.
pub(super) type Room = OwnedSemaphorePermit;

/// What a shard is asked to do.
pub(super) enum Command {
    /// Start an execution.
    Start { head: Box<Head>, input: Json, item: Option<Item>, reply: Option<Reply<ExecutionView>>, room: Option<Room> },
    /// Take up an execution that did not succeed; with the token of an earlier one it is the same one.
    Redrive { key: Key, token: Option<String>, reply: Reply<Micros> },
    /// What ran for an execution met a bug: it is parked.
    Park { key: Key, reason: String },
    /// An Express execution is over.
    Express { key: Key, run: Box<super::express::Run>, room: Room },
    /// Something happened to an execution.
    Event { key: Key, event: Event, reply: Option<Reply<Micros>>, room: Option<Room> },
    /// Somebody ends a task by its token.
    End { key: Key, attempt: Attempt, token: String, event: Event, reply: Reply<Micros>, room: Room },
    /// Somebody says that a task is being worked on.
    Beat { key: Key, attempt: Attempt, token: String, reply: Reply<Micros> },
    /// Do a task that waits in its row.
    Perform { key: Key, attempt: Attempt },
    /// The writes of a task were done when a crash came; its answer is missing.
    Answer { key: Key, attempt: Attempt },
    /// A task of which nobody knows whether it was done.
    Doubt { key: Key, attempt: Attempt },
    /// A message for an execution, by the row it is in.
    Message { row: Bytes, to: Key },
    /// Copies of an execution's pieces of history, to be written behind its copy at `previous`; where they are.
    Copy { id: String, previous: i64, copies: Vec<Copied>, reply: Reply<(i64, i64)> },
    /// An execution's history, whose first and last piece were at `from`, has been copied whole; false where it has
    /// more.
    Carried { key: Key, from: (i64, i64), to: (i64, i64), reply: Reply<bool> },
    /// How a Map Run stands, to be written down while its row `run` is there; its rows and records.
    Note {
        key: Key,
        run: Bytes,
        deltas: Vec<(Bytes, Option<Bytes>)>,
        appends: Vec<headwater_log::Append>,
        reply: Reply<Micros>,
    },
    /// Somebody changes bounds of a Map Run under way; the others stay as they are.
    Bound { key: Key, attempt: Attempt, change: Bounds, reply: Reply<Micros> },
}

impl Command {
    /// Whether a client asks for an execution, who hears of it when there can be none now. A Map Run never gives up.
    pub(super) fn is_clients_start(&self) -> bool {
        matches!(self, Self::Start { head, reply: Some(_), .. } if head.map_run.is_none())
    }

    /// The execution that it is for.
    pub(super) fn key(&self) -> Option<Key> {
        match self {
            Self::Start { head, .. } => Some(rows::key_of(&head.workflow, &head.name)),
            Self::Event { key, .. }
            | Self::Park { key, .. }
            | Self::End { key, .. }
            | Self::Beat { key, .. }
            | Self::Express { key, .. }
            | Self::Redrive { key, .. }
            | Self::Perform { key, .. }
            | Self::Answer { key, .. }
            | Self::Carried { key, .. }
            | Self::Bound { key, .. }
            | Self::Message { to: key, .. }
            | Self::Doubt { key, .. } => Some(*key),
            Self::Note { .. } | Self::Copy { .. } => None,
        }
    }
}

/// A queue with one reader.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    commands: VecDeque<Command>,
    closed: bool,
    /// The reader is to look at its timers.
    look: bool,
}

impl Queue {
    /// Adds a command. Once the queue is closed it is dropped, which its caller hears of.
    pub(super) fn push(&self, command: Command) {
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            waiting.commands.push_back(command);
            self.wake.notify_one();
        }
    }

    /// Puts commands before all others, in their order.
    pub(super) fn push_front(&self, commands: Vec<Command>) {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return;
        }
        for command in commands.into_iter().rev() {
            waiting.commands.push_front(command);
        }
    }

    /// Takes out what clients have asked to be started; those who wait for it.
    pub(super) fn take_starts(&self) -> Vec<Reply<ExecutionView>> {
        let mut waiting = self.waiting.lock();
        let all = std::mem::take(&mut waiting.commands).into_iter();
        let (starts, rest): (VecDeque<Command>, _) = all.partition(Command::is_clients_start);
        waiting.commands = rest;
        let reply = |command| if let Command::Start { reply, .. } = command { reply } else { None };
        starts.into_iter().filter_map(reply).collect()
    }

    /// Ends the reader; what waits is dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let dropped = std::mem::take(&mut waiting.commands);
        drop(waiting);
        drop(dropped);
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting.lock().closed
    }

    /// Makes the reader look at its timers, also where it is not waiting yet.
    pub(super) fn wake(&self) {
        self.waiting.lock().look = true;
        self.wake.notify_one();
    }

    /// Takes up to `count` commands, after waiting at most `patience` for the first. None once it is closed.
    pub(super) fn take(&self, count: usize, patience: Duration) -> Option<Vec<Command>> {
        let mut waiting = self.waiting.lock();
        if waiting.commands.is_empty() && !waiting.closed && !waiting.look && !patience.is_zero() {
            self.wake.wait_for(&mut waiting, patience);
        }
        waiting.look = false;
        if waiting.closed {
            return None;
        }
        let count = count.min(waiting.commands.len());
        Some(waiting.commands.drain(..count).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.lock().commands.len()
    }
}

#[cfg(test)]
mod tests;
