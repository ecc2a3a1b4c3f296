//! `cargo xtask fuzz`: bytes that nobody would send, for everything that parses bytes (`fuzz/src`).
//!
//! libFuzzer on stable Rust: the coverage it steers by is a pass of LLVM that stable compilers have, and only the
//! sanitizers need a nightly one, which code without `unsafe` has little use for. Our own crates alone are built with it,
//! in the tests' profile, so that what they depend on is what the tests have built. Inputs worth keeping stay in
//! `<target>/fuzz/corpus/TARGET` and are where the next run begins. An input that fails is made as small as it can be.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::{cargo, read, run, target};
use crate::setup::{self, Needs};

/// Compiles one of our crates for the fuzzer: with what libFuzzer looks at, edges taken and operands of comparisons. A
/// build script runs without libFuzzer.
const COMPILER: &str = r#"#!/bin/sh
case " $* " in *" --crate-name build_script_"*) exec "$@" ;; esac
exec "$@" -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
"#;
/// Seconds after which one input is an endless loop.
const INPUT_SECONDS_MAX: u32 = 10;
/// Memory at which one input is a bomb.
const MEMORY_MB_MAX: u32 = 1_024;
/// Larger inputs find little that smaller ones do not.
const INPUT_BYTES_MAX: u32 = 8_192;
/// Stack of an input, in KiB: as much as a thread of a node has.
const STACK_KIB: u32 = 2_048;
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
            run(limited(&fuzzer, name).arg(input))?;
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

/// The fuzzer's program.
fn build() -> Result<PathBuf> {
    // As everywhere, the whole workspace is named, so that dependencies are wanted with the features that they have.
    let mut build = cargo();
    build.args(["build", "--locked", "--workspace", "--bin", "headwater-fuzz"]);
    build.args(["--features", "headwater-fuzz/libfuzzer"]);
    run(build.env("RUSTC_WORKSPACE_WRAPPER", compiler()?))?;
    Ok(target().join("debug/headwater-fuzz"))
}

/// The compiler's wrapper. Cargo keeps apart what another wrapper has built of our crates, by the wrapper's path and not by
/// what is in it: so the path goes with that.
fn compiler() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    COMPILER.hash(&mut hasher);
    let path = folder().join(format!("rustc-{:016x}", hasher.finish()));
    if !path.exists() {
        fs::create_dir_all(folder())?;
        let fresh = path.with_extension("new");
        fs::write(&fresh, COMPILER)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
        fs::rename(&fresh, &path)?;
    }
    Ok(path)
}

fn fuzz(fuzzer: &Path, name: &str, options: &Options) -> Result<()> {
    let (corpus, found) = (folder().join("corpus").join(name), folder().join("found").join(name));
    let words = folder().join("words").join(name);
    for made in [&corpus, &found, &folder().join("words")] {
        fs::create_dir_all(made)?;
    }
    eprintln!("fuzz: {name}, {} s", options.seconds);
    let before = newest(&found)?;
    let mut command = limited(fuzzer, name);
    command.env("HEADWATER_FUZZ_SEEDS", &corpus).arg(&corpus);
    command.env("HEADWATER_FUZZ_WORDS", &words).arg(format!("-dict={}", words.display()));
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
    // Where a call goes too deep it ends as it would in a node.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -s {STACK_KIB} && exec \"$0\" \"$@\"")).arg(fuzzer);
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
