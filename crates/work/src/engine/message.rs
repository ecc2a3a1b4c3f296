//! What one execution has for another: a start, or the news of an end.
//!
//! A message is a row of the sender's space, written in the sender's commit; the receiver's commit removes it. It is
//! delivered again after a crash, and both of its kinds may come twice without harm: a start by its name, an end by the
//! attempt it is for.

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Json;
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView};

use super::rows::{self, Head, Parent};
use crate::execution::Failure;
use crate::execution::record::codec::{Reader, Writer};

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
    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        match self {
            Self::Start { head, input } => {
                writer.byte(0);
                writer.bytes(&head.encode());
                writer.bytes(input);
            }
            Self::Ended { parent, view } => {
                writer.byte(1);
                write_parent(&mut writer, parent);
                for text in [&view.workflow, &view.name] {
                    writer.text(text);
                }
                writer.text(super::status_text(view.state));
                writer.time(view.started);
                writer.option(view.stopped.as_ref(), |writer, at| writer.time(*at));
                for json in [&view.input, &view.output] {
                    writer.option(json.as_ref(), |writer, json| writer.bytes(json));
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
        Bytes::from(writer.bytes)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// `HW-WORK-002` when the bytes are none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        let mut reader = Reader::new(bytes);
        if reader.byte() == Some(0) {
            let parts = (|| Some((reader.bytes()?.to_vec(), Bytes::copy_from_slice(reader.bytes()?))))();
            let Some((head, input)) = parts else { return Err(rows::damaged("a message")) };
            return Ok(Self::Start { head: Box::new(Head::decode(&head)?), input });
        }
        let mut reader = Reader::new(bytes);
        read(&mut reader).ok_or_else(|| rows::damaged("a message"))
    }
}

fn write_parent(writer: &mut Writer, parent: &Parent) {
    writer.raw(&parent.key);
    writer.raw(&rows::attempt_bytes(&parent.attempt));
}

fn read(reader: &mut Reader<'_>) -> Option<Message> {
    let tag = reader.byte()?;
    let parent = Parent { key: reader.raw(16)?.try_into().ok()?, attempt: rows::attempt_of(reader.raw(16)?)? };
    if tag == 2 {
        let failure = Failure { error: reader.option(Reader::text)?, cause: reader.option(Reader::text)? };
        return Some(Message::Refused { parent, failure });
    }
    let (workflow, name) = (reader.text()?, reader.text()?);
    let state = super::state_named(&reader.text()?).unwrap_or(ExecutionState::Failed);
    let (started, stopped) = (reader.time()?, reader.option(Reader::time)?);
    let mut json = || reader.option(|reader| Some(Bytes::copy_from_slice(reader.bytes()?)));
    let (input, output) = (json()?, json()?);
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
