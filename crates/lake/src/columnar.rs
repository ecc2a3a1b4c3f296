//! Parquet files as JSON Lines, for whoever reads items one by one.
//!
//! A few rows are in memory at a time, with the pages of the columns that hold them. What it is NOT: a scan. There is no
//! filter and no schema of ours; a file says itself what its columns are. A file that brings the decoder to its knees is
//! a broken file, and its reader's only.

mod footer;

use std::io::{self, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::json::writer::{LineDelimited, WriterBuilder};
use bytes::Bytes;
use headwater_store::blobs::Reader;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 64;

/// The rows of a Parquet file, an object in each line. Fields that are null are there.
///
/// # Errors
/// What is wrong with the file, as `InvalidData`; so does reading on.
pub fn lines(file: Reader) -> io::Result<Box<dyn Read + Send>> {
    let blob = Blob(Arc::new(file));
    let batches = guarded(|| {
        footer::examine(&blob)?;
        Ok(ParquetRecordBatchReaderBuilder::try_new(blob)?.with_batch_size(BATCH_ROWS).build()?)
    })?;
    Ok(Box::new(Lines { batches, ahead: Vec::new(), taken: 0 }))
}

struct Lines {
    batches: ParquetRecordBatchReader,
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
        let batches = &mut self.batches;
        let written = guarded(|| {
            let Some(batch) = batches.next().transpose()? else { return Ok(None) };
            let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(text);
            writer.write(&batch)?;
            writer.finish()?;
            Ok(Some(writer.into_inner()))
        })?;
        self.ahead = written.unwrap_or_default();
        Ok(!self.ahead.is_empty())
    }
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
fn guarded<T>(act: impl FnOnce() -> Result<T, Box<dyn std::error::Error + Send + Sync>>) -> io::Result<T> {
    let done = catch_unwind(AssertUnwindSafe(act));
    let done = done.unwrap_or_else(|_| Err("it is broken, in a way that the decoder did not expect".into()));
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
    use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray};
    use headwater_store::blobs::Blobs;
    use headwater_store::disk::MemoryDisk;
    use parquet::arrow::ArrowWriter;
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
