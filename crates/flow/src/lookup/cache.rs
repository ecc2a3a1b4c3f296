//! Answers by key, bounded in number and bytes, each good until its own time. What was asked for stays longest
//! ([`Packed`]), so a flood of keys seen once does not drive out the busy ones.

use std::time::Duration;

use ahash::RandomState;
use headwater_kernel::packed::Packed;
use headwater_kernel::port::{Json, LookupError};

use super::Answer;

/// An answer worth keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Value(Json),
    /// The backend does not know the key.
    Unknown,
    /// The backend refuses the key.
    Rejected(String),
}

impl Known {
    pub fn answer(self) -> Answer {
        match self {
            Self::Value(json) => Ok(Some(json)),
            Self::Unknown => Ok(None),
            Self::Rejected(reason) => Err(LookupError::Rejected(reason)),
        }
    }
}

/// Each answer goes with two times in microseconds: when it expires, its low bits saying what it is, and from when on it
/// is better asked for anew, though it is still good.
#[derive(Debug)]
pub(super) struct Cache(Packed);

const KIND_BITS: u32 = 2;
const VALUE: u64 = 0;
const UNKNOWN: u64 = 1;
const REJECTED: u64 = 2;

impl Cache {
    pub fn new(capacity: usize, bytes_max: usize) -> Self {
        Self(Packed::new(bytes_max, capacity, [0, 0]))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// What is known about a key, and whether it has nearly expired.
    pub fn get(&mut self, key: &str, now: Duration) -> Option<(Known, bool)> {
        let held = self.0.get(key)?;
        let ([expires, aged], now) = (held.marks, micros(now));
        if now >= expires >> KIND_BITS {
            self.0.remove(key);
            return None;
        }
        let known = match expires & ((1 << KIND_BITS) - 1) {
            VALUE => Known::Value(held.value()),
            UNKNOWN => Known::Unknown,
            _ => Known::Rejected(String::from_utf8_lossy(&held.value()).into_owned()),
        };
        Some((known, now >= aged))
    }

    /// Keeps an answer; says how many others had to go.
    pub fn put(&mut self, key: &str, known: &Known, now: Duration, ttl: Duration) -> u64 {
        if ttl.is_zero() {
            self.0.remove(key);
            return 0;
        }
        let (kind, text) = match known {
            Known::Value(json) => (VALUE, json.as_ref()),
            Known::Unknown => (UNKNOWN, [].as_slice()),
            Known::Rejected(reason) => (REJECTED, reason.as_bytes()),
        };
        let aged = match known {
            Known::Value(_) => micros(now.saturating_add(ttl.mul_f64(0.9))),
            // A key that is not there is not worth asking for ahead of time.
            Known::Unknown | Known::Rejected(_) => u64::MAX,
        };
        let expires = micros(now.saturating_add(ttl)) << KIND_BITS | kind;
        self.0.put(key, [expires, aged], text)
    }
}

/// Microseconds, of which as many bits are left as a kind has.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(u64::MAX >> KIND_BITS)
}

/// A time to live shortened by up to `jitter` of itself; the same for a key each time, different between keys.
pub(super) fn jittered(key: &str, ttl: Duration, jitter: f64) -> Duration {
    let hash = RandomState::with_seeds(1, 2, 3, 4).hash_one(key);
    let part = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    ttl.mul_f64((1.0 - jitter.clamp(0.0, 1.0) * part).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_every_kind_are_good_until_their_time() {
        let mut cache = Cache::new(10, 1 << 20);
        let at = Duration::from_secs;
        let kinds =
            [Known::Value(Json::from_static(br#"{"id":"a"}"#)), Known::Unknown, Known::Rejected("odd".to_owned())];
        for known in kinds {
            assert_eq!(cache.put("a", &known, at(100), at(10)), 0);
            let is_aged = matches!(known, Known::Value(_));
            assert_eq!(cache.get("a", at(108)), Some((known.clone(), false)));
            assert_eq!(cache.get("a", Duration::from_micros(109_999_999)), Some((known, is_aged)));
            assert_eq!(cache.get("a", at(110)), None);
            assert_eq!(cache.len(), 0);
        }
        cache.put("a", &Known::Unknown, at(100), at(10));
        cache.put("a", &Known::Unknown, at(100), at(0));
        assert_eq!((cache.get("a", at(100)), cache.len()), (None, 0));
        cache.put("a", &Known::Unknown, at(100), Duration::MAX);
        assert_eq!(cache.get("a", at(1 << 40)), Some((Known::Unknown, false)));
    }

    #[test]
    fn no_more_are_kept_than_allowed_and_those_asked_for_stay() {
        let mut cache = Cache::new(1_000, 1 << 20);
        let (now, ttl) = (Duration::ZERO, Duration::from_secs(60));
        let mut evicted = 0;
        for n in 0..10_000 {
            let known = Known::Value(Json::from(format!(r#"{{"id":"l{n:06}","price":{n}}}"#)));
            evicted += cache.put(&format!("l{n:06}"), &known, now, ttl);
            assert!(cache.get("l000000", now).is_some() && cache.len() <= 1_000);
        }
        assert_eq!((evicted as usize + cache.len(), cache.len() > 800), (10_000, true));
    }
}
