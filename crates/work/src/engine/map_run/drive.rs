//! Driving a Map Run: chunk after chunk of children, each chunk's results and the cursor in one commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::HashSet;
use bytes::Bytes;
use futures::StreamExt;
use headwater_base::{Micros, Name, partition_of};
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView};
use headwater_log::{Append, View};
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::record::{self, Progress};
use super::results::{Ended, Pieces, Place, Record, Results};
use super::source::{Child, Source};
use crate::definition::{Definition, Flavor};
use crate::engine::queue::Command;
use crate::engine::rows::{self, Head, Key, Tag};
use crate::engine::{Inner, identity, state_of, status_text};
use crate::execution::{Attempt, Begin, Failure, Identity, Item, MapRun, Status};
use crate::items::{ChildResult, ResultWriter};

/// Children of one chunk.
const CHUNK: usize = 2_000;
/// Children at once where the definition sets no bound, and at most.
const AT_ONCE_MAX: usize = 1_000;
/// The largest output of a child: its record has to fit into a batch.
const OUTPUT_BYTES_MAX: usize = 512 * 1024;

/// What a run of children needs.
struct Map<'a> {
    inner: &'a Arc<Inner>,
    run: &'a MapRun,
    head: &'a Head,
    definition: &'a Definition,
    children: &'a Mutex<HashSet<Key>>,
    place: Place,
    /// Where the run's progress is.
    key: Key,
    row: Bytes,
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
    let row = rows::row(&key, Tag::Progress, &rest);
    let stored = inner.log.get(&space, &row, View::Durable);
    let partition = partition_of(run.arn.as_bytes(), rows::SHARDS.try_into().unwrap_or(1));
    let place = Place { stream: Name::new(super::STREAM).ok()?, partition };
    let end = inner.log.ends(&place.stream, partition).map_or(0, |ends| ends.appended);
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
        redrives: 0,
        redriven: None,
    });
    let map = Map { inner, run: &run, head: &head, definition: &definition, children, place, key, row };
    let execution = inner.stored(&key, &head).ok()?;
    let opened = tokio::task::block_in_place(|| Source::open(inner, &run, &execution, &definition, progress.next));
    let mut source = match opened {
        Ok(source) => source,
        Err(failure) => return map.failed(&mut progress, failure).await,
    };
    let outcome = map.children(attempt, &mut source, &mut progress).await?;
    let outcome = match outcome {
        Ok(results) => tokio::task::block_in_place(|| map.result(&mut progress, results, &mut source)),
        Err(failure) => {
            // What there is of results is written all the same; why the run failed is what counts.
            let written = tokio::task::block_in_place(|| map.files(&progress, &mut source));
            if let Err(problem) = written {
                tracing::warn!(run = progress.arn, cause = problem.cause, "results of a Map Run are not written");
            }
            Err(failure)
        }
    };
    match outcome {
        Ok(value) => map.note(&mut progress, Vec::new(), Some("SUCCEEDED")).await.map(|()| Ok(value)),
        Err(failure) => map.failed(&mut progress, failure).await,
    }
}

impl Map<'_> {
    /// Runs all children that are left. None when the engine stops.
    async fn children(
        &self,
        attempt: Attempt,
        source: &mut Source<'_>,
        progress: &mut Progress,
    ) -> Option<Result<Results, Failure>> {
        let inner = self.inner;
        let succeeded = tokio::task::block_in_place(|| self.place.succeeded(inner, progress));
        let bytes_max = inner.limits.payload_bytes_max;
        let mut results = Results::default();
        if self.run.writer.is_none() && (progress.next > 0 || progress.redrives > 0) {
            // What was durable before a restart, or before the run was taken up again.
            tokio::task::block_in_place(|| {
                self.place.read(inner, progress, &mut |_, mut ended| {
                    let failure = ended.failure();
                    results.add(ended.index, ended.output.as_deref().map(RawValue::get), failure, bytes_max);
                    true
                });
            });
        }
        loop {
            if let Some(bounds) = inner.maps_bounds.lock().remove(&(self.key, attempt)) {
                progress.concurrency = bounds.concurrency.unwrap_or(progress.concurrency);
                progress.tolerance.count = bounds.count.or(progress.tolerance.count);
                progress.tolerance.percentage = bounds.percentage.or(progress.tolerance.percentage);
            }
            if !progress.tolerance.bears(progress.lost(), progress.total) {
                let cause = "The specified tolerated failure threshold was exceeded";
                return Some(Err(Failure::new("States.ExceedToleratedFailureThreshold", cause)));
            }
            let chunk = match tokio::task::block_in_place(|| source.next(CHUNK)) {
                Ok(chunk) => chunk,
                Err(failure) => return Some(Err(failure)),
            };
            let count = chunk.len() as u64;
            progress.total = progress.next + count + source.left;
            if chunk.is_empty() {
                return Some(Ok(results));
            }
            let width = usize::try_from(progress.concurrency).unwrap_or(AT_ONCE_MAX);
            let width = if width == 0 { AT_ONCE_MAX } else { width.min(AT_ONCE_MAX) };
            let wanted = chunk.into_iter().filter(|child| !succeeded.has(child.number));
            let redriven = progress.redrives > 0;
            let ended: Vec<Option<Ended>> =
                futures::stream::iter(wanted).map(|child| self.child(child, redriven)).buffered(width).collect().await;
            let mut open = Pieces::new(&self.place, &self.run.arn, inner.clock.now().millis());
            progress.next += count;
            for ended in ended {
                let ended = ended?;
                match ended.state {
                    ExecutionState::Succeeded => progress.succeeded += 1,
                    ExecutionState::TimedOut => progress.timed_out += 1,
                    ExecutionState::Aborted => progress.aborted += 1,
                    _ => progress.failed += 1,
                }
                open.add(&ended);
                if self.run.writer.is_none() {
                    results.add(ended.number, ended.output.as_deref(), ended.failure, bytes_max);
                }
            }
            inner.figures.items.fetch_add(open.count, Ordering::Relaxed);
            self.note(progress, open.finish(), None).await?;
        }
    }

    /// The state's result once all children are done.
    fn result(&self, progress: &mut Progress, results: Results, source: &mut Source<'_>) -> Result<Value, Failure> {
        match self.files(progress, source)? {
            Some(written) => Ok(written),
            None => results.finish(),
        }
    }

    /// Writes what children came to as the `ResultWriter` says: into its files, which come with a manifest, or into the
    /// state's result. Children that were never begun are pending. None without a writer.
    fn files(&self, progress: &Progress, source: &mut Source<'_>) -> Result<Option<Value>, Failure> {
        let Some(config) = &self.run.writer else { return Ok(None) };
        let missing = || Failure::new("States.ResultWriterFailed", "there are no blobs here");
        let blobs = self.inner.services.blobs.as_ref().ok_or_else(missing)?;
        let mut writer = ResultWriter::open(config, &self.run.arn, blobs, self.inner.clock.now())?;
        let newest = self.place.newest(self.inner, progress);
        let (mut own, mut bytes, mut done) = (Vec::new(), 0, Ok(()));
        self.place.read(self.inner, progress, &mut |offset, ended| {
            if newest.as_ref().is_some_and(|newest| newest.get(&ended.index) != Some(&offset)) {
                return true;
            }
            let result = self.shown(ended);
            if writer.to_files() {
                done = writer.add(&result);
                return done.is_ok();
            }
            bytes += result.outcome.as_ref().map_or(0, String::len);
            if bytes <= self.inner.limits.payload_bytes_max {
                own.push(result);
            } else {
                let cause = "the outputs of the Map Run's items are too large for a payload; name a place to write to";
                done = Err(Failure::new("States.DataLimitExceeded", cause));
            }
            done.is_ok()
        });
        done?;
        if !writer.to_files() {
            return Ok(Some(writer.own(own)));
        }
        loop {
            let pending = source.next(CHUNK)?;
            if pending.is_empty() {
                return writer.finish().map(Some);
            }
            for child in pending {
                let identity = self.identity(child.number);
                writer.add(&ChildResult {
                    arn: identity.execution_arn,
                    name: identity.name,
                    machine_arn: identity.machine_arn,
                    input: child.input.to_string(),
                    status: "PENDING",
                    outcome: Err(Failure::default()),
                    started: None,
                    stopped: None,
                })?;
            }
        }
    }

    fn shown(&self, mut ended: Record) -> ChildResult {
        let identity = self.identity(ended.index);
        let (state, failure) = (ended.state(), ended.failure());
        let json = |json: Option<Box<RawValue>>| json.map_or_else(|| "null".to_owned(), |json| json.get().to_owned());
        ChildResult {
            arn: identity.execution_arn,
            name: identity.name,
            machine_arn: identity.machine_arn,
            input: json(ended.input),
            status: status_text(state),
            outcome: if state == ExecutionState::Succeeded { Ok(json(ended.output)) } else { Err(failure) },
            started: Some(Micros(ended.started)),
            stopped: Some(Micros(ended.stopped)),
        }
    }

    /// What a child is called: the same for each try of the run.
    fn identity(&self, number: u64) -> Identity {
        let run = self.run.arn.rsplit(':').next().unwrap_or_default();
        let mut identity = identity(&self.head.workflow, &format!("{run}-{number}"));
        identity.execution_arn = identity.execution_arn.replacen(
            &format!(":{}:", self.head.workflow),
            &format!(":{}/{}:", self.head.workflow, self.run.label),
            1,
        );
        identity
    }

    /// Runs one child to its end. None when the engine stops.
    async fn child(&self, child: Child, redriven: bool) -> Option<Ended> {
        let Child { number, item, input } = child;
        let identity = self.identity(number);
        let shown = self.run.writer.is_some().then(|| input.to_string());
        let started = self.inner.clock.now();
        let done = if self.run.flavor == Flavor::Express {
            let id = format!("{}/{}", self.head.workflow, identity.name);
            let begin = Begin { identity, flavor: Flavor::Express, machine: self.run.machine, input, item };
            let ran = self.inner.express(&id, self.head.cause.clone(), self.definition, begin).await;
            let status = match ran {
                Ok(run) => run.execution.status,
                Err(problem) => Status::Failed(Failure::new("States.Runtime", problem.title)),
            };
            let state = state_of(&status);
            match status {
                Status::Succeeded(output) => Ok((state, Some(output.to_string()))),
                Status::Failed(failure) | Status::TimedOut(failure) | Status::Aborted(failure) => Err((state, failure)),
                Status::Running => Err((ExecutionState::Failed, Failure::default())),
            }
        } else {
            match self.stored(identity.name, item, input, redriven).await? {
                Ok(view) if view.state == ExecutionState::Succeeded => {
                    let output = view.output.map(|output| String::from_utf8_lossy(&output).into_owned());
                    Ok((view.state, output))
                }
                Ok(view) => Err((view.state, Failure { error: view.error, cause: view.cause })),
                Err(failure) => Err((ExecutionState::Failed, failure)),
            }
        };
        let stopped = self.inner.clock.now();
        let ended = |state, output, failure| Ended { number, state, output, failure, input: shown, started, stopped };
        Some(match done {
            Ok((_, Some(output))) if output.len() > OUTPUT_BYTES_MAX => {
                let cause = format!("the output of an item of a distributed Map has {OUTPUT_BYTES_MAX} bytes at most");
                ended(ExecutionState::Failed, None, Failure::new("States.DataLimitExceeded", cause))
            }
            Ok((state, output)) => ended(state, output, Failure::default()),
            Err((state, failure)) => ended(state, None, failure),
        })
    }

    /// Runs a Standard child, finds it, or takes it up again.
    async fn stored(
        &self,
        name: String,
        item: Option<Item>,
        input: Value,
        redriven: bool,
    ) -> Option<Result<ExecutionView, Failure>> {
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
            blobs: 0,
            redrives: 0,
            redriven: None,
            ..self.head.clone()
        };
        let id = head.id();
        let ended = self.inner.ended(key);
        self.children.lock().insert(key);
        let mut begun = self.inner.start_stored(head, input, item).await.map(drop);
        if redriven && begun.as_ref().is_err_and(|problem| problem.code == crate::tasks::NAME_TAKEN) {
            let (reply, answer) = oneshot::channel();
            self.inner.push_to(&key, Command::Redrive { key, reply });
            // One that has succeeded meanwhile, or of which nothing is left, is as it is.
            if answer.await.ok()?.is_ok() {
                begun = Ok(());
            }
        }
        let view = match begun {
            Ok(()) => Ok(ended.await.ok()?),
            // It had ended before a crash.
            Err(problem) if problem.code == crate::tasks::NAME_TAKEN => Ok(self.inner.describe(&id).ok()?),
            Err(problem) => Err(Failure::new("States.Runtime", problem.title)),
        };
        self.children.lock().remove(&key);
        Some(view)
    }

    /// Ends the run as failed. None when the engine stops.
    async fn failed(&self, progress: &mut Progress, failure: Failure) -> Option<Result<Value, Failure>> {
        self.note(progress, Vec::new(), Some("FAILED")).await.map(|()| Err(failure))
    }

    /// Writes down results and how far the run is. None when the engine stops.
    async fn note(&self, progress: &mut Progress, appends: Vec<Append>, status: Option<&str>) -> Option<()> {
        if let Some(status) = status {
            progress.status = status.to_owned();
            progress.stopped = Some(self.inner.clock.now());
        }
        let (reply, noted) = oneshot::channel();
        let deltas = vec![(self.row.clone(), Some(progress.encode()))];
        self.inner.push_to(&self.key, Command::Note { deltas, appends, reply });
        noted.await.ok()?.ok().map(drop)
    }
}
