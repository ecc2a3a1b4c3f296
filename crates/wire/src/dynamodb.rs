//! Documents in the shape of Amazon DynamoDB: attribute values (`{"S": "text"}`) and records of its change streams.
//!
//! | plain JSON | attribute value | read back |
//! |---|---|---|
//! | `"text"` | `{"S": "text"}` | the string |
//! | `1.50` | `{"N": "1.50"}` | the number, digit by digit |
//! | `true`, `null` | `{"BOOL": true}`, `{"NULL": true}` | the same |
//! | `[…]`, `{…}` | `{"L": […]}`, `{"M": {…}}` | the same |
//! | | `{"B": "AAE="}` | a string of Base64 |
//! | | `{"SS": …}`, `{"NS": …}`, `{"BS": …}` | a list of its elements |
//!
//! What it is NOT: JSON has neither bytes nor sets, so what came as one of those goes out again as a string or a list.
//!
//! # Source
//! Amazon DynamoDB API Reference: "AttributeValue"; DynamoDB Streams API Reference: "Record", "StreamRecord"; Developer
//! Guide: "Item sizes and formats".

use headwater_base::Problem;
use serde_json::json;

use crate::base64;
use crate::change::{Change, EventName, Images};
use crate::exact::{self, Exact};

/// How deep attribute values may be nested; each costs two levels of JSON.
const DEPTH_MAX: usize = exact::DEPTH_MAX / 2;

/// The attribute value of plain JSON.
pub fn attribute(plain: &Exact) -> Exact {
    let (kind, value) = match plain {
        Exact::Null => ("NULL", Exact::Bool(true)),
        Exact::Bool(bool) => ("BOOL", Exact::Bool(*bool)),
        Exact::Number(text) => ("N", Exact::String(text.to_string())),
        Exact::String(text) => ("S", Exact::String(text.clone())),
        Exact::List(items) => ("L", Exact::List(items.iter().map(attribute).collect())),
        Exact::Map(fields) => ("M", item_of(fields)),
    };
    Exact::Map(vec![(kind.to_owned(), value)])
}

/// The plain JSON of an attribute value.
///
/// # Errors
/// `HW-KERNEL-035` names the place of what is none.
pub fn plain(attribute: &Exact) -> Result<Exact, Problem> {
    read(attribute, &mut Path::default())
}

/// A document's item: the attribute value of each of its fields.
///
/// # Errors
/// `HW-KERNEL-035` for anything but a JSON object's text.
pub fn item(document: &[u8]) -> Result<Exact, Problem> {
    match Exact::read(document) {
        Ok(Exact::Map(fields)) => Ok(item_of(&fields)),
        Ok(_) => Err(refused("a document is a JSON object")),
        Err(fault) => Err(refused("the document is no JSON").because(fault)),
    }
}

/// A document of its item: the plain JSON of each attribute value.
///
/// # Errors
/// `HW-KERNEL-035` names the place of what is no attribute value.
pub fn document(item: &Exact) -> Result<Exact, Problem> {
    match item {
        Exact::Map(fields) => read_fields(fields, &mut Path::default()),
        _ => Err(refused("an item is a JSON object")),
    }
}

/// Where a change stands, for its record in the shape of DynamoDB Streams.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// `awsRegion`.
    pub region: &'a str,
    /// `eventSourceARN`, the stream's.
    pub arn: &'a str,
    /// Partition of the change stream.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
}

/// A change as a record of DynamoDB Streams. Identity and sequence number come of the place in the change stream, so
/// a record given out twice is the same.
///
/// # Errors
/// `HW-KERNEL-035` for images that are no JSON objects.
pub fn record(change: &Change<'_>, origin: Origin<'_>) -> Result<String, Problem> {
    let image = |raw: Option<&serde_json::value::RawValue>| raw.map(|raw| item(raw.get().as_bytes())).transpose();
    let (old, new) = (image(change.old_image)?, image(change.new_image)?);
    let key_field = change.key_field.as_deref().unwrap_or("key");
    let keys = Exact::Map(vec![(key_field.to_owned(), attribute(&Exact::String(change.key.clone())))]);
    let size: usize = [Some(&keys), old.as_ref(), new.as_ref()].into_iter().flatten().map(item_bytes).sum();
    let text = |text: &str| Exact::String(text.to_owned());
    let number = |number: u64| Exact::Number(number.to_string().into());
    let seconds = change.at().0.div_euclid(1_000_000);
    let mut inner = vec![
        ("ApproximateCreationDateTime".to_owned(), Exact::Number(seconds.to_string().into())),
        ("Keys".to_owned(), keys),
    ];
    inner.extend(new.map(|image| ("NewImage".to_owned(), image)));
    inner.extend(old.map(|image| ("OldImage".to_owned(), image)));
    // As long as DynamoDB's, in the order of the partition as text, too.
    let sequence = format!("{}{:020}", u64::from(origin.partition) + 1, origin.offset);
    inner.push(("SequenceNumber".to_owned(), Exact::String(sequence)));
    inner.push(("SizeBytes".to_owned(), number(size as u64)));
    inner.push(("StreamViewType".to_owned(), text(view_type(change.images))));
    let name = match change.event_name {
        EventName::Insert => "INSERT",
        EventName::Modify => "MODIFY",
        EventName::Remove => "REMOVE",
    };
    let mut outer = vec![
        ("eventID".to_owned(), Exact::String(format!("{}-{}-{}", change.table, origin.partition, origin.offset))),
        ("eventName".to_owned(), text(name)),
        ("eventVersion".to_owned(), text("1.1")),
        ("eventSource".to_owned(), text("aws:dynamodb")),
        ("awsRegion".to_owned(), text(origin.region)),
        ("dynamodb".to_owned(), Exact::Map(inner)),
        ("eventSourceARN".to_owned(), text(origin.arn)),
    ];
    if change.expired {
        let who = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
        outer.push(("userIdentity".to_owned(), Exact::from(&who)));
    }
    Ok(Exact::Map(outer).to_string())
}

/// DynamoDB's name of what a stream shows.
fn view_type(images: Images) -> &'static str {
    match images {
        Images::KeysOnly => "KEYS_ONLY",
        Images::NewImage => "NEW_IMAGE",
        Images::OldImage => "OLD_IMAGE",
        Images::NewAndOldImages => "NEW_AND_OLD_IMAGES",
    }
}

fn item_of(fields: &[(String, Exact)]) -> Exact {
    Exact::Map(fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect())
}

fn read_fields(fields: &[(String, Exact)], path: &mut Path) -> Result<Exact, Problem> {
    let mut out = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        path.0.push(name.clone());
        out.push((name.clone(), read(value, path)?));
        path.0.pop();
    }
    Ok(Exact::Map(out))
}

fn read(attribute: &Exact, path: &mut Path) -> Result<Exact, Problem> {
    if path.0.len() > DEPTH_MAX {
        return Err(path.refuse(format!("is nested over {DEPTH_MAX} levels deep")));
    }
    let Exact::Map(fields) = attribute else { return Err(path.refuse("is no object such as `{\"S\": \"text\"}`")) };
    let [(kind, value)] = fields.as_slice() else {
        return Err(path.refuse(format!("has {} types; an attribute value has one", fields.len())));
    };
    match (kind.as_str(), value) {
        ("S", Exact::String(text)) => Ok(Exact::String(text.clone())),
        ("N", Exact::String(text)) => read_number(text, path),
        ("B", Exact::String(text)) => read_bytes(text, path),
        ("BOOL", Exact::Bool(bool)) => Ok(Exact::Bool(*bool)),
        ("NULL", Exact::Bool(true)) => Ok(Exact::Null),
        ("M", Exact::Map(fields)) => read_fields(fields, path),
        ("L", Exact::List(items)) => {
            let mut out = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                path.0.push(index.to_string());
                out.push(read(item, path)?);
                path.0.pop();
            }
            Ok(Exact::List(out))
        }
        ("SS" | "NS" | "BS", Exact::List(items)) => read_set(kind, items, path),
        ("S" | "N" | "B" | "BOOL" | "NULL" | "M" | "L" | "SS" | "NS" | "BS", _) => {
            Err(path.refuse(format!("has a value that is no `{kind}`")))
        }
        _ => Err(path.refuse(format!("is of the unknown type `{}`", kind.escape_debug()))),
    }
}

fn read_set(kind: &str, items: &[Exact], path: &Path) -> Result<Exact, Problem> {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        let Exact::String(text) = item else { return Err(path.refuse(format!("has an element that is no `{kind}`"))) };
        let value = match kind {
            "NS" => read_number(text, path)?,
            "BS" => read_bytes(text, path)?,
            _ => Exact::String(text.clone()),
        };
        let identity = match &value {
            Exact::Number(number) => format!("{:?}", exact::scaled(number)),
            _ => text.clone(),
        };
        if !seen.insert(identity) {
            return Err(path.refuse("is a set with an element that comes twice"));
        }
        out.push(value);
    }
    if out.is_empty() { Err(path.refuse("is an empty set")) } else { Ok(Exact::List(out)) }
}

/// A number as JSON writes it: DynamoDB also takes `+5`, `.5`, `5.` and `007`.
fn read_number(text: &str, path: &Path) -> Result<Exact, Problem> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..)),
        Some(b'+') => ("", text.get(1..)),
        _ => ("", Some(text)),
    };
    // A second sign would pass for the number's own.
    let rest = rest.filter(|rest| !rest.starts_with('-')).unwrap_or_default();
    let (mantissa, exponent) = rest.find(['e', 'E']).map_or((rest, ""), |at| rest.split_at(at));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let dot = if fraction.is_empty() { "" } else { "." };
    let whole = match whole.trim_start_matches('0') {
        "" if whole.is_empty() && fraction.is_empty() => "",
        "" => "0",
        digits => digits,
    };
    let number = format!("{sign}{whole}{dot}{fraction}{exponent}");
    if exact::is_number(&number) {
        Ok(Exact::Number(number.into()))
    } else {
        Err(path.refuse("has an `N` that is no number"))
    }
}

fn read_bytes(text: &str, path: &Path) -> Result<Exact, Problem> {
    match base64::decode(text) {
        Some(_) => Ok(Exact::String(text.to_owned())),
        None => Err(path.refuse("has a `B` that is no Base64")),
    }
}

/// Bytes of an item by DynamoDB's rules: names and strings in UTF-8, two digits of a number a byte, three for each
/// list or map and one for each of its elements.
fn item_bytes(item: &Exact) -> usize {
    fn value(attribute: &Exact) -> usize {
        let Exact::Map(fields) = attribute else { return 0 };
        let Some((kind, inner)) = fields.first() else { return 0 };
        match inner {
            Exact::String(text) if kind == "N" => {
                let digits = exact::scaled(text).map_or(0, |(_, digits, _)| digits.len());
                digits.div_ceil(2) + 1 + usize::from(text.starts_with('-'))
            }
            Exact::String(text) => text.len(),
            Exact::List(items) => 3 + items.iter().map(|item| 1 + value(item)).sum::<usize>(),
            Exact::Map(fields) => 3 + fields.iter().map(|(name, item)| 1 + name.len() + value(item)).sum::<usize>(),
            _ => 1,
        }
    }
    match item {
        Exact::Map(fields) => fields.iter().map(|(name, attribute)| name.len() + value(attribute)).sum(),
        _ => 0,
    }
}

/// Where in an item something is.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn refuse(&self, fact: impl std::fmt::Display) -> Problem {
        let place =
            if self.0.is_empty() { "the attribute value".to_owned() } else { format!("`{}`", self.0.join(".")) };
        refused(format!("{place} {fact}"))
    }
}

fn refused(fact: impl Into<String>) -> Problem {
    Problem::new("HW-KERNEL-035", fact).help("types are S, N, B, BOOL, NULL, L, M, SS, NS, BS: `{\"N\": \"1.5\"}`")
}

#[cfg(test)]
mod tests;
