//! A dead letter of a unit that reads a stream: an event that it could not take, why, and where it stands, in the form
//! that the dead letters of pipelines have.

use bytes::Bytes;
use headwater_base::Micros;
use headwater_log::Offset;
use serde_json::{Value, json};

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

/// Who could not take it.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// What it is, which is the field with its name: `dataset`, `forecast`.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The code whose page explains the letters.
    pub code: &'a str,
}

/// More of an event than this is cut off; the whole of it stays in its stream.
const DATA_BYTES_MAX: usize = 256 * 1024;

/// The letter's document.
pub fn encode(owner: Owner<'_>, place: Place<'_>, reason: &str, at: Micros, data: &[u8]) -> Bytes {
    let cut = data.get(..DATA_BYTES_MAX).filter(|_| data.len() > DATA_BYTES_MAX);
    let mut letter = serde_json::Map::new();
    let mut put = |name: &str, value: Value| drop(letter.insert(name.to_owned(), value));
    put("reason", json!(reason));
    put("code", json!(owner.code));
    put("position", json!({"stream": place.stream, "partition": place.partition, "offset": place.offset}));
    put(owner.kind, json!(owner.name));
    put("at", json!(at.to_string()));
    put("data", json!(String::from_utf8_lossy(cut.unwrap_or(data))));
    if cut.is_some() {
        put("data_bytes", json!(data.len()));
    }
    Bytes::from(Value::Object(letter).to_string())
}
