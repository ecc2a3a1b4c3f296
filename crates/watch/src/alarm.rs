//! What an alarm makes of the answers it gets: pure, so that a look is judged the same whoever asked.
//!
//! Invariant: a look that brought no value says nothing, neither for an alarm nor against one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Rows that go with an alert.
const ROWS_MAX: usize = 20;

/// Where a measure is told of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Values below it are.
    pub below: Option<f64>,
    /// Values above it are.
    pub above: Option<f64>,
    /// So many looks in succession have to find one of them crossed.
    pub sustain: u32,
}

/// How an alarm stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it is raised.
    pub raised: bool,
    /// Since when, in RFC 3339, it is as it is; empty before the first alert.
    pub since: String,
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// The value furthest beyond a threshold, or the first one; none where nothing has a value.
    pub value: Option<f64>,
    /// Whether it is beyond.
    pub beyond: bool,
    /// The rows that are, by the names of their columns; at most twenty.
    pub rows: Vec<Value>,
}

impl Thresholds {
    /// How far a value is beyond; none for one that is within.
    fn beyond(&self, value: f64) -> Option<f64> {
        let below = self.below.map(|below| below - value);
        let above = self.above.map(|above| value - above);
        below.into_iter().chain(above).find(|by| *by > 0.0)
    }

    /// Looks at an answer of SQL, `{"columns": [{"name"}], "rows": [[…]]}`; `measure` is a column behind the first `axes`.
    ///
    /// # Errors
    /// What is wrong with an answer without that column, or with one that has no numbers there, in words.
    pub fn look(&self, answer: &Value, axes: usize, measure: Option<&str>) -> Result<Look, String> {
        let list = |part: &str| answer[part].as_array().map(Vec::as_slice).unwrap_or_default();
        let names: Vec<&str> = list("columns").iter().filter_map(|column| column["name"].as_str()).collect();
        let at = match measure {
            Some(name) => names.iter().position(|one| *one == name),
            None => Some(axes).filter(|at| *at < names.len()),
        };
        let at = at.ok_or_else(|| format!("no column `{}`", measure.unwrap_or("its first measure")))?;
        let mut look = Look::default();
        let mut furthest = 0.0;
        for row in list("rows").iter().filter_map(Value::as_array) {
            let Some(found) = row.get(at).filter(|found| !found.is_null()) else { continue };
            let name = names.get(at).copied().unwrap_or_default();
            let value = number(found).ok_or_else(|| format!("values in `{name}` that are no numbers"))?;
            // Infinity and what is no number at all say nothing.
            if !value.is_finite() {
                continue;
            }
            let by = self.beyond(value);
            if let Some(by) = by {
                look.beyond = true;
                if look.rows.len() < ROWS_MAX {
                    let named = names.iter().zip(row).map(|(name, value)| ((*name).to_owned(), value.clone()));
                    look.rows.push(Value::Object(named.collect::<Map<_, _>>()));
                }
                if by > furthest {
                    furthest = by;
                    look.value = Some(value);
                }
            }
            look.value.get_or_insert(value);
        }
        Ok(look)
    }
}

/// A number, also where SQL gave it as a text: decimals are exact.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// Counts looks in succession and says when an alarm is raised or cleared.
#[derive(Debug)]
pub struct Judge {
    sustain: u32,
    raised: bool,
    count: u32,
}

impl Judge {
    /// Goes on from how the alarm stands.
    pub const fn new(sustain: u32, raised: bool) -> Self {
        Self { sustain, raised, count: 0 }
    }

    /// Takes a look; whether the alarm is raised (true) or cleared (false) by it.
    pub fn take(&mut self, look: &Look) -> Option<bool> {
        look.value?;
        self.count = if look.beyond { self.count.saturating_add(1) } else { 0 };
        let raised = if self.raised { look.beyond } else { self.count >= self.sustain };
        let changed = raised != self.raised;
        self.raised = raised;
        changed.then_some(raised)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: Thresholds = Thresholds { below: Some(10.0), above: Some(20.0), sustain: 2 };

    #[test]
    fn the_row_furthest_beyond_counts() {
        let answer = json!({"columns": [{"name": "country"}, {"name": "orders"}, {"name": "revenue"}], "rows": [
            ["CH", 9, "15.00"], ["DE", 25, "7.50"], ["IN", null, "100.25"],
        ]});
        let look = LIMITS.look(&answer, 1, Some("revenue")).unwrap();
        assert_eq!((look.value, look.beyond, look.rows.len()), (Some(100.25), true, 2));
        assert_eq!(look.rows[0], json!({"country": "DE", "orders": 25, "revenue": "7.50"}));
        let first = LIMITS.look(&answer, 1, None).unwrap();
        assert_eq!((first.value, first.rows.len()), (Some(25.0), 2));
        assert_eq!(LIMITS.look(&answer, 1, Some("costs")), Err("no column `costs`".to_owned()));
        assert_eq!(LIMITS.look(&answer, 3, None), Err("no column `its first measure`".to_owned()));
        let words = Err("values in `country` that are no numbers".to_owned());
        assert_eq!(LIMITS.look(&answer, 1, Some("country")), words, "it would never be beyond");
        let nothing = json!({"columns": [{"name": "n"}], "rows": [[null]]});
        assert_eq!(LIMITS.look(&nothing, 0, None), Ok(Look::default()));
        let endless = json!({"columns": [{"name": "n"}], "rows": [["NaN"], ["inf"]]});
        assert_eq!(LIMITS.look(&endless, 0, None), Ok(Look::default()));
    }

    #[test]
    fn an_alarm_is_raised_after_some_looks_and_cleared_by_one() {
        let look = |value: f64| Look { value: Some(value), beyond: LIMITS.beyond(value).is_some(), rows: Vec::new() };
        let mut judge = Judge::new(LIMITS.sustain, false);
        let mut take = |value: f64| judge.take(&look(value));
        assert_eq!([take(5.0), take(15.0), take(5.0), take(25.0), take(5.0)], [None, None, None, Some(true), None]);
        assert_eq!([take(10.0), take(20.0)], [Some(false), None]);
        assert_eq!(Judge::new(1, true).take(&Look::default()), None, "nothing is known");
        assert_eq!(Judge::new(1, true).take(&look(15.0)), Some(false), "goes on from how it stood");
    }
}
