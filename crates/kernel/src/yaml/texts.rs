//! The part of a file that is one document of it: what its author wrote, comments included.
//!
//! A part runs from behind the line `---` to the next one; comments above the first such line are part of the first
//! document. It is NOT trusted to be right: a part that was cut out is read again, and is none when it says anything
//! else than the document (directives that belong to a neighbour, line breaks that only YAML counts).

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::Value;

/// Where a document starts, empty ones included.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The line, from 1: of its `---`, or of the first thing that it says.
    pub line: u32,
    /// Whether there is a `---`.
    pub explicit: bool,
    /// How many documents that say something stand before it.
    pub document: usize,
}

/// A file in its lines, cut up once for all of its documents.
pub struct Parts<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    /// In the order of the file.
    starts: &'a [Start],
}

impl<'a> Parts<'a> {
    /// The parts of `file`, whose documents start at `starts`.
    pub fn of(file: &'a str, starts: &'a [Start]) -> Self {
        Self { file, lines: file.split_inclusive('\n').collect(), starts }
    }

    /// The text of document `index`; None where there is none to keep.
    pub fn text(&self, index: usize, value: &Value, bytes_max: usize) -> Option<Arc<str>> {
        // Empty documents before this one have the same count.
        let own = self.starts.partition_point(|start| start.document <= index).checked_sub(1)?;
        self.starts.get(own).filter(|start| start.document == index)?;
        let part = self.part(own)?;
        if part.len() > bytes_max || is_json(&part) {
            return None;
        }
        let whole = part == self.file;
        (whole || says(&part, value)).then(|| Arc::from(part))
    }

    fn part(&self, own: usize) -> Option<String> {
        let start = self.starts.get(own)?;
        let at = |line: u32| (line as usize).saturating_sub(1).min(self.lines.len());
        let end = self.starts.get(own + 1).map_or(self.lines.len(), |next| at(next.line));
        let first = at(start.line);
        let head = if own == 0 { self.lines.get(..first)? } else { &[] };
        let rest = self.lines.get(first..end)?;
        let says_nothing = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        let rest = match rest.split_first() {
            // Without its `---` it is one document among others wherever it is put.
            Some((line, rest)) if start.explicit && line.trim_end() == "---" && head.iter().all(says_nothing) => rest,
            _ => rest,
        };
        Some(head.iter().chain(rest).copied().collect())
    }
}

fn says(part: &str, value: &Value) -> bool {
    let read = super::build("text", part).map(|(documents, _)| documents);
    matches!(read.as_deref(), Ok([document]) if document.value == *value)
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}
