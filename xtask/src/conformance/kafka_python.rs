//! kafka-python's integration tests, from its source package on PyPI, against a broker that is already there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{KAFKA_VERSION, Outcome, Stage};
use crate::process::{read, root, run as run_command};
use crate::setup::once;

const SOURCE: &str = "kafka-python==3.0.12";
/// What its tests use, codecs included.
const PACKAGES: [&str; 7] = [
    "pytest==9.2.0",
    "pytest-timeout==2.4.0",
    "pytest-mock==3.17.0",
    "py==1.11.0",
    "lz4==4.4.5",
    "python-snappy==0.7.3",
    "zstandard==0.25.0",
];
/// The longest that one test may take.
const PATIENCE_SECONDS: u32 = 120;

/// What the source package leaves out of its folder of tests. The package is needed because Python has one named
/// `test` too; the services start brokers, which is not asked of them here.
const LEFT_OUT: [(&str, &str); 2] = [
    ("test/__init__.py", ""),
    (
        "test/service.py",
        "class ExternalService:\n    def __init__(self, host, port):\n        pass\n\n\nSpawnedService = None\n",
    ),
];

/// Fetches the tests and what they need; gives their folder.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf> {
    let source = folder.join("source");
    let pins = [&[SOURCE], PACKAGES.as_slice()].concat().join("\n");
    once(&folder.join(".ready"), &pins, || {
        eprintln!("conformance: fetching {}", pins.replace('\n', ", "));
        fs::create_dir_all(folder)?;
        if source.exists() {
            fs::remove_dir_all(&source)?;
        }
        let environment = folder.join("venv");
        run_command(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let pip = |words: &[&str]| {
            let quiet = ["--quiet", "--disable-pip-version-check"];
            read(Command::new(environment.join("bin/pip")).args(words).args(quiet).current_dir(folder))
        };
        pip(&[&["install"], PACKAGES.as_slice()].concat())?;
        pip(&["download", "--no-binary", ":all:", "--no-deps", "--dest", "download", SOURCE])?;
        let archive = fs::read_dir(folder.join("download"))?.next().context("pip downloaded nothing")??.path();
        fs::create_dir_all(&source)?;
        read(
            Command::new("tar")
                .args(["--extract", "--strip-components=1", "--file"])
                .arg(archive)
                .arg("-C")
                .arg(&source),
        )?;
        for (path, text) in LEFT_OUT {
            fs::write(source.join(path), text)?;
        }
        Ok(())
    })?;
    Ok(source)
}

/// Runs the integration tests. Plug-ins of ours tell how each ended, on standard error, and mend a race of the client's
/// own (`tests/conformance/kafka/steady.py`).
pub(super) fn run(source: &Path, stage: &Stage, each: &mut dyn FnMut(Outcome)) -> Result<()> {
    let logs = stage.folder.join("logs");
    fs::create_dir_all(&logs)?;
    let mut pytest = Command::new(stage.folder.join("venv/bin/python"));
    pytest.args([
        "-m",
        "pytest",
        "-p",
        "outcomes",
        "-p",
        "steady",
        "-p",
        "no:cacheprovider",
        "--timeout-method=signal",
    ]);
    pytest.arg(format!("--timeout={PATIENCE_SECONDS}"));
    if let Some(part) = stage.only {
        pytest.args(["-k", part]);
    }
    let mut child = pytest
        .arg("test/integration")
        .current_dir(source)
        .env("PYTHONPATH", root().join("tests/conformance/kafka"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("KAFKA_VERSION", KAFKA_VERSION)
        .env("KAFKA_URI", format!("PLAINTEXT://{}", stage.broker))
        // Only checked to be there.
        .env("KAFKA_ROOT", source)
        .stdin(Stdio::null())
        .stdout(fs::File::create(logs.join("pytest.log"))?)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut noise = fs::File::create(logs.join("stderr.log"))?;
    let lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    for line in lines {
        let line = line?;
        match outcome(&line) {
            Some(outcome) => each(outcome),
            None => writeln!(noise, "{line}")?,
        }
    }
    let status = child.wait()?;
    // 0: all passed; 1: some failed. Anything else is trouble of pytest's own.
    if !matches!(status.code(), Some(0 | 1)) {
        bail!("pytest ended with {status}; see {}", logs.join("pytest.log").display());
    }
    Ok(())
}

/// A line of the plug-in.
fn outcome(line: &str) -> Option<Outcome> {
    let mut outcome = Outcome::told(line)?;
    outcome.name = outcome.name.trim_start_matches("test/integration/").to_owned();
    Some(outcome)
}

#[cfg(test)]
mod tests;
