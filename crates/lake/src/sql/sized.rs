//! Functions that make much of little, held to the memory of queries before they make it.
//!
//! The engine counts what its operators keep, and nothing of what a function makes of a batch: `lpad(x, 2000000000)` makes
//! room for all rows of it at once, and where there is none the process ends, at the planning of constants too. So what
//! comes of a call is reckoned first, and one that is over all that queries get together is refused. What it is NOT: an
//! account; several calls may take so much each.
//!
//! # Source
//! `lpad.rs`, `repeat.rs` and `replace.rs` of `datafusion-functions` 54.1; `range.rs`, `repeat.rs`, `resize.rs` and
//! `string.rs` of `datafusion-functions-nested` 54.1.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Those that are held to it.
pub const NAMES: [&str; 10] = [
    "repeat",
    "lpad",
    "rpad",
    "replace",
    "regexp_replace",
    "array_to_string",
    "array_repeat",
    "array_resize",
    "range",
    "generate_series",
];

/// Those that make a text.
const TEXTS: [&str; 6] = ["repeat", "lpad", "rpad", "replace", "regexp_replace", "array_to_string"];
/// A number or a place in a list takes so much at most.
const ITEM_BYTES: usize = 16;
/// A replacement by a pattern that is no longer than that is not reckoned: how often it is put in is not known before.
const REPLACEMENT_BYTES: usize = 4_096;
/// Nanoseconds of a day.
const DAY_NS: i128 = 86_400_000_000_000;

/// A function of the engine that makes no more than `bytes_max` at once.
pub fn held(function: &Arc<ScalarUDF>, bytes_max: usize) -> ScalarUDF {
    ScalarUDF::from(Held { function: ScalarUDF::clone(function), bytes_max })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Held {
    function: ScalarUDF,
    bytes_max: usize,
}

impl ScalarUDFImpl for Held {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.function.inner().return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.function.inner().return_field_from_args(args)
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        self.function.inner().coerce_types(kinds)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.inner().simplify(args, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.inner().documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = reckoned(self.name(), &args)?;
        if bytes > self.bytes_max {
            let (name, most) = (self.name(), self.bytes_max);
            let words =
                format!("`{name}` would make {bytes} bytes of a batch of rows, and all queries together have {most}");
            return Err(DataFusionError::ResourcesExhausted(words));
        }
        self.function.inner().invoke_with_args(args)
    }
}

/// About how many bytes come of a call, at most.
fn reckoned(name: &str, args: &ScalarFunctionArgs) -> Result<usize> {
    let given = args.args.iter().map(Given::of).collect::<Result<Vec<_>>>()?;
    let is_constant = given.iter().all(|it| it.is_one);
    let rows = if is_constant { 1 } else { args.number_rows };
    let bytes = (0..rows).map(|row| made(name, &given, row)).fold(0, usize::saturating_add);
    // What is the same for all rows is made once; a text stands in each of them as soon as it meets a column.
    let times = if is_constant && TEXTS.contains(&name) { args.config_options.execution.batch_size } else { 1 };
    Ok(bytes.saturating_mul(times))
}

/// About how many bytes come of one row.
fn made(name: &str, given: &[Given], row: usize) -> usize {
    let bytes = |at: usize| given.get(at).map_or(0, |it| it.bytes(row));
    let count = |at: usize| given.get(at).map_or(0, |it| it.count(row));
    match name {
        "repeat" => bytes(0).saturating_mul(count(1)),
        // A character has four bytes at most.
        "lpad" | "rpad" => count(1).saturating_mul(4),
        "replace" => bytes(0).saturating_add(given.first().map_or(0, |text| {
            let (of, by) = (given.get(1).and_then(|it| it.text(row)), bytes(2));
            let found = |of: &str| text.text(row).map_or(0, |text| text.matches(of).count());
            of.map_or(0, |of| by.saturating_sub(of.len()).saturating_mul(if by > of.len() { found(of) } else { 0 }))
        })),
        "regexp_replace" if bytes(2) > REPLACEMENT_BYTES => {
            bytes(0).saturating_add(1).saturating_mul(bytes(2).saturating_add(1))
        }
        "array_to_string" => given.first().map_or(0, |list| list.items(row)).saturating_mul(bytes(1)),
        "array_repeat" => given.first().map_or(0, |item| item.weight(row)).saturating_mul(count(1)),
        "array_resize" => count(1).saturating_mul(bytes(2).saturating_add(ITEM_BYTES)),
        "range" | "generate_series" => steps(given, row).saturating_mul(ITEM_BYTES),
        _ => 0,
    }
}

/// How many values stand between two, with a step.
fn steps(given: &[Given], row: usize) -> usize {
    let (from, to) = match given {
        [to] => (Some(0), to.place(row)),
        [from, to, ..] => (from.place(row), to.place(row)),
        [] => return 0,
    };
    let (Some(from), Some(to)) = (from, to) else { return 0 };
    let step = given.get(2).map_or(Some(1), |step| step.step(row));
    let Some(step) = step.filter(|step| *step != 0) else { return 0 };
    if (step > 0) != (to >= from) && to != from {
        return 0;
    }
    usize::try_from((to - from).unsigned_abs() / step.unsigned_abs() + 1).unwrap_or(usize::MAX)
}

/// What a function is given.
struct Given {
    values: ArrayRef,
    /// Whether all rows have the one value.
    is_one: bool,
    /// The values as numbers, where they are whole ones; of times their seconds.
    numbers: Option<Int64Array>,
}

impl Given {
    fn of(value: &ColumnarValue) -> Result<Self> {
        let (values, is_one) = match value {
            ColumnarValue::Array(values) => (Arc::clone(values), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        let numbers = match values.data_type() {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                Some(cast(&cast(&values, &seconds)?, &DataType::Int64)?)
            }
            kind if kind.is_integer() => Some(cast(&values, &DataType::Int64)?),
            _ => None,
        };
        Ok(Self { values, is_one, numbers: numbers.map(|numbers| numbers.as_primitive::<Int64Type>().clone()) })
    }

    /// The place of a row's value, where there is one.
    fn at(&self, row: usize) -> Option<usize> {
        let at = if self.is_one { 0 } else { row };
        (at < self.values.len() && self.values.is_valid(at)).then_some(at)
    }

    fn number(&self, row: usize) -> Option<i64> {
        let (numbers, at) = (self.numbers.as_ref()?, self.at(row)?);
        numbers.is_valid(at).then(|| numbers.value(at))
    }

    /// How often; less than never is never.
    fn count(&self, row: usize) -> usize {
        self.number(row).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
    }

    fn is_time(&self) -> bool {
        !self.values.data_type().is_integer()
    }

    /// A number, or the nanoseconds of a time.
    fn place(&self, row: usize) -> Option<i128> {
        let number = i128::from(self.number(row)?);
        Some(if self.is_time() { number * 1_000_000_000 } else { number })
    }

    /// A number, or about how many nanoseconds an interval has.
    fn step(&self, row: usize) -> Option<i128> {
        if *self.values.data_type() != DataType::Interval(IntervalUnit::MonthDayNano) {
            return self.number(row).map(i128::from);
        }
        let step = self.values.as_primitive::<IntervalMonthDayNanoType>().value(self.at(row)?);
        let days = i128::from(step.months) * 28 + i128::from(step.days);
        Some(days * DAY_NS + i128::from(step.nanoseconds))
    }

    fn text(&self, row: usize) -> Option<&str> {
        let at = self.at(row)?;
        match self.values.data_type() {
            DataType::Utf8 => Some(self.values.as_string::<i32>().value(at)),
            DataType::LargeUtf8 => Some(self.values.as_string::<i64>().value(at)),
            DataType::Utf8View => Some(self.values.as_string_view().value(at)),
            _ => None,
        }
    }

    /// Bytes of a text; of another value what it may take.
    fn bytes(&self, row: usize) -> usize {
        self.text(row).map_or_else(|| if self.at(row).is_some() { ITEM_BYTES } else { 0 }, str::len)
    }

    /// How many items a list has.
    fn items(&self, row: usize) -> usize {
        let Some(at) = self.at(row) else { return 0 };
        match self.values.data_type() {
            DataType::List(_) => self.values.as_list::<i32>().value_length(at) as usize,
            DataType::LargeList(_) => self.values.as_list::<i64>().value_length(at) as usize,
            DataType::FixedSizeList(_, items) => *items as usize,
            _ => 0,
        }
    }

    /// Bytes of a value of any kind, and of its place in a list.
    fn weight(&self, row: usize) -> usize {
        let at = if self.is_one { 0 } else { row };
        if at >= self.values.len() {
            return 0;
        }
        let own = self.values.slice(at, 1).to_data().get_slice_memory_size().unwrap_or(ITEM_BYTES);
        own.saturating_add(ITEM_BYTES)
    }
}
