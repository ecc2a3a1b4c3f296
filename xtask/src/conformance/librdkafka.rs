//! librdkafka's own suite: its sources come with the crate rdkafka-sys, its runner is built once.
//!
//! Each number runs in a process of its own, so that a crash or a hang costs one number and has one log.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use super::{KAFKA_VERSION, Outcome, Stage, Verdict, fetch};
use crate::process::{end_within, read, root};
use crate::setup::once;

/// The crate, pinned; librdkafka 2.12.1 is in it.
const CRATE: &str = "rdkafka-sys";
const VERSION: &str = "=4.10.0";
/// The last number that is run.
const LAST: u32 = 60;
/// The longest that the tests of one number may take; the runner has shorter ones for each test.
const PATIENCE: Duration = Duration::from_secs(300);

/// Fetches the sources and builds the runner; gives the folder of the tests.
///
/// # Errors
/// When a step fails; its output is in the message.
pub fn prepare(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("source");
    once(&folder.join(".ready"), VERSION, || {
        eprintln!("conformance: building librdkafka's test runner (about three minutes, once)");
        let fetched = fetch(&folder.join("fetch"), CRATE, VERSION)?.join("librdkafka");
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        read(Command::new("cp").args(["--recursive", "--preserve=mode"]).arg(&fetched).arg(&source))?;
        let plain = ["--disable-ssl", "--disable-gssapi", "--disable-curl", "--disable-lz4-ext"];
        read(Command::new("bash").arg("configure").args(plain).current_dir(&source))?;
        // The last is for `cargo xtask bench log`.
        let goals = [("src", "lib"), ("src-cpp", "lib"), ("tests", "test-runner"), ("examples", "rdkafka_performance")];
        for (part, goal) in goals {
            let jobs = std::thread::available_parallelism().map_or(1, usize::from);
            read(Command::new("make").arg(format!("-j{jobs}")).args(["-C", part, goal]).current_dir(&source))?;
        }
        Ok(())
    })?;
    Ok(source.join("tests"))
}

/// Runs every test up to [`LAST`] that touches a broker.
pub(super) fn run(tests: &Path, stage: &Stage, each: &mut dyn FnMut(Outcome)) -> Result<()> {
    let logs = stage.folder.join("logs");
    fs::create_dir_all(&logs)?;
    let kafka = stand_in(&stage.folder)?;
    let configuration = stage.folder.join("test.conf");
    // Its time-outs are for a machine that does nothing else.
    let settings = "test.topic.random=true\ntest.timeout.multiplier=3\n";
    fs::write(&configuration, format!("bootstrap.servers={}\n{settings}", stage.broker))?;
    let listed = broker_tests(&fs::read_to_string(tests.join("test.c"))?);
    let listed: Vec<&str> = listed.iter().map(String::as_str).filter(|name| stage.wants(name)).collect();
    for names in listed.chunk_by(|a, b| number(a) == number(b)) {
        let Some(number) = names.first().and_then(|name| number(name)) else { continue };
        let log = logs.join(format!("{number}.log"));
        let output = fs::File::create(&log)?;
        let mut runner = Command::new(tests.join("test-runner"))
            // Not in quick mode (-Q), which leaves out most parts of some tests and calls that passed.
            .args(["-p1", "-L"])
            .current_dir(tests)
            .env("LD_LIBRARY_PATH", "../src:../src-cpp")
            // At 3 it says why it skips.
            .env("TEST_LEVEL", "3")
            .env("TEST_KAFKA_VERSION", KAFKA_VERSION)
            .env("KAFKA_PATH", &kafka)
            .env("BROKERS", &stage.broker)
            .env("TESTS", number)
            .env("RDKAFKA_TEST_CONF", &configuration)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let end = match end_within(&mut runner, PATIENCE)? {
            Some(status) => format!("the runner ended with {status} before its summary"),
            None => format!("no end after {} s", PATIENCE.as_secs()),
        };
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        for name in names {
            let aborted = || (Verdict::Failed(failure(&text, name).unwrap_or(&end).to_owned()), 0.0);
            let (verdict, seconds) = judge(&text, name).unwrap_or_else(aborted);
            each(Outcome { name: (*name).to_owned(), verdict, seconds });
        }
    }
    Ok(())
}

/// A folder that looks like a Kafka distribution as far as the tests look into it.
fn stand_in(folder: &Path) -> Result<PathBuf> {
    let kafka = folder.join("kafka");
    fs::create_dir_all(kafka.join("bin"))?;
    let script = kafka.join("bin/kafka-topics.sh");
    let (library, program) =
        (folder.with_file_name("kafka-python/source"), root().join("tests/conformance/kafka/topics.py"));
    let text = format!("#!/bin/sh\nPYTHONPATH={} exec python3 {} \"$@\"\n", library.display(), program.display());
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(kafka)
}

fn number(name: &str) -> Option<&str> {
    name.get(..4)
}

/// The tests that need a broker, from the table in `test.c`: `_TEST(0011_produce_batch, FLAGS, …)`.
fn broker_tests(source: &str) -> Vec<String> {
    let entries = source.split("_TEST(").skip(1).filter_map(|entry| {
        let entry = entry.split_once("),").map_or(entry, |(entry, _)| entry);
        let (name, flags) = entry.split_once(',')?;
        let due = number(name)?.parse::<u32>().is_ok_and(|number| (1..=LAST).contains(&number));
        (due && !flags.contains("TEST_F_LOCAL")).then(|| name.to_owned())
    });
    entries.collect()
}

/// A test's line in the summary: `| 0011_produce_batch | PASSED | 1.234s | why`, with colours.
fn judge(log: &str, name: &str) -> Option<(Verdict, f64)> {
    let (_, summary) = log.rsplit_once(" SUMMARY\n")?;
    let line = summary
        .lines()
        .find(|line| line.split('|').nth(1).is_some_and(|cell| cell.split(' ').any(|word| word == name)))?;
    let mut cells = line.splitn(5, '|').skip(2).map(str::trim);
    let (state, time) = (cells.next()?, cells.next()?);
    let seconds = time.split_once('s').and_then(|(seconds, _)| seconds.parse().ok()).unwrap_or_default();
    let why = plain(cells.next().unwrap_or_default());
    let verdict = match state {
        "PASSED" => Verdict::Passed,
        // Tests without a broker are not asked for, so the only flag left is that of known issues.
        "SKIPPED" if why.contains("negative test flags") => Verdict::NotRun("a known issue of librdkafka's own".into()),
        "SKIPPED" | "DNS" => Verdict::NotRun(skip(log, name).map_or(why, str::to_owned)),
        _ => Verdict::Failed(failure(log, name).map_or(why, str::to_owned)),
    };
    Some((verdict, seconds))
}

/// Why a test was skipped: `Skipping test NAME (why) ====`.
fn skip<'a>(log: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = log.split_once(&format!("Skipping test {name} ("))?;
    rest.split_once(") =").map(|(why, _)| why)
}

/// Why a test failed: the line after `### Test "NAME …" failed at …`. A failed test may abort the runner.
fn failure<'a>(log: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = log.split_once(&format!("### Test \"{name}"))?;
    rest.lines().nth(1)
}

/// Without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or("", |(_, rest)| rest)).trim().to_owned()
}

#[cfg(test)]
mod tests;
