//! Engines against the catalog: what somebody does with it who keeps tables.
//!
//! The checks are ours, `tests/clients/engines/run.py`: some that every engine has to pass, and some of each. The engines
//! are not. They are hundreds of megabytes, so that this is no part of the ordinary tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Expected, Options, Outcome, Report, progress, told};
use crate::node::Node;
use crate::process::target;
use crate::setup::{self, Engine};

/// The first words of the checks' names.
const GROUPS: [&str; 9] = ["fed", "namespace", "create", "write", "alter", "refs", "keep", "view", "drop"];

/// Runs an engine's checks against a node: a report for each group, and what is not as listed.
pub(super) fn judged(engine: &Engine, binary: &Path, options: &Options) -> Result<(Vec<Report>, Vec<String>)> {
    let name = engine.name;
    let ready = setup::engine(engine)?;
    let folder = target().join("conformance").join(name);
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    let expected = Expected::read(&format!("{name}.txt"))?;
    let (node, _) = Node::start(binary, &data, None)?;
    let mut runner = Command::new(ready.python);
    runner.arg(setup::engines_folder().join("run.py")).arg(name).arg(node.http()).arg(ready.jars);
    if let Some(home) = ready.java {
        runner.env("JAVA_HOME", home);
    }
    if let Some(part) = &options.only {
        runner.args(["--only", part]);
    }
    // An engine leaves folders of its own where it is started, and talks much.
    let log = folder.join(format!("{name}.log"));
    runner.current_dir(&folder).stderr(fs::File::create(&log)?);
    eprintln!("{name}: against {}, its own words in {}", node.http(), log.display());
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
