//! Intrinsic functions of JSONPath states: `States.Format('{} of {}', $.a, $$.Execution.Name)`.
//!
//! Reading is here, what the functions do is in `functions`. The set is closed: the language adds none.
//!
//! Specification: Amazon States Language, "Intrinsic Functions"; the recorded service where the text is silent.

mod functions;

use serde_json::Value;

use crate::chance::Chance;
use crate::path::{Miss, Path};

/// Calls inside each other, as the language has it.
const DEPTH_MAX: usize = 10;

/// One call as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The whole call, as written.
    pub text: String,
    function: &'static functions::Function,
    arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq)]
enum Argument {
    /// Raw text between the quotes; `Format` reads its own escapes.
    Text(String),
    Literal(Value),
    Path(Path),
    Call(Box<Call>),
}

/// Why a call gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A path of an argument missed.
    Path(String, Miss),
    /// The function refused its arguments.
    Refused(String),
}

impl Call {
    /// Reads a call.
    ///
    /// # Errors
    /// What is wrong with the text, for a diagnostic.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let call = reader.call(1)?;
        if reader.rest().trim().is_empty() { Ok(call) } else { Err(format!("`{}` follows the call", reader.rest())) }
    }

    /// Whether a text is meant as a call.
    pub fn looks_like(text: &str) -> bool {
        text.starts_with("States.")
    }

    /// Every path among its arguments.
    pub fn paths(&self) -> Vec<&Path> {
        self.arguments
            .iter()
            .flat_map(|argument| match argument {
                Argument::Path(path) => vec![path],
                Argument::Call(call) => call.paths(),
                Argument::Text(_) | Argument::Literal(_) => Vec::new(),
            })
            .collect()
    }

    /// Evaluates the call; `resolve` selects a path.
    ///
    /// # Errors
    /// [`Failure`] of a path or of the function.
    pub fn evaluate(
        &self,
        resolve: &dyn Fn(&Path) -> Result<Value, Miss>,
        chance: &mut Chance,
        items_max: usize,
    ) -> Result<Value, Failure> {
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for (number, argument) in self.arguments.iter().enumerate() {
            arguments.push(match argument {
                Argument::Literal(value) => value.clone(),
                Argument::Text(raw) if number == 0 && self.function.name == "Format" => Value::String(raw.clone()),
                Argument::Text(raw) => Value::String(unescape(raw)),
                Argument::Path(path) => resolve(path).map_err(|miss| Failure::Path(path.text.clone(), miss))?,
                Argument::Call(call) => call.evaluate(resolve, chance, items_max)?,
            });
        }
        let mut given = functions::Given { arguments, chance, items_max };
        (self.function.run)(&mut given)
            .map_err(|reason| Failure::Refused(format!("Invalid arguments in States.{}: {reason}", self.function.name)))
    }
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(c) = characters.next() {
        text.push(if c == '\\' { characters.next().unwrap_or(c) } else { c });
    }
    text
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start().len());
    }

    fn call(&mut self, depth: usize) -> Result<Call, String> {
        if depth > DEPTH_MAX {
            return Err(format!("calls nest deeper than {DEPTH_MAX}"));
        }
        let start = self.at;
        let Some(after) = self.rest().strip_prefix("States.") else {
            return Err(format!("`{}` is no intrinsic function", self.rest()));
        };
        let name = after.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let function = functions::find(name).ok_or_else(|| format!("there is no function `States.{name}`"))?;
        self.skip("States.".len() + name.len());
        self.blanks();
        if !self.rest().starts_with('(') {
            return Err(format!("`(` is missing after `States.{name}`"));
        }
        self.skip(1);
        let mut arguments = Vec::new();
        loop {
            self.blanks();
            match self.rest().chars().next() {
                None => return Err(format!("`)` is missing after the arguments of `States.{name}`")),
                Some(')') => break self.skip(1),
                Some(',') if !arguments.is_empty() => self.skip(1),
                _ if !arguments.is_empty()
                    && !self.text.get(..self.at).unwrap_or_default().trim_end().ends_with(',') =>
                {
                    return Err(format!("`,` is missing before `{}`", self.rest()));
                }
                _ => arguments.push(self.argument(depth)?),
            }
        }
        if !function.arity.contains(&arguments.len()) {
            return Err(format!("`States.{name}` does not take {} arguments", arguments.len()));
        }
        let text = self.text.get(start..self.at).unwrap_or_default().to_owned();
        Ok(Call { text, function, arguments })
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, String> {
        self.blanks();
        let rest = self.rest();
        if rest.starts_with('\'') {
            return self.quoted().map(Argument::Text);
        }
        if rest.starts_with("States.") {
            return self.call(depth + 1).map(|call| Argument::Call(Box::new(call)));
        }
        let end = argument_end(rest);
        let token = rest.get(..end).unwrap_or_default().trim_end();
        self.skip(end);
        if token.starts_with('$') {
            return Path::parse(token).map(Argument::Path);
        }
        match serde_json::from_str::<Value>(token) {
            Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Ok(Argument::Literal(value)),
            _ => Err(format!("`{token}` is no argument: arguments are paths, calls, numbers and 'text'")),
        }
    }

    /// Text in single quotes, raw. Only `'`, `\`, `{` and `}` can be escaped.
    fn quoted(&mut self) -> Result<String, String> {
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            match c {
                '\'' => {
                    let raw = self.rest().get(1..at).unwrap_or_default().to_owned();
                    self.skip(at + 1);
                    return Ok(raw);
                }
                '\\' => match characters.next() {
                    Some((_, '\'' | '\\' | '{' | '}')) => {}
                    other => {
                        let other = other.map_or(String::new(), |(_, c)| c.to_string());
                        return Err(format!("`\\{other}` is no escape"));
                    }
                },
                _ => {}
            }
        }
        Err("a quote is not closed".to_owned())
    }
}

/// Where a path or literal ends: at a comma or closing parenthesis outside brackets and quotes.
fn argument_end(text: &str) -> usize {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ')' | ',') if depth == 0 => return at,
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
