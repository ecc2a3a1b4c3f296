//! Positions: which events of the stream a snapshot's rows are, kept in its summary.
//!
//! Invariant: the newest snapshot's positions say where the table ends, whatever made it; a snapshot that replaces files
//! carries those of the one before. A stream made anew under the same name has another id, so that its offsets are
//! never taken for those of the old one.

use std::collections::BTreeMap;

use headwater_log::Offset;
use serde::{Deserialize, Serialize};

/// The entry of a snapshot's summary.
pub const SUMMARY_KEY: &str = "headwater.positions";
/// The table property that holds the stream's id.
pub const STREAM_ID_KEY: &str = "headwater.stream-id";
/// The table property that holds the state epoch it was made in.
pub const EPOCH_KEY: &str = "headwater.epoch";

/// Which events a snapshot's rows are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// The stream's id, in hexadecimal digits.
    pub stream: String,
    /// How often the dataset has been built anew.
    pub epoch: u64,
    /// By partition: the first offset of this snapshot's events, and one past their last.
    pub partitions: BTreeMap<u32, [Offset; 2]>,
}

impl Positions {
    /// As the summary holds them.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a summary's entry.
    pub fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// A stream's id as text.
pub fn stream_id(id: u128) -> String {
    format!("{id:032x}")
}
