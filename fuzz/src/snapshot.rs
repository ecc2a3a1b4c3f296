//! A snapshot of the state as a damaged disk would give it: read or refused, never a panic, and no more memory than the
//! file has bytes. The input is a file's content behind its checksums.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_store::disk::{Disk, MemoryDisk};
use headwater_store::state::{Snapshots, State};

pub fn run(block: &[u8]) {
    let disk = MemoryDisk::default();
    let folder = Path::new("/state");
    disk.create_dir(folder).unwrap();
    let mut file = b"HWSTATE1".to_vec();
    file.extend_from_slice(&(block.len() as u32).to_le_bytes());
    file.extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
    file.extend_from_slice(block);
    let json = format!(r#"{{"sequence":1,"next":1,"files":[{{"name":"000001.kv","bytes":{}}}]}}"#, file.len());
    let manifest = format!("{:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()));
    disk.open(&folder.join("000001.kv"), true).unwrap().write_at(&file, 0).unwrap();
    disk.open(&folder.join("manifest"), true).unwrap().write_at(manifest.as_bytes(), 0).unwrap();
    let state = State::default();
    match Snapshots::open(Arc::new(disk), PathBuf::from(folder), &state) {
        Ok(snapshots) => assert_eq!(snapshots.sequence(), 1),
        Err(problem) => assert_eq!(problem.code, "HW-STORE-004"),
    }
}

/// A space with a key put and another deleted; a space that is dropped.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut whole = b"\x01\x05\0\0\0space\x02\x01\0\0\0k\x05\0\0\0value\x03\x01\0\0\0q".to_vec();
    let gone = b"\x01\x04\0\0\0gone\x04".to_vec();
    whole.extend_from_slice(&gone);
    vec![whole, gone]
}
