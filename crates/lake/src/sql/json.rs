//! Values as JSON, in every answer that has some: structs and maps as objects, and what `->` finds in a document as it
//! stands there. And how two of what `->` finds are compared: they are equal or not, and have no order, as PostgreSQL's
//! `json` has none.
//!
//! What it is NOT: an answer (`encode.rs` and `postgres/columns.rs` are).

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray as _, StringArray, StringBuilder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Diagnostic, Result as Planned, Span, Spans};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable as _, LogicalPlan, SortExpr};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, JsonUnionEncoder, JsonUnionValue};
use serde::de::IgnoredAny;

static OPTIONS: LazyLock<EncoderOptions> =
    LazyLock::new(|| EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Finds)));

/// How the refusal of an order of what `->` finds begins.
pub const NO_ORDER: &str = "JSON has no order";

/// Whether a type is that of what `->` finds.
pub fn is_found(kind: &DataType) -> bool {
    *kind == *JSON_UNION_DATA_TYPE
}

/// Makes what `->` finds equal only where it finds something: a join takes nothing and nothing for equal, since a union
/// does not say which of its values are null.
#[derive(Debug)]
pub struct Compares;

impl ExprPlanner for Compares {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Planned<PlannerResult<RawBinaryExpr>> {
        let found = |side: &Expr| side.get_type(schema).is_ok_and(|kind| is_found(&kind));
        if expr.op != BinaryOperator::Eq || !found(&expr.left) || !found(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        let is_there = expr.left.clone().is_not_null();
        Ok(PlannerResult::Planned(expr.left.eq(expr.right).and(is_there)))
    }
}

/// Refuses a plan that needs an order of what `->` finds. That of a union is the order of its types before that of its
/// values, which has 10 before 9.5, and nothing before everything; and no least or greatest of a union is looked for.
///
/// # Errors
/// `HW-LAKE-041`, with the place where it is known.
pub fn check_orders(plan: &LogicalPlan) -> Planned<()> {
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Sort(sort) => sorted(&sort.expr, &sort.input)?,
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                sorted(distinct.sort_expr.as_deref().unwrap_or_default(), &distinct.input)?;
            }
            LogicalPlan::Aggregate(aggregate) => called(&aggregate.aggr_expr, &aggregate.input)?,
            LogicalPlan::Window(window) => called(&window.window_expr, &window.input)?,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn sorted(by: &[SortExpr], rows: &LogicalPlan) -> Planned<()> {
    match by.iter().find(|sort| finds(&sort.expr, rows)) {
        Some(sort) => Err(no_order("ORDER BY", &sort.expr, rows)),
        None => Ok(()),
    }
}

fn called(functions: &[Expr], rows: &LogicalPlan) -> Planned<()> {
    for function in functions {
        function.apply(|part| {
            let (name, arguments, order) = match part {
                Expr::AggregateFunction(call) => (call.func.name(), &call.params.args, &call.params.order_by),
                Expr::WindowFunction(call) => (call.fun.name(), &call.params.args, &call.params.order_by),
                _ => return Ok(TreeNodeRecursion::Continue),
            };
            sorted(order, rows)?;
            match arguments.iter().find(|argument| matches!(name, "min" | "max") && finds(argument, rows)) {
                Some(argument) => Err(no_order(name, argument, rows)),
                None => Ok(TreeNodeRecursion::Continue),
            }
        })?;
    }
    Ok(())
}

/// Whether an expression over rows is what `->` finds.
fn finds(expr: &Expr, rows: &LogicalPlan) -> bool {
    expr.get_type(rows.schema()).is_ok_and(|kind| match &kind {
        DataType::Dictionary(_, values) => is_found(values),
        kind => is_found(kind),
    })
}

fn no_order(what: &str, expr: &Expr, rows: &LogicalPlan) -> DataFusionError {
    let fact = format!("{NO_ORDER}, and `{what}` needs one");
    let told = Diagnostic::new_error(fact.clone(), place(expr, rows)).with_help(
        "take it as text with `->>`, and make a number of one where it is one: `(value->>'price')::double precision`",
        None,
    );
    DataFusionError::Plan(fact).with_diagnostic(told)
}

/// Where an expression over rows stands in the statement; of a column, where it is made if it says nothing itself.
fn place(expr: &Expr, rows: &LogicalPlan) -> Option<Span> {
    let mut found = place_within(expr);
    if let (None, Expr::Column(column)) = (found, expr) {
        rows.apply(|node| {
            node.apply_expressions(|made| {
                if made.qualified_name().1 == column.name {
                    found = place_within(made);
                }
                Ok(until(found))
            })
        })
        .ok()?;
    }
    found
}

fn place_within(expr: &Expr) -> Option<Span> {
    let mut found = None;
    expr.apply(|part| {
        found = part.spans().and_then(Spans::first);
        Ok(until(found))
    })
    .ok()?;
    found
}

fn until(found: Option<Span>) -> TreeNodeRecursion {
    if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue }
}

/// What writes the values of a column.
///
/// # Errors
/// A type that has no form as JSON.
pub fn encoder<'a>(field: &'a FieldRef, values: &'a dyn Array) -> Result<NullableEncoder<'a>, ArrowError> {
    make_encoder(field, values, &OPTIONS)
}

/// Appends a value of a column.
pub fn put(column: &mut NullableEncoder<'_>, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
    } else {
        column.encode(row, out);
    }
}

/// A column as texts of JSON; nothing stays nothing.
///
/// # Errors
/// As [`encoder`].
pub fn texts(field: &FieldRef, values: &dyn Array) -> Result<StringArray, ArrowError> {
    let mut column = encoder(field, values)?;
    let (mut texts, mut json) = (StringBuilder::new(), Vec::new());
    for row in 0..values.len() {
        if column.is_null(row) {
            texts.append_null();
            continue;
        }
        json.clear();
        column.encode(row, &mut json);
        texts.append_value(String::from_utf8_lossy(&json));
    }
    Ok(texts.finish())
}

/// Knows what `->` finds, which is a type of its own.
#[derive(Debug)]
struct Finds;

struct Found(JsonUnionEncoder);

impl EncoderFactory for Finds {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        values: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let found = values.as_union_opt().and_then(|union| JsonUnionEncoder::from_union(union.clone()));
        let Some(found) = found else { return Ok(None) };
        let is_there = |row| !matches!(found.get_value(row), JsonUnionValue::JsonNull);
        let nulls: NullBuffer = (0..found.len()).map(is_there).collect();
        Ok(Some(NullableEncoder::new(Box::new(Found(found)), Some(nulls))))
    }
}

impl Encoder for Found {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = match self.0.get_value(row) {
            JsonUnionValue::JsonNull => serde_json::to_writer(&mut *out, &()),
            JsonUnionValue::Bool(it) => serde_json::to_writer(&mut *out, &it),
            JsonUnionValue::Int(it) => serde_json::to_writer(&mut *out, &it),
            JsonUnionValue::Float(it) => serde_json::to_writer(&mut *out, &it),
            JsonUnionValue::Str(it) => serde_json::to_writer(&mut *out, it),
            JsonUnionValue::Array(it) | JsonUnionValue::Object(it) => match serde_json::from_str::<IgnoredAny>(it) {
                Ok(_) => {
                    // A line's end stands between values alone, and would end the row where each has its line.
                    out.extend(it.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
                    Ok(())
                }
                // What looks for it reads no more of a document than it has to.
                Err(_) => serde_json::to_writer(&mut *out, it),
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, UnionArray, new_null_array};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_part_of_a_document_is_on_one_line() {
        /// The place of objects among what `->` finds.
        const OBJECT: i8 = 6;
        let DataType::Union(fields, _) = &*JSON_UNION_DATA_TYPE else { panic!("no union") };
        let parts = ["{\"a\":\n\"b\\n\"}", "{\r\n}", "{broken"];
        let child = |(id, field): (i8, &FieldRef)| -> ArrayRef {
            match id {
                OBJECT => Arc::new(StringArray::from(parts.to_vec())),
                _ => new_null_array(field.data_type(), parts.len()),
            }
        };
        let children = fields.iter().map(child).collect();
        let found = UnionArray::try_new(fields.clone(), vec![OBJECT; parts.len()].into(), None, children).unwrap();
        let field: FieldRef = Arc::new(Field::new("it", JSON_UNION_DATA_TYPE.clone(), true));
        let texts = texts(&field, &found).unwrap();
        assert_eq!(texts, StringArray::from(vec!["{\"a\": \"b\\n\"}", "{  }", "\"{broken\""]));
    }
}
