//! What a table does not need any more: snapshots beyond those to be kept, and the files that only they have.

use std::collections::HashSet;

use iceberg::Result;
use iceberg::spec::{SnapshotRef, TableMetadataBuilder};

use super::{Version, live, manifests};
use crate::files::Files;

/// Locations of files that no snapshot needs once a version is current.
#[derive(Debug, Default)]
pub struct Garbage(pub Vec<String>);

impl Garbage {
    /// Removes the files. What cannot be removed is an orphan and goes at the next start.
    pub fn remove(self, files: &Files) {
        files.discard(self.0);
    }
}

/// Lets the oldest snapshots go, so that `keep` are left with the one that comes; answers them.
pub(super) fn without_old(
    from: &Version,
    builder: TableMetadataBuilder,
    keep: usize,
) -> (TableMetadataBuilder, Vec<SnapshotRef>) {
    let mut snapshots: Vec<SnapshotRef> = from.metadata.snapshots().cloned().collect();
    snapshots.sort_by_key(|snapshot| snapshot.sequence_number());
    let count = (snapshots.len() + 1).saturating_sub(keep.max(1));
    snapshots.truncate(count);
    let ids: Vec<i64> = snapshots.iter().map(|snapshot| snapshot.snapshot_id()).collect();
    (if ids.is_empty() { builder } else { builder.remove_snapshots(&ids) }, snapshots)
}

/// The files that only snapshots which have gone know. Snapshots follow each other without branches, so what the
/// oldest one left does not have, no later one has.
pub(super) async fn unreachable(
    files: &Files,
    from: &Version,
    to: &Version,
    gone: &[SnapshotRef],
) -> Result<Vec<String>> {
    let oldest = to.metadata.snapshots().min_by_key(|snapshot| snapshot.sequence_number());
    let (Some(oldest), false) = (oldest, gone.is_empty()) else { return Ok(Vec::new()) };
    let kept = manifests(files, &to.metadata, oldest).await?;
    let paths: HashSet<&str> = kept.iter().map(|manifest| manifest.manifest_path.as_str()).collect();
    let (mut found, mut seen, mut dropped) = (Vec::new(), HashSet::new(), Vec::new());
    for snapshot in gone {
        for manifest in manifests(files, &from.metadata, snapshot).await? {
            if !paths.contains(manifest.manifest_path.as_str()) && seen.insert(manifest.manifest_path.clone()) {
                dropped.push(manifest);
            }
        }
        found.push(snapshot.manifest_list().to_owned());
    }
    if !dropped.is_empty() {
        let alive: HashSet<String> =
            live(files, &kept).await?.iter().map(|entry| entry.file_path().to_owned()).collect();
        let was = live(files, &dropped).await?;
        let data: HashSet<&str> = was.iter().map(|entry| entry.file_path()).filter(|it| !alive.contains(*it)).collect();
        found.extend(data.into_iter().map(str::to_owned));
        found.extend(seen);
    }
    Ok(found)
}

/// The files in a table's folder that no snapshot has: what was written before a crash, or could not be removed.
///
/// # Errors
/// What the disk says, and manifests that cannot be read: then nothing may be removed.
pub async fn orphans(files: &Files, version: &Version) -> Result<Garbage> {
    let metadata = &version.metadata;
    let mut needed: HashSet<String> = metadata.metadata_log().iter().map(|old| old.metadata_file.clone()).collect();
    needed.insert(version.location.clone());
    let mut read = HashSet::new();
    for snapshot in metadata.snapshots() {
        needed.insert(snapshot.manifest_list().to_owned());
        let mut new = manifests(files, metadata, snapshot).await?;
        new.retain(|manifest| read.insert(manifest.manifest_path.clone()));
        needed.extend(live(files, &new).await?.iter().map(|entry| entry.file_path().to_owned()));
    }
    needed.extend(read);
    let mut found = files.list(metadata.location()).await?;
    found.retain(|location| !needed.contains(location));
    Ok(Garbage(found))
}
