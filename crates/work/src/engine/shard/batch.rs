//! What one commit gathers.

use std::sync::Arc;

use ahash::{HashMap, HashSet};
use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::port::workflows::ExecutionView;
use headwater_log::Append;

use super::completer::Post;
use crate::engine::index::{Listing, Owner, RunName};
use crate::engine::queue::{Command, Reply};
use crate::engine::rows::{self, AlarmKey, Key};
use crate::engine::turn::Turn;

/// An execution's part.
pub(super) struct Slot {
    pub(super) turn: Turn,
    /// Something of it is to be written.
    pub(super) touched: bool,
    /// It begins here, and only clients know of it.
    pub(super) asked: bool,
}

/// See the file's head.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) slots: Vec<Slot>,
    places: HashMap<Key, usize>,
    bytes: usize,
    /// Executions of which nothing is kept from this commit on.
    pub(super) gone: HashSet<Key>,
    /// Executions of which this batch changes rows without their turns.
    pub(super) noted: HashSet<Key>,
    /// Changes of rows that belong to no turn: space, row, value.
    pub(super) loose: Vec<(Arc<str>, Bytes, Option<Bytes>)>,
    pub(super) appends: Vec<Append>,
    /// What changes in lists with those.
    pub(super) listed: Vec<Listing>,
    pub(super) posts: Vec<Post>,
    /// Messages by their rows, and whom they are for.
    pub(super) deliver: Vec<(Bytes, Key)>,
    /// Commands for the next commit.
    pub(super) deferred: Vec<Command>,
    /// Timers for the next commit.
    pub(super) late: Vec<(Micros, Key, AlarmKey)>,
}

impl Batch {
    /// One execution alone.
    pub(super) fn of(slot: Slot) -> Self {
        let mut batch = Self::default();
        batch.places.insert(slot.turn.key, 0);
        batch.slots.push(slot);
        batch
    }

    /// Everything but executions and answers.
    pub(super) fn take_rest(&mut self) -> Self {
        Self {
            loose: std::mem::take(&mut self.loose),
            appends: std::mem::take(&mut self.appends),
            listed: std::mem::take(&mut self.listed),
            deliver: std::mem::take(&mut self.deliver),
            ..Self::default()
        }
    }

    /// The Map Runs that begin.
    pub(super) fn runs(&self) -> Vec<(RunName, Owner)> {
        let turns = self.slots.iter().map(|slot| &slot.turn);
        turns.flat_map(|turn| turn.named.iter().map(|(name, attempt)| (*name, (turn.key, *attempt)))).collect()
    }

    /// Takes out the turns that have nothing to write.
    pub(super) fn take_untouched(&mut self) -> Vec<Turn> {
        let slots = std::mem::take(&mut self.slots);
        self.places.clear();
        let mut untouched = Vec::new();
        for slot in slots {
            if slot.touched {
                self.places.insert(slot.turn.key, self.slots.len());
                self.slots.push(slot);
            } else {
                untouched.push(slot.turn);
            }
        }
        untouched
    }

    pub(super) fn slot(&mut self, key: &Key) -> Option<&mut Slot> {
        self.places.get(key).and_then(|place| self.slots.get_mut(*place))
    }

    pub(super) fn add(&mut self, mut turn: Turn) {
        self.bytes += turn.bytes();
        self.places.insert(turn.key, self.slots.len());
        let touched = turn.fresh;
        self.slots.push(Slot { turn, touched, asked: false });
    }

    /// About what its executions took in memory when they came.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes an execution out again: what it did in this batch has not happened.
    pub(super) fn drop_slot(&mut self, key: &Key) -> Option<Slot> {
        let place = self.places.remove(key).filter(|place| *place < self.slots.len())?;
        let slot = self.slots.remove(place);
        for other in self.places.values_mut().filter(|other| **other > place) {
            *other -= 1;
        }
        Some(slot)
    }

    /// Takes out the answers to those who asked for something of an execution.
    pub(super) fn take_answers(&mut self, key: &Key) -> Vec<Post> {
        let (answers, others): (Vec<Post>, Vec<Post>) =
            std::mem::take(&mut self.posts).into_iter().partition(|post| post.answers(key));
        self.posts = others;
        answers
    }

    /// Takes out what clients have asked to be started, as if they never had; those who wait for it. An execution that is
    /// written already, by another batch or a half of this one, is none of that.
    pub(super) fn take_starts(&mut self) -> Vec<Reply<ExecutionView>> {
        let asked: HashSet<Key> = self.slots.iter().filter(|slot| slot.asked).map(|slot| slot.turn.key).collect();
        for key in &asked {
            self.drop_slot(key);
        }
        let (mut replies, mut posts) = (Vec::new(), Vec::new());
        for post in std::mem::take(&mut self.posts) {
            match post {
                Post::Started(reply, view) if asked.contains(&rows::key_of(&view.workflow, &view.name)) => {
                    replies.push(reply);
                }
                post => posts.push(post),
            }
        }
        self.posts = posts;
        replies
    }

    /// Whether nothing may be built on the execution yet: the tables may take its turn back, or its rows go or change.
    pub(super) fn is_busy(&mut self, key: &Key) -> bool {
        self.gone.contains(key)
            || self.noted.contains(key)
            || self.slot(key).is_some_and(|slot| !slot.turn.writes.is_empty())
    }

    pub(super) fn post(&mut self, post: Option<Post>) {
        self.posts.extend(post);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.loose.is_empty()
            && self.appends.is_empty()
            && self.posts.is_empty()
            && self.late.is_empty()
            && self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use headwater_kernel::port::workflows::ExecutionState;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn who_waits_for_an_execution_that_is_written_is_not_refused() {
        // An earlier batch began it.
        let mut rest = Batch::default();
        let (reply, _answer) = oneshot::channel();
        rest.post(Some(Post::Started(reply, Box::new(view("n")))));
        assert!(rest.take_starts().is_empty());
        assert_eq!(rest.posts.len(), 1);
    }

    #[test]
    fn answers_go_with_the_execution_that_they_are_of() {
        let mut batch = Batch::default();
        let key = rows::key_of("w", "n");
        for name in ["n", "other", "n"] {
            batch.post(Some(Post::Started(oneshot::channel().0, Box::new(view(name)))));
            batch.post(Some(Post::Done(rows::key_of("w", name), oneshot::channel().0, Micros(0))));
        }
        assert_eq!((batch.take_answers(&key).len(), batch.posts.len()), (4, 2));
        assert!(batch.take_answers(&key).is_empty());
    }

    fn view(name: &str) -> ExecutionView {
        ExecutionView {
            id: format!("w/{name}"),
            workflow: "w".to_owned(),
            version: None,
            alias: None,
            name: name.to_owned(),
            state: ExecutionState::Running,
            started: Micros(0),
            stopped: None,
            input: None,
            output: None,
            error: None,
            cause: None,
            redrives: 0,
            redriven: None,
            map_run: None,
        }
    }
}
