//! What a principal sees of a relation, by the policies that are there now.
//!
//! Invariant: in doubt nothing. A policy that cannot be read lets nothing through.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::TableType;
use headwater_base::Principal;
use headwater_kernel::Kernel;

use super::guarded::Guarded;
use super::pins;
use crate::charts::text;
use crate::kinds::row_policy::{self, RowPolicySpec};

/// What is seen of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is not there.
    Nothing,
    /// The rows that meet a condition.
    Rows(String),
    /// Everything.
    Everything,
}

/// What `principal` sees of `schema.name`. A node without policies shows everything to everybody; with the first one
/// each principal sees what policies let through.
pub fn of(kernel: &Kernel, principal: &Principal, schema: &str, name: &str) -> Sight {
    if principal.is_admin() {
        return Sight::Everything;
    }
    let policies = kernel.list(Some(row_policy::KIND.name));
    if policies.is_empty() {
        return Sight::Everything;
    }
    let mut conditions = Vec::new();
    for policy in policies {
        let Ok(spec) = serde_json::from_value::<RowPolicySpec>(policy.effective().clone()) else { continue };
        if !spec.is_about(principal, schema, name) {
            continue;
        }
        match spec.filter {
            None => return Sight::Everything,
            Some(filter) => conditions.push(format!("({})", text::closed(&filter))),
        }
    }
    if conditions.is_empty() { Sight::Nothing } else { Sight::Rows(conditions.join(" OR ")) }
}

/// A schema as one principal sees it: what it does not see is not there, not even by name.
pub struct Seen {
    name: String,
    schema: Arc<dyn SchemaProvider>,
    kernel: Arc<Kernel>,
    principal: Principal,
}

impl Seen {
    /// The schema `name` for `principal`.
    pub fn new(name: &str, schema: Arc<dyn SchemaProvider>, kernel: Arc<Kernel>, principal: Principal) -> Self {
        Self { name: name.to_owned(), schema, kernel, principal }
    }

    fn of(&self, table: &str) -> Sight {
        of(&self.kernel, &self.principal, &self.name, table)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({} by {})", self.name, self.principal)
    }
}

#[async_trait]
impl SchemaProvider for Seen {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.schema.table_names();
        names.retain(|name| self.of(name) != Sight::Nothing);
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.of(name) {
            Sight::Nothing => Ok(None),
            Sight::Everything => pins::table(&*self.schema, &self.name, name).await,
            Sight::Rows(condition) => {
                let table = pins::table(&*self.schema, &self.name, name).await?;
                Ok(table.map(|table| Arc::new(Guarded::new(table, name, condition)) as Arc<dyn TableProvider>))
            }
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        match self.of(name) {
            Sight::Nothing => Ok(None),
            Sight::Rows(_) | Sight::Everything => self.schema.table_type(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.of(name) != Sight::Nothing && self.schema.table_exist(name)
    }
}
