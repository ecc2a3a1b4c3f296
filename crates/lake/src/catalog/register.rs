//! Tables that are there already and get a name here: what another catalog had, or what was dropped without its files.
//!
//! Invariant: a table lies where the node keeps those of clients, or in a bucket of its own, and apart from every other
//! table and view: the node writes the next metadata there, and whoever purges one table takes nothing of another.

use std::io;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Catalog as _;
use headwater_kernel::port::catalog::{DATASETS, TableAt};
use headwater_log::View;
use serde::Deserialize;
use serde_json::Value;

use super::commits::{TRIES, outrun};
use super::purged::place_of;
use super::{ENTRIES_MAX, LakeCatalog, SPACE, Thing, check_name, malformed, refused, table_key, writable};
use crate::commit::Version;
use crate::files::{Unanswered, location_of, overlap};
use crate::kinds::dataset;
use crate::tables::{POINTER, Tables, unusable};

/// How metadata files end. Others, compressed ones among them, are not read.
const METADATA_END: &str = ".metadata.json";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RegisterTable {
    name: String,
    metadata_location: String,
    #[serde(default)]
    overwrite: bool,
}

impl LakeCatalog {
    /// Gives the table of a metadata file a name; with `overwrite` also one that a table has.
    pub(super) async fn register_table(&self, namespace: &str, request: Value) -> Result<TableAt, Problem> {
        writable(namespace)?;
        let request: RegisterTable = serde_json::from_value(request).map_err(malformed)?;
        let (name, file) = (request.name, request.metadata_location);
        check_name(&name)?;
        let parts = file.rsplit_once("/metadata/").filter(|(_, name)| name.ends_with(METADATA_END));
        let Some((location, _)) = parts.filter(|(_, name)| !name.contains('/')) else {
            return Err(malformed(format!("`{}` is no metadata file of a table", file.escape_debug()))
                .help(format!("it is called `LOCATION/metadata/NAME{METADATA_END}`")));
        };
        self.may_lie(location)?;
        let key = table_key(namespace, &name);
        for _ in 0..TRIES {
            let (purged, before) = {
                let turn = self.0.turn.lock().await;
                (*turn, self.may_become(namespace, &name, location, request.overwrite)?)
            };
            // A bucket may be slow, and so has no turn. What is read is what is there in the turn if nothing came between.
            let (read, table) = (file.clone(), name.clone());
            let version = self.off(async move |catalog| {
                Version::read(catalog.lake().files(), &read).await.map_err(|error| unread(&table, &error))
            });
            let version = version.await;
            let turn = self.0.turn.lock().await;
            if *turn != purged || self.may_become(namespace, &name, location, request.overwrite)? != before {
                continue;
            }
            let version = version?;
            if version.metadata.location() != location {
                let says = version.metadata.location().escape_debug();
                return Err(malformed(format!("the metadata is of a table at `{says}`, and lies elsewhere")));
            }
            let mut deltas = self.unnoted(location);
            deltas.push(Tables::delta(&key, &version));
            self.write(deltas).await?;
            self.lake().remember(&version);
            return self.at(&version);
        }
        Err(outrun())
    }

    /// Refuses a table at a place to get a name; answers what is kept of the one that has it, which it takes the place of.
    /// For who holds the turn.
    fn may_become(&self, namespace: &str, name: &str, place: &str, over: bool) -> Result<Option<Bytes>, Problem> {
        self.namespace(namespace)?;
        let key = table_key(namespace, name);
        let kept = self.lake().log().get(SPACE, &key, View::Appended);
        if !over || kept.is_none() {
            self.free(namespace, name)?;
            self.room(1)?;
        }
        if self.is_fed(place) {
            return Err(fed());
        }
        self.free_place(place, Some(key.as_slice()))?;
        Ok(kept)
    }

    /// Refuses a place that the node does not keep tables of clients in.
    fn may_lie(&self, location: &str) -> Result<(), Problem> {
        let own = location_of(&self.0.datasets.folder().join("lake"));
        let within = |root: &str| location.strip_prefix(root)?.strip_prefix('/').map(|rest| rest.split('/'));
        let (parts, least) = match within(&own) {
            Some(parts) => (Some(parts), 2),
            None => {
                let bucket = self.lake().files().buckets().of(location);
                (bucket.ok().and_then(|bucket| within(&bucket.root)), 1)
            }
        };
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        if within(&own).is_some() && parts.first() == Some(&DATASETS) {
            return Err(fed());
        }
        if parts.len() >= least && parts.iter().all(|part| !["", ".", ".."].contains(part)) {
            return Ok(());
        }
        Err(malformed(format!("a table at `{}` is not where the node keeps those of clients", location.escape_debug()))
            .help(format!("put its files into a folder of `{own}/NAMESPACE`, or apply a Bucket that they are in")))
    }

    /// Whether a table that a stream feeds lies at a place, within it or around it.
    fn is_fed(&self, location: &str) -> bool {
        (self.0.names)().iter().any(|name| {
            let kept = self.lake().log().get(&dataset::space(name.as_str()), POINTER, View::Appended);
            kept.is_some_and(|kept| touches(&kept, location))
        })
    }

    /// Refuses a place where a client's table or view lies, within it or around it, other than the one of this key; and
    /// one that was purged and is not gone yet, which would take what comes there with it. For who holds the turn.
    pub(super) fn free_place(&self, location: &str, own: Option<&[u8]>) -> Result<(), Problem> {
        let shown = location.escape_debug();
        if let Some(thing) = self.lies_at(location, own) {
            return Err(malformed(format!("another {} lies at `{shown}`", thing.word())));
        }
        if self.lake().leases().is_retired(location) {
            return Err(malformed(format!("what was purged at `{shown}` is not gone yet"))
                .help("it goes when the queries that read it have ended"));
        }
        Ok(())
    }

    /// What lies at a place, within it or around it, other than the table or view of this key.
    pub(super) fn lies_at(&self, location: &str, own: Option<&[u8]>) -> Option<Thing> {
        Thing::ALL.into_iter().find(|thing| {
            let prefix = format!("{}/", thing.word());
            let all = self.lake().log().scan(SPACE, prefix.as_bytes(), None, ENTRIES_MAX);
            all.iter().any(|(key, kept)| own != Some(key.as_ref()) && touches(kept, location))
        })
    }
}

/// Whether what is kept of a table or view says that it lies at a place, within it or around it.
fn touches(kept: &[u8], location: &str) -> bool {
    place_of(kept).is_none_or(|place| overlap(&place, location))
}

/// What is said of a metadata file: it is the client's fault that there is none, and the bucket's that it does not answer.
fn unread(table: &str, error: &iceberg::Error) -> Problem {
    let behind = std::error::Error::source(error).and_then(|behind| behind.downcast_ref::<io::Error>());
    let is_missing = behind.is_some_and(|behind| behind.kind() == io::ErrorKind::NotFound);
    if !is_missing && Unanswered::behind(error).is_some() { unusable(table, error) } else { refused(table, error) }
}

fn fed() -> Problem {
    Problem::new("HW-LAKE-033", "a table that a stream feeds lies there, which has the name of its Dataset")
        .help(format!("it is `{DATASETS}.NAME` of the catalog already"))
}
