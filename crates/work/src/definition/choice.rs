//! The rules of a Choice state.

use serde_json::Value;

use super::StateId;
use super::template::Template;
use crate::jsonata::Query;
use crate::path::Path;

/// One entry of `Choices`.
#[derive(Debug)]
pub struct Rule {
    /// When it is taken.
    pub condition: Condition,
    /// Where it leads.
    pub next: StateId,
    /// The output of a JSONata state.
    pub output: Option<Template>,
    /// Variables it sets.
    pub assign: Option<Template>,
}

/// A condition.
#[derive(Debug)]
pub enum Condition {
    /// All of them.
    And(Vec<Condition>),
    /// Any of them.
    Or(Vec<Condition>),
    /// Not this one.
    Not(Box<Condition>),
    /// A test of one value.
    Test {
        /// The value.
        variable: Path,
        /// How it is tested.
        comparison: Comparison,
        /// Against what.
        operand: Operand,
    },
    /// A JSONata expression.
    Query(Query),
    /// `true` or `false` as written.
    Constant(bool),
}

/// What a value is tested against.
#[derive(Debug)]
pub enum Operand {
    /// As written.
    Literal(Value),
    /// Another value of the input.
    Path(Path),
}

/// How a value is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the language's own words")]
pub enum Comparison {
    String(Order),
    Numeric(Order),
    Timestamp(Order),
    BooleanEquals,
    StringMatches,
    IsNull,
    IsPresent,
    IsNumeric,
    IsString,
    IsBoolean,
    IsTimestamp,
}

/// An order of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the language's own words")]
pub enum Order {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

impl Comparison {
    /// The comparison of a field name, and whether its operand is a path.
    pub(super) fn of_field(field: &str) -> Option<(Self, bool)> {
        let plain = match field {
            "IsNull" => Self::IsNull,
            "IsPresent" => Self::IsPresent,
            "IsNumeric" => Self::IsNumeric,
            "IsString" => Self::IsString,
            "IsBoolean" => Self::IsBoolean,
            "IsTimestamp" => Self::IsTimestamp,
            "StringMatches" => Self::StringMatches,
            _ => {
                let (name, is_path) = field.strip_suffix("Path").map_or((field, false), |name| (name, true));
                return Self::of_type(name).map(|comparison| (comparison, is_path));
            }
        };
        Some((plain, false))
    }

    fn of_type(name: &str) -> Option<Self> {
        if name == "BooleanEquals" {
            return Some(Self::BooleanEquals);
        }
        let types: [(&str, fn(Order) -> Self); 3] =
            [("String", Self::String), ("Numeric", Self::Numeric), ("Timestamp", Self::Timestamp)];
        let (rest, comparison) = types.iter().find_map(|(prefix, of)| Some((name.strip_prefix(prefix)?, of)))?;
        let order = match rest {
            "Equals" => Order::Equals,
            "LessThan" => Order::LessThan,
            "LessThanEquals" => Order::LessThanEquals,
            "GreaterThan" => Order::GreaterThan,
            "GreaterThanEquals" => Order::GreaterThanEquals,
            _ => return None,
        };
        Some(comparison(order))
    }

    /// Whether a literal operand has the type this comparison needs.
    pub(super) fn accepts(self, operand: &Value) -> bool {
        match self {
            Self::String(_) | Self::StringMatches => operand.is_string(),
            Self::Timestamp(_) => operand.as_str().is_some_and(|text| crate::time::parse(text).is_some()),
            Self::Numeric(_) => operand.is_number(),
            _ => operand.is_boolean(),
        }
    }
}
