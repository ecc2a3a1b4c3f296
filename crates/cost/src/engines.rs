//! Records of workflow engines as runs: bytes in, a [`Run`] out, or the place of what cannot be read.
//!
//! Engines say which jobs ran when; most do not know on what machine and who pays. That comes in as [`About`].

use std::collections::BTreeMap;

use headwater_base::Problem;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::functions::typed;
use crate::time::Time;
use crate::usage::{ATTEMPTS_MAX, Attempt, Entered, FileSystem, Instance, Job, Purchase, Run, State, Volume};

pub mod batch;
mod cwltool;
mod miniwdl;
mod nextflow;
mod snakemake;

/// Most bytes of one run's records.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;

/// The engines whose records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The logger's records as JSON lines, and benchmark files.
    Snakemake,
    /// The engine log of a provenance folder, or stderr of `--timestamps`.
    Cwltool,
    /// `workflow.log` of a run folder.
    Miniwdl,
    /// Events of `-with-weblog` as JSON, or `trace.txt`.
    Nextflow,
    /// A run's record as it is.
    Json,
    /// Answers of AWS: DescribeJobs, DescribeInstances, DescribeVolumes, DescribeFileSystems.
    Batch,
}

/// Engines by name.
pub const ENGINES: [(&str, Engine); 6] = [
    ("snakemake", Engine::Snakemake),
    ("cwltool", Engine::Cwltool),
    ("miniwdl", Engine::Miniwdl),
    ("nextflow", Engine::Nextflow),
    ("json", Engine::Json),
    ("batch", Engine::Batch),
];

/// One file of a run folder.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path from the folder, with `/`.
    pub path: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// What the engine's records do not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as in Run")]
pub struct About {
    pub id: String,
    pub workflow: String,
    pub dataset: String,
    pub consumer: String,
    pub account: String,
    pub service: String,
    pub iterations: Option<u64>,
    /// What the run's own clock is ahead of UTC, for times without a zone: MiniWDL, cwltool and Nextflow write local time,
    /// and loggers of Snakemake may.
    pub utc_offset_minutes: i64,
    /// The machine that everything ran on.
    pub machine: Option<Machine>,
}

/// A machine that a run had for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in Instance")]
pub struct Machine {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub purchase: Purchase,
    pub region: String,
    #[serde(default)]
    pub zone: String,
    #[serde(default)]
    pub cpus: Option<Decimal>,
    #[serde(default)]
    pub memory_gib: Option<Decimal>,
    #[serde(default)]
    pub volumes: Vec<Volume>,
    #[serde(default)]
    pub file_systems: Vec<FileSystem>,
}

/// Name of the one machine of a run.
const MACHINE: &str = "machine";

/// Reads the records of one run.
///
/// # Errors
/// `HW-COST-002` with file and line for what cannot be read, `HW-COST-001` for a run that cannot have been.
pub fn read(engine: Engine, files: &[File<'_>], about: &About) -> Result<Run, Problem> {
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    if bytes > BYTES_MAX {
        return Err(refused(
            files.first().map_or("", |file| file.path),
            0,
            format!("a run's records have at most {BYTES_MAX} bytes, these {bytes}"),
        ));
    }
    let run = match engine {
        Engine::Snakemake => about.compose("snakemake", snakemake::read(files, about.utc_offset_minutes)?)?,
        Engine::Cwltool => about.compose("cwltool", cwltool::read(files, about.utc_offset_minutes)?)?,
        Engine::Miniwdl => about.compose("miniwdl", miniwdl::read(files, about.utc_offset_minutes)?)?,
        Engine::Nextflow => about.compose("nextflow", nextflow::read(files, about.utc_offset_minutes)?)?,
        Engine::Json => {
            let (path, value) = json(files)?;
            about.complete(typed(&value, "HW-COST-002", path)?, path)?
        }
        Engine::Batch => batch::read(&json(files)?.1, about)?,
    };
    run.check()?;
    Ok(run)
}

/// What an engine's records say.
#[derive(Clone, Debug, Default, PartialEq)]
struct Records {
    /// The first moment.
    started: Option<Time>,
    /// The last.
    ended: Option<Time>,
    /// Whether it failed.
    failed: bool,
    /// Jobs by id, in order of their first attempt.
    jobs: Vec<Job>,
}

impl Records {
    /// Takes a moment that the records name into the run's time.
    fn saw(&mut self, time: Time) {
        self.started = Some(self.started.map_or(time, |started| started.min(time)));
        self.ended = Some(self.ended.map_or(time, |ended| ended.max(time)));
    }
}

/// Jobs while their records are read.
#[derive(Default)]
struct Jobs {
    jobs: Vec<Job>,
    at: BTreeMap<String, usize>,
    attempts: usize,
}

impl Jobs {
    fn job(&mut self, id: &str, name: &str) -> Option<&mut Job> {
        let at = *self.at.entry(id.to_owned()).or_insert_with(|| {
            self.jobs.push(Job { id: id.to_owned(), name: name.to_owned(), attempts: Vec::new() });
            self.jobs.len() - 1
        });
        self.jobs.get_mut(at)
    }

    /// Adds an attempt; false when there are too many.
    fn push(&mut self, id: &str, name: &str, attempt: Attempt) -> bool {
        self.attempts += 1;
        if self.attempts > ATTEMPTS_MAX {
            return false;
        }
        if let Some(job) = self.job(id, name) {
            job.attempts.push(attempt);
        }
        true
    }
}

/// An attempt on the run's one machine.
fn attempt(started: Time, ended: Time, failed: bool) -> Attempt {
    Attempt {
        instance: MACHINE.to_owned(),
        failed,
        started,
        ended: ended.max(started),
        cpus: None,
        memory_gib: None,
        cpu_seconds: None,
        memory_peak_mib: None,
    }
}

impl About {
    /// A run's own record, with what it lacks and is said here; both may say the same, but nothing else.
    fn complete(&self, mut run: Run, path: &str) -> Result<Run, Problem> {
        let contradicted = |name: &str, field: &str, said: &str| {
            let (field, said) = (field.escape_debug(), said.escape_debug());
            refused(path, 0, format!("its `{name}` is `{field}` and said to be `{said}`"))
        };
        for (name, said, field) in [
            ("id", &self.id, &mut run.id),
            ("workflow", &self.workflow, &mut run.workflow),
            ("dataset", &self.dataset, &mut run.dataset),
            ("consumer", &self.consumer, &mut run.consumer),
            ("account", &self.account, &mut run.account),
            ("service", &self.service, &mut run.service),
        ] {
            if field.is_empty() {
                field.clone_from(said);
            }
            if !said.is_empty() && *said != *field {
                return Err(contradicted(name, field, said));
            }
        }
        if let (Some(field), Some(said)) = (run.iterations, self.iterations)
            && field != said
        {
            return Err(contradicted("iterations", &field.to_string(), &said.to_string()));
        }
        if self.machine.is_some() {
            return Err(refused(path, 0, "a run's own record says which machines it had".to_owned()));
        }
        run.iterations = run.iterations.or(self.iterations);
        Ok(run)
    }

    fn compose(&self, engine: &str, records: Records) -> Result<Run, Problem> {
        let (Some(started), Some(ended)) = (records.started, records.ended) else {
            return Err(refused(engine, 0, "the records name no time".to_owned()));
        };
        let Some(machine) = &self.machine else {
            let help = r#"say it in the file of `--about`: `{"machine": {"type": "c5.large", "region": "us-east-1"}}`"#;
            return Err(refused(engine, 0, "the records do not say which machine it was".to_owned()).help(help));
        };
        let running = records.jobs.iter().flat_map(|job| &job.attempts).map(|attempt| attempt.started).min();
        let last = if records.failed { State::Failed } else { State::Complete };
        let states = [(State::Preparing, Some(started)), (State::Running, running), (last, Some(ended))];
        let mut run = Run {
            id: self.id.clone(),
            workflow: self.workflow.clone(),
            dataset: self.dataset.clone(),
            consumer: self.consumer.clone(),
            account: self.account.clone(),
            service: self.service.clone(),
            engine: engine.to_owned(),
            started,
            ended,
            states: states.into_iter().filter_map(|(state, at)| Some(Entered { state, at: at? })).collect(),
            iterations: self.iterations,
            metrics: BTreeMap::new(),
            jobs: records.jobs,
            instances: vec![Instance {
                id: MACHINE.to_owned(),
                kind: machine.kind.clone(),
                purchase: machine.purchase,
                region: machine.region.clone(),
                zone: machine.zone.clone(),
                platform: "linux".to_owned(),
                cpus: machine.cpus,
                memory_gib: machine.memory_gib,
                shared: false,
                started: None,
                ended: None,
            }],
            volumes: machine.volumes.clone(),
            file_systems: machine.file_systems.clone(),
            clusters: Vec::new(),
        };
        // No attempt has more cores than the machine.
        for attempt in run.jobs.iter_mut().flat_map(|job| &mut job.attempts) {
            attempt.cpus = attempt.cpus.map(|cpus| machine.cpus.map_or(cpus, |most| cpus.min(most)));
        }
        Ok(run)
    }
}

/// A record that cannot be read; `line` from 1, 0 when unknown.
pub(crate) fn refused(path: &str, line: usize, fact: String) -> Problem {
    let path: String = path.chars().take(200).collect();
    Problem::new("HW-COST-002", format!("a record cannot be read: {fact}")).at(
        path,
        u32::try_from(line).unwrap_or(u32::MAX),
        0,
    )
}

/// A file's text; bytes that are no UTF-8 are refused.
fn utf8<'a>(file: &File<'a>) -> Result<&'a str, Problem> {
    std::str::from_utf8(file.bytes).map_err(|error| {
        let line = file.bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        refused(file.path, line, "it is not UTF-8".to_owned())
    })
}

/// The one file of a run that is its log.
fn one<'f, 'b>(logs: &[&'f File<'b>], lacking: &str) -> Result<&'f File<'b>, Problem> {
    match logs {
        [file] => Ok(*file),
        [] => Err(refused("", 0, lacking.to_owned())),
        [first, other, ..] => Err(several(first, other)),
    }
}

/// Two files that each could be a run's log: what is in one of them would not be paid for.
fn several(first: &File<'_>, other: &File<'_>) -> Problem {
    let first: String = first.path.chars().take(200).collect();
    refused(other.path, 0, format!("a run has one log, and `{}` is one as well", first.escape_debug()))
        .help("name the file instead of the folder, and import each run by itself")
}

/// The one JSON document of a folder.
fn json<'a>(files: &[File<'a>]) -> Result<(&'a str, Value), Problem> {
    let [file] = files else {
        return Err(refused("", 0, format!("one JSON document is read, there are {} files", files.len())));
    };
    let value = serde_json::from_slice(file.bytes).map_err(|error| {
        let mut problem = refused(file.path, error.line(), error.to_string());
        if let Some(place) = &mut problem.place {
            place.column = u32::try_from(error.column()).unwrap_or(u32::MAX);
        }
        problem
    })?;
    Ok((file.path, value))
}

/// A local time as an engine writes it, in UTC.
fn local(text: &str, utc_offset_minutes: i64) -> Option<Time> {
    let offset = utc_offset_minutes.clamp(-1_440, 1_440) * 60_000;
    Time::parse(text).map(|time| time.plus(-offset))
}

/// A positive number of decimals that usage may have.
fn decimal(number: f64) -> Option<Decimal> {
    let number = Decimal::try_from(number).ok()?.round_dp(6);
    (number > Decimal::ZERO && number <= Decimal::from(1_000_000_000)).then_some(number)
}

#[cfg(test)]
mod tests;
