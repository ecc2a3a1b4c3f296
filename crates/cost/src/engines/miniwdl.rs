//! MiniWDL: `workflow.log` of a run folder, which has the lines of all tasks.
//!
//! ```text
//! 2026-11-28 14:39:52.282 wdl.w:variants.t:call-align-0-s1 NOTICE task setup :: name: "align", ...
//! 2026-11-28 14:39:52.456 wdl.w:variants.t:call-align-0-s1 NOTICE BareContainer :: pid: 19755, ...
//! 2026-11-28 14:39:53.884 wdl.w:variants.t:call-align-0-s1 ERROR failed task will be retried :: error: ...
//! 2026-11-28 14:39:55.062 wdl.w:variants.t:call-align-0-s1 NOTICE done
//! ```
//! An attempt begins when its container does, else when the task is set up. What is taken from the call cache is `done
//! (cached)`, and an earlier run paid for it. Times are the machine's own.

use std::collections::HashMap;

use headwater_base::Problem;

use super::{File, Jobs, Records, attempt, local, refused, several, utf8};
use crate::time::Time;

/// A task that runs.
struct Open {
    name: String,
    since: Time,
}

pub(super) fn read(files: &[File<'_>], utc_offset_minutes: i64) -> Result<Records, Problem> {
    // Of a workflow that another one calls there is a log below, whose lines the caller's has as well.
    let logs = || files.iter().filter_map(|file| Some((file, file.path.strip_suffix("workflow.log")?)));
    let Some((file, folder)) = logs().min_by_key(|(_, folder)| folder.len()) else {
        return Err(refused("", 0, "there is no `workflow.log`".to_owned()));
    };
    if let Some((other, _)) = logs().find(|(other, of)| other.path != file.path && !of.starts_with(folder)) {
        return Err(several(file, other));
    }
    let mut records = Records::default();
    let mut jobs = Jobs::default();
    let mut open: HashMap<String, Open> = HashMap::new();
    // Whether the run's own logger, which speaks first, says so; a log that ends before is one of a run that was killed.
    // Workflows that it calls have loggers below it, and so has the call cache, which may speak behind it.
    let (mut own, mut is_done) = (None, false);
    for (number, line) in utf8(file)?.lines().enumerate() {
        // What tasks print stands in lines of its own, without a time.
        let Some((time, logger, level, said)) = parse(line, utc_offset_minutes) else { continue };
        records.saw(time);
        let Some(task) = task(logger) else {
            if *own.get_or_insert(logger) == logger && (level == "ERROR" || said.starts_with("done")) {
                is_done = level != "ERROR";
            }
            continue;
        };
        let mut end = |open: &mut HashMap<String, Open>, failed: bool| {
            let Some(ended) = open.remove(task) else { return Ok(None) };
            if !jobs.push(task, &ended.name, attempt(ended.since, time, failed)) {
                return Err(refused(file.path, number + 1, "there are too many attempts".to_owned()));
            }
            Ok(Some(ended.name))
        };
        if said.starts_with("task setup") {
            let name = said.split("name: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or(task);
            open.insert(task.to_owned(), Open { name: name.to_owned(), since: time });
        } else if said.starts_with("done (cached)") {
            open.remove(task);
        } else if ["failed", "interrupted"].iter().any(|how| is_retried(said, how)) {
            if let Some(name) = end(&mut open, true)? {
                open.insert(task.to_owned(), Open { name, since: time });
            }
        } else if said == "done" || said.starts_with("done ::") {
            end(&mut open, false)?;
        } else if level == "ERROR" && said.contains("failed") {
            end(&mut open, true)?;
        } else if said.contains(":: pid: ") || said.contains("container: ") {
            open.entry(task.to_owned()).and_modify(|open| open.since = time);
        }
    }
    let Some(ended) = records.ended else {
        return Err(refused(file.path, 0, "no line of it begins with a time".to_owned()));
    };
    let mut left: Vec<(String, Open)> = open.into_iter().collect();
    left.sort_by(|a, b| a.0.cmp(&b.0));
    records.failed = !left.is_empty() || !is_done;
    for (task, open) in left {
        jobs.push(&task, &open.name, attempt(open.since, ended, true));
    }
    records.jobs = jobs.jobs;
    Ok(records)
}

/// Whether a task that ended so begins again.
fn is_retried(said: &str, how: &str) -> bool {
    said.strip_prefix(how).is_some_and(|rest| rest.starts_with(" task will be retried"))
}

/// Time, logger, level and message of a line.
fn parse(line: &str, utc_offset_minutes: i64) -> Option<(Time, &str, &str, &str)> {
    let (stamp, rest) = line.split_at_checked(23)?;
    let time = local(stamp, utc_offset_minutes)?;
    let mut words = rest.strip_prefix(' ')?.splitn(3, ' ');
    let logger = words.next().filter(|logger| logger.starts_with("wdl."))?;
    Some((time, logger, words.next()?, words.next()?.trim()))
}

/// The task's part of a logger's name; None for a workflow's own lines.
fn task(logger: &str) -> Option<&str> {
    logger.split_once(".t:").map(|_| logger.trim_start_matches("wdl."))
}
