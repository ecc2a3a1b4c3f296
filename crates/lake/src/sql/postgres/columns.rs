//! Columns that PostgreSQL's protocol cannot carry as ones that it can: lists of every kind become arrays, and what no
//! type of PostgreSQL stands for becomes text.

use std::sync::{Arc, LazyLock};

use arrow::array::StringBuilder;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast,
};
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;

/// The plan with columns that can be sent.
///
/// # Errors
/// What the engine says.
pub fn carried(plan: LogicalPlan) -> Result<LogicalPlan> {
    if plan.schema().fields().iter().all(|field| Way::of(field.data_type()) == Way::AsItIs) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().map(|(relation, field)| {
        let column = Expr::Column(Column::new(relation.cloned(), field.name()));
        let other = match Way::of(field.data_type()) {
            Way::AsItIs => return column,
            Way::Cast(kind) => cast(column, kind),
            Way::Text => TEXT.call(vec![column]),
        };
        other.alias_qualified(relation.cloned(), field.name())
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The type as which a column is sent.
pub fn sent(column: &DataType) -> DataType {
    match Way::of(column) {
        Way::AsItIs => column.clone(),
        Way::Cast(kind) => kind,
        Way::Text => DataType::Utf8,
    }
}

/// How a column is sent.
#[derive(PartialEq)]
enum Way {
    AsItIs,
    Cast(DataType),
    Text,
}

impl Way {
    fn of(kind: &DataType) -> Self {
        match kind {
            // As `numeric` (`numeric.rs`); within lists and structs the encoder has none.
            DataType::Decimal256(..) => Self::AsItIs,
            // The encoder has one type of each family.
            DataType::Float16 => Self::Cast(DataType::Float32),
            DataType::FixedSizeBinary(_) => Self::Cast(DataType::Binary),
            DataType::Decimal32(digits, scale) | DataType::Decimal64(digits, scale) => {
                Self::Cast(DataType::Decimal128(*digits, *scale))
            }
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                let list = DataType::List(Arc::clone(item));
                if Self::of(&list) == Self::AsItIs { Self::Cast(list) } else { Self::Text }
            }
            DataType::ListView(_) | DataType::LargeListView(_) => Self::Text,
            DataType::List(item) if Self::of(item.data_type()) != Self::AsItIs => Self::Text,
            DataType::Struct(fields) if fields.iter().any(|it| Self::of(it.data_type()) != Self::AsItIs) => Self::Text,
            kind if into_pg_type(kind).is_err() => Self::Text,
            _ => Self::AsItIs,
        }
    }
}

/// Any value as text, in the form in which Arrow shows it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Text(Signature);

static TEXT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(Text(Signature::any(1, Volatility::Immutable)))));

impl ScalarUDFImpl for Text {
    fn name(&self) -> &'static str {
        "as_shown"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut shown = StringBuilder::new();
        for values in ColumnarValue::values_to_arrays(&args.args)? {
            let options = FormatOptions::default().with_null("NULL");
            let formatter = ArrayFormatter::try_new(&values, &options)?;
            for row in 0..values.len() {
                if values.is_null(row) {
                    shown.append_null();
                } else {
                    shown.append_value(formatter.value(row).try_to_string()?);
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(shown.finish())))
    }
}
