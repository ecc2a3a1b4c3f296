//! `{type: mmdb, file: city.mmdb}`: what an address database in MaxMind's format 2.0 knows about an IP address.
//!
//! `fields: {country: country.iso_code, city: city.names.en}` picks and renames, and leaves out what is an empty text: that is
//! how databases write what they do not know. Without it the whole record is given as it is.
//! A damaged file is refused when the pipeline starts, or makes single answers fail; it never ends the process.

use std::net::IpAddr;
use std::sync::Arc;

use ahash::HashMap;
use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::{Context, JSON_DEPTH_MAX, Json, Lookup, LookupError};
use headwater_kernel::unit::contained;
use maxminddb::Reader;
use parking_lot::RwLock;
use serde_json::{Map, Value, json};

use super::options::{Options, place, read_file, steps, walk};

const FILE_BYTES_MAX: u64 = 1 << 30;
/// Records whose text is kept: many addresses share one.
pub(super) const TEXTS_MAX: usize = 50_000;

pub(super) fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["type", "file"],
        "properties": {
            "type": {"const": "mmdb"},
            "file": {"type": "string", "description": "The database; relative to the data folder, in `headwater run` to the working one."},
            "fields": {"type": "object", "additionalProperties": {"type": "string"},
                "description": "Name in the answer -> path in the record. Default: the whole record."}
        }
    })
}

/// Names in the answer with the way to each in the record.
type Fields = Vec<(String, Vec<String>)>;

pub(super) fn check(spec: &Value) -> Result<(), Problem> {
    read(spec).map(drop)
}

fn read(spec: &Value) -> Result<(&str, Fields), Problem> {
    let options = Options::new(spec, &["file", "fields"])?;
    let mut fields = Vec::new();
    for (name, from) in options.optional_object("fields")?.into_iter().flatten() {
        let Some(from) = from.as_str() else {
            return Err(Problem::new(
                "HW-CONNECT-101",
                format!("`fields.{name}` is a path such as `country.iso_code`"),
            ));
        };
        fields.push((name.clone(), steps(from)));
    }
    Ok((options.text("file")?, fields))
}

pub(super) fn build(spec: &Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let (file, fields) = read(spec)?;
    let path = place(context, file);
    let database = Mmdb::open(read_file(&path, FILE_BYTES_MAX)?, fields).map_err(|fact| {
        Problem::new("HW-CONNECT-104", format!("not a readable address database: {fact}"))
            .at(path.display().to_string(), 0, 0)
            .help("fetch the file again; the format is MaxMind DB 2.0")
    })?;
    Ok(Arc::new(database))
}

pub(super) struct Mmdb {
    reader: Reader<Vec<u8>>,
    fields: Fields,
    texts: Texts,
}

/// Texts of records by their place in the file, in two generations: when the young one is full the old one goes, but for
/// what was asked for meanwhile, which is young again. So a flood of records seen once drives out no busy one.
#[derive(Default)]
pub(super) struct Texts(RwLock<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<usize, Json>,
    old: HashMap<usize, Json>,
}

impl Texts {
    pub fn get(&self, offset: usize) -> Option<Json> {
        let old = {
            let kept = self.0.read();
            if let Some(text) = kept.young.get(&offset) {
                return Some(text.clone());
            }
            kept.old.get(&offset)?.clone()
        };
        self.put(offset, old.clone());
        Some(old)
    }

    pub fn put(&self, offset: usize, text: Json) {
        let mut gone = HashMap::default();
        let mut kept = self.0.write();
        if kept.young.len() >= TEXTS_MAX / 2 {
            let young = std::mem::take(&mut kept.young);
            gone = std::mem::replace(&mut kept.old, young);
        }
        kept.young.insert(offset, text);
        // Tens of thousands of texts are let go of while nobody waits.
        drop(kept);
        drop(gone);
    }

    /// How many there are, those counted twice that are in both generations.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        let kept = self.0.read();
        kept.young.len() + kept.old.len()
    }
}

impl Mmdb {
    pub fn open(bytes: Vec<u8>, fields: Fields) -> Result<Self, String> {
        // The reader is somebody else's code over bytes that may be damaged.
        let reader = contained(|| Reader::from_source(bytes))
            .map_err(|_| "its reader failed".to_owned())?
            .map_err(|error| error.to_string())?;
        Ok(Self { reader, fields, texts: Texts::default() })
    }

    pub fn find(&self, key: &str) -> Result<Option<Json>, LookupError> {
        let Ok(address) = key.trim().parse::<IpAddr>() else {
            return Err(LookupError::Rejected("the key is not an IP address".to_owned()));
        };
        let address = address.to_canonical();
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(None);
        }
        contained(|| self.read(address))
            .unwrap_or_else(|_| Err("its reader failed".to_owned()))
            .map_err(|fact| LookupError::Rejected(format!("damaged address database: {fact}")))
    }

    fn read(&self, address: IpAddr) -> Result<Option<Json>, String> {
        let found = self.reader.lookup(address).map_err(|error| error.to_string())?;
        let Some(offset) = found.offset() else { return Ok(None) };
        if let Some(text) = self.texts.get(offset) {
            return Ok(Some(text));
        }
        let Some(record) = found.decode::<Value>().map_err(|error| error.to_string())? else { return Ok(None) };
        let value = if self.fields.is_empty() {
            record
        } else {
            let fields = self.fields.iter().filter_map(|(name, from)| {
                let value = walk(&record, from).filter(|value| value.as_str() != Some(""))?;
                Some((name.clone(), value.clone()))
            });
            Value::Object(fields.collect::<Map<String, Value>>())
        };
        if is_deeper(&value, JSON_DEPTH_MAX) {
            return Err(format!("a record is nested more than {JSON_DEPTH_MAX} deep"));
        }
        let text = Bytes::from(value.to_string());
        self.texts.put(offset, text.clone());
        Ok(Some(text))
    }
}

/// Whether a value is nested more than `depth` deep, its outermost array or object counted.
pub(super) fn is_deeper(value: &Value, depth: usize) -> bool {
    let inside = |value: &Value| is_deeper(value, depth - 1);
    match value {
        Value::Array(values) => depth == 0 || values.iter().any(inside),
        Value::Object(fields) => depth == 0 || fields.values().any(inside),
        _ => false,
    }
}

impl Lookup for Mmdb {
    fn at_once(&self, key: &str) -> Option<Result<Option<Json>, LookupError>> {
        Some(self.find(key))
    }

    fn writes_json(&self) -> bool {
        true
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        Box::pin(std::future::ready(self.find(key)))
    }
}
