//! Commits of clients: what a request makes of the tables that it names, of all of them or of none.
//!
//! What may take long comes before the turn: metadata is read from where a table lies and the next one is written there,
//! and that may be a slow bucket. The turn only puts it in place.
//!
//! Invariant: what was prepared becomes true only where every table is still the version that it was prepared upon, and
//! nothing was purged meanwhile, so that what was written is still there. Else it is thrown away and prepared anew: a
//! request is always judged by what it follows upon. Tables that a commit makes are made in the turn; they lie on the
//! node's disk.

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Catalog as _;
use headwater_kernel::port::catalog::{TableAt, TableChange};
use headwater_log::View;
use iceberg::spec::{FormatVersion, TableMetadata, TableMetadataBuilder};
use iceberg::{TableRequirement, TableUpdate};
use serde::Deserialize;

use super::{LakeCatalog, SPACE, malformed, no_table, refused, shown, staged, table_key, writable};
use crate::commit::{self, Garbage, Version};
use crate::tables::Tables;

/// So often a request is prepared anew because somebody else was faster.
pub(super) const TRIES: usize = 16;

/// What a client wants of a table.
#[derive(Clone, Deserialize)]
pub(super) struct CommitTable {
    #[serde(default)]
    requirements: Vec<TableRequirement>,
    #[serde(default)]
    pub(super) updates: Vec<TableUpdate>,
}

/// A version that is written, and what nobody needs once it is current.
type Next = (Version, Garbage);

impl LakeCatalog {
    pub(super) async fn commit_all(&self, changes: Vec<TableChange>) -> Result<Vec<TableAt>, Problem> {
        let mut requests = Vec::with_capacity(changes.len());
        for (index, TableChange { namespace, table, request }) in changes.iter().enumerate() {
            writable(namespace)?;
            requests.push(serde_json::from_value::<CommitTable>(request.clone()).map_err(malformed)?);
            let before = changes.iter().take(index);
            if before.into_iter().any(|other| other.namespace == *namespace && other.table == *table) {
                return Err(malformed(format!("`{}` comes twice", shown(table))));
            }
        }
        for _ in 0..TRIES {
            if let Some(answers) = self.try_commit(&changes, &requests).await? {
                return Ok(answers);
            }
        }
        Err(outrun())
    }

    /// Commits; None where somebody else was faster.
    async fn try_commit(
        &self,
        changes: &[TableChange],
        requests: &[CommitTable],
    ) -> Result<Option<Vec<TableAt>>, Problem> {
        let keys: Vec<Vec<u8>> = changes.iter().map(|of| table_key(&of.namespace, &of.table)).collect();
        let (purged, before) = {
            let turn = self.0.turn.lock().await;
            (*turn, self.kept_at(&keys))
        };
        let mut work = Vec::with_capacity(changes.len());
        for ((TableChange { namespace, table, .. }, request), kept) in changes.iter().zip(requests).zip(&before) {
            if kept.is_none() {
                if !request.creates() {
                    return Err(no_table(namespace, table));
                }
                self.namespace(namespace)?;
            }
            work.push((table.clone(), kept.clone(), request.clone()));
        }
        let prepared = self.off(async move |catalog| prepared(catalog.lake(), work).await).await;
        let turn = self.0.turn.lock().await;
        if *turn != purged || self.kept_at(&keys) != before {
            throw_away(self.lake(), prepared.into_iter().flatten().flatten());
            return Ok(None);
        }
        let prepared = prepared?;
        let new = changes.iter().zip(requests).zip(&before).filter(|(_, kept)| kept.is_none());
        let new: Vec<(&TableChange, &CommitTable)> = new.map(|(of, _)| of).collect();
        let (places, made) = match self.make(&new).await {
            Ok(made) => made,
            Err(problem) => {
                throw_away(self.lake(), prepared.into_iter().flatten());
                return Err(problem);
            }
        };
        let mut made = made.into_iter();
        let made: Vec<Next> = prepared.into_iter().filter_map(|next| next.or_else(|| made.next())).collect();
        let mut deltas: Vec<_> = keys.iter().zip(&made).map(|(key, (next, _))| Tables::delta(key, next)).collect();
        deltas.extend(places.iter().flat_map(|place| self.unnoted(place)));
        self.write(deltas).await?;
        drop(turn);
        let mut answers = Vec::with_capacity(made.len());
        for (next, garbage) in made {
            self.lake().remember(&next);
            self.lake().leases().retire(garbage);
            answers.push(self.at(&next)?);
        }
        Ok(Some(answers))
    }

    /// What is kept at keys, also what is not durable yet.
    fn kept_at(&self, keys: &[Vec<u8>]) -> Vec<Option<Bytes>> {
        keys.iter().map(|key| self.lake().log().get(SPACE, key, View::Appended)).collect()
    }

    /// Writes the first versions of tables; answers their places as well. For who holds the turn.
    async fn make(&self, new: &[(&TableChange, &CommitTable)]) -> Result<(Vec<String>, Vec<Next>), Problem> {
        let (mut places, mut work) = (Vec::new(), Vec::new());
        for (TableChange { namespace, table, .. }, request) in new {
            self.namespace(namespace)?;
            self.room(places.len() + 1)?;
            let place = self.place_for(namespace, table, request)?;
            places.push(place.clone());
            work.push((table.clone(), place, CommitTable::clone(request)));
        }
        if work.is_empty() {
            return Ok((places, Vec::new()));
        }
        let made = self.off(async move |catalog| {
            let mut made = Vec::with_capacity(work.len());
            for (table, place, request) in work {
                made.push(staged::first_of(&catalog, &table, place, request).await?);
            }
            Ok(made)
        });
        Ok((places, made.await?))
    }
}

/// The next versions of tables by what is kept of them; None where nothing is.
async fn prepared(
    tables: &Tables,
    work: Vec<(String, Option<Bytes>, CommitTable)>,
) -> Result<Vec<Option<Next>>, Problem> {
    let mut made: Vec<Option<Next>> = Vec::with_capacity(work.len());
    for (table, kept, request) in work {
        let next = match &kept {
            None => Ok(None),
            Some(kept) => next_of(tables, &table, kept, request).await.map(Some),
        };
        match next {
            Ok(next) => made.push(next),
            Err(problem) => {
                throw_away(tables, made.into_iter().flatten());
                return Err(problem);
            }
        }
    }
    Ok(made)
}

/// Removes what was written and is not to become true.
fn throw_away(tables: &Tables, made: impl Iterator<Item = Next>) {
    tables.files().discard(made.map(|(next, _)| next.location).collect());
}

/// The version of a table that a client's request makes of the one that is kept.
async fn next_of(tables: &Tables, table: &str, kept: &[u8], request: CommitTable) -> Result<Next, Problem> {
    let version = tables.version_of(SPACE, kept).await?;
    request.check(table, Some(&version.metadata))?;
    let location = version.metadata.location();
    if request.location().is_some_and(|wanted| wanted != location) {
        return Err(malformed("the node chooses where its tables lie").help("leave `set-location` out"));
    }
    let builder = request.apply(table, commit::next(&version))?;
    commit::finish(tables.files(), builder, Some(&version)).await.map_err(|error| refused(table, &error))
}

/// `HW-LAKE-034`: others change the same again and again.
pub(super) fn outrun() -> Problem {
    Problem::new("HW-LAKE-034", format!("{TRIES} times in succession somebody else was faster"))
        .help("read the table again and decide anew")
}

impl CommitTable {
    fn creates(&self) -> bool {
        self.requirements.iter().any(|requirement| matches!(requirement, TableRequirement::NotExist))
    }

    /// The place that it wants the table to have at last.
    pub(super) fn location(&self) -> Option<&str> {
        self.updates.iter().rev().find_map(|update| match update {
            TableUpdate::SetLocation { location } => Some(location.trim_end_matches('/')),
            _ => None,
        })
    }

    /// Whether it brings a snapshot that was numbered before another one came, on whatever branch: it is to be made anew.
    fn is_behind(&self, metadata: &TableMetadata) -> bool {
        metadata.format_version() != FormatVersion::V1
            && self.updates.iter().any(|update| match update {
                TableUpdate::AddSnapshot { snapshot } => {
                    snapshot.parent_snapshot_id().is_some()
                        && snapshot.sequence_number() <= metadata.last_sequence_number()
                        && metadata.snapshot_by_id(snapshot.snapshot_id()).is_none()
                }
                _ => false,
            })
    }

    pub(super) fn check(&self, table: &str, metadata: Option<&TableMetadata>) -> Result<(), Problem> {
        let changed = |fact: &str| {
            Problem::new("HW-LAKE-034", format!("`{}` has changed since it was read: {fact}", shown(table)))
                .help("read the table again and decide anew")
        };
        let mut requirements = self.requirements.iter();
        requirements.try_for_each(|it| it.check(metadata)).map_err(|error| changed(error.message()))?;
        if metadata.is_some_and(|metadata| self.is_behind(metadata)) {
            return Err(changed("it has got another snapshot"));
        }
        Ok(())
    }

    pub(super) fn apply(self, table: &str, builder: TableMetadataBuilder) -> Result<TableMetadataBuilder, Problem> {
        let applied = self.updates.into_iter().try_fold(builder, |builder, update| update.apply(builder));
        applied.map_err(|error| refused(table, &error))
    }
}
