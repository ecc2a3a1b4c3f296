//! `cargo xtask fuzz`: bytes that nobody would send, for everything that parses bytes (`fuzz/src`).
//!
//! libFuzzer on stable Rust: the coverage it steers by is a pass of LLVM that stable compilers have, and only the
//! sanitizers need a nightly one, which code without `unsafe` has little use for. Inputs worth keeping stay in
//! `<target>/fuzz/corpus/TARGET` and are where the next run begins. An input that fails is made as small as it can be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::{cargo, read, root, run, target};
use crate::setup::{self, Needs};

/// Instruments the code with what libFuzzer looks at: edges taken, and operands of comparisons.
const RUSTFLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Seconds after which one input is an endless loop.
const INPUT_SECONDS_MAX: u32 = 10;
/// Memory at which one input is a bomb.
const MEMORY_MB_MAX: u32 = 1_024;
/// Larger inputs find little that smaller ones do not.
const INPUT_BYTES_MAX: u32 = 8_192;
/// Seconds spent on making an input that fails smaller.
const MINIMIZE_SECONDS: u32 = 30;

/// What is fuzzed, and for how long.
#[derive(Args)]
pub struct Options {
    /// One target; all of them in turn if it is left out
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Seed of the random changes; it is printed if it is left out
    #[arg(long)]
    seed: Option<u32>,
    /// Run this input alone, to see a finding again
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

/// Builds the fuzzer and runs it.
///
/// # Errors
/// When something cannot be built or a target fails; the message holds the input and how to see it again.
pub fn execute(options: &Options) -> Result<()> {
    setup::prepare(Needs::Fuzz)?;
    let fuzzer = build()?;
    let known = read(Command::new(&fuzzer).env("HEADWATER_FUZZ", "list"))?;
    let known: Vec<&str> = known.split_whitespace().collect();
    let chosen: Vec<&str> = match options.target.as_deref() {
        None => known,
        Some(name) if known.contains(&name) => vec![name],
        Some(name) => bail!("there is no fuzz target `{name}`; they are `{}`", known.join("`, `")),
    };
    let mut failed = Vec::new();
    for name in chosen {
        if let Some(input) = &options.input {
            run(Command::new(&fuzzer).env("HEADWATER_FUZZ", name).arg(input))?;
        } else if let Err(error) = fuzz(&fuzzer, name, options) {
            eprintln!("error: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn folder() -> PathBuf {
    target().join("fuzz")
}

/// The fuzzer's program. Naming the machine's own triple keeps build scripts and macros free of the instrumentation.
fn build() -> Result<PathBuf> {
    let version = read(Command::new("rustc").current_dir(root()).arg("-vV"))?;
    let triple = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let manifest = root().join("fuzz/Cargo.toml");
    run(cargo()
        .args(["build", "--release", "--locked", "--target", triple, "--manifest-path"])
        .arg(manifest)
        .env("CARGO_TARGET_DIR", folder())
        .env("RUSTFLAGS", RUSTFLAGS))?;
    Ok(folder().join(triple).join("release/headwater-fuzz"))
}

fn fuzz(fuzzer: &Path, name: &str, options: &Options) -> Result<()> {
    let (corpus, found) = (folder().join("corpus").join(name), folder().join("found").join(name));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&found)?;
    eprintln!("fuzz: {name}, {} s", options.seconds);
    let before = newest(&found)?;
    let mut command = limited(fuzzer, name);
    command.env("HEADWATER_FUZZ_SEEDS", &corpus).arg(&corpus);
    command.arg(format!("-max_total_time={}", options.seconds)).arg(format!("-artifact_prefix={}/", found.display()));
    command.args(["-use_value_profile=1", "-print_final_stats=1", "-reload=0"]);
    if let Some(seed) = options.seed {
        command.arg(format!("-seed={seed}"));
    }
    let Err(error) = run(&mut command) else { return Ok(()) };
    let input = newest(&found)?.filter(|input| before.as_ref() != Some(input));
    let Some(input) = input else { return Err(error) };
    let small = minimize(fuzzer, name, &input);
    bail!("{name} fails; to see it again:\n  cargo xtask fuzz {name} --input {}", small.display())
}

/// The fuzzer for a target, within the bounds of one input.
fn limited(fuzzer: &Path, name: &str) -> Command {
    let mut command = Command::new(fuzzer);
    command.env("HEADWATER_FUZZ", name).arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MB_MAX}")).arg(format!("-max_len={INPUT_BYTES_MAX}"));
    command
}

/// The smallest input found that fails like this one.
fn minimize(fuzzer: &Path, name: &str, input: &Path) -> PathBuf {
    let small = input.with_extension("small");
    let mut command = limited(fuzzer, name);
    command.args(["-minimize_crash=1".to_owned(), format!("-max_total_time={MINIMIZE_SECONDS}")]);
    command.arg(format!("-exact_artifact_path={}", small.display())).arg(input);
    // It ends with a failure whenever the input fails, which it does.
    if command.output().is_ok() && small.exists() { small } else { input.to_path_buf() }
}

/// The newest file of a folder.
fn newest(folder: &Path) -> Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let modified = entry.metadata()?.modified()?;
        if newest.as_ref().is_none_or(|(before, _)| modified > *before) {
            newest = Some((modified, entry.path()));
        }
    }
    Ok(newest.map(|(_, path)| path))
}
