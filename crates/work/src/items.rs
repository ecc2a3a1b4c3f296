//! Items of a distributed Map: read from blobs one by one, put into batches, and their results written back.
//!
//! A reader holds one item and a buffer in memory, however large the file is. It reads the file the definition names
//! and nothing else; what it reads is as hostile as any input, so an item has a bound of its own.
//!
//! What it is NOT: the run of the items. It blocks on the disk: call it on a thread that may.
//! Specification: "ItemReader", "ItemBatcher" and "ResultWriter (Map)" of the AWS Step Functions Developer Guide.

mod batcher;
mod json;
mod listing;
mod manifest;
mod results;
mod table;
mod text;

use std::io::{BufReader, Read};
use std::str::FromStr;
use std::sync::Arc;

use headwater_base::Name;
use headwater_kernel::port::Columnar;
use headwater_store::blobs::{BlobId, Blobs, Reader};
use serde_json::{Map, Value};

use crate::execution::Failure;
use crate::limits::Limits;

pub use batcher::Batcher;
pub use results::{ChildResult, ResultWriter};

/// Items, one after the other; a failure is the last.
pub type Items = Box<dyn Iterator<Item = Result<Value, Failure>> + Send>;

/// Opens what an evaluated `ItemReader` names; `columnar` reads Parquet, where somebody here can.
///
/// # Errors
/// `States.ItemReaderFailed` when the reader is none, or what it names is not there; as the last item, when there are
/// too many.
pub fn open(reader: &Value, blobs: &Arc<Blobs>, columnar: Option<Columnar>, limits: &Limits) -> Result<Items, Failure> {
    let resource = reader.get("Resource").and_then(Value::as_str).unwrap_or_default();
    let config = Config { columnar, ..Config::of(reader, limits)? };
    let place = ["Parameters", "Arguments"].iter().find_map(|field| reader.get(*field)).unwrap_or(&Value::Null);
    let items: Items = match resource.rsplit("::").next().unwrap_or_default() {
        ":s3:getObject" | "s3:getObject" | "aws-sdk:s3:getObject" => {
            let (bucket, key) = (bucket(place)?, text_of(place, "Key")?);
            config.open(blobs, &bucket, &key)?
        }
        ":s3:listObjectsV2" | "s3:listObjectsV2" | "aws-sdk:s3:listObjectsV2" => {
            let prefix = place.get("Prefix").and_then(Value::as_str).unwrap_or_default();
            listing::open(&config, blobs, &bucket(place)?, prefix)?
        }
        ":blob:read" | "blob:read" => {
            let id = BlobId::from_str(&text_of(place, "Blob")?).map_err(|()| failed("`Blob` is no blob's name"))?;
            config.parse(source(blobs, id)?, blobs)?
        }
        _ => return Err(failed(format!("there is no reader `{resource}`"))),
    };
    let items = bounded(items, limits.reader_items_max);
    Ok(match config.count_max {
        Some(count) => Box::new(items.take(count)),
        None => Box::new(items),
    })
}

/// Items up to the first failure. More than there may be are one: a few bytes of a file can stand for any number.
fn bounded(items: Items, count_max: u64) -> impl Iterator<Item = Result<Value, Failure>> + Send {
    let mut items = items.zip(0_u64..);
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        let item = items.next().map(|(item, number)| {
            if number < count_max { item } else { Err(failed(format!("there are more than {count_max} items"))) }
        });
        over = !matches!(item, Some(Ok(_)));
        item
    })
}

/// Items of bytes at hand, for a state on trial: the reader's configuration applied to what it would have read.
///
/// # Errors
/// As [`open`].
pub fn of_text(reader: &Value, text: &str, limits: &Limits) -> Result<Vec<Value>, Failure> {
    let config = Config::of(reader, limits)?;
    if config.manifest.is_some() {
        return Err(failed("a manifest names files, which are not at hand here"));
    }
    let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
    let items = config.plain(Box::new(bytes))?;
    items.take(config.count_max.unwrap_or(limits.map_items_max)).collect()
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputType {
    Json,
    Lines,
    Csv,
    Parquet,
}

/// What names the files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manifest {
    /// Of Amazon S3 Inventory, which says what its files are.
    Inventory,
    /// Of a query of Amazon Athena, whose files are what `InputType` says.
    Athena,
}

/// How items are read.
#[derive(Clone, Debug)]
struct Config {
    input: InputType,
    manifest: Option<Manifest>,
    columnar: Option<Columnar>,
    /// The columns' names, where the file does not say.
    headers: Option<Vec<String>>,
    delimiter: u8,
    /// A JSON Pointer to the items inside a JSON file.
    pointer: Vec<String>,
    count_max: Option<usize>,
    /// Whether the files that are listed are read, instead of the list.
    flatten: bool,
    item_bytes_max: usize,
    depth_max: usize,
}

type Source = Box<dyn Read + Send>;

impl Config {
    fn of(reader: &Value, limits: &Limits) -> Result<Self, Failure> {
        let empty = Map::new();
        let config = reader.get("ReaderConfig").and_then(Value::as_object).unwrap_or(&empty);
        let text = |field: &str| config.get(field).and_then(Value::as_str);
        let manifest = match (text("ManifestType"), text("InputType")) {
            (Some("S3_INVENTORY"), _) | (None, Some("MANIFEST")) => Some(Manifest::Inventory),
            (Some("ATHENA_DATA"), None | Some("MANIFEST")) => {
                return Err(failed("an Athena manifest does not say what its files are; `InputType` does"));
            }
            (Some("ATHENA_DATA"), _) => Some(Manifest::Athena),
            (None, _) => None,
            (Some(other), _) => return Err(failed(format!("there is no `ManifestType` `{other}`"))),
        };
        let input = match text("InputType") {
            None | Some("JSON") => InputType::Json,
            Some("JSONL") => InputType::Lines,
            Some("CSV" | "MANIFEST") => InputType::Csv,
            Some("PARQUET") => InputType::Parquet,
            Some(other) => return Err(failed(format!("files of `InputType` `{other}` are not read"))),
        };
        let headers = match text("CSVHeaderLocation") {
            Some("GIVEN") => {
                let given = config.get("CSVHeaders").and_then(Value::as_array);
                let names: Option<Vec<String>> =
                    given.and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
                Some(names.ok_or_else(|| failed("`CSVHeaders` is a list of texts"))?)
            }
            None | Some("FIRST_ROW") => None,
            Some(other) => return Err(failed(format!("there is no `CSVHeaderLocation` `{other}`"))),
        };
        let delimiter = match text("CSVDelimiter") {
            None | Some("COMMA") => b',',
            Some("PIPE") => b'|',
            Some("SEMICOLON") => b';',
            Some("SPACE") => b' ',
            Some("TAB") => b'\t',
            Some(other) => return Err(failed(format!("there is no `CSVDelimiter` `{other}`"))),
        };
        let pointer = match text("ItemsPointer") {
            None | Some("") => Vec::new(),
            Some(pointer) => {
                let steps = pointer.strip_prefix('/').ok_or_else(|| failed("`ItemsPointer` begins with `/`"))?;
                steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
            }
        };
        let count_max = match config.get("MaxItems") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_u64() {
                Some(0) => None,
                Some(count) => Some(usize::try_from(count).unwrap_or(usize::MAX)),
                None => return Err(failed("`MaxItems` is a whole number")),
            },
        };
        let flatten = match text("Transformation") {
            None | Some("NONE") => false,
            Some("LOAD_AND_FLATTEN") => true,
            Some(other) => return Err(failed(format!("there is no `Transformation` `{other}`"))),
        };
        let (item_bytes_max, depth_max) = (limits.payload_bytes_max, limits.value_depth_max);
        Ok(Self {
            input,
            manifest,
            columnar: None,
            headers,
            delimiter,
            pointer,
            count_max,
            flatten,
            item_bytes_max,
            depth_max,
        })
    }

    /// The items of a named file.
    fn open(&self, blobs: &Arc<Blobs>, bucket: &Name, key: &str) -> Result<Items, Failure> {
        self.parse(named(blobs, bucket, key)?, blobs)
    }

    fn parse(&self, file: Reader, blobs: &Arc<Blobs>) -> Result<Items, Failure> {
        match self.manifest {
            Some(Manifest::Inventory) => manifest::inventory(self, file, blobs),
            Some(Manifest::Athena) => manifest::athena(self, file, blobs),
            None => self.file(file),
        }
    }

    /// The items of a file that names no other.
    fn file(&self, file: Reader) -> Result<Items, Failure> {
        if self.input != InputType::Parquet {
            return self.plain(Box::new(file));
        }
        let columnar = self.columnar.ok_or_else(|| failed("nobody here reads Parquet files"))?;
        let lines = columnar(file).map_err(|error| failed(error.to_string()))?;
        let lines = BufReader::with_capacity(64 * 1024, lines);
        Ok(Box::new(text::lines(lines, self.item_bytes_max, self.depth_max)))
    }

    /// The items of a text.
    fn plain(&self, source: Source) -> Result<Items, Failure> {
        let source = BufReader::with_capacity(64 * 1024, source);
        Ok(match self.input {
            InputType::Json => Box::new(json::Elements::open(source, self)?),
            InputType::Lines => Box::new(text::lines(source, self.item_bytes_max, self.depth_max)),
            InputType::Csv => Box::new(table::Rows::open(source, self)?),
            InputType::Parquet => return Err(failed("a Parquet file is no text")),
        })
    }
}

/// The bytes behind a name.
fn named(blobs: &Blobs, bucket: &Name, key: &str) -> Result<Reader, Failure> {
    let found = blobs.find(bucket, key).map_err(|error| failed(format!("the disk says: {error}")))?;
    let missing = || failed(format!("there is no `{key}` in `{bucket}`"));
    let id = BlobId::from_str(&found.ok_or_else(missing)?.blob).map_err(|()| missing())?;
    source(blobs, id)
}

fn source(blobs: &Blobs, id: BlobId) -> Result<Reader, Failure> {
    let reader = blobs.read(id).map_err(|error| failed(format!("the disk says: {error}")))?;
    reader.ok_or_else(|| failed(format!("there is no blob `{id}`")))
}

fn bucket(place: &Value) -> Result<Name, Failure> {
    let text = text_of(place, "Bucket")?;
    Name::new(&text).map_err(|problem| failed(problem.title))
}

fn text_of(place: &Value, field: &str) -> Result<String, Failure> {
    let text = place.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| failed(format!("`{field}` of the `ItemReader` is a text")))
}

fn failed(cause: impl Into<String>) -> Failure {
    Failure::new("States.ItemReaderFailed", cause)
}

/// The items of several files, each opened when its turn comes.
fn chained<F>(
    files: Vec<F>,
    mut open: impl FnMut(&F) -> Result<Items, Failure> + Send + 'static,
) -> impl Iterator<Item = Result<Value, Failure>> + Send
where
    F: Send + 'static,
{
    let no = |failure| Box::new(std::iter::once(Err(failure))) as Items;
    files.into_iter().flat_map(move |file| open(&file).unwrap_or_else(no))
}

/// Reads one item's text.
fn parse(text: &[u8], depth_max: usize) -> Result<Value, Failure> {
    let value: Value = serde_json::from_slice(text).map_err(|error| failed(format!("an item is no JSON: {error}")))?;
    if crate::size::of(&value).1 > depth_max {
        return Err(failed(format!("an item nests more than {depth_max} levels deep")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
