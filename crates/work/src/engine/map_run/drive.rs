//! Driving a Map Run: chunk after chunk of children, each chunk's results and the cursor in one commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::HashSet;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use headwater_base::{Name, partition_of};
use headwater_kernel::port::workflows::ExecutionState;
use headwater_log::{Append, View};
use headwater_wire::batch::{self, Builder, Compression};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::record::{self, Progress};
use crate::definition::{Definition, Flavor};
use crate::engine::queue::Command;
use crate::engine::rows::{self, Head, Key, Tag};
use crate::engine::{Inner, identity, state_of, status_text, view_ended};
use crate::execution::{Attempt, Begin, Execution, Failure, Item, MapRun};
use crate::items::{self, Batcher};

/// Children of one chunk.
const CHUNK: usize = 2_000;
/// Children at once where the definition sets no bound, and at most.
const AT_ONCE_MAX: usize = 1_000;
/// A batch of results is closed at this size.
const BATCH_BYTES: usize = 512 * 1024;

/// One child to run.
struct Child {
    number: u64,
    item: Option<Item>,
    input: Value,
}

/// How a child ended.
struct Ended {
    number: u64,
    state: ExecutionState,
    output: Option<Bytes>,
    failure: Failure,
}

/// What a run of children needs.
struct Map<'a> {
    inner: &'a Arc<Inner>,
    run: &'a MapRun,
    head: &'a Head,
    definition: &'a Definition,
    children: &'a Mutex<HashSet<Key>>,
}

/// Runs a Map Run from where it stands. None when it is not wanted any more.
pub(super) async fn run(
    inner: &Arc<Inner>,
    key: Key,
    attempt: Attempt,
    children: &Mutex<HashSet<Key>>,
) -> Option<Result<Value, Failure>> {
    let space = rows::space_of(rows::shard_of(&key));
    let rest = rows::attempt_bytes(&attempt);
    let run = record::decode(&inner.log.get(&space, &rows::row(&key, Tag::MapRun, &rest), View::Durable)?)?;
    let head = Head::decode(&inner.log.get(&space, &rows::row(&key, Tag::Head, &[]), View::Durable)?).ok()?;
    let definition = inner.definition(&head.definition, false).ok()?;
    let progress_row = rows::row(&key, Tag::Progress, &rest);
    let stored = inner.log.get(&space, &progress_row, View::Durable);
    let stream = Name::new(super::STREAM).ok()?;
    let partition = partition_of(run.arn.as_bytes(), rows::SHARDS.try_into().unwrap_or(1));
    let end = inner.log.ends(&stream, partition).map_or(0, |ends| ends.appended);
    let mut progress = stored.and_then(|bytes| Progress::decode(&bytes)).unwrap_or_else(|| Progress {
        arn: run.arn.clone(),
        execution_arn: identity(&head.workflow, &head.name).execution_arn,
        status: "RUNNING".to_owned(),
        started: inner.clock.now(),
        stopped: None,
        next: 0,
        total: 0,
        succeeded: 0,
        failed: 0,
        timed_out: 0,
        aborted: 0,
        concurrency: run.concurrency,
        tolerance: run.tolerance,
        first: end,
    });
    let map = Map { inner, run: &run, head: &head, definition: &definition, children };
    let execution = inner.stored(&key, &head).ok()?;
    let opened = tokio::task::block_in_place(|| Source::open(inner, &run, &execution, &definition, progress.next));
    let mut source = match opened {
        Ok(source) => source,
        Err(failure) => {
            map.note(&key, &progress_row, &mut progress, Vec::new(), Some("FAILED")).await?;
            return Some(Err(failure));
        }
    };
    let mut results = Results::default();
    if run.writer.is_none() && progress.next > 0 {
        results.read(inner, &stream, partition, &progress);
    }
    loop {
        if let Some(bounds) = inner.maps_bounds.lock().remove(&(key, attempt)) {
            progress.concurrency = bounds.concurrency.unwrap_or(progress.concurrency);
            progress.tolerance.count = bounds.count.or(progress.tolerance.count);
            progress.tolerance.percentage = bounds.percentage.or(progress.tolerance.percentage);
        }
        let chunk = match tokio::task::block_in_place(|| source.next(CHUNK)) {
            Ok(chunk) => chunk,
            Err(failure) => {
                map.note(&key, &progress_row, &mut progress, Vec::new(), Some("FAILED")).await?;
                return Some(Err(failure));
            }
        };
        progress.total = progress.next + chunk.len() as u64 + source.left;
        if chunk.is_empty() {
            break;
        }
        let width = usize::try_from(progress.concurrency).unwrap_or(AT_ONCE_MAX);
        let width = if width == 0 { AT_ONCE_MAX } else { width.min(AT_ONCE_MAX) };
        let ended: Vec<Option<Ended>> =
            futures::stream::iter(chunk).map(|child| map.child(child)).buffered(width).collect().await;
        let mut open = Pieces::new(&stream, partition, &run.arn, inner.clock.now().millis());
        for ended in ended {
            let ended = ended?;
            progress.next += 1;
            match ended.state {
                ExecutionState::Succeeded => progress.succeeded += 1,
                ExecutionState::TimedOut => progress.timed_out += 1,
                ExecutionState::Aborted => progress.aborted += 1,
                _ => progress.failed += 1,
            }
            open.add(&ended);
            if run.writer.is_none() {
                results.add(&ended, inner.limits.payload_bytes_max);
            }
        }
        inner.figures.items.fetch_add(open.count, Ordering::Relaxed);
        let over = !progress.tolerance.bears(progress.lost(), progress.total);
        let status = over.then_some("FAILED");
        map.note(&key, &progress_row, &mut progress, open.finish(), status).await?;
        if over {
            let cause = "The specified tolerated failure threshold was exceeded";
            return Some(Err(Failure::new("States.ExceedToleratedFailureThreshold", cause)));
        }
    }
    map.note(&key, &progress_row, &mut progress, Vec::new(), Some("SUCCEEDED")).await?;
    if run.writer.is_some() {
        let place = json!({"Stream": super::STREAM, "Partition": partition, "Offset": progress.first});
        return Some(Ok(json!({"MapRunArn": run.arn, "ResultWriterDetails": place})));
    }
    Some(results.finish())
}

impl Map<'_> {
    /// Runs one child to its end. None when the engine stops.
    async fn child(&self, child: Child) -> Option<Ended> {
        let Child { number, item, input } = child;
        let name = self.name(number);
        let mut identity = identity(&self.head.workflow, &name);
        identity.execution_arn = identity.execution_arn.replacen(
            &format!(":{}:", self.head.workflow),
            &format!(":{}/{}:", self.head.workflow, self.run.label),
            1,
        );
        let express = self.run.flavor == Flavor::Express;
        if express {
            let begin = Begin { identity, flavor: Flavor::Express, machine: self.run.machine, input, item };
            let id = format!("{}/{name}", self.head.workflow);
            let done = self.inner.express(&id, self.head.cause.clone(), self.definition, begin).await;
            let status = match done {
                Ok(run) => run.execution.status,
                Err(problem) => crate::execution::Status::Failed(Failure::new("States.Runtime", problem.title)),
            };
            let head = Head { state: state_of(&status), ..self.head.clone() };
            let view = view_ended(&head, None, &status);
            let failure = Failure { error: view.error, cause: view.cause };
            return Some(Ended { number, state: view.state, output: view.output, failure });
        }
        self.stored(number, name, item, input).await
    }

    /// Runs a Standard child, or finds it.
    async fn stored(&self, number: u64, name: String, item: Option<Item>, input: Value) -> Option<Ended> {
        let input = Bytes::from(input.to_string());
        let digest = crate::hash::sha256(&input);
        let key = rows::key_of(&self.head.workflow, &name);
        let head = Head {
            name,
            machine: self.run.machine,
            express: false,
            state: ExecutionState::Running,
            started: self.inner.clock.now(),
            stopped: None,
            input: digest.first_chunk().copied().unwrap_or_default(),
            first: -1,
            last: -1,
            events: 0,
            threads: Vec::new(),
            parent: None,
            maps: Vec::new(),
            map_run: Some(self.run.arn.clone()),
            ..self.head.clone()
        };
        let id = head.id();
        let ended = self.inner.ended(key);
        self.children.lock().insert(key);
        let view = match self.inner.start_stored(head, input, item).await {
            Ok(_) => ended.await.ok()?,
            // It had ended before a crash.
            Err(problem) if problem.code == crate::tasks::NAME_TAKEN => self.inner.describe(&id).ok()?,
            Err(problem) => {
                self.children.lock().remove(&key);
                let failure = Failure::new("States.Runtime", problem.title);
                return Some(Ended { number, state: ExecutionState::Failed, output: None, failure });
            }
        };
        self.children.lock().remove(&key);
        let failure = Failure { error: view.error, cause: view.cause };
        Some(Ended { number, state: view.state, output: view.output, failure })
    }

    /// A child's name: the same for each try of the run.
    fn name(&self, number: u64) -> String {
        let run = self.run.arn.rsplit(':').next().unwrap_or_default();
        format!("{run}-{number}")
    }

    /// Writes down results and how far the run is. None when the engine stops.
    async fn note(
        &self,
        key: &Key,
        row: &Bytes,
        progress: &mut Progress,
        appends: Vec<Append>,
        status: Option<&str>,
    ) -> Option<()> {
        if let Some(status) = status {
            progress.status = status.to_owned();
            progress.stopped = Some(self.inner.clock.now());
        }
        let (reply, noted) = oneshot::channel();
        let deltas = vec![(row.clone(), Some(progress.encode()))];
        self.inner.push_to(key, Command::Note { deltas, appends, reply });
        noted.await.ok()?.ok().map(drop)
    }
}

/// Where children come from: items at hand or read from a file, alone or in batches.
struct Source<'a> {
    items: Box<dyn Iterator<Item = Result<(Item, Value), Failure>> + Send + 'a>,
    batcher: Option<Batcher>,
    next: u64,
    /// Items at hand that are not taken.
    left: u64,
}

impl<'a> Source<'a> {
    fn open(
        inner: &'a Inner,
        run: &MapRun,
        execution: &'a Execution,
        definition: &'a Definition,
        from: u64,
    ) -> Result<Self, Failure> {
        let left = if run.reader.is_some() { 0 } else { run.items.len() as u64 };
        let items: Box<dyn Iterator<Item = Result<(Item, Value), Failure>> + Send + 'a> = match &run.reader {
            None => Box::new(run.items.clone().into_iter().map(Ok)),
            Some(reader) => {
                let missing = || Failure::new("States.ItemReaderFailed", "there are no blobs here");
                let blobs = inner.services.blobs.as_ref().ok_or_else(missing)?;
                let (attempt, key) = (run.attempt, rows::key_of("map", &run.arn));
                let read = items::open(reader, blobs, &inner.limits)?;
                Box::new((0..).zip(read).map(move |(index, value)| {
                    let item = Item { index, value: value? };
                    let input = inner.step_in(&key, |given| execution.item_input(definition, attempt, &item, given))?;
                    Ok((item, input))
                }))
            }
        };
        let batcher = run.batcher.as_ref().map(Batcher::of).transpose()?;
        let mut source = Self { items, batcher, next: 0, left };
        // What was done before a restart is read again and passed over.
        while source.next < from {
            if source.child()?.is_none() {
                break;
            }
        }
        Ok(source)
    }

    fn next(&mut self, count: usize) -> Result<Vec<Child>, Failure> {
        let mut chunk = Vec::new();
        while chunk.len() < count {
            let Some(child) = self.child()? else { break };
            chunk.push(child);
        }
        Ok(chunk)
    }

    fn child(&mut self) -> Result<Option<Child>, Failure> {
        loop {
            let item = self.items.next().transpose()?;
            self.left = self.left.saturating_sub(u64::from(item.is_some()));
            let (item, input) = match (&mut self.batcher, item) {
                (None, None) => return Ok(None),
                (None, Some((item, input))) => (Some(item), input),
                (Some(batcher), Some((_, input))) => match batcher.add(input) {
                    Some(batch) => (None, batch),
                    None => continue,
                },
                (Some(batcher), None) => match batcher.finish() {
                    Some(batch) => (None, batch),
                    None => return Ok(None),
                },
            };
            let number = self.next;
            self.next += 1;
            return Ok(Some(Child { number, item, input }));
        }
    }
}

/// Results as records.
struct Pieces<'a> {
    stream: &'a Name,
    partition: u32,
    arn: &'a str,
    time_ms: i64,
    done: BytesMut,
    builder: Builder,
    count: u64,
}

impl<'a> Pieces<'a> {
    fn new(stream: &'a Name, partition: u32, arn: &'a str, time_ms: i64) -> Self {
        Self {
            stream,
            partition,
            arn,
            time_ms,
            done: BytesMut::new(),
            builder: Builder::new(Compression::None),
            count: 0,
        }
    }

    fn add(&mut self, ended: &Ended) {
        let mut value =
            format!("{{\"Index\":{},\"Status\":\"{}\"", ended.number, status_text(ended.state)).into_bytes();
        if let Some(output) = &ended.output {
            value.extend_from_slice(b",\"Output\":");
            value.extend_from_slice(output);
        }
        for (name, text) in [("Error", &ended.failure.error), ("Cause", &ended.failure.cause)] {
            if let Some(text) = text {
                value.extend_from_slice(format!(",\"{name}\":{}", json!(text)).as_bytes());
            }
        }
        value.push(b'}');
        if !self.builder.is_empty() && self.builder.bytes() + value.len() > BATCH_BYTES {
            let builder = std::mem::replace(&mut self.builder, Builder::new(Compression::None));
            self.done.unsplit(builder.finish());
        }
        self.builder.push(self.time_ms, Some(self.arn.as_bytes()), Some(&value), &[]);
        self.count += 1;
    }

    fn finish(mut self) -> Vec<Append> {
        if !self.builder.is_empty() {
            self.done.unsplit(self.builder.finish());
        }
        if self.done.is_empty() {
            return Vec::new();
        }
        vec![Append { stream: self.stream.clone(), partition: self.partition, batches: self.done }]
    }
}

/// The outputs of all children, as far as a payload may hold them.
#[derive(Default)]
struct Results {
    outputs: Vec<Value>,
    bytes: usize,
    too_large: bool,
}

impl Results {
    fn add(&mut self, ended: &Ended, bytes_max: usize) {
        let output = ended.output.as_deref().unwrap_or(b"null");
        self.bytes += output.len() + 1;
        if self.too_large || self.bytes > bytes_max {
            self.too_large = true;
            self.outputs.clear();
            return;
        }
        let value = match (&ended.output, ended.state) {
            (Some(output), _) => serde_json::from_slice(output).unwrap_or_default(),
            _ => json!({"Error": ended.failure.error, "Cause": ended.failure.cause}),
        };
        self.outputs.push(value);
    }

    /// The results that were durable before a restart.
    fn read(&mut self, inner: &Inner, stream: &Name, partition: u32, progress: &Progress) {
        let mut from = progress.first;
        let mut seen = 0;
        while seen < progress.next {
            let Ok(fetched) = inner.log.read(stream, partition, from, 1 << 20, View::Durable) else { break };
            if fetched.batches.is_empty() {
                break;
            }
            for found in batch::split(&fetched.batches) {
                let Ok((header, range)) = found else { return };
                from = header.last_offset() + 1;
                let Ok(records) = batch::records(&fetched.batches.slice(range), 64 << 20) else { return };
                for record in records.flatten() {
                    if record.key.as_deref() != Some(progress.arn.as_bytes()) || record.offset < progress.first {
                        continue;
                    }
                    let Ok(value) = serde_json::from_slice::<Value>(record.value.as_deref().unwrap_or_default()) else {
                        continue;
                    };
                    if value["Index"].as_u64() != Some(seen) {
                        continue;
                    }
                    let text = |field: &str| value[field].as_str().map(str::to_owned);
                    let state = crate::engine::state_named(value["Status"].as_str().unwrap_or_default());
                    let ended = Ended {
                        number: seen,
                        state: state.unwrap_or(ExecutionState::Failed),
                        output: value.get("Output").map(|output| Bytes::from(output.to_string())),
                        failure: Failure { error: text("Error"), cause: text("Cause") },
                    };
                    self.add(&ended, inner.limits.payload_bytes_max);
                    seen += 1;
                }
            }
        }
    }

    fn finish(self) -> Result<Value, Failure> {
        if self.too_large {
            let cause = "the outputs of the Map Run's items are too large for a payload; give it a ResultWriter";
            return Err(Failure::new("States.DataLimitExceeded", cause));
        }
        Ok(Value::Array(self.outputs))
    }
}
