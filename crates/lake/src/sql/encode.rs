//! Rows as bytes: JSON, lines of JSON, CSV, Arrow.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::NullableEncoder;
use bytes::Bytes;
use headwater_kernel::port::sql::Format;
use parking_lot::Mutex;
use serde_json::Value;

use super::json;
use super::types::columns;

/// Turns batches into the bytes of one answer.
pub struct Encoder {
    written: Written,
    form: Form,
}

enum Form {
    /// Rows are lists; whether there has been one.
    Json(bool),
    /// Rows are objects.
    Ndjson,
    Csv(Box<arrow::csv::Writer<Written>>),
    Arrow(StreamWriter<Written>),
}

/// What writers have written and nobody has taken yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Encoder {
    /// An encoder for rows of this schema.
    ///
    /// # Errors
    /// A type that the format has no form for.
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let written = Written::default();
        let into = written.clone();
        let form = match format {
            Format::Json => {
                let columns: Vec<_> = columns(schema)
                    .into_iter()
                    .map(|column| serde_json::json!({"name": column.name, "type": column.kind}))
                    .collect();
                let head = format!("{{\"columns\":{},\"rows\":[", Value::Array(columns));
                written.0.lock().extend_from_slice(head.as_bytes());
                Form::Json(false)
            }
            Format::Ndjson => Form::Ndjson,
            Format::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(into);
                // The header goes out even where no row follows.
                writer.write(&flat(&RecordBatch::new_empty(schema.clone()))?)?;
                Form::Csv(Box::new(writer))
            }
            Format::Arrow => Form::Arrow(StreamWriter::try_new(into, schema)?),
        };
        Ok(Self { written, form })
    }

    /// The bytes of some rows.
    ///
    /// # Errors
    /// A value that the format has no form for.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Bytes, ArrowError> {
        match &mut self.form {
            Form::Json(begun) => lists(batch, begun, &mut self.written.0.lock())?,
            Form::Ndjson => objects(batch, &mut self.written.0.lock())?,
            Form::Csv(writer) => writer.write(&flat(batch)?)?,
            Form::Arrow(writer) => writer.write(batch)?,
        }
        Ok(self.take())
    }

    /// The bytes behind the last row.
    ///
    /// # Errors
    /// None that is known.
    pub fn end(mut self) -> Result<Bytes, ArrowError> {
        match &mut self.form {
            Form::Json(_) => self.written.0.lock().extend_from_slice(b"]}"),
            Form::Ndjson | Form::Csv(_) => {}
            Form::Arrow(writer) => writer.finish()?,
        }
        Ok(self.take())
    }

    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.written.0.lock()).into()
    }
}

fn encoders(batch: &RecordBatch) -> Result<Vec<NullableEncoder<'_>>, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    columns.map(|(field, values)| json::encoder(field, values)).collect()
}

/// Appends rows as lists with commas between them.
fn lists(batch: &RecordBatch, begun: &mut bool, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let mut columns = encoders(batch)?;
    for row in 0..batch.num_rows() {
        if std::mem::replace(begun, true) {
            out.push(b',');
        }
        out.push(b'[');
        for (at, column) in columns.iter_mut().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::put(column, row, out);
        }
        out.push(b']');
    }
    Ok(())
}

/// Appends rows as objects, each on its line.
fn objects(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let mut columns = encoders(batch)?;
    let names = batch.schema_ref().fields().iter().map(|field| Value::from(field.name().as_str()).to_string());
    let names: Vec<String> = names.collect();
    for row in 0..batch.num_rows() {
        out.push(b'{');
        for (at, (column, name)) in columns.iter_mut().zip(&names).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
            json::put(column, row, out);
        }
        out.extend_from_slice(b"}\n");
    }
    Ok(())
}

/// Rows whose values are single ones: lists, structs and maps, which CSV has no form for, are texts of JSON.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.columns().iter().any(|values| values.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, values) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if values.data_type().is_nested() {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(Arc::new(json::texts(field, values)?) as ArrayRef);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(values));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
