//! The catalog of tables and views: what engines outside ask before they read files, in the words of Iceberg's REST catalog.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use headwater_base::Problem;
use serde_json::Value;

use super::Json;

/// The namespace of the tables that streams feed.
pub const DATASETS: &str = "datasets";

/// A table as readers need it, or a view.
#[derive(Clone, Debug)]
pub struct TableAt {
    /// Location of the current metadata file; none of a table that a commit has yet to make.
    pub metadata_location: Option<String>,
    /// The metadata itself, Iceberg's JSON.
    pub metadata: Json,
    /// What readers have to know to open its files, in the catalog's words. Never a key.
    pub config: BTreeMap<String, String>,
}

/// What a table or view is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

/// What a client wants to change of a table.
#[derive(Clone, Debug)]
pub struct TableChange {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub table: String,
    /// A `CommitTableRequest`: requirements and updates.
    pub request: Value,
}

/// Tables by namespace and name. The tables of [`DATASETS`] are fed by streams and written by the node alone.
pub trait Catalog: Send + Sync {
    /// The namespaces, by name.
    fn namespaces(&self) -> Vec<String>;

    /// The properties of a namespace.
    ///
    /// # Errors
    /// `HW-LAKE-030` when there is none.
    fn namespace(&self, name: &str) -> Result<Value, Problem>;

    /// Makes a namespace.
    ///
    /// # Errors
    /// `HW-LAKE-031` when it is there, `HW-LAKE-035` for a name that cannot be.
    fn create_namespace<'a>(&'a self, name: &'a str, properties: Value) -> BoxFuture<'a, Result<(), Problem>>;

    /// Changes properties of a namespace: `{removals, updates}`. Answers what was `updated` and `removed`, and what was
    /// `missing` and could not be removed.
    ///
    /// # Errors
    /// `HW-LAKE-030`, `HW-LAKE-033` for the node's own, `HW-LAKE-035`, `HW-LAKE-090` for a property that is to be removed
    /// and updated.
    fn update_namespace<'a>(&'a self, name: &'a str, request: Value) -> BoxFuture<'a, Result<Value, Problem>>;

    /// Removes a namespace without tables and views.
    ///
    /// # Errors
    /// `HW-LAKE-030`, `HW-LAKE-033` for the node's own, `HW-LAKE-036` when there is something in it.
    fn drop_namespace<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Problem>>;

    /// The names of the tables of a namespace.
    ///
    /// # Errors
    /// `HW-LAKE-030` when there is no such namespace.
    fn tables(&self, namespace: &str) -> Result<Vec<String>, Problem>;

    /// The current version of a table.
    ///
    /// # Errors
    /// `HW-LAKE-032` when there is no such table, in no such namespace either, `HW-LAKE-021` and `HW-LAKE-063` when its
    /// files cannot be read.
    fn load<'a>(&'a self, namespace: &'a str, table: &'a str) -> BoxFuture<'a, Result<TableAt, Problem>>;

    /// Makes a table from a `CreateTableRequest`; only its metadata where the request says `stage-create`.
    ///
    /// # Errors
    /// `HW-LAKE-030`, 031, 033 and 035.
    fn create<'a>(&'a self, namespace: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>>;

    /// Gives a table that is there already a name, from a `RegisterTableRequest`: its metadata file. With `overwrite` the
    /// name may be that of a table.
    ///
    /// # Errors
    /// `HW-LAKE-030`, 031 and 033, `HW-LAKE-035` for a file that is no table's or lies where no table of a client may.
    fn register<'a>(&'a self, namespace: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>>;

    /// Changes tables, all or none; answers their new versions in the order of the changes. A change that requires that
    /// there is no such table (`assert-create`) makes it.
    ///
    /// # Errors
    /// `HW-LAKE-030` and 031 for names of tables that it makes, 032 for others, `HW-LAKE-033` for a table that a stream
    /// feeds, `HW-LAKE-034` when a requirement does not hold, `HW-LAKE-035` for a request that says nothing.
    fn commit(&self, changes: Vec<TableChange>) -> BoxFuture<'_, Result<Vec<TableAt>, Problem>>;

    /// Gives a table another name, in its namespace or in another one. Its files stay where they are.
    ///
    /// # Errors
    /// `HW-LAKE-032`, 030 and 031 for the new name's namespace and when it is taken, 033 for the node's own, 035 for a name
    /// that cannot be.
    fn rename_table(&self, from: Identifier, to: Identifier) -> BoxFuture<'_, Result<(), Problem>>;

    /// Removes a table; its files, too, where `purge` says so.
    ///
    /// # Errors
    /// `HW-LAKE-032` and 033.
    fn drop_table<'a>(&'a self, namespace: &'a str, table: &'a str, purge: bool) -> BoxFuture<'a, Result<(), Problem>>;

    /// The names of the views of a namespace.
    ///
    /// # Errors
    /// `HW-LAKE-030` when there is no such namespace.
    fn views(&self, namespace: &str) -> Result<Vec<String>, Problem>;

    /// The current metadata of a view.
    ///
    /// # Errors
    /// `HW-LAKE-091` when there is no such view, `HW-LAKE-021` when what is kept of it cannot be read.
    fn load_view(&self, namespace: &str, view: &str) -> Result<TableAt, Problem>;

    /// Makes a view from a `CreateViewRequest`.
    ///
    /// # Errors
    /// `HW-LAKE-030`, 031, 033 and 035.
    fn create_view<'a>(&'a self, namespace: &'a str, request: Value) -> BoxFuture<'a, Result<TableAt, Problem>>;

    /// Changes a view by a `CommitViewRequest`; answers what it is then.
    ///
    /// # Errors
    /// `HW-LAKE-033` and 091, `HW-LAKE-034` when a requirement does not hold, `HW-LAKE-035` for a request that says
    /// nothing.
    fn commit_view<'a>(
        &'a self,
        namespace: &'a str,
        view: &'a str,
        request: Value,
    ) -> BoxFuture<'a, Result<TableAt, Problem>>;

    /// Gives a view another name, in its namespace or in another one.
    ///
    /// # Errors
    /// As [`Catalog::rename_table`], and `HW-LAKE-091` when there is no such view.
    fn rename_view(&self, from: Identifier, to: Identifier) -> BoxFuture<'_, Result<(), Problem>>;

    /// Removes a view.
    ///
    /// # Errors
    /// `HW-LAKE-033` and 091.
    fn drop_view<'a>(&'a self, namespace: &'a str, view: &'a str) -> BoxFuture<'a, Result<(), Problem>>;

    /// What people want to know of a dataset: location, rows, files, snapshots, how far it is behind.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    fn describe<'a>(&'a self, dataset: &'a str) -> BoxFuture<'a, Result<Value, Problem>>;
}
