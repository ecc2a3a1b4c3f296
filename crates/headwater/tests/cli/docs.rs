//! What the documentation tells its readers to type, typed: console blocks against a node, resources through `check`,
//! settings through the program that reads them; figures and bounds against what there is.
//!
//! In a block, a line that begins with `$ ` is run by a shell, and the lines below it are its output; `…` stands for
//! anything. `headwater up &` starts the node that the rest of the page talks to, on other ports.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use headwater::ports;
use headwater_base::Limits;

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

/// The pages of the solutions. What they tell to type wants fed nodes, which the solutions' own tests have.
fn solutions() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("solutions")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = folders.map(|folder| folder.join("README.md")).filter(|page| page.exists()).collect();
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

/// A block as a file of resources, if it is one: whole resources, or a list of charts, which gets its dashboard.
fn resources(block: &str) -> Option<String> {
    if block.starts_with("apiVersion") {
        return Some(block.to_owned());
    }
    block.starts_with("- id: ").then(|| {
        let head = "apiVersion: headwater.dev/v1\nkind: Dashboard\nmetadata: {name: block}\nspec:\n  charts:\n";
        let charts = block.lines().map(|line| format!("    {line}\n"));
        [head.to_owned()].into_iter().chain(charts).collect()
    })
}

#[test]
fn resources_in_blocks_are_right() {
    let mut wrong = String::new();
    let mut count = 0;
    for page in pages().into_iter().chain(solutions()) {
        let text = std::fs::read_to_string(&page).unwrap();
        for (start, block) in blocks(&text, "yaml") {
            let Some(block) = resources(&block) else { continue };
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
    assert!(count >= 14, "only {count} resources found");
}

#[test]
fn settings_in_blocks_are_settings() {
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (start, block) in
            blocks(&text, "yaml").into_iter().filter(|(_, block)| block.starts_with("# headwater.yaml"))
        {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("headwater.yaml"), &block).unwrap();
            // Every verb reads the file first.
            let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
            let output = command.args(["explain", "stream"]).current_dir(folder.path()).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:{start}: {told}", page.display());
            count += 1;
        }
    }
    assert!(count >= 1, "no settings found");
}

#[test]
fn figures_that_pages_name_are_there() {
    // What that page says is held against the program where it is written.
    let known = std::fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
    let mut wrong = String::new();
    for page in pages().into_iter().chain([root().join("docs/guides/prometheus.yaml")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        // A figure names its part and itself; `hw_cut` is a header. What ends in `_` stands for all that go on.
        for word in words.filter(|word| word.starts_with("hw_") && word.matches('_').count() > 1) {
            let wanted = if word.ends_with('_') { format!("`{word}") } else { format!("`{word}`") };
            if !known.contains(&wanted) {
                writeln!(wrong, "{}: there is no figure `{word}`", page.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A number as pages write it: `10,000`.
fn counted(number: usize) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[test]
fn bounds_on_the_page_are_those_of_a_node() {
    let page = std::fs::read_to_string(root().join("docs/guides/operating.md")).unwrap();
    let limits = Limits::default();
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    let rows = [
        ("streams", counted(limits.streams)),
        ("partitions of all streams", counted(limits.partitions)),
        ("consumer groups", counted(limits.groups)),
        ("members of a group", counted(limits.group_members)),
        ("Kafka connections", counted(limits.kafka_connections)),
        ("HTTP connections", counted(limits.http_connections)),
        ("PostgreSQL connections", counted(limits.sql_connections)),
        ("a Kafka request", mib(limits.kafka_request_bytes)),
        ("an HTTP body", mib(limits.http_body_bytes)),
        ("a batch of records, as sent, unless `maxBatch` says otherwise (8 MiB at most)", mib(limits.batch_bytes)),
        ("ids remembered for each stream, to know an event sent twice over HTTP", counted(limits.dedupe_ids)),
        ("events that a pipeline holds back for lookups", counted(limits.lookups_in_flight)),
        ("documents in memory for each table", mib(limits.table_cache_bytes)),
        ("executions in memory as values, besides their rows", mib(limits.execution_cache_bytes)),
        ("recent events in memory for readers", mib(limits.tail_cache_bytes)),
        ("newest bytes of segments left to the system's memory besides", mib(limits.segment_cache_bytes as usize)),
        ("rows of datasets in memory", mib(limits.lake_tail_bytes)),
        ("memory of all queries (`sqlMemoryBytes`)", mib(limits.sql_memory_bytes)),
        ("what PostgreSQL clients send and keep (`sqlClientBytes`)", mib(limits.sql_client_bytes)),
        ("steps of a chain of events", limits.event_hops.to_string()),
        ("external tasks of workflows under way", counted(limits.tasks_in_flight.get())),
        ("ended executions kept (`executionsKept`)", counted(limits.executions_kept)),
    ];
    for (what, bound) in rows {
        let row = format!("\n| {what} | {bound} |\n");
        assert!(page.contains(&row), "the page lacks this row:{row}");
    }
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(fits("a … c\n", "a b\nb c\n") && fits("a\n…\n", "a\nb\nc\n") && fits("a", "a\n"));
    assert!(!fits("a … c", "a b") && !fits("a", "a b") && !fits("… b", "a b c"));
}
