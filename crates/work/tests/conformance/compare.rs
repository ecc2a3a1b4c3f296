//! The corpus's rules for comparing recorded values, which hold placeholders, with real ones.

use std::collections::BTreeMap;

use serde_json::Value;

/// Texts that stand for any value of their kind.
const ANY: [&str; 12] = [
    "timestamp",
    "datetime",
    "date",
    "start-date",
    "stop-date",
    "start-time",
    "entered-time",
    "snf_role_arn",
    "sfn_role_arn",
    "state-machine-arn",
    "execution-arn",
    "request_id",
];
/// Fields that only the recorded service's HTTP calls and its redrive bookkeeping decide.
const SKIPPED: [&str; 12] = [
    "SdkHttpMetadata",
    "SdkResponseMetadata",
    "ResponseMetadata",
    "billingDetails",
    "redriveCount",
    "redriveStatus",
    "redriveStatusReason",
    "RedriveCount",
    "RedriveStatus",
    "RedriveStatusReason",
    "ExecutedVersion",
    "timestamp",
];

/// Compares the values of one case.
#[derive(Default)]
pub struct Matcher {
    /// Whole-value placeholders of the case's notes.
    pub own: Vec<String>,
    /// Fields that the case's mocks alone decide.
    pub skip: Vec<String>,
    bound: BTreeMap<String, String>,
}

impl Matcher {
    pub fn of(case: &Value) -> Self {
        let listed = case["notes"]["placeholders"].as_array().cloned().unwrap_or_default();
        let own = listed.iter().filter_map(|entry| entry["placeholder"].as_str().map(str::to_owned)).collect();
        Self { own, ..Self::default() }
    }

    /// Ok, or where they differ.
    pub fn same(&mut self, expected: &Value, actual: &Value, place: &str) -> Result<(), String> {
        match (expected, actual) {
            (Value::String(expected), Value::String(actual)) => self.text(expected, actual, place),
            (Value::String(expected), _) if self.is_any(expected) => Ok(()),
            (Value::Object(_) | Value::Array(_), Value::String(actual)) => {
                match serde_json::from_str::<Value>(actual) {
                    Ok(parsed) => self.same(expected, &parsed, place),
                    Err(_) => Err(format!("{place}: expected {expected}, but was text {actual}")),
                }
            }
            (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => Ok(()),
            (Value::Array(left), Value::Array(right)) => {
                if left.len() != right.len() {
                    return Err(format!("{place}: expected {} items, but was {}: {actual}", left.len(), right.len()));
                }
                for (number, (left, right)) in left.iter().zip(right).enumerate() {
                    self.same(left, right, &format!("{place}[{number}]"))?;
                }
                Ok(())
            }
            (Value::Object(left), Value::Object(right)) => {
                let skipped = |key: &str| SKIPPED.contains(&key) || self.skip.iter().any(|skip| skip == key);
                if let Some(key) = right.keys().find(|key| !left.contains_key(*key) && !skipped(key)) {
                    return Err(format!("{place}.{key}: not expected, but was {}", right[key]));
                }
                let keys: Vec<&String> = left.keys().filter(|key| !skipped(key)).collect();
                for key in keys {
                    let right =
                        right.get(key).ok_or_else(|| format!("{place}.{key}: missing, expected {}", left[key]))?;
                    self.same(&left[key], right, &format!("{place}.{key}"))?;
                }
                Ok(())
            }
            _ if expected == actual => Ok(()),
            _ => Err(format!("{place}: expected {expected}, but was {actual}")),
        }
    }

    fn is_any(&self, expected: &str) -> bool {
        ANY.contains(&expected) || self.own.iter().any(|own| own == expected)
    }

    fn text(&mut self, expected: &str, actual: &str, place: &str) -> Result<(), String> {
        if expected == actual || self.is_any(expected) || self.pattern(expected, actual) {
            return Ok(());
        }
        if let (Ok(left), Ok(right)) = (serde_json::from_str::<Value>(expected), serde_json::from_str::<Value>(actual))
            && !(left.is_string() && right.is_string())
        {
            return self.same(&left, &right, place);
        }
        Err(format!("{place}: expected `{expected}`, but was `{actual}`"))
    }

    /// Text with `<placeholders>` inside; one that was seen before must stand for the same value.
    fn pattern(&mut self, expected: &str, actual: &str) -> bool {
        let mut literals = vec![String::new()];
        let mut names = Vec::new();
        let mut rest = expected;
        while let Some((before, after)) = rest.split_once('<') {
            literals.last_mut().unwrap().push_str(before);
            let legal = |c: char| c.is_ascii_alphanumeric() || "_-:".contains(c);
            match after.split_once('>').filter(|(name, _)| !name.is_empty() && name.chars().all(legal)) {
                Some((name, after)) => {
                    names.push(name.to_owned());
                    literals.push(String::new());
                    rest = after;
                }
                None => {
                    literals.last_mut().unwrap().push('<');
                    rest = after;
                }
            }
        }
        literals.last_mut().unwrap().push_str(rest);
        let Some(mut rest) = actual.strip_prefix(literals[0].as_str()) else { return false };
        let mut bound = self.bound.clone();
        for (number, name) in names.iter().enumerate() {
            let literal = &literals[number + 1];
            let last = number + 1 == names.len();
            let end = if last { rest.len().checked_sub(literal.len()) } else { rest.find(literal.as_str()) };
            let Some(end) = end.filter(|end| rest.is_char_boundary(*end) && rest[*end..].starts_with(literal.as_str()))
            else {
                return false;
            };
            let value = rest[..end].to_owned();
            if bound.insert(name.clone(), value.clone()).is_some_and(|before| before != value) {
                return false;
            }
            rest = &rest[end + literal.len()..];
        }
        let matched = !names.is_empty() && rest.is_empty();
        if matched {
            self.bound = bound;
        }
        matched
    }
}
