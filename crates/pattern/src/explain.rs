//! Why an event matches a pattern or not, field by field, as data that a command or a console prints.
//!
//! What it is NOT: fast; it asks every alternative.

use headwater_base::Problem;
use serde::Serialize;

use crate::matcher::Matcher;
use crate::ruleset::{RuleSet, Scratch, unreadable};
use crate::syntax::{Alternatives, Branch, Pattern};

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether the event matches.
    pub matched: bool,
    /// One for each way through the pattern's `$or`s; one of them has to match.
    pub branches: Vec<BranchReport>,
}

/// One way through the pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BranchReport {
    /// Whether this way matches.
    pub matched: bool,
    /// Every field matches on its own, but only with values of different elements of one array.
    pub different_elements: bool,
    /// Its fields, by path.
    pub fields: Vec<FieldReport>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldReport {
    /// The steps to it, joined by dots.
    pub path: String,
    /// The alternatives, as the pattern spells them.
    pub wanted: Vec<String>,
    /// The event's values, at most [`VALUES_MAX`] of them, shortened.
    pub found: Vec<String>,
    /// How many values the event has.
    pub found_count: usize,
    /// What follows.
    pub verdict: Verdict,
}

/// Whether a field matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Verdict {
    /// A value satisfies an alternative; without a value, the field is rightly missing.
    Matched {
        /// The alternative, as the pattern spells it.
        by: String,
        /// The value.
        value: Option<String>,
    },
    /// The event has no such field: no value, or only an object or an empty array.
    Missing,
    /// The event has the field, and it must not.
    Unwanted,
    /// No value satisfies any alternative.
    Different {
        /// What could be meant, where a near miss is recognised.
        hint: Option<String>,
    },
}

/// Values shown for one field.
pub const VALUES_MAX: usize = 10;
const VALUE_CHARACTERS_MAX: usize = 100;

/// Explains a pattern's answer to an event.
///
/// # Errors
/// As [`RuleSet::matches`].
pub fn explain(pattern: &Pattern, event: &[u8]) -> Result<Explanation, Problem> {
    let mut branches = Vec::new();
    for branch in &pattern.branches {
        branches.push(explain_branch(branch, event)?);
    }
    Ok(Explanation { matched: branches.iter().any(|branch| branch.matched), branches })
}

fn explain_branch(branch: &Branch, event: &[u8]) -> Result<BranchReport, Problem> {
    let (set, mut scratch) = (alone(branch.clone())?, Scratch::default());
    let matched = !set.matches(event, &mut scratch)?.is_empty();
    scratch.reading.read(event, &set.paths, branch.len()).map_err(|halt| unreadable(halt, event))?;
    // Fields are numbered in the order of the branch's paths.
    let mut fields: Vec<FieldReport> = branch
        .iter()
        .zip(0_u32..)
        .map(|((path, alternatives), field)| explain_field(path, alternatives, field, event, &scratch))
        .collect();
    let matches = |field: &FieldReport| matches!(field.verdict, Verdict::Matched { .. });
    let mut each = fields.iter().all(matches);
    if each && !matched {
        // A field that must be missing is in some elements: where all else matches, it is why the whole does not.
        let there = |field: &FieldReport| {
            matches!(field.verdict, Verdict::Matched { value: None, .. }) && field.found_count > 0
        };
        let rest: Branch = branch
            .iter()
            .zip(&fields)
            .filter(|(_, field)| !there(field))
            .map(|((path, alternatives), _)| (path.clone(), alternatives.clone()))
            .collect();
        if rest.len() < fields.len()
            && (rest.is_empty() || !alone(rest)?.matches(event, &mut Scratch::default())?.is_empty())
        {
            for field in fields.iter_mut().filter(|field| there(field)) {
                let is_only = field.wanted.len() == 1;
                field.verdict = if is_only { Verdict::Unwanted } else { Verdict::Different { hint: None } };
            }
            each = false;
        }
    }
    Ok(BranchReport { matched, different_elements: each && !matched, fields })
}

fn alone(branch: Branch) -> Result<RuleSet, Problem> {
    RuleSet::build([&Pattern { branches: vec![branch] }])
}

fn explain_field(path: &str, wanted: &Alternatives, field: u32, event: &[u8], scratch: &Scratch) -> FieldReport {
    let leaves = || scratch.reading.of(field).map(|(_, value)| scratch.reading.leaf(event, value));
    let alternatives = || wanted.matchers.iter().zip(&wanted.sources);
    let found_count = leaves().count();
    let matched = leaves().find_map(|leaf| {
        let (_, source) = alternatives().find(|(matcher, _)| matcher.accepts(leaf))?;
        Some(Verdict::Matched { by: source.to_string(), value: Some(shorten(&leaf.to_string())) })
    });
    let absent = alternatives().find(|(matcher, _)| **matcher == Matcher::Absent);
    let verdict = match (matched, absent, found_count) {
        (Some(matched), ..) => matched,
        (None, Some((_, source)), 0) => Verdict::Matched { by: source.to_string(), value: None },
        // Where each value is in an element of an array the branch decides: the elements at hand may be others.
        (None, Some((_, source)), _) if scratch.reading.of(field).all(|(_, value)| value.place != 0) => {
            Verdict::Matched { by: source.to_string(), value: None }
        }
        (None, Some(_), _) if wanted.matchers.len() == 1 => Verdict::Unwanted,
        (None, None, 0) => Verdict::Missing,
        (None, ..) => Verdict::Different { hint: hint(wanted, &leaves().map(|l| l.to_string()).collect::<Vec<_>>()) },
    };
    FieldReport {
        path: path.to_owned(),
        wanted: wanted.sources.iter().map(|source| source.to_string()).collect(),
        found: leaves().take(VALUES_MAX).map(|leaf| shorten(&leaf.to_string())).collect(),
        found_count,
        verdict,
    }
}

/// Names a near miss: another case, or a string for a number and the other way round.
fn hint(wanted: &Alternatives, found: &[String]) -> Option<String> {
    let bare = |text: &str| text.trim_matches('"').to_owned();
    for source in &wanted.sources {
        for value in found {
            if **source != **value && bare(source) == bare(value) {
                return Some(format!("{value} and {source} differ: one is a string, the other is not"));
            }
            if **source != **value && source.to_lowercase() == value.to_lowercase() {
                return Some(format!("{value} differs in case only: use {{\"equals-ignore-case\": {source}}}"));
            }
        }
    }
    None
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
