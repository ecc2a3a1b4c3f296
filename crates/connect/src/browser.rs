//! Pictures of the console's pages, drawn by the Chromium of this machine.
//!
//! One at a time, in a profile of its own that goes with it, in bounded time. The browser knows no host but this machine.
//! What it is NOT: a part of Headwater; where there is no Chromium there are no pictures.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_kernel::port::Pictures;
use headwater_kernel::port::picture::Scene;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::process::Command;
use tokio::sync::Mutex;

/// The variable that names the program; empty for none.
const PROGRAM: &str = "HEADWATER_CHROMIUM";
/// What the program is called, on the path.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// The longest that a page may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The page's own time, which stands still while it waits for the node.
const PAGE_MS: u32 = 10_000;
/// A larger picture is not read.
const PNG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How a PNG begins, up to its width and height (W3C, third edition, sections 5.2 and 11.2.1).
const HEAD: &[u8; 16] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// Nothing of it talks to anybody by itself, asks anything or keeps anything.
const ALWAYS: [&str; 17] = [
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--force-device-scale-factor=1",
    "--force-prefers-reduced-motion",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE ::1",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-proxy-server",
];

/// The Chromium of this machine, looking at one node.
pub struct Chromium {
    node: SocketAddr,
    folder: PathBuf,
    /// What the variable says.
    named: Option<OsString>,
    timeout: Duration,
    turn: Mutex<()>,
}

impl Chromium {
    /// Looks at the node whose HTTP is at `node`; `folder` holds its profile while it runs, and nothing else.
    pub fn new(node: SocketAddr, folder: PathBuf) -> Self {
        // The browser takes a relative file for one of its own folder.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        Self { node, folder, named: std::env::var_os(PROGRAM), timeout: TIMEOUT, turn: Mutex::new(()) }
    }

    async fn draw(&self, scene: &Scene) -> Result<Bytes, Problem> {
        let Some(program) = self.program() else {
            let fact = "there is no Chromium on this machine";
            let help = format!("install `chromium`, or name the program in `{PROGRAM}`");
            return Err(Problem::new("HW-CONNECT-120", fact).help(help));
        };
        let _turn = self.turn.lock().await;
        let folder = self.folder.clone();
        blocking(move || fresh(&folder)).await?;
        let drawn = self.run(&program, scene).await;
        let (folder, file, scene) = (self.folder.clone(), self.picture(), scene.clone());
        blocking(move || {
            let png = drawn.and_then(|()| read(&file, &scene));
            // What cannot be removed is removed the next time.
            let _ = fs::remove_dir_all(folder);
            png
        })
        .await
    }

    /// Looked for each time: it may be installed while the node runs.
    fn program(&self) -> Option<PathBuf> {
        if let Some(named) = &self.named {
            return (!named.is_empty()).then(|| named.into());
        }
        let path = std::env::var_os("PATH")?;
        let mut files = NAMES.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
        files.find(|file| file.is_file())
    }

    fn picture(&self) -> PathBuf {
        self.folder.join("page.png")
    }

    async fn run(&self, program: &Path, scene: &Scene) -> Result<(), Problem> {
        let Scene { path, width, height } = scene;
        let mut command = Command::new(program);
        command
            .args(ALWAYS)
            .arg(format!("--user-data-dir={}", self.folder.join("profile").display()))
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--virtual-time-budget={PAGE_MS}"))
            .arg(format!("--screenshot={}", self.picture().display()))
            .env("HOME", &self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        if geteuid().is_root() {
            // It refuses to run otherwise.
            command.arg("--no-sandbox");
        }
        command.arg(format!("http://{}{path}", self.node));
        let fault = |fact: String| Problem::new("HW-CONNECT-121", fact).help("try the program by hand: `--screenshot`");
        let mut child = command
            .spawn()
            .map_err(|error| fault(format!("the browser `{}` cannot be started", program.display())).because(error))?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        match tokio::time::timeout(self.timeout, child.wait()).await {
            Err(_) => Err(fault(format!("the browser drew nothing in {:?}", self.timeout))),
            Ok(ended) => {
                group.0 = None;
                match ended {
                    Ok(status) if status.success() => Ok(()),
                    Ok(status) => Err(fault(format!("the browser ended with {status}"))),
                    Err(error) => Err(fault("the browser was lost".to_owned()).because(error)),
                }
            }
        }
    }
}

impl Pictures for Chromium {
    fn take<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Result<Bytes, Problem>> {
        Box::pin(self.draw(scene))
    }
}

/// A browser and its children: they end with this, whether or not anybody waits for them any longer.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Who is gone already needs no signal.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// An empty folder; what an earlier life left in it goes.
fn fresh(folder: &Path) -> Result<(), Problem> {
    let made = match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    };
    made.map_err(|error| {
        Problem::new("HW-CONNECT-121", format!("the folder `{}` cannot be made", folder.display())).because(error)
    })
}

/// The picture, if it is one and as large as it was asked for.
fn read(file: &Path, scene: &Scene) -> Result<Bytes, Problem> {
    let fault = |fact: &str| Problem::new("HW-CONNECT-121", fact);
    let size = fs::metadata(file).map_err(|error| fault("the browser drew nothing").because(error))?.len();
    if size > PNG_BYTES_MAX {
        return Err(fault(&format!("the picture has {size} bytes; the limit is {PNG_BYTES_MAX}")));
    }
    let png = fs::read(file).map_err(|error| fault("the picture cannot be read").because(error))?;
    let sides = [scene.width.to_be_bytes(), scene.height.to_be_bytes()].concat();
    match png.strip_prefix(HEAD) {
        Some(rest) if rest.starts_with(&sides) => Ok(Bytes::from(png)),
        _ => Err(fault("what the browser drew is no PNG of the size it was asked for")),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::new("HW-CONNECT-121", "the picture was given up").because(error)))
}

#[cfg(test)]
mod tests;
