//! What can be asked: a schema each for datasets, streams, tables and files of others, and for each namespace of the
//! lake's catalog with its tables and views, looked up when a statement names them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::TableType;
use headwater_base::Principal;
use headwater_kernel::port::Catalog as _;
use headwater_kernel::port::catalog::DATASETS as TABLES_OF_DATASETS;
use headwater_kernel::port::forecast::Forecaster;
use headwater_kernel::{Kernel, kind};
use parking_lot::RwLock;

use super::documents::DocumentTable;
use super::external::{self, postgres::Servers};
use super::fault;
use super::files::Listings;
use super::information::{INFORMATION, Information};
use super::lake::LakeTable;
use super::listed::Unlisted;
use super::sight::Seen;
use super::streams::StreamTable;
use super::views::Scope;
use crate::LakeCatalog;
use crate::kinds::dataset::DatasetSpec;
use crate::kinds::external_table::ExternalTableSpec;

/// The one catalog.
pub const CATALOG: &str = "headwater";
/// The schema of datasets, which needs no name. It is also called as their namespace is in the catalog.
pub const DATASETS: &str = "public";
/// The schemas of the node's own, and the kind of resource that each holds.
pub const SCHEMAS: [(&str, &str); 4] =
    [(DATASETS, "Dataset"), ("external", "ExternalTable"), ("streams", "Stream"), ("tables", "Table")];

/// What tables are made of.
pub struct Sources {
    /// Resources, streams and tables.
    pub kernel: Arc<Kernel>,
    /// Datasets, and what clients of the catalog made.
    pub catalog: LakeCatalog,
    /// What is known of files.
    pub listings: Listings,
    /// What tells the next values of a series.
    pub forecaster: Forecaster,
    /// Connections to PostgreSQL servers of others.
    pub servers: Servers,
    /// Tables that lists could not read.
    pub unlisted: Arc<Unlisted>,
}

impl Sources {
    /// What a node keeps, and what forecasts for those who ask for it.
    pub fn new(kernel: Arc<Kernel>, catalog: LakeCatalog, forecaster: Forecaster) -> Self {
        let servers = Servers::new(Arc::clone(&kernel));
        Self { kernel, catalog, listings: Listings::default(), forecaster, servers, unlisted: Arc::default() }
    }
}

/// The catalog of a node, as one principal sees it.
pub struct Catalog {
    scope: Scope,
    /// What plays PostgreSQL's own tables.
    others: RwLock<BTreeMap<String, Arc<dyn SchemaProvider>>>,
}

impl Catalog {
    /// The catalog of these sources for `principal`; `session` is what statements of that one are planned with.
    pub fn new(sources: &Arc<Sources>, principal: Principal, session: Weak<RwLock<SessionState>>) -> Self {
        Self::of(Scope::new(Arc::clone(sources), principal, session))
    }

    /// The catalog of a scope.
    pub fn of(scope: Scope) -> Self {
        Self { scope, others: RwLock::default() }
    }

    fn seen(&self, name: &str, schema: impl SchemaProvider + 'static) -> Arc<dyn SchemaProvider> {
        let (kernel, principal) = (Arc::clone(&self.scope.sources.kernel), self.scope.principal.clone());
        Arc::new(Seen::new(name, Arc::new(schema), kernel, principal))
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catalog")
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        let own = SCHEMAS.iter().map(|(schema, _)| (*schema).to_owned());
        let has_tables = |name: &String| self.schema(name).is_some_and(|schema| !schema.table_names().is_empty());
        let namespaces = self.scope.sources.catalog.namespaces().into_iter().filter(|name| !is_taken(name));
        let namespaces = namespaces.filter(|name| self.scope.principal.is_admin() || has_tables(name));
        own.chain(self.others.read().keys().cloned()).chain(namespaces).collect()
    }

    fn register_schema(&self, name: &str, schema: Arc<dyn SchemaProvider>) -> Result<Option<Arc<dyn SchemaProvider>>> {
        Ok(self.others.write().insert(name.to_owned(), schema))
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let sources = &self.scope.sources;
        // In the catalog of all engines the datasets have a namespace.
        let name = if name == TABLES_OF_DATASETS { DATASETS } else { name };
        if name == INFORMATION {
            let (catalogs, principal) = (self.scope.catalogs()?, self.scope.principal.clone());
            return Some(Arc::new(Information::new(catalogs, sources, principal)));
        }
        match SCHEMAS.iter().find(|(schema, _)| *schema == name) {
            Some((_, kind)) => Some(self.seen(name, Schema { kind, sources: Arc::clone(sources) })),
            None => self.others.read().get(name).cloned().or_else(|| {
                sources.catalog.namespace(name).ok().filter(|_| !is_taken(name))?;
                Some(self.seen(name, Namespace { name: name.to_owned(), scope: self.scope.clone() }))
            }),
        }
    }
}

/// Whether a namespace of the catalog cannot be a schema by its own name.
fn is_taken(namespace: &str) -> bool {
    [TABLES_OF_DATASETS, INFORMATION].contains(&namespace) || SCHEMAS.iter().any(|(schema, _)| *schema == namespace)
}

/// The tables and views that clients of the catalog made in one of its namespaces.
struct Namespace {
    name: String,
    scope: Scope,
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.name)
    }
}

#[async_trait]
impl SchemaProvider for Namespace {
    fn table_names(&self) -> Vec<String> {
        let catalog = &self.scope.sources.catalog;
        let mut names = catalog.tables(&self.name).unwrap_or_default();
        names.extend(catalog.views(&self.name).unwrap_or_default());
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let sources = &self.scope.sources;
        if sources.catalog.has_view(&self.name, name) {
            return self.scope.view(&self.name, name).await.map(Some);
        }
        if !sources.catalog.has(&self.name, name) {
            return Ok(None);
        }
        let version = sources.catalog.version(&self.name, name).await.map_err(fault::carried)?;
        Ok(Some(Arc::new(LakeTable::foreign(sources, &self.name, name, &version).await?)))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let catalog = &self.scope.sources.catalog;
        Ok(match (catalog.has(&self.name, name), catalog.has_view(&self.name, name)) {
            (true, _) => Some(TableType::Base),
            (false, true) => Some(TableType::View),
            (false, false) => None,
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        let catalog = &self.scope.sources.catalog;
        catalog.has(&self.name, name) || catalog.has_view(&self.name, name)
    }
}

struct Schema {
    kind: &'static str,
    sources: Arc<Sources>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.kind)
    }
}

#[async_trait]
impl SchemaProvider for Schema {
    fn table_names(&self) -> Vec<String> {
        let resources = self.sources.kernel.list(Some(self.kind));
        resources.iter().map(|resource| resource.metadata.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let kernel = &self.sources.kernel;
        let Some(resource) = kernel.get(self.kind, name) else { return Ok(None) };
        let bytes = kernel.limits().batch_decompressed_bytes;
        Ok(match self.kind {
            "Dataset" => {
                let draft = resource.draft();
                let spec: DatasetSpec =
                    kind::decode(resource.effective(), "/spec", &draft.origin).map_err(fault::carried)?;
                Some(Arc::new(LakeTable::dataset(&self.sources, name, &spec).await?))
            }
            "ExternalTable" => {
                let origin = &resource.draft().origin;
                let spec: ExternalTableSpec =
                    kind::decode(resource.effective(), "/spec", origin).map_err(fault::carried)?;
                Some(match &spec.postgres {
                    Some(postgres) => external::postgres::table(&self.sources.servers, name, postgres).await?,
                    None => external::table(name, &spec).await?,
                })
            }
            "Table" => Some(Arc::new(DocumentTable::new(kernel.tables(), name))),
            // A resource that was just applied has no stream yet.
            _ => match kernel.log().stream(name) {
                Some(stream) => {
                    let pinned = StreamTable::pin(kernel.log(), stream, bytes);
                    Some(Arc::new(pinned.map_err(|error| fault::unreadable(name, error))?))
                }
                None => None,
            },
        })
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.sources.kernel.get(self.kind, name).is_some()
    }
}
