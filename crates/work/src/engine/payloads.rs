//! Large payloads: blobs that rows and history name by their hash.
//!
//! A payload above [`crate::Limits::inline_bytes_max`], or a list of items that is larger as a whole, is kept as a blob
//! before the commit that names it, and that commit has a row that points to it. An execution's pointers go with the
//! execution; what nobody points to any more is collected ([`super::collect`]).
//!
//! Invariant: a blob is durable before anything that names it is appended.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Arc;

use headwater_log::View;
use headwater_store::blobs::BlobId;
use serde_json::{Value, json};

use super::Inner;
use super::rows::{self, Head, Key, Tag};
use crate::execution::history::{self, Shows};
use crate::execution::record::codec::{Large, Reader, Writer};

/// The field that names a blob in place of a payload's text.
const BLOB: &str = "blob";

impl Inner {
    /// Payloads above this size are kept as blobs.
    pub(super) fn inline_max(&self) -> usize {
        self.services.blobs.as_ref().map_or(usize::MAX, |_| self.limits.inline_bytes_max)
    }

    /// The bytes of a payload.
    pub(super) fn fetch(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let mut reader = self.services.blobs.as_ref()?.read(BlobId::from(*hash)).ok()??;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Keeps what is not in `kept`; durable on return. Answers what is pointed to from now on.
    pub(super) fn keep(&self, large: &Large, kept: &BTreeSet<[u8; 32]>) -> io::Result<Vec<[u8; 32]>> {
        let fresh: BTreeMap<_, _> =
            large.iter().filter(|(hash, _)| !kept.contains(hash)).map(|(hash, bytes)| (*hash, bytes)).collect();
        if let Some(blobs) = &self.services.blobs {
            fresh.iter().try_for_each(|(hash, bytes)| blobs.keep(BlobId::from(*hash), bytes))?;
        }
        Ok(fresh.into_keys().collect())
    }

    /// What an execution points to.
    pub(super) fn kept(&self, key: &Key, head: &Head) -> BTreeSet<[u8; 32]> {
        let read = |number: u32| {
            let hash = self.row(key, Tag::Blob, &number.to_be_bytes(), View::Appended)?;
            hash.as_ref().try_into().ok()
        };
        // They are numbered without a gap: behind the first that is not there is none.
        (0..head.blobs).map_while(read).collect()
    }
}

/// The rows of an execution that point to blobs.
pub(super) fn pointers(key: &Key, head: &Head) -> impl Iterator<Item = bytes::Bytes> {
    let key = *key;
    (0..head.blobs).map(move |number| pointer(&key, number))
}

/// The row of one pointer.
pub(super) fn pointer(key: &Key, number: u32) -> bytes::Bytes {
    rows::row(key, Tag::Blob, &number.to_be_bytes())
}

/// Writes payloads into history: their texts, or the names of their blobs.
pub(super) struct Named<'a> {
    inline_max: usize,
    large: &'a mut Large,
    scratch: Vec<u8>,
    /// The newest payload as it was written: one state's output is the next one's input.
    last: Option<(Arc<Value>, Vec<u8>)>,
}

impl<'a> Named<'a> {
    pub(super) const fn new(inline_max: usize, large: &'a mut Large) -> Self {
        Self { inline_max, large, scratch: Vec::new(), last: None }
    }

    fn blob(&mut self, value: &Value, text: bool, out: &mut Vec<u8>) {
        let mut writer = Writer::default();
        writer.value(value);
        let hash = crate::hash::sha256(&writer.bytes);
        self.large.push((hash, writer.bytes));
        let flag = if text { ",\"text\":true" } else { "" };
        out.extend_from_slice(format!("{{\"{BLOB}\":\"{}\"{flag}}}", BlobId::from(hash)).as_bytes());
    }
}

impl Shows for Named<'_> {
    fn payload(&mut self, value: &Arc<Value>, out: &mut Vec<u8>) {
        if let Some((last, shown)) = &self.last
            && Arc::ptr_eq(last, value)
        {
            return out.extend_from_slice(shown);
        }
        let start = out.len();
        self.value(value, out);
        let (_, mut shown) = self.last.take().unwrap_or_default();
        shown.clear();
        shown.extend_from_slice(out.get(start..).unwrap_or_default());
        self.last = Some((Arc::clone(value), shown));
    }

    fn value(&mut self, value: &Value, out: &mut Vec<u8>) {
        self.scratch.clear();
        // Writing to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.scratch, value);
        if self.scratch.len() > self.inline_max {
            return self.blob(value, false, out);
        }
        history::text(std::str::from_utf8(&self.scratch).unwrap_or_default(), out);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.len() > self.inline_max {
            return self.blob(&json!(text), true, out);
        }
        history::text(text, out);
    }
}

/// Puts the payloads of an event back in. None when a blob is gone.
pub(super) fn fill(event: &mut Value, fetch: &dyn Fn(&[u8; 32]) -> Option<Vec<u8>>) -> Option<()> {
    for field in fields(event) {
        let Some(name) = field.get(BLOB).and_then(Value::as_str) else { continue };
        let id: BlobId = name.parse().ok()?;
        let value = Reader::new(&fetch(id.hash())?).value()?;
        let text = field.get("text").is_some() && value.is_string();
        *field = if text { value } else { json!(value.to_string()) };
    }
    Some(())
}

/// The fields of an event's details that may hold a payload.
fn fields(event: &mut Value) -> Vec<&mut Value> {
    let details =
        event.as_object_mut().into_iter().flat_map(|event| event.values_mut()).filter_map(Value::as_object_mut);
    let mut found = Vec::new();
    for (name, value) in details.flat_map(|details| details.iter_mut()) {
        if name == "assignedVariables" {
            found.extend(value.as_object_mut().into_iter().flat_map(|variables| variables.values_mut()));
        } else {
            found.push(value);
        }
    }
    found
}
