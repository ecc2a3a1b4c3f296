//! What the documentation tells its readers to type, typed: console blocks against a node, resources through `check`.
//!
//! In a block, a line that begins with `$ ` is run by a shell, and the lines below it are its output; `…` stands for
//! anything. `headwater up &` starts the node that the rest of the page talks to, on other ports.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use headwater::ports;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All pages for readers.
fn pages() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|end| end == "md") {
                found.push(path);
            }
        }
    }
    let mut found = vec![root().join("README.md")];
    below(&root().join("docs"), &mut found);
    found.sort();
    found
}

/// The blocks of a language: line number and text.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside = None;
    for (number, line) in text.lines().enumerate() {
        match (inside, line.strip_prefix("```")) {
            (None, Some(word)) => {
                inside = Some(word == language);
                if word == language {
                    found.push((number + 2, String::new()));
                }
            }
            (Some(_), Some(_)) => inside = None,
            (Some(true), None) => writeln!(found.last_mut().unwrap().1, "{line}").unwrap(),
            _ => {}
        }
    }
    found
}

/// A scratch folder with the tree's folders that pages name, and the node of the page.
struct Reader {
    folder: tempfile::TempDir,
    ports: ports::Claim,
    node: Option<Child>,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["docs", "solutions"] {
            std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        Self { folder, ports: ports::Claim::new().unwrap(), node: None }
    }

    fn shell(&self, program: &str) -> Command {
        let binaries = Path::new(env!("CARGO_BIN_EXE_headwater")).parent().unwrap();
        let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        command.args(["-c", &self.moved(program)]).current_dir(self.folder.path()).env("PATH", path);
        command.env("HEADWATER_PORT_OFFSET", self.ports.offset().to_string()).env_remove("HEADWATER_SERVER");
        command.env_remove("HEADWATER_DATA").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// With this node's ports in place of the usual ones.
    fn moved(&self, text: &str) -> String {
        ports::ALL.iter().fold(text.to_owned(), |text, port| {
            text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{}", port + self.ports.offset()))
        })
    }

    fn back(&self, text: &str) -> String {
        let text = text.replace(&format!(" --port-offset {}", self.ports.offset()), "");
        ports::ALL.iter().fold(text, |text, port| {
            text.replace(&format!("127.0.0.1:{}", port + self.ports.offset()), &format!("127.0.0.1:{port}"))
        })
    }

    fn run(&mut self, line: &str) -> String {
        if let Some(up) = line.strip_suffix(" &") {
            let mut node = self.shell(&format!("exec {up}")).stderr(Stdio::inherit()).spawn().unwrap();
            let lines = BufReader::new(node.stdout.as_mut().unwrap()).lines();
            let shown: String = lines.take(7).map(|line| format!("{}\n", line.unwrap())).collect();
            self.node = Some(node);
            return self.back(&shown);
        }
        let output = self.shell(line).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        self.back(&String::from_utf8_lossy(&text))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(mut node) = self.node.take() {
            let _ = node.kill();
            let mut rest = String::new();
            let _ = node.stdout.take().unwrap().read_to_string(&mut rest);
            let _ = node.wait();
        }
    }
}

/// Whether text is as a page shows it; `…` stands for anything, also for several lines.
fn fits(shown: &str, actual: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let Some(mut rest) = actual.trim_end().strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last.is_some_and(str::is_empty)
}

#[test]
fn console_blocks_show_what_happens() {
    let mut wrong = String::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let mut reader = Reader::new();
        for (start, block) in blocks(&text, "console") {
            let mut lines = block.lines().enumerate().peekable();
            while let Some((number, line)) = lines.next() {
                let command = line.strip_prefix("$ ").expect("a block begins with a command");
                let mut shown = String::new();
                while let Some((_, line)) = lines.next_if(|(_, line)| !line.starts_with("$ ")) {
                    writeln!(shown, "{line}").unwrap();
                }
                let actual = reader.run(command);
                if !fits(&shown, &actual) {
                    writeln!(wrong, "{}:{}: $ {command}\n{actual}", page.display(), start + number).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the documentation shows something else than this:\n{wrong}");
}

#[test]
fn resources_in_blocks_are_right() {
    let mut wrong = String::new();
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (start, block) in blocks(&text, "yaml").into_iter().filter(|(_, block)| block.starts_with("apiVersion")) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("block.yaml"), &block).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
            let output = command.args(["check", "block.yaml"]).current_dir(folder.path()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            // What a block names may stand in another one, or on another page; nothing else may be wrong with it.
            let fault = |line: &str| line.starts_with("error[") && !line.starts_with("error[HW-KERNEL-030]");
            if told.lines().any(fault) || !output.status.success() && !told.contains("error[HW-KERNEL-030]") {
                writeln!(wrong, "{}:{start}: {told}", page.display()).unwrap();
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 4, "only {count} resources found");
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(fits("a … c\n", "a b\nb c\n") && fits("a\n…\n", "a\nb\nc\n") && fits("a", "a\n"));
    assert!(!fits("a … c", "a b") && !fits("a", "a b") && !fits("… b", "a b c"));
}
