//! What waits to be delivered: a value in its subscription's space from the commit that took its event until the commit
//! that says it was delivered, or that makes it a dead letter.

use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::port::Cause;
use headwater_log::Offset;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::letter::Place;

/// How the keys of all that waits begin.
pub const PREFIX: &[u8] = b"d/";

/// A delivery, without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The target's number.
    pub target: usize,
    /// The stream of the event.
    pub stream: String,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: Offset,
    /// When it happened.
    pub time: Micros,
    /// The event at the beginning of its chain.
    pub cause: String,
    /// How far along the chain it is.
    pub hops: u32,
    /// When it was taken.
    pub first: Micros,
    /// When it is to be tried.
    pub due: Micros,
    /// How often it was tried.
    pub attempts: u32,
    /// Deliveries of the same value go one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    #[serde(flatten)]
    pending: Pending,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Pending {
    /// Its key; in the order of its stream's partition.
    pub fn key(&self) -> Bytes {
        let mut key = PREFIX.to_vec();
        key.extend_from_slice(format!("{:02}/{}/", self.target, self.stream).as_bytes());
        key.extend_from_slice(&self.partition.to_be_bytes());
        key.extend_from_slice(&self.offset.to_be_bytes());
        Bytes::from(key)
    }

    /// Its text; None when the body is no JSON.
    pub fn encode(&self, body: &[u8]) -> Option<Bytes> {
        let body: &RawValue = serde_json::from_slice(body).ok()?;
        let written = Written { pending: self.clone(), body };
        serde_json::to_vec(&written).ok().map(Bytes::from)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(text: &[u8]) -> Option<(Self, Bytes)> {
        let pending: Self = serde_json::from_slice(text).ok()?;
        let body: Body<'_> = serde_json::from_slice(text).ok()?;
        Some((pending, Bytes::copy_from_slice(body.body.get().as_bytes())))
    }

    /// Where its event stands.
    pub fn place(&self) -> Place<'_> {
        Place { stream: &self.stream, partition: self.partition, offset: self.offset }
    }

    /// Its event's chain.
    pub fn chain(&self) -> Cause {
        Cause { id: self.cause.clone(), hops: self.hops }
    }
}

#[cfg(test)]
mod tests;
