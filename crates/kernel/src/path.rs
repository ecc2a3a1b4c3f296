//! `Path`: a field of an event, as specs write it: `.listing.id`, `.items[0].price`, `."key with spaces"`.
//!
//! What it is NOT: an expression; there are no wildcards and no alternatives.

use serde_json::Value;

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A path's length.
const TEXT_BYTES_MAX: usize = 1_024;

impl Path {
    /// The field of this name on the first level, whatever the name holds.
    pub fn field(name: &str) -> Self {
        Self(vec![Step::Key(name.to_owned())])
    }

    /// Reads a path.
    ///
    /// # Errors
    /// A fact that names the text and shows what a path looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = || {
            let shown: String = text.chars().take(80).collect();
            format!(
                "`{}` is no path of a field: write `.listing.id`, `.items[0].price` or `.\"key with spaces\"`",
                shown.escape_debug()
            )
        };
        if text.len() > TEXT_BYTES_MAX || !text.starts_with('.') {
            return Err(fault());
        }
        let (mut steps, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (step, behind) = step(rest).ok_or_else(fault)?;
            steps.push(step);
            rest = behind;
        }
        if matches!(steps.first(), Some(Step::Key(_))) { Ok(Self(steps)) } else { Err(fault()) }
    }

    /// The name of what it leads to; None when that is a place in a list.
    pub fn name(&self) -> Option<&str> {
        match self.0.last()? {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        }
    }

    /// The names it begins with, and what leads on from the first place in a list.
    pub fn split_at_index(&self) -> (Vec<&str>, Option<Self>) {
        fn key(step: &Step) -> Option<&str> {
            match step {
                Step::Key(key) => Some(key),
                Step::Index(_) => None,
            }
        }
        let names: Vec<&str> = self.0.iter().map_while(key).collect();
        let rest = self.0.get(names.len()..).filter(|rest| !rest.is_empty());
        (names, rest.map(|rest| Self(rest.to_vec())))
    }

    /// What stands there; None when there is nothing, or null.
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        let mut at = value;
        for step in &self.0 {
            at = match step {
                Step::Key(key) => at.as_object()?.get(key)?,
                Step::Index(index) => at.as_array()?.get(*index)?,
            };
        }
        (!at.is_null()).then_some(at)
    }
}

/// The first step of `text` and what is behind it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (number, behind) = rest.split_once(']')?;
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        return plain.then(|| number.parse().ok()).flatten().map(|index| (Step::Index(index), behind));
    }
    let rest = text.strip_prefix('.')?;
    if let Some(quoted) = rest.strip_prefix('"') {
        let (key, behind) = quoted.split_once('"')?;
        return Some((Step::Key(key.to_owned()), behind));
    }
    let end = rest.find(['.', '[', '"']).unwrap_or(rest.len());
    let (key, behind) = rest.split_at_checked(end)?;
    (!key.is_empty()).then(|| (Step::Key(key.to_owned()), behind))
}

#[cfg(test)]
mod tests;
