//! Decimals as PostgreSQL's `numeric`, with all their digits: those of the protocol's own encoder are 28.
//!
//! # Source
//! PostgreSQL 17, `numeric_send` and `numeric_out` in `src/backend/utils/adt/numeric.c`.

use std::error::Error;
use std::fmt::Display;
use std::iter;

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::ArrowPrimitiveType;
use bytes::{BufMut as _, BytesMut};
use datafusion_postgres::pgwire::types::ToSqlText;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// Decimal digits in one of PostgreSQL's.
const DIGITS: usize = 4;
/// What says that a number is below zero.
const NEGATIVE: u16 = 0x4000;

type Written = Result<IsNull, Box<dyn Error + Sync + Send>>;

/// A decimal number.
#[derive(Debug)]
pub struct Numeric {
    is_negative: bool,
    /// Decimal digits, of which at least `behind`; none in front of the point for what is below one.
    digits: String,
    /// How many of them stand behind the point.
    behind: usize,
}

impl Numeric {
    /// A value of a column of decimals with that scale; none where there is none.
    pub fn at<T>(values: &dyn Array, row: usize, scale: i8) -> Option<Self>
    where
        T: ArrowPrimitiveType,
        T::Native: Display,
    {
        let values = values.as_primitive_opt::<T>().filter(|values| values.is_valid(row))?;
        Some(Self::new(&values.value(row).to_string(), scale))
    }

    /// A whole number as it is written, divided by 10 to the `scale`.
    pub fn new(units: &str, scale: i8) -> Self {
        let (is_negative, digits) = units.strip_prefix('-').map_or((false, units), |digits| (true, digits));
        let mut digits = digits.trim_start_matches('0').to_owned();
        let behind = usize::try_from(scale).unwrap_or(0);
        if !digits.is_empty() {
            digits.extend(iter::repeat_n('0', usize::from(scale.min(0).unsigned_abs())));
        }
        Self { is_negative, digits: format!("{digits:0>behind$}"), behind }
    }

    /// How many digits stand in front of the point.
    fn before(&self) -> usize {
        self.digits.len().saturating_sub(self.behind)
    }

    /// Its digits to the base of 10,000 from the first to the last that is not zero, and the power of 10,000 that the first
    /// one counts.
    fn groups(&self) -> (i16, Vec<u16>) {
        let missing = |digits: usize| (DIGITS - digits % DIGITS) % DIGITS;
        let (front, back) = (missing(self.before()), missing(self.behind));
        let digits = iter::repeat_n(b'0', front).chain(self.digits.bytes()).chain(iter::repeat_n(b'0', back));
        let digits: Vec<u8> = digits.collect();
        let group = |digits: &[u8]| digits.iter().fold(0, |group, digit| group * 10 + u16::from(digit & 0xf));
        let groups: Vec<u16> = digits.chunks(DIGITS).map(group).collect();
        let is_some = |group: &u16| *group != 0;
        let (Some(first), Some(last)) = (groups.iter().position(is_some), groups.iter().rposition(is_some)) else {
            return (0, Vec::new());
        };
        let small = |count: usize| i16::try_from(count).unwrap_or(i16::MAX);
        let weight = small((self.before() + front) / DIGITS) - 1 - small(first);
        (weight, groups.get(first..=last).unwrap_or_default().to_vec())
    }
}

impl ToSqlText for Numeric {
    fn to_sql_text(&self, _: &Type, out: &mut BytesMut, _: &FormatOptions) -> Written {
        if self.is_negative {
            out.put_u8(b'-');
        }
        let (whole, part) = self.digits.split_at_checked(self.before()).unwrap_or((self.digits.as_str(), ""));
        out.put_slice(if whole.is_empty() { b"0".as_slice() } else { whole.as_bytes() });
        if !part.is_empty() {
            out.put_u8(b'.');
            out.put_slice(part.as_bytes());
        }
        Ok(IsNull::No)
    }
}

impl ToSql for Numeric {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Written {
        let (weight, groups) = self.groups();
        out.put_u16(u16::try_from(groups.len())?);
        out.put_i16(weight);
        out.put_u16(if self.is_negative { NEGATIVE } else { 0 });
        out.put_u16(u16::try_from(self.behind)?);
        for group in groups {
            out.put_u16(group);
        }
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests;
