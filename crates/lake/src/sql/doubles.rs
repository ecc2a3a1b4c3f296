//! Columns of one name: `SELECT 1, 1`, `SELECT *, a`, `SELECT a, b AS a`.
//!
//! The engine plans no such statement, and none that groups by something twice; PostgreSQL does. What is refused for that
//! is planned once more, where all but the first of a name are called otherwise, `a:1`, as the engine itself calls columns of
//! a relation in FROM that have one name. PostgreSQL's clients are told the names that were said (`postgres/names.rs`).
//!
//! What it is NOT: it looks at no table. What several stars have twice (`SELECT *, *`) is known behind them alone, so they are
//! spelled out before ([`spelled`]); those of subqueries are not, and are refused as before.
//!
//! Invariant: nobody who names a column gets another one for it. Within a statement only what says the same value twice is
//! called otherwise, or what has no name; outside of everything else also what nothing else there names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, SchemaError};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Value, Visit, VisitMut as _, VisitorMut, visit_expressions,
};

use super::dependencies;

mod spelled;

/// Times that a statement is planned otherwise than it was written.
const ATTEMPTS_MAX: usize = 8;
/// What a statement groups by is compared with each other up to so many.
const GROUPED_MAX: usize = 256;
/// How the engine begins to say that two columns have one name.
const REFUSED: &str = "Projections require unique expression names";

/// Plans a text, in which columns may have one name.
///
/// # Errors
/// What the engine says of the text as it is.
pub async fn planned_text(state: &SessionState, text: &str) -> Result<LogicalPlan> {
    let statement = state.sql_to_statement(text, &state.config_options().sql_parser.dialect)?;
    planned(state, &statement).await
}

/// The same of a statement.
///
/// # Errors
/// What the engine says of the statement as it is.
pub async fn planned(state: &SessionState, statement: &Statement) -> Result<LogicalPlan> {
    let error = match as_it_is(state, statement).await {
        Err(error) => error,
        planned => return planned,
    };
    let mut doubles = Doubles::default();
    if !doubles.learn(&error) {
        return Err(error);
    }
    if let Some(plan) = otherwise(state, statement, doubles).await {
        return Ok(plan);
    }
    let Some(spelled) = spelled::spelled(state, statement).await else { return Err(error) };
    let mut doubles = Doubles::default();
    match as_it_is(state, &spelled).await {
        Err(next) if doubles.learn(&next) => otherwise(state, &spelled, doubles).await.ok_or(error),
        planned => planned.map_err(|_| error),
    }
}

/// The plan of a statement in which columns are called otherwise, if it has one.
async fn otherwise(state: &SessionState, statement: &Statement, mut doubles: Doubles) -> Option<LogicalPlan> {
    let mut before = 0;
    for _ in 0..ATTEMPTS_MAX {
        let mut other = statement.clone();
        doubles.renamed = 0;
        doubles.rename(&mut other);
        if doubles.renamed <= before {
            if doubles.is_wide {
                return None;
            }
            doubles.is_wide = true;
            continue;
        }
        before = doubles.renamed;
        match as_it_is(state, &other).await {
            Err(next) if doubles.learn(&next) => {}
            planned => return planned.ok(),
        }
    }
    None
}

async fn as_it_is(state: &SessionState, statement: &Statement) -> Result<LogicalPlan> {
    dependencies::planned(move || state.statement_to_plan(statement.clone())).await
}

/// What is known of names that a statement has twice, and a walk through it that changes them.
#[derive(Default)]
struct Doubles {
    /// Names that the engine has found twice.
    names: BTreeSet<String>,
    /// Whether what stands beside a star is taken for one of its columns.
    is_wide: bool,
    /// What has been changed.
    renamed: usize,
    /// Queries that the walk is in.
    depth: usize,
}

impl Doubles {
    /// Whether an error is about a name that is there twice.
    fn learn(&mut self, error: &DataFusionError) -> bool {
        match error {
            DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => self.learn(inner),
            DataFusionError::Shared(inner) => self.learn(inner),
            DataFusionError::Collection(all) => all.first().is_some_and(|first| self.learn(first)),
            DataFusionError::Plan(words) => words.starts_with(REFUSED),
            DataFusionError::SchemaError(error, _) => {
                let name = match &**error {
                    SchemaError::AmbiguousReference { field } => &field.name,
                    SchemaError::DuplicateQualifiedField { name, .. }
                    | SchemaError::DuplicateUnqualifiedField { name } => name,
                    SchemaError::FieldNotFound { .. } => return false,
                };
                self.names.insert(name.clone());
                true
            }
            _ => false,
        }
    }

    fn rename(&mut self, statement: &mut Statement) {
        match statement {
            Statement::Statement(statement) => {
                // A walk answers whether it was broken off, and this one goes through to the end.
                let _ = statement.visit(self);
            }
            Statement::Explain(explained) => self.rename(&mut explained.statement),
            _ => {}
        }
    }

    /// What a query selects; by which names its rows are put in order, where nobody else names its columns.
    fn body(&mut self, body: &mut SetExpr, outermost: Option<&BTreeSet<String>>) {
        match body {
            SetExpr::Select(select) => self.select(select, outermost),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, outermost);
                self.body(right, outermost);
            }
            _ => {}
        }
    }

    fn select(&mut self, select: &mut Select, outermost: Option<&BTreeSet<String>>) {
        self.group(select);
        let stars = Stars::of(&select.projection);
        let mut grouped = BTreeSet::new();
        if outermost.is_some() {
            note_names(&select.group_by, &mut grouped);
            note_names(&select.having, &mut grouped);
            note_names(&select.qualify, &mut grouped);
        }
        let (mut seen, mut numbers, mut has_unnamed) = (BTreeMap::<String, Expr>::new(), BTreeMap::new(), false);
        for item in &mut select.projection {
            let (expression, alias) = match &*item {
                SelectItem::UnnamedExpr(expression) => (expression, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(folded(alias))),
                _ => continue,
            };
            let column = column(expression);
            let is_unnamed = alias.is_none() && column.is_none();
            let is_in_star = self.is_wide && alias.is_none() && column.as_deref().is_some_and(|it| stars.have(it));
            let name = alias.or_else(|| column.and_then(|mut parts| parts.pop()));
            let name = name.unwrap_or_else(|| expression.to_string().to_lowercase());
            let first = seen.get(&name);
            let is_beside_star = stars.is_any && self.names.contains(&name);
            let is_one_more = self.is_wide && is_unnamed && has_unnamed;
            has_unnamed |= is_unnamed;
            if first.is_none() && !is_in_star && !is_beside_star && !is_one_more {
                seen.insert(name, expression.clone());
                continue;
            }
            let is_same = is_unnamed || is_in_star || first.is_some_and(|first| is_same(first, expression));
            // A name to group by means a relation's column where that one is selected first.
            let is_grouped = grouped.contains(&name) && !first.is_some_and(|first| is_called(first, &name));
            if !is_same && (is_grouped || outermost.is_none_or(|ordered| ordered.contains(&name))) {
                continue;
            }
            if is_in_star || is_beside_star {
                seen.entry(name.clone()).or_insert_with(|| expression.clone());
            }
            let other = another(&name, &seen, &mut numbers);
            seen.insert(other.clone(), expression.clone());
            let renamed = SelectItem::ExprWithAlias { expr: expression.clone(), alias: Ident::with_quote('"', other) };
            *item = renamed;
            self.renamed += 1;
        }
    }

    /// Leaves out what a statement groups by already.
    fn group(&mut self, select: &mut Select) {
        let GroupByExpr::Expressions(grouped, modifiers) = &mut select.group_by else { return };
        let is_set = |one: &Expr| matches!(one, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_));
        if !modifiers.is_empty() || grouped.len() > GROUPED_MAX || grouped.iter().any(is_set) {
            return;
        }
        let (items, before) = (&select.projection, grouped.len());
        let mut seen: Vec<Expr> = Vec::new();
        grouped.retain(|one| {
            let meant = numbered(one, items).unwrap_or(one);
            let is_first = !seen.iter().any(|other| is_same(other, meant));
            if is_first {
                seen.push(meant.clone());
            }
            is_first
        });
        self.renamed += before - grouped.len();
    }
}

impl VisitorMut for Doubles {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let outermost = (self.depth == 0).then(|| {
            let mut ordered = BTreeSet::new();
            note_names(&query.order_by, &mut ordered);
            ordered
        });
        self.depth += 1;
        self.body(&mut query.body, outermost.as_ref());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

/// The stars of a SELECT.
struct Stars {
    is_any: bool,
    /// Whether one is for all relations.
    is_whole: bool,
    /// Those of which there is one.
    relations: BTreeSet<String>,
}

impl Stars {
    fn of(items: &[SelectItem]) -> Self {
        let mut stars = Self { is_any: false, is_whole: false, relations: BTreeSet::new() };
        for item in items {
            match item {
                SelectItem::Wildcard(_) => stars.is_whole = true,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    stars.relations.extend(name.0.last().and_then(ObjectNamePart::as_ident).map(folded));
                }
                _ => continue,
            }
            stars.is_any = true;
        }
        stars
    }

    /// Whether a column may be one of theirs.
    fn have(&self, column: &[String]) -> bool {
        let is_of_one = match column.iter().rev().nth(1) {
            Some(relation) => self.relations.contains(relation),
            None => !self.relations.is_empty(),
        };
        self.is_whole || is_of_one
    }
}

/// A name that is free: this one, or `a:1`, `a:2`. Numbers go on where they were, as there may be very many.
fn another(name: &str, seen: &BTreeMap<String, Expr>, numbers: &mut BTreeMap<String, usize>) -> String {
    if !seen.contains_key(name) {
        return name.to_owned();
    }
    let number = numbers.entry(name.to_owned()).or_default();
    loop {
        *number += 1;
        let other = format!("{name}:{number}");
        if !seen.contains_key(&other) {
            return other;
        }
    }
}

/// A name as the engine takes it, and PostgreSQL: other letters than those of ASCII stay as they are.
pub fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_ascii_lowercase(),
    }
}

/// The parts of a column's name, if that is all that an expression is.
fn column(expression: &Expr) -> Option<Vec<String>> {
    match expression {
        Expr::Identifier(name) => Some(vec![folded(name)]),
        Expr::CompoundIdentifier(names) => Some(names.iter().map(folded).collect()),
        Expr::Nested(inner) => column(inner),
        _ => None,
    }
}

/// Whether an expression is the column of that name.
fn is_called(expression: &Expr, name: &str) -> bool {
    column(expression).is_some_and(|parts| parts.last().is_some_and(|last| last == name))
}

/// Whether two expressions of one SELECT say the same: of a column one may name the relation as well.
fn is_same(one: &Expr, other: &Expr) -> bool {
    match (column(one), column(other)) {
        (Some(one), Some(other)) => one.ends_with(&other) || other.ends_with(&one),
        _ => one == other,
    }
}

/// What is selected at the place that a number says.
fn numbered<'a>(number: &Expr, items: &'a [SelectItem]) -> Option<&'a Expr> {
    let Expr::Value(value) = number else { return None };
    let Value::Number(text, _) = &value.value else { return None };
    let before = text.parse::<usize>().ok()?.checked_sub(1)?;
    let mut found = None;
    for item in items.get(..=before)? {
        found = match item {
            SelectItem::UnnamedExpr(expression) => Some(expression),
            SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => return None,
        };
    }
    found
}

/// Adds the names that stand in a part of a query for columns.
fn note_names(part: &impl Visit, names: &mut BTreeSet<String>) {
    // As in `rename`, the answer says nothing.
    let _ = visit_expressions(part, |expression| {
        if let Expr::Identifier(name) = expression {
            names.insert(folded(name));
        }
        ControlFlow::<()>::Continue(())
    });
}

#[cfg(test)]
mod tests;
