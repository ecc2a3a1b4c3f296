//! One ingest's life: at each of its times it asks its statement and writes the rows as events.
//!
//! Each row once: rows go into the stream in bounded commits under the epoch of this life, and each commit says how far
//! the ingest has come with it. A run that is cut, by a crash or the time that statements have, asks again and leaves out
//! what it has written. With a watermark it asks from the newest value on, that value included, and remembers the rows that
//! have it: rows that come later with the same value are not lost. Without one it remembers all rows until the load is
//! whole. What is remembered is bounded; at the bound a run fails, and nothing is written twice or left out.
//!
//! What it is NOT: it does not notice deleted rows, nor rows that appear later with a smaller watermark.

mod progress;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use headwater_base::{Clock, Limits, Micros, Name, Principal, Problem};
use headwater_kernel::clock::nap;
use headwater_kernel::port::Sql;
use headwater_kernel::port::sql::{Format, Question, Via};
use headwater_kernel::unit::Stop;
use headwater_log::outbox::{Outbox, Refused};
use headwater_log::{Commit, Log, LogError, append_durable};
use serde_json::Value;
use tracing::{info, warn};

use crate::charts::text;
use crate::ingests::Figures;
use crate::kinds::ingest::{Calendar, IngestSpec, UNIT, space};
use progress::{Progress, Remembered};
use rows::{Lines, Row, bound, comparable, misfit, plain};

/// A commit is made of so many rows.
const COMMIT_ROWS: usize = 2_000;
/// Or of so many bytes.
const COMMIT_BYTES: usize = 1024 * 1024;
/// A run that failed is tried again after this time, and each time after twice as long.
const RETRY_MIN: Duration = Duration::from_secs(10);
/// The longest time until it is tried again.
const RETRY_MAX: Duration = Duration::from_secs(600);
/// What a statement that took too long is told.
const LATE: &str = "HW-LAKE-048";

/// What a life is made of.
pub struct Setup {
    /// The ingest.
    pub name: Name,
    /// Its spec.
    pub spec: IngestSpec,
    /// When it is due.
    pub calendar: Calendar,
    /// Whose rows it reads.
    pub reader: Principal,
    /// Grows when the user asks for a new beginning.
    pub epoch: u64,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Answers its statements.
    pub sql: Arc<dyn Sql>,
    /// What it says of itself.
    pub figures: Arc<Figures>,
}

/// An ingest that runs.
pub struct Life {
    setup: Setup,
    fence: (Name, u64),
    outbox: Outbox,
    progress: Progress,
    remembered: Remembered,
    /// Bytes of the rows that no commit has yet.
    bytes: usize,
    /// The watermark's type in SQL's words, once it is known.
    kind: Option<String>,
    /// When a run that failed is tried again, and how long that was put off.
    retry: Option<(Micros, Duration)>,
}

/// Why a run ended early.
enum Fault {
    /// The run failed, and is tried again.
    Run(Problem),
    /// There is no writing any more.
    Log(Problem),
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Run(problem)
    }
}

impl Life {
    /// Shuts out earlier owners and takes up what they left.
    ///
    /// # Errors
    /// `HW-LAKE-084` when the log or the stream refuses.
    pub async fn begin(setup: Setup) -> Result<Self, Problem> {
        let refused = |error: LogError| failed(&setup.name, &error);
        let owner = Name::new(&format!("{UNIT}.{}", setup.name))?;
        let fence = (owner.clone(), setup.log.fence(&owner).await.map_err(refused)?);
        let outbox = Outbox::open(&*setup.log, &[Name::new(&setup.spec.stream)?]).map_err(refused)?;
        let (progress, remembered) = Progress::take_up(&*setup.log, &space(setup.name.as_str()), setup.epoch);
        let life = Self { setup, fence, outbox, progress, remembered, bytes: 0, kind: None, retry: None };
        life.tell(None);
        Ok(life)
    }

    /// Runs at each of its times until it is asked to stop. Of times that passed meanwhile one is made up for.
    ///
    /// # Errors
    /// `HW-LAKE-084` when the log takes nothing any more.
    pub async fn run(mut self, mut stop: Stop) -> Result<(), Problem> {
        loop {
            let now = self.setup.clock.now();
            match self.due() {
                Some(due) if due <= now => {
                    tokio::select! {
                        done = self.attend(now) => done?,
                        () = stop.wait() => return Ok(()),
                    }
                }
                Some(due) => {
                    tokio::select! {
                        () = nap(&*self.setup.clock, due) => {}
                        () = stop.wait() => return Ok(()),
                    }
                }
                None => {
                    stop.wait().await;
                    return Ok(());
                }
            }
        }
    }

    /// When the next run begins, or the one that is not over goes on.
    fn due(&self) -> Option<Micros> {
        let calendar = &self.setup.calendar;
        match (self.retry, self.progress.begun, self.progress.last) {
            (Some((at, _)), ..) => Some(at),
            (None, Some(begun), _) => Some(Micros(begun)),
            (None, None, Some(last)) => calendar.next(Micros(last)),
            (None, None, None) => calendar.first(),
        }
    }

    /// One run, or the rest of one; what goes wrong is told in the status and tried again.
    async fn attend(&mut self, now: Micros) -> Result<(), Problem> {
        self.setup.figures.begin();
        match self.load(now).await {
            Ok(()) => {
                self.retry = None;
                self.tell(None);
                self.setup.figures.run();
                Ok(())
            }
            Err(Fault::Log(problem)) => Err(problem),
            Err(Fault::Run(problem)) => {
                // Rows that no commit has are read again.
                drop(self.outbox.take());
                self.bytes = 0;
                // The relation may be another one by now.
                self.kind = None;
                let space = space(self.setup.name.as_str());
                (self.progress, self.remembered) = Progress::take_up(&*self.setup.log, &space, self.setup.epoch);
                let after = self.retry.map_or(RETRY_MIN, |(_, after)| (after * 2).min(RETRY_MAX));
                self.retry = Some((self.setup.clock.now().plus(after), after));
                warn!(ingest = %self.setup.name, code = problem.code, title = problem.title, "an ingest's run failed");
                self.tell(Some(&problem));
                self.setup.figures.failure();
                Ok(())
            }
        }
    }

    async fn load(&mut self, now: Micros) -> Result<(), Fault> {
        if self.progress.begun.is_none() {
            self.progress.begun = Some(now.0);
            self.progress.of_run = 0;
        }
        loop {
            let before = self.progress.of_run;
            match self.pass().await {
                Ok(()) => break,
                // The time that a statement has is over; what is written needs not be read again.
                Err(Fault::Run(problem)) if problem.code == LATE && self.progress.of_run > before => {
                    info!(ingest = %self.setup.name, rows = self.progress.of_run, "an ingest asks again for the rest");
                    self.commit().await?;
                }
                Err(fault) => return Err(fault),
            }
        }
        self.progress.last = self.progress.begun.take();
        self.progress.runs += 1;
        if self.setup.spec.watermark.is_none() {
            self.remembered.forget();
        }
        self.commit().await
    }

    /// Asks once and writes what is new.
    async fn pass(&mut self) -> Result<(), Fault> {
        self.remembered.begin();
        let text = self.statement().await?;
        let mut body = self.setup.sql.ask(self.question(text)).await?.body;
        let mut lines = Lines::default();
        while let Some(chunk) = body.next().await {
            lines.add(&chunk?);
            while let Some(line) = lines.take() {
                self.take(&line)?;
                if self.outbox.records() >= COMMIT_ROWS || self.bytes >= COMMIT_BYTES {
                    self.commit().await?;
                }
            }
        }
        self.commit().await
    }

    fn question(&self, text: String) -> Question {
        let principal = self.setup.reader.clone();
        Question { text, format: Format::Ndjson, rows_max: None, principal, via: Via::Ingest }
    }

    /// What is asked: everything, or what has the newest watermark or a greater one.
    async fn statement(&mut self) -> Result<String, Fault> {
        let from = text::from(&self.setup.spec.from);
        let Some(watermark) = self.setup.spec.watermark.clone() else { return Ok(format!("SELECT * FROM {from}")) };
        let column = text::quoted(&watermark.column);
        let start = watermark.start.map(|start| match start {
            Value::String(text) => text,
            other => other.to_string(),
        });
        let kind = self.kind(&column, &from).await?;
        let condition = match self.progress.watermark.as_deref().map(plain).or(start) {
            None => {
                comparable(&watermark.column, &kind)?;
                format!("{column} IS NOT NULL")
            }
            Some(since) => format!("{column} >= {}", bound(&watermark.column, &kind, &since)?),
        };
        Ok(format!("SELECT * FROM {from} WHERE {condition} ORDER BY {column}"))
    }

    /// The type of the watermark's column.
    async fn kind(&mut self, column: &str, from: &str) -> Result<String, Fault> {
        if let Some(kind) = &self.kind {
            return Ok(kind.clone());
        }
        let answer = self.setup.sql.ask(self.question(format!("SELECT {column} FROM {from} LIMIT 0"))).await?;
        let kind = answer.columns.into_iter().next().map(|column| column.kind).unwrap_or_default();
        self.kind = Some(kind.clone());
        Ok(kind)
    }

    /// Takes a row, unless it is written already.
    fn take(&mut self, line: &Bytes) -> Result<(), Problem> {
        let spec = &self.setup.spec;
        let mut key = None;
        if !spec.key.is_empty() || spec.watermark.is_some() {
            let row = Row::read(line)?;
            key = row.key(&spec.key)?;
            if let Some(watermark) = &spec.watermark {
                let value = row.value(&watermark.column)?;
                if value != self.progress.watermark.as_deref() {
                    self.remembered.forget();
                    self.progress.watermark = value.map(str::to_owned);
                }
            }
        }
        if !self.remembered.take(line) {
            return Ok(());
        }
        let most = self.setup.limits.ingest_rows;
        if self.remembered.count() > most {
            return Err(crowded(&self.setup, most));
        }
        let now = self.setup.clock.now().millis();
        self.outbox.put(0, now, key.as_deref(), Some(line), &[]).map_err(|refused| match refused {
            Refused::Oversize { bytes, limit } => {
                misfit(&format!("a row of {bytes} bytes is too large for `{}`, which takes {limit}", spec.stream))
                    .help("raise `maxBatch` of that stream, or leave large columns out in `from`")
            }
            Refused::NoKey => misfit(&format!("the stream `{}` is compacted and wants a key", spec.stream))
                .help("say in `key` which columns it is made of"),
        })?;
        self.bytes += line.len();
        self.progress.rows += 1;
        self.progress.of_run += 1;
        Ok(())
    }

    /// Makes the rows gathered durable, together with how far the ingest has come by them.
    async fn commit(&mut self) -> Result<(), Fault> {
        self.bytes = 0;
        let rows = self.outbox.records() as u64;
        let space: Arc<str> = Arc::from(space(self.setup.name.as_str()));
        let mut commit = Commit {
            appends: self.outbox.take(),
            deltas: vec![(space, self.progress.deltas(&mut self.remembered))],
            fence: Some(self.fence.clone()),
            ..Commit::default()
        };
        let written = append_durable(&*self.setup.log, &mut commit).await;
        written.map_err(|error| Fault::Log(failed(&self.setup.name, &error)))?;
        self.setup.figures.rows(rows);
        Ok(())
    }

    /// Says how the ingest stands, for people.
    fn tell(&self, fault: Option<&Problem>) {
        let Progress { runs, rows, of_run, last, .. } = &self.progress;
        let next = self.due().map_or_else(|| "never again".to_owned(), |due| format!("at {due}"));
        let told = match (fault, last) {
            (Some(problem), _) => Err(format!("{problem}; {rows} rows in {runs} runs; tried again {next}")),
            (None, None) => Ok(format!("no run yet; the first one is due {next}")),
            (None, Some(last)) => {
                let last = Micros(*last);
                Ok(format!(
                    "{rows} rows in {runs} runs; the last one at {last} brought {of_run}; the next one is due {next}"
                ))
            }
        };
        self.setup.figures.tell(told);
    }
}

/// `HW-LAKE-083`.
fn crowded(setup: &Setup, most: usize) -> Problem {
    let problem = |fact: String| Problem::new("HW-LAKE-083", fact);
    match &setup.spec.watermark {
        Some(watermark) => {
            problem(format!("more than {most} rows have the same `{}`, which is the limit", watermark.column))
                .help("use a column that tells rows apart better, such as a time instead of a date")
        }
        None => problem(format!("a full load has more than {most} rows, which is the limit"))
            .help("say a `watermark`, or load parts of the relation by several ingests"),
    }
}

fn failed(name: &Name, error: &LogError) -> Problem {
    Problem::new("HW-LAKE-084", format!("the ingest `{name}` cannot write to the log: {error}"))
}

#[cfg(test)]
mod tests;
