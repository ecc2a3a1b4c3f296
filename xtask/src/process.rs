//! Child processes: run to the end, show or keep the output, fail with the command in the message.
//!
//! What it is NOT: it holds no policy about what to run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The repository's folder. Cargo says where the package lies that it runs: clones that share a target folder may run
/// an xtask that another one has built.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder Cargo builds into.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The Cargo that started us, without what it told us about ourselves: build scripts that name such variables (ring's
/// does) would run anew, and everything above them be built anew, each time the same is built from a shell.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let about_us = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "OUT_DIR"
        });
        if about_us {
            command.env_remove(&name);
        }
    }
    command
}

/// Cargo for the development profile, with clippy as the compiler of our own crates: what is built is judged by the way,
/// and nobody has to compile every dependency a second time for `cargo clippy`. Its code is the compiler's but for
/// optimizations before LLVM's, so what is shipped or measured is built without it.
pub fn linting_cargo() -> Command {
    let mut command = cargo();
    // What `cargo clippy -- --deny warnings` gives to its compiler, words parted as that parts them.
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    command.env("CLIPPY_ARGS", "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    command
}

/// Runs a command with our own output streams.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and gives its standard output back; its standard error is shown only if it fails.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}:\n{}", shown(command), output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits for a child's end, and kills it when `patience` is over; None then.
///
/// # Errors
/// When its state cannot be known.
pub fn end_within(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    end_within_while(child, patience, || ())
}

/// As [`end_within`]; what there is to do meanwhile is done again and again.
///
/// # Errors
/// As [`end_within`].
pub fn end_within_while(
    child: &mut Child,
    patience: Duration,
    mut meanwhile: impl FnMut(),
) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        meanwhile();
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Whether a program of that name is on the path.
pub fn on_path(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
