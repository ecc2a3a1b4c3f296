//! Updates: what `SET`, `REMOVE`, `ADD` and `DELETE` make of a document.
//!
//! Every value on a right-hand side is that of the document before; paths that are parts of each other are refused, so
//! the order of the parts of an update means nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use headwater_base::Problem;
use headwater_wire::exact::{DEPTH_MAX, Exact};

use super::lexer::Token;
use super::parser::Parser;
use super::{Expression, Operand, Path, Step, VALUES_BYTES_MAX, cannot, identity, number, type_of};

/// An update, parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    sets: Vec<(Path, Term)>,
    removes: Vec<Path>,
    adds: Vec<(Path, Exact)>,
    deletes: Vec<(Path, Exact)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Operand(Operand),
    IfNotExists(Path, Box<Term>),
    ListAppend(Box<Term>, Box<Term>),
    Sum(Box<Term>, Box<Term>),
    Difference(Box<Term>, Box<Term>),
}

impl Update {
    /// Parses an update.
    ///
    /// # Errors
    /// `HW-KERNEL-032` with the place in the text.
    pub fn parse(expression: &Expression) -> Result<Self, Problem> {
        let mut parser = Parser::new(expression)?;
        let mut update = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        while *parser.peek() != Token::End {
            let Some(clause) = ["SET", "REMOVE", "ADD", "DELETE"].into_iter().find(|clause| parser.word(clause)) else {
                return Err(parser.expected("`SET`, `REMOVE`, `ADD` or `DELETE`"));
            };
            if seen.contains(&clause) {
                return Err(parser.fault(format!("`{clause}` comes twice")).help("separate its parts with commas"));
            }
            seen.push(clause);
            loop {
                update.part(clause, &mut parser)?;
                if !parser.take(",") {
                    break;
                }
            }
        }
        if seen.is_empty() {
            return Err(parser.expected("`SET`, `REMOVE`, `ADD` or `DELETE`"));
        }
        update.check_paths(&parser)?;
        Ok(update)
    }

    fn part(&mut self, clause: &str, parser: &mut Parser<'_>) -> Result<(), Problem> {
        let path = parser.path()?;
        match clause {
            "SET" => {
                parser.expect("=")?;
                let term = sum(parser)?;
                self.sets.push((path, term));
            }
            "REMOVE" => self.removes.push(path),
            _ => {
                let value = parser.value()?.ok_or_else(|| parser.expected("a value"))?;
                match (clause, &value) {
                    ("ADD", Exact::Number(_) | Exact::List(_)) => self.adds.push((path, value)),
                    ("DELETE", Exact::List(_)) => self.deletes.push((path, value)),
                    _ => {
                        let wanted = if clause == "ADD" { "a number or a list" } else { "a list" };
                        return Err(parser.fault(format!("`{clause}` takes {wanted}, not a `{}`", type_of(&value))));
                    }
                }
            }
        }
        Ok(())
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        let sets = self.sets.iter().map(|(path, _)| path);
        let changed = self.adds.iter().chain(&self.deletes).map(|(path, _)| path);
        sets.chain(&self.removes).chain(changed)
    }

    /// Whether the update touches the field of this name, or something in it.
    pub fn touches(&self, field: &str) -> bool {
        self.paths().any(|path| matches!(path.0.first(), Some(Step::Field(name)) if name == field))
    }

    /// The parts of a document that the update names, within the objects and lists that lead to them.
    pub fn touched(&self, document: &Exact) -> Exact {
        let paths: Vec<&[Step]> = self.paths().map(|path| path.0.as_slice()).collect();
        parts(document, &paths).unwrap_or_else(|| Exact::Map(Vec::new()))
    }

    fn check_paths(&self, parser: &Parser<'_>) -> Result<(), Problem> {
        let mut paths: Vec<&Path> = self.paths().collect();
        // In this order a path stands right before those that go on from it.
        paths.sort_by(|a, b| a.0.iter().map(Step::rank).cmp(b.0.iter().map(Step::rank)));
        for (a, b) in paths.iter().zip(paths.iter().skip(1)) {
            let shared = a.0.iter().zip(&b.0).take_while(|(a, b)| a == b).count();
            if shared == a.0.len() {
                return Err(parser.fault(format!("the paths `{a}` and `{b}` overlap")));
            }
            if let (Some(Step::Field(_)), Some(Step::Item(_))) | (Some(Step::Item(_)), Some(Step::Field(_))) =
                (a.0.get(shared), b.0.get(shared))
            {
                let fact = format!("the paths `{a}` and `{b}` conflict: one wants an object, the other a list");
                return Err(parser.fault(fact));
            }
        }
        Ok(())
    }

    /// What it makes of a document.
    ///
    /// # Errors
    /// `HW-KERNEL-033` where the document has not what the update needs.
    pub fn apply(&self, document: &Exact) -> Result<Exact, Problem> {
        let mut after = document.clone();
        let mut writes: Vec<(&Path, Exact)> = Vec::with_capacity(self.sets.len() + self.adds.len());
        let mut removes: Vec<&Path> = self.removes.iter().collect();
        let mut left = VALUES_BYTES_MAX;
        for (path, term) in &self.sets {
            writes.push((path, term.value(document, &mut left)?));
        }
        for (path, value) in &self.adds {
            writes.push((path, added(path, path.find(document), value)?));
        }
        for (path, value) in &self.deletes {
            match deleted(path, path.find(document), value)? {
                Some(Exact::List(rest)) if rest.is_empty() => removes.push(path),
                Some(rest) => writes.push((path, rest)),
                None => {}
            }
        }
        // Elements behind a list's end are put there in the order of their numbers.
        writes.sort_by(|(a, _), (b, _)| a.0.iter().map(Step::rank).cmp(b.0.iter().map(Step::rank)));
        for (path, value) in writes {
            set(&mut after, path, value)?;
        }
        // From the back, so that an element's number means what it meant before.
        removes.sort_by(|a, b| b.0.iter().map(Step::rank).cmp(a.0.iter().map(Step::rank)));
        for path in removes {
            remove(&mut after, path)?;
        }
        if after.depth() > DEPTH_MAX {
            return Err(cannot(format!("the document would be nested over {DEPTH_MAX} levels deep")));
        }
        Ok(after)
    }
}

impl Step {
    fn rank(&self) -> (&str, usize) {
        match self {
            Self::Field(name) => (name, usize::MAX),
            Self::Item(index) => ("", *index),
        }
    }
}

impl Term {
    /// What it is of a document; `left` bytes may still be written.
    fn value(&self, document: &Exact, left: &mut usize) -> Result<Exact, Problem> {
        match self {
            Self::Operand(operand) => {
                let found = operand.value(document).ok_or_else(|| match operand {
                    Operand::Path(path) => cannot(format!("the document has no `{path}`"))
                        .help("`if_not_exists(path, value)` gives a value instead"),
                    _ => cannot("what has no size was asked for its size"),
                })?;
                taken(found, left)
            }
            Self::IfNotExists(path, otherwise) => match path.find(document) {
                Some(found) => taken(Cow::Borrowed(found), left),
                None => otherwise.value(document, left),
            },
            Self::ListAppend(a, b) => match (a.value(document, left)?, b.value(document, left)?) {
                (Exact::List(mut a), Exact::List(b)) => {
                    a.extend(b);
                    Ok(Exact::List(a))
                }
                (a, b) => {
                    Err(cannot(format!("`list_append` takes lists, not a `{}` and a `{}`", type_of(&a), type_of(&b))))
                }
            },
            Self::Sum(a, b) | Self::Difference(a, b) => match (a.value(document, left)?, b.value(document, left)?) {
                (Exact::Number(a), Exact::Number(b)) => {
                    Ok(Exact::Number(number::add(&a, &b, matches!(self, Self::Difference(..)))?))
                }
                (a, b) => {
                    Err(cannot(format!("`+` and `-` take numbers, not a `{}` and a `{}`", type_of(&a), type_of(&b))))
                }
            },
        }
    }
}

/// What is left of a value with only what lies at the ends of the paths; None where there is nothing.
fn parts(value: &Exact, paths: &[&[Step]]) -> Option<Exact> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    match value {
        Exact::Map(fields) => {
            let mut named: HashMap<&str, Vec<&[Step]>> = HashMap::new();
            for path in paths {
                if let [Step::Field(name), rest @ ..] = *path {
                    named.entry(name.as_str()).or_default().push(rest);
                }
            }
            let part = |(name, value): &(String, Exact)| {
                let paths = named.get(name.as_str())?;
                Some((name.clone(), parts(value, paths)?))
            };
            let found: Vec<(String, Exact)> = fields.iter().filter_map(part).collect();
            (!found.is_empty()).then_some(Exact::Map(found))
        }
        Exact::List(items) => {
            let mut placed: BTreeMap<usize, Vec<&[Step]>> = BTreeMap::new();
            for path in paths {
                if let [Step::Item(at), rest @ ..] = *path {
                    placed.entry(*at).or_default().push(rest);
                }
            }
            let found: Vec<Exact> = placed.iter().filter_map(|(at, paths)| parts(items.get(*at)?, paths)).collect();
            (!found.is_empty()).then_some(Exact::List(found))
        }
        _ => None,
    }
}

/// A value that is written once more.
fn taken(value: Cow<'_, Exact>, left: &mut usize) -> Result<Exact, Problem> {
    let rest = left.checked_sub(value.bytes());
    *left = rest.ok_or_else(|| cannot(format!("the update writes more than {VALUES_BYTES_MAX} bytes")))?;
    Ok(value.into_owned())
}

/// A value, or two with a sign between them.
fn sum(parser: &mut Parser<'_>) -> Result<Term, Problem> {
    let first = term(parser)?;
    if parser.take("+") {
        return Ok(Term::Sum(Box::new(first), Box::new(term(parser)?)));
    }
    if parser.take("-") {
        return Ok(Term::Difference(Box::new(first), Box::new(term(parser)?)));
    }
    Ok(first)
}

fn term(parser: &mut Parser<'_>) -> Result<Term, Problem> {
    if parser.take("(") {
        let inner = parser.deeper(sum)?;
        parser.expect(")")?;
        return Ok(inner);
    }
    if parser.function("if_not_exists") {
        let path = parser.path()?;
        parser.expect(",")?;
        let otherwise = parser.deeper(term)?;
        parser.expect(")")?;
        return Ok(Term::IfNotExists(path, Box::new(otherwise)));
    }
    if parser.function("list_append") {
        let first = parser.deeper(term)?;
        parser.expect(",")?;
        let second = parser.deeper(term)?;
        parser.expect(")")?;
        return Ok(Term::ListAppend(Box::new(first), Box::new(second)));
    }
    if let Some(name) = parser.any_function().filter(|name| *name != "size") {
        let fact = format!("there is no function `{name}` in an update");
        return Err(parser.fault(fact).help("functions are if_not_exists, list_append and size"));
    }
    Ok(Term::Operand(parser.operand()?))
}

/// What `ADD` makes of a value: a sum, or a list with the elements that it has not yet.
fn added(path: &Path, there: Option<&Exact>, value: &Exact) -> Result<Exact, Problem> {
    match (there, value) {
        (None, Exact::Number(_)) => Ok(value.clone()),
        (Some(Exact::Number(there)), Exact::Number(value)) => Ok(Exact::Number(number::add(there, value, false)?)),
        (None | Some(Exact::List(_)), Exact::List(new)) => {
            let mut all = match there {
                Some(Exact::List(items)) => items.clone(),
                _ => Vec::new(),
            };
            let mut known: HashSet<String> = all.iter().map(identity).collect();
            all.extend(new.iter().filter(|item| known.insert(identity(item))).cloned());
            Ok(Exact::List(all))
        }
        (Some(there), _) => {
            let fact = format!("`ADD` of a `{}` to `{path}`, which is a `{}`", type_of(value), type_of(there));
            Err(cannot(fact).help("numbers are added to numbers, lists to lists"))
        }
        (None, _) => Err(cannot(format!("`ADD` of a `{}` to `{path}`", type_of(value)))),
    }
}

/// What `DELETE` leaves of a list; None where there is none.
fn deleted(path: &Path, there: Option<&Exact>, value: &Exact) -> Result<Option<Exact>, Problem> {
    match (there, value) {
        (None, _) => Ok(None),
        (Some(Exact::List(items)), Exact::List(gone)) => {
            let gone: HashSet<String> = gone.iter().map(identity).collect();
            let rest = items.iter().filter(|item| !gone.contains(&identity(item)));
            Ok(Some(Exact::List(rest.cloned().collect())))
        }
        (Some(there), _) => Err(cannot(format!("`DELETE` from `{path}`, which is a `{}` and no list", type_of(there)))),
    }
}

/// What the last step of a path stands in.
fn parent<'a>(document: &'a mut Exact, path: &Path) -> Option<&'a mut Exact> {
    let (_, steps) = path.0.split_last()?;
    let mut value = document;
    for step in steps {
        value = match (step, value) {
            (Step::Field(wanted), Exact::Map(fields)) => {
                fields.iter_mut().find(|(name, _)| name == wanted).map(|(_, value)| value)?
            }
            (Step::Item(index), Exact::List(items)) => items.get_mut(*index)?,
            _ => return None,
        };
    }
    Some(value)
}

fn set(document: &mut Exact, path: &Path, value: Exact) -> Result<(), Problem> {
    match (parent(document, path), path.0.last()) {
        (Some(Exact::Map(fields)), Some(Step::Field(wanted))) => {
            match fields.iter_mut().find(|(name, _)| name == wanted) {
                Some((_, old)) => *old = value,
                None => fields.push((wanted.clone(), value)),
            }
            Ok(())
        }
        (Some(Exact::List(items)), Some(Step::Item(index))) => {
            match items.get_mut(*index) {
                Some(old) => *old = value,
                None => items.push(value),
            }
            Ok(())
        }
        _ => Err(nowhere(path)),
    }
}

fn remove(document: &mut Exact, path: &Path) -> Result<(), Problem> {
    match (parent(document, path), path.0.last()) {
        (Some(Exact::Map(fields)), Some(Step::Field(wanted))) => {
            fields.retain(|(name, _)| name != wanted);
            Ok(())
        }
        (Some(Exact::List(items)), Some(Step::Item(index))) => {
            if *index < items.len() {
                items.remove(*index);
            }
            Ok(())
        }
        _ => Err(nowhere(path)),
    }
}

fn nowhere(path: &Path) -> Problem {
    cannot(format!("there is nothing that `{path}` could be in")).help("set what it is in first: `SET a = :object`")
}
