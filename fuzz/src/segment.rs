//! A partition's segment and index with bytes changed anywhere: the log opens and reads what is whole, or says what is
//! damaged.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use headwater_base::{Limits, ManualClock, Name};
use headwater_log::embedded::Options;
use headwater_log::{EmbeddedLog, Log, View};
use headwater_store::disk::{Disk, MemoryDisk, read_exact_at};
use headwater_testkit::conformance::{batch, config};

fn open(disk: &MemoryDisk) -> Option<Arc<EmbeddedLog>> {
    let options =
        Options { wal_segment_bytes: 256 << 10, maintain_ms: None, segment_bytes_max: 1_000, ..Options::default() };
    let (limits, clock) = (Arc::new(Limits::default()), Arc::new(ManualClock::default()));
    EmbeddedLog::open_with(Arc::new(disk.clone()), Path::new("/data"), limits, clock, options).ok()
}

fn stream() -> Name {
    Name::new("s").unwrap()
}

/// All files of a closed log.
fn written() -> &'static Vec<(PathBuf, Vec<u8>)> {
    static FILES: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let disk = MemoryDisk::default();
        let log = open(&disk).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(log.create(stream(), config(1), Vec::new())).unwrap();
        for count in 1..40 {
            let append = headwater_log::Append { stream: stream(), partition: 0, batches: batch(count % 7 + 1) };
            let mut commit = headwater_log::Commit { appends: vec![append], ..Default::default() };
            runtime.block_on(log.durable(log.append(&mut commit).unwrap().sequence)).unwrap();
        }
        log.close().unwrap();
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::from("/data")];
        while let Some(folder) = folders.pop() {
            folders.extend(disk.folders(&folder).unwrap().into_iter().map(|name| folder.join(name)));
            for name in disk.files(&folder).unwrap() {
                let file = disk.open(&folder.join(&name), false).unwrap();
                let bytes = read_exact_at(&*file, 0, file.len().unwrap() as usize).unwrap();
                found.push((folder.join(name), bytes));
            }
        }
        found
    })
}

pub fn run(input: &[u8]) {
    let disk = MemoryDisk::default();
    let partition = |path: &Path| path.extension().is_some_and(|extension| extension == "log" || extension == "idx");
    for (at, (path, bytes)) in written().iter().enumerate() {
        disk.create_dir(path.parent().unwrap()).unwrap();
        let mut bytes = bytes.clone();
        let length = if partition(path) { bytes.len() } else { 0 };
        for change in input.chunks_exact(4).filter(|_| length > 0) {
            if change[0] as usize % 8 == at % 8 {
                let place = u16::from_le_bytes([change[1], change[2]]) as usize % length;
                bytes[place] = change[3];
            }
        }
        disk.open(path, true).unwrap().write_at(&bytes, 0).unwrap();
    }
    let Some(log) = open(&disk) else { return };
    let mut from = 0;
    for _ in 0..1_000 {
        match log.read(&stream(), 0, from, 500, View::Durable) {
            Ok(read) if !read.batches.is_empty() => from += 1,
            _ => break,
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![vec![0; 20], vec![3, 40, 0, 255]]
}
