//! The parts of programs that are plain enough to do without VRL's runtime: conditions made of comparisons of a field
//! with a literal, `if condition { abort "…" }` at the beginning of a program, and `del(.field)` at its end, whose value
//! nobody takes.
//!
//! What it is NOT: a second language. VRL's own parser reads the source and its compiler has accepted it; what is not
//! listed here runs in VRL, and both ways give the same (`differential`).

use vrl::parser::ast::{Container, Expr, FunctionCall, Node, Opcode, Predicate, QueryTarget, RootExpr, Unary};
use vrl::parser::template_string::StringSegment;
use vrl::parser::{Literal, Program};
use vrl::path::{OwnedSegment, PathPrefix};
use vrl::prelude::VrlValueArithmetic;
use vrl::value::Value;

use crate::doc::Doc;

/// A field of the event.
pub(super) type Field = Vec<OwnedSegment>;

/// A condition that always gives true or false.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// `.field == literal`
    Equal(Field, Value),
    /// `exists(.field)`
    Exists(Field),
    /// `is_string(.field)`
    IsString(Field),
    /// `(int(.field) ?? default) < bound`, and its like.
    Compare { field: Field, default: i64, opcode: Opcode, bound: i64 },
    /// `!test`
    Not(Box<Test>),
    /// `one && other`
    Both(Box<Test>, Box<Test>),
    /// `one || other`
    Either(Box<Test>, Box<Test>),
}

impl Test {
    /// Reads a condition; None when it needs VRL.
    pub fn parse(source: &str) -> Option<Self> {
        let Program(roots) = vrl::parser::parse(source).ok()?;
        let [root] = <[_; 1]>::try_from(roots).ok()?;
        match root.into_inner() {
            RootExpr::Expr(expr) => Self::of(expr),
            RootExpr::Error(_) => None,
        }
    }

    fn of(expr: Node<Expr>) -> Option<Self> {
        match ungrouped(expr) {
            Expr::Op(op) => {
                let op = op.into_inner();
                let (one, opcode, other) = (*op.0, op.1.into_inner(), *op.2);
                match opcode {
                    Opcode::And => Some(Self::Both(Box::new(Self::of(one)?), Box::new(Self::of(other)?))),
                    Opcode::Or => Some(Self::Either(Box::new(Self::of(one)?), Box::new(Self::of(other)?))),
                    Opcode::Eq => Some(Self::Equal(field(one)?, literal(other)?)),
                    Opcode::Ne => Some(Self::Not(Box::new(Self::Equal(field(one)?, literal(other)?)))),
                    Opcode::Gt | Opcode::Ge | Opcode::Lt | Opcode::Le => {
                        let (field, default) = whole_number(one)?;
                        let Value::Integer(bound) = literal(other)? else { return None };
                        Some(Self::Compare { field, default, opcode, bound })
                    }
                    _ => None,
                }
            }
            Expr::Unary(unary) => {
                let Unary::Not(not) = unary.into_inner();
                Some(Self::Not(Box::new(Self::of(*not.into_inner().take().1)?)))
            }
            Expr::FunctionCall(call) => match &**call.ident.inner() {
                "exists" => only_argument(call, "exists").map(Self::Exists),
                "is_string" => only_argument(call, "is_string").map(Self::IsString),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it holds for an event.
    pub fn holds(&self, doc: &Doc) -> bool {
        match self {
            Self::Equal(field, literal) => doc.get_at(field).unwrap_or(&Value::Null).eq_lossy(literal),
            Self::Exists(field) => doc.get_at(field).is_some(),
            Self::IsString(field) => doc.get_at(field).is_some_and(Value::is_bytes),
            Self::Compare { field, default, opcode, bound } => {
                let number = match doc.get_at(field) {
                    Some(Value::Integer(number)) => number,
                    _ => default,
                };
                match opcode {
                    Opcode::Gt => number > bound,
                    Opcode::Ge => number >= bound,
                    Opcode::Lt => number < bound,
                    _ => number <= bound,
                }
            }
            Self::Not(test) => !test.holds(doc),
            Self::Both(one, other) => one.holds(doc) && other.holds(doc),
            Self::Either(one, other) => one.holds(doc) || other.holds(doc),
        }
    }
}

/// A program whose beginning and end do without VRL.
pub(super) struct Parts<'a> {
    pub checks: Vec<Check>,
    /// What stands between them.
    pub body: &'a str,
    /// The fields that the deletions at its end delete.
    pub deleted: Vec<Field>,
}

/// `if test { abort "words" }`
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub test: Test,
    pub words: String,
}

impl Check {
    fn of(expr: Expr) -> Option<Self> {
        let Expr::IfStatement(statement) = expr else { return None };
        let statement = statement.into_inner();
        let (Predicate::One(test), None) = (statement.predicate.into_inner(), statement.else_node) else {
            return None;
        };
        let [only] = <[_; 1]>::try_from(statement.if_node.into_inner().into_inner()).ok()?;
        let Expr::Abort(abort) = only.into_inner() else { return None };
        let words = literal(*abort.into_inner().message?)?;
        Some(Self { test: Test::of(*test)?, words: words.to_str()?.to_owned() })
    }
}

/// Splits a program; None when it cannot be read.
pub(super) fn split(source: &str) -> Option<Parts<'_>> {
    let Program(roots) = vrl::parser::parse(source).ok()?;
    let (mut start, mut end) = (0, source.len());
    let (mut checks, mut deleted) = (Vec::new(), Vec::new());
    let mut roots = std::collections::VecDeque::from(roots);
    while let Some(root) = roots.pop_back() {
        let from = root.start();
        let RootExpr::Expr(expr) = root.inner() else { return None };
        let Expr::FunctionCall(call) = expr.inner() else {
            roots.push_back(root);
            break;
        };
        let Some(field) = only_argument(call.clone(), "del") else {
            roots.push_back(root);
            break;
        };
        end = from;
        deleted.push(field);
    }
    deleted.reverse();
    while let Some(root) = roots.pop_front() {
        let behind = root.end();
        let RootExpr::Expr(expr) = root.into_inner() else { return None };
        let Some(check) = Check::of(expr.into_inner()) else { break };
        start = behind;
        checks.push(check);
    }
    Some(Parts { checks, body: source.get(start..end)?, deleted })
}

/// The field in `name(.field)`.
fn only_argument(call: Node<FunctionCall>, name: &str) -> Option<Field> {
    let call = call.into_inner();
    if **call.ident.inner() != *name || call.abort_on_error || call.closure.is_some() {
        return None;
    }
    let [argument] = <[_; 1]>::try_from(call.arguments).ok()?;
    let argument = argument.into_inner();
    if argument.ident.is_some() {
        return None;
    }
    field(argument.expr)
}

/// A field of the event by names alone.
fn field(expr: Node<Expr>) -> Option<Field> {
    let Expr::Query(query) = expr.into_inner() else { return None };
    let query = query.into_inner();
    if !matches!(query.target.inner(), QueryTarget::External(PathPrefix::Event)) {
        return None;
    }
    let segments = query.path.into_inner().segments;
    let plain = !segments.is_empty() && segments.iter().all(|segment| matches!(segment, OwnedSegment::Field(_)));
    plain.then_some(segments)
}

/// `int(.field) ?? 7`: a field and what stands for it where it holds no whole number.
fn whole_number(expr: Node<Expr>) -> Option<(Field, i64)> {
    let Expr::Op(op) = ungrouped(expr) else { return None };
    let op = op.into_inner();
    let (Opcode::Err, Expr::FunctionCall(call)) = (op.1.into_inner(), ungrouped(*op.0)) else { return None };
    let Value::Integer(default) = literal(*op.2)? else { return None };
    Some((only_argument(call, "int")?, default))
}

fn literal(expr: Node<Expr>) -> Option<Value> {
    let Expr::Literal(literal) = expr.into_inner() else { return None };
    Some(match literal.into_inner() {
        Literal::RawString(text) => Value::from(text),
        Literal::String(template) => match <[_; 1]>::try_from(template.0).ok()? {
            [StringSegment::Literal(text, _)] => Value::from(text),
            [StringSegment::Template(..)] => return None,
        },
        Literal::Integer(number) => Value::Integer(number),
        Literal::Boolean(value) => Value::Boolean(value),
        Literal::Null => Value::Null,
        Literal::Float(_) | Literal::Regex(_) | Literal::Timestamp(_) => return None,
    })
}

/// What stands in parentheses.
fn ungrouped(expr: Node<Expr>) -> Expr {
    match expr.into_inner() {
        Expr::Container(container) => match container.into_inner() {
            Container::Group(group) => ungrouped(group.into_inner().into_inner()),
            other => Expr::Container(Node::new(Default::default(), other)),
        },
        other => other,
    }
}
