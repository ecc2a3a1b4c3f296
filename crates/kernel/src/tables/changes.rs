//! Telling changes: for each document written, a record of `table.<name>.changes` in the same commit.
//!
//! The record's value is a [`headwater_wire::change::Change`], its headers those of a CloudEvent in Kafka's binary mode,
//! with the cause as `ce_causationid` and `ce_hops`. Its key and partition are the document's, so that the changes of a
//! document are in order.
//!
//! What does not fit a batch with its images is told without them, and says so.

use headwater_base::{Micros, Name};
use headwater_wire::change::{self, EventName, Images};
use serde_json::value::RawValue;

use super::Table;
use super::transact::Batches;
use crate::kinds::table::{ChangesSpec, changes_name};
use crate::port::{Cause, Document};

/// Room for a change's own fields and headers, besides key and images.
const FRAME_BYTES: usize = 4 * 1024;

/// A table's change stream.
pub(super) struct Changes {
    pub stream: Name,
    images: Images,
    /// The largest batch that the stream takes.
    bytes_max: usize,
}

/// What is told of a change besides its documents.
pub(super) struct Telling<'a> {
    pub cause: Option<&'a Cause>,
    pub now: Micros,
    /// Nobody deletes, the time is up.
    pub expiring: bool,
}

/// A document that changes.
pub(super) struct Told<'a> {
    pub table: &'a Table,
    pub partition: u32,
    pub key: &'a str,
    pub version: u64,
    pub old: Option<&'a Document>,
    pub new: Option<&'a Document>,
}

impl Changes {
    pub(super) fn of(table: &Name, spec: &ChangesSpec, bytes_max: usize) -> Option<Self> {
        Some(Self { stream: changes_name(table.as_str()).ok()?, images: spec.images, bytes_max })
    }

    /// Writes down one change.
    pub(super) fn tell(&self, told: &Told<'_>, telling: &Telling<'_>, out: &mut Batches) {
        let image = |document: Option<&'_ Document>, wanted: bool| -> Option<Box<RawValue>> {
            let document = document.filter(|_| wanted)?;
            RawValue::from_string(std::str::from_utf8(&document.value).ok()?.to_owned()).ok()
        };
        let (old, new) = (image(told.old, self.images.old_image()), image(told.new, self.images.new_image()));
        let images_bytes = [&old, &new].into_iter().flatten().map(|image| image.get().len()).sum::<usize>();
        // A character of the key may become six.
        let fits = 7 * told.key.len() + images_bytes + FRAME_BYTES <= self.bytes_max;
        let change = change::Change {
            event_name: match (told.old, told.new) {
                (None, _) => EventName::Insert,
                (Some(_), Some(_)) => EventName::Modify,
                (Some(_), None) => EventName::Remove,
            },
            table: told.table.name.to_string(),
            key_field: told.table.key.clone(),
            key: told.key.to_owned(),
            version: told.version,
            time: telling.now.to_string(),
            expired: telling.expiring,
            images: if fits { self.images } else { Images::KeysOnly },
            old_image: old.as_deref().filter(|_| fits),
            new_image: new.as_deref().filter(|_| fits),
        };
        let id = format!("{}-{}-{}", change.table, told.partition, told.version);
        let source = format!("headwater.tables/{}", change.table);
        let hops = telling.cause.map(|cause| cause.hops.to_string());
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("ce_specversion", b"1.0".as_slice()),
            ("ce_id", id.as_bytes()),
            ("ce_source", source.as_bytes()),
            ("ce_type", b"headwater.table.changed".as_slice()),
            ("ce_time", change.time.as_bytes()),
            ("content-type", b"application/json".as_slice()),
        ];
        if let (Some(cause), Some(hops)) = (telling.cause, &hops) {
            headers.push((Cause::ID, cause.id.as_bytes()));
            headers.push((Cause::HOPS, hops.as_bytes()));
        }
        out.push(telling.now, told.key, Some(&change.to_json()), &headers);
    }
}
