//! Exact numbers from their text.

/// A number as so many units of its last digit: `12.5` with a scale of 2 is 1250. None for text that is no number of
/// JSON's grammar, and for one that has more digits than there is room for; nothing is ever rounded.
pub fn units(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let (whole, behind) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, behind)) => (whole, behind),
        None => (digits, ""),
    };
    let all = || whole.bytes().chain(behind.bytes());
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) || !all().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // Zeros in front and behind say nothing, and there may be any number of them.
    let zeros = all().rev().take_while(|digit| *digit == b'0').count();
    let count = whole.len() + behind.len() - zeros;
    let value = all()
        .take(count)
        .try_fold(0_i128, |value, digit| value.checked_mul(10)?.checked_add(i128::from(digit - b'0')))?;
    if value == 0 {
        return Some(0);
    }
    // Value times ten to the power of this.
    let power = i64::from(exponent) - i64::try_from(behind.len()).ok()? + i64::try_from(zeros).ok()?;
    let shift = u32::try_from(power + i64::from(scale)).ok()?;
    let units = value.checked_mul(10_i128.checked_pow(shift)?)?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (units < limit).then_some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests;
