//! The memory that clients of PostgreSQL take together for what they send: messages that are read, and what is kept of
//! them, the text of prepared statements with what their clients are told of them (`kept.rs`), the values of portals, the
//! names of both.
//!
//! What it is NOT: the memory of queries; of what is made of a statement in its turn, of which there are so many; and the room
//! that each connection reads small messages in, which is bounded by how many connections there are.
//!
//! Invariant: what is taken is given back with its [`Share`], however that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_base::Problem;

use crate::sql::fault;

/// So many bytes for all connections.
pub struct Budget {
    max: usize,
    taken: AtomicUsize,
}

/// Bytes of a budget.
pub struct Share {
    of: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// That many bytes.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: AtomicUsize::new(0) })
    }

    /// Some of it.
    ///
    /// # Errors
    /// `HW-LAKE-111` where there is less left.
    pub fn share(self: &Arc<Self>, bytes: usize) -> Result<Share, Problem> {
        let mut share = Share { of: Arc::clone(self), bytes: 0 };
        share.grow_to(bytes)?;
        Ok(share)
    }
}

impl Share {
    /// Has so many bytes, if it has less.
    ///
    /// # Errors
    /// `HW-LAKE-111` where there is less left; it is what it was then.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.saturating_sub(self.bytes);
        let max = self.of.max;
        let fits = |taken: usize| taken.checked_add(more).filter(|taken| *taken <= max);
        let grown = self.of.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        grown.map_err(|_| fault::no_room(max))?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back_whatever_is_refused() {
        let budget = Budget::new(100);
        let taken = || budget.taken.load(Ordering::Relaxed);
        let mut first = budget.share(60).unwrap();
        assert_eq!(budget.share(41).err().map(|problem| problem.code), Some("HW-LAKE-111".to_owned()));
        assert_eq!(taken(), 60);
        let second = budget.share(40).unwrap();
        assert!(first.grow_to(61).is_err());
        assert!(budget.share(usize::MAX).is_err());
        drop(second);
        first.grow_to(100).unwrap();
        first.grow_to(10).unwrap();
        assert_eq!(taken(), 100);
        drop(first);
        assert_eq!(taken(), 0);
    }
}
