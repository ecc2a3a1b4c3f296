//! How far an ingest has come, as it is kept beside the log's records: what a commit of rows changes, and what a new life
//! takes up.

use std::collections::HashMap;

use bytes::Bytes;
use headwater_log::{Delta, Log, View};
use serde::{Deserialize, Serialize};

use super::rows::mark;

/// The key of the progress.
const PROGRESS: &[u8] = b"progress";

/// What is known of the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which of the resource's lives it belongs to: another one begins anew.
    pub epoch: u64,
    /// The watermark of the newest row written, as JSON.
    pub watermark: Option<String>,
    /// When the run that is not over began, in microseconds.
    pub begun: Option<i64>,
    /// When the last run that is over began, in microseconds.
    pub last: Option<i64>,
    /// Runs that are over.
    pub runs: u64,
    /// Rows written.
    pub rows: u64,
    /// Rows that the run has written so far, or the last one wrote.
    pub of_run: u64,
    /// Pieces of what is remembered of rows.
    pieces: u32,
}

/// Rows that have been written and may be read again: each is known by its mark, and how often it was there.
#[derive(Default)]
pub struct Remembered {
    /// Mark -> (written, read again in this pass).
    rows: HashMap<u128, (u32, u32)>,
    count: usize,
    /// Marks that no commit has yet.
    fresh: Vec<u8>,
    /// Whether the pieces that are kept are of rows that need not be known any more.
    stale: bool,
}

impl Progress {
    /// Takes up what an earlier life left, of the same epoch.
    pub fn take_up(log: &dyn Log, space: &str, epoch: u64) -> (Self, Remembered) {
        let kept = log.get(space, PROGRESS, View::Appended);
        let mut progress: Self = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut remembered = Remembered::default();
        if progress.epoch != epoch {
            let pieces = progress.pieces;
            progress = Self { epoch, pieces, ..Self::default() };
            remembered.stale = true;
            return (progress, remembered);
        }
        for number in 0..progress.pieces {
            let piece = log.get(space, &piece(number), View::Appended).unwrap_or_default();
            for mark in piece.chunks_exact(size_of::<u128>()) {
                remembered.note(u128::from_be_bytes(mark.try_into().unwrap_or_default()));
            }
        }
        (progress, remembered)
    }

    /// What a commit of the rows since the last one changes.
    pub fn deltas(&mut self, remembered: &mut Remembered) -> Vec<Delta> {
        let mut deltas = Vec::new();
        if std::mem::take(&mut remembered.stale) {
            // The first one is written over where there is something new.
            let from = u32::from(!remembered.fresh.is_empty());
            deltas.extend((from..self.pieces).map(|number| Delta { key: piece(number), value: None }));
            self.pieces = 0;
        }
        if !remembered.fresh.is_empty() {
            let value = Some(Bytes::from(std::mem::take(&mut remembered.fresh)));
            deltas.push(Delta { key: piece(self.pieces), value });
            self.pieces += 1;
        }
        let value = Bytes::from(serde_json::to_vec(self).unwrap_or_default());
        deltas.push(Delta { key: Bytes::from_static(PROGRESS), value: Some(value) });
        deltas
    }
}

fn piece(number: u32) -> Bytes {
    Bytes::from(format!("rows/{number:08}"))
}

impl Remembered {
    /// How many rows.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// A pass over all rows begins: none has been read again.
    pub fn begin(&mut self) {
        for (_, again) in self.rows.values_mut() {
            *again = 0;
        }
    }

    /// Rows of another watermark, or of another load, follow.
    pub fn forget(&mut self) {
        *self = Self { stale: true, ..Self::default() };
    }

    /// Takes a row; whether it is new.
    pub fn take(&mut self, line: &[u8]) -> bool {
        let mark = mark(line);
        let (written, again) = self.rows.entry(mark).or_default();
        if again < written {
            *again += 1;
            return false;
        }
        *written += 1;
        *again += 1;
        self.count += 1;
        self.fresh.extend_from_slice(&mark.to_be_bytes());
        true
    }

    /// A row was written by an earlier life.
    fn note(&mut self, mark: u128) {
        self.rows.entry(mark).or_default().0 += 1;
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_counted() {
        let mut remembered = Remembered::default();
        assert_eq!(["a", "a", "b"].map(|row| remembered.take(row.as_bytes())), [true, true, true]);
        remembered.begin();
        assert_eq!(
            ["b", "a", "a", "a", "c"].map(|row| remembered.take(row.as_bytes())),
            [false, false, false, true, true]
        );
        assert_eq!(remembered.count(), 5);
        remembered.forget();
        assert!(remembered.take(b"a"));
    }

    #[test]
    fn a_commit_says_what_is_new_and_what_goes() {
        let keys = |deltas: &[Delta]| {
            let shown = |delta: &Delta| {
                let sign = if delta.value.is_some() { '+' } else { '-' };
                format!("{sign}{}", String::from_utf8_lossy(&delta.key))
            };
            deltas.iter().map(shown).collect::<Vec<_>>()
        };
        let (mut progress, mut remembered) = (Progress::default(), Remembered::default());
        remembered.take(b"a");
        assert_eq!(keys(&progress.deltas(&mut remembered)), ["+rows/00000000", "+progress"]);
        remembered.take(b"b");
        assert_eq!(keys(&progress.deltas(&mut remembered)), ["+rows/00000001", "+progress"]);
        assert_eq!(keys(&progress.deltas(&mut remembered)), ["+progress"]);
        remembered.forget();
        remembered.take(b"c");
        assert_eq!(keys(&progress.deltas(&mut remembered)), ["-rows/00000001", "+rows/00000000", "+progress"]);
    }
}
