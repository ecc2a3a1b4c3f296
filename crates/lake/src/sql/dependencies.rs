//! What the engine takes for decided: which columns of a plan decide others, so that it leaves out a DISTINCT, or parts of
//! GROUP BY and ORDER BY. It learns that from GROUP BY, from `row_number` and from the keys of datasets.
//!
//! The engine is wrong in four places. Where a projection computes a column before it names others, it takes another
//! column for the one that decides. What UNNEST has made several rows of, it takes for one. Behind a join, whoever groups by
//! more than what decides columns of one side is said to have grouped by that alone; and what decides columns of one
//! side is taken for distinct, although a join may have made several rows of each. What it believes there is taken out:
//! of each relation as a statement is planned ([`Relations`]), because GROUP BY and windows look at it already then, and
//! before each of its optimizer's rules that look at it ([`rules`]).
//!
//! Keys of datasets are shown only while a statement is planned that cannot do without: whoever groups by a key may name
//! every column.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion, TreeNodeVisitor};
use datafusion::common::{
    DFSchema, DFSchemaRef, DataFusionError, Dependency, FunctionalDependencies, JoinType, Result,
};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan};
use datafusion::optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion::optimizer::optimizer::{Optimizer, OptimizerConfig, OptimizerRule};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::sql::sqlparser::ast::TableFactor;

/// What the engine says of a column that is neither grouped by nor decided by a key.
const UNDECIDED: &str = "must appear in the GROUP BY clause";
/// The rules of the engine's optimizer that look at what is decided.
const LOOKING: [&str; 3] = ["replace_distinct_aggregate", "eliminate_duplicated_expr", "optimize_projections"];

/// The one that pushes filters down.
const PUSHES: &str = "push_down_filter";

/// What a statement that is planned otherwise than others is told.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// The keys of datasets as well.
    Keys,
    /// Nothing of what is decided in its relations.
    Nothing,
}

tokio::task_local! {
    static TOLD: Told;
}

thread_local! {
    /// Whether the relation that is planned next on this thread is one that [`Relations`] is looking at already.
    static SEEN: Cell<bool> = const { Cell::new(false) };
}

fn is_told(what: Told) -> bool {
    TOLD.try_with(|told| *told == what).unwrap_or(false)
}

/// Whether tables tell of their keys to whoever asks now.
pub fn are_keys_shown() -> bool {
    is_told(Told::Keys)
}

/// Plans a statement; with keys, if there is no other way and it is a safe one.
///
/// # Errors
/// What `plan` says without keys, or with them where they are shown already.
pub async fn planned<F>(plan: impl Fn() -> F) -> Result<LogicalPlan>
where
    F: Future<Output = Result<LogicalPlan>>,
{
    let first = plan().await;
    if are_keys_shown() {
        return first;
    }
    match first {
        Ok(planned) if misled(&planned)? => TOLD.scope(Told::Nothing, plan()).await,
        Err(error) if is_undecided(&error) => match TOLD.scope(Told::Keys, plan()).await {
            Ok(planned) if !misled(&planned)? => Ok(planned),
            _ => Err(error),
        },
        first => first,
    }
}

fn is_undecided(error: &DataFusionError) -> bool {
    error.to_string().contains(UNDECIDED)
}

/// Whether GROUP BY or a window stands above something that the engine mistakes, and so may have been planned wrongly. The
/// relations below have been seen to; what is left is within one SELECT.
fn misled(plan: &LogicalPlan) -> Result<bool> {
    let mut look = Look::default();
    plan.visit_with_subqueries(&mut look)?;
    Ok(look.misled)
}

/// A walk through a plan.
#[derive(Default)]
struct Look {
    /// Mistakes so far.
    mistakes: usize,
    /// How many there were when each node was entered that the walk is in.
    before: Vec<usize>,
    misled: bool,
}

impl<'n> TreeNodeVisitor<'n> for Look {
    type Node = LogicalPlan;

    fn f_down(&mut self, _: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        self.before.push(self.mistakes);
        Ok(TreeNodeRecursion::Continue)
    }

    fn f_up(&mut self, node: &'n LogicalPlan) -> Result<TreeNodeRecursion> {
        let before = self.before.pop().unwrap_or(self.mistakes);
        let looks = matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
        self.misled |= looks && self.mistakes > before;
        self.mistakes += usize::from(is_mistaken(node));
        Ok(TreeNodeRecursion::Continue)
    }
}

/// Whether anything in a plan is mistaken.
fn has_mistakes(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found = is_mistaken(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether the engine believes something wrong of the rows of a node.
fn is_mistaken(node: &LogicalPlan) -> bool {
    if node.schema().functional_dependencies().is_empty() {
        return false;
    }
    match node {
        LogicalPlan::Projection(projection) => shifts(&projection.expr, projection.input.schema()),
        LogicalPlan::Distinct(Distinct::All(rows)) => repeats(rows.schema()),
        LogicalPlan::Distinct(Distinct::On(distinct)) => shifts(&distinct.select_expr, distinct.input.schema()),
        LogicalPlan::Aggregate(aggregate) => overstates(aggregate),
        LogicalPlan::Unnest(_) => true,
        _ => false,
    }
}

/// Whether columns are named that a dependency is about behind one that is computed: the engine does not count that one.
fn shifts(columns: &[Expr], input: &DFSchema) -> bool {
    let names = input.field_names();
    let place = |column: &Expr| {
        let bare = match column {
            Expr::Alias(alias) => alias.expr.to_string(),
            other => other.to_string(),
        };
        names.iter().position(|name| *name == bare)
    };
    let behind: Vec<usize> = columns.iter().map(place).skip_while(Option::is_some).flatten().collect();
    input.functional_dependencies().iter().any(|dependency| {
        // Where rows are one for each key, all columns depend on it, wherever they stand.
        let decided: &[usize] = match dependency.mode {
            Dependency::Single => &[],
            Dependency::Multi => &dependency.target_indices,
        };
        behind.iter().any(|column| dependency.source_indices.contains(column) || decided.contains(column))
    })
}

/// Whether all columns together decide something, and are not unique by that.
fn repeats(rows: &DFSchema) -> bool {
    let is_all = |indices: &[usize]| indices.len() >= rows.fields().len();
    let mut dependencies = rows.functional_dependencies().iter();
    dependencies.any(|it| it.mode == Dependency::Multi && is_all(&it.source_indices))
}

/// Whether columns are grouped by that decide some of the others and not all: the engine takes them for all that is
/// grouped by.
fn overstates(aggregate: &Aggregate) -> bool {
    let input = aggregate.input.schema();
    let place = |column: &Expr| match column {
        Expr::Column(column) => input.maybe_index_of_column(column),
        _ => None,
    };
    let grouped: Vec<Option<usize>> = aggregate.group_expr.iter().map(place).collect();
    input.functional_dependencies().iter().any(|dependency| {
        let is_decided = |column: &Option<usize>| column.is_some_and(|it| dependency.target_indices.contains(&it));
        dependency.mode == Dependency::Multi
            && dependency.source_indices.iter().all(|column| grouped.contains(&Some(*column)))
            && !grouped.iter().all(is_decided)
    })
}

/// The plan without anything that is taken for decided.
fn forgotten(plan: LogicalPlan) -> Result<LogicalPlan> {
    let without = |mut node: LogicalPlan| {
        let Some(schema) = own_schema(&mut node).filter(|schema| !schema.functional_dependencies().is_empty()) else {
            return Ok(Transformed::no(node));
        };
        let bare = DFSchema::clone(schema).with_functional_dependencies(FunctionalDependencies::empty())?;
        *schema = Arc::new(bare);
        Ok(Transformed::yes(node))
    };
    plan.transform_up_with_subqueries(without).map(|plan| plan.data)
}

/// The schema of a node that is not that of its input and may say what is decided.
fn own_schema(node: &mut LogicalPlan) -> Option<&mut DFSchemaRef> {
    match node {
        LogicalPlan::Projection(it) => Some(&mut it.schema),
        LogicalPlan::Window(it) => Some(&mut it.schema),
        LogicalPlan::Aggregate(it) => Some(&mut it.schema),
        LogicalPlan::Join(it) => Some(&mut it.schema),
        LogicalPlan::SubqueryAlias(it) => Some(&mut it.schema),
        LogicalPlan::Unnest(it) => Some(&mut it.schema),
        LogicalPlan::TableScan(it) => Some(&mut it.projected_schema),
        LogicalPlan::Distinct(Distinct::On(it)) => Some(&mut it.schema),
        _ => None,
    }
}

/// Plans what stands in FROM as the engine does, and takes out what it believes wrongly.
#[derive(Debug)]
pub struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        if SEEN.replace(false) {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        }
        // The context asks here first, for this relation once more.
        SEEN.set(true);
        let mut plan = context.plan(relation)?;
        let decides = !plan.schema().functional_dependencies().is_empty();
        if decides && (is_told(Told::Nothing) || has_mistakes(&plan)?) {
            plan = forgotten(plan)?;
        }
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// The rules of the engine's optimizer. Before each that looks at what is decided, what is mistaken is taken out. Where
/// filters have been pushed down to a join, it is asked once more whether it has to be an outer one: in the next round a
/// projection stands between them again.
pub fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = Vec::new();
    for rule in Optimizer::new().rules {
        if LOOKING.contains(&rule.name()) {
            rules.push(Arc::new(Doubt));
        }
        let pushes = rule.name() == PUSHES;
        rules.push(rule);
        if pushes {
            rules.push(Arc::new(OnceMore { eliminates: EliminateOuterJoin::new(), pushes: PushDownFilter::new() }));
        }
    }
    rules
}

/// Asks outer joins whether they have to be ones, and pushes filters down where one has not: no others get further.
#[derive(Debug)]
struct OnceMore {
    eliminates: EliminateOuterJoin,
    pushes: PushDownFilter,
}

impl OptimizerRule for OnceMore {
    fn name(&self) -> &'static str {
        "once_more"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let before = outer_sides(&plan)?;
        if before == 0 {
            return Ok(Transformed::no(plan));
        }
        let plan = plan.transform_down_with_subqueries(|node| self.eliminates.rewrite(node, config))?.data;
        if outer_sides(&plan)? == before {
            return Ok(Transformed::no(plan));
        }
        let pushed = plan.transform_down_with_subqueries(|node| self.pushes.rewrite(node, config))?;
        Ok(Transformed::yes(pushed.data))
    }
}

/// The sides of joins that may have rows without another.
fn outer_sides(plan: &LogicalPlan) -> Result<usize> {
    let mut sides = 0;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node {
            sides += match join.join_type {
                JoinType::Full => 2,
                JoinType::Left | JoinType::Right => 1,
                _ => 0,
            };
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(sides)
}

/// Takes out what the engine believes of a plan in which it is mistaken anywhere.
#[derive(Debug)]
struct Doubt;

impl OptimizerRule for Doubt {
    fn name(&self) -> &'static str {
        "doubt"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if has_mistakes(&plan)? {
            return forgotten(plan).map(Transformed::yes);
        }
        Ok(Transformed::no(plan))
    }
}
