use super::*;

/// Both disks of this crate keep to the same contract.
fn contract(disk: &dyn Disk, root: &Path) {
    let folder = root.join("a/b");
    disk.create_dir(&folder).unwrap();
    disk.create_dir(&folder).unwrap();
    assert!(disk.open(&folder.join("x"), false).is_err_and(|e| e.kind() == io::ErrorKind::NotFound));
    let file = disk.open(&folder.join("x"), true).unwrap();
    file.write_at(b"world", 5).unwrap();
    file.write_slices_at(&[IoSlice::new(b"hel"), IoSlice::new(b""), IoSlice::new(b"lo")], 0).unwrap();
    file.sync().unwrap();
    assert_eq!(read_exact_at(&*file, 0, 10).unwrap(), b"helloworld");
    assert_eq!(file.read_at(&mut [0; 8], 7).unwrap(), 3);
    assert_eq!(file.read_at(&mut [0; 8], 70).unwrap(), 0);
    assert!(read_exact_at(&*file, 8, 3).is_err_and(|e| e.kind() == io::ErrorKind::UnexpectedEof));
    file.allocate(100).unwrap();
    assert_eq!(file.len().unwrap(), 100);
    file.set_len(4).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    let many: Vec<Vec<u8>> = (0..3000u32).map(|n| n.to_le_bytes().to_vec()).collect();
    let slices: Vec<IoSlice<'_>> = many.iter().map(|bytes| IoSlice::new(bytes)).collect();
    file.write_slices_at(&slices, 0).unwrap();
    assert_eq!(read_exact_at(&*file, 0, 12_000).unwrap(), many.concat());
    disk.rename(&folder.join("x"), &folder.join("y")).unwrap();
    disk.sync_dir(&folder).unwrap();
    assert_eq!(disk.files(&folder).unwrap(), ["y"]);
    assert_eq!(disk.folders(&root.join("a")).unwrap(), ["b"]);
    assert!(disk.is_same(&folder, &root.join("a/b")).unwrap() && !disk.is_same(&folder, &root.join("a")).unwrap());
    assert!(disk.files(&root.join("none")).unwrap().is_empty());
    disk.remove(&folder.join("y")).unwrap();
    assert!(disk.files(&folder).unwrap().is_empty());
    disk.open(&folder.join("z"), true).unwrap();
    disk.remove_dir(&root.join("a")).unwrap();
    disk.remove_dir(&root.join("a")).unwrap();
    assert!(disk.folders(root).unwrap().is_empty());
}

#[test]
fn the_real_disk_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    contract(&RealDisk, folder.path());
}

#[test]
fn a_link_leads_to_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (one, link) = (folder.path().join("one"), folder.path().join("link"));
    std::fs::create_dir(&one).unwrap();
    std::os::unix::fs::symlink(&one, &link).unwrap();
    assert!(RealDisk.is_same(&link, &one).unwrap());
    assert!(RealDisk.is_same(&one, &folder.path().join("none")).is_err_and(|e| e.kind() == io::ErrorKind::NotFound));
}

#[test]
fn a_folder_that_cannot_be_opened_is_no_failed_sync() {
    let folder = tempfile::tempdir().unwrap();
    let error = RealDisk.sync_dir(&folder.path().join("none")).unwrap_err();
    assert!(error.kind() == io::ErrorKind::NotFound && !is_failed_sync(&error), "{error:?}");
    let failed = failed_sync(io::Error::from(io::ErrorKind::StorageFull));
    assert!(is_failed_sync(&failed) && is_full(&failed), "{failed:?}");
}

#[test]
fn the_disk_in_memory_keeps_the_contract() {
    contract(&MemoryDisk::default(), Path::new("/data"));
}

#[test]
fn a_lock_is_held_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let held = RealDisk.lock(&folder.path().join("lock")).unwrap();
    assert!(RealDisk.lock(&folder.path().join("lock")).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock));
    drop(held);
    RealDisk.lock(&folder.path().join("lock")).unwrap();
}
