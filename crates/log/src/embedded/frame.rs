//! What a write-ahead log frame holds: one commit.
//!
//! ```text
//! version u8 = 1 | appends u32 | { stream id u128 | partition u32 | bytes u32 } ...
//! spaces u32 | { name bytes u16 | name | deltas u32 (all ones: drop the space) | { key bytes u32 | value bytes u32 (all
//! ones: delete) | key | value } ... } ...
//! the batches of the appends, one behind the other
//! ```
//! All numbers are little endian; offsets are in the batches.

use bytes::{BufMut, Bytes, BytesMut};
use headwater_base::Problem;

use crate::Delta;

const VERSION: u8 = 1;
const NONE: u32 = u32::MAX;

/// A commit as read back, out of the bytes it was read from.
#[derive(Debug, PartialEq)]
pub(super) struct Frame<'a> {
    pub appends: Vec<FrameAppend<'a>>,
    pub spaces: Vec<(&'a str, Change<'a>)>,
}

/// Batches for one partition.
#[derive(Debug, PartialEq)]
pub(super) struct FrameAppend<'a> {
    pub stream: u128,
    pub partition: u32,
    pub batches: &'a [u8],
}

/// What happens to a space.
#[derive(Debug, PartialEq)]
pub(super) enum Change<'a> {
    /// Keys, each with its new value or none.
    Deltas(Vec<(&'a [u8], Option<&'a [u8]>)>),
    Drop,
}

/// Encodes the part before the batches that depends on what is accepted.
pub(super) fn encode_appends(appends: &[(u128, u32, usize)]) -> Bytes {
    let mut out = BytesMut::with_capacity(5 + appends.len() * 24);
    out.put_u8(VERSION);
    out.put_u32_le(appends.len() as u32);
    for (stream, partition, bytes) in appends {
        out.put_u128_le(*stream);
        out.put_u32_le(*partition);
        out.put_u32_le(*bytes as u32);
    }
    out.freeze()
}

/// Encodes the state's part; None as deltas drops the space.
pub(super) fn encode_spaces<'a>(
    spaces: impl ExactSizeIterator<Item = (&'a str, Option<&'a [Delta]>)> + Clone,
) -> Bytes {
    let delta_bytes = |delta: &Delta| 8 + delta.key.len() + delta.value.as_ref().map_or(0, Bytes::len);
    let space_bytes = |(name, deltas): (&str, Option<&[Delta]>)| {
        6 + name.len() + deltas.into_iter().flatten().map(delta_bytes).sum::<usize>()
    };
    let mut out = BytesMut::with_capacity(4 + spaces.clone().map(space_bytes).sum::<usize>());
    out.put_u32_le(spaces.len() as u32);
    for (name, deltas) in spaces {
        out.put_u16_le(name.len() as u16);
        out.put_slice(name.as_bytes());
        let Some(deltas) = deltas else {
            out.put_u32_le(NONE);
            continue;
        };
        out.put_u32_le(deltas.len() as u32);
        for delta in deltas {
            out.put_u32_le(delta.key.len() as u32);
            out.put_u32_le(delta.value.as_ref().map_or(NONE, |value| value.len() as u32));
            out.put_slice(&delta.key);
            out.put_slice(delta.value.as_deref().unwrap_or_default());
        }
    }
    out.freeze()
}

/// `HW-LOG-004`: a frame that is not one.
pub(super) fn unreadable(sequence: u64) -> Problem {
    Problem::new("HW-LOG-004", format!("frame `{sequence}` of the write-ahead log cannot be read"))
        .help("the data folder was written by another version, or is damaged")
}

/// Reads a frame; None when it is not one, which the write-ahead log's checksum excludes.
pub(super) fn decode(payload: &[u8]) -> Option<Frame<'_>> {
    let mut rest = payload;
    if *take(&mut rest, 1)?.first()? != VERSION {
        return None;
    }
    let count = u32_le(&mut rest)?;
    let mut heads = Vec::new();
    for _ in 0..count {
        let stream = u128::from_le_bytes(take(&mut rest, 16)?.try_into().ok()?);
        heads.push((stream, u32_le(&mut rest)?, u32_le(&mut rest)?));
    }
    let mut spaces = Vec::new();
    for _ in 0..u32_le(&mut rest)? {
        let length = u16::from_le_bytes(take(&mut rest, 2)?.try_into().ok()?);
        let name = std::str::from_utf8(take(&mut rest, usize::from(length))?).ok()?;
        let count = u32_le(&mut rest)?;
        if count == NONE {
            spaces.push((name, Change::Drop));
            continue;
        }
        // Each has at least the two lengths.
        let mut deltas = Vec::with_capacity((count as usize).min(rest.len() / 8));
        for _ in 0..count {
            let key_bytes = u32_le(&mut rest)?;
            let value_bytes = u32_le(&mut rest)?;
            let key = take(&mut rest, key_bytes as usize)?;
            let value = match value_bytes {
                NONE => None,
                bytes => Some(take(&mut rest, bytes as usize)?),
            };
            deltas.push((key, value));
        }
        spaces.push((name, Change::Deltas(deltas)));
    }
    let mut appends = Vec::with_capacity(heads.len());
    for (stream, partition, bytes) in heads {
        appends.push(FrameAppend { stream, partition, batches: take(&mut rest, bytes as usize)? });
    }
    rest.is_empty().then_some(Frame { appends, spaces })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(front)
}

fn u32_le(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delta() -> impl Strategy<Value = Delta> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
        (bytes(), prop::option::of(bytes())).prop_map(|(key, value)| Delta { key, value })
    }

    fn change(deltas: Option<&[Delta]>) -> Change<'_> {
        let Some(deltas) = deltas else { return Change::Drop };
        Change::Deltas(deltas.iter().map(|delta| (&*delta.key, delta.value.as_deref())).collect())
    }

    proptest! {
        #[test]
        fn a_frame_is_read_back(
            appends in prop::collection::vec((any::<u128>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..50)), 0..4),
            spaces in prop::collection::vec(("[a-z/]{0,9}", prop::option::of(prop::collection::vec(delta(), 0..4))), 0..4),
        ) {
            let heads: Vec<_> = appends.iter().map(|(stream, partition, bytes)| (*stream, *partition, bytes.len())).collect();
            let mut payload = encode_appends(&heads).to_vec();
            payload.extend_from_slice(&encode_spaces(spaces.iter().map(|(name, deltas)| (name.as_str(), deltas.as_deref()))));
            appends.iter().for_each(|(_, _, bytes)| payload.extend_from_slice(bytes));
            let wanted = Frame {
                appends: appends.iter().map(|(stream, partition, batches)| FrameAppend { stream: *stream, partition: *partition, batches }).collect(),
                spaces: spaces.iter().map(|(name, deltas)| (name.as_str(), change(deltas.as_deref()))).collect(),
            };
            prop_assert_eq!(decode(&payload), Some(wanted));
            prop_assert_eq!(decode(&payload[..payload.len() - 1]), None);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            let _ = decode(&bytes);
            bytes.insert(0, VERSION);
            let _ = decode(&bytes);
        }
    }
}
