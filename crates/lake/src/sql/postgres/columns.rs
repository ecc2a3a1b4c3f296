//! Columns that PostgreSQL's protocol cannot carry as ones that it can: lists of every kind become arrays, structs and maps
//! become JSON, and what no type of PostgreSQL stands for becomes text.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::StringBuilder;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;

use crate::sql::json;

/// How Arrow marks text that is JSON.
const JSON: &str = "arrow.json";

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
            Way::Json => AS_JSON.call(vec![column]),
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
        Way::Text | Way::Json => DataType::Utf8,
    }
}

/// Whether a column is sent as JSON, or is so already.
pub fn is_json(column: &Field) -> bool {
    let is_marked = is_text(column.data_type()) && column.extension_type_name() == Some(JSON);
    is_marked || Way::of(column.data_type()) == Way::Json
}

/// How a column is sent.
#[derive(PartialEq)]
enum Way {
    AsItIs,
    Cast(DataType),
    Text,
    Json,
}

/// Whether a type is a struct, a map or what `->` finds, or a list of them.
fn has_objects(kind: &DataType) -> bool {
    match kind {
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => true,
        other => item_of(other).is_some_and(|item| has_objects(item.data_type())),
    }
}

/// Whether a type has a form as JSON.
fn has_json(kind: &DataType) -> bool {
    match kind {
        DataType::Struct(fields) => fields.iter().all(|field| has_json(field.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                fields.first().is_some_and(|key| is_text(key.data_type()))
                    && fields.iter().all(|field| has_json(field.data_type()))
            }
            _ => false,
        },
        DataType::Dictionary(_, value) => has_json(value),
        DataType::Union(..) => json::is_found(kind),
        DataType::RunEndEncoded(..) => false,
        other => item_of(other).is_none_or(|item| has_json(item.data_type())),
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The items of a list.
fn item_of(kind: &DataType) -> Option<&FieldRef> {
    match kind {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item),
        _ => None,
    }
}

impl Way {
    fn of(kind: &DataType) -> Self {
        match kind {
            kind if has_objects(kind) => {
                if has_json(kind) {
                    Self::Json
                } else {
                    Self::Text
                }
            }
            // As `numeric` (`numeric.rs`); within lists the encoder has none.
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
            kind if into_pg_type(kind).is_err() => Self::Text,
            _ => Self::AsItIs,
        }
    }
}

/// Any value as text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Written {
    signature: Signature,
    /// As JSON, or else in the form in which Arrow shows it.
    is_json: bool,
}

static TEXT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Written::function(false));
static AS_JSON: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Written::function(true));

impl Written {
    fn function(is_json: bool) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { signature, is_json }))
    }
}

impl ScalarUDFImpl for Written {
    fn name(&self) -> &'static str {
        if self.is_json { "as_json" } else { "as_shown" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::Utf8, true);
        if !self.is_json {
            return Ok(Arc::new(field));
        }
        let mark = HashMap::from([(EXTENSION_TYPE_NAME_KEY.to_owned(), JSON.to_owned())]);
        Ok(Arc::new(field.with_metadata(mark)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut written = StringBuilder::new();
        let fields = &args.arg_fields;
        for (values, field) in ColumnarValue::values_to_arrays(&args.args)?.iter().zip(fields) {
            if self.is_json {
                return Ok(ColumnarValue::Array(Arc::new(json::texts(field, values)?)));
            }
            let options = FormatOptions::default().with_null("NULL");
            let formatter = ArrayFormatter::try_new(values, &options)?;
            for row in 0..values.len() {
                if values.is_null(row) {
                    written.append_null();
                } else {
                    written.append_value(formatter.value(row).try_to_string()?);
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(written.finish())))
    }
}
