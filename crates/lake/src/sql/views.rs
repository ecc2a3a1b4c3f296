//! Views of the catalog's clients: the statement of one is planned where a statement names it.
//!
//! Invariants: it is planned for whoever asks, over what that one sees, so that row policies hold at all that it reads
//! (`sight.rs`, `guarded.rs`); no view stands within itself, and views within views end at a depth, a number and a size.
//! One that cannot be planned is in listings with the columns that it says it has, and refuses to be read.
//!
//! # Source
//! Iceberg view specification, version 1: "Versions", "SQL representation".

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::ViewTable;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;
use headwater_base::{Principal, Problem};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{Schema, ViewMetadata, ViewRepresentation, ViewVersion};
use parking_lot::RwLock;

use super::catalog::{CATALOG, Catalog, DATASETS, Sources};
use super::{admitted, chains, doubles, fault};

/// Dialects that are read here, the best first.
const DIALECTS: [&str; 5] = ["headwater", "datafusion", "postgresql", "postgres", "ansi"];
/// Views within views.
const DEPTH_MAX: usize = 16;
/// Views in one, each as often as it is planned.
const VIEWS_MAX: usize = 100;
/// Steps of a view's plan.
const STEPS_MAX: usize = 10_000;
/// What is told of a view as it is.
const TOLD: [&str; 3] = ["HW-LAKE-092", "HW-LAKE-093", "HW-LAKE-094"];

/// What a statement is planned in: over what, for whom, and within which views.
#[derive(Clone)]
pub struct Scope {
    /// What tables are made of.
    pub sources: Arc<Sources>,
    /// Whoever asks.
    pub principal: Principal,
    /// Functions and settings of statements.
    session: Weak<RwLock<SessionState>>,
    /// The views around the statement, the outermost first.
    within: Vec<String>,
    /// How many views the outermost one may still plan.
    left: Arc<AtomicUsize>,
}

impl Scope {
    /// The scope of statements of a principal, in no view.
    pub fn new(sources: Arc<Sources>, principal: Principal, session: Weak<RwLock<SessionState>>) -> Self {
        Self { sources, principal, session, within: Vec::new(), left: Arc::default() }
    }

    /// All that statements of the principal can name; none once the engine is closed.
    pub fn catalogs(&self) -> Option<Arc<dyn CatalogProviderList>> {
        let session = self.session.upgrade()?;
        let catalogs = Arc::clone(session.read().catalog_list());
        Some(catalogs)
    }

    /// Whether the statement is a view's.
    fn is_in_view(&self) -> bool {
        !self.within.is_empty()
    }

    /// A view as a table.
    ///
    /// # Errors
    /// `HW-LAKE-091` and 021; within views also what is wrong with this one: 092, 093 or 094.
    pub async fn view(&self, namespace: &str, name: &str) -> Result<Arc<dyn TableProvider>> {
        let metadata = self.sources.catalog.view(namespace, name).map_err(fault::carried)?;
        match self.plan(&format!("{namespace}.{name}"), &metadata).await {
            Ok((plan, sql)) => {
                let definition = self.principal.is_admin().then_some(sql);
                Ok(Arc::new(ViewTable::new(plan, definition)))
            }
            Err(problem) if self.is_in_view() => Err(fault::carried(problem)),
            Err(problem) => {
                let schema = schema_to_arrow_schema(metadata.current_schema()).unwrap_or_else(|_| ArrowSchema::empty());
                Ok(Arc::new(Unread { schema: Arc::new(schema), problem }))
            }
        }
    }

    /// The plan of a view, and its statement.
    async fn plan(&self, view: &str, metadata: &ViewMetadata) -> Result<(LogicalPlan, String), Problem> {
        let scope = self.enter(view)?;
        let version = metadata.current_version();
        let Some(sql) = spoken(version) else { return Err(foreign(view, version)) };
        chains::check(sql).map_err(|problem| self.failed(view, &problem))?;
        let Some(state) = scope.state(version) else { return Err(fault::closed()) };
        let planned = doubles::planned_text(&state, sql).await.and_then(|plan| {
            admitted(&plan)?;
            let plan = named(view, plan, metadata.current_schema())?;
            let small = is_small(&plan)?;
            if small && let Some(name) = plan.get_parameter_names()?.into_iter().next() {
                return Err(parametric(view, &name));
            }
            Ok((small, plan))
        });
        match planned {
            Ok((true, plan)) => Ok((plan, sql.to_owned())),
            Ok((false, _)) => Err(endless(format!("the view `{view}` takes more than {STEPS_MAX} steps"))),
            Err(error) => Err(self.failed(view, &fault::problem(&error))),
        }
    }

    /// The scope of the statement of a view that is named in this one.
    fn enter(&self, view: &str) -> Result<Self, Problem> {
        if self.within.iter().any(|outer| outer == view) {
            return Err(endless(format!("the view `{view}` names itself")));
        }
        let left = match self.within.as_slice() {
            [] => Arc::new(AtomicUsize::new(VIEWS_MAX)),
            _ => Arc::clone(&self.left),
        };
        let one_less = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if one_less.is_err() || self.within.len() >= DEPTH_MAX {
            let outermost = self.within.first().map_or(view, String::as_str);
            return Err(endless(format!("the view `{outermost}` stands on too many views")));
        }
        let mut within = self.within.clone();
        within.push(view.to_owned());
        Ok(Self { within, left, ..self.clone() })
    }

    /// What the statement of a version is planned with: what everybody's are, over this scope, where names without a
    /// namespace or catalog are what the version says. None once the engine is closed.
    fn state(&self, version: &ViewVersion) -> Option<SessionState> {
        let session = self.session.upgrade()?;
        let mut state = session.read().clone();
        let catalog: Arc<dyn CatalogProvider> = Arc::new(Catalog::of(self.clone()));
        let catalogs = MemoryCatalogProviderList::new();
        if let Some(other) = version.default_catalog() {
            catalogs.register_catalog(other.clone(), Arc::clone(&catalog));
        }
        catalogs.register_catalog(CATALOG.to_owned(), catalog);
        state.register_catalog_list(Arc::new(catalogs));
        state.config_mut().options_mut().catalog.default_schema = schema_of(version);
        Some(state)
    }

    /// What is told of a view that cannot be planned. Others than the admin are not told what it would have read.
    fn failed(&self, view: &str, problem: &Problem) -> Problem {
        if self.principal.is_admin() && TOLD.contains(&problem.code.as_str()) {
            return problem.clone();
        }
        let told = Problem::new("HW-LAKE-093", format!("the statement of the view `{view}` cannot be carried out"));
        if self.principal.is_admin() {
            return told.because(&problem.title);
        }
        tracing::warn!(view, code = problem.code, title = problem.title, "a view cannot be read");
        told.help("whoever runs the node finds the cause in its log")
    }
}

/// The statement of a version, in the best of the dialects that are read here.
fn spoken(version: &ViewVersion) -> Option<&str> {
    DIALECTS.iter().find_map(|dialect| {
        version.representations().iter().find_map(|one| {
            let ViewRepresentation::Sql(one) = one;
            one.dialect.eq_ignore_ascii_case(dialect).then_some(one.sql.as_str())
        })
    })
}

fn foreign(view: &str, version: &ViewVersion) -> Problem {
    let dialects = version.representations().iter().map(|one| {
        let ViewRepresentation::Sql(one) = one;
        format!("`{}`", one.dialect.chars().take(60).collect::<String>().escape_debug())
    });
    let dialects = dialects.collect::<Vec<_>>().join(", ");
    Problem::new("HW-LAKE-092", format!("the view `{view}` is in {dialects}, which SQL here does not speak"))
        .help(format!("add a representation in one of {}", DIALECTS.join(", ")))
}

fn endless(fact: String) -> Problem {
    Problem::new("HW-LAKE-094", fact).help("let it read tables, or fewer views")
}

/// The schema that names without a namespace are of.
fn schema_of(version: &ViewVersion) -> String {
    match &**version.default_namespace() {
        [] => DATASETS.to_owned(),
        levels => levels.join("."),
    }
}

/// The columns of a statement under the names that the view gives them, if it says any.
fn named(view: &str, plan: LogicalPlan, schema: &Schema) -> Result<LogicalPlan> {
    let names = schema.as_struct().fields();
    let columns = plan.schema().columns();
    if names.is_empty() {
        return Ok(plan);
    }
    if names.len() != columns.len() {
        let fact = format!("the view `{view}` has {} columns, and its statement {}", names.len(), columns.len());
        return Err(fault::carried(Problem::new("HW-LAKE-093", fact).help("replace the view")));
    }
    let columns = columns.into_iter().zip(names).map(|(column, field)| Expr::Column(column).alias(&field.name));
    LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()
}

/// Why a statement with a parameter is none of a view: it would take those of whatever statement names the view.
fn parametric(view: &str, name: &str) -> DataFusionError {
    let name = name.chars().take(60).collect::<String>();
    let fact = format!("the statement of the view `{view}` has a parameter, `{}`", name.escape_debug());
    fault::carried(Problem::new("HW-LAKE-093", fact).help("write the value in its place"))
}

fn is_small(plan: &LogicalPlan) -> Result<bool> {
    let mut steps = 0;
    plan.apply_with_subqueries(|_| {
        steps += 1;
        Ok(if steps > STEPS_MAX { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(steps <= STEPS_MAX)
}

/// A view that cannot be read.
struct Unread {
    schema: SchemaRef,
    problem: Problem,
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unread({})", self.problem.code)
    }
}

#[async_trait]
impl TableProvider for Unread {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(fault::carried(self.problem.clone()))
    }
}
