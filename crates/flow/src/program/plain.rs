//! The part of VRL that this crate compiles itself, because most of what runs for each event is made of it: fields read,
//! compared and set, variables, `if`, whole-number arithmetic, a few functions.
//!
//! What it is NOT: a second language. VRL's own parser reads the source and its compiler has accepted it; what is not
//! listed here runs in VRL, and both ways give the same (`differential`).
//!
//! Invariants: nothing here can fail, because only what is known to be a whole number, a list or true or false is used
//! as one; nothing loops, so it always ends.

mod read;

use std::borrow::Cow;
use std::sync::Arc;

use headwater_base::{Micros, never};
use vrl::parser::ast::Opcode;
use vrl::path::OwnedSegment;
use vrl::prelude::VrlValueArithmetic;
use vrl::value::{ObjectMap, Value};

use super::env::Metadata;
use super::functions::{UserAgents, token, truncate_ip};
use super::keyring::{Keyring, Period};
use crate::doc::{self, Doc};

pub(super) use read::{Parts, split, test};

/// A field of the event, by names alone.
pub(super) type Field = Vec<OwnedSegment>;

/// A variable: its place among the values of a run.
type Slot = usize;

/// Does something.
#[derive(Debug)]
pub(super) enum Statement {
    /// `.field = term`
    Set(Field, Term),
    /// `name = term`
    Let(Slot, Term),
    /// `name = object(.field) ?? {}`: of the fields that the variable may stand for, the one of this number.
    Point(Slot, usize, Field),
    /// `del(.field)`
    Delete(Field),
    /// `if test { … } else { … }`
    If(Test, Vec<Self>, Vec<Self>),
    /// `abort "words"`
    Abort(String),
}

/// Gives a value.
#[derive(Debug)]
pub(super) enum Term {
    Test(Box<Test>),
    Number(Box<Number>),
    List(Box<List>),
    /// A text or null.
    Literal(Value),
    /// `.field`
    Field(Field),
    /// `name` or `name.part`, where it is not known to be a number, a list, true or false; with the same part of each
    /// field that the variable may stand for.
    Variable(Slot, Field, Vec<Field>),
    /// `object(term) ?? {}`
    Object(Box<Self>),
    /// `token(value, "keyring")`
    Token {
        value: Box<Self>,
        keyring: Arc<Keyring>,
        period: Period,
        at: Option<Box<Self>>,
    },
    /// `truncate_ip(term)`
    TruncateIp(Box<Self>),
    /// `user_agent(term)`
    UserAgent(Box<Self>, UserAgents),
}

/// Gives true or false.
#[derive(Debug)]
pub(super) enum Test {
    Literal(bool),
    Variable(Slot),
    /// `one == other`
    Equal(Term, Term),
    /// `exists(.field)`
    Exists(Field),
    /// `is_string(.field)`
    IsString(Field),
    /// `one < other`, and its like.
    Compare(Number, Opcode, Number),
    /// `includes(list, term)`
    Includes(List, Term),
    /// `!test`
    Not(Box<Self>),
    /// `one && other`
    Both(Box<Self>, Box<Self>),
    /// `one || other`
    Either(Box<Self>, Box<Self>),
}

/// Gives a whole number.
#[derive(Debug)]
pub(super) enum Number {
    Literal(i64),
    Variable(Slot),
    /// `int(term) ?? 7`
    Int(Term, i64),
    /// `length(list)`
    Length(List),
    /// `to_unix_timestamp(timestamp!(%time))`
    Seconds,
    /// `mod(number, 7)`
    Remainder(Box<Self>, i64),
    /// `one + other`, and its like.
    Arithmetic(Box<Self>, Opcode, Box<Self>),
}

/// Gives an array.
#[derive(Debug)]
pub(super) enum List {
    Literal(Vec<Value>),
    Variable(Slot),
    /// `push(list, term)`
    Push(Box<Self>, Term),
}

/// What a variable holds during a run.
#[derive(Clone, Debug)]
pub(super) enum Variable<'a> {
    Value(Value),
    /// The object in a field, or an empty one where there is none: it stays in the event, where only the parts of it are
    /// read that somebody wants, until something there is about to change. The number is that of [`Statement::Point`].
    Field(usize, &'a [OwnedSegment]),
}

/// What terms are evaluated on.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub doc: &'a Doc,
    pub metadata: &'a Metadata,
    pub variables: &'a [Variable<'a>],
}

/// Runs statements; `Err` holds the words of the `abort` that ended them. `variables` are those of the same program.
pub(super) fn run<'a>(
    statements: &'a [Statement],
    doc: &mut Doc,
    metadata: &Metadata,
    variables: &mut [Variable<'a>],
) -> Result<(), String> {
    for statement in statements {
        let scope = Scope { doc, metadata, variables };
        match statement {
            // What is known of an agent is kept as text, too, which goes into the event as it is.
            Statement::Set(field, Term::UserAgent(term, agents)) => {
                let text = agents.text(&term.value(scope));
                settle(variables, doc, field);
                match text {
                    Some(json) => doc.set_checked_json_at(field, json),
                    None => doc.set_at(field, Value::Null),
                }
            }
            Statement::Set(field, term) => {
                let value = term.value(scope).into_owned();
                settle(variables, doc, field);
                doc.set_at(field, value);
            }
            Statement::Let(slot, term) => {
                let value = term.value(scope).into_owned();
                if let Some(variable) = variables.get_mut(*slot) {
                    *variable = Variable::Value(value);
                }
            }
            Statement::Point(slot, number, field) => {
                if let Some(variable) = variables.get_mut(*slot) {
                    *variable = Variable::Field(*number, field);
                }
            }
            Statement::Delete(field) => {
                settle(variables, doc, field);
                doc.discard_at(field);
            }
            Statement::If(test, then, otherwise) => {
                let chosen = if test.holds(scope) { then } else { otherwise };
                run(chosen, doc, metadata, variables)?;
            }
            Statement::Abort(words) => return Err(words.clone()),
        }
    }
    Ok(())
}

/// Gives what is in a field to the variables that stand for it or for a part of it, because it is about to change.
fn settle(variables: &mut [Variable<'_>], doc: &Doc, field: &[OwnedSegment]) {
    for variable in variables {
        if let Variable::Field(_, place) = variable
            && (place.starts_with(field) || field.starts_with(place))
        {
            *variable = Variable::Value(object(doc, place).into_owned());
        }
    }
}

/// `object(.field) ?? {}`
fn object<'a>(doc: &'a Doc, field: &[OwnedSegment]) -> Cow<'a, Value> {
    match doc.get_at(field) {
        Some(object) if object.is_object() => Cow::Borrowed(object),
        _ => Cow::Owned(Value::Object(ObjectMap::new())),
    }
}

impl<'a> Scope<'a> {
    /// A variable that holds a number, a list, true or false.
    fn variable(self, slot: Slot) -> Option<&'a Value> {
        match self.variables.get(slot)? {
            Variable::Value(value) => Some(value),
            Variable::Field(..) => None,
        }
    }
}

impl Term {
    fn value<'a>(&'a self, scope: Scope<'a>) -> Cow<'a, Value> {
        const NULL: &Value = &Value::Null;
        match self {
            Self::Test(test) => Cow::Owned(Value::Boolean(test.holds(scope))),
            Self::Number(number) => Cow::Owned(Value::Integer(number.value(scope))),
            Self::List(list) => Cow::Owned(Value::Array(list.items(scope).into_owned())),
            Self::Literal(value) => Cow::Borrowed(value),
            Self::Field(field) => Cow::Borrowed(scope.doc.get_at(field).unwrap_or(NULL)),
            Self::Variable(slot, part, fields) => match scope.variables.get(*slot) {
                Some(Variable::Value(value)) if part.is_empty() => Cow::Borrowed(value),
                Some(Variable::Value(value)) => Cow::Borrowed(value.get(part.as_slice()).unwrap_or(NULL)),
                Some(Variable::Field(_, field)) if part.is_empty() => object(scope.doc, field),
                Some(Variable::Field(number, _)) => match fields.get(*number) {
                    Some(field) => Cow::Borrowed(scope.doc.get_at(field).unwrap_or(NULL)),
                    None => Cow::Borrowed(NULL),
                },
                None => Cow::Borrowed(NULL),
            },
            Self::Object(term) => match term.value(scope) {
                object if object.is_object() => object,
                _ => Cow::Owned(Value::Object(ObjectMap::new())),
            },
            Self::Token { value, keyring, period, at } => {
                let value = value.value(scope);
                let at = at.as_ref().and_then(|at| doc::time(&at.value(scope)));
                let time = || at.or_else(|| scope.metadata.event_time()).unwrap_or(Micros(0));
                Cow::Owned(token(keyring, *period, &value, time))
            }
            Self::TruncateIp(term) => Cow::Owned(truncate_ip(&term.value(scope))),
            Self::UserAgent(term, agents) => Cow::Owned(agents.value(&term.value(scope))),
        }
    }
}

impl Test {
    /// Whether it holds.
    pub fn holds(&self, scope: Scope<'_>) -> bool {
        match self {
            Self::Literal(holds) => *holds,
            Self::Variable(slot) => scope.variable(*slot) == Some(&Value::Boolean(true)),
            Self::Equal(one, other) => one.value(scope).eq_lossy(&other.value(scope)),
            Self::Exists(field) => scope.doc.has_at(field),
            Self::IsString(field) => scope.doc.get_at(field).is_some_and(Value::is_bytes),
            Self::Compare(one, opcode, other) => {
                let (one, other) = (one.value(scope), other.value(scope));
                match opcode {
                    Opcode::Gt => one > other,
                    Opcode::Ge => one >= other,
                    Opcode::Lt => one < other,
                    _ => one <= other,
                }
            }
            Self::Includes(list, term) => list.items(scope).contains(&*term.value(scope)),
            Self::Not(test) => !test.holds(scope),
            Self::Both(one, other) => one.holds(scope) && other.holds(scope),
            Self::Either(one, other) => one.holds(scope) || other.holds(scope),
        }
    }
}

impl Number {
    fn value(&self, scope: Scope<'_>) -> i64 {
        match self {
            Self::Literal(number) => *number,
            Self::Variable(slot) => match scope.variable(*slot) {
                Some(Value::Integer(number)) => *number,
                _ => {
                    never!("a variable that is no number");
                    0
                }
            },
            Self::Int(term, default) => match &*term.value(scope) {
                Value::Integer(number) => *number,
                _ => *default,
            },
            Self::Length(list) => list.items(scope).len() as i64,
            Self::Seconds => scope.metadata.seconds().unwrap_or_else(|| {
                never!("an event without a time");
                0
            }),
            Self::Remainder(number, by) => number.value(scope).wrapping_rem(*by),
            Self::Arithmetic(one, opcode, other) => {
                let (one, other) = (one.value(scope), other.value(scope));
                match opcode {
                    Opcode::Add => one.wrapping_add(other),
                    Opcode::Sub => one.wrapping_sub(other),
                    _ => one.wrapping_mul(other),
                }
            }
        }
    }
}

impl List {
    fn items<'a>(&'a self, scope: Scope<'a>) -> Cow<'a, [Value]> {
        match self {
            Self::Literal(items) => Cow::Borrowed(items),
            Self::Variable(slot) => match scope.variable(*slot) {
                Some(Value::Array(items)) => Cow::Borrowed(items),
                _ => {
                    never!("a variable that is no array");
                    Cow::Borrowed(&[])
                }
            },
            Self::Push(list, term) => {
                let mut items = list.items(scope).into_owned();
                items.push(term.value(scope).into_owned());
                Cow::Owned(items)
            }
        }
    }
}
