//! An answer on its way to the socket: a few pieces of bytes, of which record batches are the log's own.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::error::Broken;

/// What goes back for one request.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pieces: VecDeque<Bytes>,
    /// Held until the answer is written.
    pub(super) budget: Option<Budget>,
}

/// A share of the memory for answers; given back on drop.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) bytes: usize,
    pub(super) total: Arc<AtomicUsize>,
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Answer {
    /// Nothing at all, for requests that want no answer.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// A message with its header.
    pub(super) fn of<M: Encodable + HeaderVersion>(
        message: &M,
        version: i16,
        correlation: i32,
    ) -> Result<Self, Broken> {
        let body = message.compute_size(version).map_err(|error| Broken::encode(&error))?;
        let mut out = BytesMut::with_capacity(body + 9);
        out.put_i32(0);
        out.put_i32(correlation);
        if M::header_version(version) > 0 {
            out.put_u8(0);
        }
        message.encode(&mut out, version).map_err(|error| Broken::encode(&error))?;
        Ok(Self::of_pieces(out, VecDeque::new()))
    }

    /// `head`, which begins with room for the length, and what follows it.
    pub(super) fn of_pieces(mut head: BytesMut, mut rest: VecDeque<Bytes>) -> Self {
        let total = head.len() - 4 + rest.iter().map(Bytes::len).sum::<usize>();
        let length = i32::try_from(total).unwrap_or(i32::MAX);
        if let Some(place) = head.first_chunk_mut() {
            *place = length.to_be_bytes();
        }
        rest.push_front(head.freeze());
        Self { pieces: rest, budget: None }
    }
}

/// Leaves the first of those that have the same key. What is named twice is answered once, since an answer may be far
/// larger than the name that asks for it.
pub(super) fn once<T, K: Eq + Hash>(mut asked: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::with_capacity(asked.len());
    asked.retain(|one| seen.insert(key(one)));
    asked
}

impl Buf for Answer {
    fn remaining(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.iter().find(|piece| !piece.is_empty()).map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(self.pieces.iter().filter(|piece| !piece.is_empty())) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let step = count.min(piece.len());
            piece.advance(step);
            count -= step;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
    }

    fn has_remaining(&self) -> bool {
        self.pieces.iter().any(|piece| !piece.is_empty())
    }
}
