//! A node under test: the real binary as a child process on free ports, and what `/proc` says about it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ports;
use crate::process::{cargo, linting_cargo, run, target};

/// How the workspace's own crates are built for the benches when no profile of Cargo is named: as a release would be,
/// in the tests' profile and so on the dependencies that the tests have built. Cargo keeps what differs in this apart.
pub const MEASURED: &str = "measured";

/// What [`MEASURED`] sets over the tests' profile. Nothing here may reach a dependency: the workspace's manifest sets
/// the same for them by itself.
const MEASURED_SETTINGS: [&str; 5] = [
    "profile.dev.opt-level=3",
    "profile.dev.codegen-units=1",
    "profile.dev.incremental=false",
    "profile.dev.debug-assertions=false",
    "profile.dev.overflow-checks=false",
];

/// Builds the binary and gives its path.
///
/// # Errors
/// When it does not build.
pub fn build(profile: &str) -> Result<PathBuf> {
    run(compiler(profile).args(["--bin", "headwater"]))?;
    kept(profile, &folder(profile).join("headwater"))
}

/// Builds a program of a crate's `examples` folder and gives its path. As everywhere, the whole workspace is named: what
/// one of its packages alone wants of other crates would have those built a second time.
///
/// # Errors
/// When it does not build.
pub fn example(profile: &str, name: &str) -> Result<PathBuf> {
    run(compiler(profile).args(["--example", name]))?;
    kept(profile, &folder(profile).join("examples").join(name))
}

/// The Cargo that builds in a profile: in that of the tests as they do, so that nothing is built twice.
fn compiler(profile: &str) -> Command {
    let mut command = match profile {
        "dev" | MEASURED => linting_cargo(),
        _ => cargo(),
    };
    command.args(["build", "--locked", "--workspace"]);
    if profile == MEASURED {
        for setting in MEASURED_SETTINGS {
            command.args(["--config", setting]);
        }
    } else {
        command.args(["--profile", profile]);
    }
    command
}

/// Where Cargo puts what it builds in a profile.
pub fn folder(profile: &str) -> PathBuf {
    target().join(if matches!(profile, "dev" | MEASURED) { "debug" } else { profile })
}

/// Programs that are measured lie in a folder of their own: the tests' build puts its own in the same place.
fn kept(profile: &str, program: &Path) -> Result<PathBuf> {
    if profile != MEASURED {
        return Ok(program.to_path_buf());
    }
    let folder = target().join(MEASURED);
    let copy = folder.join(program.strip_prefix(target().join("debug"))?);
    std::fs::create_dir_all(copy.parent().unwrap_or(&folder))?;
    // A program that runs cannot be written over, but another can take its name.
    let fresh = copy.with_extension("new");
    std::fs::copy(program, &fresh)?;
    std::fs::rename(&fresh, &copy)?;
    Ok(copy)
}

/// A node; it is killed when this is dropped, unless it was stopped.
pub struct Node {
    /// Added to all ports.
    pub offset: u16,
    /// Its data folder.
    pub data: PathBuf,
    process: Child,
    _ports: Option<ports::Claim>,
}

impl Node {
    /// Starts a node on `data` with free ports, or at `offset`, and waits until it is ready. Answers how long that took.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(binary: &Path, data: &Path, offset: Option<u16>) -> Result<(Self, Duration)> {
        Self::start_with(binary, data, offset, &[])
    }

    /// As [`Self::start`], with more variables of the environment.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_with(
        binary: &Path,
        data: &Path,
        offset: Option<u16>,
        variables: &[(&str, &str)],
    ) -> Result<(Self, Duration)> {
        let claim = if offset.is_none() { Some(ports::Claim::new()?) } else { None };
        let offset = claim.as_ref().map(ports::Claim::offset).or(offset).unwrap_or_default();
        let mut command = Command::new(binary);
        command.args(["up", "--port-offset", &offset.to_string()]).env("HEADWATER_DATA", data);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let mut node = Self::spawn(&mut command, data, offset, claim)?;
        node.wait()?;
        Ok((node, start.elapsed()))
    }

    /// Starts `program PORT_OFFSET FOLDER`, which becomes a node on free ports with its folder in `data`, and which is
    /// told what to do by its standard input. Answers before it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_led(program: &Path, data: &Path) -> Result<(Self, ChildStdin, ChildStdout)> {
        let claim = ports::Claim::new()?;
        let offset = claim.offset();
        let mut command = Command::new(program);
        command.arg(offset.to_string()).arg(data).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut node = Self::spawn(&mut command, data, offset, Some(claim))?;
        let (input, output) = (node.process.stdin.take(), node.process.stdout.take());
        Ok((node, input.context("no standard input")?, output.context("no standard output")?))
    }

    fn spawn(command: &mut Command, data: &Path, offset: u16, claim: Option<ports::Claim>) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let log = std::fs::File::create(data.with_extension("log"))?;
        let process = command.stderr(log).spawn();
        let process = process.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { offset, data: data.to_path_buf(), process, _ports: claim })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if self.get("/readyz").is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the node ended with {status}; see {}", self.data.with_extension("log").display());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("the node is not ready after 20 s; see {}", self.data.with_extension("log").display())
    }

    /// Its address for Kafka clients.
    pub fn kafka(&self) -> String {
        format!("127.0.0.1:{}", ports::KAFKA + self.offset)
    }

    /// Its address for HTTP clients.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", ports::HTTP + self.offset)
    }

    /// Its port for PostgreSQL clients.
    pub fn postgres(&self) -> u16 {
        ports::POSTGRES + self.offset
    }

    /// A GET: status and body.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        http(ports::HTTP + self.offset, "GET", path, "text/plain", "")
    }

    /// A POST: status and body.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn post(&self, path: &str, media: &str, body: &str) -> Result<(u16, String)> {
        http(ports::HTTP + self.offset, "POST", path, media, body)
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&self) {
        let _ = Command::new("kill").args(["-9", &self.process.id().to_string()]).status();
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// What its metrics say under a name, added up over all labels.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let (_, text) = self.get("/metrics")?;
        let samples =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Seconds of CPU it has used (proc_pid_stat(5), fields 14 and 15).
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        // Linux counts in hundredths of a second for user space, whatever the kernel's own tick.
        Ok((ticks(11) + ticks(12)) / 100.0)
    }

    /// A line of `/proc/PID/status` in bytes, such as `VmHWM`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory_bytes(&self, line: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let found = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
        Ok(found.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or_default() * 1_024)
    }

    /// Stops it as Ctrl-C does and waits for its end.
    ///
    /// # Errors
    /// When it does not end with 0 within 15 seconds.
    pub fn stop(mut self) -> Result<()> {
        run(Command::new("kill").args(["-INT", &self.process.id().to_string()]))?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(15) {
            if let Some(status) = self.process.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the node ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the node does not stop")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// A request without any library: status and body. A body comes in one piece or in chunks.
fn http(port: u16, method: &str, path: &str, media: &str, body: &str) -> Result<(u16, String)> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_millis(200))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    let about = format!("content-type: {media}\r\ncontent-length: {length}\r\nconnection: close\r\n");
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{about}\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    let status = head.get(9..12).and_then(|code| code.parse().ok()).context("no HTTP answer")?;
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return Ok((status, body.to_owned()));
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk without a size")?;
        whole.push_str(more.get(..size).context("a chunk that breaks off")?);
        rest = more.get(size + 2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    Ok((status, whole))
}
