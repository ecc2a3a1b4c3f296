//! One alternative of a field: a plain value, or an object with one operator.
//!
//! What it is NOT: the shape around it (`syntax`). Rejections follow the service's words.

use std::collections::BTreeSet;

use super::{Fault, Parser};
use crate::address;
use crate::fold;
use crate::matcher::{But, Leaf, LeafKind, Matcher};
use crate::number::{self, HIGHEST, LOWEST, Rank};
use crate::wildcard::{self, Wildcard};

const ONE_KEY: &str = "Only one key allowed in match expression";

impl<'a> Parser<'a> {
    /// Reads a value or an expression.
    pub(super) fn alternative(&mut self) -> Result<Matcher, Fault> {
        match self.scanner.peek() {
            Some(b'"') => {
                let text = self.text()?.into_bytes();
                Ok(address::parse(&text).map_or_else(|| Matcher::Text(text.into()), Matcher::Address))
            }
            Some(b'{') => {
                self.scanner.at += 1;
                self.expression()
            }
            Some(b'[') => Err(self.bad("Match value must be String, number, true, false, or null")),
            _ => {
                let text = self.scalar()?;
                Ok(match Leaf::scalar(text).kind {
                    LeafKind::Number(number) => Matcher::Number(number),
                    LeafKind::Literal | LeafKind::Text => Matcher::Literal(text.into()),
                })
            }
        }
    }

    /// Reads an expression, its brace being taken.
    fn expression(&mut self) -> Result<Matcher, Fault> {
        if self.scanner.peek() != Some(b'"') {
            return Err(self.bad("Match expression name not found"));
        }
        let operator = self.text()?;
        self.scanner.expect(b':', "a colon")?;
        let matcher = match operator.as_str() {
            "exactly" => Matcher::Text(self.wanted("exact")?.into()),
            "prefix" if self.scanner.peek() == Some(b'{') => Matcher::FoldedPrefix(self.folded("Prefix", "prefix")?),
            "prefix" => Matcher::Prefix(self.wanted("prefix")?.into()),
            "suffix" if self.scanner.peek() == Some(b'{') => Matcher::FoldedSuffix(self.folded("Suffix", "suffix")?),
            "suffix" => Matcher::Suffix(self.wanted("suffix")?.into()),
            "equals-ignore-case" => Matcher::IgnoreCase(fold::folded(&self.wanted("equals-ignore-case")?)),
            "wildcard" => {
                let text = self.wanted_text("wildcard")?;
                Matcher::Wildcard(self.wildcard(&text)?)
            }
            "cidr" => {
                // The service calls it a prefix here.
                let text = self.wanted_text("prefix")?;
                let (first, last) = address::block(&text).map_err(|reason| self.bad(reason))?;
                Matcher::Block(first, last)
            }
            "numeric" => return self.numeric(),
            "anything-but" => return self.anything_but(),
            "exists" => match self.scanner.peek() {
                Some(b't' | b'f') => {
                    if self.scalar()? == b"true" {
                        Matcher::Exists
                    } else {
                        Matcher::Absent
                    }
                }
                _ => return Err(self.bad("exists match pattern must be either true or false.")),
            },
            _ => return Err(self.bad(format!("Unrecognized match type {operator}"))),
        };
        self.close(ONE_KEY)?;
        Ok(matcher)
    }

    /// Reads `{"equals-ignore-case": text}` behind `prefix` or `suffix`.
    fn folded(&mut self, name: &str, operator: &str) -> Result<Box<[u8]>, Fault> {
        self.scanner.at += 1;
        if self.scanner.peek() != Some(b'"') {
            return Err(self.bad(format!("{name} expression name not found")));
        }
        let inner = self.text()?;
        if inner != "equals-ignore-case" {
            return Err(self.bad(format!("Unsupported {operator} pattern: {inner}")));
        }
        self.scanner.expect(b':', "a colon")?;
        let text = self.wanted("equals-ignore-case")?;
        self.close(ONE_KEY)?;
        Ok(fold::folded(&text))
    }

    /// Reads `anything-but` behind its colon.
    fn anything_but(&mut self) -> Result<Matcher, Fault> {
        let mut operator = None;
        if self.scanner.take(b'{') {
            if self.scanner.peek() != Some(b'"') {
                return Err(self.bad("Anything-But expression name not found"));
            }
            let inner = self.text()?;
            if !matches!(inner.as_str(), "equals-ignore-case" | "prefix" | "suffix" | "wildcard") {
                return Err(self.bad(format!("Unsupported anything-but pattern: {inner}")));
            }
            self.scanner.expect(b':', "a colon")?;
            operator = Some(inner);
        }
        if !matches!(self.scanner.peek(), Some(b'[' | b'"' | b'-' | b'0'..=b'9')) {
            return Err(self.bad("Value of anything-but must be an array or single string/number value."));
        }
        let but = match operator.as_deref() {
            None => self.excluded_values()?,
            Some(operator) => {
                let texts = self.excluded_texts(operator)?;
                self.close("Too many elements in numeric expression")?;
                let bytes = |text: String| -> Box<[u8]> { text.into_bytes().into() };
                match operator {
                    "prefix" => But::Prefixes(texts.into_iter().map(bytes).collect()),
                    "suffix" => But::Suffixes(texts.into_iter().map(bytes).collect()),
                    "wildcard" => {
                        But::Wildcards(texts.iter().map(|text| self.wildcard(text)).collect::<Result<_, _>>()?)
                    }
                    _ => But::IgnoreCase(texts.iter().map(|text| fold::folded(text.as_bytes())).collect()),
                }
            }
        };
        self.close("Too many elements in numeric expression")?;
        Ok(Matcher::But(but))
    }

    /// Reads the strings or numbers of a plain `anything-but`.
    fn excluded_values(&mut self) -> Result<But, Fault> {
        let (mut texts, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        self.each(|parser| {
            match parser.scanner.peek() {
                Some(b'"') => {
                    texts.insert(parser.text()?.into_bytes().into());
                }
                Some(b'-' | b'0'..=b'9') => {
                    numbers.insert(parser.number()?);
                }
                _ => return Err(parser.bad("Inside anything but list, start|null|boolean is not supported.")),
            }
            Ok(())
        })?;
        match (texts.is_empty(), numbers.is_empty()) {
            (false, true) => Ok(But::Texts(texts)),
            (true, false) => Ok(But::Numbers(numbers)),
            _ => Err(self
                .bad("Inside anything but list, either all values are number or string, mixed type is not supported")),
        }
    }

    /// Reads the strings of `anything-but` with an operator.
    fn excluded_texts(&mut self, operator: &str) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::new();
        self.each(|parser| {
            if parser.scanner.peek() != Some(b'"') {
                return Err(parser.bad(match operator {
                    "wildcard" => "wildcard match pattern must be a string",
                    "equals-ignore-case" => {
                        "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
                    }
                    _ => "prefix/suffix match pattern must be a string",
                }));
            }
            let text = parser.text()?;
            if text.is_empty() && matches!(operator, "prefix" | "suffix") {
                return Err(parser.bad("Null prefix/suffix not allowed"));
            }
            texts.push(text);
            Ok(())
        })?;
        Ok(texts)
    }

    /// Reads one item, or each item of an array.
    fn each(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if !self.scanner.take(b'[') {
            return item(self);
        }
        if self.scanner.take(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            self.alternatives += 1;
            if self.alternatives > crate::limits::ALTERNATIVES_MAX {
                return Err(self.beyond("alternatives", crate::limits::ALTERNATIVES_MAX));
            }
            if !self.scanner.take(b',') {
                return Ok(self.scanner.expect(b']', "a comma or a closing bracket")?);
            }
        }
    }

    /// Reads `numeric` behind its colon: one comparison, or a lower and an upper one.
    fn numeric(&mut self) -> Result<Matcher, Fault> {
        if !self.scanner.take(b'[') {
            return Err(self.bad("Value of numeric must be an array."));
        }
        if self.scanner.peek() != Some(b'"') {
            return Err(self.bad(format!("Invalid member in numeric match: {}", self.shown())));
        }
        let operator = self.text()?;
        let (mut low, mut high) = (LOWEST, HIGHEST);
        match operator.as_str() {
            "=" => {
                low = self.operand("equals")?;
                high = low;
            }
            "<" => high = self.operand("<")? - 1,
            "<=" => high = self.operand("<=")?,
            ">" | ">=" => {
                let open = operator == ">";
                let bottom = self.operand(&operator)?;
                low = bottom + i64::from(open);
                if self.scanner.take(b',') {
                    high = self.upper(bottom)?;
                }
            }
            _ => return Err(self.bad(format!("Unrecognized numeric range operator: {operator}"))),
        }
        if !self.scanner.take(b']') {
            let two = low != LOWEST && high != HIGHEST && operator.starts_with('>');
            let reason = if two {
                "Too many terms in numeric range expression"
            } else {
                "Too many elements in numeric expression"
            };
            return Err(self.bad(reason));
        }
        self.close("Too many elements in numeric expression")?;
        Ok(if operator == "=" { Matcher::Number(low) } else { Matcher::Between(low, high) })
    }

    /// Reads the upper comparison of a range.
    fn upper(&mut self, bottom: Rank) -> Result<Rank, Fault> {
        if self.scanner.peek() != Some(b'"') {
            return Err(self.bad(format!("Bad value in numeric range: {}", self.shown())));
        }
        let operator = self.text()?;
        if operator != "<" && operator != "<=" {
            return Err(self.bad(format!("Bad numeric range operator: {operator}")));
        }
        let top = self.operand(&operator)?;
        if top <= bottom {
            return Err(self.bad("Bottom must be less than top"));
        }
        Ok(top - i64::from(operator == "<"))
    }

    /// Reads the comma and the number behind a comparison.
    fn operand(&mut self, operator: &str) -> Result<Rank, Fault> {
        if !self.scanner.take(b',') || !matches!(self.scanner.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.bad(format!("Value of {operator} must be numeric")));
        }
        self.number()
    }

    /// Takes a number that has a value.
    fn number(&mut self) -> Result<Rank, Fault> {
        let text = self.scalar()?;
        number::rank(text).ok_or_else(|| self.bad(format!("Cannot compare number : {}", String::from_utf8_lossy(text))))
    }

    /// Takes a number or literal.
    fn scalar(&mut self) -> Result<&'a [u8], Fault> {
        self.scanner.peek();
        let at = self.scanner.at;
        let text = self.scanner.scalar()?;
        let number = matches!(text.first(), Some(b'-' | b'0'..=b'9'));
        if number && !number::is_number(text) {
            return Err(crate::json::Broken { at, expected: "a number" }.into());
        }
        Ok(text)
    }

    fn wanted(&mut self, operator: &str) -> Result<Vec<u8>, Fault> {
        self.wanted_text(operator).map(String::into_bytes)
    }

    /// Takes the string an operator wants.
    fn wanted_text(&mut self, operator: &str) -> Result<String, Fault> {
        if self.scanner.peek() != Some(b'"') {
            return Err(self.bad(format!("{operator} match pattern must be a string")));
        }
        self.text()
    }

    fn wildcard(&self, text: &str) -> Result<Wildcard, Fault> {
        Wildcard::parse(text).map_err(|fault| match fault {
            wildcard::Fault::Invalid(reason) => self.bad(reason),
            wildcard::Fault::TooComplex => Fault {
                code: "HW-PATTERN-004",
                reason: "Rule is too complex - try using fewer wildcard characters or fewer repeating character \
                         sequences after a wildcard character"
                    .to_owned(),
                at: self.scanner.at,
            },
        })
    }

    fn close(&mut self, reason: &str) -> Result<(), Fault> {
        match self.scanner.peek() {
            Some(b'}') => {
                self.scanner.at += 1;
                Ok(())
            }
            Some(b',') => Err(self.bad(reason)),
            _ => Err(self.scanner.broken("a closing brace").into()),
        }
    }

    /// The value that comes next, as an error shows it.
    fn shown(&self) -> String {
        let mut ahead = self.scanner;
        match ahead.peek() {
            Some(byte @ (b'{' | b'[' | b']' | b'}')) => char::from(byte).to_string(),
            _ => ahead.scalar().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default(),
        }
    }

    /// An expression is wrong here.
    fn bad(&self, reason: impl Into<String>) -> Fault {
        Fault { code: "HW-PATTERN-003", reason: reason.into(), at: self.scanner.at }
    }
}
