//! What a connection keeps of a statement that it has prepared: its text, and what its client is told of it.
//!
//! What is made of a text takes a hundred times as much, and clients keep what they prepare for days. Nobody needs it: each
//! execution plans the text anew, as a plan has tables at the position of its making. What speaks the protocol has one type for
//! statements, a text with its tree and its plan; here a tree that no text is read as stands in the place of the one, and
//! this in the place of the other.
//!
//! What it is NOT: a plan. What needs no turn (`SET`, `FETCH`, `COMMIT`) is kept whole, and counts for as much.

use std::any::Any;
use std::cmp::Ordering;
use std::hash::Hasher;
use std::sync::Arc;
use std::{fmt, ptr};

use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::{Expr, Extension, InvariantLevel, LogicalPlan, UserDefinedLogicalNode};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::FieldInfo;

use super::Prepared;

/// How much more than a text what is made of it takes.
const MADE: usize = 100;

/// What a client is told of a statement.
#[derive(Debug)]
pub struct Kept {
    /// The types of its parameters.
    pub parameters: Vec<Type>,
    /// The columns of its answer, as if they were sent as text.
    columns: Vec<FieldInfo>,
    /// That of a plan without columns.
    schema: DFSchemaRef,
}

impl Kept {
    /// A statement without what was made of its text.
    pub fn instead_of((text, planned): Prepared, parameters: Vec<Type>, columns: Vec<FieldInfo>) -> Prepared {
        let node = Self { parameters, columns, schema: Arc::new(DFSchema::empty()) };
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        (text, planned.map(|_| (Statement::UnlockTables, plan)))
    }

    /// What is kept of a statement, unless that is all of it.
    pub fn of(statement: &Prepared) -> Option<&Self> {
        match statement {
            (_, Some((_, LogicalPlan::Extension(plan)))) => plan.node.as_any().downcast_ref(),
            _ => None,
        }
    }

    /// The memory that a prepared statement takes.
    pub fn bytes(statement: &Prepared) -> usize {
        let (text, planned) = statement;
        let more = match Self::of(statement) {
            Some(kept) => {
                let names: usize = kept.columns.iter().map(|column| column.name().len()).sum();
                names + size_of_val(kept.columns.as_slice()) + size_of_val(kept.parameters.as_slice())
            }
            None if planned.is_some() => text.len().saturating_mul(MADE),
            None => 0,
        };
        size_of::<Prepared>() + text.len() + more
    }

    /// How many columns a statement's answer has.
    pub fn width(statement: &Prepared) -> usize {
        match (Self::of(statement), &statement.1) {
            (Some(kept), _) => kept.columns.len(),
            (None, Some((_, plan))) => plan.schema().fields().len(),
            (None, None) => 0,
        }
    }

    /// What the client is told of the columns, sent in these formats.
    pub fn told(&self, format: &Format) -> Vec<FieldInfo> {
        let told = |(at, column): (usize, &FieldInfo)| {
            let (name, kind) = (column.name().to_owned(), column.datatype().clone());
            FieldInfo::new(name, None, None, kind, format.format_for(at))
                .with_type_size(column.type_size())
                .with_type_modifier(column.type_modifier())
        };
        self.columns.iter().enumerate().map(told).collect()
    }

    /// Whether columns are of the types that the client was told.
    pub fn is_as_told(&self, columns: &[FieldInfo]) -> bool {
        let kind = |column: &FieldInfo| (column.datatype().oid(), column.type_modifier());
        self.columns.iter().map(kind).eq(columns.iter().map(kind))
    }
}

impl UserDefinedLogicalNode for Kept {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &'static str {
        "Kept"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn check_invariants(&self, _: InvariantLevel) -> Result<()> {
        Ok(())
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Arc<dyn UserDefinedLogicalNode>> {
        Err(DataFusionError::Internal("what is kept of a statement is no plan".to_owned()))
    }

    fn dyn_hash(&self, state: &mut dyn Hasher) {
        state.write_usize(self.columns.len());
    }

    fn dyn_eq(&self, other: &dyn UserDefinedLogicalNode) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| ptr::eq(self, other))
    }

    fn dyn_ord(&self, other: &dyn UserDefinedLogicalNode) -> Option<Ordering> {
        self.dyn_eq(other).then_some(Ordering::Equal)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn nothing_is_kept_that_was_made_of_a_text() {
        let text = "SELECT 1";
        let tree = Parser::parse_sql(&PostgreSqlDialect {}, text).unwrap().remove(0);
        let plan = LogicalPlanBuilder::empty(true).build().unwrap();
        let whole = (text.to_owned(), Some((tree, plan)));
        assert!(Kept::of(&whole).is_none());
        let kept = Kept::instead_of(whole.clone(), vec![Type::INT4], Vec::new());
        assert_eq!(Kept::of(&kept).unwrap().parameters, [Type::INT4]);
        assert!(matches!(&kept.1, Some((Statement::UnlockTables, plan)) if plan.inputs().is_empty()));
        assert!(Kept::bytes(&kept) < Kept::bytes(&whole));
        // Nobody says what stands for its tree.
        assert!(Parser::parse_sql(&PostgreSqlDialect {}, "UNLOCK TABLES").is_err());
        assert_eq!(Kept::instead_of((String::new(), None), Vec::new(), Vec::new()), (String::new(), None));
    }
}
