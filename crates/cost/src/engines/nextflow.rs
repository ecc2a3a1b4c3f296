//! Nextflow: events of `-with-weblog` (JSON lines or an array), or `trace.txt`.
//!
//! A task that is tried again is a new task with the same name; its attempts become those of one job. In `trace.txt`
//! a task without `start` and `complete` has been queued for what `duration` is longer than `realtime`. Of a run that was
//! cancelled there are tasks without an end: those that had begun end with the run, the others never had a machine.
//! Where the machine writes numbers with a decimal comma, so does Nextflow.
//!
//! # Source
//! Nextflow reference, "Tracing": trace file fields; weblog: `event`, `utcTime`, `trace`.

use std::collections::{BTreeMap, HashMap};

use headwater_base::Problem;
use serde_json::{Map, Value};

use super::{File, Jobs, Records, attempt, decimal, local, one, refused, utf8};
use crate::time::Time;
use crate::usage::Attempt;

/// A task as far as it came.
struct Task {
    name: String,
    process: String,
    failed: bool,
    /// None where it never began.
    attempt: Option<Attempt>,
    /// Nothing says when it ended.
    open: bool,
}

pub(super) fn read(files: &[File<'_>], utc_offset_minutes: i64) -> Result<Records, Problem> {
    let file = one(&files.iter().collect::<Vec<_>>(), "there is neither a weblog nor a `trace.txt`")?;
    let text = utf8(file)?;
    let mut records = Records::default();
    let mut tasks: Vec<Task> = Vec::new();
    if text.trim_start().starts_with(['{', '[']) {
        let mut begun: BTreeMap<String, Task> = BTreeMap::new();
        let mut succeeded = false;
        for (number, event) in events(file, text)? {
            let wrong = |fact: &str| refused(file.path, number, fact.to_owned());
            let time = event["utcTime"].as_str().and_then(|text| local(text, 0));
            records.saw(time.ok_or_else(|| wrong("no `utcTime`"))?);
            let status = event["event"].as_str().unwrap_or_default();
            if status == "completed" {
                records.failed = event["metadata"]["workflow"]["success"] == Value::Bool(false);
                succeeded = !records.failed;
            }
            records.failed |= status == "error";
            if status != "process_started" && status != "process_completed" {
                continue;
            }
            let Some(trace) = event["trace"].as_object() else { return Err(wrong("no `trace`")) };
            let get = |name: &str| trace.get(name).map(cell).unwrap_or_default();
            if status == "process_completed" {
                begun.remove(&get("task_id"));
                tasks.extend(task(&get, 0).map_err(|fact| wrong(&fact))?);
            } else if let Ok(Some(task)) = task(&get, 0) {
                begun.insert(get("task_id"), task);
            }
        }
        // One that nobody says has completed was killed.
        if !succeeded {
            records.failed = true;
            tasks.extend(begun.into_values());
        }
    } else {
        let mut lines = text.lines().enumerate();
        let header: Vec<&str> = lines.next().map(|(_, line)| line.split('\t').collect()).unwrap_or_default();
        if !header.contains(&"status") || !header.contains(&"name") {
            return Err(refused(file.path, 1, "a trace has the columns `name` and `status`".to_owned()));
        }
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let cells: Vec<&str> = line.split('\t').collect();
            let get = |name: &str| {
                let at = header.iter().position(|title| *title == name);
                at.and_then(|at| cells.get(at))
                    .filter(|text| **text != "-")
                    .map(|text| (*text).to_owned())
                    .unwrap_or_default()
            };
            tasks.extend(task(&get, utc_offset_minutes).map_err(|fact| refused(file.path, number + 1, fact))?);
        }
        let last: HashMap<&str, bool> = tasks.iter().map(|task| (task.name.as_str(), task.failed)).collect();
        records.failed = last.values().any(|failed| *failed);
    }
    for attempt in tasks.iter().filter_map(|task| task.attempt.as_ref()) {
        records.saw(attempt.started);
        records.saw(attempt.ended);
    }
    tasks.sort_by_key(|task| task.attempt.as_ref().map(|attempt| attempt.started));
    let mut jobs = Jobs::default();
    for Task { name, process, attempt, open, .. } in tasks {
        let Some(mut attempt) = attempt else { continue };
        if open {
            attempt.ended = records.ended.unwrap_or(attempt.ended);
        }
        if !jobs.push(&name, &process, attempt) {
            return Err(refused(file.path, 0, "there are too many attempts".to_owned()));
        }
    }
    records.jobs = jobs.jobs;
    Ok(records)
}

/// Events with the line each begins at (0 in an array).
fn events(file: &File<'_>, text: &str) -> Result<Vec<(usize, Value)>, Problem> {
    if text.trim_start().starts_with('[') {
        let all: Vec<Value> =
            serde_json::from_str(text).map_err(|error| refused(file.path, error.line(), error.to_string()))?;
        return Ok(all.into_iter().map(|event| (0, event)).collect());
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(event) => Ok((number + 1, Value::Object(event))),
            Err(error) => Err(refused(file.path, number + 1, error.to_string())),
        })
        .collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A task with the attempt that it is; None for one that was taken over from an earlier run, which paid for it.
fn task(get: &dyn Fn(&str) -> String, utc_offset_minutes: i64) -> Result<Option<Task>, String> {
    let moment = |name: &str| -> Result<Option<Time>, String> {
        let text = get(name);
        match text.as_str() {
            "" => Ok(None),
            // Raw traces and events have milliseconds since 1970.
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => number
                .parse()
                .ok()
                .filter(|ms| *ms < 100_000_000_000_000)
                .map(|ms| Some(Time(ms)))
                .ok_or_else(|| format!("`{name}` is no time")),
            text => local(text, utc_offset_minutes).map(Some).ok_or_else(|| format!("`{name}` is no time")),
        }
    };
    let span = |name: &str| milliseconds(&get(name)).ok_or_else(|| format!("`{name}` is no duration"));
    let status = get("status");
    if status == "CACHED" {
        return Ok(None);
    }
    let unfinished = matches!(status.as_str(), "NEW" | "SUBMITTED" | "RUNNING" | "ABORTED");
    let failed = unfinished || status == "FAILED";
    let (start, submit) = (moment("start")?, moment("submit")?);
    let ended = match (moment("complete")?, submit) {
        (Some(complete), _) => Some(complete),
        (None, _) if unfinished && get("duration").is_empty() => None,
        (None, Some(submit)) => Some(submit.plus(span("duration")?)),
        (None, None) => return Err("a task has `complete`, or `submit` and `duration`".to_owned()),
    };
    let times = match (start, ended) {
        (Some(start), _) => Some((start, ended.unwrap_or(start))),
        (None, None) => None,
        // It did not even begin.
        (None, Some(_)) if failed && get("realtime").is_empty() => None,
        (None, Some(ended)) => Some((ended.plus(-span("realtime")?), ended)),
    };
    let name = get("name");
    if name.is_empty() {
        return Err("a task has a `name`".to_owned());
    }
    let process = match get("process") {
        process if process.is_empty() => name.split(" (").next().unwrap_or_default().to_owned(),
        process => process,
    };
    let attempt = times.map(|(started, ended)| {
        let mut attempt = attempt(started, ended, failed);
        attempt.cpus = number(&get("cpus")).and_then(decimal);
        attempt.memory_gib = bytes(&get("memory")).and_then(|bytes| decimal(bytes / 1_073_741_824.0));
        attempt.memory_peak_mib = bytes(&get("peak_rss")).map(|bytes| bytes / 1_048_576.0);
        attempt.cpu_seconds = number(get("%cpu").trim_end_matches('%'))
            .map(|busy| busy / 100.0 * (attempt.ended.0 - attempt.started.0) as f64 / 1_000.0);
        attempt
    });
    Ok(Some(Task { name, process, failed, attempt, open: ended.is_none() }))
}

/// A number from 0 on, with a point or a comma before its decimals.
fn number(text: &str) -> Option<f64> {
    let number: f64 = text.replace(',', ".").parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// `1h 2m 3.5s`, `350ms`, or plain milliseconds.
fn milliseconds(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|ms| *ms < 100_000_000_000);
    }
    let mut sum = 0.0;
    for part in text.split_whitespace() {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',').len();
        let (amount, unit) = part.split_at_checked(digits)?;
        let scale = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        sum += number(amount)? * scale;
    }
    (!text.is_empty() && sum < 1e11).then_some(sum as i64)
}

/// `1.2 GB` (1,024s, as Nextflow counts), or plain bytes.
fn bytes(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let number = number(words.next()?)?;
    let power = match words.next() {
        None | Some("B") => 0,
        Some("KB") => 1,
        Some("MB") => 2,
        Some("GB") => 3,
        Some("TB") => 4,
        Some(_) => return None,
    };
    Some(number * 1_024_f64.powi(power))
}
