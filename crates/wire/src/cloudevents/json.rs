//! The JSON event format: one object, or an array of them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use headwater_base::{Event, Problem};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Draft, HELP, base64, is_json, shown};

/// Reads one event in structured mode.
///
/// # Errors
/// `HW-API-101` when it is not a JSON object, `HW-API-102` when a required attribute is missing, `HW-API-103` when an
/// attribute has a value that cannot be, `HW-API-104` when its data cannot be.
pub fn from_json(text: &[u8]) -> Result<Event, Problem> {
    let members: Members<'_> = serde_json::from_slice(text).map_err(|error| malformed(&error, "an event", text))?;
    from_members(members)
}

/// Reads a batch; an empty one is allowed.
///
/// # Errors
/// As [`from_json`]; the place says which event, from 0.
pub fn from_json_batch(text: &[u8]) -> Result<Vec<Event>, Problem> {
    let batch: Vec<Members<'_>> =
        serde_json::from_slice(text).map_err(|error| malformed(&error, "an array of events", text))?;
    let event =
        |(index, members)| from_members(members).map_err(|problem: Problem| problem.at(format!("[{index}]"), 0, 0));
    batch.into_iter().enumerate().map(event).collect()
}

/// Writes an event as one JSON object. JSON data goes in byte for byte, other text as a string, other bytes as Base64.
pub fn to_json(event: &Event) -> String {
    let mut out = String::with_capacity(event.data.len() + 256);
    let mut member = |name: &str, value: &str| {
        out.push_str(if out.is_empty() { "{" } else { "," });
        out.push_str(&quote(name));
        out.push(':');
        out.push_str(value);
    };
    member("specversion", "\"1.0\"");
    member("id", &quote(&event.id));
    member("source", &quote(&event.source));
    member("type", &quote(&event.kind));
    if let Some(subject) = &event.subject {
        member("subject", &quote(subject));
    }
    if let Some(time) = event.time {
        member("time", &quote(&time.to_string()));
    }
    if let Some(content_type) = &event.content_type {
        member("datacontenttype", &quote(content_type));
    }
    for (name, value) in &event.headers {
        member(name, &quote(&String::from_utf8_lossy(value)));
    }
    if !event.data.is_empty() {
        let text = std::str::from_utf8(&event.data);
        match (event.content_type.as_deref().is_none_or(is_json), text) {
            (true, Ok(text)) if serde_json::from_str::<&RawValue>(text).is_ok() => member("data", text.trim()),
            (false, Ok(text)) => member("data", &quote(text)),
            _ => member("data_base64", &quote(&base64::encode(&event.data))),
        }
    }
    out.push('}');
    out
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn malformed(error: &serde_json::Error, what: &str, text: &[u8]) -> Problem {
    let title =
        if text.trim_ascii().is_empty() { "the body is empty".to_owned() } else { format!("the body is not {what}") };
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Problem::new("HW-API-101", title).because(error).at("body", place(error.line()), place(error.column())).help(HELP)
}

fn from_members(members: Members<'_>) -> Result<Event, Problem> {
    let mut draft = Draft::default();
    let (mut data, mut packed) = (None, None);
    for (name, raw) in members.0 {
        match name.as_ref() {
            "data" => data = Some(raw.get()),
            "data_base64" => packed = Some(raw.get()),
            _ => {
                if let Some(value) = attribute(&name, raw.get())? {
                    draft.set(&name, value)?;
                }
            }
        }
    }
    draft.data = match (data, packed) {
        (Some(_), Some(_)) => {
            return Err(Problem::new("HW-API-104", "both `data` and `data_base64` are there").help("send one of them"));
        }
        (Some(raw), None) => data_bytes(raw, draft.content_type.as_deref()),
        (None, Some("null")) | (None, None) => Bytes::new(),
        (None, Some(raw)) => {
            let decoded = serde_json::from_str::<Cow<'_, str>>(raw).ok().and_then(|text| base64::decode(&text));
            decoded.map(Bytes::from).ok_or_else(|| {
                Problem::new("HW-API-104", "`data_base64` is not a string of Base64")
                    .help("use the standard alphabet with padding")
            })?
        }
    };
    draft.finish()
}

/// An attribute's value as text; None for null, which stands for absence.
fn attribute(name: &str, raw: &str) -> Result<Option<String>, Problem> {
    let string = matches!(
        name,
        "id" | "source" | "type" | "specversion" | "subject" | "time" | "datacontenttype" | "dataschema"
    );
    let wrong = |found| {
        let wanted = if string { "a string" } else { "a string, number or boolean" };
        Problem::new("HW-API-103", format!("`{}` is {found}; it takes {wanted}", shown(name))).help(HELP)
    };
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Some).map_err(|error| wrong("a malformed string").because(error)),
        Some(b'n') => Ok(None),
        Some(b'{') => Err(wrong("an object")),
        Some(b'[') => Err(wrong("an array")),
        _ if string => Err(wrong("a number or boolean")),
        _ => Ok(Some(raw.to_owned())),
    }
}

/// JSON as it stands; for other media types a string's content.
fn data_bytes(raw: &str, content_type: Option<&str>) -> Bytes {
    if content_type.is_some_and(|content_type| !is_json(content_type))
        && let Ok(text) = serde_json::from_str::<Cow<'_, str>>(raw)
    {
        return Bytes::from(text.into_owned());
    }
    Bytes::copy_from_slice(raw.as_bytes())
}

/// An object's members, values unread, in order; a name that comes twice is refused.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
                while let Some(Name(name)) = map.next_key()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format_args!("`{}` comes twice", shown(&name))));
                    }
                    if members.len() == MEMBERS_MAX {
                        return Err(serde::de::Error::custom(format_args!("more than {MEMBERS_MAX} attributes")));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Attributes of one event; far above what the specification names.
const MEMBERS_MAX: usize = 200;

/// A member's name, borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
