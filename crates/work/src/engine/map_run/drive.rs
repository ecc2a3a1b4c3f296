//! Driving a Map Run: chunk after chunk of children, each chunk's results and the cursor in one commit.
//!
//! A run that is stopped begins no further child, ends those that run, and its chunk ends there. After a crash in that
//! moment the Standard children of the chunk are found by their names; nothing is known of Express ones, and they count
//! as pending.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use headwater_base::{Micros, Name, never};
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView};
use headwater_log::{Append, View};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};

use super::record::{self, Progress};
use super::results::{Ended, Lack, Marks, Pieces, Place, Record, Results};
use super::source::{Child, Source};
use super::{Running, Stop};
use crate::definition::{Definition, Flavor};
use crate::engine::queue::Command;
use crate::engine::rows::{self, Head, Key, Tag};
use crate::engine::waiters::Awaited;
use crate::engine::{Inner, identity, state_of};
use crate::execution::{Attempt, Begin, Event, Failure, Identity, Item, MapRun, Status};
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
    stop: &'a Stop,
    /// Told of new bounds.
    bounds: &'a Notify,
    running: &'a Running,
    place: Place,
    /// Where the run and its progress are.
    key: Key,
    run_row: Bytes,
    row: Bytes,
}

/// How a child ended without an output.
type Lost = (ExecutionState, Failure);

/// Runs a Map Run from where it stands. None when it is not wanted any more, or was stopped and has written what there
/// is.
pub(super) async fn run(
    inner: &Arc<Inner>,
    key: Key,
    attempt: Attempt,
    (stop, bounds): (&Stop, &Notify),
    running: &Running,
) -> Option<Result<Value, Failure>> {
    let rest = rows::attempt_bytes(&attempt);
    let stored = inner.row(&key, Tag::MapRun, &rest, View::Durable)?;
    // Whoever waits for it would wait for ever. Of one that is stopped nobody takes the end, and it would be looked at
    // again and again: its row stays, and the next start tries once more.
    let unreadable = |why: String| (!stop.is_set()).then(|| Err(Failure::new("States.Runtime", why)));
    let Some((mut run, stopped)) = record::decode(&stored, &|hash| inner.fetch(hash)) else {
        return unreadable("the record of the Map Run cannot be read".to_owned());
    };
    if stopped {
        stop.set();
    }
    let head = match Head::decode(&inner.row(&key, Tag::Head, &[], View::Durable)?) {
        Ok(head) => head,
        Err(problem) => return unreadable(problem.title),
    };
    let definition = match inner.definition(&head.definition, false) {
        Ok(definition) => definition,
        Err(problem) => return unreadable(problem.title),
    };
    let stored = inner.row(&key, Tag::Progress, &rest, View::Durable);
    let place = Place { stream: Name::new(super::STREAM).ok()?, partition: super::partition(&run.arn) };
    let mut progress = stored
        .and_then(|bytes| Progress::decode(&bytes))
        .unwrap_or_else(|| inner.begun(&run, identity(&head.workflow, &head.name).execution_arn));
    let items = std::mem::take(&mut run.items);
    let (run_row, row) = (rows::row(&key, Tag::MapRun, &rest), rows::row(&key, Tag::Progress, &rest));
    let map =
        Map { inner, run: &run, head: &head, definition: &definition, stop, bounds, running, place, key, run_row, row };
    if stopped && !progress.is_running() {
        // It was over when it was stopped.
        map.note(&mut progress, Vec::new(), None, true).await?;
        return None;
    }
    // Of an execution that has ended nothing may be left; then this run is being stopped.
    let execution = inner.stored(&key, &head).ok();
    if execution.is_none() {
        stop.wait().await;
    }
    let stopped = stopped || execution.is_none();
    // Only what a reader finds is selected from as it is found: of items at hand the execution's input, which is all of
    // them once more, need not stay.
    let execution = execution.filter(|_| run.reader.is_some());
    let opened = tokio::task::block_in_place(|| {
        Source::open(inner, &run, items, execution.as_ref(), &definition, (progress.children.next, stopped))
    });
    let mut source = match opened {
        Ok(source) => source,
        Err(_) if stop.is_set() => Source::empty(),
        Err(failure) => return map.failed(&mut progress, failure).await,
    };
    let outcome = map.children(attempt, &mut source, &mut progress).await?;
    if stop.is_set() {
        map.stopped(&mut progress, &mut source).await?;
        return None;
    }
    let outcome = match outcome {
        Ok(results) => tokio::task::block_in_place(|| map.result(&mut progress, results, &mut source)),
        Err(failure) => {
            // What there is of results is written all the same; why the run failed is what counts.
            map.leave(&progress, &mut source);
            Err(failure)
        }
    };
    match outcome {
        Ok(value) => map.note(&mut progress, Vec::new(), Some("SUCCEEDED"), false).await.map(|()| Ok(value)),
        Err(failure) => map.failed(&mut progress, failure).await,
    }
}

impl Map<'_> {
    /// Runs all children that are left, or ends those that run where the run is stopped; the others are in the source
    /// then. None when the engine stops.
    async fn children(
        &self,
        attempt: Attempt,
        source: &mut Source<'_>,
        progress: &mut Progress,
    ) -> Option<Result<Results, Failure>> {
        let inner = self.inner;
        let succeeded = match tokio::task::block_in_place(|| self.place.succeeded(inner, progress)) {
            Ok(succeeded) => succeeded,
            // Those that run are to be ended, whatever is known of the others.
            Err(_) if self.stop.is_set() => Marks::default(),
            Err(failure) => return Some(Err(failure)),
        };
        let bytes_max = inner.limits.payload_bytes_max;
        let mut results = Results::default();
        let wanted = self.run.writer.is_none() && !self.stop.is_set();
        if wanted && (progress.children.next > 0 || progress.redrives > 0) {
            // What was durable before a restart, or before the run was taken up again.
            let read = tokio::task::block_in_place(|| {
                self.place.read(inner, progress, &mut |mut ended| {
                    let failure = ended.failure();
                    results.add(ended.index, ended.output.as_deref().map(RawValue::get), failure, bytes_max);
                    true
                })
            });
            if let Err(lack) = read {
                return Some(Err(lack.failure));
            }
        }
        loop {
            progress.bound(inner.bounds(&self.key, &attempt, View::Durable));
            let stopped = self.stop.is_set();
            if !stopped && !progress.tolerance.bears(progress.items.lost(), progress.items.total) {
                let cause = "The specified tolerated failure threshold was exceeded";
                return Some(Err(Failure::new("States.ExceedToleratedFailureThreshold", cause)));
            }
            let mut chunk = match tokio::task::block_in_place(|| source.next(CHUNK)) {
                Ok(chunk) => chunk,
                Err(failure) => return Some(Err(failure)),
            };
            let count = chunk.len() as u64;
            let items: u64 = chunk.iter().map(|child| child.items).sum();
            // How many children the items that are left make is known where each is one.
            let more = if self.run.batcher.is_some() { 0 } else { source.left };
            progress.children.total = progress.children.next + count + more;
            progress.items.total = progress.items.next + items + source.left;
            if chunk.is_empty() {
                return Some(Ok(results));
            }
            let mut later = if stopped { chunk.split_off(self.begun(&chunk)) } else { Vec::new() };
            let mut chunk = chunk.into_iter();
            let mut ended = self.at_once(attempt, (&mut chunk, &succeeded), stopped, progress).await?;
            ended.sort_unstable_by_key(|ended| ended.number);
            let mut left: Vec<Child> = chunk.collect();
            left.append(&mut later);
            progress.children.next = left.first().map_or(progress.children.next + count, |child| child.number);
            progress.items.next += items - left.iter().map(|child| child.items).sum::<u64>();
            let appends = tokio::task::block_in_place(|| {
                let mut open = Pieces::new(&self.place, &self.run.arn, inner.clock.now().millis());
                for ended in ended {
                    progress.children.add(ended.state, 1);
                    progress.items.add(ended.state, ended.items);
                    open.add(&ended);
                    if self.run.writer.is_none() {
                        results.add(ended.number, ended.output.as_deref(), ended.failure, bytes_max);
                    }
                }
                inner.figures.items.fetch_add(open.count, Ordering::Relaxed);
                open.finish()
            });
            self.note(progress, appends, None, false).await?;
            // Those that were not begun here may have been before a restart, which another round looks for.
            source.put_back(left);
            if stopped {
                return Some(Ok(results));
            }
        }
    }

    /// Runs children that have not succeeded to their ends, as many at once as the newest bounds say; those that are not
    /// to begin are left. Of a run that was `stopped` before, all are looked for. None when the engine stops.
    async fn at_once(
        &self,
        attempt: Attempt,
        (chunk, succeeded): (&mut std::vec::IntoIter<Child>, &Marks),
        stopped: bool,
        progress: &mut Progress,
    ) -> Option<Vec<Ended>> {
        let redriven = progress.redrives > 0;
        let (mut running, mut done, mut lost) = (FuturesUnordered::new(), Vec::new(), progress.items.lost());
        loop {
            let width = match usize::try_from(progress.concurrency) {
                Ok(width @ 1..AT_ONCE_MAX) => width,
                _ => AT_ONCE_MAX,
            };
            while running.len() < width {
                // What fails beyond what is tolerated fails the run: nothing more begins.
                let failed = !progress.tolerance.bears(lost, progress.items.total);
                if !stopped && (self.stop.is_set() || failed) {
                    break;
                }
                let Some(child) = chunk.find(|child| !succeeded.has(child.number)) else { break };
                let begun = self.running.begin(child.items);
                running.push(async move {
                    let ended = self.child(child, redriven).await;
                    drop(begun);
                    ended
                });
            }
            tokio::select! {
                biased;
                ended = running.next() => {
                    let Some(ended) = ended else { return Some(done) };
                    let ended: Ended = ended?;
                    if ended.state != ExecutionState::Succeeded {
                        lost += ended.items;
                    }
                    done.push(ended);
                }
                () = self.bounds.notified() => {
                    let bounds = self.inner.bounds(&self.key, &attempt, View::Durable);
                    if bounds.percentage.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
                        never!("a Map Run is to tolerate {:?} percent", bounds.percentage);
                    }
                    progress.bound(bounds);
                }
            }
        }
    }

    /// How many of the first children of a chunk had begun when a crash came.
    fn begun(&self, chunk: &[Child]) -> usize {
        if self.run.flavor == Flavor::Express {
            return 0;
        }
        let there = |child: &Child| {
            let key = rows::key_of(&self.head.workflow, &self.identity(child.number).name);
            self.inner.row(&key, Tag::Head, &[], View::Durable).is_some()
        };
        chunk.iter().rposition(there).map_or(0, |last| last + 1)
    }

    /// Writes what there is of results, where nobody waits for them. False where that failed and another try may not.
    fn leave(&self, progress: &Progress, source: &mut Source<'_>) -> bool {
        let Err(lack) = tokio::task::block_in_place(|| self.files(progress, source)) else { return true };
        tracing::warn!(run = progress.arn, cause = lack.failure.cause, "results of a Map Run are not written");
        lack.lasting
    }

    /// Ends a run that nobody waits for any more: its files are written, then it is over and its row goes. None when
    /// the engine stops, the run was taken up again, or the files could not be written: the row with its mark stays
    /// then, and the next start tries again.
    async fn stopped(&self, progress: &mut Progress, source: &mut Source<'_>) -> Option<()> {
        if !self.leave(progress, source) {
            return None;
        }
        self.note(progress, Vec::new(), Some("ABORTED"), true).await
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
    fn files(&self, progress: &Progress, source: &mut Source<'_>) -> Result<Option<Value>, Lack> {
        let Some(config) = &self.run.writer else { return Ok(None) };
        let missing = || Failure::new("States.ResultWriterFailed", "there are no blobs here");
        let blobs = self.inner.services.blobs.as_ref().ok_or_else(missing)?;
        let mut writer = ResultWriter::open(config, &self.run.arn, blobs, self.inner.clock.now())?;
        let (mut own, mut bytes, mut done) = (Vec::new(), 0, Ok(()));
        let found = self.place.newest(self.inner, progress, &mut |ended| {
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
        })?;
        done?;
        if !writer.to_files() {
            return Ok(Some(writer.own(own)));
        }
        // Behind an item that cannot be read none can be named.
        while let Ok(Some(child)) = source.child() {
            if found.has(child.number) {
                // It has a result of before the run was taken up again.
                continue;
            }
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
        Ok(Some(writer.finish()?))
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
            status: state.name(),
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
        let Child { number, item, input, items } = child;
        let identity = self.identity(number);
        let shown = self.run.writer.is_some().then(|| input.to_string());
        let started = self.inner.clock.now();
        let done = if self.run.flavor == Flavor::Express {
            let id = format!("{}/{}", self.head.workflow, identity.name);
            let begin = Begin { identity, flavor: Flavor::Express, machine: self.run.machine, input, item };
            let ran = tokio::select! {
                biased;
                ran = self.inner.express(&id, self.head.cause.clone(), self.definition, begin) => Some(ran),
                () = self.stop.wait() => None,
            };
            let status = match ran {
                Some(Ok(run)) => run.execution.status,
                Some(Err(problem)) => Status::Failed(Failure::new("States.Runtime", problem.title)),
                None => Status::Aborted(stopped()),
            };
            let state = state_of(&status);
            match status {
                Status::Succeeded(output) => Ok((state, Some(output.to_string()))),
                Status::Failed(failure) | Status::TimedOut(failure) | Status::Aborted(failure) => Err((state, failure)),
                Status::Running => Err((ExecutionState::Failed, Failure::default())),
            }
        } else {
            // Apart, so that Express children, a thousand at a time, do not have room for it.
            match Box::pin(self.stored(identity.name, item, input, redriven)).await? {
                Ok(view) if view.state == ExecutionState::Succeeded => {
                    let output = view.output.map(|output| String::from_utf8_lossy(&output).into_owned());
                    Ok((view.state, output))
                }
                // It is parked.
                Ok(view) if view.stopped.is_none() => {
                    let failure = Failure { error: Some("States.Runtime".to_owned()), cause: view.cause };
                    Err((ExecutionState::Failed, failure))
                }
                Ok(view) => Err((view.state, Failure { error: view.error, cause: view.cause })),
                Err(lost) => Err(lost),
            }
        };
        let stopped = self.inner.clock.now();
        let ended =
            |state, output, failure| Ended { number, items, state, output, failure, input: shown, started, stopped };
        Some(match done {
            Ok((_, Some(output))) if output.len() > OUTPUT_BYTES_MAX => {
                let cause = format!("the output of an item of a distributed Map has {OUTPUT_BYTES_MAX} bytes at most");
                ended(ExecutionState::Failed, None, Failure::new("States.DataLimitExceeded", cause))
            }
            Ok((state, output)) => ended(state, output, Failure::default()),
            Err((state, failure)) => ended(state, None, failure),
        })
    }

    /// Runs a Standard child, finds it, or takes it up again. One of a run that is stopped is stopped, too.
    async fn stored(
        &self,
        name: String,
        item: Option<Item>,
        input: Value,
        redriven: bool,
    ) -> Option<Result<ExecutionView, Lost>> {
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
            redrive_tokens: Vec::new(),
            ..self.head.clone()
        };
        let id = head.id();
        let mut ended = self.inner.waiters.ask(key);
        if self.stop.is_set() {
            return self.end(key, &id, ended).await;
        }
        let mut begun = self.inner.start_stored(head, input, item, None).await.map(drop);
        if redriven && begun.as_ref().is_err_and(|problem| problem.code == crate::tasks::NAME_TAKEN) {
            let (reply, answer) = oneshot::channel();
            self.inner.push_to(&key, Command::Redrive { key, token: None, reply });
            // One that has succeeded meanwhile, or of which nothing is left, is as it is.
            if answer.await.ok()?.is_ok() {
                begun = Ok(());
            }
        }
        match begun {
            Ok(()) => {
                tokio::select! {
                    biased;
                    view = &mut ended.receiver => return view.ok().map(Ok),
                    () = self.stop.wait() => {}
                }
                self.end(key, &id, ended).await
            }
            // It had ended before a crash, or has just now, which is told once it is durable.
            Err(problem) if problem.code == crate::tasks::NAME_TAKEN => {
                let view = self.inner.describe(&id).ok()?;
                if view.stopped.is_some() {
                    return Some(Ok(view));
                }
                (&mut ended.receiver).await.ok().map(Ok)
            }
            Err(problem) => Some(Err((ExecutionState::Failed, Failure::new("States.Runtime", problem.title)))),
        }
    }

    /// Stops a Standard child, of which `ended` tells the end. None when the engine stops.
    async fn end(&self, key: Key, id: &str, mut ended: Awaited<'_>) -> Option<Result<ExecutionView, Lost>> {
        let (reply, answer) = oneshot::channel();
        let event = Event::Abort(stopped());
        self.inner.push_to(&key, Command::Event { key, event, reply: Some(reply), room: None });
        match answer.await.ok()? {
            Ok(_) => {}
            // It had ended; its end is told once that is durable, if it was not before.
            Err(problem) if problem.code == "HW-WORK-006" => {
                if self.inner.describe(id).is_ok_and(|view| view.stopped.is_none()) {
                    return (&mut ended.receiver).await.ok().map(Ok);
                }
            }
            // It was never begun, or does not go on.
            Err(_) => return Some(Err((ExecutionState::Aborted, stopped()))),
        }
        let view = self.inner.describe(id).ok();
        Some(view.ok_or_else(|| (ExecutionState::Aborted, stopped())))
    }

    /// Ends the run as failed. None when the engine stops.
    async fn failed(&self, progress: &mut Progress, failure: Failure) -> Option<Result<Value, Failure>> {
        self.note(progress, Vec::new(), Some("FAILED"), false).await.map(|()| Err(failure))
    }

    /// Writes down results and how far the run is; with `last` its row goes. None when the engine stops, or the run is
    /// not wanted any more.
    async fn note(
        &self,
        progress: &mut Progress,
        appends: Vec<Append>,
        status: Option<&str>,
        last: bool,
    ) -> Option<()> {
        if let Some(status) = status {
            progress.status = status.to_owned();
            progress.stopped = Some(self.inner.clock.now());
        }
        let (reply, noted) = oneshot::channel();
        let mut deltas = vec![(self.row.clone(), Some(progress.encode()))];
        deltas.extend(last.then(|| (self.run_row.clone(), None)));
        let (key, run) = (self.key, self.run_row.clone());
        self.inner.push_to(&key, Command::Note { key, run, deltas, appends, reply });
        noted.await.ok()?.ok().map(drop)
    }
}

fn stopped() -> Failure {
    Failure::new("States.Runtime", "the Map Run was stopped")
}
