//! Parquet files as JSON Lines, for whoever reads items one by one.
//!
//! A few rows are in memory at a time, with the pages of the columns that hold them, and no more than so many bytes of
//! both. What it is NOT: a scan. There is no filter and no schema of ours; a file says itself what its columns are, and how
//! many rows it has: whoever reads them bounds their number. A file that brings the decoder to its knees is a broken file,
//! and its reader's only.

mod footer;
mod pages;
mod shape;

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use arrow::json::writer::{LineDelimited, WriterBuilder};
use arrow_array::RecordBatch;
use bytes::Bytes;
use headwater_kernel::unit::contained;
use headwater_store::blobs::Reader;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use self::pages::{Budget, Pages};

/// Rows that are decoded at a time; fewer where they are wide.
const BATCH_ROWS: usize = 64;
/// Bytes of the pages that a batch is decoded from, and of what they become.
const BATCH_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of a batch's values without what is as long as it likes.
const FIXED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Text that is written at a time.
const TEXT_BYTES: u64 = 1024 * 1024;
/// The longest row as text, before anything is escaped.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// The rows of a Parquet file, an object in each line. Fields that are null are there.
///
/// # Errors
/// What is wrong with the file, as `InvalidData`; so does reading on.
pub fn lines(file: Reader) -> io::Result<Box<dyn Read + Send>> {
    let blob = Blob(Arc::new(file));
    Ok(Box::new(guarded(|| open(blob, BATCH_BYTES_MAX))?))
}

fn open(blob: Blob, bytes_max: u64) -> Result<Lines, Broken> {
    footer::examine(&blob)?;
    let said = ArrowReaderMetadata::load(&blob, ArrowReaderOptions::new())?;
    let columns = said.parquet_schema().columns();
    if columns.is_empty() {
        return Err("it has no columns".into());
    }
    let row: u64 = columns.iter().map(|column| pages::width(column.type_length())).sum();
    if row > FIXED_BYTES_MAX {
        return Err(format!("a row has {row} bytes at least; the limit is {FIXED_BYTES_MAX}").into());
    }
    let rows = usize::try_from(FIXED_BYTES_MAX / row.max(1)).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS);
    let budget = Arc::new(Budget::new(said.metadata(), rows, bytes_max)?);
    let options = ArrowReaderOptions::new().with_schema(Arc::new(shape::viewed(said.schema())));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(said.metadata()), options)?;
    let pages = Pages { blob, budget: Arc::clone(&budget) };
    let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(pages, metadata).with_batch_size(rows).build()?;
    Ok(Lines { batches, budget, batch: None, ahead: Vec::new(), taken: 0 })
}

struct Lines {
    batches: ParquetRecordBatchReader,
    budget: Arc<Budget>,
    /// Rows that are decoded and not yet written.
    batch: Option<RecordBatch>,
    /// Lines that are written and not yet taken.
    ahead: Vec<u8>,
    taken: usize,
}

impl Lines {
    /// Writes the next rows; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let mut text = std::mem::take(&mut self.ahead);
        text.clear();
        self.taken = 0;
        let (batches, budget, batch) = (&mut self.batches, &self.budget, &mut self.batch);
        self.ahead = guarded(|| {
            let rows = match batch.take() {
                Some(rows) => rows,
                None => {
                    budget.begin();
                    let Some(rows) = batches.next().transpose()? else { return Ok(Vec::new()) };
                    rows
                }
            };
            if shape::weight(&rows) <= TEXT_BYTES {
                return written(&rows, text);
            }
            let row = rows.slice(0, 1);
            let weight = shape::weight(&row);
            if weight > LINE_BYTES_MAX {
                return Err(format!("a row has about {weight} bytes as text; the limit is {LINE_BYTES_MAX}").into());
            }
            *batch = (rows.num_rows() > 1).then(|| rows.slice(1, rows.num_rows() - 1));
            written(&row, text)
        })?;
        Ok(!self.ahead.is_empty())
    }
}

fn written(rows: &RecordBatch, text: Vec<u8>) -> Result<Vec<u8>, Broken> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(text);
    writer.write(rows)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ahead.len() && !self.fill()? {
            return Ok(0);
        }
        let mut rest = self.ahead.get(self.taken..).unwrap_or_default();
        let count = rest.read(into)?;
        self.taken += count;
        Ok(count)
    }
}

/// Does what a hostile file could make fall.
fn guarded<T>(act: impl FnOnce() -> Result<T, Broken>) -> io::Result<T> {
    let done = contained(act).unwrap_or_else(|_| Err("it is broken, in a way that the decoder did not expect".into()));
    done.map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the Parquet file cannot be read: {error}"))
    })
}

/// A blob, read wherever the decoder wants.
struct Blob(Arc<Reader>);

impl Length for Blob {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Blob {
    type T = BufReader<Onward>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Onward { blob: Arc::clone(&self.0), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // What a file says of itself is looked at before memory is taken for it.
        let end = start.checked_add(length as u64).filter(|end| *end <= self.0.size());
        let cut = || ParquetError::EOF(format!("{length} bytes at {start} are not there"));
        end.ok_or_else(cut)?;
        let mut bytes = vec![0_u8; length];
        let got = self.0.read_at(&mut bytes, start)?;
        if got == length { Ok(bytes.into()) } else { Err(cut()) }
    }
}

/// A blob from a place on.
struct Onward {
    blob: Arc<Reader>,
    at: u64,
}

impl Read for Onward {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.blob.read_at(into, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
    use headwater_store::blobs::Blobs;
    use headwater_store::disk::MemoryDisk;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{BrotliLevel, Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn reader(bytes: &[u8]) -> Reader {
        let blobs = Blobs::open(Arc::new(MemoryDisk::default()), PathBuf::from("/blobs")).unwrap();
        let id = blobs.put(bytes).unwrap();
        blobs.read(id).unwrap().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<Value>> {
        let mut text = String::new();
        lines(reader(bytes))?.read_to_string(&mut text)?;
        Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn file(rows: i64) -> Vec<u8> {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let names: ArrayRef =
            Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 3 != 1).then(|| format!("n{row}")))));
        let times: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(|row| row * 1_000_000)));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
            (0..rows).map(|row| Some(vec![Some(row), None])),
        ));
        let batch =
            RecordBatch::try_from_iter([("number", numbers), ("name", names), ("time", times), ("list", lists)])
                .unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn each_row_is_a_line_with_all_its_fields() {
        let rows = read(&file(200)).unwrap();
        assert_eq!(rows.len(), 200);
        assert_eq!(rows[1], json!({"number": 1, "name": null, "time": "1970-01-01T00:00:01", "list": [1, null]}));
        assert_eq!((&rows[199]["number"], &rows[198]["name"]), (&json!(199), &json!("n198")));
        assert!(read(&file(0)).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_whole_parquet_file_is_refused() {
        let whole = file(10);
        // Its list of columns says that it has as many as a number of 31 bits can say.
        let long = b"PAR1\x15\x02\x19\xfc\xff\xff\xff\xff\x07\x00\x0a\x00\x00\x00PAR1";
        for bytes in [&b"PAR1"[..], b"number,name\n1,a\n", &whole[..whole.len() - 1], long] {
            let error = read(bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            assert!(error.to_string().starts_with("the Parquet file cannot be read: "), "{error}");
        }
    }

    fn texts(rows: usize, text: &str) -> Vec<u8> {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)));
        one(texts, WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build())
    }

    fn one(column: ArrayRef, properties: WriterProperties) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter([("text", column)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn rows_that_share_a_long_text_are_each_written_whole() {
        let text = "a".repeat(2 * 1024 * 1024);
        let mut lines = lines(reader(&texts(40, &text))).unwrap();
        let mut line = vec![0; text.len() + "{\"text\":\"\"}\n".len()];
        for _ in 0..40 {
            lines.read_exact(&mut line).unwrap();
            assert!(line.starts_with(b"{\"text\":\"aaa") && line.ends_with(b"aaa\"}\n"));
        }
        assert_eq!(lines.read(&mut line).unwrap(), 0);
    }

    #[test]
    fn what_would_take_too_much_memory_is_refused() {
        let refused = |bytes: &[u8], fact: &str| {
            let error = read(bytes).unwrap_err();
            assert!(error.to_string().contains(fact), "{error}");
        };
        refused(&texts(1, &"a".repeat(17 * 1024 * 1024)), "bytes as text; the limit is 16777216");
        refused(&texts(1, &"a".repeat(65 * 1024 * 1024)), "the limits are 67108864 and 67108864");
        let brotli = WriterProperties::builder().set_compression(Compression::BROTLI(BrotliLevel::default()));
        refused(&one(Arc::new(StringArray::from(vec!["a"])), brotli.build()), "Brotli");
    }

    #[test]
    fn the_pages_of_a_batch_have_a_bound_together() {
        let distinct = (0..5).map(|row| format!("{row}{}", "a".repeat(60 * 1024)));
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_data_page_row_count_limit(1)
            .set_write_batch_size(1)
            .set_compression(Compression::ZSTD(ZstdLevel::default()));
        let pages = one(Arc::new(StringArray::from_iter_values(distinct)), properties.build());
        let within = |bytes_max| {
            let mut text = String::new();
            open(Blob(Arc::new(reader(&pages))), bytes_max)
                .unwrap()
                .read_to_string(&mut text)
                .map(|_| text.lines().count())
        };
        assert_eq!(within(400 * 1024).unwrap(), 5);
        let error = within(200 * 1024).unwrap_err();
        assert!(error.to_string().contains("64 rows have pages of more than 204800 bytes"), "{error}");
    }

    #[test]
    fn rows_without_columns_are_no_items() {
        // A schema that is only its root, and a group of three rows.
        let footer = b"\x15\x04\x19\x1c\x48\x01m\x15\x00\x00\x16\x06\x19\x1c\x19\x0c\x16\x00\x16\x06\x00\x00";
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        let error = read(&[b"PAR1", &footer[..], &length, b"PAR1"].concat()).unwrap_err();
        assert!(error.to_string().ends_with("it has no columns"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_err());
            // As a footer they get as far as the decoder.
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            let _ = lines(reader(&[b"PAR1", &bytes[..], &length, b"PAR1"].concat()));
        }
    }
}
