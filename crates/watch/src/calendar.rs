//! Days of a forecast's calendar that stand outside of its spec: in a file, in a Table, in a Dataset.
//!
//! They are read when the forecast starts, and again while it runs (`follow.rs`). What it is NOT: a check of what they say
//! (`kinds/forecast/calendar.rs`).
//!
//! Invariant: sources of the same content give the same days, in whatever order they have them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use headwater_base::{Name, Principal, Problem};
use headwater_kernel::port::sql::{Format, Question, Via};
use headwater_kernel::port::{Sql, Tables};
use serde_json::Value;

use crate::kinds::forecast::{CalendarSpec, DAYS_MAX};

/// The largest file, and the most bytes of a Dataset's rows.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most documents of a Table, of all groups.
const DOCUMENTS_MAX: usize = 100_000;
/// Documents that are read at once.
const PAGE: usize = 1_000;

/// A day of a calendar, as it stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The key of the calendar's spec that leads to it.
    pub at: &'static str,
    /// Where it stands, in words.
    pub place: String,
    /// Its date, if it is one.
    pub date: String,
    /// What it is called; nothing if it has no name.
    pub name: String,
}

/// Where calendars stand.
pub struct Calendars {
    /// Where relative names of files start from.
    pub folder: PathBuf,
    /// Tables.
    pub tables: Arc<dyn Tables>,
    /// What reads Datasets.
    pub sql: Arc<dyn Sql>,
}

impl Calendars {
    /// The days that stand outside of a calendar's spec; of two with one date the later one counts.
    ///
    /// # Errors
    /// `HW-WATCH-041` for a file, 060 for a Table or a Dataset that cannot be read or is too large.
    pub async fn read(&self, spec: &CalendarSpec) -> Result<Vec<Listed>, Problem> {
        let mut days = Vec::new();
        let group = spec.group.as_deref();
        if let Some(dataset) = &spec.dataset {
            let rows = self.rows(dataset, group).await;
            days.extend(rows.map_err(|problem| unread("dataset", dataset, problem))?);
        }
        if let Some(table) = &spec.table {
            let documents = self.documents(table, group).await;
            days.extend(documents.map_err(|problem| unread("table", table, problem))?);
        }
        if let Some(file) = &spec.file {
            days.extend(lines(&text(&self.folder.join(file))?));
        }
        Ok(days)
    }

    async fn documents(&self, table: &Name, group: Option<&str>) -> Result<Vec<Listed>, Problem> {
        // A view that has still to catch up would have the days of some time ago.
        self.tables.settled(table.as_str()).await?;
        let (mut days, mut seen, mut after) = (Vec::new(), 0, None::<String>);
        loop {
            let page = self.tables.list(table.as_str(), after.as_deref(), PAGE)?;
            seen += page.len();
            if seen > DOCUMENTS_MAX {
                return Err(crowded(&format!("more than {DOCUMENTS_MAX} documents")));
            }
            for document in &page {
                let value: Value = serde_json::from_slice(&document.value).unwrap_or_default();
                if group.is_none_or(|group| value["group"] == group) {
                    days.push(listed("/table", format!("the document `{}`", document.key.escape_debug()), &value));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(days),
            }
        }
    }

    async fn rows(&self, dataset: &Name, group: Option<&str>) -> Result<Vec<Listed>, Problem> {
        let question = Question {
            text: statement(dataset, group),
            format: Format::Ndjson,
            rows_max: Some(DAYS_MAX + 1),
            principal: Principal::default(),
            via: Via::Forecast,
        };
        let gather = |mut all: Vec<u8>, chunk: Bytes| async move {
            if all.len() + chunk.len() > BYTES_MAX {
                return Err(crowded(&format!("more than {BYTES_MAX} bytes")));
            }
            all.extend_from_slice(&chunk);
            Ok(all)
        };
        let rows = self.sql.ask(question).await?.body.try_fold(Vec::new(), gather).await?;
        let mut days: Vec<Listed> = rows
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| listed("/dataset", "a row".to_owned(), &serde_json::from_slice(line).unwrap_or_default()))
            .collect();
        if days.len() > DAYS_MAX {
            return Err(crowded(&format!("more than {DAYS_MAX} rows")));
        }
        // Rows have no order of their own.
        days.sort_unstable_by(|one, other| (&one.date, &one.name).cmp(&(&other.date, &other.name)));
        Ok(days)
    }
}

/// What is asked of a Dataset: all columns, as it need not have a name or a group.
fn statement(dataset: &Name, group: Option<&str>) -> String {
    let condition = group.map(|group| format!(" WHERE \"group\" = '{}'", group.replace('\'', "''")));
    format!("SELECT * FROM public.\"{dataset}\"{}", condition.unwrap_or_default())
}

/// A day by the fields `day` and `name`. Of a moment its date counts, by UTC.
fn listed(at: &'static str, place: String, value: &Value) -> Listed {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let day = text("day");
    let date = day.split_once('T').map_or(day, |(date, _)| date);
    Listed { at, place, date: date.to_owned(), name: text("name").to_owned() }
}

fn unread(kind: &str, name: &Name, problem: Problem) -> Problem {
    Problem::new("HW-WATCH-060", format!("the days of `{kind}/{name}` cannot be read"))
        .because(problem)
        .help("days have the fields `day`, and `name` and `group` where they are wanted; the forecast starts with them")
}

fn crowded(fact: &str) -> Problem {
    Problem::new("HW-WATCH-060", format!("there are {fact}, which is the limit"))
}

/// The text of a file.
///
/// # Errors
/// `HW-WATCH-041` for a file that is not there, too large, or no text.
fn text(path: &Path) -> Result<String, Problem> {
    let unread = |fact: String| {
        Problem::new("HW-WATCH-041", format!("the calendar `{}` cannot be read: {fact}", path.display()))
            .help("a relative name starts from the node's data folder")
    };
    // Opening a pipe would wait for somebody who writes.
    if !std::fs::metadata(path).map_err(|error| unread(error.to_string()))?.is_file() {
        return Err(unread("it is no file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(|error| unread(error.to_string()))?;
    let mut text = String::new();
    let most = BYTES_MAX as u64;
    let read = file.take(most + 1).read_to_string(&mut text).map_err(|error| unread(error.to_string()))?;
    if read > BYTES_MAX {
        return Err(unread(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The days of a file, below its first line. A name may stand in quotes.
fn lines(text: &str) -> Vec<Listed> {
    let day = |line: &str, number: usize| {
        let (date, name) = line.split_once(',').unwrap_or((line, ""));
        let name = name.trim();
        let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        let name = quoted.map_or_else(|| name.to_owned(), |name| name.replace("\"\"", "\""));
        let date = date.trim().trim_matches('"').to_owned();
        Listed { at: "/file", place: format!("line {number}"), date, name }
    };
    let lines = text.lines().zip(1..).skip(1).filter(|(line, _)| !line.trim().is_empty());
    lines.map(|(line, number)| day(line, number)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_has_a_day_in_each_line_below_the_first() {
        let text = "date,name\n2026-12-25,Christmas\n\n2026-07-04,\"Independence, \"\"the\"\" day\"\r\n2026-01-01";
        let days: Vec<(String, String, String)> =
            lines(text).into_iter().map(|day| (day.place, day.date, day.name)).collect();
        let of = |place: &str, date: &str, name: &str| (place.to_owned(), date.to_owned(), name.to_owned());
        assert_eq!(
            days,
            [
                of("line 2", "2026-12-25", "Christmas"),
                of("line 4", "2026-07-04", "Independence, \"the\" day"),
                of("line 5", "2026-01-01", ""),
            ]
        );
        assert_eq!(super::text(Path::new("/nonexistent/none.csv")).unwrap_err().code, "HW-WATCH-041");
        let device = super::text(Path::new("/dev/zero")).unwrap_err();
        assert!(device.title.ends_with("cannot be read: it is no file"), "{}", device.title);
    }

    #[test]
    fn a_day_of_a_table_is_a_date_or_a_moment() {
        let date = |value: Value| listed("/table", String::new(), &value).date;
        assert_eq!(date(json!({"day": "2026-12-25", "name": "Christmas"})), "2026-12-25");
        assert_eq!(date(json!({"day": "2026-12-25T00:00:00Z"})), "2026-12-25");
        assert_eq!([date(json!({"day": 7})), date(json!({})), date(json!([]))], ["", "", ""]);
    }

    #[test]
    fn a_group_is_a_literal_whatever_is_in_it() {
        let days = Name::new("shop.days").unwrap();
        assert_eq!(statement(&days, None), "SELECT * FROM public.\"shop.days\"");
        assert_eq!(
            statement(&days, Some("x' OR 'a' = 'a")),
            "SELECT * FROM public.\"shop.days\" WHERE \"group\" = 'x'' OR ''a'' = ''a'"
        );
    }
}
