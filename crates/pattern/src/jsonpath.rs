//! Input paths: `$.detail.items[0].name`, `$['detail-type']`, `$.detail.items[*].id`.
//!
//! What it is NOT: RFC 9535; there are no filters, slices or descendants. A path with `[*]` answers with an array of
//! what it found, any other with the value itself, both as JSON text. Of two equal keys the last one counts.

use std::borrow::Cow;

use headwater_base::Problem;

use crate::json::{self, Scanner};

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(Box<[u8]>),
    Index(usize),
    Every,
}

const STEPS_MAX: usize = 64;

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// HW-PATTERN-020.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let wrong = |at: usize, expected: &str| {
            Problem::new("HW-PATTERN-020", format!("`{text}` is no input path: expected {expected} at character {at}"))
                .help("write `$`, then `.key`, `['key']`, `[0]` or `[*]` for each step")
        };
        let mut rest = text.strip_prefix('$').ok_or_else(|| wrong(0, "`$`"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let (step, behind) = if let Some(key) = rest.strip_prefix('.') {
                let end = key.find(['.', '[']).unwrap_or(key.len());
                let (key, behind) = key.split_at(end);
                let step = if key == "*" { Step::Every } else { Step::Key(key.as_bytes().into()) };
                if key.is_empty() {
                    return Err(wrong(at + 1, "a key"));
                }
                (step, behind)
            } else if let Some(inner) = rest.strip_prefix('[') {
                bracket(inner).ok_or_else(|| wrong(at + 1, "`'key'`, a number or `*`, and `]`"))?
            } else {
                return Err(wrong(at, "`.` or `[`"));
            };
            steps.push(step);
            if steps.len() > STEPS_MAX {
                return Err(wrong(at, &format!("at most {STEPS_MAX} steps")));
            }
            rest = behind;
        }
        Ok(Self { steps })
    }

    /// What the path leads to in an event, as JSON text.
    pub fn find<'e>(&self, event: &'e [u8]) -> Option<Cow<'e, [u8]>> {
        let mut found = vec![trim(event)];
        for step in &self.steps {
            found = match step {
                Step::Key(key) => found.into_iter().filter_map(|value| member(value, key)).collect(),
                Step::Index(index) => found.into_iter().filter_map(|value| elements(value).nth(*index)).collect(),
                Step::Every => found.into_iter().flat_map(elements).collect(),
            };
        }
        if self.steps.contains(&Step::Every) {
            return Some(Cow::Owned([b"[".as_slice(), &found.join(&b','), b"]"].concat()));
        }
        found.first().map(|value| Cow::Borrowed(*value))
    }
}

/// Reads a step behind its `[`.
fn bracket(inner: &str) -> Option<(Step, &str)> {
    if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (key, behind) = inner.get(1..)?.split_once(quote)?;
        return Some((Step::Key(key.as_bytes().into()), behind.strip_prefix(']')?));
    }
    let (index, behind) = inner.split_once(']')?;
    let step = if index == "*" { Step::Every } else { Step::Index(index.parse().ok()?) };
    Some((step, behind))
}

/// A member of a JSON object, by its key; `None` for what is no object.
pub(crate) fn member<'e>(object: &'e [u8], key: &[u8]) -> Option<&'e [u8]> {
    members(object).filter(|(own, _)| **own == *key).last().map(|(_, value)| value)
}

/// The members of a JSON object; none for what is no object.
pub(crate) fn members(object: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, &[u8])> {
    let mut scanner = Scanner::new(object);
    let mut more = scanner.take(b'{') && !scanner.take(b'}');
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        more = false;
        let text = scanner.string().ok()?;
        let mut key = Cow::Borrowed(text.raw);
        if text.escaped {
            let mut resolved = Vec::new();
            json::unescape(text, &mut resolved).ok()?;
            key = Cow::Owned(resolved);
        }
        scanner.expect(b':', "a colon").ok()?;
        let value = value(&mut scanner)?;
        more = scanner.take(b',');
        Some((key, value))
    })
}

/// The elements of a JSON array; none for what is no array.
fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut scanner = Scanner::new(array);
    let mut more = scanner.take(b'[') && !scanner.take(b']');
    std::iter::from_fn(move || {
        let value = if more { value(&mut scanner)? } else { return None };
        more = scanner.take(b',');
        Some(value)
    })
}

fn value<'e>(scanner: &mut Scanner<'e>) -> Option<&'e [u8]> {
    scanner.peek();
    let start = scanner.at;
    scanner.skip().ok()?;
    scanner.bytes.get(start..scanner.at)
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

#[cfg(test)]
mod tests;
