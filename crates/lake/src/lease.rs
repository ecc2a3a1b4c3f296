//! Leases: a file that no snapshot needs any more stays as long as somebody may still read it.
//!
//! Whoever reads takes a lease first and looks for the current version then. So what is retired afterwards may be in its
//! hands, and what was retired before is not.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use headwater_kernel::unit::{Haste, spawn};
use parking_lot::Mutex;

use crate::commit::Garbage;
use crate::files::{Files, overlap};

/// Who reads, and what waits for readers to end.
pub struct Leases {
    files: Files,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Leases and garbage are numbered in the order in which they come.
    next: u64,
    readers: BTreeSet<u64>,
    waiting: VecDeque<(u64, Retired)>,
    /// Folders that nobody reads any more, and that are not gone yet.
    going: Vec<String>,
    /// Folders that have gone since somebody asked.
    gone: Vec<String>,
}

/// What goes once nobody reads it.
enum Retired {
    Files(Garbage),
    /// All that was ever written of a table, in the folders below this one as well.
    Folder(String),
}

/// Keeps every file that is in a table when it is taken, until it is dropped.
pub struct Lease {
    leases: Arc<Leases>,
    number: u64,
}

impl Leases {
    /// Nobody reads these files yet.
    pub fn new(files: Files) -> Self {
        Self { files, state: Arc::default() }
    }

    /// A lease of all files that are in any table now.
    pub fn take(self: &Arc<Self>) -> Lease {
        let mut state = self.state.lock();
        let number = state.draw();
        state.readers.insert(number);
        Lease { leases: Arc::clone(self), number }
    }

    /// Removes files that no current version leads to, as soon as nobody reads them.
    pub fn retire(&self, garbage: Garbage) {
        if garbage.0.is_empty() {
            return;
        }
        self.put(Retired::Files(garbage));
    }

    /// Removes the folder of a table or view that is gone, as soon as nobody reads it.
    pub fn retire_folder(&self, location: String) {
        self.put(Retired::Folder(location));
    }

    /// The same of what earlier lives left, on a thread of its own: it may be much, and whoever starts waits for nothing of
    /// it. A thread that outlives these leases removes no more.
    pub fn retire_left(self: &Arc<Self>, locations: Vec<String>) {
        if locations.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        for location in locations {
            let number = state.draw();
            state.waiting.push_back((number, Retired::Folder(location)));
        }
        let due = state.due();
        drop(state);
        let leases = Arc::downgrade(self);
        let begun = spawn("purge".to_owned(), Haste::Later, move || {
            for retired in due {
                let Some(leases) = leases.upgrade() else { return };
                leases.remove(vec![retired]);
            }
        });
        if let Err(error) = begun {
            tracing::warn!(%error, "what was purged stays until the next start");
        }
    }

    /// Whether a folder that is not gone yet is at a place, within it or around it.
    pub fn is_retired(&self, location: &str) -> bool {
        let state = self.state.lock();
        let waiting = state.waiting.iter().filter_map(|(_, retired)| retired.folder());
        waiting.chain(state.going.iter().map(String::as_str)).any(|folder| overlap(folder, location))
    }

    /// The folders that have gone since the last call. What could not be removed is not among them.
    pub fn take_gone(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().gone)
    }

    fn put(&self, retired: Retired) {
        let mut state = self.state.lock();
        let number = state.draw();
        state.waiting.push_back((number, retired));
        let due = state.due();
        drop(state);
        self.remove(due);
    }

    fn remove(&self, due: Vec<Retired>) {
        for retired in due {
            match retired {
                Retired::Files(garbage) => garbage.remove(&self.files),
                Retired::Folder(location) => {
                    let (state, folder) = (Arc::clone(&self.state), location.clone());
                    self.files.discard_folder(location, move |is_gone| {
                        let mut state = state.lock();
                        state.going.retain(|going| *going != folder);
                        state.gone.extend(is_gone.then_some(folder));
                    });
                }
            }
        }
    }
}

impl State {
    fn draw(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// What was retired before the oldest lease was taken.
    fn due(&mut self) -> Vec<Retired> {
        let oldest = self.readers.first().copied().unwrap_or(u64::MAX);
        let count = self.waiting.partition_point(|(number, _)| *number < oldest);
        let due: Vec<Retired> = self.waiting.drain(..count).map(|(_, retired)| retired).collect();
        self.going.extend(due.iter().filter_map(Retired::folder).map(str::to_owned));
        due
    }
}

impl Retired {
    const fn folder(&self) -> Option<&str> {
        match self {
            Self::Files(_) => None,
            Self::Folder(location) => Some(location.as_str()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.leases.state.lock();
        state.readers.remove(&self.number);
        let due = state.due();
        drop(state);
        self.leases.remove(due);
    }
}

#[cfg(test)]
mod tests;
