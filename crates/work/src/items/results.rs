//! `ResultWriter`: what the children of a distributed Map came to, as files.
//!
//! One file list for those that succeeded, one for those that failed, and a manifest that names them all. Without a
//! place to write to, the results are the state's own, in the shape the configuration asks for.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use headwater_base::{Micros, Name};
use headwater_store::blobs::{Blobs, Named, Writer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::execution::Failure;
use crate::execution::history::{Fields, text};

/// A result file is closed at this size.
const FILE_BYTES: u64 = 64 << 20;
/// Bytes that are written at once.
const AHEAD_BYTES: usize = 256 * 1024;

/// What one child came to.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildResult {
    /// Its name in full.
    pub arn: String,
    /// Its short name.
    pub name: String,
    /// Its state machine's name in full.
    pub machine_arn: String,
    /// What it began with, as JSON text.
    pub input: String,
    /// Its state by the service's word; `PENDING` where it never began.
    pub status: &'static str,
    /// Its output as JSON text, or why there is none.
    pub outcome: Result<String, Failure>,
    /// When it began.
    pub started: Option<Micros>,
    /// When it ended.
    pub stopped: Option<Micros>,
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
    /// What is not written yet.
    ahead: Vec<u8>,
    first: bool,
}

impl Open<'_> {
    fn flush(&mut self) -> io::Result<()> {
        self.writer.write(&self.ahead)?;
        self.ahead.clear();
        Ok(())
    }
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
            let mut take = |text: &[u8]| shown.push(serde_json::from_slice(text).unwrap_or_default());
            self.shown(result, &mut take);
        }
        Value::Array(shown)
    }

    /// Writes one child's result.
    ///
    /// # Errors
    /// `States.ResultWriterFailed` when the disk refuses.
    pub fn add(&mut self, result: &ChildResult) -> Result<(), Failure> {
        let kind = match result.status {
            kind @ ("SUCCEEDED" | "PENDING") => kind,
            _ => "FAILED",
        };
        if !self.open.contains_key(kind) {
            let writer = self.blobs.writer().map_err(|error| broken(&error))?;
            self.open.insert(kind, Open { writer, ahead: Vec::new(), first: true });
        }
        let Some(mut open) = self.open.remove(kind) else { return Ok(()) };
        let (start, between): (&[u8], u8) = if self.lines { (b"", b'\n') } else { (b"[", b',') };
        self.shown(result, &mut |text| {
            if std::mem::replace(&mut open.first, false) {
                open.ahead.extend_from_slice(start);
            } else {
                open.ahead.push(between);
            }
            open.ahead.extend_from_slice(text);
        });
        let flushed = if open.ahead.len() >= AHEAD_BYTES { open.flush() } else { Ok(()) };
        let full = open.writer.bytes() >= FILE_BYTES;
        self.open.insert(kind, open);
        flushed.map_err(|error| broken(&error))?;
        if full {
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

    /// The JSON texts of a result.
    fn shown(&self, result: &ChildResult, each: &mut dyn FnMut(&[u8])) {
        match (&result.outcome, self.shape) {
            (Ok(output), Shape::Flatten) => match serde_json::from_str::<Vec<&RawValue>>(output) {
                Ok(items) => items.iter().for_each(|item| each(item.get().as_bytes())),
                Err(_) => each(output.as_bytes()),
            },
            (Ok(output), Shape::Compact) => each(output.as_bytes()),
            _ => each(&described(result)),
        }
    }

    fn close(&mut self, kind: &'static str) -> Result<(), Failure> {
        let Some(mut open) = self.open.remove(kind) else { return Ok(()) };
        // Of empty lists that were flattened nothing stands there.
        let ending: &[u8] = match (self.lines, open.first) {
            (true, true) => b"",
            (true, false) => b"\n",
            (false, true) => b"[]",
            (false, false) => b"]",
        };
        open.ahead.extend_from_slice(ending);
        open.flush().map_err(|error| broken(&error))?;
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

fn described(result: &ChildResult) -> Vec<u8> {
    const INCLUDED: &[u8] = br#"{"Included":true}"#;
    let mut out = Vec::with_capacity(512);
    let mut fields = Fields::open(&mut out);
    text(&result.arn, fields.field("ExecutionArn"));
    text(&result.input, fields.field("Input"));
    fields.field("InputDetails").extend_from_slice(INCLUDED);
    text(&result.name, fields.field("Name"));
    match &result.outcome {
        Ok(output) => {
            text(output, fields.field("Output"));
            fields.field("OutputDetails").extend_from_slice(INCLUDED);
        }
        Err(failure) => {
            for (name, shown) in [("Error", &failure.error), ("Cause", &failure.cause)] {
                if let Some(shown) = shown {
                    text(shown, fields.field(name));
                }
            }
        }
    }
    for (name, at) in [("StartDate", result.started), ("StopDate", result.stopped)] {
        if let Some(at) = at {
            text(&at.to_string(), fields.field(name));
        }
    }
    text(&result.machine_arn, fields.field("StateMachineArn"));
    text(result.status, fields.field("Status"));
    fields.close();
    out
}

fn failed(cause: impl Into<String>) -> Failure {
    Failure::new("States.ResultWriterFailed", cause)
}

fn broken(error: &io::Error) -> Failure {
    failed(format!("the disk says: {error}"))
}
