//! What stands in a user's way: each fault with code, fact, place and way out.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};

use expect_test::{Expect, expect};

use super::{Node, RESOURCES, alone, check, command, text};

/// As `check`, with what differs from run to run replaced.
fn check_but(output: &Output, differs: &str, expected: Expect) {
    let exit = output.status.code().unwrap_or(-1);
    expected.assert_eq(&format!("{}exit {exit}\n", text(output).replace(differs, "X")));
}

#[test]
fn a_node_that_cannot_start_says_why() {
    let node = Node::start();
    let up = |arguments: &[&str]| command(node.folder.path()).arg("up").args(arguments).output().unwrap();
    let free = ["--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--aws", "127.0.0.1:0", "--postgres", "127.0.0.1:0"];
    // A second node on the same folder.
    check(
        &up(&free),
        expect![[r#"
        error[HW-LOG-001]: the data folder is in use by another process
          --> headwater-data
        help: stop the other node, or give this one another folder
        exit 1
    "#]],
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let held = TcpListener::bind(&taken).unwrap();
    check_but(
        &up(&[
            "--data",
            "other",
            "--http",
            &taken,
            "--kafka",
            "127.0.0.1:0",
            "--aws",
            "127.0.0.1:0",
            "--postgres",
            "127.0.0.1:0",
        ]),
        &taken,
        expect![[r#"
        error[HW-API-022]: cannot listen for HTTP on `X`
        cause: Address already in use (os error 98)
        help: stop the program that has the port, or move all ports with `--port-offset N`
        exit 1
    "#]],
    );
    drop(held);
    check(
        &up(&["--http", "0.0.0.0:8080"]),
        expect![[r#"
        error[HW-API-001]: the HTTP address `0.0.0.0:8080` can be reached from outside this machine
        cause: there is no authentication yet, so that anyone who reaches the port could read and change everything
        help: use `127.0.0.1:8080` and, from elsewhere, an SSH tunnel or a proxy that authenticates
        exit 1
    "#]],
    );
    check(
        &up(&["--kafka", "here:9092"]),
        expect![[r#"
        error: invalid value 'here:9092' for '--kafka <ADDRESS:PORT>': an address and a port are wanted, such as `127.0.0.1:8080` or `[::1]:8080`

        For more information, try '--help'.
        exit 2
    "#]],
    );
    node.write("file", "");
    let no_folder = text(&up(&[free.as_slice(), &["--data", "file"]].concat()));
    assert!(no_folder.starts_with("error[HW-LOG-002]: cannot open the data folder\n  --> file\n"), "{no_folder}");
    assert!(!node.folder.path().join("other").exists(), "nothing is written for a port that is taken");
}

#[test]
fn files_that_are_wrong_say_where() {
    let cases = [
        "apiVersion: headwater.dev/v1\nkind: Steam\nmetadata: {name: x}\nspec: {}\n",
        "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: x\nspec: {}\n",
        "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: x}\nspec: {partitions: none}\n",
        "",
    ];
    let told: String = cases.iter().map(|case| format!("{}\n", text(&alone(&["check", "r.yaml"], case)))).collect();
    expect![[r#"
        error[HW-KERNEL-006]: there is no kind `Steam`
          --> r.yaml:2:7
        help: kinds are `Stream`, `Table`, `Secret`, `Pipeline`, `Workflow`, `Activity`, `Rule`, `Pipe`, `Schedule`, `Destination`, `Archive`, `EventType`, `Dataset`, `Bucket`, `Dashboard`, `ExternalTable`, `Ingest`, `RowPolicy`, `Forecast`, `Alarm`, `Report`; did you mean `Stream`?

        error[HW-KERNEL-001]: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
          --> r.yaml:4:5

        error[HW-KERNEL-009]: `spec.partitions` is the text `none`; a whole number is wanted
          --> r.yaml:4:20

        error[HW-CLI-009]: there is no resource in what was read
        help: `headwater explain KIND` shows how a resource is written

    "#]]
    .assert_eq(&told);
}

#[test]
fn a_file_of_settings_that_is_wrong_says_where() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("headwater.yaml"), "portOfset: 3\n").unwrap();
    check(
        &command(folder.path()).args(["get", "all"]).output().unwrap(),
        expect![[r#"
        error[HW-CLI-003]: there is no setting `portOfset`
          --> headwater.yaml:1:1
        help: did you mean `portOffset`?
        exit 1
    "#]],
    );
}

#[test]
fn a_reader_that_closes_its_end_is_no_failure() {
    let mut child =
        command(&std::env::temp_dir()).args(["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Closed before anything was read.
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((said.as_str(), child.wait().unwrap().code()), ("", Some(0)));

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yaml"), RESOURCES).unwrap();
    std::fs::write(folder.path().join("in.ndjson"), "{\"n\":1}\n".repeat(10_000)).unwrap();
    let mut run = command(folder.path());
    run.args(["run", "r.yaml", "--input", "in.ndjson"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = run.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((text(&output).as_str(), output.status.code()), ("", Some(0)));
}

#[test]
fn a_file_that_cannot_be_resources_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let check_of = |file: &str| command(folder.path()).args(["check", file]).output().unwrap();
    // Without an end.
    check(
        &check_of("/dev/zero"),
        expect![[r#"
        error[HW-KERNEL-002]: the file has more than 1048576 bytes, which is the limit
          --> /dev/zero
        help: split it into several files
        exit 1
    "#]],
    );
    std::fs::write(folder.path().join("latin.yaml"), b"a: 1\nb: \xe9\n").unwrap();
    check(
        &check_of("latin.yaml"),
        expect![[r#"
        error[HW-KERNEL-001]: the file is not UTF-8 text
          --> latin.yaml:2:4
        help: save it with the encoding UTF-8
        exit 1
    "#]],
    );
}

#[test]
fn nothing_but_text_goes_into_a_pipe() {
    let node = Node::start();
    for arguments in [["get", "all"].as_slice(), &["get", "nothing"], &["describe", "stream/headwater.audit"]] {
        let output = command(node.folder.path())
            .args(arguments)
            .env("HEADWATER_SERVER", &node.url)
            // Without NO_COLOR: not being a terminal is enough.
            .env_remove("NO_COLOR")
            .output()
            .unwrap();
        assert!(!text(&output).contains('\x1b'), "{arguments:?}");
    }
}

#[test]
fn typing_while_the_node_goes_away_ends_with_its_code() {
    let mut node = Node::start();
    node.process.kill().unwrap();
    node.process.wait().unwrap();
    let mut child = command(node.folder.path())
        .args(["produce", "orders"])
        .env("HEADWATER_SERVER", &node.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{}\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(text(&output).starts_with("error[HW-CLI-001]") && output.status.code() == Some(1), "{}", text(&output));
}
