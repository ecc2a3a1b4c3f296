//! Tables: keyed documents over compacted streams, answered from memory or a view on this machine's disk.
//!
//! A write is an event of the stream `table.<name>` first and reaches the view once it is durable; pipelines write
//! tables by appending to that stream, and the view cannot tell the difference. A document's version is the offset of
//! its event plus one, so it grows with each write of a key whoever writes, and survives a rebuild.
//!
//! Conditions, updates and transactions over several tables are decided in `transact.rs`; a table with changes tells
//! them in `table.<name>.changes`, in the same commit. A commit of a pipeline and a batch of a Kafka client get there
//! too, so that no document is written without its change.
//!
//! Invariants: the view never shows what is not durable; a conditional write is decided on what is appended, by one
//! writer of the table at a time; a view found damaged is thrown away and built again from the streams, and says so.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ahash::HashMap;
use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Clock, Limits, Micros, Name, Problem, closest};
use headwater_log::{Commit, Log, Stream};
use headwater_store::tables::{IndexId, Row, TableId, View, ViewError};
use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::kinds::table::{TableSpec, VIEW_UNIT, stream_name};
use crate::port::tables::{Page, Query, Tell, TransactError, Transacted, Write, Written};
use crate::port::{Document, Json, Tables};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::unit::UnitKind;

mod cache;
mod changes;
mod expiry;
mod follow;
mod gate;
mod index;
mod keys;
mod pending;
mod place;
mod query;
mod transact;
mod write;

use cache::Cache;
use changes::Changes;
pub use gate::Gate;
use index::Index;
use keys::Keys;
use pending::Pending;

/// The longest key of a document in bytes.
pub const KEY_BYTES_MAX: usize = 4 * 1024;

/// How long a table that was applied a moment ago is waited for.
const ATTACH_MAX: Duration = Duration::from_secs(5);

/// All tables of a node.
pub struct TableViews {
    path: PathBuf,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    resources: Arc<Resources>,
    view: RwLock<Arc<View>>,
    tables: RwLock<HashMap<Name, Arc<Table>>>,
    attached: Notify,
    rebuilt: AtomicU64,
    /// Held while the view is thrown away and opened again.
    rebuilding: Mutex<()>,
    /// Times what is waited for.
    handle: Handle,
    me: Weak<Self>,
}

/// One table while it is served.
struct Table {
    name: Name,
    stream: Arc<Stream>,
    id: RwLock<TableId>,
    key: Option<String>,
    ttl: Option<Duration>,
    ttl_field: Option<String>,
    indexes: Vec<Index>,
    /// What the view calls them, in the same order.
    index_ids: RwLock<Vec<IndexId>>,
    changes: Option<Changes>,
    schema: Option<jsonschema::Validator>,
    cache: Cache,
    keys: Keys,
    generation: AtomicU64,
    /// One past the last applied offset of each partition.
    applied: Vec<AtomicI64>,
    /// Woken whenever `applied` has moved.
    moved: Notify,
    /// Woken when there may be something to apply.
    news: Arc<Notify>,
    /// True once the view has been as far as the log was.
    caught_up: AtomicBool,
    /// Held while a write is decided and appended: what each partition has that the view has not.
    writing: Mutex<Vec<Pending>>,
}

impl TableViews {
    /// Opens the view in `folder` and serves every table whose stream exists. Called on a runtime.
    ///
    /// # Errors
    /// `HW-KERNEL-022` when the folder cannot be written.
    pub fn open(
        folder: &Path,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        limits: Arc<Limits>,
        resources: Arc<Resources>,
    ) -> Result<Arc<Self>, Problem> {
        let path = folder.join("tables.db");
        let (view, damage) = View::open(&path).map_err(|error| failed(&error))?;
        if let Some(words) = &damage {
            tracing::error!(file = %path.display(), cause = words, "view of the tables was damaged and is built again");
        }
        let views = Arc::new_cyclic(|me| Self {
            path,
            log,
            clock,
            limits,
            resources,
            view: RwLock::new(Arc::new(view)),
            tables: RwLock::default(),
            attached: Notify::new(),
            rebuilt: AtomicU64::new(u64::from(damage.is_some())),
            rebuilding: Mutex::new(()),
            handle: Handle::current(),
            me: Weak::clone(me),
        });
        for resource in views.resources.list(Some("Table")) {
            let there = stream_name(resource.metadata.name.as_str())
                .is_ok_and(|name| views.log.stream(name.as_str()).is_some());
            if there {
                views.attach(&resource)?;
            }
        }
        Ok(views)
    }

    /// How often a view was damaged and built again since the start.
    pub fn rebuilt(&self) -> u64 {
        self.rebuilt.load(Ordering::Relaxed)
    }

    /// The field that is a document's key, for imports that do not give keys.
    ///
    /// # Errors
    /// `HW-KERNEL-019` when there is no such table.
    pub fn key_field(&self, table: &str) -> Result<Option<String>, Problem> {
        Ok(self.table(table)?.key.clone())
    }

    /// How many documents a table has. Counts them.
    ///
    /// # Errors
    /// `HW-KERNEL-019`, `HW-KERNEL-022`.
    pub fn count(&self, table: &str) -> Result<u64, Problem> {
        let table = self.table(table)?;
        self.answer(|view| view.count(*table.id.read()))
    }

    /// The unit kind that keeps views up to date.
    pub(crate) fn unit_kind(self: &Arc<Self>) -> UnitKind {
        UnitKind::new(VIEW_UNIT, self, |views: Arc<Self>, unit| async move { follow::start(&views, &unit.resource) })
    }

    /// Forgets a deleted table.
    pub(crate) fn drop_view(&self, name: &Name) -> Result<(), Problem> {
        self.tables.write().remove(name);
        self.answer(|view| view.drop_table(name.as_str()))
    }

    /// Begins to serve a table with its current spec.
    fn attach(&self, resource: &Resource) -> Result<Arc<Table>, Problem> {
        let name = resource.metadata.name.clone();
        let spec: TableSpec = serde_json::from_value(resource.effective().clone()).map_err(|error| {
            Problem::new("HW-KERNEL-010", format!("the spec of `{}` cannot be read", resource.id())).because(error)
        })?;
        let stream = stream_name(name.as_str())?;
        let Some(stream) = self.log.stream(stream.as_str()) else {
            return Err(Problem::new(
                "HW-KERNEL-019",
                format!("the stream `{stream}` of the table `{name}` does not exist yet"),
            ));
        };
        let bytes_max = stream.config.batch_bytes().min(self.limits.batch_bytes);
        let changes = spec.changes.as_ref().and_then(|spec| Changes::of(&name, spec, bytes_max));
        let indexes = index::declared(&spec);
        let schema = spec.schema.map(|schema| crate::schema::compile(&Value::Object(schema))).transpose()?;
        let id = self.answer(|view| view.table(name.as_str(), stream.id))?;
        let before = self.tables.read().get(&name).cloned();
        let table = Arc::new(Table {
            id: RwLock::new(id),
            key: spec.key,
            ttl: spec.ttl.map(|ttl| ttl.duration()),
            ttl_field: spec.ttl_field,
            indexes,
            index_ids: RwLock::default(),
            changes,
            schema,
            cache: Cache::new(self.limits.table_cache_bytes, self.clock.now()),
            keys: Keys::new(self.limits.table_cache_bytes),
            generation: AtomicU64::new(before.map_or(1, |before| before.generation.load(Ordering::SeqCst) + 1)),
            applied: (0..stream.config.partitions).map(|_| AtomicI64::new(0)).collect(),
            moved: Notify::new(),
            news: Arc::new(Notify::new()),
            caught_up: AtomicBool::new(false),
            writing: Mutex::new((0..stream.config.partitions).map(|_| Pending::default()).collect()),
            name: name.clone(),
            stream,
        });
        for (partition, applied) in (0..).zip(&table.applied) {
            applied.store(self.answer(|view| view.applied(id, partition))?, Ordering::SeqCst);
        }
        self.declare(&table)?;
        self.tables.write().insert(name, Arc::clone(&table));
        self.attached.notify_waiters();
        Ok(table)
    }

    fn table(&self, name: &str) -> Result<Arc<Table>, Problem> {
        let found = self.tables.read().get(name).cloned();
        found.ok_or_else(|| {
            let resources = self.resources.list(Some("Table"));
            let near = closest(name, resources.iter().map(|resource| resource.metadata.name.as_str()));
            let near =
                near.filter(|near| *near != name).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            Problem::new("HW-KERNEL-019", format!("there is no table `{}`", crate::kind::short(name)))
                .help(format!("{near}apply a resource of kind `Table`"))
        })
    }

    /// As `table`, but waits for one whose resource was applied a moment ago.
    async fn table_soon(&self, name: &Name) -> Result<Arc<Table>, Problem> {
        if self.resources.get("Table", name.as_str()).is_none() {
            return self.table(name.as_str());
        }
        let wait = async {
            loop {
                let attached = self.attached.notified();
                if let Ok(table) = self.table(name.as_str()) {
                    return table;
                }
                attached.await;
            }
        };
        match tokio::time::timeout(ATTACH_MAX, wait).await {
            Ok(table) => Ok(table),
            Err(_) => self.table(name.as_str()),
        }
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    /// Asks the view; a damaged one is replaced by an empty one, which is built again, and then asked once more.
    fn answer<T>(&self, ask: impl Fn(&View) -> Result<T, ViewError>) -> Result<T, Problem> {
        let (answer, view) = {
            // Held meanwhile: what its tables are called changes with the view.
            let view = self.view.read();
            (ask(&view), Arc::clone(&view))
        };
        match answer {
            Err(ViewError::Damaged(words)) => {
                self.repair(&view, &words)?;
                ask(&self.view.read()).map_err(|error| failed(&error))
            }
            other => other.map_err(|error| failed(&error)),
        }
    }

    /// Replaces `damaged`, unless somebody else did already.
    fn repair(&self, damaged: &Arc<View>, words: &str) -> Result<(), Problem> {
        let _one_at_a_time = self.rebuilding.lock();
        if !Arc::ptr_eq(damaged, &self.view()) {
            return Ok(());
        }
        tracing::error!(file = %self.path.display(), cause = words, "view of the tables is damaged and is built again");
        self.rebuilt.fetch_add(1, Ordering::Relaxed);
        self.replace_view()
    }

    /// Throws the whole view away; the units of the tables build it again from their streams.
    fn replace_view(&self) -> Result<(), Problem> {
        let tables: Vec<Arc<Table>> = self.tables.read().values().cloned().collect();
        // Nobody asks the old one from here on, or applies changes to it.
        let mut current = self.view.write();
        View::remove(&self.path).map_err(|error| failed(&error))?;
        let (view, _) = View::open(&self.path).map_err(|error| failed(&error))?;
        let mut made = Vec::with_capacity(tables.len());
        for table in &tables {
            let id = view.table(table.name.as_str(), table.stream.id).map_err(|error| failed(&error))?;
            let definitions: Vec<String> = table.indexes.iter().map(|index| index.by.definition()).collect();
            let definitions: Vec<&str> = definitions.iter().map(String::as_str).collect();
            made.push((id, view.indexes(id, &definitions).map_err(|error| failed(&error))?));
        }
        // Nothing fails from here on.
        for (table, (id, indexes)) in tables.iter().zip(made) {
            table.cache.begin();
            *table.id.write() = id;
            *table.index_ids.write() = indexes.into_iter().map(|(id, _)| id).collect();
            // Of no documents, every one has its entries.
            table.indexes.iter().for_each(|index| index.complete.store(true, Ordering::SeqCst));
            table.caught_up.store(false, Ordering::SeqCst);
            table.forget();
        }
        *current = Arc::new(view);
        drop(current);
        for table in tables {
            table.news.notify_one();
        }
        Ok(())
    }

    /// Whether a commit appends to the stream of a table that tells its changes.
    fn tells(&self, commit: &Commit) -> bool {
        let named = |append: &headwater_log::Append| append.stream.as_str().strip_prefix("table.").map(str::to_owned);
        let mut names = commit.appends.iter().filter_map(named).peekable();
        if names.peek().is_none() {
            return false;
        }
        let tables = self.tables.read();
        names.any(|name| tables.get(name.as_str()).is_some_and(|table| table.changes.is_some()))
    }

    /// The document of a key as the view has it, be its time up or not.
    fn shown(&self, table: &Table, key: &str) -> Result<Option<Document>, Problem> {
        if let Some(known) = known(table, key) {
            return Ok(known);
        }
        let stamp = table.cache.stamp();
        let found = self.answer(|view| view.get(*table.id.read(), key))?.map(document);
        table.cache.learn(stamp, key, found.as_ref());
        Ok(found)
    }
}

/// What memory knows of a key, be its time up or not; None where the view has to be asked.
fn known(table: &Table, key: &str) -> Option<Option<Document>> {
    table.cache.get(key).or_else(|| (!table.keys.may_hold(key)).then_some(None))
}

impl Tables for TableViews {
    fn get(&self, table: &str, key: &str) -> Result<Option<Document>, Problem> {
        let table = self.table(table)?;
        Ok(self.shown(&table, key)?.filter(|document| self.alive(&table, document)))
    }

    fn held(&self, table: &str, key: &str) -> Result<Option<Option<Document>>, Problem> {
        let table = self.table(table)?;
        Ok(known(&table, key).map(|found| found.filter(|document| self.alive(&table, document))))
    }

    fn list(&self, table: &str, after: Option<&str>, count: usize) -> Result<Vec<Document>, Problem> {
        let table = self.table(table)?;
        let (mut documents, mut after) = (Vec::new(), after.map(str::to_owned));
        while documents.len() < count {
            let wanted = count - documents.len();
            let rows = self.answer(|view| view.list(*table.id.read(), after.as_deref(), wanted))?;
            let end = rows.len() < wanted;
            after = rows.last().map(|row| row.key.clone());
            documents.extend(rows.into_iter().map(document).filter(|document| self.alive(&table, document)));
            if end {
                break;
            }
        }
        Ok(documents)
    }

    fn put<'a>(
        &'a self,
        table: &'a Name,
        key: &'a str,
        value: Option<Json>,
        expect: Option<u64>,
    ) -> BoxFuture<'a, Result<u64, Problem>> {
        Box::pin(async move {
            let writes = [Write { expect, ..Write::unconditional(table, key, value) }];
            let (_, version) = self.write_durably(&writes).await.map_err(|error| error.problem(&writes))?;
            Ok(version)
        })
    }

    fn transact_telling(
        &self,
        writes: &[Write],
        also: &mut Commit,
        tell: &mut Tell<'_>,
    ) -> Result<Transacted, TransactError> {
        self.decide_telling(writes, also, false, tell).map(|decided| decided.transacted)
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> BoxFuture<'a, Result<Vec<Written>, TransactError>> {
        Box::pin(self.write_all(writes))
    }

    fn query(&self, table: &str, query: &Query) -> Result<Page, Problem> {
        self.ask(table, query)
    }

    fn generation(&self, table: &str) -> u64 {
        self.tables.read().get(table).map_or(0, |table| table.generation.load(Ordering::SeqCst))
    }

    fn key_field(&self, table: &str) -> Result<Option<String>, Problem> {
        Self::key_field(self, table)
    }

    fn index_fields(&self, table: &str, index: &str) -> Result<Vec<String>, Problem> {
        let table = self.table(table)?;
        let (_, index) = table.index(index)?;
        Ok(match &index.by {
            index::By::Fields(fields) => fields.clone(),
            index::By::Expiry(field) => vec![field.clone()],
        })
    }

    fn settled<'a>(&'a self, table: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(self.settle(table))
    }
}

fn document(row: Row) -> Document {
    Document { key: row.key, version: row.version, updated: Micros(row.updated_us), value: Bytes::from(row.value) }
}

fn failed(error: &ViewError) -> Problem {
    Problem::new("HW-KERNEL-022", "the view of the tables does not answer")
        .because(error)
        .help("`headwater doctor` checks the data folder; after `headwater rebuild` the next start makes the view anew")
}

#[cfg(test)]
mod tests;
