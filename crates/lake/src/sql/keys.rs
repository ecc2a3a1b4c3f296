//! What a key decides: whoever groups by the key of a dataset may name every column of it.
//!
//! What it is NOT: a help for the optimizer. The engine counts columns wrongly where a projection computes one before it
//! names others, and then takes another column for the key: rows that are alike come more than once out of a DISTINCT, and
//! parts of ORDER BY and GROUP BY are left out. So keys are shown for the planning of a statement that cannot do without,
//! that statement is looked through for such places, and its plan knows nothing of keys any more.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Dependency, FunctionalDependencies, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

/// What the engine says of a column that is neither grouped by nor decided by a key.
const UNDECIDED: &str = "must appear in the GROUP BY clause";

tokio::task_local! {
    static SHOWN: bool;
}

/// Whether tables tell of their keys to whoever asks now.
pub fn are_shown() -> bool {
    SHOWN.try_with(|shown| *shown).unwrap_or(false)
}

/// Plans a statement; with keys, if there is no other way and it is a safe one.
///
/// # Errors
/// What `plan` says without keys, or with them where they are shown already.
pub async fn planned<F>(plan: impl Fn() -> F) -> Result<LogicalPlan>
where
    F: Future<Output = Result<LogicalPlan>>,
{
    let refused = match plan().await {
        Err(error) if !are_shown() && is_undecided(&error) => error,
        planned => return planned,
    };
    match SHOWN.scope(true, plan()).await {
        Ok(plan) if !misleads(&plan)? => forgotten(plan),
        _ => Err(refused),
    }
}

fn is_undecided(error: &DataFusionError) -> bool {
    error.to_string().contains(UNDECIDED)
}

/// Whether something that looks at keys stands above something that mistakes them.
fn misleads(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
            node.apply_with_subqueries(|below| {
                found |= match below {
                    LogicalPlan::Projection(projection) => shifts(projection),
                    // What was one row is several, and each is still taken for the only one of its key.
                    LogicalPlan::Unnest(_) => true,
                    _ => false,
                };
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether a projection names a column that a dependency of its input is about behind one that it computes.
fn shifts(projection: &Projection) -> bool {
    let input = projection.input.schema();
    let dependencies = input.functional_dependencies();
    if dependencies.is_empty() {
        return false;
    }
    let names = input.field_names();
    let place = |column: &Expr| {
        let bare = match column {
            Expr::Alias(alias) => alias.expr.to_string(),
            other => other.to_string(),
        };
        names.iter().position(|name| *name == bare)
    };
    let behind: Vec<usize> = projection.expr.iter().map(place).skip_while(Option::is_some).flatten().collect();
    dependencies.iter().any(|dependency| {
        // Where rows are one for each key, all columns depend on it, wherever they stand.
        let decided: &[usize] = match dependency.mode {
            Dependency::Single => &[],
            Dependency::Multi => &dependency.target_indices,
        };
        behind.iter().any(|column| dependency.source_indices.contains(column) || decided.contains(column))
    })
}

/// The plan without what keys say: what it groups by has every column that it names.
fn forgotten(plan: LogicalPlan) -> Result<LogicalPlan> {
    let without = |node: LogicalPlan| match node {
        LogicalPlan::TableScan(mut scan) => {
            let schema = DFSchema::clone(&scan.projected_schema);
            scan.projected_schema = Arc::new(schema.with_functional_dependencies(FunctionalDependencies::empty())?);
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        other => other.recompute_schema().map(Transformed::yes),
    };
    plan.transform_up_with_subqueries(without).map(|plan| plan.data)
}
