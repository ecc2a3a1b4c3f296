//! Where a value was written: from a field path back to file, line and column.
//!
//! Field paths are JSON pointers (RFC 6901, `/spec/steps/2/when`); people see them as `spec.steps[2].when`.
//! A resource that was read back from the log has no file; its places name the resource and the field path.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_base::{Place, Problem};

/// A line and a column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// How a text was written, so that a position inside it can be found in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Without quotes, on the line where it starts.
    Plain,
    /// In quotes; its first character stands one column behind its start.
    Quoted,
    /// As a literal block (`|`).
    Block {
        /// Line of the text's first line.
        line: u32,
        /// Spaces before each of its lines that are no part of the text.
        indent: u32,
    },
    /// Folded (`>`) or spread over lines: lines of the text are not lines of the file.
    Folded,
    /// Not a text.
    Other,
}

/// Where one value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Of its key, if it has one.
    pub key: Option<Position>,
    /// Of the value.
    pub value: Position,
    /// How it was written.
    pub written: Written,
}

/// The marks of one document, by JSON pointer; the root is the empty pointer.
pub type Marks = HashMap<String, Mark>;

/// Where a resource comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    file: Option<Arc<str>>,
    resource: Arc<str>,
    marks: Arc<Marks>,
}

impl Origin {
    /// A document of a file. `resource` (as `Kind/name`) is shown where there is no position.
    pub fn file(file: &str, resource: &str, marks: Arc<Marks>) -> Self {
        Self { file: Some(Arc::from(file)), resource: Arc::from(resource), marks }
    }

    /// A resource of the node, or one that arrived without a file.
    pub fn resource(resource: &str) -> Self {
        Self { file: None, resource: Arc::from(resource), marks: Arc::default() }
    }

    /// The file it was read from.
    pub fn file_name(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The mark at `pointer`, if that very value was written down.
    pub fn mark(&self, pointer: &str) -> Option<&Mark> {
        self.marks.get(pointer)
    }

    /// Where the value at `pointer` stands; of the nearest value around it where it was not written.
    pub fn place(&self, pointer: &str) -> Place {
        self.place_of(pointer, |mark| mark.value)
    }

    /// Where the key of the value at `pointer` stands.
    pub fn key_place(&self, pointer: &str) -> Place {
        self.place_of(pointer, |mark| mark.key.unwrap_or(mark.value))
    }

    /// Where line `line`, column `column` (both from 1, in characters) of the text at `pointer` stand: for the errors
    /// of a program inside a resource.
    pub fn inside(&self, pointer: &str, line: u32, column: u32) -> Place {
        self.place_of(pointer, |mark| {
            let behind = column.saturating_sub(1);
            match mark.written {
                Written::Block { line: first, indent } => {
                    Position { line: first + line.saturating_sub(1), column: indent + behind + 1 }
                }
                Written::Plain if line <= 1 => Position { line: mark.value.line, column: mark.value.column + behind },
                Written::Quoted if line <= 1 => {
                    Position { line: mark.value.line, column: mark.value.column + 1 + behind }
                }
                _ => mark.value,
            }
        })
    }

    /// Gives a problem the place of the value at `pointer`, unless it has one already.
    #[must_use]
    pub fn blame(&self, pointer: &str, problem: Problem) -> Problem {
        let Place { path, line, column } = self.place(pointer);
        problem.at(path, line, column)
    }

    fn place_of(&self, pointer: &str, position: impl Fn(&Mark) -> Position) -> Place {
        let mut at = pointer;
        loop {
            if let (Some(mark), Some(file)) = (self.marks.get(at), &self.file) {
                let Position { line, column } = position(mark);
                return Place { path: file.to_string(), line, column };
            }
            match at.rfind('/') {
                Some(cut) => at = at.get(..cut).unwrap_or_default(),
                None => break,
            }
        }
        let field = shown(pointer);
        let path = match (&self.file, field.is_empty()) {
            (Some(file), true) => file.to_string(),
            (Some(file), false) => format!("{file}: {field}"),
            (None, true) => self.resource.to_string(),
            (None, false) => format!("{}: {field}", self.resource),
        };
        Place { path, line: 0, column: 0 }
    }
}

/// A JSON pointer as people write field paths: `spec.steps[2].when`.
pub fn shown(pointer: &str) -> String {
    let mut text = String::new();
    for step in pointer.split('/').skip(1) {
        if !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()) {
            text.push_str(&format!("[{step}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&step.replace("~1", "/").replace("~0", "~"));
        }
    }
    text
}

/// `pointer` and one more step behind it.
pub fn child(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
