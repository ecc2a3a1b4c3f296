//! A decimal number as a client sends it, with all its digits.
//!
//! What speaks the protocol reads 28 digits of one, and rounds it to the scale that is asked for.
//!
//! # Source
//! PostgreSQL 17, `numeric_recv` and `numeric_in` in `src/backend/utils/adt/numeric.c`.

use std::fmt::{self, Display, Write as _};
use std::iter;

use arrow_buffer::i256;
use datafusion::common::ScalarValue;

/// Decimal digits that the engine's narrower decimals hold.
const DIGITS: usize = 38;
/// Those that its wider ones hold.
const DIGITS_MAX: usize = 76;
/// The furthest power of ten that is written with a number, either way.
const EXPONENT_MAX: i32 = 20_000;

/// What stands in the place of a sign: below zero, or no number at all.
const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITE: u16 = 0xd000;
const NEGATIVE_INFINITE: u16 = 0xf000;

/// A decimal number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    is_negative: bool,
    /// From the first to the last that is not zero; none of zero.
    digits: String,
    /// The power of ten that the last one counts.
    exponent: i32,
    /// How many stood behind the point.
    behind: usize,
}

/// A decimal number, or what is none and a float can say.
pub type Said = Result<Decimal, f64>;

impl Decimal {
    /// Digits that count a power of ten.
    fn new(is_negative: bool, digits: &str, exponent: i32, behind: usize) -> Self {
        let digits = digits.trim_start_matches('0');
        let kept = digits.trim_end_matches('0');
        if kept.is_empty() {
            return Self { is_negative: false, digits: String::new(), exponent: 0, behind };
        }
        let zeros = i32::try_from(digits.len() - kept.len()).unwrap_or(i32::MAX);
        Self { is_negative, digits: kept.to_owned(), exponent: exponent.saturating_add(zeros), behind }
    }

    /// A number in the protocol's binary format: how many digits to the base of 10,000, the power of the first, the sign,
    /// the decimal digits behind the point, the digits. None of bytes that are none.
    pub fn received(bytes: &[u8]) -> Option<Said> {
        let ([c0, c1, w0, w1, s0, s1, b0, b1], rest) = bytes.split_first_chunk::<8>()?;
        let (count, weight) = (u16::from_be_bytes([*c0, *c1]), i16::from_be_bytes([*w0, *w1]));
        let (sign, behind) = (u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*b0, *b1]));
        let (groups, odd) = rest.as_chunks::<2>();
        if !odd.is_empty() || groups.len() != usize::from(count) {
            return None;
        }
        let mut digits = String::with_capacity(4 * groups.len());
        for group in groups.iter().map(|group| u16::from_be_bytes(*group)) {
            if group > 9_999 {
                return None;
            }
            write!(digits, "{group:04}").ok()?;
        }
        let exponent = 4 * (i32::from(weight) - i32::from(count) + 1);
        match sign {
            0 | NEGATIVE => Some(Ok(Self::new(sign == NEGATIVE, &digits, exponent, usize::from(behind)))),
            NOT_A_NUMBER => Some(Err(f64::NAN)),
            INFINITE => Some(Err(f64::INFINITY)),
            NEGATIVE_INFINITE => Some(Err(f64::NEG_INFINITY)),
            _ => None,
        }
    }

    /// A number as text. None of a text that is none.
    pub fn written(text: &str) -> Option<Said> {
        let text = text.trim();
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        match unsigned.to_ascii_lowercase().as_str() {
            "nan" if unsigned.len() == text.len() => return Some(Err(f64::NAN)),
            "inf" | "infinity" => return Some(Err(if is_negative { f64::NEG_INFINITY } else { f64::INFINITY })),
            _ => {}
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (unsigned, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{part}");
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number || !(-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent) {
            return None;
        }
        let exponent = exponent.saturating_sub(i32::try_from(part.len()).ok()?);
        Some(Ok(Self::new(is_negative, &digits, exponent, usize::try_from(-exponent).unwrap_or(0))))
    }

    /// A whole number.
    pub fn whole(number: i128) -> Self {
        Self::new(number < 0, &number.unsigned_abs().to_string(), 0, 0)
    }

    /// How many digits stand in front of the point, and how many there have to be behind it.
    fn sides(&self) -> (usize, usize) {
        let length = i32::try_from(self.digits.len()).unwrap_or(i32::MAX);
        let at_least_none = |digits: i32| usize::try_from(digits).unwrap_or(0);
        (at_least_none(length.saturating_add(self.exponent)), at_least_none(self.exponent.saturating_neg()))
    }

    /// The number times 10 to the `scale`, where that is a whole one of at most so many digits.
    fn units(&self, digits: usize, scale: i32) -> Option<i256> {
        let zeros = usize::try_from(self.exponent.checked_add(scale)?);
        if self.digits.is_empty() {
            return Some(i256::ZERO);
        }
        let zeros = zeros.ok()?;
        if self.digits.len().checked_add(zeros)? > digits {
            return None;
        }
        let text: String = self.digits.chars().chain(iter::repeat_n('0', zeros)).collect();
        let units = i256::from_string(&text)?;
        if self.is_negative { units.checked_neg() } else { Some(units) }
    }

    /// The number, if it is a whole one.
    pub fn integer(&self) -> Option<i128> {
        self.units(DIGITS, 0)?.to_i128()
    }

    /// The number as a decimal of that many digits, so many of them behind the point, if that holds it exactly.
    pub fn scaled(&self, digits: u8, scale: i8) -> Option<ScalarValue> {
        let units = self.units(usize::from(digits), i32::from(scale))?;
        Some(if usize::from(digits) > DIGITS {
            ScalarValue::Decimal256(Some(units), digits, scale)
        } else {
            ScalarValue::Decimal128(Some(units.to_i128()?), digits, scale)
        })
    }

    /// The nearest float.
    pub fn float(&self) -> Option<f64> {
        self.to_string().parse().ok().filter(|float: &f64| float.is_finite())
    }
}

/// The digits, and those of them behind the point, of a decimal that holds all of these exactly.
pub fn room(numbers: &[&Decimal]) -> Option<(u8, i8)> {
    let most = |of: fn(&Decimal) -> usize| numbers.iter().map(|number| of(number)).max().unwrap_or(0);
    let (before, needed) = (most(|number| number.sides().0), most(|number| number.sides().1));
    // As it was written where there is room, without zeros at its end where there is not.
    let written = most(|number| number.behind).max(needed);
    let behind = if before + written <= DIGITS_MAX { written } else { needed };
    let digits = (before + behind).max(1);
    (digits <= DIGITS_MAX).then_some(())?;
    Some((u8::try_from(digits).ok()?, i8::try_from(behind).ok()?))
}

impl Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        match (self.digits.as_str(), self.exponent) {
            ("", _) => f.write_str("0"),
            (digits, 0) => write!(f, "{sign}{digits}"),
            (digits, exponent) => write!(f, "{sign}{digits}e{exponent}"),
        }
    }
}

#[cfg(test)]
mod tests;
