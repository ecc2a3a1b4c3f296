//! A write-ahead log with bytes changed anywhere: it opens or says what is damaged, and whatever it gives back is what
//! was written, in its order.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use headwater_store::disk::{Disk, MemoryDisk, read_exact_at};
use headwater_store::wal::{Frame, Options, Wal};

fn options() -> Options {
    Options { segment_bytes: 64 << 10, ..Options::new(PathBuf::from("/wal"), Arc::new(|_| {})) }
}

fn payload(sequence: u64) -> Vec<u8> {
    vec![sequence as u8; 700 * sequence as usize]
}

/// The files of a log with some frames, one group each.
fn written() -> &'static Vec<(PathBuf, Vec<u8>)> {
    static FILES: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let disk = MemoryDisk::default();
        let wal = Wal::open(Arc::new(disk.clone()), options(), 0, &mut |_, _| Ok(()), Box::new(|_, _| ())).unwrap();
        for sequence in 1..12 {
            assert_eq!(wal.push(Frame { parts: vec![Bytes::from(payload(sequence))], done: () }), sequence);
            assert!(wal.wait_blocking(sequence));
        }
        wal.close();
        let paths = disk.files(Path::new("/wal")).unwrap().into_iter().map(|name| Path::new("/wal").join(name));
        let read = |path: PathBuf| {
            let file = disk.open(&path, false).unwrap();
            let bytes = read_exact_at(&*file, 0, file.len().unwrap() as usize).unwrap();
            (path, bytes)
        };
        paths.map(read).collect()
    })
}

pub fn run(input: &[u8]) {
    let disk = MemoryDisk::default();
    disk.create_dir(Path::new("/wal")).unwrap();
    for (path, bytes) in written() {
        let mut bytes = bytes.clone();
        for change in input.chunks_exact(5) {
            let at = u32::from_le_bytes(change[..4].try_into().unwrap()) as usize % bytes.len();
            bytes[at] = change[4];
        }
        disk.open(path, true).unwrap().write_at(&bytes, 0).unwrap();
    }
    let mut expected = 1;
    let each = &mut |sequence: u64, bytes: &[u8]| {
        assert_eq!((sequence, bytes), (expected, &payload(sequence)[..]));
        expected += 1;
        Ok(())
    };
    if let Ok(wal) = Wal::<()>::open(Arc::new(disk), options(), 0, each, Box::new(|_, _| ())) {
        wal.close();
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![vec![0; 20], vec![3, 40, 0, 255]]
}
