//! YAML into JSON values that know where they stand, for resources written by people.
//!
//! It is NOT a general YAML library: what JSON cannot say (tags, complex keys, `.nan`), what hides meaning (duplicate
//! keys, merge keys) and what can be used to blow up a reader (deep nesting, aliases of aliases) is refused, with its
//! place. JSON is read as well. Scalars follow the core schema of YAML 1.2.2 §10.3: `yes` and `on` are texts.
//!
//! Invariants: no input panics; the result is at most [`NODES_MAX`] values and [`DEPTH_MAX`] levels; every value and
//! key that was written has its mark.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_base::{Limits, Problem};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Number, Value};

use crate::origin::{Mark, Marks, Position, Written, child, shown};

mod texts;
mod writer;

pub use writer::{write, write_exact};

/// The most values a file may come to, aliases expanded.
pub const NODES_MAX: usize = 200_000;

/// The deepest nesting.
pub const DEPTH_MAX: usize = 64;

/// How many times the size of a file its texts may come to, aliases expanded.
const GROWTH_MAX: usize = 4;

/// What the pointers of a file's values may come to: each repeats every key above it, so that a long key over many values
/// would make gigabytes of a small file.
const PLACES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it says.
    pub value: Value,
    /// Where it says so.
    pub marks: Arc<Marks>,
    /// Its part of the file, comments included, which says the same by itself; None for JSON, for what has more than
    /// `resource_text_bytes`, and where a part does not stand alone.
    pub text: Option<Arc<str>>,
}

/// Reads all documents of a file; empty ones are left out.
///
/// # Errors
/// `HW-KERNEL-001` to `HW-KERNEL-004`, every one that can be found, each with its place.
pub fn read(file: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Document>, Vec<Problem>> {
    if bytes.len() > limits.resource_bytes {
        let (size, limit) = (bytes.len(), limits.resource_bytes);
        return Err(vec![
            Problem::new("HW-KERNEL-002", format!("the file has {size} bytes; the limit is {limit}"))
                .at(file, 0, 0)
                .help("split it into several files"),
        ]);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default()).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        vec![
            Problem::new("HW-KERNEL-001", "the file is not UTF-8 text")
                .at(file, narrow(line), narrow(column))
                .help("save it with the encoding UTF-8"),
        ]
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match build(file, text) {
        Ok((mut documents, starts)) => {
            let parts = texts::Parts::of(text, &starts);
            for (index, document) in documents.iter_mut().enumerate() {
                document.text = parts.text(index, &document.value, limits.resource_text_bytes);
            }
            Ok(documents)
        }
        Err(problems) => json(text).ok_or(problems),
    }
}

/// JSON that YAML reads differently or not at all, such as surrogate pairs in escapes. Refused keys stay refused:
/// only a syntax problem leads here with success.
fn json(text: &str) -> Option<Vec<Document>> {
    let starts = text.trim_start();
    if !starts.starts_with('{') || !starts.contains("\\u") {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    Some(vec![Document { value, marks: Arc::default(), text: None }])
}

/// The documents, and where their parts of the file start.
fn build(file: &str, text: &str) -> Result<(Vec<Document>, Vec<texts::Start>), Vec<Problem>> {
    let mut builder = Builder {
        file,
        lines: text.split('\n').collect(),
        documents: Vec::new(),
        starts: Vec::new(),
        problems: Vec::new(),
        frames: Vec::new(),
        anchors: HashMap::new(),
        marks: Marks::new(),
        root: None,
        nodes: 0,
        bytes: 0,
        bytes_max: text.len().saturating_mul(GROWTH_MAX).max(65_536),
        places_bytes: 0,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.syntax(&error)),
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            break;
        }
    }
    if builder.problems.is_empty() { Ok((builder.documents, builder.starts)) } else { Err(builder.problems) }
}

/// A value under construction.
struct Frame {
    value: Collection,
    pointer: String,
    anchor: usize,
    mark: Mark,
    first_node: usize,
    first_byte: usize,
    /// Levels below this one.
    height: usize,
}

enum Collection {
    Sequence(Vec<Value>),
    Mapping { map: Map<String, Value>, key: Option<(String, Position)>, keys: HashMap<String, Position> },
}

/// What an anchor names.
struct Anchored {
    value: Value,
    nodes: usize,
    bytes: usize,
    height: usize,
}

struct Builder<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    documents: Vec<Document>,
    starts: Vec<texts::Start>,
    problems: Vec<Problem>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    marks: Marks,
    root: Option<Value>,
    nodes: usize,
    bytes: usize,
    bytes_max: usize,
    places_bytes: usize,
}

impl Builder<'_> {
    /// Takes one event; an error ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = position(&span);
        match event {
            Event::DocumentEnd => {
                let marks = Arc::new(std::mem::take(&mut self.marks));
                self.anchors.clear();
                if let Some(value) = self.root.take().filter(|value| !value.is_null()) {
                    self.documents.push(Document { value, marks, text: None });
                }
                Ok(())
            }
            Event::DocumentStart(explicit) => {
                self.starts.push(texts::Start { line: at.line, explicit, document: self.documents.len() });
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                if self.takes_key() {
                    return self.key(&text, style, at);
                }
                self.count(1, text.len(), at)?;
                let (pointer, key) = self.next_pointer();
                let tag = tag.map(|tag| if tag.is_yaml_core_schema() { tag.suffix.clone() } else { tag.to_string() });
                let value = match scalar(&text, style, tag.as_deref()) {
                    Ok(value) => value,
                    Err((fact, help)) => {
                        self.problems.push(self.problem("HW-KERNEL-004", fact, at).help(help));
                        Value::Null
                    }
                };
                let written = self.written(&text, style, &span);
                self.mark(pointer, Mark { key, value: at, written })?;
                if anchor > 0 {
                    let anchored = Anchored { value: value.clone(), nodes: 1, bytes: text.len(), height: 0 };
                    self.anchors.insert(anchor, anchored);
                }
                self.place(value, 0);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if tag.as_ref().is_some_and(|tag| !tag.is_yaml_core_schema())
                    || self.takes_key()
                    || anchor == usize::MAX =>
            {
                let fact = if self.takes_key() {
                    "a key is a text, not a list or a mapping"
                } else {
                    "tags are not supported here"
                };
                Err(self.problem("HW-KERNEL-004", fact, at).help("write plain keys and values, as in JSON"))
            }
            Event::SequenceStart(anchor, _) => self.open(Collection::Sequence(Vec::new()), anchor, at),
            Event::MappingStart(anchor, _) => {
                self.open(Collection::Mapping { map: Map::new(), key: None, keys: HashMap::new() }, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.frames.pop() else { return Ok(()) };
                let value = match frame.value {
                    Collection::Sequence(items) => Value::Array(items),
                    Collection::Mapping { map, .. } => Value::Object(map),
                };
                self.mark(frame.pointer, frame.mark)?;
                if frame.anchor > 0 {
                    let anchored = Anchored {
                        value: value.clone(),
                        nodes: self.nodes - frame.first_node,
                        bytes: self.bytes - frame.first_byte,
                        height: frame.height + 1,
                    };
                    self.anchors.insert(frame.anchor, anchored);
                }
                self.place(value, frame.height + 1);
                Ok(())
            }
            Event::Alias(anchor) => {
                if self.takes_key() {
                    return Err(self
                        .problem("HW-KERNEL-004", "an alias cannot be a key", at)
                        .help("write the key itself"));
                }
                let Some(anchored) = self.anchors.get(&anchor) else {
                    let help = "an anchor can be used only behind the value that it names";
                    return Err(self
                        .problem("HW-KERNEL-004", "the alias stands inside the value it names", at)
                        .help(help));
                };
                let (nodes, bytes, height) = (anchored.nodes, anchored.bytes, anchored.height);
                self.count(nodes, bytes, at)?;
                self.depth(height, at)?;
                let value = self.anchors.get(&anchor).map(|anchored| anchored.value.clone()).unwrap_or_default();
                let (pointer, key) = self.next_pointer();
                self.mark(pointer, Mark { key, value: at, written: Written::Other })?;
                self.place(value, height);
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
        }
    }

    fn open(&mut self, value: Collection, anchor: usize, at: Position) -> Result<(), Problem> {
        let (first_node, first_byte) = (self.nodes, self.bytes);
        self.count(1, 0, at)?;
        self.depth(1, at)?;
        let (pointer, key) = self.next_pointer();
        let mark = Mark { key, value: at, written: Written::Other };
        self.frames.push(Frame { value, pointer, anchor, mark, first_node, first_byte, height: 0 });
        Ok(())
    }

    /// True where the next event is a mapping's key.
    fn takes_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { value: Collection::Mapping { key: None, .. }, .. }))
    }

    fn key(&mut self, text: &str, style: ScalarStyle, at: Position) -> Result<(), Problem> {
        self.count(0, text.len(), at)?;
        let mut problems = Vec::new();
        if text == "<<" && style == ScalarStyle::Plain {
            problems.push(
                self.problem("HW-KERNEL-004", "merge keys (`<<`) are not supported", at)
                    .help("write the keys out, or name the whole value with an anchor"),
            );
        }
        let mut twice = None;
        if let Some(Frame { value: Collection::Mapping { key, keys, .. }, pointer, .. }) = self.frames.last_mut() {
            if let Some(first) = keys.insert(text.to_owned(), at) {
                twice = Some((first, child(pointer, text)));
            }
            *key = Some((text.to_owned(), at));
        }
        if let Some((first, pointer)) = twice {
            let fact = format!("the key `{}` is written twice", shown(&pointer));
            problems
                .push(self.problem("HW-KERNEL-003", fact, at).help(format!("the first one is on line {}", first.line)));
        }
        self.problems.append(&mut problems);
        Ok(())
    }

    /// The pointer of the value that comes next, and the place of its key.
    fn next_pointer(&self) -> (String, Option<Position>) {
        match self.frames.last() {
            None => (String::new(), None),
            Some(Frame { value: Collection::Sequence(items), pointer, .. }) => {
                (format!("{pointer}/{}", items.len()), None)
            }
            Some(Frame { value: Collection::Mapping { key, .. }, pointer, .. }) => match key {
                Some((key, at)) => (child(pointer, key), Some(*at)),
                None => (pointer.clone(), None),
            },
        }
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, value: Value, height: usize) {
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(value);
            return;
        };
        frame.height = frame.height.max(height);
        match &mut frame.value {
            Collection::Sequence(items) => items.push(value),
            Collection::Mapping { map, key, .. } => {
                if let Some((key, _)) = key.take() {
                    map.insert(key, value);
                }
            }
        }
    }

    fn count(&mut self, nodes: usize, bytes: usize, at: Position) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes > NODES_MAX || self.bytes > self.bytes_max {
            let fact = format!("the file comes to more than {NODES_MAX} values or {} bytes", self.bytes_max);
            return Err(self.problem("HW-KERNEL-002", fact, at).help("aliases count each time they are used"));
        }
        Ok(())
    }

    /// Remembers where a value stands.
    fn mark(&mut self, pointer: String, mark: Mark) -> Result<(), Problem> {
        self.places_bytes = self.places_bytes.saturating_add(pointer.len());
        if self.places_bytes > PLACES_BYTES_MAX {
            let fact = format!("the paths of the file's values come to more than {PLACES_BYTES_MAX} bytes");
            return Err(self.problem("HW-KERNEL-002", fact, mark.value).help("use shorter keys above long lists"));
        }
        self.marks.insert(pointer, mark);
        Ok(())
    }

    fn depth(&self, more: usize, at: Position) -> Result<(), Problem> {
        if self.frames.len() + more > DEPTH_MAX {
            let fact = format!("values are nested more than {DEPTH_MAX} deep");
            return Err(self.problem("HW-KERNEL-002", fact, at));
        }
        Ok(())
    }

    fn problem(&self, code: &str, fact: impl Into<String>, at: Position) -> Problem {
        Problem::new(code, fact).at(self.file, at.line, at.column)
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let (line, column) = (narrow(error.marker().line().max(1)), narrow(error.marker().col() + 1));
        let problem =
            Problem::new("HW-KERNEL-001", format!("this is not YAML: {}", error.info())).at(self.file, line, column);
        let here = self.lines.get(line as usize - 1).copied().unwrap_or_default();
        let indented_by_tab = here.trim_start_matches(' ').starts_with('\t');
        if indented_by_tab { problem.help("indent with spaces; YAML allows no tabs there") } else { problem }
    }

    fn written(&self, text: &str, style: ScalarStyle, span: &Span) -> Written {
        match style {
            ScalarStyle::Plain if span.start.line() == span.end.line() => Written::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if span.start.line() == span.end.line() => {
                Written::Quoted
            }
            ScalarStyle::Literal => self.block(text, position(span).line),
            _ => Written::Folded,
        }
    }

    /// A literal block. The parser gives the first line of it that says something; empty ones may stand above. The
    /// indentation is what that line of the file has more of than that line of the text.
    fn block(&self, text: &str, said: u32) -> Written {
        let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let above = text.len() - text.trim_start_matches('\n').len();
        let line = text.trim_start_matches('\n').split('\n').next().unwrap_or_default();
        let source = self.lines.get((said as usize).saturating_sub(1)).copied().unwrap_or_default();
        let indent = spaces(source).saturating_sub(spaces(line));
        Written::Block { line: said.saturating_sub(narrow(above)), indent: narrow(indent) }
    }
}

fn position(span: &Span) -> Position {
    Position { line: narrow(span.start.line().max(1)), column: narrow(span.start.col() + 1) }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A scalar's value, or the fact and the help of why it has none.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Value, (String, &'static str)> {
    match tag {
        None if style != ScalarStyle::Plain => Ok(Value::String(text.to_owned())),
        Some("str" | "!") => Ok(Value::String(text.to_owned())),
        None | Some("null" | "bool" | "int" | "float") => plain(text),
        Some(tag) => Err((format!("the tag `{tag}` is not supported"), "write the value without a tag")),
    }
}

/// A plain scalar by the core schema.
fn plain(text: &str) -> Result<Value, (String, &'static str)> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | "-.Inf" | "-.INF" => {
            return Err((format!("the number `{text}` cannot be kept as JSON"), "write a finite number"));
        }
        _ => {}
    }
    let wide = || (format!("the number `{text}` does not fit 64 bits"), "put it in quotes to keep it as a text");
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) =
            text.strip_prefix(prefix).filter(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
        {
            return u64::from_str_radix(digits, radix).map(Value::from).map_err(|_| wide());
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let signed = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = signed.parse::<i64>() {
            return Ok(Value::from(number));
        }
        return signed.parse::<u64>().map(Value::from).map_err(|_| wide());
    }
    if is_float(unsigned) {
        let number = text.parse::<f64>().ok().and_then(Number::from_f64);
        return number.map(Value::Number).ok_or_else(wide);
    }
    Ok(Value::String(text.to_owned()))
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let some_digit = !whole.is_empty() || !part.is_empty();
    some_digit && digits(whole) && digits(part) && exponent.is_none_or(|text| !text.is_empty() && digits(text))
}

#[cfg(test)]
mod tests;
