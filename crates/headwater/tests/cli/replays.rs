//! Archives given out again: begun, waited for, listed, and what is refused.

use expect_test::expect;

use super::{Node, check, text};

const SHOP: &str = "\
apiVersion: headwater.dev/v1
kind: Archive
metadata: {name: shop}
spec: {pattern: {source: [shop]}}
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: all}
spec: {pattern: {source: [shop]}, targets: [{type: stream, stream: all}]}
---
apiVersion: headwater.dev/v1
kind: Rule
metadata: {name: large}
spec: {pattern: {source: [shop], detail: {n: [{numeric: ['>', 1]}]}}, targets: [{type: stream, stream: large}]}
";

const SPAN: [&str; 4] = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];

/// A node whose archive holds two events, of which both rules' streams have what is theirs.
fn ready() -> Node {
    let node = Node::start();
    node.write("r.yaml", SHOP);
    let applied = node.run(&["apply", "-f", "r.yaml"]);
    assert!(applied.status.success(), "{}", text(&applied));
    let event =
        |n: u32| format!("{{\"id\":\"{n}\",\"source\":\"shop\",\"detail-type\":\"Order\",\"detail\":{{\"n\":{n}}}}}\n");
    assert!(node.fed(&["produce", "bus.default"], &(event(1) + &event(2))).status.success());
    for (stream, count) in [("archive.shop", "2"), ("all", "2"), ("large", "1")] {
        assert!(node.run(&["tail", stream, "--from", "earliest", "-f", "-n", count]).status.success());
    }
    node
}

#[test]
fn an_archive_is_given_out_again_to_one_rule() {
    let node = ready();
    check(
        &node.run(&["get", "replays"]),
        expect![[r#"
        no replays
        exit 0
    "#]],
    );
    let words = ["replay", "archive/shop", "--rule", "large", "--name", "again", "--wait", "-o", "json"];
    let ended = node.run(&[&words[..], &SPAN].concat());
    assert!(ended.status.success(), "{}", text(&ended));
    let row: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&row["state"], &row["events"]), (&"completed".into(), &2.into()), "{row}");
    assert!(node.run(&["tail", "large", "--from", "earliest", "-f", "-n", "2"]).status.success());
    // The next event of the bus has passed behind what was given out.
    let event = "{\"id\":\"3\",\"source\":\"shop\",\"detail-type\":\"Order\",\"detail\":{\"n\":3}}\n";
    assert!(node.fed(&["produce", "bus.default"], event).status.success());
    let all = text(&node.run(&["tail", "all", "--from", "earliest", "-f", "-n", "3"]));
    assert_eq!(all.matches("\"id\":\"1\"").count(), 1, "the other rule got nothing of it: {all}");
    assert!(all.contains("\"id\":\"3\""), "{all}");

    // A name is drawn, and both are listed.
    assert!(node.run(&[&["replay", "shop", "--wait"], &SPAN[..2]].concat()).status.success());
    let listed = text(&node.run(&["get", "replays"]));
    assert!(listed.starts_with("NAME") && listed.lines().count() == 3, "{listed}");
    assert!(listed.lines().all(|line| line.starts_with("NAME") || line.contains("shop      completed")), "{listed}");
    check(
        &node.run(&["get", "replay/again", "-o", "name"]),
        expect![[r#"
        replay/again
        exit 0
    "#]],
    );
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let node = ready();
    let replay = |words: &[&str]| node.run(&[&["replay"], words].concat());
    assert!(replay(&[&["shop", "--name", "once", "--wait"], &SPAN[..]].concat()).status.success());
    check(
        &replay(&[&["shop", "--name", "once"], &SPAN[..]].concat()),
        expect![[r#"
        error[HW-BUS-040]: there is a replay `once` already
        help: choose another name: it is in every event that the replay gives out
        exit 1
    "#]],
    );
    check(
        &replay(&[&["shp"], &SPAN[..]].concat()),
        expect![[r#"
        error[HW-BUS-041]: there is no archive `shp`
        help: `headwater get archives` lists them
        exit 1
    "#]],
    );
    check(
        &replay(&["shop", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"]),
        expect![[r#"
        error[HW-BUS-042]: the span from 2026-01-01T00:00:00Z to 2026-01-01T00:00:00Z is empty
        help: `to` is the first time behind the span
        exit 1
    "#]],
    );
    check(
        &replay(&["shop", "--from", "yesterday"]),
        expect![[r#"
        error[HW-API-008]: `from` is no time
        help: write it as in `2026-11-23T08:00:00Z`
        exit 1
    "#]],
    );
    check(
        &replay(&[&["shop", "--rule", "lrge"], &SPAN[..]].concat()),
        expect![[r#"
        error[HW-KERNEL-012]: there is no `Rule/lrge`
        help: did you mean `large`?
        exit 1
    "#]],
    );
    assert_eq!(replay(&["shop"]).status.code(), Some(2), "a replay of everything is asked for by name");
    check(
        &node.run(&["stop", "replay/once"]),
        expect![[r#"
        error[HW-BUS-044]: no replay `once` is under way
        exit 1
    "#]],
    );
    check(
        &node.run(&["get", "replay/twice"]),
        expect![[r#"
        error[HW-BUS-044]: there is no replay `twice`
        help: `headwater get replays` lists them
        exit 1
    "#]],
    );
}
