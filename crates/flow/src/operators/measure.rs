//! What is measured over the events of a window, a session or a key.

use headwater_base::Micros;

/// A named measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The field it becomes.
    pub name: String,
    /// What it computes.
    pub kind: Kind,
}

impl Measure {
    /// Makes a measure.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// What a measure computes of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How many inputs there were.
    Count,
    /// Their sum: exact for whole numbers, correctly rounded for floats, whatever the order.
    Sum,
    /// The smallest number.
    Min,
    /// The largest number.
    Max,
    /// The mean of the numbers.
    Mean,
    /// How many different inputs there were; see [`super::distinct`] for its error.
    Distinct,
    /// The newest `n` by (event time, position), newest first; a single value when `n` is 1.
    Last {
        /// How many are kept, at least 1.
        n: u16,
    },
    /// The oldest by (event time, position).
    First,
}

/// What one event gives to one measure: the measure's expression, if its condition holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<'a> {
    /// The condition does not hold, or the value is missing or null.
    Skip,
    /// The condition of a `count` holds.
    Unit,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// JSON text of an array or object.
    Json(&'a str),
}

pub(crate) type At = (Micros, super::Position);
