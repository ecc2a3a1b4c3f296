//! Tables that a statement has named while it is planned: where a view names one again, it is the same, at the same
//! position.
//!
//! What it is NOT: a cache. What is asked for outside of a statement's planning, as listings do, is looked up anew.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::TableType;
use parking_lot::Mutex;

tokio::task_local! {
    /// By schema and name.
    static PINS: Mutex<HashMap<(String, String), Arc<dyn TableProvider>>>;
}

/// Plans one statement.
pub async fn planning<T>(plan: impl Future<Output = T>) -> T {
    PINS.scope(Mutex::default(), plan).await
}

/// A table as the statement that is planned has it already, or as it is now. Views are looked up each time: what one is
/// depends on the views that it stands in.
///
/// # Errors
/// What the schema says.
pub async fn table(
    schema: &dyn SchemaProvider,
    schema_name: &str,
    name: &str,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let key = (schema_name.to_owned(), name.to_owned());
    if let Ok(Some(table)) = PINS.try_with(|pins| pins.lock().get(&key).cloned()) {
        return Ok(Some(table));
    }
    let table = schema.table(name).await?;
    if let Some(table) = table.as_ref().filter(|table| table.table_type() == TableType::Base) {
        // An error says that no statement is planned.
        let _ = PINS.try_with(|pins| pins.lock().insert(key, Arc::clone(table)));
    }
    Ok(table)
}
