//! Reads a connector's options strictly: an unknown key is an error that names the nearest known one.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use headwater_base::{Problem, closest};
use headwater_kernel::port::Context;
use serde_json::{Map, Value};

/// A connector's options.
pub(crate) struct Options<'a>(&'a Map<String, Value>);

impl<'a> Options<'a> {
    /// Checks that `spec` is an object with no keys beside `known` and `type`.
    pub fn new(spec: &'a Value, known: &[&str]) -> Result<Self, Problem> {
        let Some(map) = spec.as_object() else {
            return Err(Problem::new("HW-CONNECT-101", "a lookup is written as an object")
                .help("such as `{type: table, table: users}`"));
        };
        for key in map.keys().filter(|key| *key != "type") {
            if !known.contains(&key.as_str()) {
                let near = closest(key, known.iter().copied())
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                return Err(Problem::new(
                    "HW-CONNECT-101",
                    format!("a lookup of this type has no option `{}`", key.escape_debug()),
                )
                .help(format!("options are `{}`{near}", known.join("`, `"))));
            }
        }
        Ok(Self(map))
    }

    /// A text that must be there.
    pub fn text(&self, key: &str) -> Result<&'a str, Problem> {
        self.optional_text(key)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            Problem::new("HW-CONNECT-101", format!("the option `{key}` is missing")).help(format!("write `{key}: …`"))
        })
    }

    /// A text that may be there.
    pub fn optional_text(&self, key: &str) -> Result<Option<&'a str>, Problem> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::new("HW-CONNECT-101", format!("the option `{key}` is a text"))),
        }
    }

    /// A list of texts that must be there.
    pub fn texts(&self, key: &str) -> Result<Vec<&'a str>, Problem> {
        let texts: Option<Vec<&str>> =
            self.0.get(key).and_then(Value::as_array).and_then(|list| list.iter().map(Value::as_str).collect());
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
            Problem::new("HW-CONNECT-101", format!("the option `{key}` is a list of texts"))
                .help(format!("write `{key}: [a, b]`"))
        })
    }

    /// An object that may be there.
    pub fn optional_object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, Problem> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(Problem::new("HW-CONNECT-101", format!("the option `{key}` is an object"))),
        }
    }
}

/// A file's place: relative names start from the context's folder.
pub(crate) fn place(context: &Context, name: &str) -> PathBuf {
    context.folder.join(Path::new(name))
}

/// Reads a whole file of bounded size.
pub(crate) fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    open_file(path, bytes_max)?.read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

/// Opens a file of bounded size, to be read piece by piece.
pub(crate) fn open_file(path: &Path, bytes_max: u64) -> Result<impl Read + use<>, Problem> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let length = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    if length > bytes_max {
        let fact = format!("a file of {length} bytes; the limit is {bytes_max}");
        return Err(Problem::new("HW-CONNECT-102", fact).at(path.display().to_string(), 0, 0));
    }
    Ok(BufReader::new(file).take(bytes_max))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new("HW-CONNECT-102", format!("the file cannot be read: {error}")).at(path.display().to_string(), 0, 0)
}

/// A field's way down from the root of a document: `.a.b` or `a.b`.
pub(crate) fn steps(path: &str) -> Vec<String> {
    path.trim_start_matches('.').split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect()
}

/// The value at the end of `steps`.
pub(crate) fn walk<'v>(value: &'v Value, steps: &[String]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| value.get(step))
}
