//! `{type: ranges, file: asn.csv, columns: [asn]}`: what a file says about the range an IP address lies in.
//!
//! Lines are `first,last,…` without a line of names: two addresses, both included, then the named columns; a column
//! without a name is passed over, and so is a column named `_`. Values are texts; an empty one is left out. Of ranges
//! that overlap, the one that begins last is asked. The file is read once, when the pipeline starts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::{Context, Json, Lookup, LookupError};
use serde_json::{Map, Value, json};

use super::options::{Options, open_file, place};

const FILE_BYTES_MAX: u64 = 1 << 30;
/// Columns before the named ones: first and last address.
const BOUNDS: usize = 2;

pub(super) fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["type", "file", "columns"],
        "properties": {
            "type": {"const": "ranges"},
            "file": {"type": "string", "description": "The CSV file; relative to the data folder, in `headwater run` to the working one."},
            "columns": {"type": "array", "items": {"type": "string"}, "minItems": 1,
                "description": "Names of the columns behind the range's first and last address; `_` passes one over."}
        }
    })
}

pub(super) fn check(spec: &Value) -> Result<(), Problem> {
    read(spec).map(drop)
}

/// The file and the columns.
fn read(spec: &Value) -> Result<(&str, Vec<&str>), Problem> {
    let options = Options::new(spec, &["file", "columns"])?;
    Ok((options.text("file")?, options.texts("columns")?))
}

pub(super) fn build(spec: &Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let (file, columns) = read(spec)?;
    Ok(Arc::new(Ranges::read(&place(context, file), &columns)?))
}

/// Ranges in the order of their first addresses, apart for each kind of address: most of them are the short kind.
pub(super) struct Ranges {
    v4: Vec<Range<u32>>,
    v6: Vec<Range<u128>>,
    /// What is known about ranges: many share one answer.
    answers: Vec<Json>,
}

struct Range<A> {
    first: A,
    last: A,
    /// Its place in `answers`.
    answer: u32,
}

impl Ranges {
    fn read(path: &Path, columns: &[&str]) -> Result<Self, Problem> {
        let file = open_file(path, FILE_BYTES_MAX)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
        let mut found = Self { v4: Vec::new(), v6: Vec::new(), answers: Vec::new() };
        let mut known: HashMap<Json, u32> = HashMap::new();
        let mut row = csv::StringRecord::new();
        let problem = |line: u64, fact: String| {
            Problem::new("HW-CONNECT-103", fact).at(path.display().to_string(), u32::try_from(line).unwrap_or(0), 0)
        };
        loop {
            let line = reader.position().line();
            match reader.read_record(&mut row) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err(problem(line, format!("the line cannot be read: {error}"))),
            }
            let bound = |at: usize| row.get(at).and_then(|text| text.trim().parse::<IpAddr>().ok());
            let values = columns.iter().zip(row.iter().skip(BOUNDS));
            let object: Map<String, Value> = values
                .filter(|(name, value)| **name != "_" && !value.is_empty())
                .map(|(name, value)| ((*name).to_owned(), Value::from(value)))
                .collect();
            let text = Bytes::from(Value::Object(object).to_string());
            let answer = *known.entry(text).or_insert_with_key(|text| {
                found.answers.push(text.clone());
                u32::try_from(found.answers.len() - 1).unwrap_or(u32::MAX)
            });
            match (bound(0), bound(1)) {
                (Some(IpAddr::V4(first)), Some(IpAddr::V4(last))) if first <= last => {
                    found.v4.push(Range { first: first.to_bits(), last: last.to_bits(), answer });
                }
                (Some(IpAddr::V6(first)), Some(IpAddr::V6(last))) if first <= last => {
                    found.v6.push(Range { first: first.to_bits(), last: last.to_bits(), answer });
                }
                _ => {
                    let fact = "the line does not begin with the first and the last address of a range";
                    return Err(problem(line, fact.to_owned()).help("such as `192.0.2.0,192.0.2.255,…`"));
                }
            }
        }
        found.v4.sort_by_key(|range| range.first);
        found.v6.sort_by_key(|range| range.first);
        Ok(found)
    }

    fn find(&self, key: &str) -> Result<Option<Json>, LookupError> {
        let Ok(address) = key.trim().parse::<IpAddr>() else {
            return Err(LookupError::Rejected("the key is not an IP address".to_owned()));
        };
        let answer = match address.to_canonical() {
            IpAddr::V4(address) => around(&self.v4, address.to_bits()),
            IpAddr::V6(address) => around(&self.v6, address.to_bits()),
        };
        Ok(answer.and_then(|answer| self.answers.get(answer as usize)).cloned())
    }
}

/// The answer of the range that begins last at or before `address`, if it reaches that far.
fn around<A: Ord + Copy>(ranges: &[Range<A>], address: A) -> Option<u32> {
    let behind = ranges.partition_point(|range| range.first <= address);
    let range = ranges.get(behind.checked_sub(1)?)?;
    (address <= range.last).then_some(range.answer)
}

impl Lookup for Ranges {
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
