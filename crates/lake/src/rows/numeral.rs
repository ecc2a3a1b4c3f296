//! A number of an event: as it was written, or as a tree holds it. What it comes to is what `serde_json` makes of it, and is
//! read only as far as a column asks.

use headwater_base::never;
use serde_json::Number;

use super::decimal;

/// A number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numeral<'a> {
    /// Its text, which has been checked.
    Written(&'a str),
    /// From a tree.
    Held(&'a Number),
}

/// A text that is no longer than this, without an exponent, is the shortest one of the number that it means, but for zeros:
/// it is whole and within 64 bits, or has a point and 15 digits at most, which every double tells apart.
const SHORTEST_BYTES_MAX: usize = 16;

impl Numeral<'_> {
    /// The number.
    pub fn number(self) -> Number {
        match self {
            Self::Held(number) => number.clone(),
            Self::Written(text) => serde_json::from_str(text).unwrap_or_else(|error| {
                never!("a number that was checked: {error}");
                Number::from(0)
            }),
        }
    }

    /// A whole number, also where it is written with a zero behind the point.
    pub fn whole(self) -> Option<i64> {
        #![expect(clippy::cast_possible_truncation, reason = "it is whole and within 2^53")]
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        if let Self::Written(text) = self
            && let Ok(number) = text.parse::<i64>()
        {
            return Some(number);
        }
        let number = self.number();
        number.as_i64().or_else(|| {
            let number = number.as_f64().filter(|_| !number.is_u64())?;
            (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
        })
    }

    /// As a double.
    pub fn double(self) -> Option<f64> {
        self.number().as_f64()
    }

    /// As so many units of the last of `scale` digits behind the point; None where it does not fit.
    ///
    /// The shortest text that means a number is the one that it was written as, up to 15 digits.
    pub fn decimal(self, precision: u8, scale: u8) -> Option<i128> {
        match self {
            Self::Written(text) if text.len() <= SHORTEST_BYTES_MAX && !text.contains(['e', 'E']) => {
                decimal::units(text, precision, scale)
            }
            _ => decimal::units(&self.number().to_string(), precision, scale),
        }
    }
}

#[cfg(test)]
mod tests;
