//! Matching of event patterns beside two others that read the same language: the crate `quamina` and Amazon's
//! event-ruler. All run the rules and events of `crates/pattern/examples/patterns_bench`, each in a process of its own
//! and in turns, and must find the same rules.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_least, at_most, rounded, spread};
use crate::process::{read, root, target};
use crate::setup;

/// Rules of the comparison.
const RULES: u32 = 10_000;
/// Rules between which matching may get slower by [`SLOWER_MAX`].
const SIZES: [u32; 4] = [100, 1_000, 10_000, 100_000];
/// Seconds of one figure.
const SECONDS: &str = "2";
const QUAMINA_RATIO: f64 = 1.5;
const RULER_RATIO: f64 = 3.0;
const SLOWER_MAX: f64 = 2.0;
const WILDCARD_EVENTS: f64 = 50_000.0;
/// Events whose rules are shown where engines do not agree.
const DIFFERENCES_MAX: usize = 5;

pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    let folder = target().join("bench").join("patterns");
    fs::create_dir_all(&folder)?;
    let bench = Bench { example: options.example("patterns_bench")?, folder };
    let ruler = bench.ruler()?;
    bench.run(["text", "0", &RULES.to_string(), &bench.file("rules.txt")])?;

    let (mut ours, mut quamina, mut amazon) = (Figures::default(), Figures::default(), Figures::default());
    let (mut sizes, mut every, mut wildcards) =
        (SIZES.map(|_| Figures::default()), SIZES.map(|_| Figures::default()), Figures::default());
    for _ in 0..options.runs {
        let rules = RULES.to_string();
        ours.add(bench.run(["headwater", SECONDS, &rules, &bench.file("headwater.txt")])?);
        quamina.add(bench.run(["quamina", SECONDS, &rules, &bench.file("quamina.txt")])?);
        amazon.add(bench.run_ruler(&ruler)?);
        for ((size, figures), every) in SIZES.iter().zip(&mut sizes).zip(&mut every) {
            figures.add(bench.run(["headwater", SECONDS, &size.to_string()])?);
            every.add(bench.run(["every", SECONDS, &size.to_string()])?);
        }
        wildcards.add(bench.run(["wildcards", SECONDS])?);
    }

    let (over_quamina, over_ruler) = (ours.over(&quamina), ours.over(&amazon));
    let (slower, every_slower) = (slowdown(&sizes), slowdown(&every));
    let middle = |figures: &[f64]| spread(figures.to_vec())["median"].as_f64().unwrap_or_default();
    Ok(json!({
        "bench": "patterns",
        "rules": RULES,
        "headwater": ours.json(),
        "quamina": quamina.json(),
        "event_ruler": amazon.json(),
        "differences": {
            "quamina": bench.differences("quamina.txt")?,
            "event_ruler": bench.differences("event-ruler.txt")?,
        },
        "ratio_to_quamina": spread(over_quamina.clone()),
        "ratio_to_event_ruler": spread(over_ruler.clone()),
        "one_stream_by_rules": by_size(&sizes),
        "times_slower_with_100000_rules": spread(slower.clone()),
        "every_kind_found_by_rules": by_size(&every),
        "times_slower_with_100000_rules_of_which_every_kind_is_found": spread(every_slower),
        "one_pattern_of_100_wildcards": wildcards.json(),
        "goals": {
            "ratio_to_quamina": at_least(middle(&over_quamina), QUAMINA_RATIO),
            "ratio_to_event_ruler": at_least(middle(&over_ruler), RULER_RATIO),
            "times_slower_with_100000_rules": at_most(middle(&slower), SLOWER_MAX),
            "one_pattern_of_100_wildcards": at_least(middle(&wildcards.rates), WILDCARD_EVENTS),
        },
    }))
}

/// What several runs of one engine on one rule set printed.
#[derive(Default)]
struct Figures {
    rates: Vec<f64>,
    last: Value,
}

impl Figures {
    fn add(&mut self, run: Value) {
        self.rates.push(run["events_per_cpu_second"].as_f64().unwrap_or_default());
        self.last = run;
    }

    /// How many times faster than another, run by run.
    fn over(&self, other: &Self) -> Vec<f64> {
        self.rates.iter().zip(&other.rates).map(|(own, other)| rounded(own / other)).collect()
    }

    /// The spread of its rates; all else is the same in every run but for noise.
    fn json(&self) -> Value {
        let mut figures = self.last.clone();
        figures["events_per_cpu_second"] = spread(self.rates.clone());
        figures
    }
}

/// How many times slower the largest rule set is than the smallest, run by run.
fn slowdown(sizes: &[Figures]) -> Vec<f64> {
    sizes.first().zip(sizes.last()).map(|(small, large)| small.over(large)).unwrap_or_default()
}

fn by_size(sizes: &[Figures]) -> Value {
    SIZES.iter().zip(sizes).map(|(size, figures)| (size.to_string(), figures.json())).collect()
}

struct Bench {
    example: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn run<const N: usize>(&self, words: [&str; N]) -> Result<Value> {
        let output = read(Command::new(&self.example).args(words))?;
        serde_json::from_str(output.trim()).context("the example's figures")
    }

    /// Compiles the program that drives event-ruler; the class path it runs with.
    fn ruler(&self) -> Result<String> {
        let source = root().join("crates/pattern/examples/patterns_bench/ruler");
        let jars = setup::jars("event-ruler", &source)?;
        let classes = format!("{}:{}/*", self.folder.display(), jars.display());
        read(
            Command::new("javac")
                .arg("-d")
                .arg(&self.folder)
                .args(["-cp", &classes])
                .arg(source.join("RulerBench.java")),
        )?;
        Ok(classes)
    }

    fn run_ruler(&self, classes: &str) -> Result<Value> {
        // One thread collects garbage, so that its share can be told from the process's CPU time.
        let mut java = Command::new("java");
        java.args(["-XX:+UseSerialGC", "-Xms1g", "-Xmx4g", "-cp", classes, "RulerBench", SECONDS]);
        let files = ["rules.txt", "events.txt", "event-ruler.txt"].map(|name| self.folder.join(name));
        serde_json::from_str(read(java.args(files))?.trim()).context("event-ruler's figures")
    }

    /// Events for which another engine found other rules: how many, and the first of them.
    fn differences(&self, other: &str) -> Result<Value> {
        let lines = |name: &str| fs::read_to_string(self.folder.join(name)).with_context(|| name.to_owned());
        let (ours, theirs) = (lines("headwater.txt")?, lines(other)?);
        let pairs = ours.lines().zip(theirs.lines()).enumerate().filter(|(_, (ours, theirs))| ours != theirs);
        let pairs: Vec<Value> =
            pairs.map(|(event, (ours, theirs))| json!({"event": event, "headwater": ours, "other": theirs})).collect();
        let missing = ours.lines().count().abs_diff(theirs.lines().count());
        Ok(json!({"events": pairs.len() + missing, "first": pairs.get(..DIFFERENCES_MAX).unwrap_or(&pairs)}))
    }
}
