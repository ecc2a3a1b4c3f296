//! What can be asked: a schema each for datasets, streams and tables, looked up when a statement names them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::TableType;
use headwater_base::Limits;
use headwater_kernel::kind;
use headwater_kernel::port::Tables;
use headwater_kernel::resource::Resource;
use headwater_log::Log;
use parking_lot::RwLock;

use super::datasets::DatasetTable;
use super::documents::DocumentTable;
use super::fault;
use super::streams::StreamTable;
use crate::kinds::dataset::DatasetSpec;

/// The one catalog.
pub const CATALOG: &str = "headwater";
/// The schema of datasets, which needs no name.
pub const DATASETS: &str = "public";
/// The schema of streams.
pub const STREAMS: &str = "streams";
/// The schema of tables.
pub const TABLES: &str = "tables";

/// The schemas of the node's own.
pub const SCHEMAS: [&str; 3] = [DATASETS, STREAMS, TABLES];

/// What tables are made of.
pub struct Sources {
    /// Streams.
    pub log: Arc<dyn Log>,
    /// Tables.
    pub tables: Arc<dyn Tables>,
    /// The tables of datasets.
    pub datasets: Arc<crate::tables::Tables>,
    /// The resources of a kind.
    pub resources: Arc<dyn Fn(&str) -> Vec<Arc<Resource>> + Send + Sync>,
    /// The bounds.
    pub limits: Arc<Limits>,
}

impl Sources {
    fn names(&self, kind: &str) -> Vec<String> {
        (self.resources)(kind).iter().map(|resource| resource.metadata.name.to_string()).collect()
    }

    fn find(&self, kind: &str, name: &str) -> Option<Arc<Resource>> {
        (self.resources)(kind).into_iter().find(|resource| resource.metadata.name.as_str() == name)
    }
}

/// A dataset as it is now; None when it has no table yet.
async fn dataset(sources: &Sources, resource: &Resource) -> Result<Option<Arc<dyn TableProvider>>> {
    let draft = resource.draft();
    let spec: DatasetSpec = kind::decode(resource.effective(), "/spec", &draft.origin).map_err(fault::carried)?;
    let (name, bytes) = (resource.metadata.name.as_str(), sources.limits.batch_decompressed_bytes);
    let pinned = DatasetTable::pin(&sources.datasets, name, &spec, bytes).await?;
    Ok(pinned.map(|table| Arc::new(table) as Arc<dyn TableProvider>))
}

/// The catalog of a node.
pub struct Catalog {
    sources: Arc<Sources>,
    /// What plays PostgreSQL's own tables.
    others: RwLock<BTreeMap<String, Arc<dyn SchemaProvider>>>,
}

impl Catalog {
    /// The catalog of these sources.
    pub fn new(sources: Sources) -> Self {
        Self { sources: Arc::new(sources), others: RwLock::default() }
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catalog")
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        let own = SCHEMAS.iter().map(|name| (*name).to_owned());
        own.chain(self.others.read().keys().cloned()).collect()
    }

    fn register_schema(&self, name: &str, schema: Arc<dyn SchemaProvider>) -> Result<Option<Arc<dyn SchemaProvider>>> {
        Ok(self.others.write().insert(name.to_owned(), schema))
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let of = match name {
            DATASETS => Of::Datasets,
            STREAMS => Of::Streams,
            TABLES => Of::Tables,
            other => return self.others.read().get(other).cloned(),
        };
        Some(Arc::new(Schema { of, sources: Arc::clone(&self.sources) }))
    }
}

#[derive(Clone, Copy)]
enum Of {
    Datasets,
    Streams,
    Tables,
}

struct Schema {
    of: Of,
    sources: Arc<Sources>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        match self.of {
            Of::Datasets => self.sources.names("Dataset"),
            Of::Streams => self.sources.log.streams().iter().map(|stream| stream.name.to_string()).collect(),
            Of::Tables => self.sources.names("Table"),
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let sources = &self.sources;
        Ok(match self.of {
            Of::Datasets => match sources.find("Dataset", name) {
                Some(resource) => dataset(sources, &resource).await?,
                None => None,
            },
            Of::Streams => match sources.log.stream(name) {
                Some(stream) => {
                    let pinned = StreamTable::pin(&sources.log, stream, sources.limits.batch_decompressed_bytes);
                    Some(Arc::new(pinned.map_err(|error| fault::unreadable(name, error))?))
                }
                None => None,
            },
            Of::Tables if self.table_exist(name) => Some(Arc::new(DocumentTable::new(&sources.tables, name))),
            Of::Tables => None,
        })
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        match self.of {
            Of::Datasets => self.sources.find("Dataset", name).is_some(),
            Of::Streams => self.sources.log.stream(name).is_some(),
            Of::Tables => self.sources.find("Table", name).is_some(),
        }
    }
}
