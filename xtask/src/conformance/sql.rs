//! DataFusion's sqllogictest files over PostgreSQL's protocol.
//!
//! They come with the crate `datafusion-sqllogictest`, which Cargo fetches and nobody builds. What reads and runs them,
//! and what it takes for portable, is `tests/clients/slt/run.py`. A record is named by its file and line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Expected, Options, Outcome, Report, Verdict, fetch, progress, told};
use crate::node::Node;
use crate::process::{read, root, target};
use crate::setup::{clients_folder, once};

/// The crate, pinned: of the version of the engine.
const CRATE: &str = "datafusion-sqllogictest";
const VERSION: &str = "=54.1.0";
/// What the names of files begin with. Each is a group.
const GROUPS: [&str; 10] =
    ["select", "aggregate", "joins", "window", "subquery", "group_by", "order", "union", "cte", "pg_compat"];

/// Runs the files of all groups against a node: a report for each group, and what is not as listed.
pub(super) fn judged(binary: &Path, options: &Options) -> Result<(Vec<Report>, Vec<String>)> {
    let folder = target().join("conformance/sql");
    let files = files(&folder)?;
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    let expected = Expected::read("sql.txt")?;
    let (node, _) = Node::start(binary, &data, None)?;
    let outcomes = run(&files, &node, options.only.as_deref(), &expected)?;
    node.stop()?;
    let findings = expected.judge(&outcomes, options.only.is_some());
    let report = |group: &&str| {
        let of_group: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.name.starts_with(group)).collect();
        let seconds = of_group.iter().map(|outcome| outcome.seconds).sum();
        Report::of(group, &of_group, &expected, seconds)
    };
    if !options.json {
        explain(&outcomes);
    }
    Ok((GROUPS.iter().map(report).collect(), findings))
}

/// The crate's folder of files and what they read, fetched once.
fn files(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("source");
    once(&folder.join(".ready"), VERSION, || {
        eprintln!("conformance: fetching {CRATE}");
        let fetched = fetch(&folder.join("fetch"), CRATE, VERSION)?;
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        read(Command::new("cp").args(["--recursive", "--preserve=mode"]).arg(&fetched).arg(&source)).map(drop)
    })?;
    Ok(source)
}

fn run(files: &Path, node: &Node, only: Option<&str>, expected: &Expected) -> Result<Vec<Outcome>> {
    let mut runner = Command::new(clients_folder().join("lake/bin/python"));
    runner.arg(root().join("tests/clients/slt/run.py")).arg(files);
    runner.args([node.http(), node.postgres().to_string(), GROUPS.join(",")]);
    if let Some(part) = only {
        runner.args(["--only", part]);
    }
    let mut outcomes = Vec::new();
    told(&mut runner, &mut |outcome: Outcome| {
        // There are thousands of records: those that fail are shown.
        if matches!(outcome.verdict, Verdict::Failed(_)) {
            eprintln!("{}", progress(&outcome, expected));
        }
        outcomes.push(outcome);
    })?;
    Ok(outcomes)
}

/// Prints why records did not run, and how many for each reason.
fn explain(outcomes: &[Outcome]) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        if let Verdict::NotRun(why) = &outcome.verdict {
            *reasons.entry(why).or_default() += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    println!("\nnot run, and why:");
    for (why, count) in reasons {
        println!("{count:>6}  {why}");
    }
}
