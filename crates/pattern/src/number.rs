//! Numbers as the pattern language compares them: by value, wherever a double holds the value.
//!
//! What it is NOT: rounding. 300, 300.0 and 3e2 are one number. A number that no double spells back (more than 17
//! digits, 9007199254740993, 1e400) has no value here: it is compared by its text, and ranges neither contain it nor
//! may be written with it.
//!
//! A value is kept as the rank of its double among all doubles, so that a range with an open end is a range with a
//! closed one.

/// A double's rank: ordered as the doubles are, without gaps, one zero.
pub(crate) type Rank = i64;

/// The ranks of the smallest and the largest double.
pub(crate) const LOWEST: Rank = -HIGHEST;
pub(crate) const HIGHEST: Rank = f64::MAX.to_bits().cast_signed();

/// Digits that every double spells back, whatever they are.
const SURE_DIGITS: u32 = 15;
/// The powers of ten that are doubles.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The rank of a JSON number, if a double spells it back.
pub(crate) fn rank(text: &[u8]) -> Option<Rank> {
    let decimal = Decimal::read(text)?;
    if decimal.mantissa == 0 {
        return Some(0);
    }
    let digits = decimal.mantissa.ilog10() + 1;
    let power = usize::try_from(decimal.power.unsigned_abs()).ok().and_then(|power| POWERS.get(power));
    let value = if let Some(power) = power.filter(|_| digits <= SURE_DIGITS) {
        // Both are exact, so the result is the nearest double.
        let mantissa = decimal.mantissa as f64;
        if decimal.power < 0 { mantissa / power } else { mantissa * power }
    } else {
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        let spelled = format!("{:e}", value.abs());
        if !value.is_finite() || Decimal::read(spelled.as_bytes())?.unsigned() != decimal.unsigned() {
            return None;
        }
        value.abs()
    };
    let rank = value.to_bits().cast_signed();
    Some(if decimal.negative { -rank } else { rank })
}

/// A number as its digits without zeros at the end, times a power of ten.
#[derive(Debug)]
struct Decimal {
    negative: bool,
    mantissa: u64,
    power: i64,
}

impl Decimal {
    /// Reads a JSON number; `None` when the digits exceed what any double spells.
    fn read(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mut mantissa, mut power, mut zeros, mut fraction) = (0_u64, 0_i64, 0_u32, 0_i64);
        let mut bytes = text.iter();
        for byte in bytes.by_ref() {
            match byte {
                b'0'..=b'9' => power -= fraction,
                b'.' => {
                    fraction = 1;
                    continue;
                }
                _ => break,
            }
            // Zeros wait until another digit follows, so that those at the end never count.
            if *byte == b'0' {
                zeros += u32::from(mantissa != 0);
            } else {
                let shifted = mantissa.checked_mul(10_u64.checked_pow(zeros + 1)?)?;
                mantissa = shifted.checked_add(u64::from(byte - b'0'))?;
                zeros = 0;
            }
        }
        power += i64::from(zeros) + exponent(bytes.as_slice());
        Some(Self { negative, mantissa, power })
    }

    fn unsigned(&self) -> (u64, i64) {
        (self.mantissa, self.power)
    }
}

/// The exponent behind the `e`, clamped to what can matter.
fn exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let value = digits.iter().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit.wrapping_sub(b'0'))).min(1 << 40));
    if negative { -value } else { value }
}

/// Whether a text is a JSON number (RFC 8259 section 6).
pub(crate) fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 { None } else { text.get(count..) }
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = match text {
        [b'0', rest @ ..] => Some(rest),
        _ => digits(text),
    };
    let Some(mut rest) = whole else { return false };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let Some(tail) = digits(fraction) else { return false };
        rest = tail;
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        let tail = if let [b'+' | b'-', digits @ ..] = tail { digits } else { tail };
        let Some(tail) = digits(tail) else { return false };
        rest = tail;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;
