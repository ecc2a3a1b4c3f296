//! Snakemake: what a logger plugin writes, as JSON lines, and benchmark files.
//!
//! A line is an object with `event` and `time` (seconds since 1970, or RFC 3339; without a zone it is the run's own) and the fields that Snakemake gives
//! with the event. A job's attempts begin with `job_started` and end with `job_finished` or `job_error`. Benchmark files
//! are found by the path in `job_info`; Snakemake writes them for the attempt that succeeds. They alone say how long a
//! job took and not when.
//!
//! # Source
//! snakemake-interface-logger-plugins 2.1, `LogEvent`; Snakemake 9, "Benchmark rules".

use std::collections::HashMap;

use serde_json::Value;

use super::{File, Jobs, Records, attempt, decimal, local, refused, utf8};
use crate::time::Time;
use crate::usage::Attempt;
use headwater_base::{Micros, Problem};

/// What is known of a job.
#[derive(Default)]
struct Known {
    rule: String,
    label: String,
    threads: Option<f64>,
    memory_mib: Option<f64>,
    benchmark: Option<String>,
    since: Option<Time>,
}

impl Known {
    fn attempt(&self, since: Time, ended: Time, failed: bool) -> Attempt {
        let mut attempt = attempt(since, ended, failed);
        attempt.cpus = self.threads.and_then(decimal);
        attempt.memory_gib = self.memory_mib.and_then(|mib| decimal(mib / 1_024.0));
        attempt
    }

    fn label_of(&self, id: u64) -> String {
        if self.label.is_empty() { format!("job {id}") } else { format!("{} {id}", self.label) }
    }
}

/// One row of a benchmark file.
#[derive(Clone, Copy, Default)]
struct Benchmark {
    cpu_seconds: Option<f64>,
    memory_peak_mib: Option<f64>,
}

pub(super) fn read(files: &[File<'_>], utc_offset_minutes: i64) -> Result<Records, Problem> {
    // By their names without folders.
    let mut benchmarks: HashMap<&str, Vec<(&str, Benchmark)>> = HashMap::new();
    for file in files.iter().filter(|file| file.path.ends_with(".tsv") || file.path.ends_with(".txt")) {
        benchmarks.entry(name(file.path)).or_default().push((file.path, benchmark(file)?));
    }
    let mut records = Records::default();
    let mut jobs = Jobs::default();
    let mut known: HashMap<u64, Known> = HashMap::new();
    let mut last_failed: HashMap<u64, bool> = HashMap::new();
    for file in files.iter().filter(|file| file.path.ends_with(".jsonl") || file.path.ends_with(".ndjson")) {
        for (number, line) in utf8(file)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |fact: String| refused(file.path, number + 1, fact);
            let event: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            let time = time(&event, utc_offset_minutes);
            let time = time.ok_or_else(|| wrong("no `time` in seconds or RFC 3339".to_owned()))?;
            records.saw(time);
            let id = |names: &[&str]| {
                names
                    .iter()
                    .find_map(|name| event.get(name).and_then(Value::as_u64))
                    .ok_or_else(|| wrong(format!("no `{}`", names.join("` or `"))))
            };
            match event["event"].as_str().unwrap_or_default() {
                "job_info" => learn(known.entry(id(&["jobid", "job_id"])?).or_default(), &event),
                "job_started" => {
                    let started = event.get("jobs").or(event.get("job_ids")).and_then(Value::as_array);
                    for job in started.into_iter().flatten().filter_map(Value::as_u64) {
                        known.entry(job).or_default().since = Some(time);
                    }
                }
                end @ ("job_finished" | "job_error") => {
                    let id = id(&["job_id", "jobid"])?;
                    let failed = end == "job_error";
                    let job = known.entry(id).or_default();
                    // The target rule that only waits for others has no attempt of its own.
                    let Some(since) = job.since.take() else { continue };
                    let found = job.benchmark.as_ref().filter(|_| !failed).and_then(|path| {
                        let named = benchmarks.get(name(path))?;
                        named.iter().filter(|(file, _)| is_at(file, path)).min_by_key(|(file, _)| file.len())
                    });
                    let found = found.map(|(_, row)| *row).unwrap_or_default();
                    let mut attempt = job.attempt(since, time, failed);
                    attempt.cpu_seconds = found.cpu_seconds;
                    attempt.memory_peak_mib = found.memory_peak_mib;
                    if !jobs.push(&job.label_of(id), &job.rule, attempt) {
                        return Err(wrong("there are too many attempts".to_owned()));
                    }
                    last_failed.insert(id, failed);
                }
                _ => {}
            }
        }
    }
    let Some(ended) = records.ended else {
        let fact = "benchmark files say how long jobs took and not when; the logger's records (`*.jsonl`) are needed";
        return Err(refused(files.first().map_or("", |file| file.path), 0, fact.to_owned()));
    };
    // What had begun when the records end did not end well.
    let mut left: Vec<(u64, Time, &Known)> =
        known.iter().filter_map(|(id, job)| Some((*id, job.since?, job))).collect();
    left.sort_unstable_by_key(|(id, since, _)| (*since, *id));
    for (id, since, job) in left {
        if !jobs.push(&job.label_of(id), &job.rule, job.attempt(since, ended, true)) {
            let path = files.first().map_or("", |file| file.path);
            return Err(refused(path, 0, "there are too many attempts".to_owned()));
        }
        last_failed.insert(id, true);
    }
    records.failed = last_failed.values().any(|failed| *failed);
    records.jobs = jobs.jobs;
    Ok(records)
}

fn time(event: &Value, utc_offset_minutes: i64) -> Option<Time> {
    match event.get("time").or(event.get("timestamp"))? {
        Value::Number(seconds) => Time::from_seconds(seconds.as_f64()?),
        Value::String(text) => {
            let zoned = Micros::parse_rfc3339(text.trim()).map(|micros| Time(micros.millis()));
            zoned.or_else(|| local(text, utc_offset_minutes))
        }
        _ => None,
    }
}

fn learn(job: &mut Known, event: &Value) {
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    job.rule = text("rule_name").or(text("name")).unwrap_or_default();
    let wildcards = event["wildcards"].as_object();
    let values = wildcards.into_iter().flatten().filter_map(|(_, value)| value.as_str());
    job.label = std::iter::once(job.rule.as_str()).chain(values).collect::<Vec<_>>().join(" ");
    job.threads = event.get("threads").and_then(Value::as_f64);
    let resource = |name: &str| event["resources"].get(name).and_then(Value::as_f64);
    // `mem_mb` counts millions of bytes.
    job.memory_mib = resource("mem_mib").or(resource("mem_mb").map(|mb| mb * 1e6 / 1_048_576.0));
    job.benchmark = text("benchmark");
}

/// A path's last part.
fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a file of the folder is the one that a rule names: its path ends in whole parts with that.
fn is_at(file: &str, path: &str) -> bool {
    let path = path.strip_prefix("./").unwrap_or(path);
    file.strip_suffix(path).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
}

/// The last row: of repeated measurements the newest.
fn benchmark(file: &File<'_>) -> Result<Benchmark, Problem> {
    let mut lines = utf8(file)?.lines().enumerate();
    let header: Vec<&str> = lines.next().map(|(_, line)| line.split('\t').collect()).unwrap_or_default();
    let column = |name: &str| header.iter().position(|title| *title == name);
    let Some(seconds) = column("s") else {
        return Err(refused(file.path, 1, "a benchmark file begins with the column `s`".to_owned()));
    };
    let mut row = Benchmark::default();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |at: Option<usize>| match at.and_then(|at| cells.get(at)).copied() {
            None | Some("NA" | "-" | "") => Ok(None),
            Some(text) => match text.parse::<f64>() {
                Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
                _ => Err(refused(file.path, number + 1, format!("`{}` is no number", text.escape_debug()))),
            },
        };
        cell(Some(seconds))?;
        row = Benchmark { cpu_seconds: cell(column("cpu_time"))?, memory_peak_mib: cell(column("max_rss"))? };
    }
    Ok(row)
}
