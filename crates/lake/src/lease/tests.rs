use std::path::Path;

use bytes::Bytes;
use headwater_store::disk::MemoryDisk;

use super::*;
use crate::testing::now;

#[test]
fn a_file_goes_when_the_last_reader_that_may_have_it_is_gone() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    files.create_folders("file:///t", Path::new("/")).unwrap();
    let leases = Arc::new(Leases::new(files.clone()));
    let retire = |name: &str| {
        let location = format!("file:///t/data/{name}");
        now(files.write(&location, Bytes::from_static(b"rows"))).unwrap();
        leases.retire(Garbage(vec![location]));
    };
    let there = || {
        let mut found = now(files.list("file:///t")).unwrap();
        found.sort();
        found.iter().map(|location| location.rsplit('/').next().unwrap().to_owned()).collect::<String>()
    };

    retire("a");
    assert_eq!(there(), "", "nobody reads");
    let first = leases.take();
    retire("b");
    let second = leases.take();
    retire("c");
    assert_eq!(there(), "bc");
    drop(first);
    assert_eq!(there(), "c", "the second reader came when `b` had gone");
    let third = leases.take();
    retire("d");
    drop(third);
    assert_eq!(there(), "cd", "the second one may still read both");
    drop(second);
    assert_eq!(there(), "");
}

#[test]
fn a_folder_goes_with_all_that_is_in_it_and_no_earlier() {
    let files = Files::new(Arc::new(MemoryDisk::default()));
    files.create_folders("file:///t", Path::new("/")).unwrap();
    let leases = Arc::new(Leases::new(files.clone()));
    for name in ["data/a", "metadata/b"] {
        now(files.write(&format!("file:///t/{name}"), Bytes::from_static(b"rows"))).unwrap();
    }
    let reader = leases.take();
    leases.retire_folder("file:///t".to_owned());
    assert_eq!(now(files.list("file:///t")).unwrap().len(), 2);
    let is_retired = |place: &str| leases.is_retired(place);
    assert!(is_retired("file:///t") && is_retired("file:///t/data") && is_retired("file://"));
    assert!(!is_retired("file:///table"));
    assert!(leases.take_gone().is_empty());
    drop(reader);
    assert_eq!(leases.take_gone(), ["file:///t"]);
    assert!(!is_retired("file:///t"));
    assert!(now(files.read("file:///t/data/a")).is_err());
    assert!(now(files.read("file:///t/metadata/b")).is_err());
}
