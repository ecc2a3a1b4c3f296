//! A change of a table's document, as it stands in the table's change stream `table.<name>.changes`.
//!
//! ```text
//! {"eventName":"MODIFY","table":"runs","key":"r7","version":12,"time":"2026-11-28T09:00:00Z","images":"newAndOldImages",
//!  "oldImage":{"status":"RUNNING"},"newImage":{"status":"COMPLETE"}}
//! ```
//! Images are cut out of the documents as they are, byte for byte. What a change came of travels in the record's
//! headers.

use headwater_base::{Micros, Problem};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventName {
    /// There was none.
    Insert,
    /// There was another.
    Modify,
    /// There is none any more.
    Remove,
}

/// What of a document goes into its changes. The names in brackets are DynamoDB's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Images {
    /// Nothing but the key (`KEYS_ONLY`).
    KeysOnly,
    /// What it is now (`NEW_IMAGE`).
    NewImage,
    /// What it was before (`OLD_IMAGE`).
    OldImage,
    /// Both (`NEW_AND_OLD_IMAGES`).
    #[default]
    NewAndOldImages,
}

impl Images {
    /// Whether the new image is among them.
    pub fn new_image(self) -> bool {
        matches!(self, Self::NewImage | Self::NewAndOldImages)
    }

    /// Whether the old image is among them.
    pub fn old_image(self) -> bool {
        matches!(self, Self::OldImage | Self::NewAndOldImages)
    }
}

/// A change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change<'a> {
    /// What happened.
    pub event_name: EventName,
    /// The table.
    pub table: String,
    /// The document's field that is its key, if the table names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_field: Option<String>,
    /// The document's key.
    pub key: String,
    /// The document's version after the change; of a removed one that of its removal.
    pub version: u64,
    /// When it was written, RFC 3339.
    pub time: String,
    /// The document's age or its own field ended it, not somebody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// Which images are given.
    pub images: Images,
    /// What it was.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub old_image: Option<&'a RawValue>,
    /// What it is.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub new_image: Option<&'a RawValue>,
}

impl<'a> Change<'a> {
    /// Reads the value of a record of a change stream.
    ///
    /// # Errors
    /// `HW-KERNEL-035` for anything else.
    pub fn read(text: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(text).map_err(|error| {
            Problem::new("HW-KERNEL-035", "the record is no change of a table's document")
                .because(error)
                .help("changes come from a stream `table.<name>.changes`")
        })
    }

    /// When it was written; the beginning of 1970 where the text is no time.
    pub fn at(&self) -> Micros {
        Micros::parse_rfc3339(&self.time).unwrap_or_default()
    }

    /// Its JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
