//! Filters as hints: what a filter above a node says of columns goes to the files below it, so that they stay closed or leave
//! rows out; the engine asks it of every row again. For nodes that give fewer rows than they read: which ones these are
//! does not depend on the filter.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterDescription, FilterPushdownPropagation};

/// What `filters` are to what a node reads.
///
/// # Errors
/// What the engine says.
pub fn below(node: &dyn ExecutionPlan, filters: Vec<Arc<dyn PhysicalExpr>>) -> Result<FilterDescription> {
    FilterDescription::from_children(filters, &node.children())
}

/// What is left to be asked above, whatever is asked below.
pub fn above(result: ChildPushdownResult) -> FilterPushdownPropagation<Arc<dyn ExecutionPlan>> {
    FilterPushdownPropagation::all_unsupported(result)
}
