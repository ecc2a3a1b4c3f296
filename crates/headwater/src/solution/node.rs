//! A node to talk to: one that runs already, or a private one that lives as long as the run.
//!
//! A private node is the real binary as a child process on free ports with an empty data folder, so that a solution is
//! tested through the same doors as everybody uses, and so that its CPU time and memory can be told apart.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use headwater_base::Problem;
use headwater_kernel::port::solutions::File;
use serde_json::Value;

use super::client::Client;
use crate::client as web;
use crate::ports;
use crate::problems::Problems;

/// A node's doors.
#[derive(Clone, Debug)]
pub struct Node {
    /// Such as `127.0.0.1:9092`.
    pub kafka: String,
    /// The way over HTTP.
    pub web: web::Client,
}

/// A node of our own; it ends and its data goes when this is dropped.
pub struct Private {
    /// How to reach it.
    pub node: Node,
    /// The folder of its data and of what it was given.
    pub folder: PathBuf,
    binary: PathBuf,
    ports: ports::Claim,
    process: tokio::process::Child,
}

impl Node {
    /// A node on this machine with all its ports shifted by `offset`.
    ///
    /// # Errors
    /// None that can happen: the address is well-formed.
    pub fn local(offset: u16) -> Result<Self, Problem> {
        let http = format!("http://127.0.0.1:{}", ports::HTTP.saturating_add(offset));
        Ok(Self { kafka: format!("127.0.0.1:{}", ports::KAFKA.saturating_add(offset)), web: web::Client::new(&http)? })
    }

    /// A Kafka connection.
    ///
    /// # Errors
    /// `HW-CLI-203` when nobody listens.
    pub async fn connect(&self) -> Result<Client, Problem> {
        Client::connect(&self.kafka).await
    }

    /// Applies resource files, all or none.
    ///
    /// # Errors
    /// The node's own problems.
    pub async fn apply(&self, files: &[File]) -> Result<Value, Problems> {
        let body = serde_json::json!({ "files": files }).to_string().into_bytes();
        self.web.json(reqwest::Method::POST, &["v1", "apply"], &[], Some(("application/json", body))).await
    }

    /// Waits until every pipeline of the node runs.
    ///
    /// # Errors
    /// `HW-CLI-205` with the first reason why one does not.
    pub async fn pipelines_ready(&self, patience: Duration) -> Result<(), Problems> {
        self.all_ready("pipelines", patience).await
    }

    /// Waits until everything of a kind, named as in addresses (`rules`), is ready.
    ///
    /// # Errors
    /// `HW-CLI-205` with the first reason why one is not.
    pub async fn all_ready(&self, plural: &str, patience: Duration) -> Result<(), Problems> {
        let start = Instant::now();
        loop {
            let list = self.web.get(&["v1", plural], &[]).await?;
            let none = Vec::new();
            let is_ready = |item: &Value| {
                matches!(&item["status"]["ready"], Value::Bool(true)) || item["status"]["ready"] == "true"
            };
            let waiting = list["items"].as_array().unwrap_or(&none).iter().find(|item| !is_ready(item));
            let Some(item) = waiting else { return Ok(()) };
            if start.elapsed() > patience {
                let name = item["metadata"]["name"].as_str().unwrap_or_default();
                let message = item["status"]["message"].as_str().unwrap_or("no status yet");
                let one = plural.strip_suffix('s').unwrap_or(plural);
                let fact = format!("{one} `{name}` is not ready after {} s", patience.as_secs());
                return Err(Problem::new("HW-CLI-205", fact).because(message).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Private {
    /// Starts a node of this binary and waits until it is ready.
    ///
    /// # Errors
    /// `HW-CLI-205` when it does not get ready.
    pub async fn start() -> Result<Self, Problem> {
        let binary = std::env::current_exe().map_err(|error| failed("this binary cannot be found", error))?;
        let ports = ports::Claim::new().map_err(|error| failed("no ports for a private node", error))?;
        let folder = std::env::temp_dir().join(format!("headwater-{}-{}", std::process::id(), ports.offset()));
        std::fs::create_dir_all(&folder).map_err(|error| failed("no folder for the private node", error))?;
        let process = spawn(&binary, &folder, ports.offset())?;
        let mut private = Self { node: Node::local(ports.offset())?, folder, binary, ports, process };
        private.wait_ready("the private node does not get ready").await?;
        Ok(private)
    }

    /// Kills the node as `kill -9` does and starts it again on the same data and ports. Answers how long it took until it
    /// was ready.
    ///
    /// # Errors
    /// `HW-CLI-205` when it does not get ready again.
    pub async fn kill_and_restart(&mut self) -> Result<Duration, Problem> {
        self.process.kill().await.map_err(|error| failed("the private node cannot be killed", error))?;
        let start = Instant::now();
        self.process = spawn(&self.binary, &self.folder, self.ports.offset())?;
        self.wait_ready("the private node does not get ready after a kill").await?;
        Ok(start.elapsed())
    }

    /// Process id, for measurements.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    async fn wait_ready(&mut self, otherwise: &str) -> Result<(), Problem> {
        for _ in 0..400 {
            if self.node.web.get(&["readyz"], &[]).await.is_ok() {
                return Ok(());
            }
            if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let log = std::fs::read_to_string(self.folder.join("node.log")).unwrap_or_default();
        Err(Problem::new("HW-CLI-205", otherwise).because(log.trim_end()))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self.process.start_kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The wall clock, in milliseconds since 1970.
pub fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn spawn(binary: &Path, folder: &Path, offset: u16) -> Result<tokio::process::Child, Problem> {
    let log =
        std::fs::File::create(folder.join("node.log")).map_err(|error| failed("no log for the private node", error))?;
    tokio::process::Command::new(binary)
        .arg("up")
        .args(["--port-offset", &offset.to_string()])
        .env("HEADWATER_DATA", folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed("the private node cannot be started", error))
}

fn failed(fact: &str, error: std::io::Error) -> Problem {
    Problem::new("HW-CLI-205", fact).because(error)
}
