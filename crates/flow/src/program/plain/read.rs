//! VRL's syntax tree -> statements and terms of this crate, as far as they go.

use std::sync::Arc;

use vrl::parser::ast::{
    Assignment, AssignmentOp, AssignmentTarget, Block, Container, Expr, FunctionCall, IfStatement, Node, Opcode,
    Predicate, Query, QueryTarget, RootExpr, Unary,
};
use vrl::parser::template_string::StringSegment;
use vrl::parser::{Literal, Program};
use vrl::path::{OwnedSegment, PathPrefix};
use vrl::value::Value;

use super::{Field, List, Number, Slot, Statement, Term, Test};
use crate::program::functions::UserAgents;
use crate::program::keyring::{Keyring, Period};

/// A program in three parts, one behind the other.
pub(in crate::program) struct Parts {
    pub head: Vec<Statement>,
    /// How much of the source the head takes.
    pub head_bytes: usize,
    /// What stands between the other two and needs VRL, behind as much space as the head takes, so that places in it are
    /// those in the source; nothing but space when nothing needs VRL.
    pub body: String,
    pub tail: Vec<Statement>,
    /// How many variables the head has.
    pub variables: usize,
    /// They need the event's time.
    pub timed: bool,
}

/// Splits a program; None when it cannot be read. `keyring` finds one by its name.
pub(in crate::program) fn split(source: &str, keyring: &dyn Fn(&str) -> Option<Arc<Keyring>>) -> Option<Parts> {
    let Program(roots) = vrl::parser::parse(source).ok()?;
    let roots = roots.into_iter().map(|root| {
        let (from, to) = (root.start(), root.end());
        match root.into_inner() {
            RootExpr::Expr(expr) => Some((from, to, expr.into_inner())),
            RootExpr::Error(_) => None,
        }
    });
    let roots: Vec<(usize, usize, Expr)> = roots.collect::<Option<_>>()?;
    let mut reader = Reader::new(keyring);
    let (mut start, mut end) = (0, source.len());
    // Of what the reader knows only what it learnt from whole statements counts.
    let (mut variables, mut timed) = (0, false);
    let mut head = Vec::new();
    let mut rest = roots.iter();
    for (_, to, expr) in rest.by_ref() {
        let Some(statement) = reader.statement(expr) else { break };
        head.push(statement);
        start = *to;
        (variables, timed) = (reader.known.len(), reader.timed);
    }
    if head.len() == roots.len() {
        start = source.len();
    }
    let needs_vrl = source.get(start..)?;
    // By itself `name.part = 1` is the first that VRL hears of a variable: what the head gave it would be lost.
    if reader.known.iter().take(variables).any(|known| mentions(needs_vrl, &known.name)) {
        return None;
    }
    // The statement that ended the loop needs VRL. At the end of a program only deletions are looked for: they use no
    // variables, which may be VRL's there. What stands behind a `return` may have to be left undone.
    let mut tail = Vec::new();
    if !mentions(needs_vrl, "return") {
        for (from, _, expr) in rest.rev() {
            let Some(statement) = reader.deletion(expr) else { break };
            tail.push(statement);
            end = *from;
        }
        tail.reverse();
    }
    let body = " ".repeat(start) + source.get(start..end)?;
    Some(Parts { head, head_bytes: start, body, tail, variables, timed })
}

/// Whether a text has a word that is not behind a point, as fields are. One in a comment or a literal counts: to take it
/// for more than it is costs speed only.
fn mentions(text: &str, word: &str) -> bool {
    let joins = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (at.checked_sub(1).and_then(|at| bytes.get(at)), bytes.get(at + word.len()));
        !(joins(before) || before == Some(&b'.') || joins(after))
    })
}

/// Reads a condition; None when it needs VRL.
pub(in crate::program) fn test(source: &str) -> Option<Test> {
    let Program(roots) = vrl::parser::parse(source).ok()?;
    let [root] = <[_; 1]>::try_from(roots).ok()?;
    let RootExpr::Expr(expr) = root.into_inner() else { return None };
    let mut reader = Reader::new(&|_| None);
    let test = reader.test(expr.inner())?;
    (!reader.timed).then_some(test)
}

/// What a variable is known to hold.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Truth,
    Number,
    List,
    Anything,
}

/// A variable.
struct Known {
    name: String,
    holds: Holds,
    /// The fields that it may stand for, so far.
    fields: Vec<Field>,
}

struct Reader<'a> {
    keyring: &'a dyn Fn(&str) -> Option<Arc<Keyring>>,
    /// The variables, by their slots.
    known: Vec<Known>,
    timed: bool,
}

impl<'a> Reader<'a> {
    fn new(keyring: &'a dyn Fn(&str) -> Option<Arc<Keyring>>) -> Self {
        Self { keyring, known: Vec::new(), timed: false }
    }

    fn statement(&mut self, expr: &Expr) -> Option<Statement> {
        match expr {
            Expr::Assignment(assignment) => {
                let Assignment::Single { target, op: AssignmentOp::Assign, expr } = assignment.inner() else {
                    return None;
                };
                let term = self.term(expr.inner())?;
                match target.inner() {
                    AssignmentTarget::External(Some(path)) if path.prefix == PathPrefix::Event => {
                        Some(Statement::Set(names(&path.path.segments)?, term))
                    }
                    AssignmentTarget::Internal(name, None) => {
                        let slot = self.slot(name, &term)?;
                        let known = self.known.get_mut(slot)?;
                        Some(match stays(term) {
                            Ok(field) => {
                                known.fields.push(field.clone());
                                Statement::Point(slot, known.fields.len() - 1, field)
                            }
                            Err(term) => Statement::Let(slot, term),
                        })
                    }
                    AssignmentTarget::Query(Query { target, path }) => match target.inner() {
                        QueryTarget::External(PathPrefix::Event) => Some(Statement::Set(names(&path.segments)?, term)),
                        _ => None,
                    },
                    _ => None,
                }
            }
            Expr::IfStatement(statement) => {
                let IfStatement { predicate, if_node, else_node } = statement.inner();
                let Predicate::One(test) = predicate.inner() else { return None };
                let test = self.test(test.inner())?;
                let then = self.block(if_node)?;
                let otherwise = match else_node {
                    Some(block) => self.block(block)?,
                    None => Vec::new(),
                };
                Some(Statement::If(test, then, otherwise))
            }
            Expr::Abort(abort) => match literal(abort.message.as_ref()?.inner())? {
                Value::Null => None,
                words => Some(Statement::Abort(words.to_str()?.to_owned())),
            },
            _ => self.deletion(expr),
        }
    }

    fn block(&mut self, block: &Node<Block>) -> Option<Vec<Statement>> {
        block.inner().0.iter().map(|expr| self.statement(expr.inner())).collect()
    }

    /// `del(.field)`, whose value nobody takes.
    fn deletion(&self, expr: &Expr) -> Option<Statement> {
        let Expr::FunctionCall(call) = expr else { return None };
        let [field] = arguments(call.inner(), "del")?;
        Some(Statement::Delete(event_field(field)?))
    }

    /// The slot of a variable that a term is given to. One that holds now this and now that needs VRL.
    fn slot(&mut self, name: &str, term: &Term) -> Option<Slot> {
        let holds = match term {
            Term::Test(_) => Holds::Truth,
            Term::Number(_) => Holds::Number,
            Term::List(_) => Holds::List,
            _ => Holds::Anything,
        };
        match self.known.iter().position(|known| known.name == name) {
            Some(slot) => (self.known.get(slot)?.holds == holds).then_some(slot),
            None => {
                self.known.push(Known { name: name.to_owned(), holds, fields: Vec::new() });
                Some(self.known.len() - 1)
            }
        }
    }

    fn variable(&self, name: &str) -> Option<(Slot, &Known)> {
        self.known.iter().enumerate().find(|(_, known)| known.name == name)
    }

    fn test(&mut self, expr: &Expr) -> Option<Test> {
        match self.term(expr)? {
            Term::Test(test) => Some(*test),
            _ => None,
        }
    }

    fn number(&mut self, expr: &Expr) -> Option<Number> {
        match self.term(expr)? {
            Term::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn list(&mut self, expr: &Expr) -> Option<List> {
        match self.term(expr)? {
            Term::List(list) => Some(*list),
            _ => None,
        }
    }

    fn term(&mut self, expr: &Expr) -> Option<Term> {
        match ungrouped(expr) {
            expr @ (Expr::Literal(_) | Expr::Container(_)) => Some(match literal(expr)? {
                Value::Boolean(holds) => truth(Test::Literal(holds)),
                Value::Integer(number) => whole(Number::Literal(number)),
                Value::Array(items) => Term::List(Box::new(List::Literal(items))),
                other => Term::Literal(other),
            }),
            Expr::Variable(name) => {
                let (slot, known) = self.variable(name.inner())?;
                Some(match known.holds {
                    Holds::Truth => truth(Test::Variable(slot)),
                    Holds::Number => whole(Number::Variable(slot)),
                    Holds::List => Term::List(Box::new(List::Variable(slot))),
                    Holds::Anything => Term::Variable(slot, Vec::new(), Vec::new()),
                })
            }
            Expr::Query(query) => {
                let Query { target, path } = query.inner();
                let names = names(&path.segments)?;
                match target.inner() {
                    QueryTarget::External(PathPrefix::Event) => Some(Term::Field(names)),
                    QueryTarget::Internal(name) => match self.variable(name)? {
                        (slot, Known { holds: Holds::Anything, fields, .. }) => {
                            let parts =
                                fields.iter().map(|field| [field.as_slice(), names.as_slice()].concat()).collect();
                            Some(Term::Variable(slot, names, parts))
                        }
                        _ => None,
                    },
                    _ => None,
                }
            }
            Expr::Unary(unary) => {
                let Unary::Not(not) = unary.inner();
                let (_, expr) = not.inner().clone().take();
                Some(truth(Test::Not(Box::new(self.test(expr.inner())?))))
            }
            Expr::Op(op) => {
                let op = op.inner();
                self.operation(op.0.inner(), *op.1.inner(), op.2.inner())
            }
            Expr::FunctionCall(call) => self.call(call.inner()),
            _ => None,
        }
    }

    fn operation(&mut self, one: &Expr, opcode: Opcode, other: &Expr) -> Option<Term> {
        Some(match opcode {
            Opcode::And => truth(Test::Both(Box::new(self.test(one)?), Box::new(self.test(other)?))),
            Opcode::Or => truth(Test::Either(Box::new(self.test(one)?), Box::new(self.test(other)?))),
            Opcode::Eq => truth(Test::Equal(self.term(one)?, self.term(other)?)),
            Opcode::Ne => truth(Test::Not(Box::new(Test::Equal(self.term(one)?, self.term(other)?)))),
            Opcode::Gt | Opcode::Ge | Opcode::Lt | Opcode::Le => {
                truth(Test::Compare(self.number(one)?, opcode, self.number(other)?))
            }
            Opcode::Add | Opcode::Sub | Opcode::Mul => {
                let (one, other) = (self.number(one)?, self.number(other)?);
                whole(Number::Arithmetic(Box::new(one), opcode, Box::new(other)))
            }
            // `int(term) ?? 7`, `object(term) ?? {}`: what stands for a value of another type.
            Opcode::Err => {
                let Expr::FunctionCall(call) = ungrouped(one) else { return None };
                match literal(ungrouped(other))? {
                    Value::Integer(default) => {
                        let [value] = arguments(call.inner(), "int")?;
                        whole(Number::Int(self.part(value)?, default))
                    }
                    Value::Object(default) if default.is_empty() => {
                        let [value] = arguments(call.inner(), "object")?;
                        Term::Object(Box::new(self.part(value)?))
                    }
                    _ => return None,
                }
            }
            Opcode::Div | Opcode::Merge => return None,
        })
    }

    fn call(&mut self, call: &FunctionCall) -> Option<Term> {
        Some(match &**call.ident.inner() {
            "exists" => {
                let [field] = arguments(call, "exists")?;
                truth(Test::Exists(event_field(field)?))
            }
            "is_string" => {
                let [field] = arguments(call, "is_string")?;
                truth(Test::IsString(event_field(field)?))
            }
            "includes" => {
                let [list, item] = arguments(call, "includes")?;
                truth(Test::Includes(self.list(list)?, self.term(item)?))
            }
            "length" => {
                let [list] = arguments(call, "length")?;
                whole(Number::Length(self.list(list)?))
            }
            "push" => {
                let [list, item] = arguments(call, "push")?;
                Term::List(Box::new(List::Push(Box::new(self.list(list)?), self.term(item)?)))
            }
            "mod" => {
                let [number, by] = arguments(call, "mod")?;
                match literal(by)? {
                    Value::Integer(by) if by != 0 => whole(Number::Remainder(Box::new(self.number(number)?), by)),
                    _ => return None,
                }
            }
            "to_unix_timestamp" => {
                let [time] = arguments(call, "to_unix_timestamp")?;
                self.event_time(time)?;
                whole(Number::Seconds)
            }
            "truncate_ip" => {
                let [value] = arguments(call, "truncate_ip")?;
                Term::TruncateIp(Box::new(self.term(value)?))
            }
            "user_agent" => {
                let [value] = arguments(call, "user_agent")?;
                Term::UserAgent(Box::new(self.term(value)?), UserAgents::default())
            }
            "token" => self.token(call)?,
            _ => return None,
        })
    }

    /// `token(value, "keyring", period: "day", at: time)`
    fn token(&mut self, call: &FunctionCall) -> Option<Term> {
        let mut unnamed = Vec::new();
        let (mut period, mut at) = (Period::Day, None);
        for argument in &call.arguments {
            let argument = argument.inner();
            let expr = argument.expr.inner();
            match argument.ident.as_ref().map(|name| &**name.inner()) {
                None => unnamed.push(expr),
                Some("period") => {
                    let word = literal(expr)?;
                    period = Period::WORDS.iter().find(|(known, _)| word.to_str() == Some(known))?.1;
                }
                Some("at") => at = Some(Box::new(self.term(expr)?)),
                Some(_) => return None,
            }
        }
        let [value, name] = <[&Expr; 2]>::try_from(unnamed).ok()?;
        let keyring = (self.keyring)(literal(name)?.to_str()?)?;
        Some(Term::Token { value: Box::new(self.term(value)?), keyring, period, at })
    }

    /// `timestamp!(%time)`, which only an event without a time does not have.
    fn event_time(&mut self, expr: &Expr) -> Option<()> {
        let Expr::FunctionCall(call) = ungrouped(expr) else { return None };
        let call = call.inner();
        let [argument] = call.arguments.as_slice() else { return None };
        if &**call.ident.inner() != "timestamp" || !call.abort_on_error || argument.inner().ident.is_some() {
            return None;
        }
        let Expr::Query(query) = ungrouped(argument.inner().expr.inner()) else { return None };
        let Query { target, path } = query.inner();
        let [OwnedSegment::Field(name)] = path.segments.as_slice() else { return None };
        if !matches!(target.inner(), QueryTarget::External(PathPrefix::Metadata)) || name.as_str() != "time" {
            return None;
        }
        self.timed = true;
        Some(())
    }

    /// A field of the event, or a variable or a part of it.
    fn part(&mut self, expr: &Expr) -> Option<Term> {
        match self.term(expr)? {
            term @ (Term::Field(_) | Term::Variable(..)) => Some(term),
            _ => None,
        }
    }
}

/// The field in which the object that a term gives lies; else the term again.
fn stays(term: Term) -> Result<Field, Term> {
    match term {
        Term::Object(of) => match *of {
            Term::Field(field) => Ok(field),
            other => Err(Term::Object(Box::new(other))),
        },
        other => Err(other),
    }
}

fn truth(test: Test) -> Term {
    Term::Test(Box::new(test))
}

fn whole(number: Number) -> Term {
    Term::Number(Box::new(number))
}

/// The arguments of `name(one, other)`.
fn arguments<'e, const COUNT: usize>(call: &'e FunctionCall, name: &str) -> Option<[&'e Expr; COUNT]> {
    if **call.ident.inner() != *name || call.abort_on_error || call.closure.is_some() {
        return None;
    }
    let unnamed = |argument: &'e Node<vrl::parser::ast::FunctionArgument>| {
        let argument = argument.inner();
        argument.ident.is_none().then(|| argument.expr.inner())
    };
    let found: Vec<&Expr> = call.arguments.iter().map(unnamed).collect::<Option<_>>()?;
    found.try_into().ok()
}

/// A field of the event by names alone.
fn event_field(expr: &Expr) -> Option<Field> {
    let Expr::Query(query) = expr else { return None };
    let Query { target, path } = query.inner();
    matches!(target.inner(), QueryTarget::External(PathPrefix::Event)).then(|| names(&path.segments)).flatten()
}

/// A path that goes by names alone, and is not empty.
fn names(segments: &[OwnedSegment]) -> Option<Field> {
    let plain = !segments.is_empty() && segments.iter().all(|segment| matches!(segment, OwnedSegment::Field(_)));
    plain.then(|| segments.to_vec())
}

/// The value that a literal, or an array or an object of nothing but literals, stands for.
fn literal(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Literal(literal) => Some(match literal.inner() {
            Literal::RawString(text) => Value::from(text.as_str()),
            Literal::String(template) => match template.0.as_slice() {
                [StringSegment::Literal(text, _)] => Value::from(text.as_str()),
                _ => return None,
            },
            Literal::Integer(number) => Value::Integer(*number),
            Literal::Boolean(value) => Value::Boolean(*value),
            Literal::Null => Value::Null,
            Literal::Float(_) | Literal::Regex(_) | Literal::Timestamp(_) => return None,
        }),
        Expr::Container(container) => match container.inner() {
            Container::Array(array) => {
                let items = array.inner().clone().into_iter().map(|item| literal(item.inner()));
                items.collect::<Option<_>>().map(Value::Array)
            }
            Container::Object(object) => {
                let pairs = object.inner().clone().into_iter();
                let pairs = pairs.map(|(name, value)| Some((name.into_inner().into(), literal(value.inner())?)));
                pairs.collect::<Option<_>>().map(Value::Object)
            }
            Container::Group(_) | Container::Block(_) => None,
        },
        _ => None,
    }
}

/// What stands in parentheses.
fn ungrouped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Container(container) => match container.inner() {
            Container::Group(group) => ungrouped(group.inner().0.inner()),
            _ => expr,
        },
        _ => expr,
    }
}
