//! Statements that run: `headwater get queries` lists them, `headwater stop query/ID` ends one.

use std::process::ExitCode;

use headwater_base::Problem;
use reqwest::Method;

use super::get::text;
use super::{Context, Done};
use crate::output::{self, Column, Format};

/// Words that mean queries, which are no resources.
pub const WORDS: [&str; 2] = ["queries", "query"];

/// Characters of a statement in a table.
const SHOWN_CHARS_MAX: usize = 60;

const COLUMNS: &[Column] = &[
    Column::new("ID", |row| text(row, "/id")),
    Column::new("PRINCIPAL", |row| text(row, "/principal")),
    Column::new("VIA", |row| text(row, "/via")),
    Column::new("STARTED", |row| text(row, "/started")),
    Column::new("ROWS", |row| text(row, "/rows")),
    Column::wide("MEMORY", |row| text(row, "/memoryBytes")),
    Column::new("QUERY", |row| beginning(&text(row, "/query"))),
];

/// Shows all statements that run, or those of these numbers.
///
/// # Errors
/// `HW-LAKE-073` for a number that none has; what there is of several is shown all the same.
pub async fn get(context: &Context, ids: &[String], format: Format) -> Done {
    let mut list = context.client()?.get(&["v1", "queries"], &[]).await?;
    let mut rows = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let gone = ids.iter().filter(|id| !rows.iter().any(|row| text(row, "/id") == **id));
    let problems: Vec<Problem> = gone
        .map(|id| {
            Problem::new("HW-LAKE-073", format!("no query `{}` is running", id.escape_debug()))
                .help("`headwater get queries` lists those that run")
        })
        .collect();
    rows.retain(|row| ids.is_empty() || ids.contains(&text(row, "/id")));
    if ids.is_empty() && rows.is_empty() && matches!(format, Format::Table | Format::Wide) {
        output::note("no queries");
        return Ok(ExitCode::SUCCESS);
    }
    if ids.is_empty() || !rows.is_empty() {
        output::print_as("query", &rows, COLUMNS, format, ids.len() == 1)?;
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

/// Ends a statement.
///
/// # Errors
/// `HW-LAKE-073` when none of that number runs.
pub async fn stop(id: &str, context: &Context) -> Done {
    context.client()?.json(Method::DELETE, &["v1", "queries", id], &[], None).await?;
    output::line(format!("query/{id} stopped"))?;
    Ok(ExitCode::SUCCESS)
}

/// A statement on one line, or as much of it as there is room for.
fn beginning(statement: &str) -> String {
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_on_one_line() {
        assert_eq!(beginning("SELECT 1\n  FROM x"), "SELECT 1 FROM x");
        let long = beginning(&format!("SELECT '{}'", "ü".repeat(100)));
        assert!(long.chars().count() == SHOWN_CHARS_MAX + 1 && long.ends_with("ü…"), "{long}");
    }
}
