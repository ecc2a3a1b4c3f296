//! Tables as lists ask for them: `information_schema`, PostgreSQL's own tables, and the list of relations.
//!
//! What it is NOT: a way to rows. A table that cannot be read is in lists by its name, without columns; why it cannot be
//! read is told by the statement that names it, and in the log once, until it can be read again.
//!
//! Invariant: a list waits for nobody who is away (`external/postgres/known.rs`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::TableType;
use parking_lot::Mutex;

use super::fault;

/// Tables of which it is known that the log has told of them.
const TOLD_MAX: usize = 1_024;

tokio::task_local! {
    static LISTED: ();
}

/// Whether the table that is looked up now is looked up for a list.
pub fn is_list() -> bool {
    LISTED.try_with(|_| ()).is_ok()
}

/// Tables that could not be read when they were listed last, and the code of what hindered it.
#[derive(Debug, Default)]
pub struct Unlisted(Mutex<HashMap<(String, String), String>>);

impl Unlisted {
    /// A table of a schema, for a list.
    ///
    /// # Errors
    /// Why it cannot be read, which the log has been told.
    pub async fn table(
        &self,
        schema: &dyn SchemaProvider,
        schema_name: &str,
        name: &str,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = LISTED.scope((), schema.table(name)).await;
        let key = (schema_name.to_owned(), name.to_owned());
        let mut all = self.0.lock();
        let Err(error) = &found else {
            all.remove(&key);
            return found;
        };
        let problem = fault::problem(error);
        if all.get(&key) != Some(&problem.code) {
            let (code, title, causes) = (&problem.code, &problem.title, problem.causes.join("; "));
            tracing::warn!(
                schema = schema_name,
                table = name,
                code,
                title,
                causes,
                "a table is listed without columns"
            );
            if all.len() >= TOLD_MAX {
                all.clear();
            }
            all.insert(key, problem.code);
        }
        found
    }
}

/// All catalogs of a session, as lists see them.
#[derive(Debug)]
pub struct Listed {
    catalogs: Arc<dyn CatalogProviderList>,
    unlisted: Arc<Unlisted>,
}

impl Listed {
    /// These catalogs; what cannot be read of them is kept in mind there.
    pub fn new(catalogs: Arc<dyn CatalogProviderList>, unlisted: &Arc<Unlisted>) -> Self {
        Self { catalogs, unlisted: Arc::clone(unlisted) }
    }
}

impl CatalogProviderList for Listed {
    fn register_catalog(&self, name: String, catalog: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        self.catalogs.register_catalog(name, catalog)
    }

    fn catalog_names(&self) -> Vec<String> {
        self.catalogs.catalog_names()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let catalog = self.catalogs.catalog(name)?;
        Some(Arc::new(ListedCatalog { catalog, unlisted: Arc::clone(&self.unlisted) }))
    }
}

#[derive(Debug)]
struct ListedCatalog {
    catalog: Arc<dyn CatalogProvider>,
    unlisted: Arc<Unlisted>,
}

impl CatalogProvider for ListedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.catalog.schema_names()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = self.catalog.schema(name)?;
        Some(Arc::new(ListedSchema { name: name.to_owned(), schema, unlisted: Arc::clone(&self.unlisted) }))
    }
}

struct ListedSchema {
    name: String,
    schema: Arc<dyn SchemaProvider>,
    unlisted: Arc<Unlisted>,
}

impl fmt::Debug for ListedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListedSchema({})", self.name)
    }
}

#[async_trait]
impl SchemaProvider for ListedSchema {
    fn owner_name(&self) -> Option<&str> {
        self.schema.owner_name()
    }

    fn table_names(&self) -> Vec<String> {
        self.schema.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.unlisted.table(&*self.schema, &self.name, name).await.unwrap_or_default())
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        self.schema.table_type(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.schema.table_exist(name)
    }
}
