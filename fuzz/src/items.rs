//! Files whose items a Map runs over (JSON, JSON Lines, CSV) and manifests that name such files, or Parquet: items, the last
//! of them a failure perhaps, and those of JSON are what a whole parse gives.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_base::{Micros, Name};
use headwater_lake::columnar;
use headwater_store::blobs::{Blobs, Named};
use headwater_store::disk::MemoryDisk;
use headwater_work::items;
use serde_json::{Value, json};

use crate::columnar::written;
use crate::definition::limits;

/// What manifests name.
const FILES: [&str; 2] = ["a", "a.gz"];
const ITEMS_MAX: usize = 10_000;

fn configuration(kind: u8) -> Value {
    match kind % 7 {
        0 => json!({"InputType": "JSON"}),
        1 => json!({"InputType": "JSON", "ItemsPointer": "/a~1b/1"}),
        2 => json!({"InputType": "JSONL"}),
        3 => json!({"InputType": "CSV"}),
        4 => {
            json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["x", "y"], "CSVDelimiter": "TAB"})
        }
        5 => json!({"ManifestType": "S3_INVENTORY"}),
        _ => json!({"ManifestType": "ATHENA_DATA", "InputType": "CSV"}),
    }
}

/// A byte for how it is read; the file, or a manifest, a zero byte and the file that it may name.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let reader = json!({"ReaderConfig": configuration(*kind)});
    if kind % 7 >= 5 {
        return manifest(&reader["ReaderConfig"], bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(items) = items::of_text(&reader, text, &limits()) else { return };
    match kind % 7 {
        0 => {
            if let Ok(Value::Array(whole)) = serde_json::from_str(text) {
                assert_eq!(items, whole);
            }
        }
        2 => assert!(items.len() <= text.split('\n').count()),
        3 | 4 => assert!(items.iter().all(Value::is_object)),
        _ => {}
    }
}

fn manifest(configuration: &Value, bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let blobs = Blobs::open(Arc::new(MemoryDisk::default()), PathBuf::from("/blobs")).expect("a folder in memory");
    let bucket = Name::new("bucket").expect("a name");
    let put = |key: &str, bytes: &[u8]| {
        let blob = blobs.put(bytes).expect("memory has room").to_string();
        let named = Named { key: key.to_owned(), blob, bytes: bytes.len() as u64, written: Micros(0) };
        blobs.name(&bucket, &named).expect("memory has room");
    };
    put("manifest", parts.next().unwrap_or_default());
    let file = parts.next().unwrap_or_default();
    FILES.iter().for_each(|key| put(key, file));
    let reader = json!({
        "Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": configuration,
        "Parameters": {"Bucket": "bucket", "Key": "manifest"},
    });
    // Parquet's decoder is somebody else's and may panic, which is caught.
    crate::quietly(|| {
        let Ok(items) = items::open(&reader, &Arc::new(blobs), Some(columnar::lines), &limits()) else { return };
        let mut failed = false;
        for item in items.take(ITEMS_MAX) {
            assert!(!failed, "a failure is the last");
            failed = item.is_err();
        }
    });
}

pub fn seeds() -> Vec<Vec<u8>> {
    let inventory = b"\x05{\"destinationBucket\":\"bucket\",\"fileFormat\":\"Parquet\",\"files\":[{\"key\":\"a\"}]}\0";
    let mut seeds: Vec<_> = written().iter().map(|file| [&inventory[..], file].concat()).collect();
    seeds.extend(crate::texts(&[
        "\0[1, {\"a\":[\"]\"]}, \"\\\"\" ,null]",
        "\u{1}{\"x\":[{}],\"a/b\":[0,{\"k\":1,\"l\":[2]}]}",
        "\u{2}{\"n\":1}\n\n [2] \r\n\"x\"",
        "\u{3}\u{feff}a,b\n1,\"x\"\"\ny\"\n2\n",
        "\u{4}1\t2\n\"a\tb\"\tc\n",
        "\u{5}{\"destinationBucket\":\"arn:aws:s3:::bucket\",\"fileFormat\":\"CSV\",\"fileSchema\":\"Bucket, Key\",\"files\":[{\"key\":\"a\"},{\"key\":\"a.gz\"}]}\0\"b\",\"k\"\n",
        "\u{6}s3://bucket/a\n\"s3://bucket/a\"\r\n\0x,y\n1,2\n",
    ]));
    seeds
}
