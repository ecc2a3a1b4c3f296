//! Filters of a path: `[?(@.price < 10 && @.tags)]`.

use serde_json::Value;

use super::{Root, Step};

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
    Item(Vec<Step>),
    /// A path from the root (`$`).
    Root(Vec<Step>),
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
                    (Some(left), Some(right)) => how.holds(&left, &right),
                    (None, None) => *how == Compare::Equal,
                    _ => *how == Compare::NotEqual,
                }
            }
        })
    }
}

impl Operand {
    fn value(&self, item: &Value, root: &Value, visits: &mut usize) -> Option<Option<Value>> {
        let (steps, from) = match self {
            Self::Literal(value) => return Some(Some(value.clone())),
            Self::Item(steps) => (steps, item),
            Self::Root(steps) => (steps, root),
        };
        let definite = super::Path { text: String::new(), root: Root::Input, steps: steps.clone() };
        if definite.is_definite() {
            return Some(definite.definite(from));
        }
        let found = super::select(steps, vec![from], root, visits)?;
        Some((!found.is_empty()).then(|| Value::Array(found.into_iter().cloned().collect())))
    }
}

impl Compare {
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
