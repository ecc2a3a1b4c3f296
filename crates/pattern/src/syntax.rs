//! Event patterns as text -> [`Pattern`]: which fields must have which values, once for each branch of its `$or`s.
//!
//! What it is NOT: matching (`ruleset`), nor expressions such as `{"prefix": "a"}` (`expression`). A rejection is
//! worded as the service words it, because clients show and compare these texts. A key that comes twice on one path
//! replaces what came before, also between a branch of `$or` and what stands around it.
//!
//! Source: "Amazon EventBridge event patterns" in its user guide; recorded rejections in the conformance corpus.

mod expression;

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::Problem;

use crate::json::{self, Broken, Scanner};
use crate::limits;
use crate::matcher::Matcher;

/// A valid event pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub(crate) branches: Vec<Branch>,
}

/// Fields that must all match, by their paths; the order of paths is part of the language (`arrays`).
pub(crate) type Branch = BTreeMap<Arc<str>, Arc<Alternatives>>;

/// What a field may be: any one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alternatives {
    pub matchers: Vec<Matcher>,
    /// The text of each, as it was written.
    pub sources: Vec<Box<str>>,
}

impl Pattern {
    /// Reads an event pattern.
    ///
    /// # Errors
    /// HW-PATTERN-001 not JSON, -002 its structure, -003 an expression, -004 a wildcard too complex, -005 a limit.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > limits::PATTERN_BYTES_MAX {
            let title = format!("event pattern has {} bytes; the limit is {}", text.len(), limits::PATTERN_BYTES_MAX);
            return Err(Problem::new("HW-PATTERN-005", title).help("split the rule into several"));
        }
        let mut parser = Parser { scanner: Scanner::new(text.as_bytes()), path: Vec::new(), alternatives: 0 };
        parser.pattern().map(|branches| Self { branches }).map_err(|fault| fault.problem(text))
    }
}

/// Why a pattern was refused, and where.
#[derive(Debug)]
pub(super) struct Fault {
    code: &'static str,
    reason: String,
    at: usize,
}

impl Fault {
    fn problem(self, text: &str) -> Problem {
        let before = text.as_bytes().get(..self.at).unwrap_or(text.as_bytes());
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column =
            before.iter().rev().take_while(|byte| **byte != b'\n').filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let help = match self.code {
            "HW-PATTERN-001" => "a pattern is one JSON object",
            "HW-PATTERN-002" => "each field holds an array of values or of expressions, or an object of further fields",
            "HW-PATTERN-003" => {
                "expressions are prefix, suffix, equals-ignore-case, wildcard, numeric, cidr, exists and anything-but"
            }
            "HW-PATTERN-004" => "use at most five wildcard characters, and a literal before the first",
            _ => "split the rule into several",
        };
        Problem::new(self.code, format!("Event pattern is not valid. Reason: {}", self.reason))
            .at("event pattern", number(line), number(column))
            .help(help)
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Self { code: "HW-PATTERN-001", reason: format!("expected {}", broken.expected), at: broken.at }
    }
}

pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    /// Steps of the object being read.
    path: Vec<String>,
    alternatives: usize,
}

/// Field names that mean an operator, so that they cannot be meant as fields inside `$or`.
const RESERVED: [&str; 23] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "html",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
];

impl Parser<'_> {
    fn pattern(&mut self) -> Result<Vec<Branch>, Fault> {
        if self.scanner.peek().is_none() {
            return Err(self.scanner.broken("a JSON object").into());
        }
        if !self.scanner.take(b'{') {
            return Err(self.wrong("Filter is not an object"));
        }
        let mut branches = Vec::new();
        self.object(&mut branches, false)?;
        self.scanner.end()?;
        Ok(branches)
    }

    /// Reads an object's fields, its brace being taken, into every branch.
    fn object(&mut self, branches: &mut Vec<Branch>, inside_or: bool) -> Result<(), Fault> {
        if self.path.len() >= limits::PATTERN_DEPTH_MAX {
            return Err(self.beyond("levels of objects", limits::PATTERN_DEPTH_MAX));
        }
        if self.scanner.take(b'}') {
            return Err(self.wrong("Empty objects are not allowed"));
        }
        loop {
            let key = self.text()?;
            self.scanner.expect(b':', "a colon")?;
            if key == "$or" {
                self.or(branches)?;
            } else if inside_or && RESERVED.contains(&key.as_str()) {
                return Err(self.wrong(format!("{key} is Ruler reserved fieldName which cannot be used inside $or.")));
            } else {
                match self.scanner.peek() {
                    Some(b'{') => {
                        self.scanner.at += 1;
                        self.path.push(key);
                        self.object(branches, inside_or)?;
                        self.path.pop();
                    }
                    Some(b'[') => {
                        self.scanner.at += 1;
                        self.field(&key, branches)?;
                    }
                    _ => return Err(self.wrong(format!("\"{key}\" must be an object or an array"))),
                }
            }
            if !self.scanner.take(b',') {
                return Ok(self.scanner.expect(b'}', "a comma or a closing brace")?);
            }
        }
    }

    /// Reads the objects of `$or`; each continues a copy of the branches so far.
    fn or(&mut self, branches: &mut Vec<Branch>) -> Result<(), Fault> {
        if !self.scanner.take(b'[') {
            return Err(self.wrong("It must be an Array followed with $or."));
        }
        let before = std::mem::take(branches);
        let mut count = 0;
        if !self.scanner.take(b']') {
            loop {
                if !self.scanner.take(b'{') {
                    return Err(self.wrong("Only JSON object is allowed in array of $or relationship."));
                }
                count += 1;
                let mut forked = if before.is_empty() { vec![Branch::new()] } else { before.clone() };
                self.object(&mut forked, true)?;
                branches.append(&mut forked);
                if branches.len() > limits::BRANCHES_MAX {
                    return Err(self.beyond("branches once $or is multiplied out", limits::BRANCHES_MAX));
                }
                if !self.scanner.take(b',') {
                    self.scanner.expect(b']', "a comma or a closing bracket")?;
                    break;
                }
            }
        }
        if count < 2 {
            return Err(self.wrong("There must have at least 2 Objects in $or relationship."));
        }
        Ok(())
    }

    /// Reads a field's alternatives, the bracket being taken.
    fn field(&mut self, key: &str, branches: &mut Vec<Branch>) -> Result<(), Fault> {
        let mut found = Alternatives { matchers: Vec::new(), sources: Vec::new() };
        if self.scanner.take(b']') {
            return Err(self.wrong("Empty arrays are not allowed"));
        }
        loop {
            self.scanner.peek();
            let start = self.scanner.at;
            found.matchers.push(self.alternative()?);
            let source = self.scanner.bytes.get(start..self.scanner.at).unwrap_or_default();
            found.sources.push(String::from_utf8_lossy(source).into());
            self.alternatives += 1;
            if self.alternatives > limits::ALTERNATIVES_MAX {
                return Err(self.beyond("alternatives", limits::ALTERNATIVES_MAX));
            }
            if !self.scanner.take(b',') {
                self.scanner.expect(b']', "a comma or a closing bracket")?;
                break;
            }
        }
        let path: Arc<str> = self.path.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".").into();
        let found = Arc::new(found);
        if branches.is_empty() {
            branches.push(Branch::new());
        }
        for branch in branches {
            branch.insert(Arc::clone(&path), Arc::clone(&found));
            if branch.len() > limits::FIELDS_MAX {
                return Err(self.beyond("fields", limits::FIELDS_MAX));
            }
        }
        Ok(())
    }

    /// Takes a string and resolves its escapes.
    pub(super) fn text(&mut self) -> Result<String, Fault> {
        let text = self.scanner.string()?;
        if let Some(control) = text.raw.iter().position(|byte| *byte < 0x20) {
            return Err(Broken { at: text.start + control, expected: "an escaped control character" }.into());
        }
        let mut bytes = Vec::with_capacity(text.raw.len());
        json::unescape(text, &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The pattern's structure is wrong here.
    fn wrong(&self, reason: impl Into<String>) -> Fault {
        Fault { code: "HW-PATTERN-002", reason: reason.into(), at: self.scanner.at }
    }

    fn beyond(&self, what: &str, limit: usize) -> Fault {
        Fault { code: "HW-PATTERN-005", reason: format!("more than {limit} {what}"), at: self.scanner.at }
    }
}

#[cfg(test)]
mod tests;
