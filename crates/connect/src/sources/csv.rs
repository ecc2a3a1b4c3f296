//! Comma-separated values (RFC 4180) under a line of column names: each row becomes an object. Whole numbers, decimal
//! numbers, `true` and `false` become what they look like, an empty field becomes null, all else is text. A row that is no
//! text in UTF-8 is a fault, with its bytes as they are.

use std::collections::HashSet;
use std::io::Read;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::{Source, SourceRecord};
use serde_json::{Map, Value};

use super::lines::{LINE_BYTES_MAX, Progress, unreadable};

/// What is read ahead of a row and may belong to the one before it.
const AHEAD_BYTES: usize = 64 * 1024;

/// A source of rows.
pub struct Rows<R> {
    reader: csv::Reader<Bounded<R>>,
    name: String,
    columns: Vec<String>,
    progress: Progress,
}

impl<R: Read + Send> Rows<R> {
    /// Rows of `input`, which is called `name` in errors.
    ///
    /// # Errors
    /// `HW-CONNECT-030` when the column names cannot be read, 123 when two are equal. Later `HW-CONNECT-122` for a row over
    /// the limit.
    pub fn new(input: R, name: String, progress: Progress) -> Result<Self, Problem> {
        let input = Bounded { inner: input, left: LINE_BYTES_MAX + AHEAD_BYTES };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
        let columns = reader.headers().map_err(|error| unreadable(&name, &error))?;
        let columns: Vec<String> = columns.iter().map(str::to_owned).collect();
        if let Some(column) = twice(&columns) {
            return Err(equal_columns(&name, column));
        }
        Ok(Self { reader, name, columns, progress })
    }

    fn row(&self, record: &csv::ByteRecord) -> Result<Bytes, String> {
        if record.len() != self.columns.len() {
            return Err(format!("the row has {} fields; there are {} columns", record.len(), self.columns.len()));
        }
        let mut fields = Map::new();
        for (column, field) in self.columns.iter().zip(record) {
            let Ok(field) = std::str::from_utf8(field) else { return Err(format!("`{column}` is not UTF-8")) };
            fields.insert(column.clone(), value(field));
        }
        Ok(Bytes::from(Value::Object(fields).to_string()))
    }
}

impl<R: Read + Send> Source for Rows<R> {
    fn next(&mut self, count: usize) -> Result<Vec<SourceRecord>, Problem> {
        let mut records = Vec::with_capacity(count.min(4_096));
        let mut record = csv::ByteRecord::new();
        while records.len() < count {
            let line = self.reader.position().line();
            self.reader.get_mut().left = LINE_BYTES_MAX + AHEAD_BYTES;
            let (position, value, fault) = match self.reader.read_byte_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let position = record.position().map_or(line, csv::Position::line);
                    match self.row(&record) {
                        Ok(value) => (position, value, None),
                        Err(fault) => {
                            (position, Bytes::from(record.iter().collect::<Vec<_>>().join(&b',')), Some(fault))
                        }
                    }
                }
                Err(error) if error.is_io_error() && self.reader.get_ref().left == 0 => {
                    let fact = format!("the row at line {line} of `{}` has over {LINE_BYTES_MAX} bytes", self.name);
                    return Err(Problem::new("HW-CONNECT-122", format!("{fact}, which is the limit"))
                        .help("look for a quote that is opened there and not closed"));
                }
                Err(error) if error.is_io_error() => return Err(unreadable(&self.name, &error)),
                Err(error) => (line, Bytes::new(), Some(error.to_string())),
            };
            let fault = fault.map(|fault| format!("line {position}: {fault}"));
            records.push(SourceRecord { value, position, fault });
        }
        Ok(records)
    }

    fn progress(&self) -> (u64, Option<u64>) {
        self.progress.read()
    }
}

/// A column name that stands there for a second time.
pub fn twice(columns: &[String]) -> Option<&str> {
    let mut known = HashSet::with_capacity(columns.len());
    columns.iter().map(String::as_str).find(|column| !known.insert(*column))
}

/// Two columns of an input have one name.
pub fn equal_columns(name: &str, column: &str) -> Problem {
    let column = column.escape_debug();
    Problem::new("HW-CONNECT-123", format!("`{name}` has more than one column `{column}`"))
        .help("give each column a name of its own in the first line: an object has only one value under a name")
}

/// An input of which one row takes no more than so much: one whose quotes never close would be read to the end of the
/// file, and all of it held.
struct Bounded<R> {
    inner: R,
    /// Bytes that may be read before the next row begins.
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::other("a row is over the limit"));
        }
        let room = buffer.len().min(self.left);
        let read = self.inner.read(buffer.get_mut(..room).unwrap_or_default())?;
        self.left = self.left.saturating_sub(read);
        Ok(read)
    }
}

fn value(field: &str) -> Value {
    // Numbers that JSON would write otherwise (`007`, `+1`, `1e3`), but for zeros at the end of a fraction, stay text, so
    // that no digit is lost.
    match field {
        "" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match field.parse::<i64>() {
            Ok(number) if number.to_string() == field => Value::from(number),
            _ => match field.parse::<f64>() {
                Ok(number) if is_decimal(field) && number.to_string() == without_zeros(field) => Value::from(number),
                _ => Value::from(field),
            },
        },
    }
}

/// `-12.50`: digits, a point, digits.
fn is_decimal(field: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((whole, rest)) = field.strip_prefix('-').unwrap_or(field).split_once('.') else { return false };
    digits(whole) && digits(rest) && (whole == "0" || !whole.starts_with('0'))
}

/// `12.5` of `12.50`, and `12` of `12.00`.
fn without_zeros(decimal: &str) -> &str {
    decimal.trim_end_matches('0').trim_end_matches('.')
}
