//! Filters of a path: `[?(@.price < 10 && @.tags)]`.

use std::borrow::Cow;

use serde_json::Value;

use super::Step;

/// A condition on one item.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// The operand finds something.
    Exists(Operand),
    Compare(Operand, Compare, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `in`: the left value is an item of the right array.
    In,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    /// A path from the item (`@`).
    Item(Way),
    /// A path from the root (`$`).
    Root(Way),
}

/// The steps of an operand. Whether they are definite is known before any item is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Way {
    steps: Vec<Step>,
    is_definite: bool,
}

impl From<Vec<Step>> for Way {
    fn from(steps: Vec<Step>) -> Self {
        let is_definite = super::are_definite(&steps);
        Self { steps, is_definite }
    }
}

impl Filter {
    /// None when `visits` ran out.
    pub(super) fn accepts(&self, item: &Value, root: &Value, visits: &mut usize) -> Option<bool> {
        *visits = visits.checked_sub(1)?;
        Some(match self {
            Self::And(all) => {
                for filter in all {
                    if !filter.accepts(item, root, visits)? {
                        return Some(false);
                    }
                }
                true
            }
            Self::Or(any) => {
                for filter in any {
                    if filter.accepts(item, root, visits)? {
                        return Some(true);
                    }
                }
                false
            }
            Self::Not(filter) => !filter.accepts(item, root, visits)?,
            Self::Exists(operand) => operand.value(item, root, visits)?.is_some(),
            Self::Compare(left, how, right) => {
                let (left, right) = (left.value(item, root, visits)?, right.value(item, root, visits)?);
                match (left, right) {
                    (Some(left), Some(right)) => {
                        how.weigh(&left, &right, visits)?;
                        how.holds(&left, &right)
                    }
                    (None, None) => *how == Compare::Equal,
                    _ => *how == Compare::NotEqual,
                }
            }
        })
    }
}

impl Operand {
    /// What it is of an item; None when `visits` ran out.
    fn value<'a>(&'a self, item: &'a Value, root: &'a Value, visits: &mut usize) -> Option<Option<Cow<'a, Value>>> {
        let (way, from) = match self {
            Self::Literal(value) => return Some(Some(Cow::Borrowed(value))),
            Self::Item(way) => (way, item),
            Self::Root(way) => (way, root),
        };
        if way.is_definite {
            return Some(super::definite(&way.steps, from));
        }
        let found = super::all(&way.steps, from, root, visits)?;
        Some((!found.is_empty()).then(|| Cow::Owned(Value::Array(found))))
    }
}

impl Compare {
    /// Takes from `visits` what it costs to compare: for each item of a path, the same large values may be.
    fn weigh(self, left: &Value, right: &Value, visits: &mut usize) -> Option<()> {
        match (left, right) {
            (_, Value::Array(_)) if self == Self::In => super::weigh(right, visits),
            (Value::Array(_), Value::Array(_))
            | (Value::Object(_), Value::Object(_))
            | (Value::String(_), Value::String(_)) => super::weigh(left, visits),
            _ => Some(()),
        }
    }

    fn holds(self, left: &Value, right: &Value) -> bool {
        use std::cmp::Ordering;
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => {
                left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right))
            }
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            _ if left == right => Some(Ordering::Equal),
            _ => None,
        };
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::In => right.as_array().is_some_and(|items| items.iter().any(|item| Self::Equal.holds(left, item))),
        }
    }
}
