//! Labelled windows, and how alarms are counted against them.
//!
//! A window is found when an hour of an anomaly lies in it. Hours of anomalies of one cohort that are at most a day apart
//! are one alarm window, since people look once; it is false when it touches no labelled window.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_base::{Micros, Problem};
use serde_json::Value;

use super::sale;

/// Hours of anomalies that are this close are one alarm.
const TOGETHER_MICROS: i64 = 86_400_000_000;

/// A stretch of time in which something was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Whose, or everybody's.
    pub cohort: Option<String>,
    /// Its first moment.
    pub from: Micros,
    /// Its last moment.
    pub to: Micros,
}

/// How alarms compare with labelled windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Labelled windows that were found.
    pub found: u64,
    /// Labelled windows that were not.
    pub missed: Vec<String>,
    /// Alarm windows that touch no labelled window.
    pub false_alarms: Vec<String>,
}

/// Reads labelled windows in the form of the Numenta Anomaly Benchmark: file name -> list of `[from, to]`.
///
/// # Errors
/// `HW-CLI-206` when there are none of the data's file.
pub fn read(path: &Path, data: &Path) -> Result<Vec<Window>, Problem> {
    let shown = path.display();
    let unread = |fact: String| Problem::new("HW-CLI-206", fact);
    let text = std::fs::read_to_string(path)
        .map_err(|error| unread(format!("`{shown}` cannot be read or written")).because(error))?;
    let files: BTreeMap<String, Vec<[String; 2]>> = serde_json::from_str(&text).map_err(|error| {
        unread(format!("`{shown}` holds no labelled windows"))
            .because(error)
            .help("write `{\"data.csv\": [[\"2026-01-01 09:00:00\", \"2026-01-01 17:00:00\"]]}`")
    })?;
    let file = data.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let own = files.iter().find(|(name, _)| name.rsplit('/').next() == Some(file));
    let (_, windows) = own.ok_or_else(|| unread(format!("`{shown}` has no windows of `{file}`")))?;
    let window = |[from, to]: &[String; 2]| Some(Window { cohort: None, from: sale::time(from)?, to: sale::time(to)? });
    windows
        .iter()
        .map(window)
        .collect::<Option<_>>()
        .ok_or_else(|| unread(format!("`{shown}` holds a time that is none")))
}

/// Counts the alarms in `verdicts` (documents of the solution's verdicts) against labelled windows.
pub fn count(windows: &[Window], verdicts: &[Value]) -> Count {
    let mut anomalies: BTreeMap<&str, Vec<Micros>> = BTreeMap::new();
    for verdict in verdicts.iter().filter(|verdict| verdict["anomaly"] == true) {
        let (Some(cohort), Some(time)) = (verdict["cohort"].as_str(), verdict["time"].as_str().and_then(sale::time))
        else {
            continue;
        };
        anomalies.entry(cohort).or_default().push(time);
    }
    let mut count = Count::default();
    let is_of = |window: &Window, cohort: &str| window.cohort.as_deref().is_none_or(|of| of == cohort);
    for window in windows {
        let inside = |time: &Micros| (window.from..=window.to).contains(time);
        let found = anomalies.iter().any(|(cohort, times)| is_of(window, cohort) && times.iter().any(inside));
        if found {
            count.found += 1;
        } else {
            count.missed.push(format!("{} {}", window.cohort.as_deref().unwrap_or("all"), window.from));
        }
    }
    for (cohort, mut times) in anomalies {
        times.sort_unstable();
        for alarm in times.chunk_by(|one, next| next.0 - one.0 <= TOGETHER_MICROS) {
            let (Some(first), Some(last)) = (alarm.first(), alarm.last()) else { continue };
            let touches = |window: &Window| is_of(window, cohort) && window.from <= *last && window.to >= *first;
            if !windows.iter().any(touches) {
                count.false_alarms.push(format!("{cohort} {first}"));
            }
        }
    }
    count
}

#[cfg(test)]
mod tests;
