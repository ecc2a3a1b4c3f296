//! Conditions and filters.

use headwater_base::Problem;
use headwater_wire::exact::Exact;

use super::lexer::Token;
use super::parser::Parser;
use super::{Expression, Operand, Path, order, same, type_of};

const TYPES: [&str; 10] = ["S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"];

/// A condition or a filter, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Test);

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Compare(Operand, Comparison, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path, bool),
    Type(Path, String),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// Parses a condition.
    ///
    /// # Errors
    /// `HW-KERNEL-032` with the place in the text.
    pub fn parse(expression: &Expression) -> Result<Self, Problem> {
        let mut parser = Parser::new(expression)?;
        let test = any(&mut parser)?;
        parser.end()?;
        Ok(Self(test))
    }

    /// Whether it holds for a document; one that is not there is an empty one.
    pub fn holds(&self, document: Option<&Exact>) -> bool {
        self.0.holds(document.unwrap_or(&Exact::Null))
    }
}

impl Test {
    fn holds(&self, document: &Exact) -> bool {
        match self {
            Self::Compare(a, comparison, b) => {
                comparison.holds(a.value(document).as_deref(), b.value(document).as_deref())
            }
            Self::Between(value, low, high) => {
                let (value, low, high) = (value.value(document), low.value(document), high.value(document));
                Comparison::GreaterOrEqual.holds(value.as_deref(), low.as_deref())
                    && Comparison::LessOrEqual.holds(value.as_deref(), high.as_deref())
            }
            Self::In(value, list) => {
                let value = value.value(document);
                list.iter().any(|one| Comparison::Equal.holds(value.as_deref(), one.value(document).as_deref()))
            }
            Self::Exists(path, wanted) => path.find(document).is_some() == *wanted,
            Self::Type(path, kind) => path.find(document).is_some_and(|value| type_of(value) == kind),
            Self::BeginsWith(value, start) => {
                match (value.value(document).as_deref(), start.value(document).as_deref()) {
                    (Some(Exact::String(value)), Some(Exact::String(start))) => value.starts_with(start.as_str()),
                    _ => false,
                }
            }
            Self::Contains(value, part) => match (value.value(document).as_deref(), part.value(document).as_deref()) {
                (Some(Exact::String(value)), Some(Exact::String(part))) => value.contains(part.as_str()),
                (Some(Exact::List(items)), Some(part)) => items.iter().any(|item| same(item, part)),
                _ => false,
            },
            Self::Not(test) => !test.holds(document),
            Self::All(tests) => tests.iter().all(|test| test.holds(document)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(document)),
        }
    }
}

impl Comparison {
    fn holds(self, a: Option<&Exact>, b: Option<&Exact>) -> bool {
        let (Some(a), Some(b)) = (a, b) else { return self == Self::Unequal };
        match self {
            Self::Equal => same(a, b),
            Self::Unequal => !same(a, b),
            Self::Less => order(a, b).is_some_and(|order| order.is_lt()),
            Self::LessOrEqual => order(a, b).is_some_and(|order| order.is_le()),
            Self::Greater => order(a, b).is_some_and(|order| order.is_gt()),
            Self::GreaterOrEqual => order(a, b).is_some_and(|order| order.is_ge()),
        }
    }
}

/// Alternatives, which bind least.
fn any(parser: &mut Parser<'_>) -> Result<Test, Problem> {
    let first = all(parser)?;
    let mut tests = vec![first];
    while parser.word("OR") {
        tests.push(all(parser)?);
    }
    Ok(if tests.len() > 1 { Test::Any(tests) } else { tests.pop().unwrap_or(Test::Any(Vec::new())) })
}

fn all(parser: &mut Parser<'_>) -> Result<Test, Problem> {
    let mut tests = vec![negated(parser)?];
    while parser.word("AND") {
        tests.push(negated(parser)?);
    }
    Ok(if tests.len() > 1 { Test::All(tests) } else { tests.pop().unwrap_or(Test::All(Vec::new())) })
}

fn negated(parser: &mut Parser<'_>) -> Result<Test, Problem> {
    // `NOT` is a field's name where an operator follows it.
    let operator = |token: &Token| matches!(token, Token::Sign("=" | "<>" | "<" | "<=" | ">" | ">=" | "." | "["));
    if matches!(parser.peek(), Token::Word(word) if word.eq_ignore_ascii_case("NOT")) && !operator(parser.behind()) {
        parser.next();
        return Ok(Test::Not(Box::new(parser.deeper(negated)?)));
    }
    test(parser)
}

fn test(parser: &mut Parser<'_>) -> Result<Test, Problem> {
    if parser.take("(") {
        let inner = parser.deeper(any)?;
        parser.expect(")")?;
        return Ok(inner);
    }
    for (name, wanted) in [("attribute_exists", true), ("attribute_not_exists", false)] {
        if parser.function(name) {
            let path = parser.path()?;
            parser.expect(")")?;
            return Ok(Test::Exists(path, wanted));
        }
    }
    if parser.function("attribute_type") {
        let path = parser.path()?;
        parser.expect(",")?;
        let kind = match parser.value()? {
            Some(Exact::String(kind)) if TYPES.contains(&kind.as_str()) => kind,
            _ => return Err(parser.fault(format!("a type is one of {}", TYPES.join(", ")))),
        };
        parser.expect(")")?;
        return Ok(Test::Type(path, kind));
    }
    for name in ["begins_with", "contains"] {
        if parser.function(name) {
            let value = parser.operand()?;
            parser.expect(",")?;
            let part = parser.operand()?;
            parser.expect(")")?;
            return Ok(if name == "contains" { Test::Contains(value, part) } else { Test::BeginsWith(value, part) });
        }
    }
    if let Some(name) = parser.any_function().filter(|name| *name != "size") {
        let known = "attribute_exists, attribute_not_exists, attribute_type, begins_with, contains and size";
        return Err(parser.fault(format!("there is no function `{name}`")).help(format!("functions are {known}")));
    }
    let value = parser.operand()?;
    if parser.word("BETWEEN") {
        let low = parser.operand()?;
        if !parser.word("AND") {
            return Err(parser.expected("`AND`"));
        }
        return Ok(Test::Between(value, low, parser.operand()?));
    }
    if parser.word("IN") {
        parser.expect("(")?;
        let mut list = vec![parser.operand()?];
        while parser.take(",") {
            list.push(parser.operand()?);
        }
        parser.expect(")")?;
        return Ok(Test::In(value, list));
    }
    let comparisons = [
        ("=", Comparison::Equal),
        ("<>", Comparison::Unequal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    for (sign, comparison) in comparisons {
        if parser.take(sign) {
            return Ok(Test::Compare(value, comparison, parser.operand()?));
        }
    }
    Err(parser.expected("a comparison"))
}
