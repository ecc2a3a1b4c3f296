//! What is measured over the events of a window, a session or a key.

use headwater_base::{Micros, never};

use crate::operators::Position;
use crate::operators::codec::{Corrupt, Reader, put_i64, put_time, put_u64};
use crate::operators::distinct::{self, Distinct};
use crate::operators::number::{Number, Sum};
use crate::operators::value::{Value, put_json, put_text};

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

/// An event's place in the order that results go by.
pub type At = (Micros, Position);

/// What a measure has computed so far. Adding and merging are associative and do not depend on order.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// See [`Kind::Count`].
    Count(u64),
    /// See [`Kind::Sum`].
    Sum(Sum),
    /// See [`Kind::Min`].
    Min(Option<Number>),
    /// See [`Kind::Max`].
    Max(Option<Number>),
    /// See [`Kind::Mean`].
    Mean(u64, Sum),
    /// See [`Kind::Distinct`].
    Distinct(Distinct),
    /// See [`Kind::Last`]; newest first.
    Last(u16, Vec<(At, Value)>),
    /// See [`Kind::First`].
    First(Option<(At, Value)>),
}

impl Input<'_> {
    /// The input as a number, if it is a finite one.
    pub fn number(&self) -> Option<Number> {
        match *self {
            Self::Int(number) => Some(Number::Int(number)),
            Self::Float(number) if number.is_finite() => Some(Number::Float(number)),
            _ => None,
        }
    }

    /// The input as a value to keep; None for [`Input::Skip`].
    pub fn value(&self) -> Option<Value> {
        Some(match *self {
            Self::Skip => return None,
            Self::Unit => Value::Bool(true),
            Self::Bool(yes) => Value::Bool(yes),
            Self::Int(number) => Value::Int(i128::from(number)),
            Self::Float(number) => Value::Float(number),
            Self::Text(text) => Value::Text(text.into()),
            Self::Json(text) => Value::Json(text.into()),
        })
    }

    /// Appends the bytes of [`Self::value`], as [`Value::put`] does; false where there is none.
    pub fn put(&self, out: &mut Vec<u8>) -> bool {
        match *self {
            Self::Skip => return false,
            Self::Unit => Value::Bool(true).put(out),
            Self::Bool(yes) => Value::Bool(yes).put(out),
            Self::Int(number) => Value::Int(i128::from(number)).put(out),
            Self::Float(number) => Value::Float(number).put(out),
            Self::Text(text) => put_text(out, text),
            Self::Json(text) => put_json(out, text),
        }
        true
    }
}

impl Measured {
    /// Nothing measured yet.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Count => Self::Count(0),
            Kind::Sum => Self::Sum(Sum::default()),
            Kind::Min => Self::Min(None),
            Kind::Max => Self::Max(None),
            Kind::Mean => Self::Mean(0, Sum::default()),
            Kind::Distinct => Self::Distinct(Distinct::default()),
            Kind::Last { n } => Self::Last(n.max(1), Vec::new()),
            Kind::First => Self::First(None),
        }
    }

    /// Adds an event's input. What does not fit the measure (a text to a sum) is passed over.
    #[inline]
    pub fn add(&mut self, input: &Input<'_>, at: At) {
        match self {
            Self::Count(count) => *count = count.saturating_add(u64::from(*input != Input::Skip)),
            Self::Sum(sum) => {
                if let Some(number) = input.number() {
                    sum.add(number);
                }
            }
            Self::Min(min) => *min = lesser(*min, input.number()),
            Self::Max(max) => *max = greater(*max, input.number()),
            Self::Mean(count, sum) => {
                if let Some(number) = input.number() {
                    *count = count.saturating_add(1);
                    sum.add(number);
                }
            }
            Self::Distinct(distinct) => {
                if let Some(hash) = distinct::hash(input) {
                    distinct.add(hash);
                }
            }
            Self::Last(n, entries) => {
                let full = entries.len() >= usize::from(*n);
                if !(full && entries.last().is_some_and(|(oldest, _)| *oldest > at))
                    && let Some(value) = input.value()
                {
                    let behind = entries.partition_point(|(other, _)| *other > at);
                    if full {
                        // The oldest, which is not newer than this.
                        entries.pop();
                    }
                    entries.insert(behind, (at, value));
                }
            }
            Self::First(first) => {
                if first.as_ref().is_none_or(|(other, _)| at < *other)
                    && let Some(value) = input.value()
                {
                    *first = Some((at, value));
                }
            }
        }
    }

    /// Adds all that `other`, of the same kind, has measured.
    pub fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(other)) => *count = count.saturating_add(other),
            (Self::Sum(sum), Self::Sum(other)) => sum.merge(&other),
            (Self::Min(min), Self::Min(other)) => *min = lesser(*min, other),
            (Self::Max(max), Self::Max(other)) => *max = greater(*max, other),
            (Self::Mean(count, sum), Self::Mean(other, others)) => {
                *count = count.saturating_add(other);
                sum.merge(&others);
            }
            (Self::Distinct(distinct), Self::Distinct(other)) => distinct.merge(&other),
            (Self::Last(n, entries), Self::Last(_, others)) => {
                entries.extend(others);
                entries.sort_by(|(a, _), (b, _)| b.cmp(a));
                entries.truncate(usize::from(*n));
            }
            (Self::First(first), Self::First(other)) => {
                if let Some((at, _)) = &other
                    && first.as_ref().is_none_or(|(mine, _)| at < mine)
                {
                    *first = other;
                }
            }
            (mine, other) => never!("{mine:?} merged with {other:?}"),
        }
    }

    /// Reads what [`Self::put`] wrote for a measure of this kind and adds it.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    #[inline]
    pub fn merge_read(&mut self, kind: Kind, reader: &mut Reader<'_>, base: Micros) -> Result<(), Corrupt> {
        match self {
            Self::Count(count) => *count = count.saturating_add(reader.u64()?),
            Self::Sum(sum) => sum.merge_read(reader)?,
            Self::Min(min) => *min = lesser(*min, Number::read(reader)?),
            Self::Max(max) => *max = greater(*max, Number::read(reader)?),
            Self::Mean(count, sum) => {
                *count = count.saturating_add(reader.u64()?);
                sum.merge_read(reader)?;
            }
            _ => self.merge(Self::read(kind, reader, base)?),
        }
        Ok(())
    }

    /// The result.
    pub fn value(&self) -> Value {
        match self {
            Self::Count(count) => Value::Int(i128::from(*count)),
            Self::Sum(sum) => sum.value(),
            Self::Min(number) | Self::Max(number) => number.map_or(Value::Null, Number::value),
            Self::Mean(0, _) => Value::Null,
            Self::Mean(count, sum) => Value::Float(sum.float() / *count as f64),
            Self::Distinct(distinct) => Value::Int(i128::from(distinct.count())),
            Self::Last(1, entries) => entries.first().map_or(Value::Null, |(_, value)| value.clone()),
            Self::Last(_, entries) => Value::List(entries.iter().map(|(_, value)| value.clone()).collect()),
            Self::First(first) => first.as_ref().map_or(Value::Null, |(_, value)| value.clone()),
        }
    }

    /// Appends the bytes; times relative to `base`.
    pub fn put(&self, out: &mut Vec<u8>, base: Micros) {
        match self {
            Self::Count(count) => put_u64(out, *count),
            Self::Sum(sum) => sum.put(out),
            Self::Min(number) | Self::Max(number) => Number::put(*number, out),
            Self::Mean(count, sum) => {
                put_u64(out, *count);
                sum.put(out);
            }
            Self::Distinct(distinct) => distinct.put(out),
            Self::Last(_, entries) => {
                put_u64(out, entries.len() as u64);
                for (at, value) in entries {
                    put_at(out, base, *at);
                    value.put(out);
                }
            }
            Self::First(first) => {
                out.push(u8::from(first.is_some()));
                if let Some((at, value)) = first {
                    put_at(out, base, *at);
                    value.put(out);
                }
            }
        }
    }

    /// Reads what [`Self::put`] wrote for a measure of this kind.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    #[inline]
    pub fn read(kind: Kind, reader: &mut Reader<'_>, base: Micros) -> Result<Self, Corrupt> {
        let mut sum = Sum::default();
        Ok(match kind {
            Kind::Count => Self::Count(reader.u64()?),
            Kind::Sum => {
                sum.merge_read(reader)?;
                Self::Sum(sum)
            }
            Kind::Min => Self::Min(Number::read(reader)?),
            Kind::Max => Self::Max(Number::read(reader)?),
            Kind::Mean => {
                let count = reader.u64()?;
                sum.merge_read(reader)?;
                Self::Mean(count, sum)
            }
            Kind::Distinct => Self::Distinct(Distinct::read(reader)?),
            Kind::Last { n } => {
                let count = reader.count()?;
                let mut entries = Vec::with_capacity(count.min(usize::from(n)) + 1);
                for _ in 0..count {
                    entries.push((read_at(reader, base)?, Value::read(reader)?));
                }
                entries.truncate(usize::from(n.max(1)));
                Self::Last(n.max(1), entries)
            }
            Kind::First => match reader.byte()? {
                0 => Self::First(None),
                _ => Self::First(Some((read_at(reader, base)?, Value::read(reader)?))),
            },
        })
    }

    /// As [`Self::read`], over what is here, whose memory is used again.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    #[inline]
    pub fn read_over(&mut self, kind: Kind, reader: &mut Reader<'_>, base: Micros) -> Result<(), Corrupt> {
        let (Kind::Last { n }, Self::Last(max, entries)) = (kind, &mut *self) else {
            *self = Self::read(kind, reader, base)?;
            return Ok(());
        };
        *max = n.max(1);
        entries.clear();
        for _ in 0..reader.count()? {
            entries.push((read_at(reader, base)?, Value::read(reader)?));
        }
        entries.truncate(usize::from(*max));
        Ok(())
    }
}

/// Appends an event's place in the order.
pub fn put_at(out: &mut Vec<u8>, base: Micros, (time, (partition, offset)): At) {
    put_time(out, base, time);
    put_u64(out, u64::from(partition));
    put_i64(out, offset);
}

/// Reads what [`put_at`] wrote.
///
/// # Errors
/// [`Corrupt`] for anything else.
pub fn read_at(reader: &mut Reader<'_>, base: Micros) -> Result<At, Corrupt> {
    Ok((reader.time(base)?, (reader.u32()?, reader.i64()?)))
}

/// A text of the kinds, which the stored bytes depend on. The number of values that `last` keeps is not part of it.
pub fn layout(measures: &[Measure]) -> String {
    let kinds = measures.iter().map(|measure| match measure.kind {
        Kind::Count => "count",
        Kind::Sum => "sum",
        Kind::Min => "min",
        Kind::Max => "max",
        Kind::Mean => "mean",
        Kind::Distinct => "distinct",
        Kind::Last { .. } => "last",
        Kind::First => "first",
    });
    measures.iter().zip(kinds).map(|(measure, kind)| format!("{}:{kind}", measure.name)).collect::<Vec<_>>().join(",")
}

fn lesser(a: Option<Number>, b: Option<Number>) -> Option<Number> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.order(a).is_lt() { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn greater(a: Option<Number>, b: Option<Number>) -> Option<Number> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.order(a).is_gt() { b } else { a }),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
