//! The catalog over the node's tables: those of datasets, which streams feed and only the node writes, and those that
//! clients of the catalog make and write themselves.
//!
//! What clients made are keys of the space `lake`: a namespace with its properties, a table with its pointer, a view. Who
//! changes one of them holds the one turn, so that of two clients that read the same version the second is refused. No
//! bucket is waited for in the turn (`commits.rs`).
//!
//! # Source
//! Iceberg's REST catalog, `open-api/rest-catalog-open-api.yaml`.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Name, Problem};
use headwater_kernel::port::Catalog;
use headwater_kernel::port::catalog::{DATASETS, Identifier, TableAt, TableChange};
use headwater_log::{Commit, Delta, LogError, View, append_durable};
use iceberg::ErrorKind;
use iceberg::spec::{FormatVersion, Schema, SortOrder, TableMetadataBuilder, TableProperties, UnboundPartitionSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::commit::{self, Version};
use crate::datasets::Datasets;
use crate::files::location_of;
use crate::kinds::dataset;
use crate::positions::SUMMARY_KEY;
use crate::tables::{POINTER, Tables, unusable};

mod commits;
mod names;
mod properties;
mod purged;
mod register;
mod staged;
mod views;

use purged::place_of;

/// The space of what clients made.
const SPACE: &str = "lake";
/// Namespaces, tables and views of all clients.
const ENTRIES_MAX: usize = 10_000;

/// The catalog. Cheap to clone.
#[derive(Clone)]
pub struct LakeCatalog(Arc<Inner>);

struct Inner {
    datasets: Datasets,
    /// The names of the Dataset resources.
    names: Arc<dyn Fn() -> Vec<Name> + Send + Sync>,
    /// The right to change what is kept, and how many places were purged in this life. Who has it looks at what is
    /// appended: whoever had it before may have gone away without waiting for its commit to be durable.
    turn: Mutex<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct CreateTable {
    name: String,
    #[serde(default)]
    location: Option<String>,
    schema: Schema,
    #[serde(default)]
    partition_spec: Option<UnboundPartitionSpec>,
    #[serde(default)]
    write_order: Option<SortOrder>,
    #[serde(default)]
    stage_create: bool,
    #[serde(default)]
    properties: Option<HashMap<String, String>>,
}

impl CreateTable {
    /// What the table is to begin with, at a place.
    fn begun(self, location: String) -> Result<TableMetadataBuilder, Problem> {
        let mut properties = self.properties.unwrap_or_default();
        // Clients ask for a version by what looks like a property and is none.
        let format = match properties.remove(TableProperties::PROPERTY_FORMAT_VERSION).as_deref() {
            None | Some("2") => FormatVersion::V2,
            Some("3") => FormatVersion::V3,
            Some(other) => {
                let fact = format!("tables are not made in the format version `{}`", shown(other));
                return Err(malformed(fact).help("`format-version` is 2 or 3"));
            }
        };
        let partition = self.partition_spec.unwrap_or_default();
        let sort = self.write_order.unwrap_or_else(SortOrder::unsorted_order);
        let builder = TableMetadataBuilder::new(self.schema, partition, sort, location, format, properties);
        builder.map_err(|error| refused(&self.name, &error))
    }
}

impl LakeCatalog {
    /// The catalog over `datasets`; `names` lists the Dataset resources.
    pub fn new(datasets: Datasets, names: Arc<dyn Fn() -> Vec<Name> + Send + Sync>) -> Self {
        let catalog = Self(Arc::new(Inner { datasets, names, turn: Mutex::new(0) }));
        catalog.purge_on();
        catalog
    }

    /// All tables.
    pub fn lake(&self) -> &Arc<Tables> {
        self.0.datasets.tables()
    }

    /// Whether a client made that table.
    pub fn has(&self, namespace: &str, table: &str) -> bool {
        self.lake().log().get(SPACE, &table_key(namespace, table), View::Durable).is_some()
    }

    /// The current version of a table. Where there is no such namespace there is no such table, and that is what it says:
    /// a client goes by it that looks for a namespace `orders` with a table `snapshots` before it looks for a table
    /// `orders` that has snapshots, as Spark does.
    ///
    /// # Errors
    /// `HW-LAKE-032` for what is not there, 021 and 063 for metadata that cannot be read.
    pub async fn version(&self, namespace: &str, table: &str) -> Result<Version, Problem> {
        let found = if namespace == DATASETS {
            self.lake().version(&dataset::space(table), POINTER, View::Durable).await?
        } else {
            self.lake().version(SPACE, &table_key(namespace, table), View::Durable).await?
        };
        found.ok_or_else(|| no_table(namespace, table))
    }

    /// Makes a change of what clients made true for good.
    async fn write(&self, deltas: Vec<Delta>) -> Result<(), Problem> {
        let log = self.lake().log();
        let mut commit = Commit { deltas: vec![(Arc::from(SPACE), deltas)], ..Commit::default() };
        let refused =
            |error: LogError| Problem::new("HW-LAKE-023", format!("the catalog cannot write to the log: {error}"));
        append_durable(&**log, &mut commit).await.map(drop).map_err(refused)
    }

    fn scan(&self, prefix: &str) -> Vec<String> {
        let found = self.lake().log().scan(SPACE, prefix.as_bytes(), None, ENTRIES_MAX);
        let names = found.iter().filter_map(|(key, _)| std::str::from_utf8(key).ok()?.strip_prefix(prefix));
        names.map(str::to_owned).collect()
    }

    /// Refuses entries if with so many `more` there were more than there may be.
    fn room(&self, more: usize) -> Result<(), Problem> {
        if self.scan("").len() + more <= ENTRIES_MAX {
            return Ok(());
        }
        Err(malformed(format!("the limit of namespaces, tables and views is {ENTRIES_MAX}")).help("drop some"))
    }

    /// Where a client's table lies. One that asks for another place is refused: the node writes metadata there.
    fn place(&self, namespace: &str, table: &str) -> String {
        format!("{}/{table}-{}", self.folder(namespace), Uuid::now_v7())
    }

    /// Where all tables that were made in a namespace lie.
    fn folder(&self, namespace: &str) -> String {
        location_of(&self.0.datasets.folder().join("lake").join(namespace))
    }

    fn make_folders(&self, location: &str) -> Result<(), Problem> {
        let made = self.lake().files().create_folders(location, self.0.datasets.folder());
        made.map_err(|error| Problem::new("HW-LAKE-021", "the table's folder cannot be made").because(error))
    }

    /// Does blocking work off the runtime's threads.
    async fn off<T, F>(&self, work: impl FnOnce(Self) -> F + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>>,
    {
        let (catalog, handle) = (self.clone(), Handle::current());
        let done = tokio::task::spawn_blocking(move || handle.block_on(work(catalog))).await;
        done.unwrap_or_else(|error| Err(malformed(format!("the request ended by a bug in the program: {error}"))))
    }

    async fn create_table(&self, namespace: &str, request: Value) -> Result<TableAt, Problem> {
        writable(namespace)?;
        let request: CreateTable = serde_json::from_value(request).map_err(malformed)?;
        check_name(&request.name)?;
        if request.location.as_ref().is_some_and(|wanted| !wanted.is_empty()) {
            return Err(malformed("the node chooses where its tables lie").help("leave `location` out"));
        }
        let key = table_key(namespace, &request.name);
        let location = self.place(namespace, &request.name);
        let _turn = self.0.turn.lock().await;
        self.namespace(namespace)?;
        self.free(namespace, &request.name)?;
        self.room(1)?;
        if request.stage_create {
            return self.stage(location, request);
        }
        let version = self
            .off(async move |catalog| {
                let name = request.name.clone();
                let builder = request.begun(location.clone())?;
                catalog.make_folders(&location)?;
                let made = commit::finish(catalog.lake().files(), builder, None).await;
                made.map(|(version, _)| version).map_err(|error| refused(&name, &error))
            })
            .await?;
        self.write(vec![Tables::delta(&key, &version)]).await?;
        self.at(&version)
    }

    fn at(&self, version: &Version) -> Result<TableAt, Problem> {
        self.shown_at(Some(version.location.clone()), &*version.metadata, &version.location)
    }

    /// Metadata as a client gets it, of a table or view whose files are near `location`.
    fn shown_at(
        &self,
        metadata_location: Option<String>,
        metadata: &impl Serialize,
        location: &str,
    ) -> Result<TableAt, Problem> {
        let metadata = serde_json::to_vec(metadata)
            .map_err(|error| Problem::new("HW-LAKE-021", "the metadata cannot be written").because(error))?;
        let config = self.lake().files().reader_settings(location);
        Ok(TableAt { metadata_location, metadata: Bytes::from(metadata), config })
    }

    async fn remove_table(&self, namespace: &str, table: &str, purge: bool) -> Result<(), Problem> {
        writable(namespace)?;
        let mut turn = self.0.turn.lock().await;
        let key = table_key(namespace, table);
        let kept = self.lake().log().get(SPACE, &key, View::Appended).ok_or_else(|| no_table(namespace, table))?;
        let place = place_of(&kept).ok_or_else(|| {
            Problem::new("HW-LAKE-021", format!("what is kept of the table `{}` cannot be read", shown(table)))
        })?;
        self.take_away(&mut turn, key, place, purge, None).await
    }
}

impl Catalog for LakeCatalog {
    fn namespaces(&self) -> Vec<String> {
        let mut found = self.scan("namespace/");
        found.push(DATASETS.to_owned());
        found.sort_unstable();
        found
    }

    fn namespace(&self, name: &str) -> Result<Value, Problem> {
        if name == DATASETS {
            return Ok(json!({ "comment": "Tables that streams feed; the node alone writes them." }));
        }
        let found = self.lake().log().get(SPACE, format!("namespace/{name}").as_bytes(), View::Durable);
        let Some(bytes) = found else {
            let fact = format!("there is no namespace `{}`", shown(name));
            return Err(Problem::new("HW-LAKE-030", fact).help(format!("datasets are tables of `{DATASETS}`")));
        };
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn create_namespace<'a>(&'a self, name: &'a str, properties: Value) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            check_name(name)?;
            let properties: Map<String, Value> = match properties {
                Value::Null => Map::new(),
                other => serde_json::from_value(other).map_err(malformed)?,
            };
            properties::without_place(properties.keys())?;
            let _turn = self.0.turn.lock().await;
            if self.namespace(name).is_ok() {
                return Err(Problem::new("HW-LAKE-031", format!("there is a namespace `{name}` already")));
            }
            self.room(1)?;
            self.write(vec![properties::delta(name, properties)?]).await
        })
    }

    fn update_namespace<'a>(&'a self, name: &'a str, request: Value) -> BoxFuture<'a, Result<Value, Problem>> {
        Box::pin(self.change_properties(name, request))
    }

    fn drop_namespace<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            writable(name)?;
            let _turn = self.0.turn.lock().await;
            self.namespace(name)?;
            let (tables, views) = (self.tables(name)?.len(), self.views(name)?.len());
            if tables + views > 0 {
                let fact = format!("there are {tables} tables and {views} views in `{name}`");
                return Err(Problem::new("HW-LAKE-036", fact).help("drop them first"));
            }
            self.write(vec![Delta { key: Bytes::from(format!("namespace/{name}")), value: None }]).await
        })
    }

    fn tables(&self, namespace: &str) -> Result<Vec<String>, Problem> {
        if namespace != DATASETS {
            self.namespace(namespace)?;
            return Ok(self.scan(&format!("table/{namespace}/")));
        }
        let log = self.lake().log();
        let made = |name: &Name| log.get(&dataset::space(name.as_str()), POINTER, View::Durable).is_some();
        Ok((self.0.names)().into_iter().filter(made).map(|name| name.to_string()).collect())
    }

    fn load<'a>(&'a self, namespace: &'a str, table: &'a str) -> BoxFuture<'a, Result<TableAt, Problem>> {
        let (namespace, table) = (namespace.to_owned(), table.to_owned());
        Box::pin(self.off(async move |catalog| catalog.at(&catalog.version(&namespace, &table).await?)))
    }

    fn create<'a>(&'a self, namespace: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>> {
        Box::pin(self.create_table(namespace, request))
    }

    fn register<'a>(&'a self, namespace: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>> {
        Box::pin(self.register_table(namespace, request))
    }

    fn commit(&self, changes: Vec<TableChange>) -> BoxFuture<'_, Result<Vec<TableAt>, Problem>> {
        Box::pin(self.commit_all(changes))
    }

    fn rename_table(&self, from: Identifier, to: Identifier) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.rename(Thing::Table, from, to))
    }

    fn drop_table<'a>(&'a self, namespace: &'a str, table: &'a str, purge: bool) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(self.remove_table(namespace, table, purge))
    }

    fn views(&self, namespace: &str) -> Result<Vec<String>, Problem> {
        self.namespace(namespace)?;
        Ok(self.scan(&format!("view/{namespace}/")))
    }

    fn load_view(&self, namespace: &str, view: &str) -> Result<TableAt, Problem> {
        self.view_at(&self.kept(namespace, view, View::Durable)?)
    }

    fn create_view<'a>(&'a self, namespace: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>> {
        Box::pin(self.make_view(namespace, request))
    }

    fn commit_view<'a>(
        &'a self,
        namespace: &'a str,
        view: &'a str,
        request: Value,
    ) -> BoxFuture<'a, Result<TableAt, Problem>> {
        Box::pin(self.replace_view(namespace, view, request))
    }

    fn rename_view(&self, from: Identifier, to: Identifier) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.rename(Thing::View, from, to))
    }

    fn drop_view<'a>(&'a self, namespace: &'a str, view: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(self.remove_view(namespace, view))
    }

    fn describe<'a>(&'a self, dataset: &'a str) -> BoxFuture<'a, Result<Value, Problem>> {
        let name = dataset.to_owned();
        Box::pin(async move {
            let version = self.off(async move |catalog| catalog.version(DATASETS, &name).await).await?;
            Ok(self.described(dataset, &version))
        })
    }
}

impl LakeCatalog {
    fn described(&self, dataset: &str, version: &Version) -> Value {
        let metadata = &version.metadata;
        let snapshot = metadata.current_snapshot();
        let entry = |name: &str| snapshot?.summary().additional_properties.get(name).map(String::as_str);
        let number = |name: &str| entry(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let time = |ms: i64| headwater_base::Micros::from_millis(ms).to_string();
        json!({
            "name": dataset,
            "location": metadata.location(),
            "metadata": version.location,
            "rows": number("total-records"),
            "files": number("total-data-files"),
            "bytes": number("total-files-size"),
            "snapshots": metadata.snapshots().len(),
            "snapshot": snapshot.map(|snapshot| snapshot.snapshot_id()),
            "snapshotTime": snapshot.map(|snapshot| time(snapshot.timestamp_ms())),
            "schemas": metadata.schemas_iter().len(),
            "lag": self.0.datasets.lag(dataset),
            "positions": entry(SUMMARY_KEY).and_then(|text| serde_json::from_str::<Value>(text).ok()),
        })
    }
}

/// What a name of a client stands for.
#[derive(Clone, Copy)]
enum Thing {
    Table,
    View,
}

impl Thing {
    const ALL: [Self; 2] = [Self::Table, Self::View];

    const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
        }
    }

    fn key(self, namespace: &str, name: &str) -> Vec<u8> {
        format!("{}/{namespace}/{name}", self.word()).into_bytes()
    }

    fn missing(self, namespace: &str, name: &str) -> Problem {
        let code = match self {
            Self::Table => "HW-LAKE-032",
            Self::View => "HW-LAKE-091",
        };
        Problem::new(code, format!("there is no {} `{}` in `{}`", self.word(), shown(name), shown(namespace)))
    }
}

fn no_table(namespace: &str, table: &str) -> Problem {
    Thing::Table.missing(namespace, table)
}

fn table_key(namespace: &str, table: &str) -> Vec<u8> {
    Thing::Table.key(namespace, table)
}

/// Refuses what only the node writes.
fn writable(namespace: &str) -> Result<(), Problem> {
    if namespace != DATASETS {
        return Ok(());
    }
    let fact = format!("the tables of `{DATASETS}` are fed by streams; only the node writes them");
    Err(Problem::new("HW-LAKE-033", fact)
        .help("produce to the stream of the dataset, or make a table in a namespace of your own"))
}

/// A name of a namespace or table becomes part of a path and a key.
fn check_name(name: &str) -> Result<(), Problem> {
    Name::new(name).map(drop).map_err(|problem| malformed(problem.title))
}

fn malformed(fact: impl std::fmt::Display) -> Problem {
    Problem::new("HW-LAKE-035", format!("the catalog cannot follow the request: {fact}"))
}

/// What `iceberg` says of a request, or of the disk.
fn refused(table: &str, error: &iceberg::Error) -> Problem {
    match error.kind() {
        ErrorKind::Unexpected => unusable(table, error),
        _ => malformed(error.message()),
    }
}

fn shown(name: &str) -> String {
    name.chars().take(60).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests;
