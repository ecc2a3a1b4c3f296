//! Nextflow: events of `-with-weblog` (JSON lines or an array), or `trace.txt`.
//!
//! A task that is tried again is a new task with the same name; its attempts become those of one job. In `trace.txt`
//! a task without `start` and `complete` has been queued for what `duration` is longer than `realtime`.
//!
//! # Source
//! Nextflow reference, "Tracing": trace file fields; weblog: `event`, `utcTime`, `trace`.

use headwater_base::Problem;
use serde_json::{Map, Value};

use super::{File, Jobs, Records, attempt, decimal, local, refused, utf8};
use crate::time::Time;
use crate::usage::Attempt;

pub(super) fn read(files: &[File<'_>], utc_offset_minutes: i64) -> Result<Records, Problem> {
    let Some(file) = files.first() else {
        return Err(refused("", 0, "there is neither a weblog nor a `trace.txt`".to_owned()));
    };
    let text = utf8(file)?;
    let mut records = Records::default();
    let mut tasks: Vec<(String, String, Attempt)> = Vec::new();
    if text.trim_start().starts_with(['{', '[']) {
        for (number, event) in events(file, text)? {
            let wrong = |fact: &str| refused(file.path, number, fact.to_owned());
            let time = event["utcTime"].as_str().and_then(|text| local(text, 0));
            records.saw(time.ok_or_else(|| wrong("no `utcTime`"))?);
            let status = event["event"].as_str().unwrap_or_default();
            if status == "completed" {
                records.failed = event["metadata"]["workflow"]["success"] == Value::Bool(false);
            }
            records.failed |= status == "error";
            if status == "process_completed" {
                let Some(trace) = event["trace"].as_object() else { return Err(wrong("no `trace`")) };
                let get = |name: &str| trace.get(name).map(cell).unwrap_or_default();
                tasks.push(task(&get, 0).map_err(|fact| wrong(&fact))?);
            }
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
            if get("status") == "CACHED" {
                // Taken over from an earlier run, which paid for it.
                continue;
            }
            tasks.push(task(&get, utc_offset_minutes).map_err(|fact| refused(file.path, number + 1, fact))?);
        }
        let mut last = std::collections::HashMap::new();
        for (name, _, attempt) in &tasks {
            last.insert(name.as_str(), attempt.failed);
        }
        records.failed = last.values().any(|failed| *failed);
    }
    tasks.sort_by_key(|(_, _, attempt)| attempt.started);
    let mut jobs = Jobs::default();
    for (name, process, attempt) in tasks {
        records.saw(attempt.started);
        records.saw(attempt.ended);
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

/// A task's name, its process and the attempt that it is.
fn task(get: &dyn Fn(&str) -> String, utc_offset_minutes: i64) -> Result<(String, String, Attempt), String> {
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
    let submit = moment("submit")?;
    let ended = match (moment("complete")?, submit) {
        (Some(complete), _) => complete,
        (None, Some(submit)) => submit.plus(span("duration")?),
        (None, None) => return Err("a task has `complete`, or `submit` and `duration`".to_owned()),
    };
    let started = match moment("start")? {
        Some(start) => start,
        None => ended.plus(-span("realtime")?),
    };
    let name = get("name");
    let process = match get("process") {
        process if process.is_empty() => name.split(" (").next().unwrap_or_default().to_owned(),
        process => process,
    };
    let failed = matches!(get("status").as_str(), "FAILED" | "ABORTED");
    let mut attempt = attempt(started, ended, failed);
    attempt.cpus = get("cpus").parse().ok().and_then(decimal);
    attempt.memory_gib = bytes(&get("memory")).and_then(|bytes| decimal(bytes / 1_073_741_824.0));
    attempt.memory_peak_mib = bytes(&get("peak_rss")).map(|bytes| bytes / 1_048_576.0);
    let busy: Option<f64> = get("%cpu").trim_end_matches('%').parse().ok();
    attempt.cpu_seconds = busy
        .filter(|busy| busy.is_finite() && *busy >= 0.0)
        .map(|busy| busy / 100.0 * (attempt.ended.0 - attempt.started.0) as f64 / 1_000.0);
    if name.is_empty() {
        return Err("a task has a `name`".to_owned());
    }
    Ok((name, process, attempt))
}

/// `1h 2m 3.5s`, `350ms`, or plain milliseconds.
fn milliseconds(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|ms| *ms < 100_000_000_000);
    }
    let mut sum = 0.0;
    for part in text.split_whitespace() {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, unit) = part.split_at_checked(digits)?;
        let scale = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * scale;
    }
    (!text.is_empty() && sum < 1e11).then_some(sum as i64)
}

/// `1.2 GB` (1,024s, as Nextflow counts), or plain bytes.
fn bytes(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let number: f64 = words.next()?.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
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
