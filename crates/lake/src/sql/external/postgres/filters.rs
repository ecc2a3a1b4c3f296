//! Filters that a PostgreSQL server can decide: what a statement says of columns, in the server's SQL.
//!
//! Written here and not by the engine's own writer of SQL: a literal has to be of the column's type at the server, and only
//! comparisons that mean the same there may go there. Text is compared by the server's collation, so that only equality goes,
//! and the engine looks again; floats have one zero there and two here, so that comparisons with zero stay.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use headwater_base::Micros;

use super::columns::{Column, Form};
use crate::charts::text::quoted;

/// A filter is not worth more bytes of SQL.
const BYTES_MAX: usize = 64 * 1024;
/// The first and the last day that both sides write alike: 0001-01-01 and 9999-12-31.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
const DAY_MICROS: i64 = 86_400_000_000;

/// A filter in the server's SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The condition.
    pub sql: String,
    /// Whether it lets the same rows through; otherwise it lets more through.
    pub exact: bool,
}

/// A filter for the server; None for one that stays here.
pub fn pushed(filter: &Expr, columns: &[Column]) -> Option<Pushed> {
    condition(filter, columns).filter(|pushed| pushed.sql.len() <= BYTES_MAX)
}

fn condition(filter: &Expr, columns: &[Column]) -> Option<Pushed> {
    let exact = |sql: String| Some(Pushed { sql, exact: true });
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (condition(left, columns)?, condition(right, columns)?);
            let word = if *op == Operator::And { "AND" } else { "OR" };
            Some(Pushed { sql: format!("({} {word} {})", left.sql, right.sql), exact: left.exact && right.exact })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (Expr::Column(_), Expr::Literal(value, _)) => comparison(column(left, columns)?, *op, value),
            (Expr::Literal(value, _), Expr::Column(_)) => comparison(column(right, columns)?, op.swap()?, value),
            _ => None,
        },
        Expr::Not(inner) => {
            // Less than what lets more through would be less than what should come.
            let inner = condition(inner, columns).filter(|inner| inner.exact)?;
            exact(format!("NOT {}", inner.sql))
        }
        Expr::IsNull(inner) => exact(format!("({} IS NULL)", quoted(&column(inner, columns)?.name))),
        Expr::IsNotNull(inner) => exact(format!("({} IS NOT NULL)", quoted(&column(inner, columns)?.name))),
        Expr::Column(_) => {
            let column = column(filter, columns).filter(|column| column.form == Form::Boolean)?;
            exact(quoted(&column.name))
        }
        Expr::InList(list) => one_of(list, columns),
        Expr::Between(Between { expr, negated: false, low, high }) => match (&**low, &**high) {
            (Expr::Literal(low, _), Expr::Literal(high, _)) => {
                let column = column(expr, columns)?;
                let low = comparison(column, Operator::GtEq, low)?;
                let high = comparison(column, Operator::LtEq, high)?;
                exact(format!("({} AND {})", low.sql, high.sql))
            }
            _ => None,
        },
        _ => None,
    }
}

fn column<'a>(expr: &Expr, columns: &'a [Column]) -> Option<&'a Column> {
    let Expr::Column(named) = expr else { return None };
    columns.iter().find(|column| column.name == named.name)
}

fn comparison(column: &Column, op: Operator, value: &ScalarValue) -> Option<Pushed> {
    let is_text = matches!(column.form, Form::Text { .. });
    let word = match op {
        Operator::Eq => "=",
        _ if is_text => return None,
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        _ => return None,
    };
    let sql = format!("({} {word} {})", quoted(&column.name), literal(column.form, value)?);
    Some(Pushed { sql, exact: !is_text })
}

fn one_of(InList { expr, list, negated }: &InList, columns: &[Column]) -> Option<Pushed> {
    let column = column(expr, columns)?;
    let is_text = matches!(column.form, Form::Text { .. });
    if list.is_empty() || (is_text && *negated) {
        return None;
    }
    let value = |value: &Expr| match value {
        Expr::Literal(value, _) => literal(column.form, value),
        _ => None,
    };
    let values: Vec<String> = list.iter().map(value).collect::<Option<_>>()?;
    let word = if *negated { "NOT IN" } else { "IN" };
    Some(Pushed { sql: format!("({} {word} ({}))", quoted(&column.name), values.join(", ")), exact: !is_text })
}

/// A value as a literal of a column's type. The engine has made both of one type by now.
fn literal(form: Form, value: &ScalarValue) -> Option<String> {
    Some(match (form, value) {
        (Form::Boolean, ScalarValue::Boolean(Some(value))) => value.to_string(),
        (Form::Int16, ScalarValue::Int16(Some(value))) => value.to_string(),
        (Form::Int32, ScalarValue::Int32(Some(value))) => value.to_string(),
        (Form::Int64, ScalarValue::Int64(Some(value))) => value.to_string(),
        (Form::Float32, ScalarValue::Float32(Some(value))) if value.is_normal() => format!("'{value}'::float4"),
        (Form::Float64, ScalarValue::Float64(Some(value))) if value.is_normal() => format!("'{value}'::float8"),
        (Form::Decimal(..), ScalarValue::Decimal128(Some(value), _, scale)) => decimal(*value, *scale)?,
        (Form::Date, ScalarValue::Date32(Some(days))) => format!("'{}'::date", date(i64::from(*days))?),
        (Form::Timestamp, ScalarValue::TimestampMicrosecond(Some(micros), None)) => {
            format!("'{}'::timestamp", time(*micros)?.trim_end_matches('Z'))
        }
        (Form::Timestamptz, ScalarValue::TimestampMicrosecond(Some(micros), Some(_))) => {
            format!("'{}'::timestamptz", time(*micros)?)
        }
        (Form::Bytes, ScalarValue::Binary(Some(bytes))) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'\\x{digits}'::bytea")
        }
        (Form::Uuid, ScalarValue::Utf8(Some(text))) => {
            // Another spelling of it is another text here.
            let same = uuid::Uuid::parse_str(text).ok().filter(|it| it.to_string() == *text)?;
            format!("'{same}'::uuid")
        }
        (Form::Text { compares: true }, ScalarValue::Utf8(Some(text))) if !text.contains('\0') => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => return None,
    })
}

fn decimal(value: i128, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at_checked(digits.len() - scale)?;
    let sign = if value < 0 { "-" } else { "" };
    let point = if part.is_empty() { "" } else { "." };
    Some(format!("'{sign}{whole}{point}{part}'::numeric"))
}

fn date(days: i64) -> Option<String> {
    let text = DAYS.contains(&days).then(|| Micros(days * DAY_MICROS).to_string())?;
    text.get(..10).map(str::to_owned)
}

fn time(micros: i64) -> Option<String> {
    DAYS.contains(&micros.div_euclid(DAY_MICROS)).then(|| Micros(micros).to_string())
}

#[cfg(test)]
mod tests;
