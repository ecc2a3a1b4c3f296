//! What rules see of a record, and what a record that a rule wrote carries of the event it came of.
//!
//! A record with CloudEvents attributes in its headers is seen as an envelope: `id`, `source`, `detail-type`, `time`,
//! `resources` and the record's value as `detail`. Any other record is seen as its own JSON object, which may be such an
//! envelope already.
//!
//! Source: CloudEvents 1.0.2, Kafka protocol binding 3.2; "Amazon EventBridge event structure".

use std::borrow::Cow;
use std::io::Write as _;

use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::port::Cause;
use headwater_wire::batch::Record;
use headwater_wire::change::Change;
use headwater_wire::dynamodb::{self, Origin};

/// The account and the region of the node's own events: the fields are there because patterns may name them.
pub const ACCOUNT: &str = "000000000000";
/// See [`ACCOUNT`].
pub const REGION: &str = "local";

/// Names of headers.
pub mod header {
    /// The version of CloudEvents; with it a record has attributes.
    pub const VERSION: &str = "ce_specversion";
    /// The event's id.
    pub const ID: &str = "ce_id";
    /// Where it comes from.
    pub const SOURCE: &str = "ce_source";
    /// What it is.
    pub const TYPE: &str = "ce_type";
    /// When it happened.
    pub const TIME: &str = "ce_time";
    /// What it is about, one name.
    pub const SUBJECT: &str = "ce_subject";
    /// What it is about, a JSON array of texts.
    pub const RESOURCES: &str = "ce_resources";
    /// The event at the beginning of the chain.
    pub const CAUSE: &str = headwater_kernel::port::Cause::ID;
    /// Steps of the chain so far.
    pub const HOPS: &str = headwater_kernel::port::Cause::HOPS;
    /// The replay it came from.
    pub const REPLAY: &str = "ce_replayname";
    /// The rules that alone get it, with commas between.
    pub const REPLAY_RULES: &str = "ce_replayrules";
}

/// The value of a header, if it is text.
pub fn text<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    let (_, value) = record.headers.iter().find(|(header, _)| header.as_ref() == name.as_bytes())?;
    std::str::from_utf8(value.as_ref()?).ok()
}

/// What patterns look at: the record's value itself, or the envelope, written into `buffer`.
pub fn view<'r>(record: &'r Record, buffer: &'r mut Vec<u8>) -> Cow<'r, [u8]> {
    let value = record.value.as_deref().unwrap_or_default();
    let (Some(id), Some(source), Some(kind)) =
        (text(record, header::ID), text(record, header::SOURCE), text(record, header::TYPE))
    else {
        return Cow::Borrowed(value);
    };
    buffer.clear();
    buffer.extend_from_slice(b"{\"version\":\"0\",\"id\":");
    quote(buffer, id);
    buffer.extend_from_slice(b",\"detail-type\":");
    quote(buffer, kind);
    buffer.extend_from_slice(b",\"source\":");
    quote(buffer, source);
    buffer.extend_from_slice(b",\"account\":\"");
    buffer.extend_from_slice(ACCOUNT.as_bytes());
    buffer.extend_from_slice(b"\",\"time\":\"");
    let time = time(record);
    // Whole seconds, as the service writes it.
    let _ = write!(buffer, "{}", Micros(time.0.div_euclid(1_000_000) * 1_000_000));
    buffer.extend_from_slice(b"\",\"region\":\"");
    buffer.extend_from_slice(REGION.as_bytes());
    buffer.extend_from_slice(b"\",\"resources\":");
    match (text(record, header::RESOURCES), text(record, header::SUBJECT)) {
        (Some(list), _) => buffer.extend_from_slice(list.as_bytes()),
        (None, Some(subject)) => {
            buffer.push(b'[');
            quote(buffer, subject);
            buffer.push(b']');
        }
        (None, None) => buffer.extend_from_slice(b"[]"),
    }
    if let Some(replay) = text(record, header::REPLAY) {
        buffer.extend_from_slice(b",\"replay-name\":");
        quote(buffer, replay);
    }
    buffer.extend_from_slice(b",\"detail\":");
    buffer.extend_from_slice(if value.is_empty() { b"{}" } else { value });
    buffer.push(b'}');
    Cow::Borrowed(buffer)
}

/// A change of a table as a record of a DynamoDB stream; None for a record that is no change.
pub fn typed_change(record: &Record, stream: &str, partition: u32) -> Option<String> {
    let change = Change::read(record.value.as_deref()?).ok()?;
    let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{}/stream/{stream}", change.table);
    let origin = Origin { region: REGION, arn: &arn, partition, offset: record.offset };
    dynamodb::record(&change, origin).ok()
}

/// When the event happened.
pub fn time(record: &Record) -> Micros {
    text(record, header::TIME).and_then(Micros::parse_rfc3339).unwrap_or_else(|| Micros::from_millis(record.timestamp))
}

/// The chain that an event belongs to; `place` names it where it has no id of its own.
pub fn cause(record: &Record, place: impl FnOnce() -> String) -> Cause {
    let hops = text(record, header::HOPS).and_then(|hops| hops.parse().ok()).unwrap_or(0);
    let id = text(record, header::CAUSE).or_else(|| text(record, header::ID)).map(str::to_owned);
    Cause { id: id.unwrap_or_else(place), hops }
}

/// Headers of a record in the making.
pub type Headers = Vec<(String, Bytes)>;

/// The headers of a record that goes on as it came, one step further in its chain. What a replay marked is taken off:
/// it holds for the step before.
pub fn onward(record: &Record, cause: &Cause) -> Headers {
    let dropped = [header::CAUSE, header::HOPS, header::REPLAY_RULES];
    let kept = record.headers.iter().filter_map(|(name, value)| {
        let name = std::str::from_utf8(name).ok().filter(|name| !dropped.contains(name))?;
        Some((name.to_owned(), value.clone().unwrap_or_default()))
    });
    let mut headers: Headers = kept.collect();
    chain(&mut headers, cause);
    headers
}

/// Adds what a chain's next step carries.
pub fn chain(headers: &mut Headers, cause: &Cause) {
    let onward = cause.clone().onward();
    headers.push((header::CAUSE.to_owned(), Bytes::from(onward.id)));
    headers.push((header::HOPS.to_owned(), Bytes::from(onward.hops.to_string())));
}

/// The attributes of an event.
pub fn attributes(id: &str, source: &str, kind: &str, time: Micros) -> Headers {
    let text = |name: &str, value: &str| (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
    vec![
        text(header::VERSION, "1.0"),
        text(header::ID, id),
        text(header::SOURCE, source),
        text(header::TYPE, kind),
        text(header::TIME, &time.to_string()),
    ]
}

/// Writes a JSON string.
fn quote(into: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(into, text);
}

#[cfg(test)]
mod tests;
