//! Record batches that are handed out: in the pieces of memory that the log has them in, so that nobody copies them.

use std::collections::{VecDeque, vec_deque};

use bytes::Bytes;
use headwater_wire::batch::{self, BatchError, Header};

/// Whole RecordBatch v2, as sent, in order. Each piece of memory holds one or more of them, back to back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batches(VecDeque<Bytes>);

impl Batches {
    /// No batch.
    pub const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Whether there is no batch.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Each batch with its header; an error stands for what is left of its piece.
    pub fn each(&self) -> impl Iterator<Item = Result<(Header, Bytes), BatchError>> {
        self.0.iter().flat_map(|piece| {
            batch::split(piece).map(move |found| found.map(|(header, range)| (header, piece.slice(range))))
        })
    }

    /// Takes the first piece.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.0.pop_front()
    }
}

impl From<Bytes> for Batches {
    fn from(piece: Bytes) -> Self {
        Self::from_iter([piece])
    }
}

impl FromIterator<Bytes> for Batches {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

/// Its pieces.
impl IntoIterator for Batches {
    type Item = Bytes;
    type IntoIter = vec_deque::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use headwater_wire::batch::{Builder, Compression};

    use super::*;

    fn batch(offset: i64) -> Bytes {
        let mut builder = Builder::new(Compression::None);
        builder.push(0, None, Some(b"v"), &[]);
        let mut batch = builder.finish();
        batch::set_base_offset(&mut batch, offset);
        batch.freeze()
    }

    #[test]
    fn batches_are_the_same_whatever_pieces_they_are_in() {
        let all: Vec<Bytes> = (0..4).map(batch).collect();
        let joined = |from: usize, to: usize| Bytes::from(all[from..to].concat());
        for pieces in [vec![joined(0, 4)], all.clone(), vec![joined(0, 3), Bytes::new(), joined(3, 4)]] {
            let batches: Batches = pieces.into_iter().collect();
            let found: Vec<(i64, Bytes)> =
                batches.each().map(Result::unwrap).map(|(header, batch)| (header.base_offset, batch)).collect();
            assert_eq!(found, (0..).zip(all.clone()).collect::<Vec<_>>());
            assert_eq!((batches.is_empty(), batches.bytes()), (false, joined(0, 4).len()));
            assert!(batches.into_iter().all(|piece| !piece.is_empty()));
        }
        assert!(Batches::from(Bytes::new()).is_empty());
    }

    #[test]
    fn a_batch_that_is_cut_off_is_an_error() {
        let batches = Batches::from(batch(0).slice(..65));
        assert!(matches!(batches.each().next(), Some(Err(BatchError::Truncated { .. }))));
        assert_eq!(batches.each().count(), 1);
    }
}
