//! The documents on dead-letter streams: what could not be delivered, why, how often it was tried, and where the event
//! stands in its stream, so that nothing is lost and everything can be found again.

use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::letter::Data;
pub use headwater_kernel::letter::Place;
use headwater_kernel::port::Cause;
use headwater_log::Offset;
use serde::Serialize;

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Letter {
    /// Why, in words, without the event's data.
    pub reason: String,
    /// The code whose page explains it.
    pub code: String,
    /// Whose it is: `rule/orders`.
    pub subscription: String,
    /// The target's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<usize>,
    position: Position,
    causation_id: String,
    hops: u32,
    /// How often it was tried.
    pub attempts: u32,
    /// The last status, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When it was first to be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    at: String,
    /// What was to be delivered, or the event.
    #[serde(flatten)]
    data: Data,
    /// The letter's own time.
    #[serde(skip)]
    pub time: Micros,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Position {
    stream: String,
    partition: u32,
    offset: Offset,
}

impl Letter {
    #[expect(clippy::too_many_arguments, reason = "a letter has this many facts, and two places that know them")]
    pub(crate) fn new(
        subscription: &str,
        target: Option<usize>,
        place: Place<'_>,
        cause: &Cause,
        now: Micros,
        code: String,
        reason: String,
        data: &[u8],
    ) -> Self {
        Self {
            reason,
            code,
            subscription: subscription.to_owned(),
            target,
            position: Position { stream: place.stream.to_owned(), partition: place.partition, offset: place.offset },
            causation_id: cause.id.clone(),
            hops: cause.hops,
            attempts: 0,
            status: None,
            first: None,
            at: now.to_string(),
            data: Data::cut(data),
            time: now,
        }
    }

    /// The letter with why.
    #[must_use]
    pub fn because(mut self, code: &str, reason: &str) -> Self {
        code.clone_into(&mut self.code);
        reason.clone_into(&mut self.reason);
        self
    }

    /// The letter without what was to be delivered.
    #[must_use]
    pub fn without_data(&self) -> Self {
        Self { data: self.data.left_out(), ..self.clone() }
    }

    /// Its text.
    pub fn encode(&self) -> Bytes {
        Bytes::from(serde_json::to_vec(self).unwrap_or_default())
    }
}
