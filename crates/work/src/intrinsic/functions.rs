//! What the intrinsic functions do.

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use crate::chance::Chance;
use crate::hash;

/// Items `ArrayRange` may make, as the language has it.
const RANGE_ITEMS_MAX: usize = 1_000;
/// Characters `Base64Encode`, `Base64Decode` and `Hash` take, as the language has it.
const TEXT_CHARS_MAX: usize = 10_000;

/// One function: a row of the table.
#[derive(Debug)]
pub(super) struct Function {
    /// Without `States.`.
    pub(super) name: &'static str,
    /// How many arguments it takes.
    pub(super) arity: RangeInclusive<usize>,
    pub(super) run: fn(&mut Given<'_>) -> Result<Value, String>,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a function is given.
pub(super) struct Given<'a> {
    pub(super) arguments: Vec<Value>,
    pub(super) chance: &'a mut Chance,
    pub(super) items_max: usize,
}

static FUNCTIONS: [Function; 18] = [
    Function { name: "Format", arity: 1..=usize::MAX, run: format },
    Function { name: "StringToJson", arity: 1..=1, run: string_to_json },
    Function { name: "JsonToString", arity: 1..=1, run: |given| Ok(Value::String(given.argument(0).to_string())) },
    Function {
        name: "Array",
        arity: 0..=usize::MAX,
        run: |given| Ok(Value::Array(std::mem::take(&mut given.arguments))),
    },
    Function { name: "ArrayPartition", arity: 2..=2, run: array_partition },
    Function { name: "ArrayContains", arity: 2..=2, run: array_contains },
    Function { name: "ArrayRange", arity: 3..=3, run: array_range },
    Function { name: "ArrayGetItem", arity: 2..=2, run: array_get_item },
    Function { name: "ArrayLength", arity: 1..=1, run: |given| Ok(Value::from(given.array(0)?.len())) },
    Function { name: "ArrayUnique", arity: 1..=1, run: array_unique },
    Function {
        name: "Base64Encode",
        arity: 1..=1,
        run: |given| Ok(Value::String(STANDARD.encode(given.short_text(0)?))),
    },
    Function { name: "Base64Decode", arity: 1..=1, run: base64_decode },
    Function { name: "Hash", arity: 2..=2, run: hash_of },
    Function { name: "JsonMerge", arity: 3..=3, run: json_merge },
    Function { name: "MathRandom", arity: 2..=3, run: math_random },
    Function { name: "MathAdd", arity: 2..=2, run: math_add },
    Function { name: "StringSplit", arity: 2..=2, run: string_split },
    Function { name: "UUID", arity: 0..=0, run: |given| Ok(Value::String(given.chance.uuid())) },
];

/// The function of this name, without `States.`.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Given<'_> {
    fn argument(&self, at: usize) -> &Value {
        self.arguments.get(at).unwrap_or(&Value::Null)
    }

    fn array(&self, at: usize) -> Result<&Vec<Value>, String> {
        self.argument(at).as_array().ok_or_else(|| format!("argument {} must be an array", at + 1))
    }

    fn text(&self, at: usize) -> Result<&str, String> {
        self.argument(at).as_str().ok_or_else(|| format!("argument {} must be a string", at + 1))
    }

    fn short_text(&self, at: usize) -> Result<&str, String> {
        let text = self.text(at)?;
        let length = text.chars().count();
        if length <= TEXT_CHARS_MAX {
            return Ok(text);
        }
        Err(format!("argument {} has {length} characters; the limit is {TEXT_CHARS_MAX}", at + 1))
    }

    /// A number as the service takes it: rounded half up.
    fn integer(&self, at: usize) -> Result<i64, String> {
        let value = self.argument(at);
        if let Some(number) = value.as_i64() {
            return Ok(number);
        }
        let number = value.as_f64().ok_or_else(|| format!("argument {} must be a number", at + 1))?;
        let rounded = (number + 0.5).floor();
        if rounded.abs() < 9.2e18 {
            #[expect(clippy::cast_possible_truncation, reason = "checked above")]
            return Ok(rounded as i64);
        }
        Err(format!("argument {} is out of range", at + 1))
    }
}

/// Puts the arguments in place of `{}`; `\{`, `\}`, `\'` and `\\` stand for themselves.
fn format(given: &mut Given<'_>) -> Result<Value, String> {
    let template = given.text(0)?.to_owned();
    let mut arguments = given.arguments.iter().skip(1);
    let mut text = String::with_capacity(template.len());
    let mut characters = template.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.extend(characters.next_if(|c| matches!(c, '\'' | '\\' | '{' | '}')).or(Some('\\'))),
            '{' if characters.next_if_eq(&'}').is_some() => {
                let argument = arguments.next().ok_or("there are more `{}` than arguments")?;
                as_java_prints(argument, &mut text);
            }
            _ => text.push(c),
        }
    }
    if arguments.next().is_some() {
        return Err("there are fewer `{}` than arguments".to_owned());
    }
    Ok(Value::String(text))
}

/// Objects and arrays as the recorded service prints them: `{Arg1=1, Arg2=[]}`.
fn as_java_prints(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => text.push_str(string),
        Value::Array(items) => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                as_java_prints(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (number, (key, field)) in fields.iter().enumerate() {
                text.push_str(if number > 0 { ", " } else { "" });
                text.push_str(key);
                text.push('=');
                as_java_prints(field, text);
            }
            text.push('}');
        }
        other => text.push_str(&other.to_string()),
    }
}

fn string_to_json(given: &mut Given<'_>) -> Result<Value, String> {
    let text = given.text(0)?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map_err(|_| format!("`{text}` is not JSON"))
}

fn array_partition(given: &mut Given<'_>) -> Result<Value, String> {
    let size = usize::try_from(given.integer(1)?).ok().filter(|size| *size > 0);
    let size = size.ok_or("argument 2 must be a positive number")?;
    Ok(Value::Array(given.array(0)?.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect()))
}

fn array_contains(given: &mut Given<'_>) -> Result<Value, String> {
    let wanted = given.argument(1);
    Ok(Value::Bool(given.array(0)?.iter().any(|item| equal(item, wanted))))
}

/// Numbers by value, the rest as JSON.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

fn array_range(given: &mut Given<'_>) -> Result<Value, String> {
    let (first, last, step) = (given.integer(0)?, given.integer(1)?, given.integer(2)?);
    if step == 0 {
        return Err("the step must not be 0".to_owned());
    }
    let mut items = Vec::new();
    let mut at = first;
    while if step > 0 { at <= last } else { at >= last } {
        if items.len() == RANGE_ITEMS_MAX.min(given.items_max) {
            return Err(format!("the range has more than {RANGE_ITEMS_MAX} items"));
        }
        items.push(Value::from(at));
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(Value::Array(items))
}

fn array_get_item(given: &mut Given<'_>) -> Result<Value, String> {
    let index = given.integer(1)?;
    let items = given.array(0)?;
    let item = usize::try_from(index).ok().and_then(|at| items.get(at));
    item.cloned().ok_or_else(|| format!("there is no item {index} among {}", items.len()))
}

fn array_unique(given: &mut Given<'_>) -> Result<Value, String> {
    let mut seen = std::collections::HashSet::new();
    let items = given.array(0)?;
    Ok(Value::Array(items.iter().filter(|item| seen.insert(item.to_string())).cloned().collect()))
}

fn base64_decode(given: &mut Given<'_>) -> Result<Value, String> {
    let bytes = STANDARD.decode(given.short_text(0)?).map_err(|_| "argument 1 is not base64")?;
    String::from_utf8(bytes).map(Value::String).map_err(|_| "argument 1 does not hold UTF-8 text".to_owned())
}

fn hash_of(given: &mut Given<'_>) -> Result<Value, String> {
    let data = match given.argument(0) {
        Value::String(_) => given.short_text(0)?.to_owned(),
        other => other.to_string(),
    };
    hash::digest(given.text(1)?, data.as_bytes()).map(Value::String)
}

fn json_merge(given: &mut Given<'_>) -> Result<Value, String> {
    if given.argument(2) != &Value::Bool(false) {
        return Err("only the shallow merge (argument 3 is `false`) exists".to_owned());
    }
    let object = |at: usize| -> Result<Map<String, Value>, String> {
        given.argument(at).as_object().cloned().ok_or_else(|| format!("argument {} must be an object", at + 1))
    };
    let mut merged = object(0)?;
    merged.extend(object(1)?);
    Ok(Value::Object(merged))
}

fn math_random(given: &mut Given<'_>) -> Result<Value, String> {
    let (from, to) = (given.integer(0)?, given.integer(1)?);
    let span = u64::try_from(i128::from(to) - i128::from(from)).ok().filter(|span| *span > 0);
    let span = span.ok_or("argument 1 must be below argument 2")?;
    let drawn = if given.arguments.len() == 3 {
        Chance::new(hash::sha256(&given.integer(2)?.to_be_bytes())).below(span)
    } else {
        given.chance.below(span)
    };
    Ok(Value::from(i64::try_from(i128::from(from) + i128::from(drawn)).unwrap_or(from)))
}

fn math_add(given: &mut Given<'_>) -> Result<Value, String> {
    let sum = given.integer(0)?.checked_add(given.integer(1)?).ok_or("the sum is out of range")?;
    Ok(Value::Number(Number::from(sum)))
}

/// Splits at any of the characters of argument 2; empty parts are left out.
fn string_split(given: &mut Given<'_>) -> Result<Value, String> {
    let (text, splitters) = (given.text(0)?, given.text(1)?);
    let parts = text.split(|c| splitters.contains(c)).filter(|part| !part.is_empty());
    Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
}
