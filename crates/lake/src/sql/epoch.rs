//! `date_part` and `extract`, as the engine has them, but for the seconds of a duration: the engine gives them without
//! what is behind the second, and PostgreSQL with it. The difference of two times is a duration.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray as _, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The function. There is one.
pub static PART: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Part(date_part()))));

/// Makes `extract` the function.
#[derive(Debug)]
pub struct Extracts;

impl ExprPlanner for Extracts {
    fn plan_extract(&self, words: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let call = ScalarFunction::new_udf(Arc::clone(&PART), words);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// The engine's function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Part(Arc<ScalarUDF>);

impl ScalarUDFImpl for Part {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.inner().aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.inner().signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.0.inner().return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.0.inner().return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(part), value] = args.args.as_slice() else {
            return self.0.inner().invoke_with_args(args);
        };
        let is_epoch = part
            .try_as_str()
            .flatten()
            .is_some_and(|part| part.trim_matches(['\'', '"']).eq_ignore_ascii_case("epoch"));
        match value.data_type() {
            DataType::Duration(unit) if is_epoch => seconds(value, unit),
            _ => self.0.inner().invoke_with_args(args),
        }
    }

    fn preimage(&self, words: &[Expr], literal: &Expr, context: &SimplifyContext) -> Result<PreimageResult> {
        self.0.inner().preimage(words, literal, context)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.inner().documentation()
    }
}

/// How many seconds durations are.
fn seconds(durations: &ColumnarValue, unit: TimeUnit) -> Result<ColumnarValue> {
    let in_second = match unit {
        TimeUnit::Second => 1.0,
        TimeUnit::Millisecond => 1e3,
        TimeUnit::Microsecond => 1e6,
        TimeUnit::Nanosecond => 1e9,
    };
    let counted = |values: &dyn arrow::array::Array| -> Result<Float64Array> {
        let counts = cast(&cast(values, &DataType::Int64)?, &DataType::Float64)?;
        Ok(counts.as_primitive::<Float64Type>().unary(|count| count / in_second))
    };
    match durations {
        ColumnarValue::Array(values) => Ok(ColumnarValue::Array(Arc::new(counted(values)?))),
        ColumnarValue::Scalar(value) => {
            let one = counted(&*value.to_array()?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?))
        }
    }
}
