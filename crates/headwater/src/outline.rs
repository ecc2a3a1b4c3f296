//! A kind's schema as people read it: keys with their types, bounds, defaults and meaning, for `explain` and the reference
//! pages.
//!
//! What it is NOT: a check; that is the kernel's. It reads what `schemars` writes: references, optional values, lists,
//! maps, and unions tagged by `type`.

use headwater_base::{Problem, closest};
use serde_json::Value;

/// A schema with the definitions it refers to.
#[derive(Clone, Copy)]
pub struct Outline<'a> {
    definitions: &'a Value,
    at: &'a Value,
}

/// What can be written at one place.
pub struct Place<'a> {
    /// Its type and its bounds, in words.
    pub is: String,
    /// Its meaning, and its default.
    pub words: String,
    /// The keys, where it is an object of one form; else empty.
    pub keys: Vec<Key<'a>>,
    /// The forms, where it is one of several.
    pub forms: Vec<Form<'a>>,
}

/// One of several forms of an object, told apart by `type`, or one of several words.
pub struct Form<'a> {
    /// The value of `type`, or the word itself.
    pub name: &'a str,
    /// Its meaning.
    pub words: String,
    /// Its keys besides `type`.
    pub keys: Vec<Key<'a>>,
}

/// A key of an object.
pub struct Key<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it has to be there.
    pub required: bool,
    /// Its type and its bounds, in words.
    pub is: String,
    /// Its meaning, and its default.
    pub words: String,
    /// What stands behind it.
    pub value: Outline<'a>,
}

impl<'a> Outline<'a> {
    /// The outline of a whole schema.
    pub fn new(schema: &'a Value) -> Self {
        Self { definitions: &schema["$defs"], at: schema }
    }

    /// Walks down by keys and forms; lists and maps are walked through by themselves.
    ///
    /// # Errors
    /// `HW-CLI-015` for a step that is not there, with those that are.
    pub fn find(self, steps: &[&str]) -> Result<Self, Problem> {
        let Some((step, rest)) = steps.split_first() else { return Ok(self) };
        let here = self.place();
        let keys = here.keys.iter().map(|key| (key.name, key.value));
        let forms = self.forms();
        let form = forms.iter().map(|(name, form)| (*name, *form));
        // A key that all forms share needs no form in front.
        let inside = here.forms.iter().flat_map(|form| form.keys.iter().map(|key| (key.name, key.value)));
        let all: Vec<(&str, Self)> = keys.chain(form).chain(inside).collect();
        match all.iter().find(|(name, _)| name == step) {
            Some((_, next)) => next.find(rest),
            None => {
                let mut names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
                names.dedup();
                let problem = Problem::new("HW-CLI-015", format!("there is no key `{}` here", step.escape_debug()));
                Err(match closest(step, names.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None if names.is_empty() => problem.help("nothing is below the key in front of it"),
                    None => problem.help(format!("keys here are `{}`", names.join("`, `"))),
                })
            }
        }
    }

    /// What can be written here.
    pub fn place(self) -> Place<'a> {
        let open = self.opened();
        let forms =
            self.forms().into_iter().map(|(name, form)| Form { name, words: words(form.at), keys: form.keys() });
        let own = words(self.at);
        let own = if own.is_empty() { words(open.at) } else { own };
        Place { is: self.is(), words: with_default(own, self.at), keys: open.keys(), forms: forms.collect() }
    }

    /// Whether both are one definition, lists and maps aside.
    pub fn is_same(self, other: Self) -> bool {
        std::ptr::eq(self.opened().at, other.opened().at)
    }

    fn on(self, at: &'a Value) -> Self {
        Self { at, ..self }
    }

    /// Behind references and `null`.
    fn resolved(self) -> Self {
        let mut here = self;
        loop {
            let reference = here.at["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"));
            let other = || {
                let branches = here.at["anyOf"].as_array()?;
                let mut real = branches.iter().filter(|branch| branch["type"] != "null");
                real.next().filter(|_| real.next().is_none())
            };
            here = match (reference, other()) {
                (Some(name), _) if self.definitions.get(name).is_some() => here.on(&self.definitions[name]),
                (_, Some(only)) => here.on(only),
                _ => return here,
            };
        }
    }

    /// Behind lists and maps as well.
    fn opened(self) -> Self {
        let here = self.resolved();
        for inner in ["items", "additionalProperties"] {
            if here.at[inner].is_object() {
                return here.on(&here.at[inner]).opened();
            }
        }
        here
    }

    fn keys(self) -> Vec<Key<'a>> {
        let required = |name: &str| self.at["required"].as_array().is_some_and(|all| all.iter().any(|key| key == name));
        let key = |(name, value): (&'a String, &'a Value)| {
            let value = self.on(value);
            let words = with_default(words(value.at), value.at);
            Key { name, required: required(name), is: value.is(), words, value }
        };
        // The tag of a form is said in front of its keys.
        let all = self.at["properties"].as_object().into_iter().flatten();
        all.filter(|(name, value)| *name != "type" || value["const"].is_null()).map(key).collect()
    }

    /// The forms of a union: by the constant of `type`, or the words themselves.
    fn forms(self) -> Vec<(&'a str, Self)> {
        let open = self.opened();
        let name = |branch: &'a Value| {
            branch["properties"]["type"]["const"]
                .as_str()
                .or_else(|| branch["const"].as_str())
                .map(|name| (name, open.on(branch)))
        };
        open.at["oneOf"].as_array().into_iter().flatten().filter_map(name).collect()
    }

    /// The type in words, with what bounds it.
    fn is(self) -> String {
        let here = self.resolved();
        let schema = here.at;
        let either = |names: Vec<&str>| format!("`{}`", names.join("` or `"));
        if schema["items"].is_object() {
            let many = range(schema, "minItems", "maxItems").map(|many| format!(", {many} of them"));
            return format!("list of {}{}", here.on(&schema["items"]).is(), many.unwrap_or_default());
        }
        if schema["additionalProperties"].is_object() {
            return format!("map of {}", here.on(&schema["additionalProperties"]).is());
        }
        if let Some(words) = schema["enum"].as_array() {
            return either(words.iter().filter_map(Value::as_str).collect());
        }
        let forms = here.forms();
        if !forms.is_empty() {
            let names = forms.iter().map(|(name, _)| *name).collect();
            let tagged = forms.iter().any(|(_, form)| form.at["properties"].is_object());
            return if tagged { format!("object of `type` {}", either(names)) } else { either(names) };
        }
        let kind = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).find(|name| *name != "null"),
            other => other.as_str(),
        };
        match kind {
            Some("string") => text(schema),
            Some(other) => {
                let range = range(schema, "minimum", "maximum").map(|range| format!(", {range}"));
                format!("{other}{}", range.unwrap_or_default())
            }
            None => "anything".to_owned(),
        }
    }
}

/// A text in words: an example tells more than the pattern that it fits.
fn text(schema: &Value) -> String {
    let form = match (schema["examples"][0].as_str(), schema["pattern"].as_str()) {
        (Some(example), _) => format!("text such as `{example}`"),
        (None, Some(pattern)) => format!("text of the form `{pattern}`"),
        (None, None) => "text".to_owned(),
    };
    let long = range(schema, "minLength", "maxLength").map(|long| format!(", {long} characters"));
    format!("{form}{}", long.unwrap_or_default())
}

/// What lies between two bounds of a schema; None where it has neither.
fn range(schema: &Value, low: &str, high: &str) -> Option<String> {
    match (&schema[low], &schema[high]) {
        (Value::Number(low), Value::Number(high)) => Some(format!("{low} to {high}")),
        (Value::Number(low), _) => Some(format!("{low} or more")),
        (_, Value::Number(high)) => Some(format!("at most {high}")),
        _ => None,
    }
}

fn words(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ")
}

/// The words, with the default that a schema has beside them and they do not tell.
fn with_default(words: String, schema: &Value) -> String {
    let default = match &schema["default"] {
        Value::String(text) if !text.is_empty() => text.clone(),
        plain @ (Value::Number(_) | Value::Bool(_)) => plain.to_string(),
        _ => return words,
    };
    if words.contains("efault") {
        return words;
    }
    format!("{words} Default `{default}`.").trim_start().to_owned()
}

#[cfg(test)]
mod tests;
