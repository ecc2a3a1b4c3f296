//! The commit layer: a table's next version from the one before, written as files that nobody sees yet.
//!
//! `iceberg` 0.10 can append and nothing else, so this builds snapshots from its public parts: manifests, lists,
//! snapshots, metadata. What it is NOT: it knows nothing of streams, and it makes nothing current; a version becomes
//! the table's when its location is written to the log (`tables.rs`). Whatever it wrote before a crash is an orphan.
//!
//! Invariants: versions follow each other without branches, because one writer at a time commits to a table; a
//! snapshot's totals are those of its parent, plus what it added, less what it removed; field ids never change; a manifest
//! has files of one partition spec, and says which.
//!
//! # Source
//! Iceberg table specification, version 2: "Manifests", "Snapshots", "Table metadata".

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Micros;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestEntryRef, ManifestFile, ManifestList,
    ManifestListWriter, ManifestWriter, ManifestWriterBuilder, Operation, PartitionSpec, PartitionSpecRef, Schema,
    SchemaRef, Snapshot, SnapshotRef, SnapshotSummaryCollector, SortOrder, Struct, Summary, TableMetadata,
    TableMetadataBuilder, UNASSIGNED_SEQUENCE_NUMBER, UnboundPartitionSpec,
};
use iceberg::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::files::{Files, is_in_folder};

mod bounds;
mod compact;
mod expire;
mod upsert;
mod write;

pub use bounds::believed;
pub use compact::compaction;
pub use expire::{Garbage, orphans};
pub use upsert::upsert;
#[cfg(test)]
pub(crate) use write::write_in_groups;
pub use write::{PARTITIONS_MAX, write_data};

/// Manifests that a snapshot may have before small ones are merged.
const MANIFESTS_MAX: usize = 64;
/// Entries of a merged manifest: some readers do not get along with more.
const ENTRIES_MAX: usize = 1_000;

/// A table at one moment: its metadata, and the file that holds it.
#[derive(Clone, Debug)]
pub struct Version {
    /// Location of the metadata file.
    pub location: String,
    /// What is in it.
    pub metadata: Arc<TableMetadata>,
}

/// What a snapshot changes.
#[derive(Debug)]
pub struct Change {
    /// What readers are told that it does.
    pub operation: Operation,
    /// Files that come, under the table's current partition spec.
    pub added: Vec<DataFile>,
    /// Files that come under another one of its partition specs, with that one's id.
    pub older: Vec<(i32, DataFile)>,
    /// Files that go, as the manifests of the version before have them.
    pub removed: Vec<ManifestEntryRef>,
    /// Further entries of the summary.
    pub properties: BTreeMap<String, String>,
    /// What the table is from now on. It comes with a snapshot, because only that can say when it came: where a table
    /// changes without one, `iceberg` reads the clock itself and refuses one that was set back.
    pub shape: Shape,
}

/// What of a table becomes another one; what is left out stays as it is. Files that are there stay as they are.
#[derive(Debug, Default)]
pub struct Shape {
    /// The schema.
    pub schema: Option<Schema>,
    /// How the rows of files to come are spread.
    pub partition: Option<UnboundPartitionSpec>,
    /// How they are sorted.
    pub sort: Option<SortOrder>,
}

impl Change {
    /// Files that come under the current partition spec, and files that go.
    pub fn new(operation: Operation, added: Vec<DataFile>, removed: Vec<ManifestEntryRef>) -> Self {
        let (older, properties, shape) = (Vec::new(), BTreeMap::new(), Shape::default());
        Self { operation, added, older, removed, properties, shape }
    }

    /// Adds files that were written under a partition spec of the table.
    fn bring(&mut self, version: &Version, spec: i32, files: Vec<DataFile>) {
        if spec == version.metadata.default_partition_spec_id() {
            self.added.extend(files);
        } else {
            self.older.extend(files.into_iter().map(|file| (spec, file)));
        }
    }
}

impl Version {
    /// Reads a version back.
    ///
    /// # Errors
    /// When the file cannot be read or is no table's metadata.
    pub async fn read(files: &Files, location: &str) -> Result<Self> {
        let bytes = files.read(location).await.map_err(|error| {
            Error::new(ErrorKind::DataInvalid, format!("`{location}` cannot be read")).with_source(error)
        })?;
        Ok(Self { location: location.to_owned(), metadata: Arc::new(serde_json::from_slice(&bytes)?) })
    }

    /// The manifests of the current snapshot.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub async fn manifests(&self, files: &Files) -> Result<Vec<ManifestFile>> {
        match self.metadata.current_snapshot() {
            Some(snapshot) => manifests(files, &self.metadata, snapshot).await,
            None => Ok(Vec::new()),
        }
    }

    /// A partition spec of the table.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn partition_spec(&self, id: i32) -> Result<&PartitionSpecRef> {
        self.metadata.partition_spec_by_id(id).ok_or_else(|| {
            Error::new(ErrorKind::DataInvalid, format!("a manifest names the partition spec {id}, which is not there"))
        })
    }

    /// The files that are in the table now.
    ///
    /// # Errors
    /// When a manifest cannot be read.
    pub async fn live(&self, files: &Files) -> Result<Vec<ManifestEntryRef>> {
        live(files, &self.manifests(files).await?).await
    }
}

/// The manifests of a snapshot.
async fn manifests(files: &Files, metadata: &TableMetadata, snapshot: &SnapshotRef) -> Result<Vec<ManifestFile>> {
    let location = snapshot.manifest_list();
    let bytes = files.read(location).await.map_err(|error| {
        Error::new(ErrorKind::DataInvalid, format!("the manifest list `{location}` cannot be read")).with_source(error)
    })?;
    Ok(ManifestList::parse_with_version(&bytes, metadata.format_version())?.consume_entries().into_iter().collect())
}

/// What is alive in manifests.
///
/// # Errors
/// What `iceberg` says of a manifest that cannot be read.
pub async fn live(files: &Files, manifests: &[ManifestFile]) -> Result<Vec<ManifestEntryRef>> {
    let mut found = Vec::new();
    for manifest in manifests {
        let (entries, _) = manifest.load_manifest(files.io()).await?.into_parts();
        found.extend(entries.into_iter().filter(|entry| entry.is_alive()));
    }
    Ok(found)
}

/// Makes a table without rows.
///
/// # Errors
/// What `iceberg` and the disk say.
pub async fn create(
    files: &Files,
    location: &str,
    schema: Schema,
    partition: UnboundPartitionSpec,
    sort: SortOrder,
    properties: HashMap<String, String>,
) -> Result<Version> {
    let builder =
        TableMetadataBuilder::new(schema, partition, sort, location.to_owned(), FormatVersion::V2, properties)?;
    finish(files, builder, None).await.map(|(version, _)| version)
}

/// A builder of the version behind `from`.
pub fn next(from: &Version) -> TableMetadataBuilder {
    TableMetadata::clone(&from.metadata).into_builder(Some(from.location.clone()))
}

/// Writes a version's metadata as a new file.
///
/// # Errors
/// What `iceberg` and the disk say.
pub async fn finish(
    files: &Files,
    builder: TableMetadataBuilder,
    from: Option<&Version>,
) -> Result<(Version, Garbage)> {
    let built = builder.build()?;
    let metadata = built.metadata;
    let number = from.and_then(|from| number_of(&from.location)).map_or(0, |number| number + 1);
    let location = format!("{}/metadata/{number:05}-{}.metadata.json", metadata.location(), Uuid::now_v7());
    files.write(&location, Bytes::from(serde_json::to_vec(&metadata)?)).await?;
    let mut garbage = Garbage(built.expired_metadata_logs.into_iter().map(|old| old.metadata_file).collect());
    // A table that a client registered may say of any file that it was its metadata.
    garbage.0.retain(|old| is_in_folder(old, metadata.location()));
    Ok((Version { location, metadata: Arc::new(metadata) }, garbage))
}

/// The number in front of a metadata file's name.
fn number_of(location: &str) -> Option<u64> {
    location.rsplit('/').next()?.split('-').next()?.parse().ok()
}

/// Adds a snapshot that changes `from`, and lets all but the newest `keep` snapshots go. The answer's garbage may be
/// removed once the version is current for good.
///
/// # Errors
/// What `iceberg` and the disk say.
pub async fn snapshot(
    files: &Files,
    from: &Version,
    mut change: Change,
    now: Micros,
    keep: usize,
) -> Result<(Version, Garbage)> {
    let mut builder = next(from);
    let mut schema_id = from.metadata.current_schema_id();
    let Shape { schema, partition, sort } = std::mem::take(&mut change.shape);
    if let Some(schema) = schema {
        schema_id = from.metadata.schemas_iter().map(|schema| schema.schema_id()).max().map_or(0, |id| id + 1);
        builder = builder.add_current_schema(schema.into_builder().with_schema_id(schema_id).build()?)?;
    }
    // It finds a spec that was there before, and gives parts that were there the ids that they had.
    if let Some(partition) = partition {
        builder = builder.add_default_partition_spec(partition)?;
    }
    if let Some(sort) = sort {
        let last = i64::from(TableMetadataBuilder::LAST_ADDED);
        builder = builder.add_sort_order(sort)?.set_default_sort_order(last)?;
    }
    let snapshot = Writer { files, from, id: new_id(&from.metadata), commit: Uuid::now_v7(), written: 0 };
    let snapshot = snapshot.write(change, schema_id, now).await?;
    let builder = builder.set_branch_snapshot(snapshot, MAIN_BRANCH)?;
    let (builder, gone) = expire::without_old(from, builder, keep);
    let (version, mut garbage) = finish(files, builder, Some(from)).await?;
    garbage.0.extend(expire::unreachable(files, from, &version, &gone).await?);
    Ok((version, garbage))
}

fn new_id(metadata: &TableMetadata) -> i64 {
    loop {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let id = i64::from_ne_bytes((high ^ low).to_ne_bytes()) & i64::MAX;
        if metadata.snapshot_by_id(id).is_none() {
            return id;
        }
    }
}

/// What a snapshot keeps of the one before.
struct Kept {
    manifests: Vec<ManifestFile>,
    /// Partitions that something goes from, with their partition spec's id.
    parts: HashSet<(i32, Struct)>,
}

struct Writer<'a> {
    files: &'a Files,
    from: &'a Version,
    id: i64,
    commit: Uuid,
    written: usize,
}

impl Writer<'_> {
    async fn write(mut self, mut change: Change, schema_id: i32, now: Micros) -> Result<Snapshot> {
        let metadata = Arc::clone(&self.from.metadata);
        let Kept { mut manifests, parts } = self.kept(&change.removed).await?;
        let mut coming = BTreeMap::from([(metadata.default_partition_spec_id(), std::mem::take(&mut change.added))]);
        for (spec, file) in std::mem::take(&mut change.older) {
            coming.entry(spec).or_default().push(file);
        }
        let summary = self.summary(&change, &coming, parts)?;
        for (spec, added) in coming {
            if added.is_empty() {
                continue;
            }
            let spec = Arc::clone(self.from.partition_spec(spec)?);
            let mut manifest = self.manifest(&spec, metadata.current_schema())?;
            for file in added {
                manifest.add_file(file, UNASSIGNED_SEQUENCE_NUMBER)?;
            }
            manifests.push(manifest.write_manifest_file().await?);
        }
        let parent = metadata.current_snapshot_id();
        let sequence = metadata.next_sequence_number();
        let location = format!("{}/metadata/snap-{}-1-{}.avro", metadata.location(), self.id, self.commit);
        let output = self.files.io().new_output(&location)?;
        let mut list = ManifestListWriter::v2(output.writer().await?, self.id, parent, sequence);
        list.add_manifests(manifests.into_iter())?;
        list.close().await?;
        Ok(Snapshot::builder()
            .with_snapshot_id(self.id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence)
            // A clock that was set back must not stop a table: a snapshot is never older than the one before.
            .with_timestamp_ms(now.millis().max(metadata.last_updated_ms()))
            .with_manifest_list(location)
            .with_summary(summary)
            .with_schema_id(schema_id)
            .build())
    }

    fn manifest(&mut self, spec: &PartitionSpec, schema: &SchemaRef) -> Result<ManifestWriter> {
        let metadata = &self.from.metadata;
        let location = format!("{}/metadata/{}-m{}.avro", metadata.location(), self.commit, self.written);
        self.written += 1;
        let output = self.files.io().new_output(location)?;
        Ok(ManifestWriterBuilder::new(output, Some(self.id), schema.clone(), spec.clone()).build_v2_data())
    }

    /// The manifests of the snapshot before, without what goes; small ones merged when they have become many.
    async fn kept(&mut self, removed: &[ManifestEntryRef]) -> Result<Kept> {
        let mut manifests = self.from.manifests(self.files).await?;
        // One that only tells what an earlier snapshot removed has nothing more to say.
        manifests.retain(|manifest| manifest.has_added_files() || manifest.has_existing_files());
        let gone: HashSet<&str> = removed.iter().map(|entry| entry.file_path()).collect();
        let merge = manifests.len() >= MANIFESTS_MAX;
        let mut parts = HashSet::new();
        if gone.is_empty() && !merge {
            return Ok(Kept { manifests, parts });
        }
        let (mut kept, mut found) = (Vec::new(), 0);
        // What a part of a partition spec is made to may have become wider with the schema: what stands for the narrower
        // one goes into a manifest that says so.
        let mut merged: BTreeMap<(i32, i32), (SchemaRef, Vec<ManifestEntryRef>)> = BTreeMap::new();
        for manifest in manifests {
            let (entries, of_manifest) = manifest.load_manifest(self.files.io()).await?.into_parts();
            let entries: Vec<_> = entries.into_iter().filter(|entry| entry.is_alive()).collect();
            let goes = entries.iter().any(|entry| gone.contains(entry.file_path()));
            let small = merge && entries.len() < ENTRIES_MAX / 2 && manifest.content == ManifestContentType::Data;
            if !goes && !small {
                kept.push(manifest);
                continue;
            }
            let spec = manifest.partition_spec_id;
            for entry in entries.iter().filter(|entry| gone.contains(entry.file_path())) {
                found += 1;
                parts.insert((spec, entry.data_file().partition().clone()));
            }
            let schema = Arc::clone(of_manifest.schema());
            merged.entry((spec, schema.schema_id())).or_insert_with(|| (schema, Vec::new())).1.extend(entries);
        }
        if found != gone.len() {
            return Err(Error::new(
                ErrorKind::CatalogCommitConflicts,
                format!("{} of {} files to be removed are not in the table", gone.len() - found, gone.len()),
            ));
        }
        for ((spec, _), (schema, entries)) in merged {
            let spec = Arc::clone(self.from.partition_spec(spec)?);
            for entries in entries.chunks(ENTRIES_MAX) {
                let mut manifest = self.manifest(&spec, &schema)?;
                for entry in entries {
                    let (Some(sequence), Some(snapshot)) = (entry.sequence_number(), entry.snapshot_id()) else {
                        return Err(Error::new(ErrorKind::DataInvalid, "a manifest entry has no sequence number"));
                    };
                    let file = entry.data_file().clone();
                    if gone.contains(entry.file_path()) {
                        manifest.add_delete_file(file, sequence, entry.file_sequence_number)?;
                    } else {
                        manifest.add_existing_file(file, snapshot, sequence, entry.file_sequence_number)?;
                    }
                }
                kept.push(manifest.write_manifest_file().await?);
            }
        }
        Ok(Kept { manifests: kept, parts })
    }

    /// The summary of a change whose files come by partition spec, and go from these partitions.
    fn summary(
        &self,
        change: &Change,
        coming: &BTreeMap<i32, Vec<DataFile>>,
        mut parts: HashSet<(i32, Struct)>,
    ) -> Result<Summary> {
        let metadata = &self.from.metadata;
        let mut collector = SnapshotSummaryCollector::default();
        // The crate's own count of partitions is of one spec, and of values of its current types.
        let (schema, none) = (metadata.current_schema(), Arc::new(PartitionSpec::unpartition_spec()));
        for (spec, file) in coming.iter().flat_map(|(spec, files)| files.iter().map(move |file| (*spec, file))) {
            collector.add_file(file, Arc::clone(schema), Arc::clone(&none));
            parts.insert((spec, file.partition().clone()));
        }
        for entry in &change.removed {
            collector.remove_file(entry.data_file(), Arc::clone(schema), Arc::clone(&none));
        }
        let mut entries = collector.build();
        parts.retain(|(_, values)| !values.fields().is_empty());
        if !parts.is_empty() {
            entries.insert(CHANGED_PARTITIONS.to_owned(), parts.len().to_string());
        }
        let before = metadata.current_snapshot().map(|snapshot| snapshot.summary());
        // The crate's own totals are private and know no `replace`.
        for (total, plus, minus) in TOTALS {
            let read = |entries: &HashMap<String, String>, name: &str| -> Result<u64> {
                entries.get(name).map_or(Ok(0), |text| {
                    text.parse()
                        .map_err(|_| Error::new(ErrorKind::DataInvalid, format!("the summary's `{name}` is no number")))
                })
            };
            let was = before.map_or(Ok(0), |summary| read(&summary.additional_properties, total))?;
            let now = (was + read(&entries, plus)?).saturating_sub(read(&entries, minus)?);
            entries.insert(total.to_owned(), now.to_string());
        }
        entries.extend(change.properties.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(Summary { operation: change.operation.clone(), additional_properties: entries })
    }
}

/// The summary's entry of how many partitions a snapshot changes.
const CHANGED_PARTITIONS: &str = "changed-partition-count";

/// A running total, and the entries that move it up and down.
const TOTALS: [(&str, &str, &str); 6] = [
    ("total-data-files", "added-data-files", "deleted-data-files"),
    ("total-records", "added-records", "deleted-records"),
    ("total-files-size", "added-files-size", "removed-files-size"),
    ("total-delete-files", "added-delete-files", "removed-delete-files"),
    ("total-position-deletes", "added-position-deletes", "removed-position-deletes"),
    ("total-equality-deletes", "added-equality-deletes", "removed-equality-deletes"),
];

#[cfg(test)]
mod tests;
