//! The event: a fact that happened, under CloudEvents 1.0 names.

use bytes::Bytes;

use crate::Micros;

/// An event as the house hands it around; `data` is shared, so a clone is cheap.
///
/// # Source
/// CloudEvents 1.0.2, section "Context Attributes". `key` and `headers` are those of a Kafka record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unique together with `source`.
    pub id: String,
    /// Where it happened: a URI reference.
    pub source: String,
    /// What happened, such as `listing.viewed`.
    pub kind: String,
    /// What it happened to.
    pub subject: Option<String>,
    /// When it happened, where the producer said so.
    pub time: Option<Micros>,
    /// Chooses the partition; events of one key keep their order.
    pub key: Option<Bytes>,
    /// CloudEvents extensions and Kafka headers, in order.
    pub headers: Vec<(String, Bytes)>,
    /// The payload, JSON unless `content_type` says otherwise.
    pub data: Bytes,
    /// The payload's media type; None means JSON.
    pub content_type: Option<String>,
}
