//! Each verb once, data in, data out.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use expect_test::expect;

use super::{Node, RESOURCES, alone, check, text};

/// A node with the resources of the main test and two events, the pipeline having caught up.
fn ready() -> Node {
    let node = Node::start();
    node.write("r.yaml", RESOURCES);
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    assert!(node.fed(&["produce", "orders", "--key", ".n"], "{\"n\":1}\n{\"n\":2}\n").status.success());
    assert!(node.run(&["tail", "orders.double", "--from", "earliest", "-f", "-n", "2"]).status.success());
    node
}

/// Whether something comes to hold while a patient person looks.
pub(super) fn comes_true(holds: impl Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if holds() {
            return true;
        }
    }
    false
}

#[test]
fn explain_knows_kinds_keys_and_codes() {
    let kinds = text(&alone(&["explain"], ""));
    assert!(["Stream", "Table", "Secret", "Pipeline"].iter().all(|kind| kinds.contains(kind)), "{kinds}");
    check(
        &alone(&["explain", "pipeline.steps.filter"], ""),
        expect![[r#"
        Pipeline steps.filter: object
        Keeps events for which a VRL expression is true.

        Keys:
          id    The step's id. (text of the form `^[a-zA-Z0-9._-]+$`, 1 to 249 characters, required)
          when  A VRL expression that yields a boolean, such as `.kind != "heartbeat"`. (text, required)
        exit 0
    "#]],
    );
    check(
        &alone(&["explain", "pl.stepz"], ""),
        expect![[r#"
        error[HW-CLI-015]: there is no key `stepz` here
        help: did you mean `steps`?
        exit 1
    "#]],
    );
    check(
        &alone(&["explain", "hw-cli-013"], ""),
        expect![[r#"
        # HW-CLI-013: another node uses the data folder
        The folder's lock is held.

        **Why.** Two nodes in one folder would destroy it.

        **Way out.** Stop the other node, or use `--data`.
        exit 0
    "#]],
    );
    check(
        &alone(&["explain", "HW-CLI-999"], ""),
        expect![[r#"
        error[HW-CLI-016]: there is no error code `HW-CLI-999`
        help: did you mean `HW-CLI-009`?
        exit 1
    "#]],
    );
}

#[test]
fn schemas_and_completions_are_complete() {
    let schema = alone(&["schema", "pipeline"], "");
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert_eq!(schema["properties"]["kind"]["const"], "Pipeline");
    let all: serde_json::Value = serde_json::from_slice(&alone(&["schema"], "").stdout).unwrap();
    assert_eq!(all["oneOf"].as_array().map(Vec::len), Some(21));
    // Every reference leads somewhere, in both.
    for schema in [&schema, &all] {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let written = schema.to_string();
        let references: Vec<&str> =
            written.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(!references.is_empty());
        assert!(references.iter().all(|place| schema.pointer(place).is_some()), "{references:?}");
    }
    assert_eq!(alone(&["completion", "bash"], "").stdout, alone(&["completions", "bash"], "").stdout);
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&alone(&["completions", shell], ""));
        assert!(["apply", "reconcile", "top", "solution"].iter().all(|verb| script.contains(verb)), "{shell}");
    }
}

#[test]
fn one_list_in_every_form() {
    let node = ready();
    let forms = ["table", "wide", "json", "yaml", "ndjson", "csv", "name"];
    for form in forms {
        let shown = node.run(&["get", "streams,pipelines", "-o", form]);
        assert!(shown.status.success() && text(&shown).contains("orders.double"), "{form}: {}", text(&shown));
    }
    check(
        &node.run(&["get", "st,pl", "-l", "team=checkout", "-o", "name"]),
        expect![[r#"
        stream/orders
        exit 0
    "#]],
    );
    // What there is is shown, what there is not is an error.
    check(
        &node.run(&["get", "stream/orders", "pipeline/dubble", "-o", "name"]),
        expect![[r#"
        stream/orders
        error[HW-KERNEL-012]: there is no `Pipeline/dubble`
        help: did you mean `double`?
        exit 1
    "#]],
    );
    check(
        &node.run(&["get", "all", "-l", "team=none"]),
        expect![[r#"
        no resources
        exit 0
    "#]],
    );
    check(
        &node.run(&["get", "tables"]),
        expect![[r#"
        no tables
        exit 0
    "#]],
    );
}

#[test]
fn changes_are_shown_as_they_come() {
    let node = ready();
    let mut watching = super::command(node.folder.path())
        .args(["get", "pipelines", "--watch"])
        .env("HEADWATER_SERVER", &node.url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("listed   pipeline/double")));
    let mut one = super::command(node.folder.path())
        .args(["get", "stream/orders", "-w", "-o", "csv"])
        .env("HEADWATER_SERVER", &node.url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut of_one = BufReader::new(one.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(of_one.next().as_deref(), Some("change,resource,ready,reason"));
    assert!(of_one.next().unwrap().starts_with("listed,stream/orders,"));
    assert!(node.run(&["delete", "pipeline/double", "stream/orders.double", "stream/orders"]).status.success());
    assert!(lines.any(|line| line.starts_with("deleted  pipeline/double")));
    // Of the other streams nothing is told.
    let rest: Vec<String> = of_one
        .by_ref()
        .inspect(|line| assert!(line.contains(",stream/orders,"), "{line}"))
        .take_while(|line| !line.starts_with("deleted"))
        .collect();
    assert!(rest.iter().all(|line| line.starts_with("changed,")), "{rest:?}");
    for mut child in [watching, one] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn what_has_labels_is_deleted_by_them() {
    let node = Node::start();
    let labels = "labels: {team: checkout}";
    let streams = ["a", "b", "c"].map(|name| {
        let labels = if name == "c" { "labels: {team: search}" } else { labels };
        format!("apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {{name: {name}, {labels}}}\nspec: {{}}\n")
    });
    node.write("r.yaml", &streams.join("---\n"));
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    for nothing in ["", " , "] {
        let refused = text(&node.run(&["delete", "streams", "-l", nothing]));
        assert!(refused.contains("error[HW-CLI-010]: `--selector` names no label"), "{refused}");
    }
    let beside = text(&node.run(&["delete", "stream/a", "-l", "team=checkout"]));
    assert!(beside.contains("error[HW-CLI-025]"), "{beside}");
    check(
        &node.run(&["delete", "streams,tables", "-l", "team=checkout", "--dry-run"]),
        expect![[r#"
        stream/a deleted (dry run)
        stream/b deleted (dry run)
        exit 0
    "#]],
    );
    check(
        &node.run(&["delete", "streams,tables", "-l", "team=checkout"]),
        expect![[r#"
        stream/a deleted
        stream/b deleted
        exit 0
    "#]],
    );
    check(
        &node.run(&["delete", "all", "-l", "team=checkout"]),
        expect![[r#"
        no resources
        exit 0
    "#]],
    );
    assert!(node.run(&["get", "stream/c"]).status.success());
}

#[test]
fn flags_that_would_do_nothing_are_refused() {
    let node = Node::start();
    check(
        &node.run(&["get", "executions", "--watch"]),
        expect![[r#"
        error[HW-CLI-025]: `--watch` is for resources, and `executions` is none
        help: `headwater explain` lists the kinds of resources
        exit 2
    "#]],
    );
    check(
        &node.run(&["get", "stream/orders", "-l", "team=checkout"]),
        expect![[r#"
        error[HW-CLI-025]: `--selector team=checkout` stands beside names
        help: leave the names or the labels out
        exit 2
    "#]],
    );
}

#[test]
fn what_is_deleted_together_may_stand_in_any_order() {
    let node = Node::start();
    let (stream, pipeline) = RESOURCES.split_once("---\n").unwrap();
    node.write("r.yaml", &format!("{pipeline}---\n{stream}"));
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    for (flags, suffix) in [(vec!["--dry-run"], " (dry run)"), (vec![], "")] {
        let deleted = node.run(&[vec!["delete", "-f", "r.yaml"], flags].concat());
        let wanted = format!("pipeline/double deleted{suffix}\nstream/orders deleted{suffix}\n");
        assert_eq!((text(&deleted), deleted.status.code()), (wanted, Some(0)));
    }
    assert_eq!(node.run(&["delete", "-f", "r.yaml"]).status.code(), Some(1));
    check(
        &node.run(&["delete", "-f", "r.yaml", "--ignore-not-found"]),
        expect![[r#"
        exit 0
    "#]],
    );
}

#[test]
fn what_cannot_be_deleted_keeps_nothing_else_from_going() {
    let node = Node::start();
    node.write("r.yaml", RESOURCES);
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    let words = ["delete", "stream/nowhere", "stream/orders", "stream/headwater.audit", "pipeline/double"];
    for (flags, suffix) in [(vec!["--dry-run"], " (dry run)"), (vec![], "")] {
        let some = node.run(&[&words[..], &flags[..]].concat());
        let said = text(&some);
        let went = format!("pipeline/double deleted{suffix}\nstream/orders deleted{suffix}\n");
        assert!(
            said.starts_with(&format!("{went}error[HW-KERNEL-027]: the audit stream cannot be deleted\n")),
            "{said}"
        );
        assert!(said.contains("\nerror[HW-KERNEL-012]: there is no `Stream/nowhere`\n"), "{said}");
        assert_eq!(some.status.code(), Some(1));
    }
    // With streams that the node made, it is all or nothing.
    let made = node.run(&["delete", "stream/orders.double", "stream/headwater.audit", "--made"]);
    assert!(text(&made).starts_with("error[HW-KERNEL-027]"), "{}", text(&made));
    assert!(node.run(&["get", "stream/orders.double"]).status.success());
}

#[test]
fn a_resource_is_described_with_its_history() {
    let node = ready();
    let shown = text(&node.run(&["describe", "stream/orders", "pipeline/double"]));
    for part in [
        "partitions:\n- {partition: 0, start: 0, end: 2, records: 2}",
        "kind: Pipeline",
        "events: 2, passed: 2, deadLetters: 0, seconds: ",
        "- {stream: \"orders.double\", records: 2}",
        "verb: apply, outcome: created",
    ] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    // What there is is described, what there is not is an error.
    let some = node.run(&["describe", "stream/nowhere", "pipeline/double"]);
    assert!(text(&some).starts_with("apiVersion:") && text(&some).contains("HW-KERNEL-012"), "{}", text(&some));
    assert_eq!(some.status.code(), Some(1));
    let executions = text(&node.run(&["describe", "execution/pay/a", "execution/pay/b"]));
    assert_eq!(executions.matches("error[HW-WORK-030]").count(), 2, "{executions}");
    check(
        &node.run(&["describe", "streams"]),
        expect![[r#"
        error[HW-CLI-010]: `streams` names no resource
        help: write `KIND/NAME`, such as `stream/orders`
        exit 2
    "#]],
    );
}

#[test]
fn what_would_happen_is_told_and_does_not_happen() {
    let node = Node::start();
    node.write("r.yaml", RESOURCES);
    check(
        &node.run(&["apply", "-f", "r.yaml", "--dry-run"]),
        expect![[r#"
        stream/orders created (dry run)
        pipeline/double created (dry run)
        would create stream/double.dead (1 partition)
        would create stream/orders (1 partition)
        would create stream/orders.double (4 partitions)
        would start pipeline/double
        exit 0
    "#]],
    );
    check(
        &node.run(&["get", "pipelines"]),
        expect![[r#"
        no pipelines
        exit 0
    "#]],
    );
    check(
        &node.run(&["apply", "-f", "r.yaml", "-o", "csv"]),
        expect![[r#"
        kind,name,outcome,generation
        Stream,orders,created,1
        Pipeline,double,created,1
        exit 0
    "#]],
    );
    check(
        &node.run(&["delete", "pipeline/double", "--dry-run"]),
        expect![[r#"
        pipeline/double deleted (dry run)
        exit 0
    "#]],
    );
    check(
        &node.run(&["get", "pipelines", "-o", "name"]),
        expect![[r#"
        pipeline/double
        exit 0
    "#]],
    );
}

#[test]
fn events_come_back_exactly_as_they_went_in() {
    let node = ready();
    let lines = "{\"big\": 123456789012345678901234567890, \"f\":1.10}\n{\"text\":\"ü\\u00fc\"}\n";
    check(
        &node.fed(&["produce", "orders"], lines),
        expect![[r#"
        2 accepted, 0 duplicates, 0 rejected
        exit 0
    "#]],
    );
    check(
        &node.run(&["tail", "orders", "--from", "2"]),
        expect![[r#"
        {"big": 123456789012345678901234567890, "f":1.10}
        {"text":"ü\u00fc"}
        exit 0
    "#]],
    );
    check(
        &node.fed(&["produce", "orders"], "no\n"),
        expect![[r#"
        line 1: error[HW-API-008]: this is not JSON: expected ident
        0 accepted, 0 duplicates, 1 rejected
        exit 1
    "#]],
    );
    check(
        &node.fed(&["produce", "order"], "{}\n"),
        expect![[r#"
        error[HW-API-011]: no stream `order`
        help: did you mean `orders`?
        exit 1
    "#]],
    );
}

#[test]
fn a_pipeline_runs_over_a_file_without_a_node() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yaml"), RESOURCES).unwrap();
    std::fs::write(folder.path().join("in.ndjson"), "{\"n\":1}\nnope\n{\"n\":3}\n").unwrap();
    let mut command = super::command(folder.path());
    command.args(["run", "r.yaml", "--input", "in.ndjson", "--stream", "orders.double"]);
    check(
        &command.output().unwrap(),
        expect![[r#"
        {"n":1,"total":2}
        {"n":3,"total":6}
        events               3
        outputs              2
        dead_letters         1
        exit 0
    "#]],
    );
}

#[test]
fn a_run_takes_its_input_for_what_the_name_of_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = "\
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: copy}
spec:
  source: {type: file, path: other.ndjson}
  outputs: [{type: stream, stream: out}]
";
    std::fs::write(folder.path().join("p.yaml"), pipeline).unwrap();
    std::fs::write(folder.path().join("in.csv"), "name,place\nann,here\n").unwrap();
    let run = |words: &[&str]| {
        let mut command = super::command(folder.path());
        command.args(["run", "p.yaml", "--stream", "out"]).args(words).output().unwrap()
    };
    let named = run(&["--input", "in.csv"]);
    let row: serde_json::Value = serde_json::from_slice(&named.stdout).unwrap();
    assert_eq!((&row["name"], &row["place"]), (&"ann".into(), &"here".into()), "{}", text(&named));
    let told = run(&["--input", "in.csv", "--format", "ndjson"]);
    assert!(told.stdout.is_empty() && text(&told).contains("dead_letters         2"), "{}", text(&told));
    // It would say nothing of the pipeline's own source.
    assert_eq!(run(&["--format", "csv"]).status.code(), Some(2));
}

#[test]
fn figures_and_health_are_told() {
    let node = ready();
    let top = node.run(&["top", "-o", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&top.stdout).unwrap();
    assert_eq!(
        (&rows[0]["name"], &rows[0]["events"], &rows[0]["behind"]),
        (&"double".into(), &2.into(), &0.into()),
        "{rows}"
    );
    check(
        &node.run(&["top", "-o", "name"]),
        expect![[r#"
        pipeline/double
        exit 0
    "#]],
    );
    let doctor = text(&node.run(&["doctor"]));
    assert!(doctor.contains("ok     node: ready at") && doctor.contains("is in use by a node"), "{doctor}");
    assert!(doctor.contains(" are free"), "{doctor}");
    let held = text(&node.run(&["doctor", "--segments"]));
    assert!(held.contains("BAD    segments: not looked at"), "{held}");
    check(
        &node.run(&["reconcile", "pipeline/double"]),
        expect![[r#"
        STREAM          COMPARED   MISSING   WRONG   EXTRA
        orders.double   0          0         0       0
        2 events read, 0 differences, 0 repaired
        exit 0
    "#]],
    );
    let named = node.run(&["reconcile", "double", "-o", "name"]);
    assert_eq!(String::from_utf8_lossy(&named.stdout), "stream/orders.double\n");
    let wrong = text(&node.run(&["reconcile", "stream/orders"]));
    assert!(wrong.contains("error[HW-CLI-010]: `stream/orders` names no pipeline"), "{wrong}");
    // Every figure of a node at work is in the list that the reference page is written from.
    let dashboard = text(&alone(&["explain", "dashboard"], ""));
    let alarm = text(&alone(&["explain", "alarm"], ""));
    let example = |page: &str| page.split_once("Example:\n").unwrap().1.to_owned();
    let ingest = "{from: SELECT 1 AS n, stream: counted, schedule: rate(1 hours)}";
    let ingest = format!("apiVersion: headwater.dev/v1\nkind: Ingest\nmetadata: {{name: count}}\nspec: {ingest}\n");
    node.write("f.yaml", &[example(&dashboard), example(&alarm), ingest].join("---\n"));
    let applied = node.run(&["apply", "-f", "f.yaml"]);
    assert!(applied.status.success(), "{}", text(&applied));
    let all = ["hw_lake_ingest_runs_total{", "hw_watch_alarm_looks_total{"];
    assert!(comes_true(|| all.iter().all(|name| node.get("/metrics").contains(name))));
    let metrics = node.get("/metrics");
    let named: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    let typed: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(named, typed);
    assert!(named.len() > 30, "{named:?}");
}

#[test]
fn what_waits_says_for_what_and_keeps_no_node_from_being_ready() {
    let node = Node::start();
    let spec = "{dashboard: nowhere, schedule: rate(1 hours), to: [{destination: nobody}]}";
    let report = format!("apiVersion: headwater.dev/v1\nkind: Report\nmetadata: {{name: lost}}\nspec: {spec}\n");
    node.write("r.yaml", &report);
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    for kinds in ["reports", "all"] {
        let told = || text(&node.run(&["get", kinds])).contains("waits for `Dashboard/nowhere`, which does not exist");
        assert!(comes_true(told), "{kinds}");
    }
    assert!(comes_true(|| node.get("/readyz").contains("\"ready\":true")));
}

#[test]
fn views_are_built_again_from_the_log() {
    let mut node = Node::start();
    node.write("t.yaml", "apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {name: users}\nspec: {}\n");
    assert!(node.run(&["apply", "-f", "t.yaml"]).status.success());
    check(
        &node.run(&["rebuild"]),
        expect![[r#"
        error[HW-CLI-013]: another node uses the data folder `headwater-data`
        help: stop it, or choose another folder with `--data`
        exit 1
    "#]],
    );
    node.process.kill().unwrap();
    node.process.wait().unwrap();
    check(
        &node.run(&["rebuild", "--dry-run"]),
        expect![[r#"
        tables.db removed (dry run)
        tables.db-wal removed (dry run)
        tables.db-shm removed (dry run)
        the next `headwater up` builds the tables again from the log
        exit 0
    "#]],
    );
    check(
        &node.run(&["rebuild"]),
        expect![[r#"
        tables.db removed
        tables.db-wal removed
        tables.db-shm removed
        the next `headwater up` builds the tables again from the log
        exit 0
    "#]],
    );
    check(
        &node.run(&["rebuild"]),
        expect![[r#"
        there is nothing to remove
        exit 0
    "#]],
    );
}

#[test]
fn a_solution_goes_as_it_came() {
    let node = Node::start();
    let streams = || text(&node.run(&["get", "streams", "-o", "name"]));
    let before = streams();
    let applied = node.run(&["solution", "apply", "sales-insights", "-o", "name"]);
    assert!(applied.status.success(), "{}", text(&applied));
    let sorted = |output: &std::process::Output, suffix: &str| {
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> = out.lines().map(|line| line.trim_end_matches(suffix).to_owned()).collect();
        lines.sort_unstable();
        lines
    };
    let came = sorted(&applied, "");
    assert!(came.contains(&"table/sales_markets".to_owned()), "{came:?}");
    let would = node.run(&["solution", "delete", "sales-insights", "--dry-run"]);
    let told = sorted(&would, " deleted (dry run)");
    // Besides what its files describe go the streams that the node made for that, such as for late events.
    let (described, made): (Vec<String>, Vec<String>) = told.iter().cloned().partition(|id| came.contains(id));
    assert_eq!(described, came, "{}", text(&would));
    assert!(
        made.iter().all(|id| id.starts_with("stream/")) && made.contains(&"stream/sales.late".to_owned()),
        "{made:?}"
    );
    assert!(node.run(&["get", "table/sales_markets"]).status.success());
    let went = node.run(&["solution", "delete", "sales-insights"]);
    assert_eq!(sorted(&went, " deleted"), told, "{}", text(&went));
    let said = String::from_utf8_lossy(&went.stderr).into_owned();
    assert!(said.starts_with("with all their events go as well: ") && said.contains("`stream/sales.late`"), "{said}");
    assert_eq!(streams(), before, "nothing is left of it");
    // What is gone is no failure.
    check(
        &node.run(&["solution", "delete", "sales-insights"]),
        expect![[r#"
        exit 0
    "#]],
    );
}

#[test]
fn streams_that_the_node_made_go_where_that_is_asked_for() {
    let node = Node::start();
    node.write("r.yaml", RESOURCES);
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    check(
        &node.run(&["delete", "pipeline/double", "--made", "--dry-run"]),
        expect![[r#"
        pipeline/double deleted (dry run)
        stream/double.dead deleted (dry run)
        stream/orders.double deleted (dry run)
        exit 0
    "#]],
    );
    check(
        &node.run(&["delete", "pipeline/double", "--made"]),
        expect![[r#"
        pipeline/double deleted
        stream/double.dead deleted
        stream/orders.double deleted
        with all their events go as well: `stream/double.dead`, `stream/orders.double`
        exit 0
    "#]],
    );
    assert!(text(&node.run(&["get", "stream/orders.double"])).contains("HW-KERNEL-012"));
    assert!(node.run(&["get", "stream/orders"]).status.success(), "it is described");
}

#[test]
fn a_dry_run_knows_what_it_would_have_deleted_before_however_much_that_is() {
    let node = Node::start();
    // Together their names are longer than the head of a request may be.
    let stream = |n: usize| {
        let name = format!("{}{n}", "x".repeat(200));
        format!(
            "---\napiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {{name: {name}}}\nspec: {{partitions: 1}}\n"
        )
    };
    node.write("many.yaml", &(0..180).map(stream).collect::<String>());
    let applied = node.run(&["apply", "-f", "many.yaml"]);
    assert!(applied.status.success(), "{}", text(&applied));
    let would = node.run(&["delete", "-f", "many.yaml", "--dry-run"]);
    assert!(would.status.success(), "{}", text(&would));
    assert_eq!(text(&would).matches(" deleted (dry run)").count(), 180);
    assert!(node.run(&["get", "stream", &format!("{}7", "x".repeat(200))]).status.success());
}

#[test]
fn a_stream_may_be_named_with_its_kind() {
    let node = ready();
    check(
        &node.fed(&["produce", "st/orders"], "{\"n\":3}\n"),
        expect![[r#"
        1 accepted, 0 duplicates, 0 rejected
        exit 0
    "#]],
    );
    check(
        &node.run(&["tail", "stream/orders", "--from", "earliest"]),
        expect![[r#"
        {"n":1}
        {"n":2}
        {"n":3}
        exit 0
    "#]],
    );
}

#[test]
fn what_makes_no_command_together_says_how_to_write_it() {
    for verb in ["delete", "get"] {
        let wrong = alone(&[verb, "-l", "app=x"], "");
        let said = text(&wrong);
        assert!(said.contains("error[HW-CLI-023]: `--selector app=x` does not say of which kinds"), "{said}");
        assert!(said.contains(&format!("`headwater {verb} all -l 'app=x'`")), "{said}");
        assert_eq!(wrong.status.code(), Some(2));
    }
    for what in ["query/7", "execution/pay/a", "replay"] {
        let wrong = alone(&["delete", what], "");
        assert!(text(&wrong).contains(&format!("error[HW-CLI-024]: `{what}` is no resource")), "{}", text(&wrong));
        assert_eq!(wrong.status.code(), Some(2));
    }
    check(
        &alone(&["delete", "group/readers", "--cascade"], ""),
        expect![[r#"
        error[HW-CLI-025]: `--cascade` is for resources, and `group/readers` is none
        help: `headwater explain` lists the kinds of resources
        exit 2
    "#]],
    );
    let wrong: [(&[&str], &str); 7] = [
        (&["start", "report/weekly", "--wait"], "HW-CLI-025"),
        (&["start", "stream/orders"], "HW-CLI-010"),
        (&["replay", "stream/orders", "--from", "2026-11-23T08:00:00Z"], "HW-CLI-010"),
        (&["stop", "replay/again", "--cause", "enough"], "HW-CLI-025"),
        (&["table", "put", "users", "a", "{}", "--values", "{}"], "HW-CLI-025"),
        (&["table", "get", "stream/users", "a"], "HW-CLI-010"),
        (&["tail", "table/users"], "HW-CLI-010"),
    ];
    for (words, code) in wrong {
        let wrong = alone(words, "");
        assert!(text(&wrong).starts_with(&format!("error[{code}]: ")), "{words:?}: {}", text(&wrong));
        assert_eq!(wrong.status.code(), Some(2), "{words:?}");
    }
    check(
        &alone(&["get", "streams,groups"], ""),
        expect![[r#"
        error[HW-KERNEL-006]: there is no kind `groups`
        help: `groups` are no resources and stand alone, as in `headwater get groups`
        exit 1
    "#]],
    );
    let folder = tempfile::tempdir().unwrap();
    let misspelt = super::command(folder.path()).args(["up"]).env("HEADWATER_LOG", "headwater=loud").output().unwrap();
    assert!(text(&misspelt).contains("error[HW-CLI-026]: HEADWATER_LOG is `headwater=loud`"), "{}", text(&misspelt));
    assert_eq!(misspelt.status.code(), Some(2));
    // Nothing at all is for the grammar.
    assert_eq!(alone(&["delete"], "").status.code(), Some(2));
    let empty = alone(&["delete", "-f", "r.yaml"], "# nothing\n");
    assert!(text(&empty).contains("error[HW-CLI-009]"), "{}", text(&empty));
}

#[test]
fn streams_go_after_what_writes_to_them() {
    let node = Node::start();
    let head = "apiVersion: headwater.dev/v1\nkind: ";
    let pipeline = "Pipeline\nmetadata: {name: p}\nspec:\n  source: {type: stream, stream: in}\n  \
                    steps: [{id: all, type: filter, when: 'true'}]\n  outputs: [{type: stream, stream: out}]\n";
    let stream = |name: &str| format!("Stream\nmetadata: {{name: {name}}}\nspec: {{}}\n");
    node.write("r.yaml", &format!("{head}{pipeline}---\n{head}{}---\n{head}{}", stream("in"), stream("out")));
    let applied = node.run(&["apply", "-f", "r.yaml"]);
    assert!(applied.status.success(), "{}", text(&applied));
    check(
        &node.run(&["delete", "-f", "r.yaml"]),
        expect![[r#"
        pipeline/p deleted
        stream/out deleted
        stream/in deleted
        exit 0
    "#]],
    );
}

#[test]
fn a_resource_is_printed_as_its_author_wrote_it() {
    let node = Node::start();
    let stream =
        "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: NAME}\nspec: {partitions: 1} # one will do\n";
    let written = |name: &str| stream.replace("NAME", name);
    node.write("r.yaml", &format!("# for the shop\n{}---\n{}", written("carts"), written("orders")));
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    check(
        &node.run(&["get", "streams", "carts", "orders", "-o", "yaml"]),
        expect![[r#"
        # for the shop
        apiVersion: headwater.dev/v1
        kind: Stream
        metadata: {name: carts}
        spec: {partitions: 1} # one will do
        ---
        apiVersion: headwater.dev/v1
        kind: Stream
        metadata: {name: orders}
        spec: {partitions: 1} # one will do
        exit 0
    "#]],
    );
    // Another comment is no other resource: there is nothing to compare, and yet it is kept.
    node.write("orders.yaml", &written("orders").replace("one will do", "for now"));
    assert_eq!(node.run(&["diff", "-f", "orders.yaml"]).status.code(), Some(0));
    check(
        &node.run(&["apply", "-f", "orders.yaml"]),
        expect![[r#"
        stream/orders unchanged
        exit 0
    "#]],
    );
    assert!(text(&node.run(&["get", "stream/orders", "-o", "yaml"])).contains("# for now"));
    // What came as JSON has no text; it is printed with all that is known.
    let json = r#"{"apiVersion": "headwater.dev/v1", "kind": "Stream", "metadata": {"name": "orders"}, "spec": {"partitions": 2}}"#;
    node.write("orders.json", json);
    assert!(node.run(&["apply", "-f", "orders.json"]).status.success());
    let shown = text(&node.run(&["get", "stream/orders", "-o", "yaml"]));
    assert!(shown.contains("  generation: 2\n") && shown.contains("status:\n"), "{shown}");
    let missing = node.run(&["get", "stream/none", "-o", "yaml"]);
    assert!(!missing.status.success() && text(&missing).contains("error[HW-KERNEL-012]"), "{}", text(&missing));
}
