//! Tables that a commit makes: what a client is shown of one before (`stage-create`), and what the commit makes of it
//! (`assert-create`).
//!
//! Invariant: before the commit there is nothing, neither in the log nor on the disk. The client brings back what it was
//! shown; of that only the place has to be believed, and it is looked at: a place of that name in that namespace, where
//! no other table and no view lies.

use std::collections::HashMap;

use headwater_base::Problem;
use headwater_kernel::port::catalog::TableAt;
use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, SortOrder, TableMetadataBuilder, UnboundPartitionSpec};
use uuid::Uuid;

use super::commits::CommitTable;
use super::{CreateTable, LakeCatalog, check_name, malformed, refused};
use crate::commit::{self, Garbage, Version};

impl LakeCatalog {
    /// What a table would be.
    pub(super) fn stage(&self, location: String, request: CreateTable) -> Result<TableAt, Problem> {
        let name = request.name.clone();
        let built = request.begun(location.clone())?.build().map_err(|error| refused(&name, &error))?;
        self.shown_at(None, &built.metadata, &location)
    }

    /// Where a table that a commit makes is to lie; for who holds the turn.
    pub(super) fn place_for(&self, namespace: &str, table: &str, request: &CommitTable) -> Result<String, Problem> {
        check_name(table)?;
        self.free(namespace, table)?;
        let Some(wanted) = request.location() else { return Ok(self.place(namespace, table)) };
        let beginning = format!("{}/{table}-", self.folder(namespace));
        let id = wanted.strip_prefix(&beginning).filter(|id| Uuid::parse_str(id).is_ok_and(|it| it.to_string() == *id));
        if id.is_none() {
            return Err(malformed("the node chooses where its tables lie")
                .help("commit with the location that the answer to `stage-create` has"));
        }
        self.free_place(wanted, None)?;
        Ok(wanted.to_owned())
    }
}

/// The first version of a table at a place.
pub(super) async fn first_of(
    catalog: &LakeCatalog,
    table: &str,
    location: String,
    request: CommitTable,
) -> Result<(Version, Garbage), Problem> {
    request.check(table, None)?;
    // The updates begin with what the table was shown with; the builder gives that the numbers that it had then.
    let (mut schema, mut partition, mut sort, mut format) = (None, None, None, FormatVersion::V2);
    for update in &request.updates {
        match update {
            TableUpdate::AddSchema { schema: added } => schema = schema.or_else(|| Some(added.clone())),
            TableUpdate::AddSpec { spec } => partition = partition.or_else(|| Some(spec.clone())),
            TableUpdate::AddSortOrder { sort_order } => sort = sort.or_else(|| Some(sort_order.clone())),
            TableUpdate::UpgradeFormatVersion { format_version } => format = format.max(*format_version),
            _ => {}
        }
    }
    let Some(schema) = schema else { return Err(malformed("a commit that makes a table adds a schema")) };
    let partition: UnboundPartitionSpec = partition.unwrap_or_default();
    let sort = sort.unwrap_or_else(SortOrder::unsorted_order);
    let builder = TableMetadataBuilder::new(schema, partition, sort, location.clone(), format, HashMap::new())
        .map_err(|error| refused(table, &error))?;
    let builder = request.apply(table, builder)?;
    catalog.make_folders(&location)?;
    commit::finish(catalog.lake().files(), builder, None).await.map_err(|error| refused(table, &error))
}
