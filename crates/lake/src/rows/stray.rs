//! Strays: what is on a stream of dead letters and is no letter. Each becomes a letter about itself, so that a dataset of
//! letters takes every record, has no dead letters of its own, and cannot feed itself.

use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::letter::{Data, Place};
use headwater_wire::batch::Record;
use serde::Serialize;

/// The code whose page explains strays.
const CODE: &str = "HW-LAKE-108";

#[derive(Serialize)]
struct Letter<'a> {
    reason: &'a str,
    code: &'static str,
    position: Place<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(flatten)]
    data: Data,
}

/// The letter about a record of `stream`, in the record's place. It says the same whenever the record is read.
pub(super) fn letter(stream: &str, partition: u32, record: &Record, reason: &str) -> Record {
    // A producer may claim any time, also one that cannot be written.
    let at = Some(Micros::from_millis(record.timestamp).to_string());
    let at = at.filter(|text| record.timestamp >= 0 && Micros::parse_rfc3339(text).is_some());
    let letter = Letter {
        reason,
        code: CODE,
        position: Place { stream, partition, offset: record.offset },
        at,
        data: Data::cut(record.value.as_deref().unwrap_or_default()),
    };
    let value = Some(Bytes::from(serde_json::to_vec(&letter).unwrap_or_default()));
    Record { offset: record.offset, timestamp: record.timestamp, key: None, value, headers: Vec::new() }
}
