//! `{type: table, table: users}`: the document of a table by its key, as fresh as the table itself.
//!
//! In a run over files without a node, a table is the file `<table>.ndjson` of the folder (or `tables/<table>.ndjson`),
//! objects with a `key`; a table without a file is empty.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::{Name, Problem};
use headwater_kernel::port::{Context, Json, Lookup, LookupError, Tables};
use serde_json::{Value, json};

use super::file::Rows;
use super::options::{Options, place};

pub(super) fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["type", "table"],
        "properties": {
            "type": {"const": "table"},
            "table": {"type": "string", "description": "The Table resource that is asked."}
        }
    })
}

pub(super) fn check(spec: &Value) -> Result<(), Problem> {
    read(spec).map(drop)
}

fn read(spec: &Value) -> Result<Name, Problem> {
    Name::new(Options::new(spec, &["table"])?.text("table")?)
}

pub(super) fn build(spec: &Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let table = read(spec)?;
    if let Some(tables) = &context.tables {
        return Ok(Arc::new(Table { tables: Arc::clone(tables), table }));
    }
    for name in [format!("{table}.ndjson"), format!("tables/{table}.ndjson")] {
        let path = place(context, &name);
        if path.is_file() {
            return Ok(Arc::new(Rows::ndjson(&path, "key")?));
        }
    }
    Ok(Arc::new(Rows::default()))
}

struct Table {
    tables: Arc<dyn Tables>,
    table: Name,
}

impl Lookup for Table {
    fn at_once(&self, key: &str) -> Option<Result<Option<Json>, LookupError>> {
        let document = self.tables.get(self.table.as_str(), key);
        Some(
            document
                .map(|document| document.map(|document| document.value))
                .map_err(|problem| LookupError::Unavailable(problem.title)),
        )
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        Box::pin(std::future::ready(self.at_once(key).unwrap_or(Ok(None))))
    }
}
