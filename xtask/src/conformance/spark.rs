//! Apache Spark against the catalog: what somebody does with it who keeps tables.
//!
//! The checks are ours, `tests/clients/spark/run.py`; Spark and Iceberg's runtime for it are not. They are half a
//! gigabyte, so that this is no part of the ordinary tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Expected, Options, Outcome, Report, progress, told};
use crate::node::Node;
use crate::process::{root, target};
use crate::setup;

/// The first words of the checks' names.
const GROUPS: [&str; 9] = ["fed", "namespace", "create", "write", "alter", "refs", "keep", "view", "drop"];

/// Runs the checks against a node: a report for each group, and what is not as listed.
pub(super) fn judged(binary: &Path, options: &Options) -> Result<(Vec<Report>, Vec<String>)> {
    let source = root().join("tests/clients/spark");
    let (python, jars) = setup::spark(&source)?;
    let folder = target().join("conformance/spark");
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    let expected = Expected::read("spark.txt")?;
    let (node, _) = Node::start(binary, &data, None)?;
    let mut runner = Command::new(python);
    runner.arg(source.join("run.py")).arg(node.http()).arg(jars);
    if let Some(part) = &options.only {
        runner.args(["--only", part]);
    }
    // Spark leaves folders of its own where it is started, and talks much.
    runner.current_dir(&folder).stderr(fs::File::create(folder.join("spark.log"))?);
    eprintln!("spark: against {}, Spark's own words in {}", node.http(), folder.join("spark.log").display());
    let mut outcomes = Vec::new();
    told(&mut runner, &mut |outcome: Outcome| {
        eprintln!("{}", progress(&outcome, &expected));
        outcomes.push(outcome);
    })?;
    node.stop()?;
    let findings = expected.judge(&outcomes, options.only.is_some());
    let report = |group: &&str| {
        let is_of = |outcome: &&Outcome| outcome.name.split('.').next() == Some(*group);
        let of_group: Vec<&Outcome> = outcomes.iter().filter(is_of).collect();
        let seconds = of_group.iter().map(|outcome| outcome.seconds).sum();
        Report::of(group, &of_group, &expected, seconds)
    };
    Ok((GROUPS.iter().map(report).collect(), findings))
}
