//! What the end-to-end tests share: a node as a child process, outside clients, waiting for a condition.
//!
//! What it is NOT: it knows nothing of the node's inside. Tests see what users see: a program, its ports, its output.

pub mod postgres;
pub mod small_disk;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use headwater::{node, ports};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The longest that anything in a test may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A node on free ports with its own data folder.
pub struct Node {
    binary: PathBuf,
    ports: ports::Claim,
    folder: tempfile::TempDir,
    life: Life,
}

/// What a node runs as.
enum Life {
    /// The program.
    Child(Child),
    /// A part of the test, for what no setting of the program reaches.
    Within(Runtime, Option<Box<node::Node>>),
}

impl Node {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(binary: &str) -> Result<Self> {
        Self::start_in(binary, &std::env::temp_dir())
    }

    /// Starts one whose folder, that of its data and of its log, is made in another.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_in(binary: &str, parent: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(parent)?;
        let ports = ports::Claim::new()?;
        let life = Life::Child(spawn(Path::new(binary), folder.path(), ports.offset())?);
        let mut node = Self { binary: binary.into(), ports, folder, life };
        node.wait_ready()?;
        Ok(node)
    }

    /// Starts one within the test, with bounds that the program does not offer; `binary` still runs the verbs.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn within(binary: &str, change: impl FnOnce(&mut node::Config)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ports = ports::Claim::new()?;
        let mut config = node::Config::local(folder.path().join("data"), ports.offset())?;
        change(&mut config);
        let runtime = Runtime::new()?;
        let opened = runtime.block_on(node::Node::open(config))?;
        let mut node =
            Self { binary: binary.into(), ports, folder, life: Life::Within(runtime, Some(Box::new(opened))) };
        node.wait_ready()?;
        Ok(node)
    }

    /// `kill -9`, then a start on the same data and ports.
    ///
    /// # Errors
    /// When it does not get ready again.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        let Life::Child(process) = &mut self.life else { bail!("the test cannot kill a part of itself") };
        process.kill()?;
        process.wait()?;
        *process = spawn(&self.binary, self.folder.path(), self.ports.offset())?;
        self.wait_ready()
    }

    /// Its Kafka address.
    pub fn kafka(&self) -> String {
        format!("127.0.0.1:{}", ports::KAFKA + self.ports.offset())
    }

    /// Its HTTP address.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", ports::HTTP + self.ports.offset())
    }

    /// Its address for AWS clients.
    pub fn aws(&self) -> String {
        format!("http://127.0.0.1:{}", ports::AWS + self.ports.offset())
    }

    /// The port of PostgreSQL clients.
    pub fn postgres(&self) -> u16 {
        ports::POSTGRES + self.ports.offset()
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A GET; answers status and body.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        self.ask("GET", path, "", "admin")
    }

    /// A POST of JSON; answers status and body.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, String)> {
        self.post_as("admin", path, body)
    }

    /// A POST of JSON as somebody; answers status and body.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn post_as(&self, principal: &str, path: &str, body: &Value) -> Result<(u16, String)> {
        self.ask("POST", path, &body.to_string(), principal)
    }

    fn ask(&self, method: &str, path: &str, body: &str, principal: &str) -> Result<(u16, String)> {
        let port = ports::HTTP + self.ports.offset();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        // 1.0 knows no chunks: a body without a length ends with the connection.
        let head = format!("{method} {path} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n");
        let about = format!(
            "content-type: application/json\r\ncontent-length: {length}\r\nheadwater-principal: {principal}\r\n"
        );
        write!(stream, "{head}{about}\r\n{body}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.get(9..12).and_then(|code| code.parse().ok()).context("no HTTP answer")?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status, body.to_owned()))
    }

    /// Runs a verb of the command line against this node; answers its standard output.
    ///
    /// # Errors
    /// When it does not exit with 0; the message holds its standard error.
    pub fn headwater(&self, words: &[&str], input: &str) -> Result<String> {
        output(&mut self.command(words), input)
    }

    /// As [`Self::headwater`], however it ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, words: &[&str]) -> Result<std::process::Output> {
        self.command(words).stdin(Stdio::null()).output().context("cannot start the program")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(words)
            .env("HEADWATER_SERVER", self.http())
            .env("HEADWATER_PORT_OFFSET", self.ports.offset().to_string())
            .env("HEADWATER_DATA", self.data())
            .env("NO_COLOR", "1");
        command
    }

    fn wait_ready(&mut self) -> Result<()> {
        until("the node is ready", || self.get("/readyz").is_ok_and(|(status, _)| status == 200))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        match &mut self.life {
            Life::Child(process) => {
                let _ = process.kill();
                let _ = process.wait();
            }
            Life::Within(runtime, node) => drop(node.take().map(|node| runtime.block_on(node.stop()))),
        }
    }
}

fn spawn(binary: &Path, folder: &Path, offset: u16) -> Result<Child> {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("node.log"))?;
    Command::new(binary)
        .args(["up", "--port-offset", &offset.to_string()])
        .env("HEADWATER_DATA", folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("cannot start the node")
}

/// Runs a command with some input to its end; answers its standard output.
///
/// # Errors
/// When it does not exit with 0; the message holds its standard error.
pub fn output(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{command:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A client that prints one line for each record it gets; it is killed when this is dropped.
pub struct Lines {
    process: Child,
    lines: Receiver<String>,
}

impl Lines {
    /// Starts the client.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn of(command: &mut Command) -> Result<Self> {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().context("no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, lines })
    }

    /// Lines that have come since the last call.
    pub fn take(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until something holds.
///
/// # Errors
/// When it does not within [`PATIENCE`].
pub fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > PATIENCE {
            bail!("{what}: not after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Parses JSON.
///
/// # Errors
/// When it is none.
pub fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text.trim()).with_context(|| format!("no JSON: {text}"))
}

/// The repository's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A program of the outside clients that `cargo xtask test` sets up, or None with a note that a test is skipped.
pub fn client(test: &str, path: &str) -> Option<PathBuf> {
    let binary = std::env::current_exe().unwrap_or_default();
    let found = binary.ancestors().map(|folder| folder.join("clients").join(path)).find(|file| file.exists());
    if found.is_none() {
        note_skip(test, &format!("`{path}` is not there; `cargo xtask test` sets it up"));
    }
    found
}

/// Says on standard error that a test is skipped, and why.
#[allow(clippy::print_stderr, reason = "the test harness has no other place for it")]
pub fn note_skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}
