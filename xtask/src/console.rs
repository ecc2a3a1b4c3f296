//! The web console: fetched, built, checked, driven in a browser and measured there, all in `console/`.
//!
//! Built before Cargo builds the crate that holds it; a second run with the same sources costs milliseconds and needs no
//! network. What it is NOT: needed to build the node, which says how to build the console where it is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::node;
use crate::process::{linting_cargo, on_path, read, root, run};
use crate::setup;

/// The variable that names the binary to test, instead of the one that is built for it.
const BINARY: &str = "HEADWATER_BINARY";

/// What the built console depends on, besides all files of `console/src`.
const SOURCES: [&str; 6] = [
    "console/index.html",
    "console/package-lock.json",
    "console/package.json",
    "console/vite.config.ts",
    "console/src",
    "solutions",
];

/// Builds `console/dist` unless it is up to date.
///
/// # Errors
/// When npm is missing or says why it cannot.
pub fn build() -> Result<()> {
    fetch()?;
    let folder = folder();
    let built = folder.join("dist/index.html").is_file();
    let marker = folder.join("node_modules/.built");
    if !built && marker.exists() {
        fs::remove_file(&marker)?;
    }
    setup::once(&marker, &digest()?, || {
        eprintln!("console: building");
        npm("build").map(drop)
    })
}

/// Biome, the compiler's types, and the tests that need no browser.
///
/// # Errors
/// When one of them finds something.
pub fn check() -> Result<()> {
    fetch()?;
    for script in ["check", "types", "test"] {
        run(&mut command(script))?;
    }
    Ok(())
}

/// Drives every page in Chromium against a real node.
///
/// # Errors
/// When a test fails.
pub fn browse() -> Result<()> {
    build()?;
    let binary = match std::env::var_os(BINARY) {
        Some(binary) => binary.into(),
        None => {
            // As all tests are built: with other features chosen, a hundred dependencies would be compiled once more.
            run(linting_cargo().args(["test", "--workspace", "--locked", "--quiet", "--no-run"]))?;
            node::folder("dev").join("headwater")
        }
    };
    run(command("browser").env(BINARY, binary))
}

/// What `console/bench` measures in Chromium of a binary and the console that is in it.
///
/// # Errors
/// When something does not run; a bad figure is not an error.
pub fn measure(binary: &Path, runs: usize) -> Result<Value> {
    let mut bench = command("bench");
    bench.env(BINARY, binary).env("HEADWATER_RUNS", runs.to_string()).env("NO_COLOR", "1");
    bench.env("HEADWATER_PACKAGES", root().join("data/node_modules"));
    let said = read(&mut bench)?;
    let figures = said.lines().find_map(|line| serde_json::from_str(line.trim()).ok().filter(Value::is_object));
    figures.with_context(|| format!("the browser's bench has told no figures:\n{said}"))
}

fn folder() -> PathBuf {
    root().join("console")
}

/// The packages of the lock file.
fn fetch() -> Result<()> {
    if !on_path("npm") {
        bail!("npm is missing: install Node 20.19 or newer");
    }
    let lock = fs::read_to_string(folder().join("package-lock.json"))?;
    setup::once(&folder().join("node_modules/.ready"), &lock, || {
        eprintln!("console: fetching packages with npm (230 MB unpacked)");
        setup::npm(&folder(), &["ci"])
    })
}

fn npm(script: &str) -> Result<String> {
    read(&mut command(script))
}

fn command(script: &str) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder()).args(["run", "--silent", script]);
    command
}

/// A hash of everything that goes into the console (FNV-1a, 64 bits).
fn digest() -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        gather(&root().join(source), &mut files)?;
    }
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        for byte in file.to_string_lossy().bytes().chain(text) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(format!("{hash:016x}"))
}

/// Files below a path; of solutions, what describes them, not their samples.
fn gather(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if !path.ends_with("sample") {
            gather(&path, found)?;
        }
    }
    Ok(())
}
