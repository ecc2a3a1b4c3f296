//! A sale, and sales read from a CSV file: a time, a value and what tells cohorts apart.

use std::path::Path;

use headwater_base::{Micros, Problem};
use serde_json::json;

/// Rows of a file that are read at most.
const ROWS_MAX: usize = 5_000_000;

/// One sale, or the sum of some.
#[derive(Clone, Debug, PartialEq)]
pub struct Sale {
    /// When.
    pub time: Micros,
    /// Where.
    pub country: String,
    /// By which way.
    pub channel: String,
    /// How much.
    pub amount: f64,
}

impl Sale {
    /// The cohort's name.
    pub fn cohort(&self) -> String {
        format!("{}/{}", self.country, self.channel)
    }

    /// The event.
    pub fn event(&self, number: usize) -> String {
        json!({
            "id": format!("sale-{number}"), "time": self.time.to_string(), "country": self.country,
            "channel": self.channel, "amount": self.amount,
        })
        .to_string()
    }
}

/// Where the columns of a file are.
struct Columns {
    time: usize,
    value: usize,
    cohort: Vec<usize>,
}

impl Columns {
    /// By the names that files give them; else the first is the time and the second the value, and up to two more tell
    /// cohorts apart.
    fn of(header: &[&str]) -> Self {
        let find = |names: &[&str], otherwise: usize| {
            header.iter().position(|name| names.contains(&name.to_ascii_lowercase().as_str())).unwrap_or(otherwise)
        };
        let time = find(&["time", "timestamp", "date"], 0);
        let value = find(&["value", "amount", "sales"], 1);
        let cohort = (0..header.len()).filter(|column| *column != time && *column != value).take(2).collect();
        Self { time, value, cohort }
    }
}

/// Reads a file with a header, and sorts its sales by time.
///
/// # Errors
/// `HW-CLI-206` when the file cannot be read, with the line for a row that is no sale.
pub fn read(path: &Path) -> Result<Vec<Sale>, Problem> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::new("HW-CLI-206", format!("`{shown}` cannot be read or written")).because(error))?;
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let columns = Columns::of(&header);
    let mut sales = Vec::new();
    for (line, number) in lines.zip(2..).filter(|(line, _)| !line.is_empty()) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let sale = sale(&fields, &columns).ok_or_else(|| {
            let fact = "the row has no time or no number where the header says";
            Problem::new("HW-CLI-206", fact).at(&shown, number, 1).help(
                "columns are `time` (RFC 3339, or `2026-01-31 09:30:00` in UTC), `value`, and up to two that tell cohorts apart; \
                 fields hold no commas",
            )
        })?;
        sales.push(sale);
        if sales.len() > ROWS_MAX {
            return Err(Problem::new("HW-CLI-206", format!("`{shown}` has more than {ROWS_MAX} rows")));
        }
    }
    if sales.is_empty() {
        return Err(Problem::new("HW-CLI-206", format!("`{shown}` has a header and no rows, or is empty")));
    }
    sales.sort_by_key(|sale| sale.time);
    Ok(sales)
}

fn sale(fields: &[&str], columns: &Columns) -> Option<Sale> {
    let amount: f64 = fields.get(columns.value)?.parse().ok()?;
    let part =
        |at: usize| columns.cohort.get(at).and_then(|column| fields.get(*column)).filter(|text| !text.is_empty());
    let part = |at: usize| part(at).map_or_else(|| "all".to_owned(), |text| (*text).to_owned());
    let time = time(fields.get(columns.time)?)?;
    amount.is_finite().then(|| Sale { time, country: part(0), channel: part(1), amount })
}

/// A time as files write it: RFC 3339, or without an offset, which is UTC; or a day.
pub fn time(text: &str) -> Option<Micros> {
    let plain = text.replacen(' ', "T", 1);
    [text.to_owned(), format!("{plain}Z"), format!("{plain}T00:00:00Z")]
        .iter()
        .find_map(|text| Micros::parse_rfc3339(text))
}

#[cfg(test)]
mod tests;
