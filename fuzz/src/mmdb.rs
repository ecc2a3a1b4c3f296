//! Address databases: a damaged one answers, says that it is damaged, or is refused.

use serde_json::json;

use crate::lookup;

pub fn run(bytes: &[u8]) {
    let keys = ["203.0.113.9", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::"];
    // Their reader is somebody else's code and may panic; the lookup catches that.
    crate::quietly(|| {
        lookup::ask(&json!({"type": "mmdb", "file": "file"}), bytes, &keys);
        lookup::ask(&json!({"type": "mmdb", "file": "file", "fields": {"c": ".city"}}), bytes, &keys);
    });
}

/// One node: addresses whose first bit is set have a record, `{"city": "Oslo"}`.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut file = vec![0, 0, 1, 0, 0, 17];
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(b"\xe1\x44city\x44Oslo");
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com\xe9");
    file.extend_from_slice(b"\x5bbinary_format_major_version\xa1\x02\x5bbinary_format_minor_version\xa0");
    file.extend_from_slice(b"\x4bbuild_epoch\x01\x02\x01\x4aip_version\xa1\x04\x4anode_count\xc1\x01");
    file.extend_from_slice(b"\x4brecord_size\xa1\x18\x4ddatabase_type\x44Test\x4bdescription\xe0\x49languages\x00\x04");
    vec![file]
}
