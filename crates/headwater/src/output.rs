//! What the command line prints: data to stdout in the form that `-o` names, everything else to stderr.
//!
//! One function renders every list: rows are JSON values, columns say how to read them.

pub mod yaml;

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use headwater_base::Problem;
use headwater_wire::exact::Exact;
use serde_json::Value;

use crate::problems::Problems;

/// The forms of `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// One JSON document.
    Json,
    /// YAML documents.
    Yaml,
    /// One JSON object on each line.
    Ndjson,
    /// Comma-separated, with a header.
    Csv,
    /// `kind/name` on each line.
    Name,
}

/// One column of a table.
#[derive(Clone, Copy)]
pub struct Column {
    /// The heading.
    pub title: &'static str,
    /// Only with `-o wide` and `-o csv`.
    pub wide: bool,
    /// Reads the cell.
    pub cell: fn(&Value) -> String,
}

impl Column {
    /// A column that is always there.
    pub const fn new(title: &'static str, cell: fn(&Value) -> String) -> Self {
        Self { title, wide: false, cell }
    }

    /// A column of `-o wide`.
    pub const fn wide(title: &'static str, cell: fn(&Value) -> String) -> Self {
        Self { title, wide: true, cell }
    }
}

/// Writes rows in a form. `one` writes a single JSON object instead of a list.
///
/// # Errors
/// What writing gives; a closed pipe is for the caller to take as the reader's wish to end.
pub fn write(out: &mut dyn Write, rows: &[Value], columns: &[Column], format: Format, one: bool) -> io::Result<()> {
    match format {
        Format::Table => table(out, rows, columns, false),
        Format::Wide => table(out, rows, columns, true),
        Format::Csv => csv(out, rows, columns),
        Format::Json => match rows {
            [row] if one => writeln!(out, "{row:#}"),
            _ => writeln!(out, "{:#}", Value::from(rows.to_vec())),
        },
        Format::Ndjson => rows.iter().try_for_each(|row| writeln!(out, "{row}")),
        Format::Yaml => {
            for (index, row) in rows.iter().enumerate() {
                if index > 0 {
                    writeln!(out, "---")?;
                }
                out.write_all(yaml::write(row).as_bytes())?;
            }
            Ok(())
        }
        Format::Name => rows.iter().try_for_each(|row| writeln!(out, "{}", name(row))),
    }
}

/// As [`write`], of rows whose numbers have all their digits. A member that would lose some is a text to its column.
///
/// # Errors
/// As [`write`].
pub fn write_exact(
    out: &mut dyn Write,
    rows: &[Exact],
    columns: &[Column],
    format: Format,
    one: bool,
) -> io::Result<()> {
    match (format, rows) {
        (Format::Json, [row]) if one => writeln!(out, "{row:#}"),
        (Format::Json, _) => writeln!(out, "{:#}", Exact::List(rows.to_vec())),
        (Format::Ndjson, _) => rows.iter().try_for_each(|row| writeln!(out, "{row}")),
        (Format::Yaml, _) => {
            let documents: Vec<String> = rows.iter().map(yaml::write_exact).collect();
            out.write_all(documents.join("---\n").as_bytes())
        }
        _ => {
            let rows: Vec<Value> = rows.iter().map(cells).collect();
            write(out, &rows, columns, format, one)
        }
    }
}

/// A row for columns.
fn cells(row: &Exact) -> Value {
    let cell = |value: &Exact| value.to_value().unwrap_or_else(|| Value::String(value.to_string()));
    match row {
        Exact::Map(members) => Value::Object(members.iter().map(|(name, value)| (name.clone(), cell(value))).collect()),
        other => cell(other),
    }
}

/// `kind/name` of a resource, or the name alone of anything else.
pub fn name(row: &Value) -> String {
    let text = |pointer: &str| row.pointer(pointer).and_then(Value::as_str);
    match (text("/kind"), text("/metadata/name").or_else(|| text("/name")).or_else(|| text("/key"))) {
        (Some(kind), Some(name)) => format!("{}/{name}", kind.to_lowercase()),
        (_, name) => name.unwrap_or_default().to_owned(),
    }
}

fn table(out: &mut dyn Write, rows: &[Value], columns: &[Column], wide: bool) -> io::Result<()> {
    let columns: Vec<&Column> = columns.iter().filter(|column| wide || !column.wide).collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| (column.cell)(row)).collect()).collect();
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    lay_out(out, &titles, &cells)
}

/// Prints cells in columns under their titles.
///
/// # Errors
/// `HW-CLI-007` when stdout cannot be written.
pub fn grid(titles: &[String], cells: &[Vec<String>]) -> Result<(), Problem> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    finish(lay_out(&mut out, titles, cells).and_then(|()| out.flush()))
}

fn lay_out(out: &mut dyn Write, titles: &[String], cells: &[Vec<String>]) -> io::Result<()> {
    let cells: Vec<Vec<String>> = cells.iter().map(|row| row.iter().cloned().map(clean).collect()).collect();
    let titles: Vec<String> = titles.iter().cloned().map(clean).collect();
    let width = |index: usize| {
        let title = titles.get(index).map_or(0, |title| title.chars().count());
        cells.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).fold(title, usize::max)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    for row in std::iter::once(&titles).chain(&cells) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 3));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A cell without line breaks and control characters, which could move a terminal's cursor.
pub fn clean(cell: String) -> String {
    if cell.is_empty() {
        return "-".to_owned();
    }
    if cell.contains(char::is_control) { cell.escape_debug().to_string() } else { cell }
}

fn csv(out: &mut dyn Write, rows: &[Value], columns: &[Column]) -> io::Result<()> {
    writeln!(out, "{}", csv_line(columns.iter().map(|column| column.title.to_lowercase())))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", csv_line(columns.iter().map(|column| (column.cell)(row)))))
}

/// Cells as a line of RFC 4180.
pub fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |text: String| {
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    cells.map(quoted).collect::<Vec<_>>().join(",")
}

/// Prints rows to stdout. A reader that closed its end (`| head`) is no failure.
///
/// # Errors
/// `HW-CLI-007` when stdout cannot be written.
pub fn print(rows: &[Value], columns: &[Column], format: Format, one: bool) -> Result<(), Problem> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    finish(write(&mut out, rows, columns, format, one).and_then(|()| out.flush()))
}

/// As [`print`], of rows whose numbers have all their digits.
///
/// # Errors
/// As [`print`].
pub fn print_exact(rows: &[Exact], columns: &[Column], format: Format, one: bool) -> Result<(), Problem> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    finish(write_exact(&mut out, rows, columns, format, one).and_then(|()| out.flush()))
}

/// [`print`] of what is no resource: with `-o name`, each row is `word` and its first column, as verbs take it.
///
/// # Errors
/// As [`print`].
pub fn print_as(word: &str, rows: &[Value], columns: &[Column], format: Format, one: bool) -> Result<(), Problem> {
    match (format, columns.first()) {
        (Format::Name, Some(first)) => rows.iter().try_for_each(|row| line(format!("{word}/{}", (first.cell)(row)))),
        _ => print(rows, columns, format, one),
    }
}

/// Prints one line to stdout.
///
/// # Errors
/// As [`print`].
pub fn line(text: impl std::fmt::Display) -> Result<(), Problem> {
    finish(writeln!(io::stdout().lock(), "{text}"))
}

/// Prints one line to stderr: what is said besides the data.
pub fn note(text: impl std::fmt::Display) {
    // There is nowhere left to complain to.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints what is worth a look and stands in nobody's way, to stderr.
pub fn warn(problems: &[Problem]) {
    for problem in problems {
        note(problem.to_string().replacen("error[", "warning[", 1));
    }
}

/// The result of writing to stdout; a closed pipe ends the program as the reader wishes.
///
/// # Errors
/// `HW-CLI-007`.
pub fn finish(result: io::Result<()>) -> Result<(), Problem> {
    unless_closed(result).map_err(|error| Problem::new("HW-CLI-007", "cannot write to standard output").because(error))
}

/// The result of writing to stdout, for whoever has words of its own for a failure; a closed pipe ends the program.
///
/// # Errors
/// What writing gives.
pub fn unless_closed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result,
    }
}

/// Shows problems on stderr, in colour on a terminal.
pub fn problems(problems: &Problems) {
    let color = colored(&io::stderr());
    let mut text = problems.to_string();
    if color {
        text = text
            .lines()
            .map(|line| match line.split_once(": ") {
                Some((head, rest)) if head.starts_with("error[") => {
                    format!("\x1b[1;31m{head}\x1b[0m\x1b[1m: {rest}\x1b[0m")
                }
                Some(("help", rest)) => format!("\x1b[1;36mhelp\x1b[0m: {rest}"),
                Some(("cause", rest)) => format!("\x1b[1mcause\x1b[0m: {rest}"),
                _ => line.replace("  --> ", "  \x1b[1;34m-->\x1b[0m "),
            })
            .collect::<Vec<_>>()
            .join("\n");
    }
    note(text);
}

/// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set (no-color.org).
pub fn colored(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests;
