//! `cargo xtask conformance kafka`, `sql`: others' test suites against a node, judged by exact lists of what may fail;
//! `spark`, `trino`: clients that are too large for the ordinary tests, judged the same way; `--corpus DIR`: recorded
//! behaviour of other systems (`corpora`).
//!
//! A test that fails and is not listed fails the run, and so does a listed test that passes: the lists in
//! `tests/conformance/` are always what is true. A test that does not run is named with its reason.
//!
//! What it is NOT: part of `cargo xtask test`; the suites are fetched and built here, once, into
//! `<target>/conformance`, and take minutes.

mod corpora;
mod engines;
mod expected;
mod kafka_python;
pub mod librdkafka;
mod sql;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::expected::Expected;
use crate::node::{self, Node};
use crate::process::{cargo, read, root, target};
use crate::setup::{self, Needs};

/// The broker version that the suites believe to be talking to.
const KAFKA_VERSION: &str = "4.2.0";

/// What is held against its outside suites.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Interface {
    /// The Kafka listener.
    Kafka,
    /// SQL, on the PostgreSQL listener.
    Sql,
    /// Iceberg's catalog, by Apache Spark.
    Spark,
    /// Iceberg's catalog, by Trino.
    Trino,
}

/// An outside suite.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Tests 0001 to 0060 of librdkafka, those that touch a broker.
    Librdkafka,
    /// The integration tests of kafka-python.
    KafkaPython,
}

impl Suite {
    const fn name(self) -> &'static str {
        match self {
            Self::Librdkafka => "librdkafka",
            Self::KafkaPython => "kafka-python",
        }
    }
}

/// What is run.
#[derive(Args)]
pub struct Options {
    /// The interface under test
    #[arg(value_enum, required_unless_present = "corpus")]
    interface: Option<Interface>,
    /// Judge the recorded behaviour in this folder instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["interface", "suite", "only", "binary"])]
    corpus: Option<PathBuf>,
    /// Only this suite of a Kafka client
    #[arg(long, value_enum)]
    suite: Option<Suite>,
    /// Only tests whose name contains this; lists are then checked for those alone
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Print JSON at the end instead of the table
    #[arg(long)]
    json: bool,
    /// Cargo profile of the binary
    #[arg(long, default_value = "dev")]
    profile: String,
    /// Run this binary instead of building one
    #[arg(long, value_name = "PATH", conflicts_with = "profile")]
    binary: Option<PathBuf>,
}

/// One test and how it ended.
pub struct Outcome {
    /// As its suite calls it.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub seconds: f64,
}

impl Outcome {
    /// A line of a program of ours that runs tests: `outcome`, name, verdict, seconds, reason, with tabs between.
    fn told(line: &str) -> Option<Self> {
        let mut cells = line.strip_prefix("outcome\t")?.splitn(4, '\t');
        let (name, verdict) = (cells.next()?.to_owned(), cells.next()?);
        let seconds = cells.next()?.parse().ok()?;
        let reason = cells.next().unwrap_or_default().to_owned();
        let verdict = match verdict {
            "passed" => Verdict::Passed,
            "skipped" => Verdict::NotRun(reason),
            _ => Verdict::Failed(reason),
        };
        Some(Self { name, verdict, seconds })
    }
}

/// How a test ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed, in its own words.
    Failed(String),
    /// It did not run, and why.
    NotRun(String),
}

/// Where a suite runs and what it is told.
struct Stage<'a> {
    /// The node's address.
    broker: String,
    /// A folder for its sources, programs and logs, which outlives the run.
    folder: PathBuf,
    /// Restricts the tests.
    only: Option<&'a str>,
}

impl Stage<'_> {
    fn wants(&self, test: &str) -> bool {
        self.only.is_none_or(|part| test.contains(part))
    }
}

/// Runs the suites.
///
/// # Errors
/// When a suite cannot run, or the outcome is not what the lists say.
pub fn execute(options: &Options) -> Result<()> {
    if let Some(folder) = &options.corpus {
        return corpora::execute(folder, options.json);
    }
    let interface = options.interface.unwrap_or(Interface::Kafka);
    if interface != Interface::Kafka && options.suite.is_some() {
        bail!("`--suite` names a suite of a Kafka client");
    }
    match interface {
        Interface::Kafka => setup::prepare(Needs::Conformance)?,
        Interface::Sql => setup::prepare(Needs::Clients)?,
        // They fetch what they need.
        Interface::Spark | Interface::Trino => {}
    }
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => node::build(&options.profile)?,
    };
    let (reports, findings) = match interface {
        Interface::Kafka => kafka(&binary, options)?,
        Interface::Sql => sql::judged(&binary, options)?,
        Interface::Spark => engines::judged(&setup::SPARK, &binary, options)?,
        Interface::Trino => engines::judged(&setup::TRINO, &binary, options)?,
    };
    if options.json {
        let suites: Vec<Value> = reports.iter().map(Report::json).collect();
        println!("{}", json!({ "suites": suites, "findings": findings }));
    } else {
        println!("\n{:<14} {:>6} {:>16} {:>8} {:>9}", "suite", "passed", "failed as listed", "not run", "seconds");
        for report in &reports {
            let Report { suite, passed, failed, not_run, seconds, .. } = report;
            println!("{suite:<14} {passed:>6} {failed:>16} {not_run:>8} {seconds:>9.0}");
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    bail!("not as listed in tests/conformance:\n{}", findings.join("\n"))
}

/// Runs the suites of Kafka clients: their figures, and what is not as listed.
fn kafka(binary: &Path, options: &Options) -> Result<(Vec<Report>, Vec<String>)> {
    let suites = [Suite::Librdkafka, Suite::KafkaPython];
    let mut reports = Vec::new();
    let mut findings = Vec::new();
    for suite in suites.into_iter().filter(|suite| options.suite.is_none_or(|only| only == *suite)) {
        let start = Instant::now();
        let expected = Expected::read(&format!("kafka/{}.txt", suite.name()))?;
        let outcomes = run(suite, binary, options.only.as_deref(), &expected)?;
        let wrong = expected.judge(&outcomes, options.only.is_some());
        let outcomes: Vec<&Outcome> = outcomes.iter().collect();
        reports.push(Report::of(suite.name(), &outcomes, &expected, start.elapsed().as_secs_f64()));
        findings.extend(wrong.into_iter().map(|finding| format!("{}: {finding}", suite.name())));
    }
    Ok((reports, findings))
}

/// Runs one suite against a node of its own.
fn run(suite: Suite, binary: &Path, only: Option<&str>, expected: &Expected) -> Result<Vec<Outcome>> {
    let folder = target().join("conformance").join(suite.name());
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    // librdkafka's tests use kafka-python as a tool.
    let python = kafka_python::prepare(&folder.with_file_name(Suite::KafkaPython.name()))?;
    let runner = match suite {
        Suite::Librdkafka => librdkafka::prepare(&folder)?,
        Suite::KafkaPython => python,
    };
    let (node, _) = Node::start(binary, &data, None)?;
    let stage = Stage { broker: node.kafka(), folder, only };
    eprintln!("{}: against {}, logs in {}", suite.name(), stage.broker, stage.folder.join("logs").display());
    let mut outcomes = Vec::new();
    let mut each = |outcome: Outcome| {
        eprintln!("{}", progress(&outcome, expected));
        outcomes.push(outcome);
    };
    match suite {
        Suite::Librdkafka => librdkafka::run(&runner, &stage, &mut each)?,
        Suite::KafkaPython => kafka_python::run(&runner, &stage, &mut each)?,
    }
    node.stop()?;
    Ok(outcomes)
}

/// Runs a program of ours that tells on its standard output how tests ended, to its end.
fn told(program: &mut Command, each: &mut dyn FnMut(Outcome)) -> Result<()> {
    program.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = program.spawn().with_context(|| format!("cannot start {}", program.get_program().display()))?;
    for line in BufReader::new(child.stdout.take().context("no standard output")?).lines() {
        if let Some(outcome) = Outcome::told(&line?) {
            each(outcome);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("what runs the tests ended with {status}");
    }
    Ok(())
}

fn progress(outcome: &Outcome, expected: &Expected) -> String {
    let Outcome { name, verdict, seconds } = outcome;
    let word = match verdict {
        Verdict::Passed => "passed".to_owned(),
        Verdict::Failed(_) if expected.reason(name).is_some() => "failed, as listed".to_owned(),
        Verdict::Failed(why) => format!("FAILED: {why}"),
        Verdict::NotRun(why) => format!("not run: {why}"),
    };
    format!("{seconds:>7.1} s  {name}  {word}")
}

/// Lets cargo fetch a crate, for a manifest in `folder` that is built nowhere; gives the crate's folder.
fn fetch(folder: &Path, name: &str, version: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let manifest = folder.join("Cargo.toml");
    let package = "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(&manifest, format!("{package}[dependencies]\n{name} = \"{version}\"\n"))?;
    // What it depends on is fetched with it: in our own versions where it can be, which are here already.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let answer = read(cargo().args(["metadata", "--format-version", "1", "--manifest-path"]).arg(&manifest))?;
    let metadata: Value = serde_json::from_str(&answer)?;
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    let found = packages.iter().find(|package| package.get("name").is_some_and(|it| it == name));
    let manifest = found.and_then(|package| package.get("manifest_path")?.as_str()).context("the crate is missing")?;
    Path::new(manifest).parent().map(Path::to_path_buf).context("a manifest without a folder")
}

/// One suite in figures.
struct Report {
    suite: String,
    passed: usize,
    failed: usize,
    not_run: usize,
    seconds: f64,
    tests: Vec<Value>,
}

impl Report {
    fn of(suite: &str, outcomes: &[&Outcome], expected: &Expected, seconds: f64) -> Self {
        let count = |is: fn(&Verdict) -> bool| outcomes.iter().filter(|outcome| is(&outcome.verdict)).count();
        let tests = outcomes.iter().map(|outcome| {
            let (verdict, reason) = match &outcome.verdict {
                Verdict::Passed => ("passed", None),
                Verdict::Failed(why) => ("failed", Some(why.as_str())),
                Verdict::NotRun(why) => ("not run", Some(why.as_str())),
            };
            let reason = expected.reason(&outcome.name).or(reason);
            json!({ "name": outcome.name, "verdict": verdict, "reason": reason, "seconds": outcome.seconds })
        });
        Self {
            suite: suite.to_owned(),
            passed: count(|verdict| *verdict == Verdict::Passed),
            failed: count(|verdict| matches!(verdict, Verdict::Failed(_))),
            not_run: count(|verdict| matches!(verdict, Verdict::NotRun(_))),
            seconds,
            tests: tests.collect(),
        }
    }

    fn json(&self) -> Value {
        let Self { suite, passed, failed, not_run, seconds, tests } = self;
        json!({
            "suite": suite, "passed": passed, "failed": failed, "not_run": not_run, "seconds": seconds,
            "tests": tests,
        })
    }
}
