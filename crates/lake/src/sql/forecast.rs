//! `forecast(time, value, intervals)`: an aggregate that tells what comes next, for somebody who explores. A kind of its
//! own writes forecasts before their time and judges them; this one keeps nothing.
//!
//! The answer is a list of `{time, predicted, lower, upper}`, which `unnest` makes rows of.
//!
//! The engine asks for the answers of all groups in one breath, and a forecast takes its time. So each is told whose query
//! it is of ([`bound`]), and is not begun once that has ended.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, Weak};

use arrow::array::{Array as _, AsArray as _, Float64Builder, ListArray, StructArray, TimestampMicrosecondBuilder};
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, LogicalPlan, Signature, Volatility, WindowFunctionDefinition,
};
use headwater_base::Micros;
use headwater_kernel::port::forecast::{Ahead, Forecaster};

use super::fault;
use super::queries::Query;
use super::streams::{ZONE, time};

/// The most values of one group.
const VALUES_MAX: usize = 1_000_000;

static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("time", time(), false),
        Field::new("predicted", DataType::Float64, false),
        Field::new("lower", DataType::Float64, true),
        Field::new("upper", DataType::Float64, true),
    ])
});

/// A row of the list.
fn item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(FIELDS.clone()), true))
}

/// The aggregate. There is one, whosever query it is of.
#[derive(Debug)]
pub struct Forecast {
    signature: Signature,
    forecaster: Forecaster,
    /// None before it is part of one.
    query: Option<Weak<Query>>,
}

impl PartialEq for Forecast {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for Forecast {}

impl Hash for Forecast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl Forecast {
    /// The aggregate that asks `forecaster`.
    pub fn new(forecaster: Forecaster) -> Self {
        let words = vec![time(), DataType::Float64, DataType::Int64];
        Self { signature: Signature::exact(words, Volatility::Immutable), forecaster, query: None }
    }

    /// The same as part of a query.
    fn of(&self, query: &Arc<Query>) -> Self {
        let (signature, query) = (self.signature.clone(), Some(Arc::downgrade(query)));
        Self { signature, forecaster: self.forecaster, query }
    }
}

/// The plan of a query, whose forecasts know that they are its.
///
/// # Errors
/// One of them is over a window.
pub fn bound(plan: LogicalPlan, query: &Arc<Query>) -> Result<LogicalPlan> {
    let mut forecasts = false;
    plan.apply_with_subqueries(|node| {
        // Over a frame that moves it would be told again for each row, of values that it has given away.
        if let LogicalPlan::Window(window) = node {
            for column in &window.window_expr {
                if column.exists(|part| Ok(is_moving(part)))? {
                    let fact = "forecast(...) tells of groups, and has no OVER: use GROUP BY instead";
                    return Err(DataFusionError::Plan(fact.to_owned()));
                }
            }
        }
        if let LogicalPlan::Aggregate(aggregate) = node {
            for column in &aggregate.aggr_expr {
                forecasts |= column.exists(|part| Ok(forecast(part).is_some()))?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !forecasts {
        return Ok(plan);
    }
    let bind = |part: Expr| {
        let Some(bound) = forecast(&part).map(|forecast| forecast.of(query)) else { return Ok(Transformed::no(part)) };
        match part {
            Expr::AggregateFunction(AggregateFunction { params, .. }) => {
                let func = Arc::new(AggregateUDF::from(bound));
                Ok(Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params })))
            }
            other => Ok(Transformed::no(other)),
        }
    };
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(_) => node.map_expressions(|column| column.transform_up(bind)),
        other => Ok(Transformed::no(other)),
    });
    plan.map(|plan| plan.data)
}

/// Whether an expression is a forecast over a window.
fn is_moving(part: &Expr) -> bool {
    let Expr::WindowFunction(call) = part else { return false };
    match &call.fun {
        WindowFunctionDefinition::AggregateUDF(called) => called.inner().downcast_ref::<Forecast>().is_some(),
        WindowFunctionDefinition::WindowUDF(_) => false,
    }
}

/// The aggregate that an expression calls.
fn forecast(part: &Expr) -> Option<&Forecast> {
    match part {
        Expr::AggregateFunction(call) => call.func.inner().downcast_ref(),
        _ => None,
    }
}

impl AggregateUDFImpl for Forecast {
    fn name(&self) -> &'static str {
        "forecast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (forecaster, query) = (self.forecaster, self.query.clone());
        Ok(Box::new(Gathered { forecaster, query, values: Vec::new(), ahead: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |of: DataType| DataType::List(Arc::new(Field::new("item", of, true)));
        Ok(vec![
            Arc::new(Field::new(format!("{}[times]", args.name), list(DataType::Int64), false)),
            Arc::new(Field::new(format!("{}[values]", args.name), list(DataType::Float64), false)),
            Arc::new(Field::new(format!("{}[ahead]", args.name), DataType::Int64, false)),
        ])
    }
}

/// The values of a group.
#[derive(Debug)]
struct Gathered {
    forecaster: Forecaster,
    query: Option<Weak<Query>>,
    values: Vec<(Micros, f64)>,
    ahead: i64,
}

impl Gathered {
    /// Nothing, as long as somebody waits for it.
    ///
    /// # Errors
    /// `HW-LAKE-072` once the query has ended.
    fn go_on(&self) -> Result<()> {
        let Some(query) = &self.query else { return Ok(()) };
        let ended = match query.upgrade() {
            Some(query) => query.why_ended(),
            None => Some(fault::cancelled("by whoever asked")),
        };
        ended.map_or(Ok(()), |problem| Err(fault::carried(problem)))
    }

    fn add(&mut self, values: impl Iterator<Item = (Micros, f64)>) -> Result<()> {
        self.values.extend(values);
        if self.values.len() > VALUES_MAX {
            let fact = format!("a forecast of more than {VALUES_MAX} values; sum them by longer intervals");
            return Err(DataFusionError::Execution(fact));
        }
        Ok(())
    }
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [times, values, ahead] = values else { return Ok(()) };
        let ahead = ahead.as_primitive::<Int64Type>();
        self.ahead = ahead.iter().flatten().fold(self.ahead, i64::max);
        let times = times.as_primitive::<TimestampMicrosecondType>().iter();
        let pairs =
            times.zip(values.as_primitive::<Float64Type>()).filter_map(|(time, value)| Some((Micros(time?), value?)));
        self.add(pairs)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return ScalarValue::try_from(&DataType::List(item()));
        }
        self.go_on()?;
        let told = (self.forecaster)(std::mem::take(&mut self.values), usize::try_from(self.ahead).unwrap_or(0));
        Ok(ScalarValue::List(Arc::new(listed(&told.map_err(fault::carried)?)?)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<(Micros, f64)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let times: Vec<ScalarValue> = self.values.iter().map(|(time, _)| ScalarValue::from(time.0)).collect();
        let values: Vec<ScalarValue> = self.values.iter().map(|(_, value)| ScalarValue::from(*value)).collect();
        Ok(vec![
            ScalarValue::List(ScalarValue::new_list_nullable(&times, &DataType::Int64)),
            ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Float64)),
            ScalarValue::from(self.ahead),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [times, values, ahead] = states else { return Ok(()) };
        self.ahead = ahead.as_primitive::<Int64Type>().iter().flatten().fold(self.ahead, i64::max);
        for (times, values) in times.as_list::<i32>().iter().zip(values.as_list::<i32>().iter()) {
            let (Some(times), Some(values)) = (times, values) else { continue };
            let (times, values): (&Int64Array, &Float64Array) = (times.as_primitive(), values.as_primitive());
            self.add(times.values().iter().zip(values.values()).map(|(time, value)| (Micros(*time), *value)))?;
        }
        Ok(())
    }
}

fn listed(told: &[Ahead]) -> Result<ListArray> {
    let mut times = TimestampMicrosecondBuilder::new().with_timezone(ZONE);
    let (mut predicted, mut lower, mut upper) = (Float64Builder::new(), Float64Builder::new(), Float64Builder::new());
    for ahead in told {
        times.append_value(ahead.time.0);
        predicted.append_value(ahead.predicted);
        lower.append_option(ahead.half.map(|half| ahead.predicted - half));
        upper.append_option(ahead.half.map(|half| ahead.predicted + half));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.finish()),
        Arc::new(predicted.finish()),
        Arc::new(lower.finish()),
        Arc::new(upper.finish()),
    ];
    let rows = StructArray::try_new(FIELDS.clone(), columns, None)?;
    let offsets = OffsetBuffer::from_lengths([rows.len()]);
    Ok(ListArray::try_new(item(), offsets, Arc::new(rows), None)?)
}

#[cfg(test)]
mod tests;
