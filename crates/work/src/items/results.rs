//! `ResultWriter`: what the children of a distributed Map came to, as files.
//!
//! One file list for those that succeeded, one for those that failed, and a manifest that names them all. Without a
//! place to write to, the results are the state's own, in the shape the configuration asks for.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use headwater_base::{Micros, Name};
use headwater_store::blobs::{Blobs, Named, Writer};
use serde_json::{Map, Value, json};

use crate::execution::Failure;

/// A result file is closed at this size.
const FILE_BYTES: u64 = 64 << 20;

/// What one child came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildResult {
    /// Its name in full.
    pub arn: String,
    /// Its short name.
    pub name: String,
    /// Its state machine's name in full.
    pub machine_arn: String,
    /// What it began with.
    pub input: Value,
    /// Its output, or why it failed.
    pub outcome: Result<Value, Failure>,
    /// When it began.
    pub started: Micros,
    /// When it ended.
    pub stopped: Micros,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// With what is known of the child.
    None,
    /// The output alone.
    Compact,
    /// The output alone; an array's elements each for themselves.
    Flatten,
}

/// Writes results as they come, in any order.
pub struct ResultWriter<'a> {
    blobs: &'a Arc<Blobs>,
    place: Option<(Name, String)>,
    shape: Shape,
    lines: bool,
    arn: String,
    open: BTreeMap<&'static str, Open<'a>>,
    written: BTreeMap<&'static str, Vec<Value>>,
    now: Micros,
}

struct Open<'a> {
    writer: Writer<'a>,
    first: bool,
}

impl<'a> ResultWriter<'a> {
    /// Of an evaluated `ResultWriter` of the Map Run `arn`.
    ///
    /// # Errors
    /// `States.ResultWriterFailed` for a writer that is none.
    pub fn open(writer: &Value, arn: &str, blobs: &'a Arc<Blobs>, now: Micros) -> Result<Self, Failure> {
        let config = writer.get("WriterConfig");
        let option = |field: &str| config.and_then(|config| config.get(field)).and_then(Value::as_str);
        let shape = match option("Transformation") {
            None | Some("NONE") => Shape::None,
            Some("COMPACT") => Shape::Compact,
            Some("FLATTEN") => Shape::Flatten,
            Some(other) => return Err(failed(format!("there is no `Transformation` `{other}`"))),
        };
        let lines = match option("OutputType") {
            None | Some("JSON") => false,
            Some("JSONL") => true,
            Some(other) => return Err(failed(format!("there is no `OutputType` `{other}`"))),
        };
        let place = match writer.get("Resource").and_then(Value::as_str) {
            None => None,
            Some(resource) if resource.ends_with("s3:putObject") => Some(place(writer, arn)?),
            Some(other) => return Err(failed(format!("there is no writer `{other}`"))),
        };
        let (open, written) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { blobs, place, shape, lines, arn: arn.to_owned(), open, written, now })
    }

    /// Whether results go to files; otherwise they are the state's own ([`ResultWriter::own`]).
    pub fn to_files(&self) -> bool {
        self.place.is_some()
    }

    /// A child's result as an element of the state's own.
    pub fn own(&self, results: Vec<ChildResult>) -> Value {
        let mut shown = Vec::with_capacity(results.len());
        for result in &results {
            self.shown(result, &mut |value| shown.push(value));
        }
        Value::Array(shown)
    }

    /// Writes one child's result.
    ///
    /// # Errors
    /// `States.ResultWriterFailed` when the disk refuses.
    pub fn add(&mut self, result: &ChildResult) -> Result<(), Failure> {
        let kind = if result.outcome.is_ok() { "SUCCEEDED" } else { "FAILED" };
        let mut texts = Vec::new();
        self.shown(result, &mut |value| texts.push(value.to_string()));
        for text in texts {
            self.write(kind, &text).map_err(|error| broken(&error))?;
        }
        if self.open.get(kind).is_some_and(|open| open.writer.bytes() >= FILE_BYTES) {
            self.close(kind)?;
        }
        Ok(())
    }

    /// Closes the files and writes the manifest; answers the state's result.
    ///
    /// # Errors
    /// As [`ResultWriter::add`].
    pub fn finish(mut self) -> Result<Value, Failure> {
        for kind in ["FAILED", "PENDING", "SUCCEEDED"] {
            self.close(kind)?;
            self.written.entry(kind).or_default();
        }
        let Some((bucket, prefix)) = self.place.clone() else { return Ok(Value::Null) };
        let files: Map<String, Value> =
            self.written.iter().map(|(kind, files)| ((*kind).to_owned(), json!(files))).collect();
        let manifest = json!({ "DestinationBucket": bucket.as_str(), "MapRunArn": self.arn, "ResultFiles": files });
        let key = format!("{prefix}/manifest.json");
        let text = manifest.to_string();
        let id = self.blobs.put(text.as_bytes()).map_err(|error| broken(&error))?;
        self.name(&bucket, &key, &id.to_string(), text.len() as u64)?;
        let details = json!({ "Bucket": bucket.as_str(), "Key": key });
        Ok(json!({ "MapRunArn": self.arn, "ResultWriterDetails": details }))
    }

    fn shown(&self, result: &ChildResult, each: &mut dyn FnMut(Value)) {
        match (&result.outcome, self.shape) {
            (Ok(Value::Array(items)), Shape::Flatten) => items.iter().cloned().for_each(each),
            (Ok(output), Shape::Compact | Shape::Flatten) => each(output.clone()),
            _ => each(described(result)),
        }
    }

    fn write(&mut self, kind: &'static str, text: &str) -> io::Result<()> {
        let lines = self.lines;
        if !self.open.contains_key(kind) {
            self.open.insert(kind, Open { writer: self.blobs.writer()?, first: true });
        }
        let Some(open) = self.open.get_mut(kind) else { return Ok(()) };
        let first = std::mem::replace(&mut open.first, false);
        let before: &[u8] = match (first, lines) {
            (true, true) => b"",
            (true, false) => b"[",
            (false, true) => b"\n",
            (false, false) => b",",
        };
        open.writer.write(before)?;
        open.writer.write(text.as_bytes())
    }

    fn close(&mut self, kind: &'static str) -> Result<(), Failure> {
        let Some(mut open) = self.open.remove(kind) else { return Ok(()) };
        let end: &[u8] = if self.lines { b"\n" } else { b"]" };
        open.writer.write(end).map_err(|error| broken(&error))?;
        let (id, bytes) = open.writer.finish().map_err(|error| broken(&error))?;
        let Some((bucket, prefix)) = self.place.clone() else { return Ok(()) };
        let number = self.written.get(kind).map_or(0, Vec::len);
        let extension = if self.lines { "jsonl" } else { "json" };
        let key = format!("{prefix}/{kind}_{number}.{extension}");
        self.name(&bucket, &key, &id.to_string(), bytes)?;
        self.written.entry(kind).or_default().push(json!({ "Key": key, "Size": bytes }));
        Ok(())
    }

    fn name(&self, bucket: &Name, key: &str, blob: &str, bytes: u64) -> Result<(), Failure> {
        let named = Named { key: key.to_owned(), blob: blob.to_owned(), bytes, written: self.now };
        self.blobs.name(bucket, &named).map_err(|error| broken(&error))
    }
}

/// The bucket, and the folder of this Map Run in it.
fn place(writer: &Value, arn: &str) -> Result<(Name, String), Failure> {
    let parameters = ["Parameters", "Arguments"].iter().find_map(|field| writer.get(*field)).unwrap_or(&Value::Null);
    let text = |field: &str| parameters.get(field).and_then(Value::as_str);
    let bucket = text("Bucket").ok_or_else(|| failed("`Bucket` of the `ResultWriter` is a text"))?;
    let bucket = Name::new(bucket).map_err(|problem| failed(problem.title))?;
    let run = arn.rsplit(':').next().unwrap_or(arn);
    let prefix = text("Prefix").map(|prefix| prefix.trim_end_matches('/')).filter(|prefix| !prefix.is_empty());
    Ok((bucket, prefix.map_or_else(|| run.to_owned(), |prefix| format!("{prefix}/{run}"))))
}

fn described(result: &ChildResult) -> Value {
    let mut fields = json!({
        "ExecutionArn": result.arn,
        "Input": result.input.to_string(),
        "InputDetails": { "Included": true },
        "Name": result.name,
        "StartDate": result.started.to_string(),
        "StateMachineArn": result.machine_arn,
        "StopDate": result.stopped.to_string(),
    });
    if let Some(fields) = fields.as_object_mut() {
        match &result.outcome {
            Ok(output) => {
                fields.insert("Output".to_owned(), json!(output.to_string()));
                fields.insert("OutputDetails".to_owned(), json!({ "Included": true }));
                fields.insert("Status".to_owned(), json!("SUCCEEDED"));
            }
            Err(failure) => {
                fields.extend(failure.error.iter().map(|error| ("Error".to_owned(), json!(error))));
                fields.extend(failure.cause.iter().map(|cause| ("Cause".to_owned(), json!(cause))));
                fields.insert("Status".to_owned(), json!("FAILED"));
            }
        }
    }
    fields
}

fn failed(cause: impl Into<String>) -> Failure {
    Failure::new("States.ResultWriterFailed", cause)
}

fn broken(error: &io::Error) -> Failure {
    failed(format!("the disk says: {error}"))
}
