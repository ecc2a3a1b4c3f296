//! What is crashed: an engine on a disk, its workflows, and what their executions begin with.
//!
//! What it is NOT: it starts nothing and judges nothing.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Clock, Limits, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::{Context, Secrets};
use headwater_log::{EmbeddedLog, Log, View};
use headwater_store::blobs::Blobs;
use headwater_store::disk::Disk;
use headwater_wire::batch::{self, Record};
use headwater_work::Engine;
use headwater_work::engine::{Parts, Unknown, Workflow};
use headwater_work::tasks::{Services, Settings};
use serde_json::{Value, json};

/// The stream that executions publish to.
pub const OUT: &str = "out";
/// Where Map Runs write their files.
pub const BUCKET: &str = "results";
/// The folder in it.
pub const PREFIX: &str = "out";
/// The activity that long executions wait for.
pub const ACTIVITY: &str = "work";
/// Rounds of a long execution.
pub const ROUNDS: u64 = 12;
/// Items of a Map Run.
pub const ITEMS: u64 = 6;
/// How long ended executions are kept that are looked at in the end.
const DAY_S: u64 = 86_400;

/// An engine with what it works on.
pub struct House {
    pub engine: Engine,
    pub log: Arc<EmbeddedLog>,
    pub blobs: Arc<Blobs>,
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, _: &str) -> Result<Bytes, Problem> {
        Err(Problem::new("HW-KERNEL-018", "there are no secrets here"))
    }
}

impl House {
    /// Opens an engine that knows the workflows.
    pub async fn open(
        log: &Arc<EmbeddedLog>,
        clock: Arc<dyn Clock>,
        disk: Arc<dyn Disk>,
        folder: &Path,
        secret: u64,
    ) -> Result<Self, Problem> {
        if log.stream(OUT).is_none() {
            let created = log.create(Name::new(OUT)?, default_config(&Limits::default()), Vec::new()).await;
            created.map_err(|error| Problem::new("HW-WORK-034", error.to_string()))?;
        }
        let shared: Arc<dyn Log> = log.clone();
        let context = Context {
            folder: std::env::temp_dir().join("headwater-crash"),
            secrets: Arc::new(NoSecrets),
            tables: None,
            log: Some(shared.clone()),
        };
        let blobs = Blobs::open(disk, folder.join("blobs"));
        let blobs = Arc::new(blobs.map_err(|error| Problem::new("HW-WORK-051", error.to_string()))?);
        let parts = Parts {
            services: Services { blobs: Some(blobs.clone()), ..Services::new(context, Settings::default())? },
            log: shared,
            clock,
            node_limits: Arc::new(Limits::default()),
            limits: headwater_work::Limits::default(),
            handle: tokio::runtime::Handle::current(),
            secret: std::array::from_fn(|at| secret.to_le_bytes()[at % 8]),
            tasks_in_flight: NonZeroUsize::MIN.saturating_add(63),
        };
        let engine = Engine::open(parts).await?;
        for (name, kept_s, definition) in workflows() {
            let workflow = Workflow::new(name, 1, &definition.to_string(), false, Unknown::Retry, kept_s);
            if let Err(problem) = engine.register(workflow).await {
                // Its threads hold the log, for whose end the next life waits.
                engine.close().await;
                return Err(problem);
            }
        }
        Ok(Self { engine, log: log.clone(), blobs })
    }

    /// Ends it without a word to the disk beyond what is under way.
    pub async fn close(self) {
        self.engine.close().await;
    }

    /// Looks at every durable record of a stream that is kept, with its partition.
    pub fn each(&self, stream: &str, look: &mut dyn FnMut(u32, &Record)) -> Result<(), String> {
        let name = Name::new(stream).unwrap();
        for partition in 0..self.log.stream(stream).map_or(0, |stream| stream.config.partitions) {
            let mut from = self.log.ends(&name, partition).map_err(|error| error.to_string())?.start;
            loop {
                let fetched = self.log.read(&name, partition, from, 1 << 20, View::Durable);
                let fetched = fetched.map_err(|error| error.to_string())?;
                if fetched.batches.is_empty() {
                    break;
                }
                for found in fetched.batches.each() {
                    let (header, batch) = found.map_err(|error| error.to_string())?;
                    from = header.last_offset() + 1;
                    for record in batch::records(&batch, 1 << 24).unwrap() {
                        look(partition, &record.unwrap());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Workflows: name, how many seconds ended executions are kept, definition.
fn workflows() -> [(&'static str, u64, Value); 5] {
    let child = json!({"StartAt": "C", "States": {"C": publish("step", "child", &json!({"Next": "W"})),
        "W": {"Type": "Wait", "Seconds": 1, "End": true}}});
    let parent = json!({"StartAt": "A", "States": {
        "A": publish("step", "first", &json!({"Next": "W"})),
        "W": {"Type": "Wait", "Seconds": 1, "Next": "S"},
        "S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": "child", "Input.$": "$"},
            "ResultSelector": {"padding.$": "$.Output.padding"}, "ResultPath": "$.back", "Next": "Z"},
        "Z": publish("step", "last", &json!({"End": true}))}});
    let spread = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemsPath": "$.items",
        "MaxConcurrency": 3,
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": BUCKET, "Prefix": PREFIX}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P", "States": {"P": publish("step.$", "$.step", &json!({"Next": "W"})),
                "W": {"Type": "Wait", "SecondsPath": "$.seconds", "End": true}}}}}});
    let long = json!({"StartAt": "A", "States": {
        "A": {"Type": "Task", "Resource": format!("arn:aws:states:us-east-1:000000000000:activity:{ACTIVITY}"),
            "Parameters": {"round.$": "$.round"}, "ResultPath": "$.round", "Next": "C"},
        "C": {"Type": "Choice", "Default": "A",
            "Choices": [{"Variable": "$.round", "NumericGreaterThanEquals": ROUNDS, "Next": "D"}]},
        "D": {"Type": "Succeed"}}});
    let short = json!({"StartAt": "P", "States": {"P": publish("step", "short", &json!({"End": true}))}});
    [
        ("child", DAY_S, child),
        ("parent", DAY_S, parent),
        ("spread", DAY_S, spread),
        ("long", DAY_S, long),
        ("short", 0, short),
    ]
}

/// A state that publishes whose record it is and which.
fn publish(field: &str, step: &str, next: &Value) -> Value {
    let mut value = json!({"id.$": "$.id"});
    value[field] = json!(step);
    let mut state = json!({"Type": "Task", "Resource": "arn:headwater:work:::stream:publish", "ResultPath": null,
        "Parameters": {"Stream": OUT, "Value": value}});
    let more = next.as_object().cloned().unwrap_or_default();
    state.as_object_mut().unwrap().extend(more);
    state
}

/// Whether an execution is a distributed Map.
pub fn is_spread(number: u64) -> bool {
    number % 16 == 9
}

/// Whether its payload is a blob wherever it goes; that of a Map is so in any case.
pub fn is_padded(number: u64) -> bool {
    number.is_multiple_of(5)
}

/// The id of an execution.
pub fn id(number: u64) -> String {
    format!("{}/n{number}", if is_spread(number) { "spread" } else { "parent" })
}

/// What an execution begins with.
pub fn input(number: u64) -> Value {
    if is_spread(number) {
        let items: Vec<Value> = (0..ITEMS).map(|at| item(number, at)).collect();
        return json!({"id": number, "items": items});
    }
    let padding = if is_padded(number) { padding(number, 60_000) } else { String::new() };
    json!({"id": number, "padding": padding})
}

/// What an item of a Map begins with: those of every third end at once, all others after a second.
pub fn item(number: u64, at: u64) -> Value {
    let seconds = u64::from(!at.is_multiple_of(3));
    json!({"id": number, "padding": padding(number, 6_000), "seconds": seconds, "step": step(at)})
}

/// The step of an item's record.
pub fn step(at: u64) -> String {
    format!("item{at}")
}

/// A text of at least `bytes` bytes that nobody else has.
pub fn padding(number: u64, bytes: usize) -> String {
    let text = format!("{number:03}");
    text.repeat(bytes.div_ceil(text.len()))
}
