//! Files that pipelines read (NDJSON, CSV, access logs, packed or not): records with their lines, or a problem.

use headwater_connect::SOURCES;
use headwater_kernel::port::Context;
use serde_json::{Value, json};

use crate::lookup::folder;

/// A byte for the format; the file.
pub fn run(bytes: &[u8]) {
    let Some((format, bytes)) = bytes.split_first() else { return };
    let format = ["ndjson", "csv", "combined"][usize::from(format % 3)];
    std::fs::write(folder().path().join("file"), bytes).expect("a file");
    let kind = SOURCES.iter().find(|kind| kind.name == "file").expect("the source");
    let spec = json!({"type": "file", "path": "file", "format": format});
    let Ok(mut source) = (kind.build)(&spec, &Context::without_node(folder().path())) else { return };
    let mut before = 0;
    // Packed input may be much longer than its file.
    for _ in 0..100 {
        match source.next(100) {
            Ok(records) if records.is_empty() => break,
            Ok(records) => {
                for record in records {
                    assert!(record.position >= before, "{} after {before}", record.position);
                    before = record.position;
                    let json = || serde_json::from_slice::<Value>(&record.value).is_ok();
                    assert!(format == "ndjson" || record.fault.is_some() || json());
                }
            }
            Err(problem) => {
                assert!(problem.code.as_str().starts_with("HW-CONNECT-"), "{problem}");
                break;
            }
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "\0{\"a\":1}\r\n\n{\"a\":2}",
        "\u{1}a,b\n1,\"x\"\"y\"\n2\n",
        "\u{2}203.0.113.7 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 20 \"-\" \"x\"\ncut",
    ])
}
