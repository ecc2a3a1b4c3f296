//! The command line as its users meet it: the real binary, its output and its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod detections;
mod docs;
mod fakes;
mod faults;
mod moved;
mod noted;
mod pipelines;
mod replays;
mod secrets;
mod terminal;
mod verbs;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use expect_test::{Expect, expect};

const RESOURCES: &str = "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: orders, labels: {team: checkout}}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: double}
spec:
  source: {type: stream, stream: orders, start: earliest}
  steps:
    - {id: twice, type: transform, program: '.total = to_int!(.n) * 2'}
  outputs:
    - {type: stream, stream: orders.double}
";

/// A node of the real binary on free ports.
struct Node {
    process: Child,
    url: String,
    folder: tempfile::TempDir,
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.current_dir(folder).env_clear().env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

impl Node {
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more variables in its environment; what it says on stderr goes to `node.log`.
    fn start_with(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("node.log")).unwrap();
        let mut process = command(folder.path())
            .args([
                "up",
                "--http",
                "127.0.0.1:0",
                "--kafka",
                "127.0.0.1:0",
                "--aws",
                "127.0.0.1:0",
                "--postgres",
                "127.0.0.1:0",
            ])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let url = first.split_whitespace().last().unwrap().to_owned();
        // The rest of the output must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url, folder }
    }

    /// A GET; the answer without its head.
    fn get(&self, path: &str) -> String {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        write!(socket, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())
    }

    /// Writes a file into the folder that commands run in.
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        command(self.folder.path()).args(arguments).env("HEADWATER_SERVER", &self.url).output().unwrap()
    }

    fn fed(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = command(self.folder.path())
            .args(arguments)
            .env("HEADWATER_SERVER", &self.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn check(output: &Output, expected: Expect) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    expected.assert_eq(&format!("{out}{err}exit {}\n", output.status.code().unwrap_or(-1)));
}

/// Both outputs as one text.
fn text(output: &Output) -> String {
    [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat()
}

fn alone(arguments: &[&str], file: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yaml"), file).unwrap();
    command(folder.path()).args(arguments).output().unwrap()
}

#[test]
fn wrong_use_exits_with_2() {
    assert_eq!(alone(&[], "").status.code(), Some(2));
    assert_eq!(alone(&["frobnicate"], "").status.code(), Some(2));
    assert_eq!(alone(&["apply"], "").status.code(), Some(2));
}

#[test]
fn a_check_names_file_line_and_column() {
    check(
        &alone(&["check", "r.yaml"], RESOURCES),
        expect![[r#"
        2 resources are fine
        exit 0
    "#]],
    );
    check(
        &alone(&["check", "r.yaml"], &RESOURCES.replace("partitions", "partitons")),
        expect![[r#"
        error[HW-KERNEL-007]: `spec` has no key `partitons`
          --> r.yaml:4:8
        help: did you mean `partitions`? keys here are `cleanup`, `description`, `maxBatch`, `owner`, `partitions`, `retention`, `schema`
        exit 1
    "#]],
    );
}

#[test]
fn a_stream_promises_no_larger_batch_than_there_can_be() {
    let stream = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: s}\nspec: {maxBatch: SIZE}\n";
    let checked = |size: &str| alone(&["check", "r.yaml"], &stream.replace("SIZE", size));
    assert!(checked("8MiB").status.success());
    check(
        &checked("9MiB"),
        expect![[r#"
        error[HW-KERNEL-009]: `spec.maxBatch` is 9MiB; the limit is 8MiB
          --> r.yaml:4:18
        help: keep what is larger elsewhere, and its address in the event
        exit 1
    "#]],
    );
}

#[test]
fn what_is_wrong_about_a_run_is_named_where_it_stands() {
    let import = |about: &str| {
        let run = ["solution", "import", "workflow-cost", "--engine", "miniwdl", "--id", "r", "--about", "r.yaml", "."];
        let output = alone(&run, about);
        assert!(!output.status.success());
        text(&output)
    };
    let wrong = import("{\n  \"iterations\": \"many\"}");
    assert!(wrong.contains("HW-COST-002") && wrong.contains("r.yaml:2:"), "{wrong}");
    let stray = import("{\"iteration\": 7}");
    assert!(stray.contains("nothing of a run is called `iteration`"), "{stray}");
    assert!(stray.contains("did you mean `iterations`?"), "{stray}");
}

#[test]
fn what_cannot_be_reached_says_how_to_start_it() {
    let output = alone(&["get", "streams", "--server", "http://127.0.0.1:1"], "");
    check(
        &output,
        expect![[r#"
        error[HW-CLI-001]: no node answers at `http://127.0.0.1:1`
        cause: Connection refused (os error 111)
        help: start one with `headwater up`, or name another with `--server URL`
        exit 1
    "#]],
    );
}

#[test]
fn a_node_from_start_to_finish() {
    let node = Node::start();
    std::fs::write(node.folder.path().join("r.yaml"), RESOURCES).unwrap();
    check(
        &node.run(&["apply", "-f", "r.yaml"]),
        expect![[r#"
        stream/orders created
        pipeline/double created
        exit 0
    "#]],
    );
    check(
        &node.run(&["apply", "-f", "r.yaml"]),
        expect![[r#"
        stream/orders unchanged
        pipeline/double unchanged
        exit 0
    "#]],
    );
    std::fs::write(node.folder.path().join("r.yaml"), RESOURCES.replace("partitions: 1", "partitions: 2")).unwrap();
    check(
        &node.run(&["diff", "-f", "r.yaml"]),
        expect![[r#"
        --- node/stream/orders
        +++ file/stream/orders
        @@ -5,4 +5,4 @@
           labels:
             team: checkout
         spec:
        -  partitions: 1
        +  partitions: 2
        exit 1
    "#]],
    );
    check(
        &node.fed(&["produce", "orders", "--key", ".n"], "{\"n\":1}\nnope\n{\"n\":2}\n"),
        expect![[r#"
        line 2: error[HW-API-008]: this is not JSON: expected ident
        2 accepted, 0 duplicates, 1 rejected
        exit 1
    "#]],
    );
    check(
        &node.run(&["tail", "orders", "--from", "earliest"]),
        expect![[r#"
        {"n":1}
        {"n":2}
        exit 0
    "#]],
    );
    // Waits for the pipeline; several partitions have no common order.
    let doubled = node.run(&["tail", "orders.double", "--from", "earliest", "--follow", "-n", "2"]);
    let mut lines: Vec<String> = String::from_utf8_lossy(&doubled.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["{\"n\":1,\"total\":2}", "{\"n\":2,\"total\":4}"]);
    check(
        &node.run(&["get", "stream", "-l", "team=checkout", "-o", "name"]),
        expect![[r#"
        stream/orders
        exit 0
    "#]],
    );
    check(
        &node.run(&["delete", "stream/orders"]),
        expect![[r#"
        error[HW-KERNEL-013]: `Stream/orders` is named by `Pipeline/double`
        help: delete that first, or use `--cascade` to delete both, or `--force` to delete this one alone
        exit 1
    "#]],
    );
    check(
        &node.run(&["delete", "-f", "r.yaml", "--dry-run"]),
        expect![[r#"
        pipeline/double deleted (dry run)
        stream/orders deleted (dry run)
        exit 0
    "#]],
    );
    check(
        &node.run(&["delete", "-f", "r.yaml"]),
        expect![[r#"
        pipeline/double deleted
        stream/orders deleted
        exit 0
    "#]],
    );
}
