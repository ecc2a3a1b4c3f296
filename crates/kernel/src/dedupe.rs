//! Recognises an event sent twice: the identities (source and id) of a stream's last events, in a window of
//! `Limits::dedupe_ids`.
//!
//! Exact: an identity is written by the same commit as its event, so that after a crash either both are there or
//! neither is. What it is NOT: unbounded; an id repeated after that many others counts as new.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use headwater_log::{Delta, Log, LogError, Sequence, Stream};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// Windows held in memory at once; another is rebuilt from its space when it is needed.
const WINDOWS_MAX: usize = 64;

/// Bytes before the identity in a space's value: stream id and number.
const HEAD_BYTES: usize = 24;

/// The windows of all streams.
#[derive(Debug)]
pub struct Dedupe {
    windows: Mutex<HashMap<u128, Held>>,
    uses: AtomicU64,
    /// The newest commit of any window that was put away; a rebuild waits for it.
    put_away: AtomicU64,
    ids_max: u64,
}

#[derive(Debug)]
struct Held {
    place: Arc<Place>,
    used: u64,
}

/// Where a stream's window is, from its rebuilding on: who needs it meanwhile waits for that, and nobody else does.
type Place = OnceCell<Arc<Mutex<Window>>>;

/// The last identities of one stream.
#[derive(Debug)]
pub struct Window {
    seen: HashMap<u128, u64>,
    ring: Vec<u128>,
    next: u64,
    ids_max: u64,
    stream: u128,
    hashers: [RandomState; 2],
    /// The newest commit that wrote identities; a repeated event is acknowledged once it is durable.
    pub last: Sequence,
}

impl Dedupe {
    /// No windows yet.
    pub fn new(ids_max: usize) -> Self {
        Self {
            windows: Mutex::new(HashMap::new()),
            uses: AtomicU64::new(0),
            put_away: AtomicU64::new(0),
            ids_max: (ids_max as u64).max(1),
        }
    }

    /// The window of a stream, rebuilt from the log if it is not in memory: aside, as that goes through all its ids.
    ///
    /// # Errors
    /// What the log says; [`LogError::Closed`] when the node is on its way down.
    pub async fn window(&self, log: &Arc<dyn Log>, stream: &Arc<Stream>) -> Result<Arc<Mutex<Window>>, LogError> {
        let place = self.place(&**log, stream).await?;
        let rebuild = || async {
            let (log, stream, ids_max) = (Arc::clone(log), Arc::clone(stream), self.ids_max);
            let load = move || Arc::new(Mutex::new(Window::load(&*log, &stream, ids_max)));
            match tokio::task::spawn_blocking(load).await {
                Ok(window) => Ok(window),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => Err(LogError::Closed),
            }
        };
        place.get_or_try_init(rebuild).await.cloned()
    }

    async fn place(&self, log: &dyn Log, stream: &Stream) -> Result<Arc<Place>, LogError> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        if let Some(held) = self.windows.lock().get_mut(&stream.id) {
            held.used = used;
            return Ok(held.place.clone());
        }
        loop {
            let put_away = self.put_away.load(Ordering::Acquire);
            log.durable(put_away).await?;
            if let Some(place) = self.make_place(stream, used, put_away) {
                return Ok(place);
            }
        }
    }

    /// The place of a window, in which it may be rebuilt now that every commit up to `durable` is; None where that is not
    /// enough: while somebody waited for it, the same window may have been rebuilt, written to and put away once more,
    /// and what it wrote is not to be had from the log yet. From here on whatever is written is in this place.
    fn make_place(&self, stream: &Stream, used: u64, durable: Sequence) -> Option<Arc<Place>> {
        let mut windows = self.windows.lock();
        // Another request may have been faster.
        if let Some(held) = windows.get_mut(&stream.id) {
            held.used = held.used.max(used);
            return Some(held.place.clone());
        }
        // Windows are put away under the same lock.
        if self.put_away.load(Ordering::Acquire) > durable {
            return None;
        }
        self.make_room(&mut windows);
        let place = Arc::<Place>::default();
        windows.insert(stream.id, Held { place: place.clone(), used });
        Some(place)
    }

    /// Puts the window away that was not used for longest, unless a request has it in hand.
    fn make_room(&self, windows: &mut HashMap<u128, Held>) {
        if windows.len() < WINDOWS_MAX {
            return;
        }
        let is_idle = |held: &Held| {
            Arc::strong_count(&held.place) == 1 && held.place.get().is_none_or(|window| Arc::strong_count(window) == 1)
        };
        let idle = windows.iter().filter(|(_, held)| is_idle(held)).min_by_key(|(_, held)| held.used);
        // One whose request was given up while it was rebuilt has written nothing.
        let last = |held: &Held| held.place.get().map_or(0, |window| window.lock().last);
        let Some((id, last)) = idle.map(|(id, held)| (*id, last(held))) else { return };
        windows.remove(&id);
        self.put_away.fetch_max(last, Ordering::AcqRel);
    }
}

/// The space that keeps a stream's identities.
pub fn space(stream: &Stream) -> Arc<str> {
    Arc::from(format!("dedupe/{}", stream.name))
}

impl Window {
    fn load(log: &dyn Log, stream: &Stream, ids_max: u64) -> Self {
        let mut kept: Vec<(u64, Vec<u8>)> = Vec::new();
        log.for_each(&space(stream), &mut |_, value| {
            let Some((head, identity)) = value.split_at_checked(HEAD_BYTES) else { return };
            let (Some(id), Some(number)) = (head.first_chunk::<16>(), head.last_chunk::<8>()) else { return };
            // A stream that was deleted and made anew under its name starts without memories.
            if u128::from_be_bytes(*id) == stream.id {
                kept.push((u64::from_be_bytes(*number), identity.to_vec()));
            }
        });
        kept.sort_unstable_by_key(|(number, _)| *number);
        let next = kept.last().map_or(0, |(number, _)| number + 1);
        let mut window = Self {
            seen: HashMap::with_capacity(kept.len()),
            ring: Vec::new(),
            next,
            ids_max,
            stream: stream.id,
            hashers: [RandomState::new(), RandomState::new()],
            last: 0,
        };
        for (number, identity) in kept.into_iter().filter(|(number, _)| number + ids_max >= next) {
            let digest = window.digest(&identity);
            window.place(number, digest);
        }
        window
    }

    /// Whether an identity is among the last ones.
    pub fn has(&self, identity: &str) -> bool {
        self.seen.contains_key(&self.digest(identity.as_bytes()))
    }

    /// The change that makes an identity last which is to be remembered behind `before` others of the same commit.
    pub fn change(&self, identity: &str, before: usize) -> Delta {
        let number = self.next + before as u64;
        let mut value = BytesMut::with_capacity(HEAD_BYTES + identity.len());
        value.put_u128(self.stream);
        value.put_u64(number);
        value.extend_from_slice(identity.as_bytes());
        let slot = u32::try_from(number % self.ids_max).unwrap_or(0);
        Delta { key: Bytes::copy_from_slice(&slot.to_be_bytes()), value: Some(value.freeze()) }
    }

    /// Remembers the identities of a commit that has been appended, in the order of their changes; the oldest ones go.
    /// Not before: a commit that is refused is to push nothing out.
    pub fn remember(&mut self, identities: &[&str], commit: Sequence) {
        for identity in identities {
            let digest = self.digest(identity.as_bytes());
            self.place(self.next, digest);
            self.next += 1;
        }
        self.last = commit;
    }

    fn place(&mut self, number: u64, digest: u128) {
        let slot = usize::try_from(number % self.ids_max).unwrap_or(0);
        if slot >= self.ring.len() {
            self.ring.resize(slot + 1, 0);
        }
        if let Some(place) = self.ring.get_mut(slot) {
            let old = std::mem::replace(place, digest);
            if self.seen.get(&old).is_some_and(|n| n + self.ids_max == number) {
                self.seen.remove(&old);
            }
        }
        self.seen.insert(digest, number);
    }

    fn digest(&self, identity: &[u8]) -> u128 {
        let [high, low] = &self.hashers;
        u128::from(high.hash_one(identity)) << 64 | u128::from(low.hash_one(identity))
    }
}

#[cfg(test)]
mod tests;
