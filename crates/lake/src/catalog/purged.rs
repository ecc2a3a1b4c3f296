//! Places that were purged: of tables and views that are gone, while their files may still be there.
//!
//! A folder goes when nobody reads it any more, and the node may be killed before. So the commit that takes a name away
//! notes its place, and a node that starts removes what is noted. A note is taken back by the next commit that purges
//! something after the folder has gone; what could not be removed is tried again at the next start.
//!
//! Invariant: whatever is noted belongs to nobody. Who lets a table lie at a place, or drops one without its files, takes
//! back the notes of that place in the same commit.

use bytes::Bytes;
use headwater_base::Problem;
use headwater_log::Delta;
use serde_json::Value;

use super::LakeCatalog;
use crate::files::overlap;

/// How the keys of notes begin.
const NOTE: &str = "purged/";

impl LakeCatalog {
    /// Begins to remove what earlier lives purged and did not see go. Until it has gone nobody gets its place.
    pub(super) fn purge_on(&self) {
        // A note too many is less than a table too few.
        let left = self.scan(NOTE).into_iter().filter(|place| self.lies_at(place, None).is_none());
        self.lake().leases().retire_left(left.collect());
    }

    /// Takes the name at a key away, and with `purge` what lies at its place; for who holds the turn.
    pub(super) async fn take_away(
        &self,
        turn: &mut u64,
        key: Vec<u8>,
        place: String,
        purge: bool,
        also: Option<Delta>,
    ) -> Result<(), Problem> {
        let mut deltas = vec![Delta { key: Bytes::from(key), value: None }];
        deltas.extend(also);
        if !purge {
            deltas.extend(self.unnoted(&place));
            return self.write(deltas).await;
        }
        deltas.extend(self.lake().leases().take_gone().iter().map(|gone| note(gone, None)));
        deltas.push(note(&place, Some(Bytes::from_static(b"{}"))));
        *turn += 1;
        self.write(deltas).await?;
        self.off(async move |catalog| {
            catalog.lake().leases().retire_folder(place);
            Ok(())
        })
        .await
    }

    /// The changes of state that take back what is noted of a place, in it or around it.
    pub(super) fn unnoted(&self, place: &str) -> Vec<Delta> {
        let noted = self.scan(NOTE).into_iter().filter(|noted| noted != place && overlap(noted, place));
        // Its own note also where that is not durable yet, and so is not found.
        noted.map(|noted| note(&noted, None)).chain([note(place, None)]).collect()
    }
}

fn note(place: &str, value: Option<Bytes>) -> Delta {
    Delta { key: Bytes::from(format!("{NOTE}{place}")), value }
}

/// Where a table or view lies, by what is kept of it. What has got another name lies where its old name said.
pub(super) fn place_of(kept: &[u8]) -> Option<String> {
    let kept: Value = serde_json::from_slice(kept).ok()?;
    // A table's pointer, or what is kept of a view.
    let file = kept["metadata"].as_str().or_else(|| kept["location"].as_str())?;
    Some(file.rsplit_once("/metadata/").map_or(file, |(folder, _)| folder).to_owned())
}
