//! Answers by key, bounded in number and bytes, each good until its own time. Eviction is CLOCK (second chance): a
//! slot that was read since the hand last passed stays, so a flood of keys seen once does not drive out the busy ones.

use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use headwater_kernel::port::Json;

/// An answer worth keeping.
#[derive(Clone, Debug)]
pub(super) enum Known {
    Value(Json),
    /// The backend does not know the key.
    Unknown,
    /// The backend refuses the key.
    Rejected(Arc<str>),
}

#[derive(Debug)]
pub(super) struct Cache {
    capacity: usize,
    bytes_max: usize,
    bytes: usize,
    places: hashbrown::HashMap<Arc<str>, usize, RandomState>,
    slots: Vec<Slot>,
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    key: Arc<str>,
    known: Known,
    /// From then on an answer is better asked for anew, though it is still good.
    aged: Duration,
    expires: Duration,
    used: bool,
}

/// What a slot costs beside key and value: the slot, the map's entry, the key's counters.
const SLOT_BYTES: usize = 160;

impl Cache {
    pub fn new(capacity: usize, bytes_max: usize) -> Self {
        Self { capacity, bytes_max, bytes: 0, places: hashbrown::HashMap::default(), slots: Vec::new(), hand: 0 }
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is known about a key, and whether it has nearly expired.
    pub fn get(&mut self, key: &str, now: Duration) -> Option<(Known, bool)> {
        let place = *self.places.get(key)?;
        let slot = self.slots.get_mut(place)?;
        if now >= slot.expires {
            self.remove(place);
            return None;
        }
        slot.used = true;
        Some((slot.known.clone(), now >= slot.aged))
    }

    /// Keeps an answer; says how many others had to go.
    pub fn put(&mut self, key: Arc<str>, known: Known, now: Duration, ttl: Duration) -> u64 {
        if let Some(place) = self.places.get(&key) {
            self.remove(*place);
        }
        let slot = Slot {
            aged: match &known {
                Known::Value(_) => now.saturating_add(ttl.mul_f64(0.9)),
                // A key that is not there is not worth asking for ahead of time.
                Known::Unknown | Known::Rejected(_) => Duration::MAX,
            },
            expires: now.saturating_add(ttl),
            used: false,
            key,
            known,
        };
        let bytes = slot.bytes();
        if self.capacity == 0 || bytes > self.bytes_max || ttl.is_zero() {
            return 0;
        }
        let mut evicted = 0;
        while !self.slots.is_empty() && (self.slots.len() >= self.capacity || self.bytes + bytes > self.bytes_max) {
            self.evict(now);
            evicted += 1;
        }
        self.bytes += bytes;
        self.places.insert(Arc::clone(&slot.key), self.slots.len());
        self.slots.push(slot);
        evicted
    }

    fn evict(&mut self, now: Duration) {
        // Ends: each pass clears the marks it meets.
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let Some(slot) = self.slots.get_mut(self.hand) else { return };
            if slot.used && now < slot.expires {
                slot.used = false;
                self.hand += 1;
                continue;
            }
            self.remove(self.hand);
            self.hand += 1;
            return;
        }
    }

    fn remove(&mut self, place: usize) {
        if place >= self.slots.len() {
            headwater_base::never!("slot {place} of {}", self.slots.len());
            return;
        }
        let slot = self.slots.swap_remove(place);
        self.bytes = self.bytes.saturating_sub(slot.bytes());
        self.places.remove(&slot.key);
        if let Some(moved) = self.slots.get(place)
            && let Some(known) = self.places.get_mut(&moved.key)
        {
            *known = place;
        }
    }
}

impl Slot {
    fn bytes(&self) -> usize {
        let value = match &self.known {
            Known::Value(json) => json.len(),
            Known::Unknown => 0,
            Known::Rejected(reason) => reason.len(),
        };
        self.key.len() + value + SLOT_BYTES
    }
}

/// A time to live shortened by up to `jitter` of itself; the same for a key each time, different between keys.
pub(super) fn jittered(key: &str, ttl: Duration, jitter: f64) -> Duration {
    let hash = RandomState::with_seeds(1, 2, 3, 4).hash_one(key);
    let part = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    ttl.mul_f64((1.0 - jitter.clamp(0.0, 1.0) * part).clamp(0.0, 1.0))
}
