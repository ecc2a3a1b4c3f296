//! JSONata expressions of states (`{% $states.input.total > 10 %}`): the only file that names the crate behind them.
//!
//! An evaluation is bounded by a deadline, a depth and a sequence length. The deadline is wall-clock time, so two
//! evaluations of a hostile expression may differ in where they stop; what came out is journaled with the step and
//! never evaluated again. `$now`, `$millis`, `$random`, `$uuid` and `$shuffle` draw on the step's own time and seed.
//! Numbers are doubles inside an expression; one that only names a value ([`Query::direct`]) need not be evaluated, and
//! so hands 64-bit identifiers through with all their digits.
//!
//! Specification: JSONata 2.2; Amazon States Language, "JSONata"; the service's six own functions.

mod functions;
mod value;

use std::sync::Arc;

use headwater_base::Micros;
use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator, EvaluatorOptions};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use serde_json::{Map, Value};

use crate::chance::Chance;
use crate::limits::Limits;

use value::Excess;

/// One expression, parsed.
#[derive(Clone)]
pub struct Query {
    /// As written between `{%` and `%}`, blanks trimmed.
    pub text: String,
    /// Variables it may read, without `$`; built-in functions are among them.
    pub names: Vec<String>,
    /// The names it follows, when it only names a value: `$states.input.id` is `states`, `input`, `id`.
    pub direct: Option<Vec<String>>,
    ast: Arc<AstNode>,
}

/// What an expression came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A value.
    Value(Value),
    /// Nothing at all.
    Undefined,
    /// A function, which no state can carry.
    Function,
}

/// An expression that was stopped: `T2001: ...` of the JSONata specification, or our own bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped(pub String);

/// Where an expression is evaluated.
#[derive(Debug)]
pub enum Place {
    /// As the JSONata specification has it: `$eval` and the process's clock and chance, no functions of the service.
    Plain,
    /// In a state, at this time.
    State(Micros),
}

impl Query {
    /// The expression inside `{% %}`, or None when the text is no expression.
    pub fn inside(text: &str) -> Option<&str> {
        text.strip_prefix("{%")?.strip_suffix("%}").map(str::trim)
    }

    /// Parses an expression.
    ///
    /// # Errors
    /// The parser's message, with its JSONata code where it has one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let ast = parser::parse(text).map_err(|error| coded(error.to_string()))?;
        let names = names(text);
        let direct = direct(text);
        Ok(Self { text: text.to_owned(), names, direct, ast: Arc::new(ast) })
    }

    /// Evaluates over `data` (None is undefined) with `bindings`.
    ///
    /// # Errors
    /// [`Stopped`] when the expression fails or passes a bound.
    pub fn evaluate(
        &self,
        data: Option<&Value>,
        bindings: &Map<String, Value>,
        place: &Place,
        chance: &mut Chance,
        limits: &Limits,
    ) -> Result<Answer, Stopped> {
        let mut context = Context::new();
        for (name, value) in bindings.iter().filter(|(name, _)| self.names.contains(name)) {
            context.bind(name.clone(), JValue::from(value.clone()));
        }
        let options = EvaluatorOptions {
            timeout_ms: Some(limits.evaluation_ms_max),
            max_stack_depth: Some(limits.evaluation_depth_max),
            max_sequence_length: Some(limits.sequence_items_max),
            ..EvaluatorOptions::default()
        };
        let mut evaluator = Evaluator::with_options(context, options);
        if let Place::State(now) = place {
            functions::register(&mut evaluator, *now, chance, limits).map_err(|e| Stopped(e.message().to_owned()))?;
        }
        let data = data.map_or(JValue::Undefined, |data| JValue::from(data.clone()));
        let answer =
            evaluator.evaluate(&self.ast, &data).map_err(|error| Stopped(coded(error.message().to_owned())))?;
        if answer.is_undefined() {
            return Ok(Answer::Undefined);
        }
        if answer.is_function() {
            return Ok(Answer::Function);
        }
        let mut left = limits.variables_bytes_max;
        value::to_json(&answer, limits.value_depth_max, &mut left).map(Answer::Value).map_err(|excess| {
            Stopped(match excess {
                Excess::Depth => format!("D1011: the result nests deeper than {} levels", limits.value_depth_max),
                Excess::Bytes => format!("D1011: the result has more than {} bytes", limits.variables_bytes_max),
            })
        })
    }

    /// The variables it reads, as `$name`: not functions it calls, nor names it binds itself.
    pub fn variables(&self) -> Vec<String> {
        let text = &self.text;
        let mut bound = vec!["states"];
        let mut read = Vec::new();
        for (at, _) in text.match_indices('$') {
            let rest = text.get(at + 1..).unwrap_or_default();
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).unwrap_or_default();
            let before = text.get(..at).unwrap_or_default().trim_end();
            let parameter = before.rsplit(')').next().is_some_and(|open| {
                open.rsplit_once('(').is_some_and(|(head, _)| {
                    let head = head.trim_end();
                    head.ends_with("function") || head.ends_with('λ')
                })
            });
            if name.is_empty() || after.trim_start().starts_with('(') {
                continue;
            }
            if parameter || after.trim_start().starts_with(":=") { bound.push(name) } else { read.push(name) }
        }
        read.retain(|name| !bound.contains(name));
        read.sort_unstable();
        read.dedup();
        read.into_iter().map(|name| format!("${name}")).collect()
    }
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{% {} %}}", self.text)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The crate's message in the specification's words, where they differ.
fn coded(message: String) -> String {
    const NO_FUNCTION: &str = "T1006: Attempted to invoke a non-function";
    if message.starts_with(NO_FUNCTION) {
        return NO_FUNCTION.to_owned();
    }
    if message == "Unclosed comment" { "S0106: Comment has no closing tag".to_owned() } else { message }
}

/// The names of `$name.field.field`; None for anything else.
fn direct(text: &str) -> Option<Vec<String>> {
    let plain = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let names: Vec<&str> = text.strip_prefix('$')?.split('.').collect();
    names.iter().all(plain).then(|| names.into_iter().map(str::to_owned).collect())
}

/// Every `$name` in the text: more than the variables it reads, never fewer.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split('$')
        .skip(1)
        .map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
