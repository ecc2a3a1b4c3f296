//! A node that dies again and again and comes back on what is left: its process is killed with `kill -9`, or its log is
//! on a simulated disk whose power is cut (`crates/headwater/examples/powercut_node.rs`).

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Mode;
use crate::node::{self, Node};

/// Makes segments so small that what happens at their ends happens all the time.
const SMALL: [(&str, &str); 1] = [("HEADWATER_SMALL_LOG", "1")];

/// See the file's head.
pub(super) struct Lives {
    /// The node of this life.
    pub(super) node: Node,
    /// How long the slowest start took.
    pub(super) slowest: Duration,
    means: Means,
}

/// How it dies.
enum Means {
    Kill(PathBuf),
    Powercut(Mutex<Leash>),
}

/// What the program with the simulated disk is told, and what it says.
struct Leash {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Leash {
    /// Waits until it has said what it says when something has happened.
    fn hear(&mut self, wanted: &str) -> Result<()> {
        let said = self.output.next().context("the node with the simulated disk has ended")??;
        if said == wanted { Ok(()) } else { bail!("`{said}` was said where `{wanted}` should be") }
    }

    fn tell(&mut self, line: &str, wanted: &str) -> Result<()> {
        writeln!(self.input, "{line}")?;
        self.hear(wanted)
    }
}

/// Builds the program of a node that is to die.
pub(super) fn program(mode: Mode) -> Result<PathBuf> {
    match mode {
        Mode::Kill => node::build("dev"),
        Mode::Powercut => node::example("dev", "powercut_node"),
    }
}

impl Lives {
    /// Starts a node on an empty folder.
    pub(super) fn begin(mode: Mode, program: &Path, data: &Path) -> Result<Self> {
        let _ = std::fs::remove_dir_all(data);
        match mode {
            Mode::Kill => {
                let (node, slowest) = Node::start_with(program, data, None, &SMALL)?;
                Ok(Self { node, slowest, means: Means::Kill(program.to_owned()) })
            }
            Mode::Powercut => {
                let start = Instant::now();
                let (mut node, input, output) = Node::start_led(program, data)?;
                let mut leash = Leash { input, output: BufReader::new(output).lines() };
                leash.hear("up")?;
                node.wait()?;
                Ok(Self { node, slowest: start.elapsed(), means: Means::Powercut(Mutex::new(leash)) })
            }
        }
    }

    /// Ends a life in the midst of its work. Nothing is acknowledged once this returns.
    pub(super) fn crash(&self) -> Result<()> {
        match &self.means {
            Means::Kill(_) => {
                self.node.kill();
                Ok(())
            }
            Means::Powercut(leash) => leash.lock().unwrap_or_else(PoisonError::into_inner).tell("cut", "off"),
        }
    }

    /// Begins the next life; `seed` draws what a power cut has left.
    pub(super) fn go_on(&mut self, seed: u64) -> Result<()> {
        let took = match &mut self.means {
            Means::Kill(binary) => {
                self.node.end();
                let (node, took) = Node::start_with(binary, &self.node.data.clone(), None, &SMALL)?;
                self.node = node;
                took
            }
            Means::Powercut(leash) => {
                let leash = leash.get_mut().unwrap_or_else(PoisonError::into_inner);
                leash.tell(&format!("on {seed}"), "down")?;
                let start = Instant::now();
                leash.hear("up")?;
                self.node.wait()?;
                start.elapsed()
            }
        };
        self.slowest = self.slowest.max(took);
        Ok(())
    }

    /// Stops the node of the last life in order.
    pub(super) fn end(self) -> Result<()> {
        match self.means {
            Means::Kill(_) => self.node.stop(),
            Means::Powercut(leash) => leash.into_inner().unwrap_or_else(PoisonError::into_inner).tell("end", "ended"),
        }
    }
}
