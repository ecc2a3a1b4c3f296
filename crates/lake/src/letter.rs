//! The documents on a dataset's dead-letter stream: an event that did not fit, why, and where it stands, in the form that
//! the dead letters of pipelines have.

use bytes::Bytes;
use headwater_base::Micros;
use headwater_log::Offset;
use serde_json::json;

/// Where an event stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: Offset,
}

/// More of an event than this is cut off; the whole of it stays in its stream.
const DATA_BYTES_MAX: usize = 256 * 1024;

/// A dead letter.
pub fn encode(dataset: &str, place: Place<'_>, reason: &str, at: Micros, data: &[u8]) -> Bytes {
    let cut = data.get(..DATA_BYTES_MAX).filter(|_| data.len() > DATA_BYTES_MAX);
    let mut letter = json!({
        "reason": reason,
        "code": "HW-LAKE-010",
        "position": {"stream": place.stream, "partition": place.partition, "offset": place.offset},
        "dataset": dataset,
        "at": at.to_string(),
        "data": String::from_utf8_lossy(cut.unwrap_or(data)),
    });
    if let (Some(_), Some(letter)) = (cut, letter.as_object_mut()) {
        letter.insert("data_bytes".to_owned(), json!(data.len()));
    }
    Bytes::from(letter.to_string())
}
