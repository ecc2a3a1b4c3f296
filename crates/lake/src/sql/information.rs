//! `information_schema`: the engine's tables, but for the columns of all tables (`columns.rs`), and beside them what keys
//! datasets have, as tools ask for them before they show a database.
//!
//! What it is NOT: a promise. A dataset's key is checked where its rows are made; nothing else here has keys, and nothing
//! refers to anything.
//!
//! # Source
//! PostgreSQL 17, "The Information Schema".

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{CatalogProviderList, MemTable, SchemaProvider, TableProvider};
use datafusion::common::Result;
use headwater_base::Principal;
use headwater_kernel::{Kernel, Resource, kind};

use super::catalog::{CATALOG, DATASETS, Sources};
use super::listed::Listed;
use super::sight::{self, Sight};
use crate::kinds::dataset::DatasetSpec;
use crate::layout::Layout;

mod columns;

/// Its name.
pub const INFORMATION: &str = "information_schema";
/// The one of the engine's tables that is another one here.
const COLUMNS: &str = "columns";
/// The tables that the engine lacks.
const OWN: [&str; 4] = ["constraint_column_usage", "key_column_usage", "referential_constraints", "table_constraints"];

/// `information_schema` as one principal sees it.
pub struct Information {
    engine: InformationSchemaProvider,
    listed: Arc<dyn CatalogProviderList>,
    kernel: Arc<Kernel>,
    principal: Principal,
}

impl Information {
    /// That of a session's catalogs.
    pub fn new(catalogs: Arc<dyn CatalogProviderList>, sources: &Sources, principal: Principal) -> Self {
        let listed: Arc<dyn CatalogProviderList> = Arc::new(Listed::new(catalogs, &sources.unlisted));
        let engine = InformationSchemaProvider::new(Arc::clone(&listed));
        Self { engine, listed, kernel: Arc::clone(&sources.kernel), principal }
    }

    /// The datasets that have a key, and its columns.
    fn keys(&self) -> Vec<(String, Vec<String>)> {
        let key = |resource: &Arc<Resource>| {
            let (name, spec) = spec_of(resource)?;
            let key = Layout::of(&spec).ok()?.key;
            let is_there = sight::of(&self.kernel, &self.principal, DATASETS, &name) != Sight::Nothing;
            (is_there && !key.is_empty()).then_some((name, key))
        };
        self.kernel.list(Some("Dataset")).iter().filter_map(key).collect()
    }

    fn own(&self, table: &str) -> Result<RecordBatch> {
        let keys = self.keys();
        let datasets: Vec<&str> = keys.iter().map(|(dataset, _)| dataset.as_str()).collect();
        let mut parts: Vec<(&str, &str, i32)> = Vec::new();
        for (dataset, key) in &keys {
            parts.extend(key.iter().zip(1..).map(|(column, at)| (dataset.as_str(), column.as_str(), at)));
        }
        let of_parts: Vec<&str> = parts.iter().map(|(dataset, ..)| *dataset).collect();
        let names = || parts.iter().map(|(_, column, _)| (*column).to_owned());
        let columns = match table {
            "table_constraints" => Columns::default()
                .constraint("constraint", &datasets)
                .table(&datasets)
                .all("constraint_type", &datasets, "PRIMARY KEY")
                .all("is_deferrable", &datasets, "NO")
                .all("initially_deferred", &datasets, "NO")
                .all("enforced", &datasets, "YES"),
            "key_column_usage" => Columns::default()
                .constraint("constraint", &of_parts)
                .table(&of_parts)
                .text("column_name", names())
                .number("ordinal_position", parts.iter().map(|(.., at)| Some(*at)))
                .number("position_in_unique_constraint", parts.iter().map(|_| None)),
            "constraint_column_usage" => {
                Columns::default().table(&of_parts).text("column_name", names()).constraint("constraint", &of_parts)
            }
            _ => Columns::default()
                .constraint("constraint", &[])
                .constraint("unique_constraint", &[])
                .all("match_option", &[], "NONE")
                .all("update_rule", &[], "NO ACTION")
                .all("delete_rule", &[], "NO ACTION"),
        };
        columns.batch()
    }
}

/// The columns of one of the tables.
#[derive(Default)]
struct Columns(Vec<(Field, ArrayRef)>);

impl Columns {
    fn text(mut self, name: &str, values: impl Iterator<Item = String>) -> Self {
        let values = StringArray::from_iter_values(values);
        self.0.push((Field::new(name, DataType::Utf8, true), Arc::new(values)));
        self
    }

    fn number(mut self, name: &str, values: impl Iterator<Item = Option<i32>>) -> Self {
        let values: Int32Array = values.collect();
        self.0.push((Field::new(name, DataType::Int32, true), Arc::new(values)));
        self
    }

    /// No text in any row.
    fn nothing(mut self, name: &str, rows: usize) -> Self {
        self.0.push((Field::new(name, DataType::Utf8, true), Arc::new(StringArray::new_null(rows))));
        self
    }

    fn batch(self) -> Result<RecordBatch> {
        let (fields, values): (Vec<Field>, Vec<ArrayRef>) = self.0.into_iter().unzip();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), values)?)
    }

    /// The same in each row.
    fn all(self, name: &str, rows: &[&str], value: &str) -> Self {
        self.text(name, rows.iter().map(|_| value.to_owned()))
    }

    /// Where datasets are.
    fn table(self, datasets: &[&str]) -> Self {
        let names = datasets.iter().map(|name| (*name).to_owned());
        self.all("table_catalog", datasets, CATALOG).all("table_schema", datasets, DATASETS).text("table_name", names)
    }

    /// What their keys are called, which is in the same place.
    fn constraint(self, prefix: &str, datasets: &[&str]) -> Self {
        let names = datasets.iter().map(|name| format!("{name}_pkey"));
        self.all(&format!("{prefix}_catalog"), datasets, CATALOG)
            .all(&format!("{prefix}_schema"), datasets, DATASETS)
            .text(&format!("{prefix}_name"), names)
    }
}

/// A dataset's name and what it is.
fn spec_of(resource: &Resource) -> Option<(String, DatasetSpec)> {
    let spec = kind::decode(resource.effective(), "/spec", &resource.draft().origin).ok()?;
    Some((resource.metadata.name.to_string(), spec))
}

impl fmt::Debug for Information {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Information")
    }
}

#[async_trait]
impl SchemaProvider for Information {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.engine.table_names();
        names.extend(OWN.map(str::to_owned));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name.eq_ignore_ascii_case(COLUMNS) {
            return columns::table(Arc::clone(&self.listed)).map(Some);
        }
        if !OWN.contains(&name) {
            return self.engine.table(name).await;
        }
        let batch = self.own(name)?;
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        OWN.contains(&name) || self.engine.table_exist(name)
    }
}
