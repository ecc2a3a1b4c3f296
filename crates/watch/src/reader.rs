//! What a forecast reads of a record: when, whose, how much. What cannot be is refused with a reason.

use headwater_base::Micros;
use headwater_kernel::path::Path;
use serde_json::{Map, Value};

/// A larger number is no measurement: beyond it doubles no longer tell whole numbers apart.
const VALUE_MAX: f64 = 9_007_199_254_740_992.0;
/// The longest text that names a part of a cohort.
const PART_BYTES_MAX: usize = 256;
/// What the one cohort of a forecast without cohorts is called.
const ALL: &str = "all";

/// Where things stand in a record.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The interval's start, or any time within.
    pub time: Path,
    /// What tells cohorts apart, by name.
    pub cohort: Vec<(String, Path)>,
    /// What is forecast.
    pub value: Path,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// A time within the interval.
    pub time: Micros,
    /// The cohort's name.
    pub cohort: String,
    /// The cohort's parts, as they stand in the record.
    pub parts: Map<String, Value>,
    /// How much.
    pub value: f64,
}

/// Why a record is not taken, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl Reader {
    /// Reads a record's value.
    ///
    /// # Errors
    /// What is missing or cannot be.
    pub fn read(&self, bytes: &[u8]) -> Result<Measured, Refused> {
        let event: Value = serde_json::from_slice(bytes).map_err(|error| Refused(format!("it is no JSON: {error}")))?;
        let time = self.time.find(&event).and_then(Value::as_str).and_then(Micros::parse_rfc3339);
        let time = time.ok_or_else(|| Refused("its time is missing or is no RFC 3339 time".to_owned()))?;
        let value = self.value.find(&event).and_then(Value::as_f64);
        let value = value.ok_or_else(|| Refused("its value is missing or is no number".to_owned()))?;
        if !value.is_finite() || value.abs() > VALUE_MAX {
            return Err(Refused(format!("its value is {value:e}; it can be {VALUE_MAX:e} at most")));
        }
        let (mut name, mut parts) = (String::new(), Map::new());
        for (part, path) in &self.cohort {
            let found = path.find(&event).ok_or_else(|| Refused(format!("`{part}` of its cohort is missing")))?;
            if !name.is_empty() {
                name.push('/');
            }
            name.push_str(&text(part, found)?);
            parts.insert(part.clone(), found.clone());
        }
        let cohort = if self.cohort.is_empty() { ALL.to_owned() } else { name };
        Ok(Measured { time, cohort, parts, value })
    }
}

/// A part of a cohort's name: the text, in which a slash does not end the part.
fn text(part: &str, found: &Value) -> Result<String, Refused> {
    let text = match found {
        Value::String(text) => text.replace('%', "%25").replace('/', "%2F"),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null => return Err(Refused(format!("`{part}` of its cohort is missing"))),
        _ => return Err(Refused(format!("`{part}` of its cohort is a list or an object"))),
    };
    if text.is_empty() || text.len() > PART_BYTES_MAX {
        let fact = format!("`{part}` of its cohort has {} bytes; it can have 1 to {PART_BYTES_MAX}", text.len());
        return Err(Refused(fact));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
