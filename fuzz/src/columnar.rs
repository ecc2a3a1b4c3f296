//! Parquet files as a hostile writer would make them: rows as JSON, or a file that cannot be read.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use headwater_store::blobs::Blobs;
use headwater_store::disk::MemoryDisk;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};

/// A few values in a footer stand for any number of rows.
const LINES_MAX: usize = 2_000;

/// Files with what a file can have: numbers, texts, lists, pages with and without a dictionary, packed and not.
pub fn written() -> &'static [Vec<u8>] {
    static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let plain = WriterProperties::builder().set_dictionary_enabled(false).set_data_page_row_count_limit(4);
        let packed = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        [plain.build(), packed.build()].map(file).to_vec()
    })
}

fn file(properties: WriterProperties) -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    let names: ArrayRef =
        Arc::new(StringArray::from_iter((0..10).map(|row| (row % 3 != 1).then(|| format!("n{row}")))));
    let lists: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>((0..10).map(|row| Some(vec![Some(row), None]))));
    let batch = RecordBatch::try_from_iter([("number", numbers), ("name", names), ("list", lists)]).expect("columns");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("memory has room");
    writer.close().expect("memory has room");
    bytes
}

/// A byte for what the rest is: a file; a footer; or changes of a file that is well, each a place in two bytes and a
/// byte.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let file = match kind % 4 {
        0 => rest.to_vec(),
        1 => {
            let length = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_le_bytes();
            [b"PAR1", rest, &length, b"PAR1"].concat()
        }
        which => {
            let mut file = written()[usize::from(which - 2)].clone();
            let length = file.len();
            for change in rest.chunks_exact(3) {
                file[usize::from(u16::from_le_bytes([change[0], change[1]])) % length] = change[2];
            }
            file
        }
    };
    // The decoder is somebody else's and may panic, which is caught.
    crate::quietly(|| read(&file));
}

fn read(file: &[u8]) {
    let blobs = Blobs::open(Arc::new(MemoryDisk::default()), PathBuf::from("/blobs")).expect("a folder in memory");
    let id = blobs.put(file).expect("memory has room");
    let file = blobs.read(id).expect("memory is read").expect("it was put");
    let lines = match headwater_lake::columnar::lines(file) {
        Ok(lines) => lines,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}"),
    };
    for line in BufReader::new(lines).lines().take(LINES_MAX) {
        match line {
            Ok(line) => assert!(serde_json::from_str::<Map<String, Value>>(&line).is_ok(), "{line:.200}"),
            Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}"),
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let whole = written().iter().map(|file| [&[0_u8][..], file].concat());
    // The footer of each: its length stands before the last word.
    let footers = written().iter().filter_map(|file| {
        let (rest, end) = file.split_last_chunk::<8>()?;
        let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
        Some([&[1_u8][..], rest.get(rest.len().checked_sub(length)?..)?].concat())
    });
    whole.chain(footers).chain([vec![2, 4, 0, 21], vec![3, 40, 0, 255]]).collect()
}
