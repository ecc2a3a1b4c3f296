//! Lazy JSON documents: what is accepted writes back byte for byte, and reading a path of it changes nothing.

use bytes::Bytes;
use headwater_flow::doc::Doc;
use headwater_flow::path::Path;

/// A path, a zero byte, and a document.
pub fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let path = parts.next().unwrap_or_default();
    let text = Bytes::copy_from_slice(parts.next().unwrap_or(path));
    let path = Path::parse(&String::from_utf8_lossy(path));
    let Ok(mut doc) = Doc::new(text.clone()) else { return };
    assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok_and(|value| value.is_object()));
    if let Ok(path) = path {
        let before = doc.get(&path).cloned();
        assert_eq!((doc.get(&path).cloned(), doc.encode()), (before, text));
        let _ = (doc.str(&path), doc.f64(&path), doc.i64(&path), doc.time(&path), doc.key(&path), doc.json(&path));
        doc.set(&path, 7);
        doc.remove(&path);
        assert!(serde_json::from_slice::<serde_json::Value>(&doc.encode()).is_ok());
    } else {
        assert_eq!(doc.encode(), text);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        "a.b[1]\0{\"a\":{\"b\":[1,{\"c\":\"2026-01-01T00:00:00Z\"}]},\"a\":null}",
        ".o.a.b\0{\"o\":{\"a\":{\"b\":1},\"n\":[{}],\"a\":{\"b\":2.50,\"\\u0062\":{\"c\":null}}},\"x\":[1]}",
        "user.\"x y\"\0{ \"us\\u0065r\" : {\"x y\":-0.5e3, \"z\":18446744073709551616} }",
    ])
}
