//! Key conditions of DynamoDB's queries: `pk = :a AND begins_with(sk, :b)` as the bounds of an index.
//!
//! Bounds of an index are inclusive, so an exclusive one and a prefix are asked of each document as well. Conditions come
//! in any order; which field of the index each is on, its name says.

use headwater_kernel::port::tables::{Expression, Query};
use headwater_wire::exact::Exact;

use crate::execution::Failure;
use crate::tasks::failure;

/// Behind every text with the same beginning.
const LAST: char = '\u{10FFFF}';

/// One condition on one field.
#[derive(Debug, PartialEq)]
enum Condition<'a> {
    Compare(&'a str, &'a str, &'a str),
    Between(&'a str, &'a str, &'a str),
    BeginsWith(&'a str, &'a str),
}

impl<'a> Condition<'a> {
    /// What it is on.
    fn field(&self) -> &'a str {
        match *self {
            Self::Compare(field, ..) | Self::Between(field, ..) | Self::BeginsWith(field, _) => field,
        }
    }
}

/// The bounds that a key condition puts on a query, and the part of it that they do not hold. `keys` are the fields
/// that the index goes by; where nobody knows them, the conditions stand in their order.
///
/// # Errors
/// It is no key condition, or none of these keys.
pub(super) fn apply(expression: &Expression, query: &mut Query, keys: &[String]) -> Result<Option<String>, Failure> {
    let tokens = tokens(&expression.text);
    let (mut rest, mut conditions) = (tokens.as_slice(), Vec::new());
    loop {
        let (condition, behind) = condition(rest).ok_or_else(|| refused(&expression.text))?;
        conditions.push(condition);
        match behind {
            [] => break,
            [and, behind @ ..] if and.eq_ignore_ascii_case("AND") => rest = behind,
            _ => return Err(refused(&expression.text)),
        }
    }
    if !keys.is_empty() {
        conditions = in_order(expression, conditions, keys)?;
    }
    let value = |name: &str| {
        let found = expression.values.get(name).cloned();
        found.ok_or_else(|| failure::parameters(format!("`{name}` has no value in `ExpressionAttributeValues`")))
    };
    let mut left = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Compare(_, "=", name) => query.equals.push(value(name)?),
            Condition::Compare(field, sign, name) => {
                let bound = if sign.starts_with('<') { &mut query.to } else { &mut query.from };
                *bound = Some(value(name)?);
                if !sign.ends_with('=') {
                    left.push(format!("{field} {sign} {name}"));
                }
            }
            Condition::Between(_, from, to) => (query.from, query.to) = (Some(value(from)?), Some(value(to)?)),
            Condition::BeginsWith(field, name) => {
                let Exact::String(prefix) = value(name)? else {
                    return Err(failure::parameters(format!("`{name}` is no text, which `begins_with` asks for")));
                };
                query.to = Some(Exact::String(format!("{prefix}{LAST}")));
                query.from = Some(Exact::String(prefix));
                left.push(format!("begins_with({field}, {name})"));
            }
        }
    }
    Ok((!left.is_empty()).then(|| left.join(" AND ")))
}

/// Conditions in the order of the keys that they are on: one for each from the first on, all but the last with `=`.
fn in_order<'a>(
    expression: &Expression,
    conditions: Vec<Condition<'a>>,
    keys: &[String],
) -> Result<Vec<Condition<'a>>, Failure> {
    let named = |part: &str| expression.names.get(part).cloned().unwrap_or_else(|| part.to_owned());
    let mut placed = Vec::with_capacity(conditions.len());
    for condition in conditions {
        let name = condition.field().split('.').map(named).collect::<Vec<_>>().join(".");
        let Some(place) = keys.iter().position(|key| *key == name) else {
            let fact = format!("`{name}` of the key condition is no key here; keys are `{}`", keys.join("`, `"));
            return Err(failure::parameters(fact));
        };
        placed.push((place, condition));
    }
    placed.sort_by_key(|(place, _)| *place);
    let last = placed.len().saturating_sub(1);
    for (at, (place, condition)) in placed.iter().enumerate() {
        let bounded = at < last && !matches!(condition, Condition::Compare(_, "=", _));
        if *place < at || bounded {
            return Err(refused(&expression.text));
        }
        if let (true, Some(missed)) = (*place > at, keys.get(at)) {
            return Err(failure::parameters(format!("Query condition missed key schema element: {missed}")));
        }
    }
    Ok(placed.into_iter().map(|(_, condition)| condition).collect())
}

fn refused(text: &str) -> Failure {
    let shown: String = text.chars().take(100).collect();
    failure::parameters(format!(
        "`{shown}` is no key condition: write `key = :a`, and behind `AND` one of `=`, `<`, `<=`, `>`, `>=`, `BETWEEN` and `begins_with`"
    ))
}

/// One condition, with or without brackets around it, and what is behind it.
fn condition<'t, 'a>(tokens: &'t [&'a str]) -> Option<(Condition<'a>, &'t [&'a str])> {
    // Counted, not gone into: a text of brackets alone is longer than any stack is deep.
    let brackets = tokens.iter().take_while(|token| **token == "(").count();
    let (condition, behind) = bare(tokens.get(brackets..)?)?;
    let (closing, behind) = behind.split_at_checked(brackets)?;
    closing.iter().all(|token| *token == ")").then_some((condition, behind))
}

fn bare<'t, 'a>(tokens: &'t [&'a str]) -> Option<(Condition<'a>, &'t [&'a str])> {
    match tokens {
        [name, "(", field, ",", value, ")", behind @ ..] if *name == "begins_with" => {
            Some((Condition::BeginsWith(field, value), behind))
        }
        [field, between, from, and, to, behind @ ..]
            if between.eq_ignore_ascii_case("BETWEEN") && and.eq_ignore_ascii_case("AND") =>
        {
            Some((Condition::Between(field, from, to), behind))
        }
        [field, sign, value, behind @ ..] if ["=", "<", "<=", ">", ">="].contains(sign) && value.starts_with(':') => {
            Some((Condition::Compare(field, sign, value), behind))
        }
        _ => None,
    }
}

fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '(' | ')' | ',' | '=' => 1,
            '<' | '>' => 1 + usize::from(rest.get(1..2) == Some("=")),
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '=' | '<' | '>');
                rest.find(ends).unwrap_or(rest.len())
            }
        };
        let (token, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        found.push(token);
        rest = behind.trim_start();
    }
    found
}

#[cfg(test)]
mod tests;
