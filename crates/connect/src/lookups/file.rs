//! `{type: file, path: networks.csv, format: csv, key: network}`: rows of a file by one of their fields, held in memory.
//!
//! CSV: the first line names the columns, every value is text. NDJSON: one object a line, the key a text or a number.
//! Of rows with equal keys the last one wins. The file is read once, when the pipeline starts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::{Context, Json, Lookup, LookupError};
use serde_json::{Map, Value, json};

use super::options::{Options, place, read_file, steps, walk};
use crate::sources::{equal_columns, twice};

const FILE_BYTES_MAX: u64 = 1 << 30;

pub(super) fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["type", "path", "key"],
        "properties": {
            "type": {"const": "file"},
            "path": {"type": "string", "description": "The file; relative to the data folder, in `headwater run` to the working one."},
            "format": {"enum": ["csv", "ndjson"], "description": "Default: by the file's ending."},
            "key": {"type": "string", "description": "The column or field that holds the key."}
        }
    })
}

pub(super) fn check(spec: &Value) -> Result<(), Problem> {
    read(spec).map(drop)
}

/// The path, whether it is CSV, and the key.
fn read(spec: &Value) -> Result<(&str, bool, &str), Problem> {
    let options = Options::new(spec, &["path", "format", "key"])?;
    let path = options.text("path")?;
    let is_csv = match options.optional_text("format")? {
        None => Path::new(path).extension().is_some_and(|ending| ending == "csv"),
        Some("csv") => true,
        Some("ndjson") => false,
        Some(other) => {
            return Err(Problem::new("HW-CONNECT-101", format!("`{}` is not a format", other.escape_debug()))
                .help("formats are `csv` and `ndjson`"));
        }
    };
    Ok((path, is_csv, options.text("key")?))
}

pub(super) fn build(spec: &Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let (path, is_csv, key) = read(spec)?;
    let path = place(context, path);
    Ok(Arc::new(if is_csv { Rows::csv(&path, key)? } else { Rows::ndjson(&path, key)? }))
}

/// Rows by key.
#[derive(Default)]
pub(super) struct Rows(HashMap<Box<str>, Json>);

impl Rows {
    /// Reads objects, one a line; empty lines are passed over.
    pub fn ndjson(path: &Path, key: &str) -> Result<Self, Problem> {
        let text = Bytes::from(read_file(path, FILE_BYTES_MAX)?);
        let steps = steps(key);
        let mut rows = HashMap::new();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let problem = |fact: String| {
                Problem::new("HW-CONNECT-103", fact).at(
                    path.display().to_string(),
                    u32::try_from(index + 1).unwrap_or(0),
                    0,
                )
            };
            let value: Value =
                serde_json::from_slice(line).map_err(|error| problem(format!("the line is not JSON: {error}")))?;
            let key = match walk(&value, &steps) {
                Some(Value::String(text)) => text.as_str().into(),
                Some(Value::Number(number)) => number.to_string().into_boxed_str(),
                _ => return Err(problem(format!("the object has no `{key}` that is a text or a number"))),
            };
            rows.insert(key, text.slice_ref(line));
        }
        Ok(Self(rows))
    }

    /// Reads lines under a line of column names.
    pub fn csv(path: &Path, key: &str) -> Result<Self, Problem> {
        let text = read_file(path, FILE_BYTES_MAX)?;
        let problem = |line: u64, fact: String| {
            Problem::new("HW-CONNECT-103", fact).at(path.display().to_string(), u32::try_from(line).unwrap_or(0), 0)
        };
        let at = |error: &csv::Error| error.position().map_or(1, csv::Position::line);
        let mut reader = csv::ReaderBuilder::new().from_reader(text.as_slice());
        let columns: Vec<String> = match reader.headers() {
            Ok(columns) => columns.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect(),
            Err(error) => return Err(problem(at(&error), format!("the line of column names cannot be read: {error}"))),
        };
        if let Some(column) = twice(&columns) {
            return Err(equal_columns(&path.display().to_string(), column));
        }
        let Some(key_at) = columns.iter().position(|name| name == key) else {
            return Err(problem(1, format!("there is no column `{}`", key.escape_debug()))
                .help(format!("columns are `{}`", columns.join("`, `"))));
        };
        let mut rows = HashMap::new();
        for row in reader.records() {
            let row = row.map_err(|error| problem(at(&error), format!("the line cannot be read: {error}")))?;
            let object: Map<String, Value> = columns
                .iter()
                .zip(row.iter())
                .map(|(name, value)| (name.clone(), Value::String(value.to_owned())))
                .collect();
            let json = Bytes::from(Value::Object(object).to_string());
            rows.insert(row.get(key_at).unwrap_or_default().into(), json);
        }
        Ok(Self(rows))
    }
}

impl Lookup for Rows {
    fn at_once(&self, key: &str) -> Option<Result<Option<Json>, LookupError>> {
        Some(Ok(self.0.get(key).cloned()))
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        Box::pin(std::future::ready(Ok(self.0.get(key).cloned())))
    }
}
