//! `cargo xtask bench`: the figures of docs/benchmarks.md. Goals stand beside them; missing one is no error.
//!
//! Every result carries the machine's load average and an fsync probe taken right before and after, because on a shared
//! machine a latency means nothing without them; CPU-seconds and ratios travel better. Load is open-loop: a latency
//! counts from the moment at which an event was meant to be sent; where clients wait for their answers, it says so.

mod bus;
mod clickstream;
mod console;
mod features;
mod idle;
mod lake;
mod log;
mod patterns;
mod pricing;
mod probe;
mod tables;
mod transform;
mod workflows;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::node;
use crate::process::target;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Rules and pipes through the whole node: how soon what comes of an event can be read, and how fast.
    Bus,
    /// The whole solution at the peak of article 02, then faster.
    Clickstream,
    /// The console in Chromium over three million rows: from a cold start to the first dashboard, and after a filter.
    Console,
    /// Windowed values of many keys: how soon they can be read, and how fast.
    Features,
    /// A node doing nothing: how fast it is ready, how little memory it takes.
    Idle,
    /// SQL: freshness under load, rows that are in no snapshot yet, TPC-H beside DuckDB.
    Lake,
    /// Produce through librdkafka's performance tool, every record synced before its acknowledgement.
    Log,
    /// Event patterns: 10,000 mixed rules beside two other matchers, and 100 to 100,000 rules.
    Patterns,
    /// Writes with conditions on one table, by many clients: counters, compare and write, transactions.
    Tables,
    /// The anonymise program on one core.
    Transform,
    /// The workflow engine: internal tasks, transitions, distributed Map, recovery; how soon a launch has its price.
    Workflows,
}

/// How it is measured.
#[derive(Args)]
pub struct Options {
    /// What to measure
    #[arg(value_enum)]
    name: Name,
    /// Print JSON on one line
    #[arg(long)]
    json: bool,
    /// Ten minutes of clickstream instead of one
    #[arg(long)]
    long: bool,
    /// Events each second [default: 27800 for clickstream, 20000 for features, 1000 for bus]
    #[arg(long)]
    rate: Option<u64>,
    /// Seconds under load; overrides `--long`
    #[arg(long)]
    seconds: Option<u64>,
    /// Seconds of each step of clickstream's search for the highest rate; 0 leaves it out
    #[arg(long, default_value_t = 15)]
    step_seconds: u64,
    /// Users that clickstream imports first
    #[arg(long, default_value_t = 1_000_000)]
    users: u32,
    /// Runs of bus, console, log, idle, lake, patterns, tables, transform and of Restate, of which the median and the
    /// spread are printed
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Cargo profile of the binary; `measured` is that of a release on the dependencies of the tests' build
    #[arg(long, default_value = node::MEASURED)]
    profile: String,
    /// Measure this binary, with `examples` beside it, instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Options {
    /// The binary to be measured.
    fn binary(&self) -> Result<PathBuf> {
        self.binary.clone().map_or_else(|| node::build(&self.profile), Ok)
    }

    /// A program that measures from inside a crate.
    fn example(&self, name: &str) -> Result<PathBuf> {
        match &self.binary {
            Some(binary) => Ok(binary.with_file_name("examples").join(name)),
            None => node::example(&self.profile, name),
        }
    }
}

/// Measures.
///
/// # Errors
/// When something does not run; a bad figure is not an error.
pub fn execute(options: &Options) -> Result<()> {
    let folder = target().join("bench");
    let measure = match options.name {
        Name::Bus => bus::measure,
        Name::Clickstream => clickstream::measure,
        Name::Console => console::measure,
        Name::Features => features::measure,
        Name::Idle => idle::measure,
        Name::Lake => lake::measure,
        Name::Log => log::measure,
        Name::Patterns => patterns::measure,
        Name::Tables => tables::measure,
        Name::Transform => transform::measure,
        Name::Workflows => workflows::measure,
    };
    let machine = probe::machine(&folder)?;
    let mut result = measure(options, &machine)?;
    if let Some(fields) = result.as_object_mut() {
        fields.insert("profile".to_owned(), json!(options.profile));
        fields.insert("before".to_owned(), machine.json());
        fields.insert("after".to_owned(), probe::machine(&folder)?.json());
    }
    if options.json {
        println!("{result}")
    } else {
        println!("{result:#}")
    }
    Ok(())
}

/// An empty data folder.
fn fresh(name: &str) -> Result<PathBuf> {
    let folder = target().join("bench").join(name).join("data");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Several runs' figure: the middle one, the lowest and the highest.
fn spread(mut figures: Vec<f64>) -> Value {
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures.first(), figures.last());
    json!({"median": figures.get(figures.len() / 2), "min": low, "max": high, "runs": figures.len()})
}

/// A figure with the limit that it should stay under.
fn at_most(figure: f64, limit: f64) -> Value {
    json!({"figure": rounded(figure), "at_most": rounded(limit), "met": figure <= limit})
}

/// A figure with the limit that it should reach.
fn at_least(figure: f64, limit: f64) -> Value {
    json!({"figure": rounded(figure), "at_least": limit, "met": figure >= limit})
}

fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}
