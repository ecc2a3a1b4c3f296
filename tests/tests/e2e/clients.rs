//! Clients that others wrote, against a real node.

use std::collections::BTreeSet;
use std::process::Command;

use e2e::{Lines, Node, client, output, root, until};

use super::{HEADWATER, has_kcat};

const STREAM: &str = "orders";

fn script(name: &str) -> std::path::PathBuf {
    root().join("tests/clients").join(name)
}

fn kcat(node: &Node, words: &[&str], input: &str) -> String {
    output(Command::new("kcat").args(["-b", &node.kafka(), "-q"]).args(words), input).unwrap()
}

/// Lines `from..to`, as a producer sends them.
fn numbers(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("{number}\n")).collect()
}

fn set(text: &str) -> BTreeSet<usize> {
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

#[test]
fn kcat_produces_and_reads_back_what_it_sent() {
    if !has_kcat("kcat_produces_and_reads_back_what_it_sent") {
        return;
    }
    let node = Node::start(HEADWATER).unwrap();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let stream = format!("kcat-{codec}");
        kcat(&node, &["-P", "-t", &stream, "-z", codec, "-X", "acks=all"], &numbers(0, 1_000));
        let read = kcat(&node, &["-C", "-t", &stream, "-e", "-o", "beginning"], "");
        assert_eq!(set(&read), (0..1_000).collect(), "{codec}");
    }
}

#[test]
fn python_and_javascript_clients_produce_idempotently_and_read_in_groups() {
    const NAME: &str = "python_and_javascript_clients";
    let (Some(python), Some(modules)) = (client(NAME, "venv/bin/python"), client(NAME, "node_modules")) else { return };
    let node = Node::start(HEADWATER).unwrap();
    let clients: [(&str, Vec<std::ffi::OsString>); 3] = [
        ("confluent", vec![python.clone().into(), script("confluent.py").into()]),
        ("kafka-python", vec![python.into(), script("kafka_python.py").into()]),
        ("kafkajs", vec!["node".into(), script("kafkajs.js").into()]),
    ];
    for (name, words) in clients {
        let run = |what: &str| {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).args([what, &node.kafka(), &format!("of-{name}"), &format!("readers-{name}")]);
            command.env("NODE_PATH", &modules);
            command
        };
        output(&mut run("produce"), &numbers(0, 500)).unwrap();
        let reader = Lines::of(&mut run("consume")).unwrap();
        let mut seen = BTreeSet::new();
        until(&format!("{name} has read everything"), || {
            seen.extend(reader.take().iter().filter_map(|line| line.parse::<usize>().ok()));
            seen.len() == 500
        })
        .unwrap();
    }
}

/// A pure Python member, a librdkafka member under Python, and kcat, which is C.
#[test]
fn a_group_of_three_clients_in_two_languages_survives_a_kill_of_the_node() {
    const NAME: &str = "a_group_of_three_clients";
    let Some(python) = client(NAME, "venv/bin/python") else { return };
    if !has_kcat(NAME) {
        return;
    }
    let mut node = Node::start(HEADWATER).unwrap();
    kcat(&node, &["-P", "-t", STREAM, "-X", "acks=all"], &numbers(0, 1_000));
    let member = |file: &str| {
        Lines::of(Command::new(&python).arg(script(file)).args(["consume", &node.kafka(), STREAM, "workers"])).unwrap()
    };
    let kcat_member = [
        "-b",
        &node.kafka(),
        "-q",
        "-u",
        "-G",
        "workers",
        "-X",
        "partition.assignment.strategy=range",
        "-X",
        "auto.offset.reset=earliest",
        STREAM,
    ]
    .map(str::to_owned);
    let members =
        [member("confluent.py"), member("kafka_python.py"), Lines::of(Command::new("kcat").args(kcat_member)).unwrap()];
    let mut seen = BTreeSet::new();
    let mut has_all = |count: usize| {
        until(&format!("the group has read {count}"), || {
            for member in &members {
                seen.extend(member.take().iter().filter_map(|line| line.parse::<usize>().ok()));
            }
            seen.len() >= count
        })
    };
    has_all(1_000).unwrap();
    node.kill_and_restart().unwrap();
    kcat(&node, &["-P", "-t", STREAM, "-X", "acks=all"], &numbers(1_000, 2_000));
    has_all(2_000).unwrap();
    let read = kcat(&node, &["-C", "-t", STREAM, "-e", "-o", "beginning"], "");
    assert_eq!(set(&read), (0..2_000).collect(), "nothing acknowledged is lost");
    assert_eq!(read.lines().count(), 2_000, "nothing is doubled");
}

/// Members give up only what changes hands, in a round of its own (KIP-429), and go on with the rest meanwhile.
#[test]
fn members_that_hand_partitions_over_cooperatively_read_everything() {
    const NAME: &str = "members_that_hand_partitions_over";
    let Some(python) = client(NAME, "venv/bin/python") else { return };
    if !has_kcat(NAME) {
        return;
    }
    let node = Node::start(HEADWATER).unwrap();
    let kafka = node.kafka();
    let member = || {
        let words = ["consume", &kafka, STREAM, "cooperative", "cooperative-sticky"];
        Lines::of(Command::new(&python).arg(script("confluent.py")).args(words)).unwrap()
    };
    // Each has a key of its own, which spreads them over all partitions.
    let send = |from: usize, to: usize| {
        let lines: String = (from..to).map(|number| format!("{number}:{number}\n")).collect();
        kcat(&node, &["-P", "-t", STREAM, "-K", ":", "-X", "acks=all"], &lines);
    };
    let read = |member: &Lines| -> Vec<usize> { member.take().iter().filter_map(|line| line.parse().ok()).collect() };
    let mut sent = 200;
    send(0, sent);
    let first = member();
    let mut seen = BTreeSet::new();
    until("the first has read everything", || {
        seen.extend(read(&first));
        seen.len() == sent
    })
    .unwrap();
    let second = member();
    until("the second has taken over a part", || {
        send(sent, sent + 20);
        sent += 20;
        seen.extend(read(&first));
        let of_second = read(&second);
        let has_read = !of_second.is_empty();
        seen.extend(of_second);
        has_read
    })
    .unwrap();
    until("both have read everything", || {
        seen.extend(read(&first));
        seen.extend(read(&second));
        seen.len() == sent
    })
    .unwrap();
    drop(first);
    send(sent, sent + 200);
    until("the second reads what was the first's", || {
        seen.extend(read(&second));
        seen.len() == sent + 200
    })
    .unwrap();
    assert_eq!(seen, (0..sent + 200).collect());
}
