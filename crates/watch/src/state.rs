//! How the cohorts of a forecast are kept: keys and values of its space in the log.
//!
//! | key | value |
//! |---|---|
//! | `p` partition | the next offset, and the partition's time |
//! | `c` number | a cohort's name, parts, partition, newest interval and run, as JSON |
//! | `b` number block | 32 points of its series, four doubles each |
//!
//! Numbers are big-endian in keys and little-endian in values. A commit writes what changed: of a cohort whose interval
//! was closed that is two blocks at most, a kilobyte each, whatever its history.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_log::Delta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cohorts::{Changed, Cohort, Cohorts, Progress};
use crate::series::{Point, Series};
use crate::shape::{Index, Shape};
use crate::verdict::Run;

const PARTITION: u8 = b'p';
const COHORT: u8 = b'c';
const BLOCK: u8 = b'b';

/// No interval lies further from 1970, whatever its length: what is counted on from a written one does not overflow.
const INDEX_MAX: u64 = 1 << 60;

/// What is written of a cohort beside its points.
#[derive(Serialize, Deserialize)]
struct Head {
    name: String,
    parts: Map<String, Value>,
    partition: u32,
    last: Index,
    silent: i64,
    run: Run,
}

/// The deltas of what has changed.
pub fn encode(cohorts: &Cohorts, changed: &Changed) -> Vec<Delta> {
    let gone = changed.gone.iter().flat_map(|number| gone(cohorts, *number));
    let mut deltas: Vec<Delta> = gone.collect();
    for (number, blocks) in &changed.cohorts {
        let Some(cohort) = cohorts.cohort(*number) else { continue };
        let head = Head {
            name: cohort.name.to_string(),
            parts: cohort.parts.clone(),
            partition: cohort.partition,
            last: cohort.series.last(),
            silent: cohort.silent,
            run: cohort.run,
        };
        let value = Bytes::from(serde_json::to_vec(&head).unwrap_or_default());
        deltas.push(Delta { key: key(COHORT, *number, None), value: Some(value) });
        deltas.extend(blocks.iter().map(|block| {
            let value = points(cohort.series.block(*block));
            Delta { key: key(BLOCK, *number, Some(*block)), value: Some(value) }
        }));
    }
    deltas.extend(changed.partitions.iter().map(|partition| {
        let progress = cohorts.progress(*partition);
        let mut value = BytesMut::with_capacity(16);
        value.put_i64_le(progress.next);
        value.put_i64_le(progress.newest.unwrap_or(Index::MIN));
        Delta { key: key(PARTITION, *partition, None), value: Some(value.freeze()) }
    }));
    deltas
}

/// The keys of a cohort that is gone. Its number may have gone to another one since, whose own keys follow these.
fn gone(cohorts: &Cohorts, number: u32) -> impl Iterator<Item = Delta> {
    let blocks = (0..cohorts.blocks()).map(move |block| key(BLOCK, number, Some(block)));
    std::iter::once(key(COHORT, number, None)).chain(blocks).map(|key| Delta { key, value: None })
}

/// A forecast's state while it is read, in any order.
#[derive(Default)]
pub struct Restored {
    heads: BTreeMap<u32, Head>,
    blocks: Vec<(u32, usize, Vec<Point>)>,
    partitions: BTreeMap<u32, Progress>,
}

/// A key or a value that this program did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Restored {
    /// Takes one key and its value; keys of others are passed over.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Unreadable> {
        let number = |from: usize| Some(u32::from_be_bytes(key.get(from..from + 4)?.try_into().ok()?));
        let whole = |at: usize| Some(i64::from_le_bytes(value.get(at..at + 8)?.try_into().ok()?));
        match (key.first().copied(), key.len()) {
            (Some(PARTITION), 5) => {
                let (next, newest) = (whole(0).ok_or(Unreadable)?, whole(8).ok_or(Unreadable)?);
                let newest = (newest != Index::MIN).then_some(newest);
                if newest.is_some_and(|newest| !can_be(newest)) {
                    return Err(Unreadable);
                }
                self.partitions.insert(number(1).ok_or(Unreadable)?, Progress { next, newest });
            }
            (Some(COHORT), 5) => {
                let head: Head = serde_json::from_slice(value).map_err(|_| Unreadable)?;
                // The next cohort's number is one more.
                let number = number(1).filter(|number| *number < u32::MAX).ok_or(Unreadable)?;
                if !can_be(head.last) || !can_be(head.silent) {
                    return Err(Unreadable);
                }
                self.heads.insert(number, head);
            }
            (Some(BLOCK), 9) => {
                let block = number(5).and_then(|block| usize::try_from(block).ok());
                let points = read_points(value).ok_or(Unreadable)?;
                self.blocks.push((number(1).ok_or(Unreadable)?, block.ok_or(Unreadable)?, points));
            }
            _ => {}
        }
        Ok(())
    }

    /// Hands everything to the cohorts.
    ///
    /// # Errors
    /// [`Unreadable`] for a block that is none of its cohort.
    pub fn give(self, shape: &Arc<Shape>, cohorts: &mut Cohorts) -> Result<(), Unreadable> {
        let mut found: BTreeMap<u32, Cohort> = self
            .heads
            .into_iter()
            .map(|(number, head)| {
                let cohort = Cohort {
                    name: Arc::from(head.name),
                    parts: head.parts,
                    partition: head.partition,
                    series: Series::new(Arc::clone(shape), head.last),
                    run: head.run,
                    silent: head.silent,
                };
                (number, cohort)
            })
            .collect();
        for (number, block, points) in self.blocks {
            let cohort = found.get_mut(&number).ok_or(Unreadable)?;
            if !cohort.series.restore(block, &points) {
                return Err(Unreadable);
            }
        }
        found.into_iter().for_each(|(number, cohort)| cohorts.restore(number, cohort));
        self.partitions.into_iter().for_each(|(partition, progress)| cohorts.resume(partition, progress));
        Ok(())
    }
}

const fn can_be(index: Index) -> bool {
    index.unsigned_abs() <= INDEX_MAX
}

fn key(kind: u8, number: u32, block: Option<usize>) -> Bytes {
    let mut key = BytesMut::with_capacity(9);
    key.put_u8(kind);
    key.put_u32(number);
    if let Some(block) = block {
        key.put_u32(u32::try_from(block).unwrap_or(u32::MAX));
    }
    key.freeze()
}

fn points(block: &[Point]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(block.len() * 32);
    for point in block {
        [point.value, point.usual, point.predicted, point.half].into_iter().for_each(|number| bytes.put_f64_le(number));
    }
    bytes.freeze()
}

fn read_points(bytes: &[u8]) -> Option<Vec<Point>> {
    let numbers: Vec<f64> =
        bytes.chunks(8).map(|chunk| Some(f64::from_le_bytes(chunk.try_into().ok()?))).collect::<Option<_>>()?;
    numbers
        .chunks(4)
        .map(|four| match *four {
            [value, usual, predicted, half] => Some(Point { value, usual, predicted, half }),
            _ => None,
        })
        .collect()
}
