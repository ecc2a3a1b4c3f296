//! Files that lookups read (CSV, NDJSON, ranges of addresses): rows, or a problem with the line.

use std::sync::OnceLock;

use headwater_connect::lookups::LOOKUPS;
use headwater_kernel::port::Context;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder for the file of an input.
pub fn folder() -> &'static TempDir {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder"))
}

/// Builds a lookup over a file of these bytes, and asks it.
pub fn ask(spec: &Value, bytes: &[u8], keys: &[&str]) {
    std::fs::write(folder().path().join("file"), bytes).expect("a file");
    let kind = LOOKUPS.iter().find(|kind| spec["type"] == kind.name).expect("a lookup");
    match (kind.build)(spec, &Context::without_node(folder().path())) {
        Ok(lookup) => {
            for key in keys {
                let answer = lookup.at_once(key).expect("a file is in memory");
                if let Ok(Some(json)) = answer {
                    assert!(serde_json::from_slice::<Value>(&json).is_ok());
                }
            }
        }
        Err(problem) => assert!(problem.code.as_str().starts_with("HW-CONNECT-"), "{problem}"),
    }
}

/// A byte for the kind; the file.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let spec = match kind % 3 {
        0 => json!({"type": "file", "path": "file", "format": "csv", "key": "a"}),
        1 => json!({"type": "file", "path": "file", "format": "ndjson", "key": ".a.b"}),
        _ => json!({"type": "ranges", "file": "file", "columns": ["x", "_", "y"]}),
    };
    ask(&spec, bytes, &["1", "", "203.0.113.9", "2001:db8::1", "::ffff:10.0.0.1"]);
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "\0a,b\n1,\"x\"\"y\"\n2,z\n",
        "\u{1}{\"a\":{\"b\":1}}\n\n{\"a\":{\"b\":\"1\"},\"c\":[]}\n",
        "\u{2}203.0.113.0,203.0.113.255,64500,q,\"A, B\"\n2001:db8::,2001:db8::ffff,1\n",
    ])
}
