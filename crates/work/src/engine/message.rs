//! What one execution has for another: a start, or the news of an end.
//!
//! A message is a row of the sender's space, written in the sender's commit; the receiver reads it when its turn comes,
//! and its commit removes it. It is delivered again after a crash, and both of its kinds may come twice without harm: a
//! start by its name, an end by the attempt it is for. Large payloads are blobs that the row names
//! ([`super::payloads`]); the sender points to them, and so does the row for as long as it is there.

use std::cell::RefCell;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Json;
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView};

use super::rows::{self, Head, Key, Parent};
use crate::execution::Failure;
use crate::execution::record::codec::{Fetch, Large, Reader, Writer};

/// See the file's head.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// Start this one.
    Start {
        /// As it shall be, with the task that waits for it.
        head: Box<Head>,
        /// Its input.
        input: Json,
    },
    /// An execution that a task waits for is over.
    Ended {
        /// The task.
        parent: Parent,
        /// As it ended.
        view: Box<ExecutionView>,
    },
    /// An execution that a task waits for could not be started.
    Refused {
        /// The task.
        parent: Parent,
        /// Why.
        failure: Failure,
    },
}

impl Message {
    /// The execution that it is for.
    pub(super) fn to(&self) -> Key {
        match self {
            Self::Start { head, .. } => rows::key_of(&head.workflow, &head.name),
            Self::Ended { parent, .. } | Self::Refused { parent, .. } => parent.key,
        }
    }

    /// As a row, with what of it is kept beside the row.
    pub(super) fn encode(&self, inline_max: usize) -> (Bytes, Large) {
        let mut writer = Writer::within(inline_max);
        match self {
            Self::Start { head, input } => {
                writer.byte(3);
                writer.bytes(&head.encode());
                writer.apart(|writer| writer.raw(input));
            }
            Self::Ended { parent, view } => {
                writer.byte(4);
                write_parent(&mut writer, parent);
                for text in [&view.workflow, &view.name] {
                    writer.text(text);
                }
                writer.text(view.state.name());
                writer.time(view.started);
                writer.option(view.stopped.as_ref(), |writer, at| writer.time(*at));
                for json in [&view.input, &view.output] {
                    writer.option(json.as_ref(), |writer, json| writer.apart(|writer| writer.raw(json)));
                }
                for text in [&view.error, &view.cause] {
                    writer.option(text.as_ref(), |writer, text| writer.text(text));
                }
            }
            Self::Refused { parent, failure } => {
                writer.byte(2);
                write_parent(&mut writer, parent);
                for text in [&failure.error, &failure.cause] {
                    writer.option(text.as_ref(), |writer, text| writer.text(text));
                }
            }
        }
        (Bytes::from(writer.bytes), writer.large)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// `HW-WORK-002` when the bytes are none, or name a blob that is gone.
    pub(super) fn decode(bytes: &[u8], fetch: Fetch<'_>) -> Result<Self, Problem> {
        Reader::with(bytes, fetch).whole(read).ok_or_else(|| rows::damaged("a message"))
    }

    /// The blobs that the row of a message names.
    pub(super) fn blobs(bytes: &[u8]) -> Vec<[u8; 32]> {
        let named = RefCell::new(Vec::new());
        let note = |hash: &[u8; 32]| {
            named.borrow_mut().push(*hash);
            // What is in it does not matter here.
            Some(Vec::<u8>::new())
        };
        let _ = read(&mut Reader::with(bytes, &note));
        named.into_inner()
    }
}

fn write_parent(writer: &mut Writer, parent: &Parent) {
    writer.raw(&parent.key);
    writer.raw(&rows::attempt_bytes(&parent.attempt));
}

fn read(reader: &mut Reader<'_>) -> Option<Message> {
    // 0 and 1 are a start and an end of before their payloads could be elsewhere.
    let tag = reader.byte().filter(|tag| *tag <= 4)?;
    let json = |reader: &mut Reader<'_>| match tag {
        0 | 1 => reader.bytes().map(Bytes::copy_from_slice),
        _ => reader.apart(|part| Some(Bytes::copy_from_slice(part.rest()))),
    };
    if tag == 0 || tag == 3 {
        let head = Head::decode(reader.bytes()?).ok()?;
        return Some(Message::Start { head: Box::new(head), input: json(reader)? });
    }
    let parent = Parent { key: reader.raw(16)?.try_into().ok()?, attempt: rows::attempt_of(reader.raw(16)?)? };
    if tag == 2 {
        let failure = Failure { error: reader.option(Reader::text)?, cause: reader.option(Reader::text)? };
        return Some(Message::Refused { parent, failure });
    }
    let (workflow, name) = (reader.text()?, reader.text()?);
    let state = ExecutionState::named(&reader.text()?).unwrap_or(ExecutionState::Failed);
    let (started, stopped) = (reader.time()?, reader.option(Reader::time)?);
    let (input, output) = (reader.option(json)?, reader.option(json)?);
    let (error, cause) = (reader.option(Reader::text)?, reader.option(Reader::text)?);
    let id = format!("{workflow}/{name}");
    let view = ExecutionView {
        id,
        workflow,
        version: None,
        alias: None,
        name,
        state,
        started,
        stopped,
        input,
        output,
        error,
        cause,
        redrives: 0,
        redriven: None,
        map_run: None,
    };
    Some(Message::Ended { parent, view: Box::new(view) })
}

#[cfg(test)]
mod tests;
