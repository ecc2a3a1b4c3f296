//! `Path`: a field of an event, as spec authors and VRL write it: `.listing.id`, `.items[0]`, `."x y"`.
//!
//! What it is NOT: an expression; wildcards and alternatives are not paths. The root `.` is not a field.

use std::fmt;

use headwater_base::Problem;
use vrl::path::{OwnedSegment, OwnedValuePath, parse_value_path};

/// The path of a field inside an event.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Path(OwnedValuePath);

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// `HW-FLOW-110` names the text and shows what a path looks like.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        const TEXT_BYTES_MAX: usize = 1_024;
        const INDEX_MAX: isize = 1_000;
        let shown: String = text.chars().take(80).collect();
        let problem = |fact: &str| {
            Problem::new("HW-FLOW-110", format!("`{}` {fact}", shown.escape_debug()))
                .help("write a path as in VRL: `.listing.id`, `.items[0].price`, `.\"key with spaces\"`")
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(problem(&format!(
                "is too long for a field path: {} bytes; the limit is {TEXT_BYTES_MAX}",
                text.len()
            )));
        }
        if !text.starts_with('.') {
            return Err(problem("is not a field path: it does not start with `.`"));
        }
        let path = parse_value_path(text).map_err(|_| problem("is not a field path"))?;
        if path.is_root() {
            return Err(problem("is the whole event, where one field is needed"));
        }
        let far = |segment: &OwnedSegment| matches!(segment, OwnedSegment::Index(index) if index.abs() > INDEX_MAX);
        if path.segments.iter().any(far) {
            return Err(problem(&format!("holds an index beyond {INDEX_MAX}")));
        }
        Ok(Self(path))
    }

    /// The path of a field on the first level, whatever its name holds.
    pub fn field(name: &str) -> Self {
        Self(OwnedValuePath::single_field(name))
    }

    /// The path one field further down.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self(self.0.with_field_appended(name))
    }

    pub(crate) fn segments(&self) -> &[OwnedSegment] {
        &self.0.segments
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".{}", self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
