//! What the engine keeps, read as a start reads it and written again, without an engine.
//!
//! Whatever bytes a log holds, each row is read or refused; what was read is written as what is read. Fuzzers and tests
//! hold every kind of row against that here.
//!
//! What it is NOT: a part of how an execution goes on.

use bytes::Bytes;
use headwater_base::Problem;
use serde_json::Value;

use super::map_run::{self, Bounds, Progress};
use super::message::Message;
use super::rows::{self, Alarm, Head, Tag, Task};
use super::workflow::Workflow;
use super::{journal, list, token};
use crate::execution::record::codec::Large;
use crate::execution::record::{self, Part};

/// A row's value, and the payloads that it names by their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The value.
    pub value: Bytes,
    /// What is kept beside it.
    pub large: Vec<([u8; 32], Vec<u8>)>,
}

/// Reads a row of a shard's space and writes it again, with payloads of more than `inline_max` bytes beside it; `fetch`
/// answers those that it names.
///
/// # Errors
/// `HW-WORK-002` when the bytes are no row, of a version that is not known, or name a payload that is not there.
pub fn row(
    row: &[u8],
    value: &[u8],
    fetch: &dyn Fn(&[u8; 32]) -> Option<Vec<u8>>,
    inline_max: usize,
) -> Result<Rewritten, Problem> {
    let (_, tag, rest) = rows::split(row).ok_or_else(|| rows::damaged("the key of a row"))?;
    let tag = Tag::of(tag).ok_or_else(|| rows::damaged("a row of no known kind"))?;
    let part = |part: Part| -> Result<(Bytes, Large), Problem> {
        let (bytes, large) = record::rewritten(part, value, fetch, inline_max)?;
        Ok((Bytes::from(bytes), large))
    };
    let attempt = || rows::attempt_of(rest).ok_or_else(|| rows::damaged("the key of a row"));
    let thread = || {
        let id = rest.try_into().map(u32::from_be_bytes);
        id.map_err(|_| rows::damaged("the key of a thread's row"))
    };
    let (value, large) = match tag {
        Tag::Head => (Head::decode(value)?.encode(), Large::new()),
        Tag::Header => part(Part::Header)?,
        Tag::Thread => part(Part::Thread(thread()?))?,
        Tag::Data => part(Part::Data(thread()?))?,
        Tag::Task => {
            attempt()?;
            Task::decode(value, fetch)?.encode(inline_max)
        }
        Tag::Timer => {
            Alarm::of(rest).ok_or_else(|| rows::damaged("the key of an alarm"))?;
            let due = value.try_into().map(i64::from_be_bytes).map_err(|_| rows::damaged("when an alarm is due"))?;
            (Bytes::copy_from_slice(&due.to_be_bytes()), Large::new())
        }
        Tag::Message => Message::decode(value, fetch)?.encode(inline_max),
        Tag::MapRun => {
            attempt()?;
            let (run, stopped) = map_run::decode(value, fetch).ok_or_else(|| rows::damaged("a Map Run"))?;
            map_run::encode(&run, stopped, inline_max)
        }
        Tag::Progress => {
            attempt()?;
            let progress = Progress::decode(value).ok_or_else(|| rows::damaged("how far a Map Run is"))?;
            (progress.encode(), Large::new())
        }
        Tag::Bounds => {
            attempt()?;
            let bounds = Bounds::decode(value).ok_or_else(|| rows::damaged("the bounds of a Map Run"))?;
            (bounds.encode(), Large::new())
        }
        Tag::Blob => {
            let hash: [u8; 32] = value.try_into().map_err(|_| rows::damaged("the name of a payload"))?;
            (Bytes::copy_from_slice(&hash), Large::new())
        }
    };
    Ok(Rewritten { value, large })
}

/// The payloads that a message's row names, which must not go before it is read.
pub fn named(value: &[u8]) -> Vec<[u8; 32]> {
    Message::blobs(value)
}

/// Reads the row of a published version, whose definition's text is `text`, and writes it again; None when it is none.
pub fn version(value: &[u8], text: &str) -> Option<Bytes> {
    let found = Workflow::decode("w", 1, value, |_, _| Some(Bytes::copy_from_slice(text.as_bytes())))?;
    Some(found.encode())
}

/// The events of a piece of history, with their payloads; None when it is none, or names a payload that is not there.
pub fn piece(value: &[u8], fetch: &dyn Fn(&[u8; 32]) -> Option<Vec<u8>>) -> Option<Vec<Value>> {
    journal::events(value, fetch)
}

/// Reads where a page of a list of executions ended, and writes it again.
///
/// # Errors
/// `HW-WORK-033` for a text that is none.
pub fn place(text: &str) -> Result<String, Problem> {
    list::page(text).map(|place| list::token(&place))
}

/// Whether a text has the form of a task's token.
pub fn is_token(text: &str) -> bool {
    token::parse(text).is_ok()
}

#[cfg(test)]
mod tests;
