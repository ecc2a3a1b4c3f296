//! What a JSON text looks like as a mail: a subject, words, tables and a picture. Pure.
//!
//! A report and an alert say it themselves (`subject`, `text`, `charts`, `picture`), by themselves or as the `detail` of
//! an event; of anything else the JSON is shown. Whatever it is becomes text: nothing of it is HTML, a header or a name
//! of a file.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use serde_json::Value;

/// A longer subject is cut.
const SUBJECT_CHARS_MAX: usize = 200;
/// Wider cells of a table are not lined up in the plain text.
const CELL_CHARS_MAX: usize = 40;
/// How a PNG begins (W3C, third edition, section 5.2).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// What the HTML calls the picture.
const PICTURE: &str = "picture";

/// What a mail says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Letter {
    subject: String,
    text: String,
    tables: Vec<Table>,
    picture: Option<Vec<u8>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    note: String,
}

impl Letter {
    /// Reads what is to be sent.
    pub fn read(body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let says = |value: &Value| value["subject"].is_string() || value["text"].is_string();
        let told = [&value, &value["detail"]].into_iter().find(|value| says(value));
        let Some(told) = told else {
            let of = match (value["detail-type"].as_str(), value["source"].as_str()) {
                (Some(kind), Some(source)) => format!("{kind} from {source}"),
                _ => "An event".to_owned(),
            };
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            return Self { subject: line(&of), text: clean(&text), ..Self::default() };
        };
        let text = clean(told["text"].as_str().unwrap_or_default());
        let subject = told["subject"].as_str().or_else(|| text.lines().next()).unwrap_or_default();
        let tables = told["charts"].as_array().into_iter().flatten().map(table).collect();
        Self { subject: line(subject), tables, picture: picture(&told["picture"]["data"]), text }
    }

    /// The subject, on one line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The mail's body: the same as text and as HTML (RFC 2046, section 5.1.4), the picture within the latter.
    pub fn parts(&self) -> MultiPart {
        let plain = MultiPart::alternative().singlepart(SinglePart::plain(self.plain()));
        let html = SinglePart::html(self.html());
        let Some(picture) = &self.picture else { return plain.singlepart(html) };
        let Ok(png) = ContentType::parse("image/png") else { return plain.singlepart(html) };
        let shown = Attachment::new_inline(PICTURE.to_owned()).body(picture.clone(), png);
        plain.multipart(MultiPart::related().singlepart(html).singlepart(shown))
    }

    fn plain(&self) -> String {
        let mut text = format!("{}\n", self.text.trim_end());
        for table in &self.tables {
            table.plain(&mut text);
        }
        text
    }

    fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>{subject}</title></head>\n\
             <body style=\"font-family:sans-serif;font-size:14px;color:#1c2024\">\n\
             <p style=\"white-space:pre-wrap\">{text}</p>\n",
            subject = escape(&self.subject),
            text = escape(self.text.trim_end()),
        );
        if self.picture.is_some() {
            let _ = writeln!(html, "<p><img src=\"cid:{PICTURE}\" alt=\"\" style=\"max-width:100%\"></p>");
        }
        for table in &self.tables {
            table.html(&mut html);
        }
        html.push_str("</body></html>\n");
        html
    }
}

impl Table {
    fn plain(&self, into: &mut String) {
        let _ = writeln!(into, "\n{}\n{}", self.title, "-".repeat(self.title.chars().count()));
        let lines = std::iter::once(&self.columns).chain(&self.rows);
        let width = |at: usize| {
            let cells = lines.clone().filter_map(|cells| cells.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(CELL_CHARS_MAX)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for cells in lines.clone().filter(|cells| !cells.is_empty()) {
            let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
            let _ = writeln!(into, "{}", padded.collect::<Vec<_>>().join("  ").trim_end());
        }
        if !self.note.is_empty() {
            let _ = writeln!(into, "{}", self.note);
        }
    }

    fn html(&self, into: &mut String) {
        const CELL: &str = "padding:3px 8px;border-bottom:1px solid #d9dde2";
        let _ = writeln!(into, "<h3>{}</h3>", escape(&self.title));
        if !self.columns.is_empty() {
            into.push_str("<table style=\"border-collapse:collapse\">\n<tr>");
            for column in &self.columns {
                let _ = write!(into, "<th align=\"left\" style=\"{CELL}\">{}</th>", escape(column));
            }
            into.push_str("</tr>\n");
            for row in &self.rows {
                into.push_str("<tr>");
                for cell in row {
                    let align = if cell.parse::<f64>().is_ok() { "right" } else { "left" };
                    let _ = write!(into, "<td align=\"{align}\" style=\"{CELL}\">{}</td>", escape(cell));
                }
                into.push_str("</tr>\n");
            }
            into.push_str("</table>\n");
        }
        if !self.note.is_empty() {
            let _ = writeln!(into, "<p>{}</p>", escape(&self.note));
        }
    }
}

fn table(chart: &Value) -> Table {
    let list = |value: &Value| value.as_array().map(|cells| cells.iter().map(cell).collect::<Vec<_>>());
    Table {
        title: cell(&chart["title"]),
        columns: list(&chart["columns"]).unwrap_or_default(),
        rows: chart["rows"].as_array().into_iter().flatten().filter_map(list).collect(),
        note: cell(&chart["note"]),
    }
}

/// A value on one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => flat(text),
        other => other.to_string(),
    }
}

/// A PNG in Base64; anything else is none.
fn picture(data: &Value) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(data.as_str()?).ok()?;
    bytes.starts_with(PNG).then_some(bytes)
}

/// A text on one line, without control characters.
fn flat(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A subject.
fn line(text: &str) -> String {
    flat(text).trim().chars().take(SUBJECT_CHARS_MAX).collect()
}

/// A text without control characters other than ends of lines.
fn clean(text: &str) -> String {
    let plain = text.replace("\r\n", "\n");
    plain.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

/// Text as HTML shows it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
