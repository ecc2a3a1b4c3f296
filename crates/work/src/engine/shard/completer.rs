//! What waits until a commit is durable: answers to callers, and everything that leaves the node.

use std::sync::Arc;

use headwater_base::{Micros, Problem};
use headwater_kernel::port::workflows::ExecutionView;
use headwater_kernel::unit::contained;
use headwater_log::Sequence;
use tokio::sync::mpsc;

use crate::engine::Inner;
use crate::engine::index::Listing;
use crate::engine::queue::{Command, Reply};
use crate::engine::rows::{self, Key};
use crate::engine::shard::buggy;
use crate::engine::turn::After;

/// See the file's head.
pub(crate) enum Post {
    /// An execution has begun.
    Started(Reply<ExecutionView>, Box<ExecutionView>),
    /// What was asked for of an execution is done.
    Done(Key, Reply<Micros>, Micros),
    /// History has been carried forward.
    Carried(Reply<bool>),
    /// Something follows for an execution.
    After(Key, After),
    /// Lists change.
    Listed(Vec<Listing>),
}

impl Post {
    /// Whether it answers somebody who asked for something of the execution.
    pub(super) fn answers(&self, key: &Key) -> bool {
        match self {
            Self::Started(_, view) => rows::key_of(&view.workflow, &view.name) == *key,
            Self::Done(one, ..) => one == key,
            Self::Carried(_) | Self::After(..) | Self::Listed(_) => false,
        }
    }

    /// Tells whoever waits that it does not happen. Nobody may be waiting any more.
    pub(super) fn refuse(self, problem: &Problem) {
        match self {
            Self::Started(reply, _) => drop(reply.send(Err(problem.clone()))),
            Self::Done(_, reply, _) => drop(reply.send(Err(problem.clone()))),
            Self::Carried(reply) => drop(reply.send(Err(problem.clone()))),
            Self::After(..) | Self::Listed(_) => {}
        }
    }
}

/// A commit's place and what follows it.
pub(crate) type Item = (Sequence, Vec<Post>);

/// Carries out what follows commits, in their order.
pub(crate) async fn run(inner: Arc<Inner>, mut items: mpsc::UnboundedReceiver<Item>) {
    while let Some((sequence, posts)) = items.recv().await {
        let durable = inner.log.durable(sequence).await.map_err(|error| crate::engine::refused(&error));
        for post in posts {
            match post {
                Post::Started(reply, view) => drop(reply.send(durable.clone().map(|()| *view))),
                Post::Done(_, reply, at) => drop(reply.send(durable.clone().map(|()| at))),
                Post::Carried(reply) => drop(reply.send(durable.clone().map(|()| true))),
                Post::After(key, after) if durable.is_ok() => {
                    if let Err(said) = contained(|| follow(&inner, key, after)) {
                        inner.push_to(&key, Command::Park { key, reason: buggy(&said) });
                    }
                }
                Post::Listed(all) if durable.is_ok() => {
                    let mut index = inner.index.lock();
                    all.into_iter().for_each(|listing| index.note(listing));
                }
                Post::After(..) | Post::Listed(_) => {}
            }
        }
    }
}

fn follow(inner: &Arc<Inner>, key: Key, after: After) {
    match after {
        After::Perform(attempt) => inner.perform(key, attempt),
        After::Offer(activity, attempt) => inner.activities.offer(&activity, key, attempt),
        After::Cancel(attempt) => inner.cancel(&key, &attempt),
        After::StopChild(child, parent) => inner.stop_child(child, &parent),
        After::RunMap(attempt) => inner.run_map(key, attempt),
        After::StopMap(attempt) => inner.stop_map(&key, &attempt),
        After::RunExpress => inner.run_express(key),
        After::Ended(view) => inner.waiters.tell(&key, &view),
        // These do not wait for the disk: their own commits stand behind this one.
        After::Later(_) | After::Deliver(..) => {}
    }
}
