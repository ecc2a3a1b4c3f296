use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use headwater_base::{Micros, Name};

use super::*;
use crate::disk::MemoryDisk;

fn blobs() -> Blobs {
    Blobs::open(Arc::new(MemoryDisk::default()), PathBuf::from("/data/blobs")).unwrap()
}

fn content(blobs: &Blobs, id: BlobId) -> Vec<u8> {
    let mut bytes = Vec::new();
    blobs.read(id).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_come_back_under_their_hash() {
    let blobs = blobs();
    let large: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
    for bytes in [&b""[..], b"hello", &large] {
        let id = blobs.put(bytes).unwrap();
        assert_eq!(blobs.put(bytes).unwrap(), id);
        assert_eq!(content(&blobs, id), bytes);
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    let hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(blobs.put(b"hello").unwrap().to_string(), hello);
    assert!(blobs.read("sha256:00".repeat(32).parse().unwrap_or(BlobId([0; 32]))).unwrap().is_none());
    for text in ["", "sha256:", "sha256:zz", &hello.to_uppercase(), &hello[..70]] {
        assert!(text.parse::<BlobId>().is_err(), "{text}");
    }
}

#[test]
fn pieces_make_the_same_blob_as_the_whole() {
    let blobs = blobs();
    let mut writer = blobs.writer().unwrap();
    for piece in ["a", "bc", "", "def"] {
        writer.write(piece.as_bytes()).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), (blobs.put(b"abcdef").unwrap(), 6));
}

#[test]
fn names_point_to_blobs_until_they_are_taken_away() {
    let (blobs, bucket) = (blobs(), Name::new("runs").unwrap());
    let mut expected = Vec::new();
    for key in ["b/2", "a/../1", "b/1"] {
        let id = blobs.put(key.as_bytes()).unwrap();
        let named = Named { key: key.to_owned(), blob: id.to_string(), bytes: 3, written: Micros(7) };
        blobs.name(&bucket, &named).unwrap();
        expected.push(named);
    }
    expected.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(blobs.list(&bucket, "").unwrap(), expected);
    assert_eq!(blobs.list(&bucket, "b/").unwrap().len(), 2);
    assert_eq!(blobs.find(&bucket, "b/1").unwrap().as_ref(), expected.get(1));
    blobs.unname(&bucket, "b/1").unwrap();
    blobs.unname(&bucket, "b/1").unwrap();
    assert_eq!(blobs.find(&bucket, "b/1").unwrap(), None);
    assert_eq!(blobs.find(&Name::new("other").unwrap(), "b/1").unwrap(), None);
}

#[test]
fn what_was_not_finished_is_thrown_away() {
    let disk = Arc::new(MemoryDisk::default());
    let folder = PathBuf::from("/blobs");
    let blobs = Blobs::open(disk.clone(), folder.clone()).unwrap();
    blobs.writer().unwrap().write(b"half").unwrap();
    assert!(disk.files(&folder.join("drafts")).unwrap().is_empty());
    std::mem::forget(blobs.writer().unwrap());
    assert_eq!(disk.files(&folder.join("drafts")).unwrap().len(), 1);
    Blobs::open(disk.clone(), folder.clone()).unwrap();
    assert!(disk.files(&folder.join("drafts")).unwrap().is_empty());
}

#[test]
fn a_sweep_takes_what_nobody_points_to_and_spares_what_was_just_put() {
    let blobs = blobs();
    let (named, pointed, loose) =
        (blobs.put(b"named").unwrap(), blobs.put(b"pointed").unwrap(), blobs.put(b"loose").unwrap());
    let bucket = Name::new("results").unwrap();
    let name = Named { key: "k".to_owned(), blob: named.to_string(), bytes: 5, written: Micros(1) };
    blobs.name(&bucket, &name).unwrap();
    let keep = |id: &BlobId| *id == pointed;
    // Whoever put them may be about to point to them.
    assert_eq!(blobs.sweep(true, &keep).unwrap(), 0);
    assert_eq!(blobs.sweep(true, &keep).unwrap(), 0);
    blobs.keep(loose, b"loose").unwrap();
    for _ in 0..3 {
        assert_eq!(blobs.sweep(false, &keep).unwrap(), 0);
    }
    assert_eq!(blobs.sweep(true, &keep).unwrap(), 0);
    assert_eq!(blobs.sweep(true, &keep).unwrap(), 0);
    assert_eq!(blobs.sweep(true, &keep).unwrap(), 1);
    assert!(blobs.read(loose).unwrap().is_none());
    assert_eq!((content(&blobs, named), content(&blobs, pointed)), (b"named".to_vec(), b"pointed".to_vec()));
    blobs.unname(&bucket, "k").unwrap();
    assert_eq!(blobs.sweep(true, &|_| false).unwrap(), 2);
    assert_eq!(blobs.put(b"loose").unwrap(), loose);
    assert_eq!(content(&blobs, loose), b"loose");
}
