//! What is appended to a partition and not in the view yet, so that a write is decided on all that lies before it.
//!
//! Invariant: with the view as far as [`Pending::from`], the documents here are the newest of their keys up to
//! [`Pending::upto`]. Bounded: beyond [`BYTES_MAX`] nothing is decided until the view has caught up.

use std::collections::{HashMap, VecDeque};

use headwater_base::{Micros, Name};
use headwater_log::{Log, LogError, Offset, View};
use headwater_wire::batch;

use super::write::{is_object, version};
use crate::port::{Cause, Document};

/// Bytes of documents that wait for the view.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a document costs besides its key and value, about.
const ENTRY_BYTES: usize = 200;

/// Bytes of the log read at once.
const READ_BYTES: usize = 1 << 20;

/// Appended documents of one partition.
#[derive(Default)]
pub(super) struct Pending {
    /// The view had applied so much.
    from: Offset,
    /// One past the last offset that is known here.
    upto: Offset,
    newest: HashMap<String, (Offset, Option<Document>)>,
    order: VecDeque<(Offset, String, usize)>,
    bytes: usize,
}

/// Why a partition is not known to its end.
pub(super) enum Unknown {
    /// The view is too far behind.
    Behind,
    /// The log does not answer.
    Log(LogError),
}

impl Pending {
    /// Reads on to the end of what is appended, and answers that end.
    pub(super) fn catch_up(
        &mut self,
        log: &dyn Log,
        (stream, partition): (&Name, u32),
        applied: Offset,
        decompressed_max: usize,
    ) -> Result<Offset, Unknown> {
        self.forget(applied);
        loop {
            if self.bytes > BYTES_MAX {
                return Err(Unknown::Behind);
            }
            let fetched = match log.read(stream, partition, self.upto, READ_BYTES, View::Appended) {
                Ok(fetched) => fetched,
                Err(LogError::OffsetOutOfRange { start, .. }) if start > self.upto => {
                    self.upto = start;
                    continue;
                }
                Err(error) => return Err(Unknown::Log(error)),
            };
            if fetched.batches.is_empty() {
                return Ok(self.upto);
            }
            let from = self.upto;
            for part in fetched.batches.each() {
                let Ok((header, bytes)) = part else { break };
                self.upto = self.upto.max(header.last_offset() + 1);
                for Found { offset, key, document, .. } in documents(&bytes, decompressed_max) {
                    if offset >= from {
                        self.put(offset, key, document);
                    }
                }
            }
            if self.upto == from {
                return Err(Unknown::Log(LogError::CorruptBatch("a batch that cannot be read".to_owned())));
            }
        }
    }

    /// The view had applied so much.
    pub(super) fn from(&self) -> Offset {
        self.from
    }

    /// The newest document of a key: None = look in the view.
    pub(super) fn get(&self, key: &str) -> Option<Option<&Document>> {
        self.newest.get(key).map(|(_, document)| document.as_ref())
    }

    /// Takes a document in.
    pub(super) fn put(&mut self, offset: Offset, key: String, document: Option<Document>) {
        let bytes = ENTRY_BYTES + 2 * key.len() + document.as_ref().map_or(0, |document| document.value.len());
        self.bytes += bytes;
        self.order.push_back((offset, key.clone(), bytes));
        self.newest.insert(key, (offset, document));
        self.upto = self.upto.max(offset + 1);
    }

    /// Everything before here is known.
    pub(super) fn advance(&mut self, upto: Offset) {
        self.upto = self.upto.max(upto);
    }

    /// Lets go of what the view holds.
    fn forget(&mut self, applied: Offset) {
        if applied < self.from {
            // The view has been emptied.
            *self = Self { from: applied, upto: applied, ..Self::default() };
            return;
        }
        while let Some((offset, _, _)) = self.order.front()
            && *offset < applied
        {
            let Some((offset, key, bytes)) = self.order.pop_front() else { break };
            self.bytes -= bytes;
            if self.newest.get(&key).is_some_and(|(newest, _)| *newest == offset) {
                self.newest.remove(&key);
            }
        }
        self.from = applied;
        self.upto = self.upto.max(applied);
    }
}

/// A document of a batch, or that one is deleted.
pub(super) struct Found {
    pub offset: Offset,
    pub key: String,
    pub document: Option<Document>,
    /// What its record says that it came of.
    pub cause: Option<Cause>,
}

/// The documents of a batch; what is none is left out.
pub(super) fn documents(batch: &bytes::Bytes, decompressed_max: usize) -> Vec<Found> {
    let records = batch::records(batch, decompressed_max).into_iter().flatten().flatten();
    let documents = records.filter_map(|record| {
        let key = std::str::from_utf8(record.key.as_deref()?).ok()?.to_owned();
        let cause = Cause::of(&record);
        let document = match record.value {
            None => None,
            Some(value) if is_object(&value) => Some(Document {
                key: key.clone(),
                version: version(record.offset),
                updated: Micros::from_millis(record.timestamp),
                value,
            }),
            Some(_) => return None,
        };
        Some(Found { offset: record.offset, key, document, cause })
    });
    documents.collect()
}
