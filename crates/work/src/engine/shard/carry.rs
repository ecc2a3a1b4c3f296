//! The shard's part in carrying history forward: copies of pieces, and the head that names them.
//!
//! A copy is a commit of its own, so its place is known at once and nothing depends on it until the head names it; a
//! crash before that leaves copies that belong to nobody and are trimmed in their turn.

use std::sync::Arc;

use headwater_base::Problem;
use headwater_log::Commit;

use super::Shard;
use super::batch::Batch;
use crate::engine::journal::{Copied, Pieces};
use crate::engine::refused;
use crate::engine::rows::{self, Key, Tag};

impl Shard {
    /// Writes copies of an execution's pieces; answers where the first and the last of them are.
    ///
    /// # Errors
    /// `HW-WORK-034` when the log refuses, or they are not where they had to be.
    pub(super) fn copy_history(&mut self, id: &str, previous: i64, copies: &[Copied]) -> Result<(i64, i64), Problem> {
        let nothing = || Problem::new("HW-WORK-034", format!("history of `{id}` was not copied"));
        let mut pieces = Pieces::new(self.index, self.next, usize::MAX);
        let (first, last) = pieces.copy(id, previous, copies).ok_or_else(nothing)?;
        let append = pieces.finish(&self.history).ok_or_else(nothing)?;
        let mut commit = Commit { appends: vec![append], fence: Some(self.fence.clone()), ..Commit::default() };
        let ticket = self.log.append(&mut commit).map_err(|error| refused(&error))?;
        let placed = ticket.placed.first().ok_or_else(nothing)?;
        self.next = placed.last + 1;
        // Where somebody else wrote to the history stream, which nobody should, the copies name wrong places.
        if placed.first == first { Ok((first, last)) } else { Err(nothing()) }
    }

    /// Lets an execution's head name copies of its pieces, unless pieces have been added since they were copied.
    ///
    /// # Errors
    /// `HW-WORK-002` for a head that cannot be read.
    pub(super) fn carried(
        &mut self,
        batch: &mut Batch,
        key: &Key,
        from: (i64, i64),
        to: (i64, i64),
    ) -> Result<bool, Problem> {
        let Some(mut head) = self.head(key)? else { return Ok(true) };
        if (head.first, head.last) != from {
            return Ok(false);
        }
        (head.first, head.last) = to;
        if let Some(mut turn) = self.cache.take(key) {
            (turn.head.first, turn.head.last) = to;
            self.cache.put(turn);
        }
        batch.noted.insert(*key);
        batch.loose.push((Arc::clone(&self.space), rows::row(key, Tag::Head, &[]), Some(head.encode())));
        Ok(true)
    }
}
