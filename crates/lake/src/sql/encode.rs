//! Rows as bytes: JSON, lines of JSON, CSV, Arrow.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, LineDelimited};
use arrow::json::{StructMode, Writer, WriterBuilder};
use bytes::Bytes;
use headwater_kernel::port::sql::Format;
use parking_lot::Mutex;

use super::types::columns;

/// Turns batches into the bytes of one answer.
pub struct Encoder {
    written: Written,
    form: Form,
}

enum Form {
    Json(Writer<Written, JsonArray>),
    Ndjson(Writer<Written, LineDelimited>),
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
                let head = format!("{{\"columns\":{},\"rows\":", serde_json::Value::Array(columns));
                written.0.lock().extend_from_slice(head.as_bytes());
                let builder = WriterBuilder::new().with_explicit_nulls(true).with_struct_mode(StructMode::ListOnly);
                Form::Json(builder.build(into))
            }
            Format::Ndjson => Form::Ndjson(WriterBuilder::new().with_explicit_nulls(true).build(into)),
            Format::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(into);
                // The header goes out even where no row follows.
                writer.write(&RecordBatch::new_empty(schema.clone()))?;
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
            Form::Json(writer) => writer.write(batch)?,
            Form::Ndjson(writer) => writer.write(batch)?,
            Form::Csv(writer) => writer.write(batch)?,
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
            Form::Json(writer) => {
                writer.finish()?;
                self.written.0.lock().push(b'}');
            }
            Form::Ndjson(writer) => writer.finish()?,
            Form::Csv(_) => {}
            Form::Arrow(writer) => writer.finish()?,
        }
        Ok(self.take())
    }

    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.written.0.lock()).into()
    }
}
