//! Reading an expression's words: a cursor that resolves placeholders and says where something is wrong.

use headwater_base::Problem;
use headwater_wire::exact::Exact;

use super::lexer::{Token, tokens};
use super::{Expression, Operand, Path, Step, TEXT_BYTES_MAX, VALUES_BYTES_MAX};

/// How deep brackets and negations may be nested.
const DEPTH_MAX: usize = 64;

pub(super) struct Parser<'a> {
    expression: &'a Expression,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    /// Bytes that values may still have.
    left: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(expression: &'a Expression) -> Result<Self, Problem> {
        if expression.text.len() > TEXT_BYTES_MAX {
            let fact = format!("the expression has {} bytes; the limit is {TEXT_BYTES_MAX}", expression.text.len());
            return Err(Problem::new("HW-KERNEL-032", fact));
        }
        Ok(Self { expression, tokens: tokens(&expression.text)?, at: 0, depth: 0, left: VALUES_BYTES_MAX })
    }

    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn behind(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// Takes a sign if it comes next.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    /// Takes a keyword, in any case, if it comes next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    /// Takes a function's name and its bracket if they come next.
    pub(super) fn function(&mut self, name: &str) -> bool {
        let found =
            matches!(self.peek(), Token::Word(found) if found == name) && matches!(self.behind(), Token::Sign("("));
        self.at += 2 * usize::from(found);
        found
    }

    /// The name of a function that comes next, whichever.
    pub(super) fn any_function(&self) -> Option<&str> {
        match (self.peek(), self.behind()) {
            (Token::Word(name), Token::Sign("(")) => Some(name),
            _ => None,
        }
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Problem> {
        if self.take(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    pub(super) fn end(&self) -> Result<(), Problem> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.expected("the end")) }
    }

    /// What is wrong with the next word.
    pub(super) fn expected(&self, what: &str) -> Problem {
        self.fault(format!("{what} is expected, not {}", self.peek()))
    }

    pub(super) fn fault(&self, fact: impl Into<String>) -> Problem {
        let at = self.tokens.get(self.at).map_or(self.expression.text.len(), |(_, at)| *at);
        fault(&self.expression.text, at, fact)
    }

    /// Runs `inner` one level deeper.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        if self.depth >= DEPTH_MAX {
            return Err(self.fault(format!("more than {DEPTH_MAX} levels")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// `name`, `#name`, and what follows with dots and brackets.
    pub(super) fn path(&mut self) -> Result<Path, Problem> {
        let mut steps = vec![Step::Field(self.field()?)];
        loop {
            if self.take(".") {
                steps.push(Step::Field(self.field()?));
            } else if self.take("[") {
                let Token::Number(text) = self.peek() else { return Err(self.expected("a number")) };
                let Ok(index) = text.parse() else { return Err(self.fault("an index is a whole number")) };
                self.at += 1;
                steps.push(Step::Item(index));
                self.expect("]")?;
            } else {
                return Ok(Path(steps));
            }
        }
    }

    fn field(&mut self) -> Result<String, Problem> {
        match self.peek() {
            Token::Word(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            Token::Name(name) => {
                let known = self.expression.names.get(&format!("#{name}")).or_else(|| self.expression.names.get(name));
                let Some(known) = known.cloned() else {
                    return Err(self.fault(format!("the name `#{name}` is not given")).help("give it with the names"));
                };
                self.at += 1;
                Ok(known)
            }
            _ => Err(self.expected("a field's name")),
        }
    }

    /// A path, a value or `size(…)`.
    pub(super) fn operand(&mut self) -> Result<Operand, Problem> {
        if self.function("size") {
            let inner = self.deeper(Self::operand)?;
            self.expect(")")?;
            return Ok(Operand::Size(Box::new(inner)));
        }
        if let Some(value) = self.value()? {
            return Ok(Operand::Value(value));
        }
        match self.any_function() {
            Some(name) => Err(self.fault(format!("`{name}` gives no value here"))),
            None => Ok(Operand::Path(self.path()?)),
        }
    }

    /// `:value`, or a value that stands in the text.
    pub(super) fn value(&mut self) -> Result<Option<Exact>, Problem> {
        let minus = matches!((self.peek(), self.behind()), (Token::Sign("-"), Token::Number(_)));
        self.at += usize::from(minus);
        let dotted = matches!(self.behind(), Token::Sign("." | "[" | "("));
        let value = match self.peek() {
            Token::Value(name) => {
                let known =
                    self.expression.values.get(&format!(":{name}")).or_else(|| self.expression.values.get(name));
                let Some(known) = known else {
                    return Err(self
                        .fault(format!("the value `:{name}` is not given"))
                        .help("give it with the values"));
                };
                let Some(left) = self.left.checked_sub(known.bytes()) else {
                    let fact =
                        format!("the values have more than {VALUES_BYTES_MAX} bytes, each as often as it is named");
                    return Err(self.fault(fact));
                };
                let known = known.clone();
                self.left = left;
                known
            }
            Token::Number(text) => Exact::Number(format!("{}{text}", if minus { "-" } else { "" }).into()),
            Token::Text(text) => Exact::String(text.clone()),
            Token::Word(word) if !dotted => match word.as_str() {
                "true" => Exact::Bool(true),
                "false" => Exact::Bool(false),
                "null" => Exact::Null,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(value))
    }
}

/// A problem at a byte of an expression's text.
pub(super) fn fault(text: &str, at: usize, fact: impl Into<String>) -> Problem {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Problem::new("HW-KERNEL-032", fact).at("expression", place(line), place(column))
}
