//! Plans as they are carried out: the rules by which the engine makes them better, and what is put right of it on the way.
//!
//! - What an aggregate groups by is unique in its rows. A projection above it takes whatever stands in the same places for
//!   that (`SELECT count(*) AS n, kind` takes `n` for it), and a sort by `n, kind` of rows that a window has in the order
//!   of `n` is left out. So nobody is told of it where there may be an order to be mistaken in ([`Keyless`]); `dependencies.rs`
//!   does the same for plans of statements.
//! - A sort that nobody needs is left out with what merged its parts into one, also where a join needs one part, as
//!   beside `DISTINCT ON`; they are put together again ([`Together`]).
//! - Joins stand back between batches (`yielding.rs`); those of statements that are planned again go through files
//!   (`grace.rs`).
//!
//! # Source
//! `EquivalenceProperties::projected_constraints` in `datafusion-physical-expr` 54.1; `enforce_sorting` in
//! `datafusion-physical-optimizer` 54.1.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Constraints, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
};

use super::grace::Divides;
use super::yielding::Yielding;

/// The engine's rule that leaves out sorts.
const LEAVES_OUT: &str = "EnforceSorting";
/// The engine's rule that decides which side of a join is held.
const CHOOSES: &str = "join_selection";

/// The rules, in their order.
pub fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![Arc::new(Keyless)];
    for rule in PhysicalOptimizer::new().rules {
        let (leaves_out, chooses) = (rule.name() == LEAVES_OUT, rule.name() == CHOOSES);
        rules.push(rule);
        if leaves_out {
            rules.push(Arc::new(Together));
        }
        if chooses {
            rules.push(Arc::new(Divides));
        }
    }
    rules.push(Arc::new(Yielding));
    rules
}

/// Takes what aggregates say of keys out of plans in which rows are put into an order more than once.
#[derive(Debug)]
struct Keyless;

impl PhysicalOptimizerRule for Keyless {
    fn name(&self) -> &'static str {
        "Keyless"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut orders = 0;
        plan.apply(|node| {
            orders += usize::from(is_ordered(node));
            Ok(TreeNodeRecursion::Continue)
        })?;
        // One order is mistaken for nothing.
        if orders < 2 {
            return Ok(plan);
        }
        let hide = |node: Arc<dyn ExecutionPlan>| match groups(&node) {
            true => Ok(Transformed::yes(Arc::new(KeylessExec::new(node)) as Arc<dyn ExecutionPlan>)),
            false => Ok(Transformed::no(node)),
        };
        Ok(plan.transform_up(hide)?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether a node puts rows into an order, needs them in one or has them so from where it reads.
fn is_ordered(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.downcast_ref::<SortExec>().is_some()
        || node.required_input_ordering().iter().any(Option::is_some)
        || (node.children().is_empty() && node.output_ordering().is_some())
}

/// Whether a node gives out one row for each group.
fn groups(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.downcast_ref::<AggregateExec>().is_some_and(|aggregate| {
        let is_last = match aggregate.mode() {
            AggregateMode::Final
            | AggregateMode::FinalPartitioned
            | AggregateMode::Single
            | AggregateMode::SinglePartitioned => true,
            AggregateMode::Partial | AggregateMode::PartialReduce => false,
        };
        is_last && !aggregate.group_expr().is_empty()
    })
}

/// The rows of an aggregate, of which nobody is told what is unique.
struct KeylessExec {
    rows: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl KeylessExec {
    fn new(rows: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::clone(rows.properties()).with_constraints(Constraints::default());
        Self { rows, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for KeylessExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeylessExec")
    }
}

impl DisplayAs for KeylessExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeylessExec")
    }
}

impl ExecutionPlan for KeylessExec {
    fn name(&self) -> &'static str {
        "KeylessExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.rows]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.rows));
        Ok(Arc::new(Self::new(rows)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        self.rows.partition_statistics(partition)
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.rows.execute(partition, context)
    }
}

/// Puts the parts of rows together that have to be one, and are in no order that is asked for.
#[derive(Debug)]
struct Together;

impl PhysicalOptimizerRule for Together {
    fn name(&self) -> &'static str {
        "Together"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let whole = |node: Arc<dyn ExecutionPlan>| {
            let (parts, orders) = (node.required_input_distribution(), node.required_input_ordering());
            let mut is_split = false;
            let rows = node.children().into_iter().zip(parts).zip(orders).map(|((rows, parts), order)| {
                let is_one = rows.output_partitioning().partition_count() <= 1;
                if is_one || order.is_some() || !matches!(parts, Distribution::SinglePartition) {
                    return Arc::clone(rows);
                }
                is_split = true;
                Arc::new(CoalescePartitionsExec::new(Arc::clone(rows))) as Arc<dyn ExecutionPlan>
            });
            let rows: Vec<Arc<dyn ExecutionPlan>> = rows.collect();
            if is_split { node.with_new_children(rows).map(Transformed::yes) } else { Ok(Transformed::no(node)) }
        };
        Ok(plan.transform_up(whole)?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}
