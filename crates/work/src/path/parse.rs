//! The text of a path.

use serde_json::Value;

use super::filter::{Compare, Filter, Operand};
use super::{Path, Root, Step};

/// Steps of one path. Writing through it goes into each by a call, and makes a value as deep.
const STEPS_MAX: usize = 1_000;

/// Brackets and parentheses inside each other in one filter.
const FILTER_DEPTH_MAX: usize = 16;

pub(super) fn path(text: &str) -> Result<Path, String> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    if !reader.take("$") {
        return Err(format!("`{text}` does not start with `$`"));
    }
    let root = if reader.take("$") {
        Root::Context
    } else {
        let name = reader.name();
        if name.is_empty() { Root::Input } else { Root::Variable(name.to_owned()) }
    };
    let steps = reader.steps()?;
    if reader.at < text.len() {
        return Err(format!("`{}` cannot follow in the path `{text}`", reader.rest()));
    }
    Ok(Path { text: text.to_owned(), root, steps })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes the longest prefix whose characters `wanted` accepts.
    fn while_in(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn name(&mut self) -> &'a str {
        self.while_in(|c| c.is_alphanumeric() || c == '_')
    }

    fn steps(&mut self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        loop {
            if steps.len() > STEPS_MAX {
                return Err(format!("a path has more than {STEPS_MAX} steps"));
            }
            if self.take("..") {
                steps.push(Step::Descend);
                if self.rest().starts_with('[') {
                    steps.push(self.bracket()?);
                } else {
                    steps.push(self.dotted()?);
                }
            } else if self.take(".") {
                steps.push(self.dotted()?);
            } else if self.rest().starts_with('[') {
                steps.push(self.bracket()?);
            } else {
                return Ok(steps);
            }
        }
    }

    fn dotted(&mut self) -> Result<Step, String> {
        if self.take("*") {
            return Ok(Step::Wildcard);
        }
        if self.rest().starts_with('[') {
            return self.bracket();
        }
        let key = self.while_in(|c| !c.is_whitespace() && !".[]()=!<>&|,'\"*?@".contains(c));
        if key == "length" && self.take("()") {
            return Ok(Step::Length);
        }
        if key.is_empty() {
            return Err(format!("a name is missing before `{}` in the path `{}`", self.rest(), self.text));
        }
        Ok(Step::Key(key.to_owned()))
    }

    fn bracket(&mut self) -> Result<Step, String> {
        self.take("[");
        self.blanks();
        let step = if self.take("*") {
            Step::Wildcard
        } else if self.take("?") {
            Step::Filter(self.filter()?)
        } else if self.rest().starts_with(['\'', '"']) {
            let mut keys = vec![self.quoted()?];
            while self.separator() {
                keys.push(self.quoted()?);
            }
            if keys.len() == 1 { Step::Key(keys.remove(0)) } else { Step::Keys(keys) }
        } else {
            self.numbers()?
        };
        self.blanks();
        if self.take("]") {
            Ok(step)
        } else {
            Err(format!("`]` is missing at `{}` in the path `{}`", self.rest(), self.text))
        }
    }

    fn separator(&mut self) -> bool {
        self.blanks();
        let found = self.take(",");
        self.blanks();
        found
    }

    /// `[1]`, `[1,2]`, `[1:5]`, `[::2]`.
    fn numbers(&mut self) -> Result<Step, String> {
        let first = self.integer();
        self.blanks();
        if self.take(":") {
            self.blanks();
            let to = self.integer();
            self.blanks();
            let stride = if self.take(":") { self.integer().unwrap_or(1) } else { 1 };
            if stride < 1 {
                return Err(format!("a slice's step is {stride} in the path `{}`; it must be at least 1", self.text));
            }
            return Ok(Step::Slice(first, to, stride));
        }
        let missing = || format!("an index is missing in the path `{}`", self.text);
        let mut all = vec![first.ok_or_else(missing)?];
        while self.separator() {
            let text = self.text;
            all.push(self.integer().ok_or_else(|| format!("an index is missing in the path `{text}`"))?);
        }
        Ok(if let [only] = all[..] { Step::Index(only) } else { Step::Indexes(all) })
    }

    fn integer(&mut self) -> Option<i64> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with('-'));
        let digits = rest.get(sign..)?.bytes().take_while(u8::is_ascii_digit).count();
        let number = rest.get(..sign + digits)?.parse().ok()?;
        self.at += sign + digits;
        Some(number)
    }

    /// A quoted key. Only the quote and the backslash can be escaped; any other backslash stands for itself.
    fn quoted(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let mut characters = rest.char_indices().peekable();
        let Some((_, quote @ ('\'' | '"'))) = characters.next() else {
            return Err(format!("a quoted name is missing at `{rest}` in the path `{}`", self.text));
        };
        let mut key = String::new();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.at += at + 1;
                return Ok(key);
            }
            let escaped = characters.next_if(|(_, next)| c == '\\' && (*next == quote || *next == '\\'));
            key.push(escaped.map_or(c, |(_, next)| next));
        }
        Err(format!("a quote is not closed in the path `{}`", self.text))
    }

    fn filter(&mut self) -> Result<Filter, String> {
        self.blanks();
        if !self.take("(") {
            return Err(format!("`(` is missing after `?` in the path `{}`", self.text));
        }
        let filter = self.either()?;
        self.blanks();
        if self.take(")") { Ok(filter) } else { Err(format!("`)` is missing in the path `{}`", self.text)) }
    }

    fn either(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > FILTER_DEPTH_MAX {
            return Err(format!("a filter nests deeper than {FILTER_DEPTH_MAX}"));
        }
        let mut any = vec![self.all()?];
        loop {
            self.blanks();
            if !self.take("||") {
                break;
            }
            any.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if any.len() == 1 { any.remove(0) } else { Filter::Or(any) })
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut all = vec![self.one()?];
        loop {
            self.blanks();
            if !self.take("&&") {
                break;
            }
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::And(all) })
    }

    fn one(&mut self) -> Result<Filter, String> {
        self.blanks();
        if self.take("!") {
            self.depth += 1;
            if self.depth > FILTER_DEPTH_MAX {
                return Err(format!("a filter nests deeper than {FILTER_DEPTH_MAX}"));
            }
            let inner = self.one()?;
            self.depth -= 1;
            return Ok(Filter::Not(Box::new(inner)));
        }
        if self.take("(") {
            let inner = self.either()?;
            self.blanks();
            return if self.take(")") { Ok(inner) } else { Err(format!("`)` is missing in the path `{}`", self.text)) };
        }
        let left = self.operand()?;
        self.blanks();
        let operators = [
            ("==", Compare::Equal),
            ("!=", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("<", Compare::Less),
            (">", Compare::Greater),
            ("in ", Compare::In),
        ];
        for (token, how) in operators {
            if self.take(token) {
                return Ok(Filter::Compare(left, how, self.operand()?));
            }
        }
        Ok(Filter::Exists(left))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.blanks();
        if self.take("@") {
            return Ok(Operand::Item(self.steps()?.into()));
        }
        if self.take("$") {
            return Ok(Operand::Root(self.steps()?.into()));
        }
        if self.rest().starts_with(['\'', '"']) {
            return Ok(Operand::Literal(Value::String(self.quoted()?)));
        }
        for (token, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if self.take(token) {
                return Ok(Operand::Literal(value));
            }
        }
        if self.take("[") {
            self.depth += 1;
            if self.depth > FILTER_DEPTH_MAX {
                return Err(format!("a filter nests deeper than {FILTER_DEPTH_MAX}"));
            }
            let mut items = Vec::new();
            while !self.take("]") {
                match self.operand()? {
                    Operand::Literal(item) => items.push(item),
                    _ => return Err(format!("only literals stand in a list in the path `{}`", self.text)),
                }
                self.separator();
            }
            self.depth -= 1;
            return Ok(Operand::Literal(Value::Array(items)));
        }
        let digits = self.while_in(|c| c.is_ascii_digit() || "+-.eE".contains(c));
        serde_json::from_str::<serde_json::Number>(digits)
            .map(|number| Operand::Literal(Value::Number(number)))
            .map_err(|_| format!("`{}` is no operand in the path `{}`", self.rest(), self.text))
    }
}
