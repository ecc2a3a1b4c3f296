//! Which rule of a Choice state holds.

use std::cmp::Ordering;

use serde_json::Value;

use super::fault::Fault;
use super::scope::{Scope, unexpected};
use crate::definition::{Comparison, Condition, Operand, Order};
use crate::path::{Miss, Path};
use crate::time;

impl Scope<'_> {
    /// Whether a condition holds; `field` is where it stands, for a fault.
    pub(super) fn holds(&self, condition: &Condition, field: &str) -> Result<bool, Fault> {
        match condition {
            Condition::Constant(constant) => Ok(*constant),
            Condition::Query(query) => match self.query(query, field)? {
                Value::Bool(holds) => Ok(holds),
                other => Err(unexpected(query, field, "boolean", &other)),
            },
            Condition::And(all) => {
                for condition in all {
                    if !self.holds(condition, field)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Or(any) => {
                for condition in any {
                    if self.holds(condition, field)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Condition::Not(condition) => Ok(!self.holds(condition, field)?),
            Condition::Test { variable, comparison, operand } => self.test(variable, *comparison, operand),
        }
    }

    fn test(&self, variable: &Path, comparison: Comparison, operand: &Operand) -> Result<bool, Fault> {
        if comparison == Comparison::IsPresent {
            let present = match self.path(variable) {
                // An indefinite path is present when it finds something.
                Ok(Value::Array(found)) if !variable.is_definite() => !found.is_empty(),
                Ok(_) => true,
                Err(Miss::Absent(_)) => false,
                Err(miss) => return Err(Fault::invalid_path(&variable.text, &miss)),
            };
            return Ok(matches!(operand, Operand::Literal(Value::Bool(wanted)) if *wanted == present));
        }
        let value = self.condition_path(variable)?;
        let operand = match operand {
            Operand::Literal(literal) => literal.clone(),
            Operand::Path(path) => self.condition_path(path)?,
        };
        Ok(compare(comparison, &value, &operand))
    }

    fn condition_path(&self, path: &Path) -> Result<Value, Fault> {
        self.path(path).map_err(|_| {
            let reason = "The choice state's condition path references an invalid value.";
            Fault::Runtime(format!("Invalid path '{}': {reason}", path.text))
        })
    }
}

fn compare(comparison: Comparison, value: &Value, operand: &Value) -> bool {
    let is = |fact: bool| operand.as_bool() == Some(fact);
    match comparison {
        Comparison::IsNull => is(value.is_null()),
        Comparison::IsNumeric => is(value.is_number()),
        Comparison::IsString => is(value.is_string()),
        Comparison::IsBoolean => is(value.is_boolean()),
        Comparison::IsTimestamp => is(value.as_str().and_then(time::parse).is_some()),
        Comparison::IsPresent => is(true),
        Comparison::BooleanEquals => value.is_boolean() && value == operand,
        Comparison::StringMatches => match (value, operand) {
            (Value::String(text), Value::String(pattern)) => matches(text, pattern),
            _ => false,
        },
        Comparison::String(order) => match (value, operand) {
            (Value::String(value), Value::String(operand)) => in_order(order, Some(value.cmp(operand))),
            _ => false,
        },
        Comparison::Numeric(order) => match (value, operand) {
            (Value::Number(left), Value::Number(right)) => in_order(order, numeric(left, right)),
            _ => false,
        },
        Comparison::Timestamp(order) => {
            let times = value.as_str().and_then(time::parse).zip(operand.as_str().and_then(time::parse));
            in_order(order, times.map(|(value, operand)| value.cmp(&operand)))
        }
    }
}

fn numeric(left: &serde_json::Number, right: &serde_json::Number) -> Option<Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn in_order(order: Order, found: Option<Ordering>) -> bool {
    let Some(found) = found else { return false };
    match order {
        Order::Equals => found.is_eq(),
        Order::LessThan => found.is_lt(),
        Order::LessThanEquals => found.is_le(),
        Order::GreaterThan => found.is_gt(),
        Order::GreaterThanEquals => found.is_ge(),
    }
}

/// `*` stands for any text, `\*` for itself. Linear: on a mismatch only the last `*` takes one character more.
fn matches(text: &str, pattern: &str) -> bool {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        tokens.push(match c {
            '\\' => Some(characters.next().unwrap_or('\\')),
            '*' => None,
            other => Some(other),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut token) = (0, 0);
    let mut star = None;
    while at < text.len() {
        match tokens.get(token) {
            Some(None) => {
                star = Some((token + 1, at));
                token += 1;
            }
            Some(Some(c)) if text.get(at) == Some(c) => {
                at += 1;
                token += 1;
            }
            _ => {
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                (token, at) = (after, from + 1);
            }
        }
    }
    tokens.iter().skip(token).all(Option::is_none)
}
