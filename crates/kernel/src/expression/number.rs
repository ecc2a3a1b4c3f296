//! Numbers as their digits: compared by value whatever they are, added and subtracted exactly up to 38 digits.

use std::cmp::Ordering;

use headwater_base::Problem;
use headwater_wire::exact::scaled;

/// Digits of a number that was calculated, as in DynamoDB.
const DIGITS_MAX: usize = 38;

/// Compares two JSON numbers by value.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (Some((a_negative, a, a_power)), Some((b_negative, b, b_power))) = (scaled(a), scaled(b)) else {
        return Ordering::Equal;
    };
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return if b_negative { Ordering::Greater } else { Ordering::Less },
        (false, true) => return if a_negative { Ordering::Less } else { Ordering::Greater },
        (false, false) if a_negative != b_negative => {
            return if a_negative { Ordering::Less } else { Ordering::Greater };
        }
        _ => {}
    }
    // Without zeros at either end, the place of the first digit decides, then the digits as text.
    let first = |digits: &str, power: i64| power.saturating_add(i64::try_from(digits.len()).unwrap_or(i64::MAX));
    let magnitude = first(&a, a_power).cmp(&first(&b, b_power)).then_with(|| a.cmp(&b));
    if a_negative { magnitude.reverse() } else { magnitude }
}

/// `a + b`, or `a - b`.
///
/// # Errors
/// `HW-KERNEL-033` where the result, or a number on the way to it, has more than 38 digits.
pub(super) fn add(a: &str, b: &str, subtract: bool) -> Result<Box<str>, Problem> {
    let too_long = || super::cannot(format!("a sum has more than {DIGITS_MAX} digits"));
    let (Some((a_negative, a, a_power)), Some((b_negative, b, b_power))) = (scaled(a), scaled(b)) else {
        return Err(super::cannot("a number is none"));
    };
    // Nothing has no power of ten of its own.
    let power = match (a.is_empty(), b.is_empty()) {
        (true, _) => b_power,
        (_, true) => a_power,
        _ => a_power.min(b_power),
    };
    let whole = |negative: bool, digits: &str, own: i64| -> Result<i128, Problem> {
        if digits.is_empty() {
            return Ok(0);
        }
        let zeros = usize::try_from(own.saturating_sub(power)).map_err(|_| too_long())?;
        if digits.len().saturating_add(zeros) > DIGITS_MAX {
            return Err(too_long());
        }
        let scale = 10_i128.pow(u32::try_from(zeros).map_err(|_| too_long())?);
        let value: i128 = digits.parse().map_err(|_| too_long())?;
        let value = value.checked_mul(scale).ok_or_else(too_long)?;
        Ok(if negative { -value } else { value })
    };
    let (a, b) = (whole(a_negative, &a, a_power)?, whole(b_negative != subtract, &b, b_power)?);
    let sum = a.checked_add(b).ok_or_else(too_long)?;
    let text = sum.unsigned_abs().to_string();
    let digits = text.trim_end_matches('0');
    if digits.is_empty() {
        return Ok("0".into());
    }
    if digits.len() > DIGITS_MAX {
        return Err(too_long());
    }
    let power = power.saturating_add(i64::try_from(text.len() - digits.len()).unwrap_or(0));
    Ok(written(sum < 0, digits, power).into())
}

/// A number of its digits and power of ten, without an exponent where that is not much longer.
fn written(negative: bool, digits: &str, power: i64) -> String {
    let sign = if negative { "-" } else { "" };
    let width = i64::try_from(DIGITS_MAX).unwrap_or(i64::MAX);
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    match power {
        0.. if power.saturating_add(length) <= width => {
            format!("{sign}{digits}{}", "0".repeat(usize::try_from(power).unwrap_or(0)))
        }
        _ if power < 0 && power >= -2 * width => {
            let behind = usize::try_from(-power).unwrap_or(0);
            match digits.len().checked_sub(behind).filter(|whole| *whole > 0) {
                Some(whole) => {
                    let (before, after) = digits.split_at(whole);
                    format!("{sign}{before}.{after}")
                }
                None => format!("{sign}0.{}{digits}", "0".repeat(behind - digits.len())),
            }
        }
        _ => format!("{sign}{digits}e{power}"),
    }
}
