use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap;
use bytes::Bytes;
use headwater_base::{Limits, Micros, Name};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::{Cause, Features};
use headwater_log::StreamConfig;
use headwater_testkit::memory_log;
use headwater_wire::batch::Record;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::bench::{Bench, START, values};
use crate::compile::compile;
use crate::operators::Advance;
use crate::program::Compiler;
use crate::runtime::core::{Chain, Core, Input, Surroundings};
use crate::runtime::figures::Figures;
use crate::runtime::files::Memory;
use crate::runtime::outbox::{Refused, Sink, Target};
use crate::runtime::overlay::Kept;
use crate::runtime::positions::Positions;
use crate::spec::PipelineSpec;

fn at(seconds: i64) -> String {
    Micros(START.0 + seconds * 1_000_000).to_string()
}

fn spec() -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "1s", "lateness": "1m", "idle": "10s", "ahead": "3650d"},
        "steps": [
            {"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1m"], "measures": {"events": {"count": true}},
             "into": ".rates", "entity": "user"},
            {"id": "sessions", "type": "session", "key": ".user", "gap": "30s",
             "measures": {"spend": {"sum": ".price"}}, "path": {"field": ".page", "max": 3}, "output": {"stream": "sessions"}},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
        "late": {"stream": "late"},
    })
}

fn event(user: &str, seconds: i64, page: &str) -> String {
    json!({"user": user, "time": at(seconds), "price": 2, "page": page}).to_string()
}

#[test]
fn running_values_go_into_the_event_and_are_readable_as_features() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let unit = bench.start("p", spec());
    bench.send("in", 0, &[(None, &event("u", 0, "a")), (None, &event("u", 20, "b")), (None, &event("u", 90, "c"))]);
    let counts: Vec<Value> =
        values(&bench.wait_for("out", 3)).iter().map(|value| value["rates"]["events_1m"].clone()).collect();
    assert_eq!(counts, [json!(1), json!(2), json!(1)]);
    bench.clock.set(Micros(START.0 + 90_000_000));
    let read = bench.pipelines.read("user", "u").expect("there are values");
    let read: Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(read["events_1m"], json!(1));
    assert_eq!((bench.pipelines.entities(), bench.pipelines.read("user", "nobody")), (vec!["user".to_owned()], None));
    bench.stop(&unit);
}

#[test]
fn values_of_all_time_outlive_every_window_and_end_with_a_key_that_is_idle() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let mut spec = spec();
    spec["steps"][0] = json!({
        "id": "rates", "type": "aggregate", "key": ".user", "windows": ["1m", "all"], "idle": "1d", "into": ".rates",
        "measures": {"events": {"count": true}, "page": {"last": ".page"}}, "entity": "user",
    });
    let unit = bench.start("p", spec);
    bench.send("in", 0, &[(None, &event("u", 0, "a")), (None, &event("u", 20, "b")), (None, &event("u", 7_200, "c"))]);
    let rates = values(&bench.wait_for("out", 3)).pop().unwrap()["rates"].clone();
    assert_eq!(rates, json!({"events_1m": 1, "page_1m": "c", "events_all": 3, "page_all": "c"}));
    // Read hours later, when no window has anything of it.
    bench.clock.set(Micros(START.0 + 20_000_000_000));
    let read: Value = serde_json::from_slice(&bench.pipelines.read("user", "u").expect("there are values")).unwrap();
    assert_eq!(read, json!({"events_1m": 0, "page_1m": null, "events_all": 3, "page_all": "c"}));

    bench.send("in", 0, &[(None, &event("u", 7_200 + 90_000, "d"))]);
    let rates = values(&bench.wait_for("out", 4)).pop().unwrap()["rates"].clone();
    assert_eq!(rates["events_all"], json!(1), "after more than a day without an event");
    bench.stop(&unit);
}

#[test]
fn the_window_of_all_time_and_how_long_a_key_may_be_idle_go_together() {
    let faults = |more: Value| {
        let mut spec = spec();
        let measures = json!({"events": {"count": true}});
        spec["steps"][0] =
            json!({"id": "rates", "type": "aggregate", "key": ".user", "measures": measures, "into": ".rates"});
        spec["steps"][0].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec: PipelineSpec = serde_json::from_value(spec).unwrap();
        let faults = compile(&Name::new("p").unwrap(), &spec, &Compiler::for_check()).err().unwrap_or_default();
        faults.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.problem.title)).collect::<Vec<_>>()
    };
    assert_eq!(faults(json!({"windows": ["1m"]})), [""; 0]);
    assert_eq!(faults(json!({"windows": ["all"], "idle": "90d"})), [""; 0]);
    let endless = "/spec/steps/0/windows `rates`: the window `all` has no end";
    assert_eq!(faults(json!({"windows": ["1m", "all"]})), [endless]);
    let useless = "/spec/steps/0/idle `rates` has `idle` without a use";
    assert_eq!(faults(json!({"windows": ["1m"], "idle": "1d"})), [useless]);
    let short = "/spec/steps/0 `rates`: `idle` is shorter than the window `1d`";
    assert_eq!(faults(json!({"windows": ["24h", "all"], "idle": "1h"})), [short]);
}

#[test]
fn sessions_close_by_event_time_and_late_events_are_told_with_their_position() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let unit = bench.start("p", spec());
    bench.send(
        "in",
        0,
        &[
            (None, &event("u", 0, "a")),
            (None, &event("u", 30, "b")),
            (None, &event("u", 61, "c")),
            (None, &event("v", 300, "z")),
        ],
    );
    let sessions = values(&bench.wait_for("sessions", 2));
    assert_eq!(
        (&sessions[0]["events"], &sessions[0]["path"], &sessions[0]["measures"]["spend"]),
        (&json!(2), &json!(["a", "b"]), &json!(4))
    );
    assert_eq!(sessions[1]["events"], json!(1), "31 s are more than the gap");
    bench.send("in", 0, &[(None, &event("u", 1, "late"))]);
    let late = values(&bench.wait_for("late", 1)).remove(0);
    assert_eq!(
        (&late["code"], &late["position"]["offset"], &late["event"]["page"]),
        (&json!("HW-FLOW-033"), &json!(4), &json!("late"))
    );
    bench.wait_for("out", 5);
    bench.stop(&unit);
}

#[test]
fn an_event_too_late_for_running_values_alone_is_told_with_its_position() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let mut spec = spec();
    spec["steps"].as_array_mut().unwrap().truncate(1);
    let unit = bench.start("p", spec);
    bench.send("in", 0, &[(None, &event("u", 0, "a")), (None, &event("v", 300, "z"))]);
    bench.wait_for("out", 2);
    bench.send("in", 0, &[(None, &event("u", 1, "late"))]);
    assert_eq!(values(&bench.wait_for("out", 3))[2].get("rates"), None, "it is not counted");
    let late = values(&bench.wait_for("late", 1)).remove(0);
    assert_eq!(
        (&late["code"], &late["step"], &late["position"]["offset"], &late["event"]["page"]),
        (&json!("HW-FLOW-033"), &json!("rates"), &json!(2), &json!("late"))
    );
    assert_eq!(bench.step("p", "rates"), [("events_total", 3.0), ("passed_total", 3.0), ("late_total", 1.0)]);
    bench.stop(&unit);
}

#[test]
fn a_time_that_a_program_made_is_measured_as_the_text_it_becomes() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let unit = bench.start(
        "p",
        json!({
            "source": {"type": "stream", "stream": "in"},
            "time": {"field": ".time", "disorder": "1s", "lateness": "1m", "idle": "10s", "ahead": "3650d"},
            "steps": [
                {"id": "made", "type": "transform", "program": ".seen = %time"},
                {"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1m"],
                 "measures": {"seen": {"last": ".seen"}, "times": {"distinct": ".seen"}}, "into": ".rates"},
            ],
            "outputs": [{"type": "stream", "stream": "out"}],
            "late": {"stream": "late"},
        }),
    );
    bench.send("in", 0, &[(None, &event("u", 0, "a")), (None, &event("u", 1, "b"))]);
    let out = values(&bench.wait_for("out", 2)).remove(1);
    assert!(out["seen"].is_string());
    assert_eq!((&out["rates"]["seen_1m"], &out["rates"]["times_1m"]), (&out["seen"], &json!(2)));
    bench.stop(&unit);
}

#[test]
fn values_that_their_stream_does_not_take_are_a_dead_letter() {
    let bench = Bench::new();
    bench.stream("in", 1);
    bench.create("small", StreamConfig { partitions: 1, batch_bytes_max: 400, ..default_config(&Limits::default()) });
    let unit = bench.start(
        "p",
        json!({
            "source": {"type": "stream", "stream": "in"},
            "time": {"field": ".time", "disorder": "1s", "lateness": "1m", "idle": "10s", "ahead": "3650d"},
            "steps": [{"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1m"],
                       "measures": {"page": {"last": ".page"}}, "output": {"stream": "small"}}],
            "outputs": [{"type": "stream", "stream": "out"}],
            "late": {"stream": "late"},
            "errors": {"stream": "dead"},
        }),
    );
    bench.send("in", 0, &[(None, &event("u", 0, &"x".repeat(600))), (None, &event("v", 0, "short"))]);
    let letter = values(&bench.wait_for("dead", 1)).remove(0);
    assert_eq!((&letter["code"], &letter["step"]), (&json!("HW-FLOW-034"), &json!("rates")));
    assert_eq!(values(&bench.wait_for("small", 1))[0]["key"], json!("v"));
    assert_eq!(bench.wait_for("out", 2).len(), 2);
    bench.stop(&unit);
}

#[test]
fn when_all_partitions_fall_silent_the_last_session_closes() {
    let bench = Bench::new();
    bench.stream("in", 2);
    let unit = bench.start("p", spec());
    bench.send("in", 0, &[(None, &event("u", 0, "a")), (None, &event("w", 100, "a"))]);
    bench.until("the input is read", || bench.read("out").len() == 2);
    assert!(bench.read("sessions").is_empty(), "the silent partition holds the watermark back");
    bench.until("the first session", || {
        bench.clock.advance(Duration::from_secs(1));
        bench.read("sessions").len() == 1
    });
    bench.stop(&unit);
}

#[test]
fn a_second_revision_does_not_count() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let unit = bench.start("p", spec());
    let again = json!({"user": "u", "time": at(1), "revision": 2}).to_string();
    bench.send("in", 0, &[(None, &event("u", 0, "a")), (None, &again), (None, &event("u", 2, "b"))]);
    let counts: Vec<Value> =
        values(&bench.wait_for("out", 3)).iter().map(|value| value["rates"]["events_1m"].clone()).collect();
    assert_eq!(counts, [json!(1), json!(null), json!(2)]);
    bench.stop(&unit);
}

#[test]
fn an_event_seen_before_is_dropped_also_after_a_restart() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "ahead": "3650d"},
        "steps": [{"id": "once", "type": "dedupe", "key": ".id", "within": "1m"}],
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let unit = bench.start("p", spec.clone());
    let event = |id: &str, seconds: i64| json!({"id": id, "time": at(seconds)}).to_string();
    bench.send("in", 0, &[(None, &event("a", 0)), (None, &event("a", 1)), (None, &event("b", 2))]);
    bench.wait_for("out", 2);
    bench.stop(&unit);
    let unit = bench.start("p", spec);
    bench.send("in", 0, &[(None, &event("b", 3)), (None, &event("a", 61)), (None, &event("c", 62))]);
    let ids: Vec<Value> = values(&bench.wait_for("out", 4)).iter().map(|value| value["id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "a", "c"]);
    bench.stop(&unit);
}

#[test]
fn state_that_does_not_fit_is_refused_until_the_user_resets_it() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let unit = bench.start("p", spec());
    bench.send("in", 0, &[(None, &event("u", 0, "a"))]);
    bench.wait_for("out", 1);
    bench.stop(&unit);
    let mut changed = spec();
    changed["steps"][0]["key"] = json!(".page");
    let problem = bench.try_start("p", changed.clone(), 0).err().expect("refused");
    assert_eq!(problem.code, "HW-FLOW-020");
    assert!(problem.help.unwrap().contains("--reset-state"));
    let unit = bench.try_start("p", changed, 1).unwrap();
    bench.send("in", 0, &[(None, &event("u", 1, "a"))]);
    assert_eq!(
        values(&bench.wait_for("out", 2))[1]["rates"]["events_1m"],
        json!(1),
        "the state began empty, the position did not"
    );
    bench.stop(&unit);
}

#[test]
fn state_beyond_its_bound_ends_the_pipeline_and_stays() {
    let limits = Limits { state_bytes: 64 * 1024, ..Limits::default() };
    let bench = Bench::within(memory_log().0, limits);
    bench.stream("in", 1);
    let unit = bench.start("p", spec());
    let events: Vec<String> = (0..1_000).map(|user| event(&format!("user-{user}"), 0, "a")).collect();
    let records: Vec<_> = events.iter().map(|event| (None, event.as_str())).collect();
    bench.send("in", 0, &records);
    bench.wait_for("out", 1_000);
    bench.clock.advance(Duration::from_secs(5));
    let problem = bench.runtime.block_on(unit.finished()).unwrap_err();
    assert_eq!(problem.code, "HW-FLOW-060");
    assert!(problem.title.ends_with("the limit is 65536"), "{}", problem.title);
    let problem = bench.try_start("p", spec(), 0).err().expect("it is still too large");
    assert_eq!(problem.code, "HW-FLOW-060");
    let unit = bench.try_start("p", spec(), 1).unwrap();
    bench.send("in", 0, &[(None, &event("user-1", 1, "a"))]);
    let seen = values(&bench.wait_for("out", 1_001));
    assert_eq!(seen[1_000]["rates"]["events_1m"], json!(1), "a reset makes room");
    bench.stop(&unit);
}

/// Keeps nothing, and writes down what will be looked at.
#[derive(Clone, Default)]
struct Foreseen(Arc<Mutex<Vec<Vec<(String, String)>>>>);

impl Kept for Foreseen {
    fn look(&self, _: &str, _: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        seen(None);
    }

    fn foresee(&self, keys: &[(&str, &[u8])]) {
        let text = |(space, key): &(&str, &[u8])| ((*space).to_owned(), String::from_utf8(key.to_vec()).unwrap());
        self.0.lock().push(keys.iter().map(text).collect());
    }

    fn for_part(&self, _: &str, _: u32, _: &mut dyn FnMut(&[u8], &[u8])) {}
}

/// A core without a node around it, over a stream of one partition.
fn core(bench: &Bench, spec: Value, kept: impl Kept + Send + 'static) -> Core {
    let plan = Arc::new(bench.plan("p", spec));
    let around = Surroundings {
        kept: Box::new(kept),
        asking: HashMap::default(),
        clock: bench.clock.clone(),
        figures: Arc::new(Figures::of(&plan)),
        chain: Chain::default(),
        waiting_max: 16,
    };
    let input = Input::new(Arc::from("in"), 0, false, Positions::at(0));
    Core::new(plan, vec![input], around, None).unwrap()
}

/// Takes everything and keeps the values.
#[derive(Default)]
struct Written(Vec<Value>);

impl Sink for Written {
    fn put(
        &mut self,
        _: Target,
        _: i64,
        _: Option<&[u8]>,
        value: Option<&[u8]>,
        _: Option<&Cause>,
    ) -> Result<(), Refused> {
        self.0.extend(value.map(|value| serde_json::from_slice::<Value>(value).unwrap()));
        Ok(())
    }
}

#[test]
fn the_keys_of_an_event_are_foreseen_once_up_to_the_first_step_that_may_keep_it() {
    let bench = Bench::new();
    let rates = |id: &str, key: &str| {
        json!({"id": id, "type": "aggregate", "key": key, "windows": ["1m"], "measures": {"events": {"count": true}},
               "into": format!(".rates.{id}")})
    };
    let sessions = json!({"id": "sessions", "type": "session", "key": ".visitor", "gap": "30s",
        "measures": {"spend": {"sum": ".price"}}, "output": {"stream": "sessions"}});
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "steps": [
            {"id": "once", "type": "dedupe", "key": ".id", "within": "1m"},
            rates("user", ".user"),
            sessions,
            {"id": "orders", "type": "filter", "when": ".kind == \"order\""},
            rates("listing", ".listing"),
            rates("seller", ".seller"),
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let foreseen = Foreseen::default();
    let mut core = core(&bench, spec, foreseen.clone());
    let mut offer = |offset: i64, event: Value| {
        let value = Some(Bytes::from(event.to_string()));
        let record = Record { offset, timestamp: START.millis(), key: None, value, headers: Vec::new() };
        core.offer(0, record, false, &mut Written::default());
        std::mem::take(&mut *foreseen.0.lock())
    };
    let all = json!({"id": "1", "user": "u", "visitor": "v", "listing": "l", "seller": "s", "kind": "order"});
    let of = |step: &str, key: &str| (format!("pipeline/p/{step}"), key.to_owned());
    assert_eq!(offer(0, all), [[of("once", "1"), of("user", "u"), of("sessions", "v")]]);
    // There is nothing to overlap with one key, and no state for a second revision.
    assert!(offer(1, json!({"id": "2", "listing": "l"})).is_empty());
    assert!(offer(2, json!({"id": "3", "user": "u", "revision": 2})).is_empty());
}

#[test]
fn a_condition_that_several_steps_have_goes_by_the_event_as_it_is_at_each() {
    let bench = Bench::new();
    let counts = |id: &str, measures: Value| {
        json!({"id": id, "type": "aggregate", "key": ".user", "windows": ["1m"], "measures": measures,
               "into": format!(".{id}")})
    };
    let orders = json!({"orders": {"count": true, "where": ".kind == \"order\""}});
    let again = json!({"count": true, "where": ".flag.all_1m == 1"});
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "steps": [
            counts("before", orders.clone()),
            {"id": "buy", "type": "transform", "program": ".kind = \"order\""},
            counts("behind", orders),
            counts("flag", json!({"all": {"count": true}, "again": again, "more": again})),
            counts("flagged", json!({"again": again})),
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let mut core = core(&bench, spec, Memory::default());
    let mut out = Written::default();
    for (offset, kind) in [(0, "view"), (1, "order"), (2, "view")] {
        let value = Some(Bytes::from(json!({"id": "1", "user": "u", "kind": kind}).to_string()));
        let record = Record { offset, timestamp: START.millis(), key: None, value, headers: Vec::new() };
        core.offer(0, record, false, &mut out);
    }
    let seen = |event: &Value| {
        [
            &event["before"]["orders_1m"],
            &event["behind"]["orders_1m"],
            &event["flag"]["again_1m"],
            &event["flag"]["more_1m"],
            &event["flagged"]["again_1m"],
        ]
        .map(Value::clone)
    };
    let seen: Vec<_> = out.0.iter().map(seen).collect();
    let wanted = [[0, 1, 0, 0, 1], [1, 2, 0, 0, 1], [1, 3, 0, 0, 1]].map(|counts| counts.map(Value::from));
    assert_eq!(seen, wanted);
}

#[test]
fn what_is_no_text_in_an_event_is_measured_as_its_text_has_it() {
    let bench = Bench::new();
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "steps": [
            {"id": "when", "type": "transform", "program": ".when = timestamp!(%time)"},
            {"id": "last", "type": "aggregate", "key": ".user", "windows": ["1m"], "into": ".last", "measures": {
                "list": {"last": ".list"}, "when": {"last": ".when"}, "untold": {"last": ".list", "where": ".user == \"v\""},
                "text": {"last": ".text"}, "number": {"last": ".number"}, "missing": {"last": ".missing"},
                "object": {"last": ".object"}, "whether": {"last": ".whether"}, "float": {"last": ".float"},
            }},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let mut core = core(&bench, spec, Memory::default());
    let mut out = Written::default();
    let event = json!({"id": "1", "user": "u", "list": [1, {"a": null}], "object": {"b": [true]}, "text": "", "number": 7,
                       "whether": false, "float": 0.5});
    let record = Record {
        offset: 0,
        timestamp: START.millis(),
        key: None,
        value: Some(Bytes::from(event.to_string())),
        headers: Vec::new(),
    };
    core.offer(0, record, false, &mut out);
    let last = &out.0[0]["last"];
    for name in ["list", "object", "text", "number", "whether", "float"] {
        assert_eq!(last[format!("{name}_1m")], event[name], "{name}");
    }
    assert_eq!(
        (&last["when_1m"], &last["untold_1m"], &last["missing_1m"]),
        (&out.0[0]["when"], &Value::Null, &Value::Null)
    );
    assert!(last["when_1m"].is_string());
}

/// A core and what it has written to its state.
struct Alone {
    core: Core,
    memory: Memory,
    offset: i64,
}

impl Alone {
    /// With one step, and events taken for a minute behind the watermark.
    fn new(bench: &Bench, step: &Value) -> Self {
        let spec = json!({
            "source": {"type": "stream", "stream": "in"},
            "time": {"field": ".time", "disorder": "1s", "lateness": "1m", "ahead": "3650d"},
            "steps": [step],
            "outputs": [{"type": "stream", "stream": "out"}],
        });
        let memory = Memory::default();
        Self { core: core(bench, spec, memory.clone()), memory, offset: 0 }
    }

    /// What comes out for one event, and the keys of the step after that.
    fn offer(&mut self, user: &str, seconds: i64) -> (Vec<Value>, Vec<String>) {
        let mut out = Written::default();
        let value = Some(Bytes::from(event(user, seconds, "a")));
        let record = Record { offset: self.offset, timestamp: START.millis(), key: None, value, headers: Vec::new() };
        self.offset += 1;
        self.core.offer(0, record, false, &mut out);
        while self.core.advance(&mut out).unwrap() == Advance::More {
            self.memory.apply(self.core.drain());
        }
        self.memory.apply(self.core.drain());
        let mut keys = Vec::new();
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        self.memory.for_part("pipeline/p/step", 0, &mut |key, _| keys.push(text(key)));
        keys.sort();
        (out.0, keys)
    }
}

#[test]
fn an_aggregate_forgets_a_key_once_no_event_is_taken_any_more_that_could_tell() {
    let bench = Bench::new();
    let step = json!({"id": "step", "type": "aggregate", "key": ".user", "windows": ["1m"],
                      "measures": {"events": {"count": true}}, "into": ".rates"});
    let mut alone = Alone::new(&bench, &step);
    // At 70 s the window of `u` is empty, but an event from before that is still taken.
    let steps: [(&str, i64, u32, &[&str]); 4] =
        [("u", 0, 1, &["u"]), ("v", 70, 1, &["u", "v"]), ("u", 30, 2, &["u", "v"]), ("v", 200, 1, &["v"])];
    for (user, seconds, count, left) in steps {
        let (out, keys) = alone.offer(user, seconds);
        assert_eq!(out[0]["rates"]["events_1m"], json!(count), "{user} at {seconds} s");
        assert_eq!(keys, left, "{user} at {seconds} s");
    }
}

#[test]
fn a_dedupe_step_forgets_a_key_once_no_event_is_taken_any_more_that_it_would_drop() {
    let bench = Bench::new();
    let step = json!({"id": "step", "type": "dedupe", "key": ".user", "within": "10s"});
    let mut alone = Alone::new(&bench, &step);
    let steps: [(&str, i64, usize, &[&str]); 5] = [
        ("u", 30, 1, &["u"]),
        ("v", 70, 1, &["u", "v"]),
        ("u", 39, 0, &["u", "v"]),
        ("w", 102, 1, &["v", "w"]),
        ("u", 45, 1, &["u", "v", "w"]),
    ];
    for (user, seconds, count, left) in steps {
        let (out, keys) = alone.offer(user, seconds);
        assert_eq!(out.len(), count, "{user} at {seconds} s");
        assert_eq!(keys, left, "{user} at {seconds} s");
    }
}
