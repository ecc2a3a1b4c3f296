//! cwltool: the log of a provenance folder (`metadata/logs/engine.*.txt`) or what `--timestamps` writes to stderr.
//!
//! ```text
//! [2026-11-28T14:41:10,805.000000Z] [job align] /tmp/q9rz_ojr$ /bin/sh \
//! [2026-11-28T14:41:10,948.000000Z] [job align] completed success
//! [2026-11-28 14:39:19] INFO [job call] Max memory used: 42MiB
//! ```
//! Behind the comma stand whole milliseconds (`58.000000` are 58 ms, whatever it looks like). The zone is written as `Z`
//! and is the machine's own. cwltool does not try again, so a job has one attempt; one that it takes from its cache has
//! none: `[job align] Using cached output in ...` is the last that is said of it.

use std::collections::{HashMap, HashSet};

use headwater_base::Problem;

use super::{File, Jobs, Records, attempt, local, one, refused, utf8};
use crate::time::Time;

pub(super) fn read(files: &[File<'_>], utc_offset_minutes: i64) -> Result<Records, Problem> {
    // A provenance folder has other texts as well.
    let is_engines = |file: &&File<'_>| {
        let name = file.path.rsplit('/').next().unwrap_or(file.path);
        name.starts_with("engine") && name.ends_with(".txt")
    };
    let is_log = |file: &&File<'_>| file.path.ends_with(".txt") || file.path.ends_with(".log");
    let mut logs: Vec<&File<'_>> = files.iter().filter(is_engines).collect();
    if logs.is_empty() {
        logs.extend(files.iter().filter(is_log));
    }
    let file = one(&logs, "there is no engine log (`engine*.txt` or `*.log`)")?;
    // A run whose log ends before it says how was killed.
    let mut records = Records { failed: true, ..Records::default() };
    let mut jobs = Jobs::default();
    let mut open: HashMap<String, (Time, Option<f64>)> = HashMap::new();
    let mut cached: HashSet<String> = HashSet::new();
    for (number, line) in utf8(file)?.lines().enumerate() {
        let line = plain(line);
        // Commands run over several lines, of which the first has a time.
        let Some((time, said)) = stamped(&line, utc_offset_minutes) else { continue };
        records.saw(time);
        if let Some(status) = said.strip_prefix("Final process status is ") {
            records.failed = status.trim() != "success";
        }
        let Some((job, said)) = said.strip_prefix("[job ").and_then(|rest| rest.split_once("] ")) else { continue };
        if said.starts_with("Using cached output in ") {
            open.remove(job);
            cached.insert(job.to_owned());
        }
        if cached.contains(job) {
            continue;
        }
        if let Some(status) = said.strip_prefix("completed ") {
            let (since, memory) = open.remove(job).unwrap_or((time, None));
            let mut attempt = attempt(since, time, status.trim() != "success");
            attempt.memory_peak_mib = memory;
            if !jobs.push(job, name(job), attempt) {
                return Err(refused(file.path, number + 1, "there are too many attempts".to_owned()));
            }
        } else {
            let entry = open.entry(job.to_owned()).or_insert((time, None));
            if let Some(memory) = said.strip_prefix("Max memory used: ") {
                entry.1 = memory.trim().strip_suffix("MiB").and_then(|number| number.parse().ok());
            }
        }
    }
    let Some(ended) = records.ended else {
        return Err(refused(file.path, 0, "no line of it begins with a time".to_owned()));
    };
    // What had begun when the log ends did not end well.
    let mut left: Vec<(String, Time)> = open.into_iter().map(|(job, (since, _))| (job, since)).collect();
    left.sort();
    records.failed |= !left.is_empty();
    for (job, since) in left {
        jobs.push(&job, name(&job), attempt(since, ended, true));
    }
    records.jobs = jobs.jobs;
    Ok(records)
}

/// The time at the head of a line, and what is said, without the level.
fn stamped(line: &str, utc_offset_minutes: i64) -> Option<(Time, &str)> {
    let (stamp, said) = line.strip_prefix('[')?.split_once("] ")?;
    let time = match stamp.split_once(',') {
        Some((seconds, millis)) => {
            let millis: i64 = millis.split('.').next()?.parse().ok()?;
            local(seconds, utc_offset_minutes)?.plus(millis.clamp(0, 999))
        }
        None => local(stamp, utc_offset_minutes)?,
    };
    let said = said.trim_start();
    let level = ["INFO ", "WARNING ", "ERROR ", "DEBUG "].iter().find_map(|level| said.strip_prefix(level));
    Some((time, level.unwrap_or(said)))
}

/// The step's name: `align_2` is the second job of `align`.
fn name(job: &str) -> &str {
    match job.rsplit_once('_') {
        Some((name, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => job,
    }
}

/// A line without the escape sequences of a terminal.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}
