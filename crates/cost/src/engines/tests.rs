use proptest::prelude::*;
use serde_json::json;

use super::*;

fn about() -> About {
    let machine = json!({"type": "c5.large", "region": "us-east-1", "cpus": 2});
    serde_json::from_value(json!({"id": "r", "workflow": "w", "machine": machine})).unwrap()
}

/// (job, name, attempts as "from-to[!]" in milliseconds behind the run's beginning)
fn jobs(run: &Run) -> Vec<(String, String, String)> {
    let attempt = |a: &Attempt| {
        let mark = if a.failed { "!" } else { "" };
        format!("{}-{}{mark}", a.started.0 - run.started.0, a.ended.0 - run.started.0)
    };
    let all = run.jobs.iter();
    all.map(|job| (job.id.clone(), job.name.clone(), job.attempts.iter().map(attempt).collect::<Vec<_>>().join(" ")))
        .collect()
}

fn row(id: &str, name: &str, attempts: &str) -> (String, String, String) {
    (id.to_owned(), name.to_owned(), attempts.to_owned())
}

#[test]
fn snakemake_says_when_and_benchmarks_say_how_much() {
    let records = r#"{"event": "workflow_started", "time": 1000.0}
{"event": "job_started", "time": 1001.0, "jobs": [2]}
{"event": "job_info", "time": 1001.0, "jobid": 2, "rule_name": "align", "threads": 2, "wildcards": {"sample": "s1"}, "benchmark": "benchmarks/align.s1.tsv"}
{"event": "job_error", "time": 1003.5, "jobid": 2, "rule_name": "align"}
{"event": "job_started", "time": 1004.0, "jobs": [2]}
{"event": "job_finished", "time": 1006.0, "job_id": 2}
"#;
    let benchmark = "s\th:m:s\tmax_rss\tcpu_time\n1.98\t0:00:01\t20.5\t1.41\n";
    let files = [
        File { path: "records.jsonl", bytes: records.as_bytes() },
        File { path: "benchmarks/align.s1.tsv", bytes: benchmark.as_bytes() },
    ];
    let run = read(Engine::Snakemake, &files, &about()).unwrap();
    assert_eq!(jobs(&run), [row("align s1 2", "align", "1000-3500! 4000-6000")]);
    let last = &run.jobs[0].attempts[1];
    assert_eq!((last.cpu_seconds, last.memory_peak_mib, last.cpus), (Some(1.41), Some(20.5), Some(Decimal::TWO)));
    assert_eq!(run.states.last().map(|entered| entered.state), Some(State::Complete));
    // A benchmark alone does not say when.
    let problem = read(Engine::Snakemake, &files[1..], &about()).unwrap_err();
    assert!(problem.title.contains("not when"), "{problem}");
}

#[test]
fn snakemakes_times_without_a_zone_are_those_of_the_run() {
    let records = r#"{"event": "workflow_started", "time": "2026-11-28T14:39:52"}
{"event": "job_started", "time": "2026-11-28T14:39:53+01:00", "jobs": [1]}
{"event": "job_info", "time": "2026-11-28T13:39:53Z", "jobid": 1, "rule_name": "align"}
{"event": "job_finished", "time": 1795873195.0, "job_id": 1}
"#;
    let mut about = about();
    about.utc_offset_minutes = 60;
    let run = read(Engine::Snakemake, &[File { path: "records.jsonl", bytes: records.as_bytes() }], &about).unwrap();
    assert_eq!(run.started, Time::parse("2026-11-28T13:39:52Z").unwrap());
    assert_eq!(jobs(&run), [row("align 1", "align", "1000-3000")]);
}

#[test]
fn cwltools_odd_milliseconds_are_milliseconds() {
    let log = "[2026-11-28T14:41:10,805.000000Z] [workflow ] start
[2026-11-28T14:41:11,5.000000Z] [job align_2] /somewhere$ /bin/sh \\
    -c
[2026-11-28T14:41:11,58.000000Z] [job align_2] Max memory used: 42MiB
[2026-11-28T14:41:11,958.000000Z] [job align_2] completed success
\u{1b}[32m[2026-11-28 14:41:12]\u{1b}[0m \u{1b}[1;30mINFO\u{1b}[0m [job call] completed permanentFail
[2026-11-28T14:41:12,100.000000Z] Final process status is permanentFail
";
    let run = read(Engine::Cwltool, &[File { path: "engine.txt", bytes: log.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("align_2", "align", "200-1153"), row("call", "call", "1195-1195!")]);
    assert_eq!(run.jobs[0].attempts[0].memory_peak_mib, Some(42.0));
    assert_eq!(run.states.last().map(|entered| entered.state), Some(State::Failed));
}

#[test]
fn what_cwltool_takes_from_its_cache_has_not_run() {
    let log = "[2026-11-28 14:41:10] INFO [step old] start
[2026-11-28 14:41:10] INFO [job old] Using cached output in /cache/5504
[2026-11-28 14:41:11] INFO [job new] Output of job will be cached in /cache/822d
[2026-11-28 14:41:12] INFO [job new] completed success
[2026-11-28 14:41:12] INFO Final process status is success
";
    let run = read(Engine::Cwltool, &[File { path: "run.log", bytes: log.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("new", "new", "1000-2000")]);
    assert_eq!(run.states.last().map(|entered| entered.state), Some(State::Complete));
}

#[test]
fn miniwdl_begins_an_attempt_with_its_container_and_again_when_it_is_retried() {
    let log = "2026-11-28 14:39:52.000 wdl.w:v NOTICE workflow start :: name: \"v\"
2026-11-28 14:39:52.200 wdl.w:v.t:call-align NOTICE task setup :: name: \"align\", line: 3
2026-11-28 14:39:52.500 wdl.w:v.t:call-align NOTICE BareContainer :: pid: 19758, log: \"x\"
what a task prints
2026-11-28 14:39:53.500 wdl.w:v.t:call-align ERROR failed task will be retried :: error: \"CommandFailed\"
2026-11-28 14:39:55.000 wdl.w:v.t:call-align NOTICE done
2026-11-28 14:39:56.000 wdl.w:v NOTICE done
";
    let mut about = about();
    about.utc_offset_minutes = 60;
    let run = read(Engine::Miniwdl, &[File { path: "workflow.log", bytes: log.as_bytes() }], &about).unwrap();
    assert_eq!(run.started, Time::parse("2026-11-28T13:39:52Z").unwrap());
    assert_eq!(jobs(&run), [row("w:v.t:call-align", "align", "500-1500! 1500-3000")]);
    assert_eq!(run.states.last().map(|entered| entered.state), Some(State::Complete));
}

#[test]
fn nextflow_tries_again_under_a_new_number_and_the_same_name() {
    let trace = "task_id\thash\tname\tstatus\texit\tsubmit\tduration\trealtime\t%cpu\tpeak_rss\tcpus
1\taa/1\talign (s1)\tFAILED\t1\t2024-03-04 09:00:00.000\t10s\t8s\t50.0%\t1.5 GB\t4
2\taa/2\talign (s1)\tCOMPLETED\t0\t2024-03-04 09:00:11.000\t1m 1s\t1m\t100.0%\t1 GB\t4
3\taa/3\tcall\tCACHED\t0\t2024-03-04 08:00:00.000\t1s\t1s\t-\t-\t1
";
    let run = read(Engine::Nextflow, &[File { path: "trace.txt", bytes: trace.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("align (s1)", "align", "0-8000! 10000-70000")]);
    let first = &run.jobs[0].attempts[0];
    assert_eq!((first.cpu_seconds, first.memory_peak_mib), (Some(4.0), Some(1_536.0)));
    // The machine has two cores; the task asked for four.
    assert_eq!(first.cpus, Some(Decimal::TWO));

    let trace = json!({"name": "align (s1)", "process": "align", "status": "COMPLETED", "start": 1_709_542_800_000_i64, "complete": 1_709_542_860_000_i64});
    let events = [
        json!({"event": "started", "utcTime": "2024-03-04T08:59:59Z"}),
        json!({"event": "process_completed", "utcTime": "2024-03-04T09:01:00Z", "trace": trace}),
        json!({"event": "completed", "utcTime": "2024-03-04T09:01:01Z", "metadata": {"workflow": {"success": true}}}),
    ];
    let lines = events.map(|event| event.to_string()).join("\n");
    let run = read(Engine::Nextflow, &[File { path: "weblog.jsonl", bytes: lines.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("align (s1)", "align", "1000-61000")]);
}

#[test]
fn what_ran_when_a_run_was_cancelled_has_run_until_then() {
    let failed = |run: &Run| run.states.last().map(|entered| entered.state) == Some(State::Failed);
    let records = r#"{"event": "job_started", "time": 1000, "jobs": [2, 1]}
{"event": "job_info", "time": 1000, "jobid": 2, "rule_name": "align", "threads": 1, "resources": {"mem_mb": 2097.152}}
{"event": "job_info", "time": 1000, "jobid": 1, "rule_name": "call"}
{"event": "job_finished", "time": 1002, "job_id": 1}
{"event": "shutdown", "time": 1005}
"#;
    let run = read(Engine::Snakemake, &[File { path: "records.jsonl", bytes: records.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("call 1", "call", "0-2000"), row("align 2", "align", "0-5000!")]);
    assert_eq!(run.jobs[1].attempts[0].memory_gib, decimal(2_000.0 / 1_024.0), "`mem_mb` counts millions of bytes");
    assert!(failed(&run));

    let trace = "name\tstatus\tsubmit\tstart\tcomplete\tduration\trealtime\t%cpu\tpeak_rss
align\tCOMPLETED\t2024-03-04 09:00:00.000\t2024-03-04 09:00:00.000\t2024-03-04 09:00:08.000\t8s\t8s\t98,5%\t1,5 GB
call\tABORTED\t2024-03-04 09:00:02.000\t2024-03-04 09:00:03.000\t-\t-\t-\t-\t-
late\tSUBMITTED\t2024-03-04 09:00:07.000\t-\t-\t-\t-\t-\t-
none\tFAILED\t2024-03-04 09:00:07.000\t-\t2024-03-04 09:00:07.500\t500ms\t-\t-\t-
";
    let run = read(Engine::Nextflow, &[File { path: "trace.txt", bytes: trace.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("align", "align", "0-8000"), row("call", "call", "3000-8000!")]);
    let first = &run.jobs[0].attempts[0];
    assert_eq!((first.cpu_seconds, first.memory_peak_mib), (Some(7.88), Some(1_536.0)), "decimal commas");
    assert!(failed(&run));

    let begun = json!({"task_id": 1, "name": "align", "status": "RUNNING", "start": 1_709_542_801_000_i64});
    let cached = json!({"task_id": 2, "name": "call", "status": "CACHED"});
    let events = json!([
        {"event": "started", "utcTime": "2024-03-04T09:00:00Z"},
        {"event": "process_started", "utcTime": "2024-03-04T09:00:01Z", "trace": begun},
        {"event": "process_completed", "utcTime": "2024-03-04T09:00:02Z", "trace": cached},
        {"event": "error", "utcTime": "2024-03-04T09:00:05Z"},
    ]);
    let weblog = events.to_string();
    let run = read(Engine::Nextflow, &[File { path: "weblog.json", bytes: weblog.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("align", "align", "1000-5000!")]);
}

#[test]
fn a_benchmark_is_found_by_whole_parts_of_its_path() {
    let records = r#"{"event": "job_started", "time": 1000, "jobs": [2]}
{"event": "job_info", "time": 1000, "jobid": 2, "rule_name": "align", "benchmark": "a.tsv"}
{"event": "job_finished", "time": 1002, "job_id": 2}
"#;
    let memory = |name: &str| {
        let files = [
            File { path: "records.jsonl", bytes: records.as_bytes() },
            File { path: name, bytes: b"s\tmax_rss\n1\t20\n" },
        ];
        read(Engine::Snakemake, &files, &about()).unwrap().jobs[0].attempts[0].memory_peak_mib
    };
    assert_eq!((memory("run/a.tsv"), memory("data.tsv"), memory("run/data.tsv")), (Some(20.0), None, None));
}

#[test]
fn miniwdl_tries_interrupted_tasks_again_and_takes_others_from_its_cache() {
    let log = "2026-11-28 14:39:52.000 wdl.w:v NOTICE workflow start :: name: \"v\"
2026-11-28 14:39:52.100 wdl.w:v.t:call-old NOTICE task setup :: name: \"old\", line: 3
2026-11-28 14:39:52.200 wdl.w:v.t:call-align NOTICE task setup :: name: \"align\", line: 9
2026-11-28 14:39:52.300 wdl.w:v.t:call-old NOTICE done (cached)
2026-11-28 14:39:52.500 wdl.w:v.t:call-align NOTICE BareContainer :: pid: 19758, log: \"x\"
2026-11-28 14:39:53.500 wdl.w:v.t:call-align ERROR interrupted task will be retried :: error: \"Interrupted\"
2026-11-28 14:39:54.000 wdl.w:v.t:call-align NOTICE BareContainer :: pid: 19759, log: \"x\"
2026-11-28 14:39:55.000 wdl.w:v.t:call-align NOTICE done
2026-11-28 14:39:56.000 wdl.w:v NOTICE done
";
    let run = read(Engine::Miniwdl, &[File { path: "workflow.log", bytes: log.as_bytes() }], &about()).unwrap();
    assert_eq!(jobs(&run), [row("w:v.t:call-align", "align", "500-1500! 2000-3000")]);
    assert_eq!(run.states.last().map(|entered| entered.state), Some(State::Complete));
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let cases: [(Engine, &str, &str, u32); 6] = [
        (Engine::Snakemake, "r.jsonl", "{\"event\": \"x\", \"time\": 1}\n{\"event\"", 2),
        (Engine::Snakemake, "r.jsonl", "{\"event\": \"job_error\", \"time\": 1}", 1),
        (Engine::Snakemake, "b.tsv", "s\tmax_rss\n1\tmuch\n", 2),
        (Engine::Nextflow, "trace.txt", "name\tstatus\tsubmit\nx\tCOMPLETED\tsoon\n", 2),
        (Engine::Nextflow, "weblog.json", "{\"event\": \"started\"}", 1),
        (Engine::Json, "run.json", "{\n\"id\": }", 2),
    ];
    for (engine, path, text, line) in cases {
        let problem = read(engine, &[File { path, bytes: text.as_bytes() }], &about()).unwrap_err();
        let place = problem.place.unwrap();
        assert_eq!((problem.code.as_str(), place.path.as_str(), place.line), ("HW-COST-002", path, line), "{text}");
    }
}

#[test]
fn without_a_machine_nothing_can_be_priced() {
    let log = "2026-11-28 14:39:52.000 wdl.w:v NOTICE done\n";
    let problem = read(
        Engine::Miniwdl,
        &[File { path: "workflow.log", bytes: log.as_bytes() }],
        &About { id: "r".into(), ..About::default() },
    );
    assert!(problem.unwrap_err().title.contains("which machine"));
}

#[test]
fn a_log_that_ends_between_two_jobs_is_one_of_a_run_that_was_killed() {
    let cwl = "[2026-11-28 14:41:11] INFO [job a] start\n[2026-11-28 14:41:12] INFO [job a] completed success\n";
    let wdl = "2026-11-28 14:39:52.282 wdl.w:v.t:a NOTICE task setup :: name: \"a\"\n2026-11-28 14:39:55.062 wdl.w:v.t:a NOTICE done\n";
    let trace =
        json!({"name": "a", "status": "COMPLETED", "start": 1_709_542_800_000_i64, "complete": 1_709_542_860_000_i64});
    let weblog =
        format!("{}\n", json!({"event": "process_completed", "utcTime": "2024-03-04T09:01:00Z", "trace": trace}));
    for (engine, path, log, end) in [
        (Engine::Cwltool, "engine.txt", cwl, "[2026-11-28 14:41:12] INFO Final process status is success\n"),
        (Engine::Miniwdl, "workflow.log", wdl, "2026-11-28 14:39:56.000 wdl.w:v NOTICE done\n"),
        (
            Engine::Nextflow,
            "weblog.jsonl",
            weblog.as_str(),
            "{\"event\": \"completed\", \"utcTime\": \"2024-03-04T09:00:01Z\"}\n",
        ),
    ] {
        let state = |text: &str| {
            let run = read(engine, &[File { path, bytes: text.as_bytes() }], &about()).unwrap();
            run.states.last().map(|entered| entered.state)
        };
        let whole = format!("{log}{end}");
        assert_eq!((state(&whole), state(log)), (Some(State::Complete), Some(State::Failed)), "{path}");
    }
}

#[test]
fn a_run_of_miniwdl_is_done_when_its_own_workflow_says_so() {
    let state = |said: &[&str]| {
        let lines = ["wdl.w:v NOTICE workflow start :: name: \"v\""].into_iter().chain(said.iter().copied());
        let log: String =
            (51..).zip(lines).map(|(second, line)| format!("2026-11-28 14:39:{second}.000 {line}\n")).collect();
        let run = read(Engine::Miniwdl, &[File { path: "workflow.log", bytes: log.as_bytes() }], &about()).unwrap();
        run.states.last().map(|entered| entered.state)
    };
    let cached = "wdl.w:v.CallCache INFO call cache insert :: cache_file: \"/c/v.json\"";
    assert_eq!(state(&["wdl.w:v NOTICE done", cached]), Some(State::Complete));
    assert_eq!(state(&["wdl.w:v.w:call-sub NOTICE done"]), Some(State::Failed));
    assert_eq!(state(&["wdl.w:v ERROR workflow v failed", "wdl.w:v.w:call-sub NOTICE done"]), Some(State::Failed));
}

#[test]
fn a_run_has_one_log_and_nothing_beside_it_is_passed_over() {
    let cwl = |job: &str| {
        format!(
            "[2026-11-28 14:41:11] INFO [job {job}] start\n[2026-11-28 14:41:12] INFO [job {job}] completed success\n"
        )
    };
    let wdl = |job: &str| {
        format!(
            "2026-11-28 14:39:52.282 wdl.w:v.t:{job} NOTICE task setup :: name: \"{job}\"\n2026-11-28 14:39:55.062 wdl.w:v.t:{job} NOTICE done\n"
        )
    };
    let (one, two) = (cwl("one"), cwl("two"));
    let (outer, inner) = (wdl("outer"), wdl("inner"));
    let trace = "name\tstatus\tsubmit\tduration\trealtime\n";
    fn file<'a>(path: &'a str, text: &'a str) -> File<'a> {
        File { path, bytes: text.as_bytes() }
    }
    let ids = |engine, files: &[File<'_>]| {
        let run = read(engine, files, &about())?;
        Ok::<Vec<String>, Problem>(run.jobs.iter().map(|job| job.id.clone()).collect())
    };
    // As folders have them, in the order of their paths.
    let provenance = [file("bagit.txt", "BagIt-Version: 0.97\n"), file("metadata/logs/engine.5b.txt", &one)];
    assert_eq!(ids(Engine::Cwltool, &provenance).unwrap(), ["one"]);
    let run = [file("call-sub/workflow.log", &inner), file("workflow.log", &outer)];
    assert_eq!(ids(Engine::Miniwdl, &run).unwrap(), ["w:v.t:outer"]);
    for (engine, files) in [
        (Engine::Cwltool, [file("a.log", &one), file("b.log", &two)]),
        (Engine::Miniwdl, [file("a/workflow.log", &outer), file("b/workflow.log", &inner)]),
        (Engine::Nextflow, [file("params.json", "{}"), file("trace.txt", trace)]),
    ] {
        let problem = ids(engine, &files).unwrap_err();
        assert_eq!(problem.place.as_ref().map(|place| place.path.as_str()), Some(files[1].path), "{problem}");
        assert!(problem.title.contains(&format!("`{}` is one as well", files[0].path)), "{problem}");
    }
}

#[test]
fn a_runs_own_record_is_completed_and_not_contradicted() {
    let record = |iterations: Value| {
        json!({"id": "r", "workflow": "w", "started": "2026-11-28T09:00:00Z", "ended": "2026-11-28T10:00:00Z",
            "iterations": iterations, "jobs": [], "instances": []})
        .to_string()
    };
    let read = |record: String, about: Value| {
        let file = [File { path: "run.json", bytes: record.as_bytes() }];
        super::read(Engine::Json, &file, &serde_json::from_value(about).unwrap())
    };
    let said = |about: Value| read(record(Value::Null), about);
    let run = said(json!({"id": "r", "consumer": "lab", "iterations": 7})).unwrap();
    assert_eq!((run.id.as_str(), run.consumer.as_str(), run.iterations), ("r", "lab", Some(7)));
    let other = said(json!({"id": "another"})).unwrap_err();
    assert_eq!(other.title, "a record cannot be read: its `id` is `r` and said to be `another`");
    let other = read(record(json!(7)), json!({"iterations": 8})).unwrap_err();
    assert_eq!(other.title, "a record cannot be read: its `iterations` is `7` and said to be `8`");
    assert_eq!(said(json!({"machine": {"type": "c5.large", "region": "us-east-1"}})).unwrap_err().code, "HW-COST-002");
}

/// Lines that are made of the formats' own words.
fn line() -> impl Strategy<Value = String> {
    let words = [
        "2026-11-28 14:39:52.282",
        "wdl.w:v.t:call-a",
        "NOTICE",
        "task setup :: name: \"a\"",
        "ERROR",
        "done",
        "failed",
        "[2026-11-28T14:41:10,805.000000Z]",
        "[job a]",
        "completed success",
        "\u{1b}[32m",
        "{\"event\":\"job_started\",",
        "\"time\":1e300",
        "\"time\":1000",
        "\"jobs\":[1]}",
        "\"jobid\":1}",
        "name\tstatus\tsubmit\tduration",
        "\t",
        "9999999999999999999",
        "1h",
        "-",
        "{",
        "[",
        "]",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_bytes_make_it_fall(lines in prop::collection::vec(line(), 0..20), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = lines.join("\n").into_bytes();
        for (_, engine) in ENGINES {
            for bytes in [&text, &bytes] {
                for path in ["r.jsonl", "b.tsv", "engine.txt", "workflow.log"] {
                    let _ = read(engine, &[File { path, bytes }], &about());
                }
            }
        }
    }
}
