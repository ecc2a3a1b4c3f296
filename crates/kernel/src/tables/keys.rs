//! Which keys a table may hold: most look-ups of bans and the like are for keys that are in no document, and the view on
//! disk need not be asked about those.
//!
//! What it is NOT: exact. It keeps 32 bits of each key's hash and forgets none until the view is emptied, so it may say
//! yes for no. Invariant: it never says no to a key that the view holds. Bounded: a table with more keys does without.

use ahash::{HashSet, RandomState};
use parking_lot::RwLock;

/// Bytes that a key costs, about.
const KEY_BYTES: usize = 10;

pub(super) struct Keys {
    hasher: RandomState,
    keys_max: usize,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    hashes: HashSet<u32>,
    /// Every key of the view is among them.
    complete: bool,
    /// There are too many.
    given_up: bool,
}

impl Keys {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { hasher: RandomState::new(), keys_max: bytes_max / KEY_BYTES, known: RwLock::default() }
    }

    /// Whether the view may hold the key.
    pub(super) fn may_hold(&self, key: &str) -> bool {
        let known = self.known.read();
        !known.complete || known.hashes.contains(&self.hash(key))
    }

    /// Takes keys in, before the view holds them.
    pub(super) fn add<'a>(&self, keys: impl Iterator<Item = &'a str>) {
        let mut known = self.known.write();
        if known.given_up {
            return;
        }
        known.hashes.extend(keys.map(|key| self.hash(key)));
        if known.hashes.len() > self.keys_max {
            *known = Known { given_up: true, ..Known::default() };
        }
    }

    /// Every key that the view holds has been added.
    pub(super) fn complete(&self) {
        let mut known = self.known.write();
        known.complete = !known.given_up;
    }

    /// The view is empty.
    pub(super) fn clear(&self) {
        *self.known.write() = Known { complete: true, ..Known::default() };
    }

    fn hash(&self, key: &str) -> u32 {
        // Half of it is enough: a wrong yes costs a question to the view.
        self.hasher.hash_one(key) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_no_only_when_it_knows_all_keys() {
        let keys = Keys::new(1 << 20);
        keys.add(["a"].into_iter());
        assert!(keys.may_hold("b"), "keys of the view may not have been added yet");
        keys.complete();
        assert!(keys.may_hold("a") && !keys.may_hold("b"));
        keys.add(["b"].into_iter());
        assert!(keys.may_hold("b"));
        keys.clear();
        assert!(!keys.may_hold("a"));
    }

    #[test]
    fn a_table_with_too_many_keys_does_without() {
        let keys = Keys::new(100 * KEY_BYTES);
        let names: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        keys.add(names.iter().map(String::as_str));
        keys.complete();
        assert!(keys.may_hold("unheard of"));
    }
}
