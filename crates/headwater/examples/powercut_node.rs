//! A node whose log lies on a simulated disk, so that its power can be cut: `powercut_node PORT_OFFSET FOLDER`.
//!
//! `cargo xtask crash rules --mode powercut` starts it and tells it on standard input what happens, a line each. The
//! program says `up` once a node listens, and answers each line when it has happened:
//! - `cut` with `off`: the power fails. The disk takes nothing from then on, so that nothing more is acknowledged.
//! - `on SEED` with `down`: the node of that life has ended, and SEED has drawn what is left of what was not synced; then
//!   with `up`: a node listens on the same ports again.
//! - `end` with `ended`: the node has stopped in order.
//!
//! What it is NOT: a cut of all that a node keeps. FOLDER, on a real disk, has what is made again from the log, and the
//! blobs and files of datasets.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater::node::{Config, Node, Storage};
use headwater_log::embedded::Options;
use headwater_testkit::FaultyDisk;
use tokio::runtime::Runtime;

/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a life waits before it asks for its ports again.
const RETRY: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let offset = words.next().and_then(|word| word.parse::<u16>().ok());
    let (Some(offset), Some(folder)) = (offset, words.next()) else {
        eprintln!("usage: powercut_node PORT_OFFSET FOLDER");
        return ExitCode::from(2);
    };
    let place = Place { disk: FaultyDisk::default(), offset, folder: PathBuf::from(folder) };
    match place.obey() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

/// What outlives a node.
struct Place {
    disk: FaultyDisk,
    offset: u16,
    folder: PathBuf,
}

/// A node, and the threads that it runs on.
struct Life {
    runtime: Runtime,
    node: Node,
}

impl Place {
    /// Does what it is told until there is nothing more.
    fn obey(&self) -> Result<(), String> {
        let mut life = Some(self.begin()?);
        println!("up");
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let said = match line.split_once(' ').unwrap_or((line.as_str(), "")) {
                ("cut", _) => {
                    self.disk.cut();
                    "off"
                }
                ("on", seed) => {
                    life.take().map_or(Ok(()), Life::end)?;
                    self.disk.power_on(seed.parse().unwrap_or(0));
                    println!("down");
                    life = Some(self.begin()?);
                    "up"
                }
                ("end", _) => {
                    life.take().map_or(Ok(()), Life::end)?;
                    "ended"
                }
                (word, _) => return Err(format!("unknown word `{word}`")),
            };
            println!("{said}");
        }
        Ok(())
    }

    fn begin(&self) -> Result<Life, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        // A process would end with a failed sync; this one holds the disk.
        let options = Options { fatal: Arc::new(|_| {}), ..Options::small() };
        let storage = Storage { disk: Arc::new(self.disk.clone()), folder: PathBuf::from("/data"), options };
        let begun = Instant::now();
        loop {
            let config = Config::local(self.folder.clone(), self.offset).map_err(|problem| problem.to_string())?;
            match runtime.block_on(Node::open_on(config, storage.clone())) {
                Ok(node) => return Ok(Life { runtime, node }),
                // The sockets of the life before may still be closing.
                Err(problem) if problem.code == "HW-API-022" && begun.elapsed() < PATIENCE => {
                    runtime.block_on(tokio::time::sleep(RETRY));
                }
                Err(problem) => return Err(problem.to_string()),
            }
        }
    }
}

impl Life {
    /// Ends it: nothing of it may reach into the next one.
    fn end(self) -> Result<(), String> {
        let Self { runtime, node } = self;
        let stopped = runtime.block_on(async { tokio::time::timeout(PATIENCE, node.stop()).await });
        runtime.shutdown_timeout(PATIENCE);
        stopped.map_err(|_| format!("the node has not stopped after {} s", PATIENCE.as_secs()))
    }
}
