//! What the command line makes of answers that a real node gives only when it holds much or is under load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use expect_test::expect;

use super::{alone, check, text};

/// Something that gives these answers, status and body, one for each request. Answers its URL, and what was asked, of a
/// deletion with its list, once all answers are given.
pub(super) fn fake(answers: &[(u16, &'static str)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = answers.to_vec();
    let answer = move |(status, body): (u16, &str)| {
        let (mut socket, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        let lines = reader.by_ref().lines().map(Result::unwrap);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let sent = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut sent = vec![0; sent.unwrap_or(0)];
        reader.read_exact(&mut sent).unwrap();
        let bytes = body.len();
        write!(socket, "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n{body}").unwrap();
        let asked = head[0].trim_end_matches(" HTTP/1.1");
        if asked.starts_with("POST /v1/delete") {
            format!("{asked} {}", String::from_utf8(sent).unwrap())
        } else {
            head[0].clone()
        }
    };
    (url, std::thread::spawn(move || answers.into_iter().map(answer).collect()))
}

#[test]
fn executions_are_listed_page_by_page_up_to_a_limit() {
    let pages = [
        (200, r#"{"items":[{"kind":"Execution","name":"pay/b"}],"next":"t1"}"#),
        (200, r#"{"items":[{"kind":"Execution","name":"pay/a"}],"next":null}"#),
    ];
    let (url, asked) = fake(&pages);
    check(
        &alone(&["get", "executions", "-o", "name", "--server", &url], ""),
        expect![[r#"
        execution/pay/b
        execution/pay/a
        exit 0
    "#]],
    );
    let first = "GET /v1/executions?max=1000 HTTP/1.1";
    assert_eq!(asked.join().unwrap(), [first, "GET /v1/executions?max=1000&after=t1 HTTP/1.1"]);
    let (url, asked) = fake(&pages[..1]);
    check(
        &alone(&["get", "executions", "-o", "name", "--limit", "1", "--server", &url], ""),
        expect![[r#"
        execution/pay/b
        there are older ones
        exit 0
    "#]],
    );
    assert_eq!(asked.join().unwrap(), ["GET /v1/executions?max=1 HTTP/1.1"]);
    check(
        &alone(&["get", "streams", "--limit", "1"], ""),
        expect![[r#"
        error[HW-CLI-025]: `--limit` is for the list of executions, and `streams` is none
        help: leave it out: everything else is listed whole
        exit 2
    "#]],
    );
}

#[test]
fn what_is_deleted_by_its_labels_is_what_was_listed() {
    const CHANGED: &str = r#"{"deleted":[],"refused":[{"id":"Stream/a","problem":
        {"code":"HW-KERNEL-011","title":"this deletes version 7 of `Stream/a`, which is at version 8"}}]}"#;
    let (url, asked) =
        fake(&[(200, r#"{"items":[{"kind":"Stream","metadata":{"name":"a","resourceVersion":7}}]}"#), (200, CHANGED)]);
    check(
        &alone(&["delete", "streams", "-l", "team=checkout", "--server", &url], ""),
        expect![[r#"
        error[HW-KERNEL-011]: this deletes version 7 of `Stream/a`, which is at version 8
        exit 1
    "#]],
    );
    let list = r#"{"resources":[{"kind":"streams","name":"a","resourceVersion":7}]}"#;
    assert_eq!(asked.join().unwrap()[1], format!("POST /v1/delete {list}"));
}

#[test]
fn problems_that_are_not_told_are_counted() {
    let (url, asked) = fake(&[(422, r#"{"problems":[{"code":"HW-TEST-001","title":"one"}],"problemsTotal":250}"#)]);
    check(
        &alone(&["get", "streams", "--server", &url], ""),
        expect![[r#"
        error[HW-TEST-001]: one

        error[HW-CLI-021]: 250 problems were found, and the node tells 1 of them
        help: `headwater check` tells all that can be seen in files
        exit 1
    "#]],
    );
    asked.join().unwrap();
}

#[test]
fn who_watches_too_slowly_is_told_and_fails() {
    let (url, asked) =
        fake(&[(200, "{\"type\":\"deleted\",\"kind\":\"Stream\",\"name\":\"a\"}\n{\"type\":\"lost\"}\n")]);
    check(
        &alone(&["get", "streams", "--watch", "-o", "name", "--server", &url], ""),
        expect![[r#"
        stream/a
        error[HW-CLI-022]: the node could not tell all changes, because they were taken too slowly
        help: run it again: it begins with how things are
        exit 1
    "#]],
    );
    asked.join().unwrap();
}

#[test]
fn the_changes_of_a_resource_are_found_behind_those_of_others() {
    let created = r#"{"key":"Stream/orders","value":{"time":"T","verb":"apply","outcome":"created","generation":1}}"#;
    let (url, asked) = fake(&[
        (200, r#"{"kind":"Rule","metadata":{"name":"orders"}}"#),
        (200, r#"{"partitions":[{"start":10,"end":700}]}"#),
        (200, r#"{"key":"Rule/other","value":{}}"#),
        (200, created),
    ]);
    let shown = alone(&["describe", "rule/orders", "--server", &url], "");
    assert!(String::from_utf8_lossy(&shown.stdout).ends_with("changes: []\n"), "{shown:?}");
    let asked = asked.join().unwrap();
    assert_eq!(asked[2], "GET /v1/streams/headwater.audit/events?from=200&max=500 HTTP/1.1");
    assert_eq!(asked[3], "GET /v1/streams/headwater.audit/events?from=10&max=190 HTTP/1.1");
}

#[test]
fn no_more_is_read_for_the_changes_of_a_resource_than_is_said() {
    let (url, asked) = fake(&[
        (200, r#"{"kind":"Rule","metadata":{"name":"orders"}}"#),
        (200, r#"{"partitions":[{"start":0,"end":100000}]}"#),
        (200, ""),
        (200, ""),
        (200, ""),
        (200, ""),
        (200, ""),
    ]);
    let shown = text(&alone(&["describe", "rule/orders", "--server", &url], ""));
    assert!(shown.contains("behind the last 50000 audit events"), "{shown}");
    let asked = asked.join().unwrap();
    assert_eq!(asked[6], "GET /v1/streams/headwater.audit/events?from=50000&max=7500 HTTP/1.1");
}

#[test]
fn groups_are_listed_and_set_to_a_place() {
    let one = r#"{"name":"readers","state":"Empty","members":[],"partitions":[{"stream":"orders","partition":0,"offset":2,"end":5,"lag":3}]}"#;
    let (url, asked) = fake(&[
        (200, r#"{"groups":[{"name":"readers","state":"Empty","members":0,"lag":3}]}"#),
        (200, one),
        (200, one),
        (404, r#"{"code":"HW-API-023","title":"no consumer group `gone`"}"#),
        (200, one),
    ]);
    check(
        &alone(&["get", "groups", "--server", &url], ""),
        expect![[r#"
        NAME      STATE   MEMBERS   LAG
        readers   Empty   0         3
        exit 0
    "#]],
    );
    check(
        &alone(&["get", "group/readers", "--server", &url], ""),
        expect![[r#"
        STREAM   PARTITION   OFFSET   END   LAG
        orders   0           2        5     3
        exit 0
    "#]],
    );
    check(
        &alone(&["get", "group/readers", "-o", "name", "--server", &url], ""),
        expect![[r#"
        group/readers
        exit 0
    "#]],
    );
    check(
        &alone(&["get", "groups", "gone", "readers", "--server", &url], ""),
        expect![[r#"
        GROUP     STREAM   PARTITION   OFFSET   END   LAG
        readers   orders   0           2        5     3
        error[HW-API-023]: no consumer group `gone`
        exit 1
    "#]],
    );
    let paths = ["/v1/groups", "/v1/groups/readers", "/v1/groups/readers", "/v1/groups/gone", "/v1/groups/readers"];
    assert_eq!(asked.join().unwrap(), paths.map(|path| format!("GET {path} HTTP/1.1")));

    let set = r#"{"group":"readers","dryRun":true,"partitions":[{"stream":"orders","partition":0,"before":2,"after":1,"start":0,"end":5,"lag":4}]}"#;
    let (url, asked) = fake(&[(200, set), (200, set)]);
    let words =
        ["reset", "group/readers", "--by", "-1", "--stream", "orders", "-p", "0", "--dry-run", "--server", &url];
    check(
        &alone(&words, ""),
        expect![[r#"
        STREAM   PARTITION   BEFORE   AFTER   END   LAG
        orders   0           2        1       5     4
        nothing was set
        exit 0
    "#]],
    );
    assert!(alone(&["reset", "readers", "--to", "-1", "--server", &url], "").status.success());
    let first = "POST /v1/groups/readers/offsets?by=-1&stream=orders&partition=0&dry-run=true HTTP/1.1";
    assert_eq!(asked.join().unwrap(), [first, "POST /v1/groups/readers/offsets?to=-1 HTTP/1.1"]);

    // Neither a place nor a shift, both, and a partition of no stream are wrong uses.
    let wrong: [&[&str]; 3] = [&[], &["--to", "latest", "--by", "1"], &["--to", "latest", "-p", "0"]];
    for words in wrong {
        assert_eq!(alone(&[&["reset", "readers"][..], words].concat(), "").status.code(), Some(2));
    }
    check(
        &alone(&["reset", "stream/orders", "--to", "latest"], ""),
        expect![[r#"
        error[HW-CLI-010]: `stream/orders` names no consumer group
        help: write `group/NAME`; `headwater get groups` lists them
        exit 2
    "#]],
    );
}

#[test]
fn groups_are_described_and_deleted() {
    const ONE: &str = r#"{"deleted":["group/readers"],"refused":[]}"#;
    const MEMBERS: &str = r#"{"deleted":["group/readers"],"refused":[{"id":"group/busy","problem":
        {"code":"HW-API-116","title":"consumer group `busy` has 1 member, so that it cannot be deleted"}}]}"#;
    const NONE: &str = r#"{"deleted":[],"refused":[{"id":"group/gone","problem":
        {"code":"HW-API-023","title":"no consumer group `gone`"}}]}"#;
    let one = r#"{"name":"readers","state":"Empty","generation":1,"members":[],"partitions":[]}"#;
    let (url, asked) = fake(&[(200, one), (200, ONE), (200, MEMBERS), (200, NONE)]);
    let shown = text(&alone(&["describe", "group", "readers", "--server", &url], ""));
    assert!(shown.contains("name: readers") && shown.contains("generation: 1"), "{shown}");
    check(
        &alone(&["delete", "group/readers", "--dry-run", "--server", &url], ""),
        expect![[r#"
        group/readers deleted (dry run)
        exit 0
    "#]],
    );
    check(
        &alone(&["delete", "groups", "busy", "readers", "--server", &url], ""),
        expect![[r#"
        group/readers deleted
        error[HW-API-116]: consumer group `busy` has 1 member, so that it cannot be deleted
        exit 1
    "#]],
    );
    check(
        &alone(&["delete", "group/gone", "--ignore-not-found", "--server", &url], ""),
        expect![[r#"
        exit 0
    "#]],
    );
    let list = |names: &[&str]| {
        let rows: Vec<String> = names.iter().map(|name| format!(r#"{{"kind":"groups","name":"{name}"}}"#)).collect();
        format!(r#"{{"resources":[{}]}}"#, rows.join(","))
    };
    let deleted: [(&str, &[&str]); 3] = [("?dry-run=true", &["readers"]), ("", &["busy", "readers"]), ("", &["gone"])];
    let deleted = deleted.map(|(query, names)| format!("POST /v1/delete{query} {}", list(names)));
    assert_eq!(asked.join().unwrap()[1..], deleted);
}

#[test]
fn deletions_are_asked_for_at_once_however_many_they_are() {
    const STAYS: &str = r#"{"deleted":["Pipeline/a","Stream/c"],"refused":[
        {"id":"Stream/b","problem":{"code":"HW-KERNEL-013","title":"`Stream/b` is named by `Pipeline/z`"}},
        {"id":"Stream/d","problem":{"code":"HW-KERNEL-012","title":"there is no `Stream/d`"}}]}"#;
    let (url, asked) = fake(&[(200, STAYS); 4]);
    let words = ["delete", "pipeline/a", "stream/b", "stream/c", "stream/d", "--ignore-not-found", "--server", &url];
    check(
        &alone(&[&words[..], &["--dry-run"]].concat(), ""),
        expect![[r#"
        pipeline/a deleted (dry run)
        stream/c deleted (dry run)
        error[HW-KERNEL-013]: `Stream/b` is named by `Pipeline/z`
        exit 1
    "#]],
    );
    check(
        &alone(&words, ""),
        expect![[r#"
        pipeline/a deleted
        stream/c deleted
        error[HW-KERNEL-013]: `Stream/b` is named by `Pipeline/z`
        exit 1
    "#]],
    );
    check(
        &alone(&["delete", "stream", "c", "d", "--force", "--server", &url], ""),
        expect![[r#"
        pipeline/a deleted
        stream/c deleted
        error[HW-KERNEL-013]: `Stream/b` is named by `Pipeline/z`

        error[HW-KERNEL-012]: there is no `Stream/d`
        exit 1
    "#]],
    );
    // Where not all of it can go, nothing goes.
    check(
        &alone(&["delete", "pipeline/a", "stream/b", "--made", "--ignore-not-found", "--server", &url], ""),
        expect![[r#"
        error[HW-KERNEL-013]: `Stream/b` is named by `Pipeline/z`
        exit 1
    "#]],
    );
    let row = |kind: &str, name: &str| format!(r#"{{"kind":"{kind}","name":"{name}"}}"#);
    let (a, [b, c, d]) = (row("pipelines", "a"), ["b", "c", "d"].map(|name| row("streams", name)));
    let list = format!(r#"{{"resources":[{a},{b},{c},{d}]}}"#);
    assert_eq!(
        asked.join().unwrap(),
        [
            format!("POST /v1/delete?dry-run=true {list}"),
            format!("POST /v1/delete {list}"),
            format!(r#"POST /v1/delete?force=true {{"resources":[{c},{d}]}}"#),
            format!(r#"POST /v1/delete?dry-run=true&made=true {{"resources":[{a},{b}]}}"#),
        ]
    );
}
