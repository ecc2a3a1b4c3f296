//! Errors as clients of PostgreSQL are told them: in the words and with the codes that everybody else gets, and with the
//! state by which drivers tell them apart.
//!
//! A code of ours may stand for several states: that a statement cannot be carried out is another one for a table than
//! for a column. Where the engine's error is known, it decides.
//!
//! # Source
//! PostgreSQL 17, "PostgreSQL Error Codes".

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion_postgres::pgwire::api::{ClientInfo, DEFAULT_NAME, ErrorHandler};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use headwater_base::Problem;

use super::decimal::Decimal;
use crate::sql::{fault, json};

/// The state of a statement that would write.
pub const READS: &str = "25006";
/// What is said of a plan that would write.
const WRITES: [&str; 2] = ["DDL not supported", "DML not supported"];
/// How it is said that types do not go together, or that a function does not take its arguments.
const NO_FUNCTION: [&str; 8] = [
    "Invalid function",
    "No function matches",
    "Failed to coerce arguments",
    "Cannot infer common",
    "Cannot coerce",
    "table function '",
    "Table function '",
    json::NO_ORDER,
];

/// Gives errors the words and codes that other listeners give them.
pub struct Words;

impl ErrorHandler for Words {
    fn on_error<C: ClientInfo>(&self, _: &C, error: &mut PgWireError) {
        let said = match &*error {
            PgWireError::PortalNotFound(name) => told(&fault::no_portal(shown(name))),
            PgWireError::StatementNotFound(name) => told(&fault::no_statement(shown(name))),
            PgWireError::ApiError(inner) => {
                match (inner.downcast_ref::<DataFusionError>(), inner.downcast_ref::<ParserError>()) {
                    (Some(inner), _) => {
                        let problem = fault::problem(inner);
                        told_as(&problem, of_engine(inner).unwrap_or_else(|| state(&problem)))
                    }
                    (_, Some(inner)) => told(&fault::syntax(inner)),
                    _ => return,
                }
            }
            _ => return,
        };
        *error = said;
    }
}

/// A name as its client said it.
fn shown(name: &str) -> &str {
    if name == DEFAULT_NAME { "" } else { name }
}

/// A problem as a client of PostgreSQL is told it.
pub fn told(problem: &Problem) -> PgWireError {
    told_as(problem, state(problem))
}

/// The same in another state.
pub fn told_as(problem: &Problem, state: &str) -> PgWireError {
    let is_last = matches!(problem.code.as_str(), "HW-LAKE-104" | "HW-LAKE-109" | "HW-LAKE-110");
    let severity = if is_last { "FATAL" } else { "ERROR" };
    let mut info = ErrorInfo::new(severity.to_owned(), state.to_owned(), problem.title.clone());
    info.detail =
        Some(problem.causes.iter().map(String::as_str).chain([problem.code.as_str()]).collect::<Vec<_>>().join("; "));
    info.hint.clone_from(&problem.help);
    PgWireError::UserError(Box::new(info))
}

/// The state of a problem.
fn state(problem: &Problem) -> &'static str {
    match problem.code.as_str() {
        "HW-BASE-002" => "28000",
        "HW-LAKE-040" => "42601",
        "HW-LAKE-041" | "HW-LAKE-093" => "42000",
        "HW-LAKE-042" if WRITES.iter().any(|words| problem.title.contains(words)) => READS,
        "HW-LAKE-042" | "HW-LAKE-050" | "HW-LAKE-051" | "HW-LAKE-092" | "HW-LAKE-107" => "0A000",
        "HW-LAKE-043" | "HW-LAKE-085" | "HW-LAKE-111" => "53200",
        "HW-LAKE-069" => "53100",
        // Drivers take it for a connection that is not to be had.
        "HW-LAKE-110" => "53300",
        "HW-LAKE-046" | "HW-LAKE-095" | "HW-LAKE-096" => "53400",
        "HW-LAKE-048" | "HW-LAKE-072" => "57014",
        "HW-LAKE-049" => "57P01",
        "HW-LAKE-021" | "HW-LAKE-045" | "HW-LAKE-055" | "HW-LAKE-063" => "58030",
        "HW-LAKE-047" => "58000",
        // Those of foreign tables: what begins with 08 is about the connection that is told.
        "HW-LAKE-056" | "HW-LAKE-057" => "HV00N",
        "HW-LAKE-058" => "HV000",
        "HW-LAKE-059" => "HV004",
        "HW-LAKE-091" => "42P01",
        "HW-LAKE-094" => "42P17",
        "HW-LAKE-097" => "34000",
        "HW-LAKE-098" => "42P03",
        "HW-LAKE-099" => "22023",
        "HW-LAKE-100" => "25P02",
        "HW-LAKE-101" | "HW-LAKE-104" => "08P01",
        "HW-LAKE-102" => "54000",
        "HW-LAKE-103" => "22P03",
        "HW-LAKE-105" => "22003",
        "HW-LAKE-106" | "HW-LAKE-113" => "22008",
        "HW-LAKE-109" => "08006",
        "HW-LAKE-112" => "26000",
        _ => "XX000",
    }
}

/// The state of an error of the engine's own, where there is one that says more than its code.
fn of_engine(error: &DataFusionError) -> Option<&'static str> {
    match error {
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => of_engine(inner),
        DataFusionError::Shared(inner) => of_engine(inner),
        DataFusionError::Collection(all) => all.first().and_then(of_engine),
        DataFusionError::SchemaError(error, _) => Some(match &**error {
            SchemaError::FieldNotFound { .. } => "42703",
            SchemaError::AmbiguousReference { .. } => "42702",
            SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. } => "42701",
        }),
        DataFusionError::Plan(words) => of_plan(words),
        DataFusionError::ArrowError(error, _) => of_values(error),
        _ => None,
    }
}

fn of_plan(words: &str) -> Option<&'static str> {
    let words = words.lines().next().unwrap_or_default();
    let is_no_table = words.starts_with("table '") && words.ends_with("not found");
    if is_no_table || words.starts_with("failed to resolve") {
        return Some("42P01");
    }
    if NO_FUNCTION.iter().any(|begin| words.starts_with(begin)) {
        return Some("42883");
    }
    words.contains("GROUP BY").then_some("42803")
}

/// The state of what the engine says of values.
fn of_values(error: &ArrowError) -> Option<&'static str> {
    match error {
        ArrowError::DivideByZero => Some("22012"),
        ArrowError::ArithmeticOverflow(_) => Some("22003"),
        ArrowError::CastError(words) if words.ends_with("not supported") => Some("42846"),
        ArrowError::CastError(words) => Some(if is_too_large(words) { "22003" } else { "22P02" }),
        ArrowError::ParseError(words) if words.contains("timestamp") || words.contains("date") => Some("22007"),
        ArrowError::ParseError(_) => Some("22P02"),
        ArrowError::InvalidArgumentError(words) if words.contains("too large to store") => Some("22003"),
        ArrowError::ComputeError(words) if words.contains("verflow") => Some("22003"),
        ArrowError::ExternalError(inner) => inner.downcast_ref::<DataFusionError>().and_then(of_engine),
        _ => None,
    }
}

/// Whether a value that cannot be cast is a number, which its type does not hold.
fn is_too_large(words: &str) -> bool {
    if words.starts_with("Can't cast value") || words.contains("verflow") {
        return true;
    }
    let Some((value, kind)) = words.split_once('\'').and_then(|(_, rest)| rest.rsplit_once('\'')) else { return false };
    if kind.contains("Int") {
        let digits = value.trim().trim_start_matches(['-', '+']);
        return !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    }
    let is_number = kind.contains("Float") || kind.contains("Decimal");
    is_number && matches!(Decimal::written(value), Some(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of limits, one is about connections, and drivers try that one again by another.
    #[test]
    fn limits_of_the_node_are_none_of_connections() {
        for (code, severity, state) in [
            ("HW-LAKE-046", "ERROR", "53400"),
            ("HW-LAKE-095", "ERROR", "53400"),
            ("HW-LAKE-096", "ERROR", "53400"),
            ("HW-LAKE-110", "FATAL", "53300"),
        ] {
            let PgWireError::UserError(info) = told(&Problem::new(code, "a limit")) else { panic!("{code}") };
            assert_eq!((info.severity.as_str(), info.code.as_str()), (severity, state), "{code}");
        }
    }
}
