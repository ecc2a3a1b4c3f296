//! CSV: a row is an item, an object of texts by column.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::StringRecord;
use serde_json::{Map, Value};

use super::{Config, failed};
use crate::execution::Failure;

/// What the parser reads ahead of the row it gives out.
const AHEAD_BYTES: usize = 64 * 1024;

/// The most columns.
const COLUMNS_MAX: usize = 10_000;

/// The rows of a file.
pub(super) struct Rows<R> {
    rows: csv::Reader<Bounded<R>>,
    since: Arc<AtomicUsize>,
    headers: Vec<String>,
    record: StringRecord,
}

impl<R: Read> Rows<R> {
    /// Reads the headers, where the file has them.
    ///
    /// # Errors
    /// The file cannot be read, or its headers are none.
    pub fn open(source: R, config: &Config) -> Result<Self, Failure> {
        let since = Arc::new(AtomicUsize::new(0));
        let bounded = Bounded { source, since: since.clone(), bytes_max: config.item_bytes_max + AHEAD_BYTES };
        let mut rows = csv::ReaderBuilder::new()
            .delimiter(config.delimiter)
            .has_headers(config.headers.is_none())
            .flexible(true)
            .buffer_capacity(AHEAD_BYTES)
            .from_reader(bounded);
        let headers = match &config.headers {
            Some(headers) => headers.clone(),
            None => {
                let found = rows.headers().map_err(|error| broken(&error))?;
                found.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect()
            }
        };
        if headers.len() > COLUMNS_MAX {
            return Err(failed(format!("{} columns; the limit is {COLUMNS_MAX}", headers.len())));
        }
        Ok(Self { rows, since, headers, record: StringRecord::new() })
    }

    fn read(&mut self) -> Result<Option<Value>, Failure> {
        self.since.store(0, Ordering::Relaxed);
        if !self.rows.read_record(&mut self.record).map_err(|error| broken(&error))? {
            return Ok(None);
        }
        if self.record.len() > self.headers.len() {
            let line = self.record.position().map_or(0, csv::Position::line);
            let fact = format!("line {line} has {} fields, the headers name {}", self.record.len(), self.headers.len());
            return Err(failed(fact));
        }
        // A row that is short lacks its last fields.
        let texts = self.record.iter().map(|text| Value::String(text.to_owned()));
        let row: Map<String, Value> = self.headers.iter().cloned().zip(texts).collect();
        Ok(Some(Value::Object(row)))
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Value, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Ends with an error when too much is read for one row: an open quote would gather the whole file.
struct Bounded<R> {
    source: R,
    since: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into)?;
        if self.since.fetch_add(read, Ordering::Relaxed) + read > self.bytes_max {
            return Err(io::Error::other(format!("a row of more than {} bytes", self.bytes_max - AHEAD_BYTES)));
        }
        Ok(read)
    }
}

fn broken(error: &csv::Error) -> Failure {
    failed(format!("the CSV cannot be read: {error}"))
}

#[cfg(test)]
mod tests;
