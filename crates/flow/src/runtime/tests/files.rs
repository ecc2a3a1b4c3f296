use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Limits, ManualClock, Name, Problem};
use headwater_kernel::port::{Context, Source, SourceRecord};
use serde_json::{Value, json};

use super::bench::{Gate, LOOKUPS, START};
use crate::compile::compile;
use crate::program::Compiler;
use crate::runtime::files::{self, Progress, Surrounding};

struct Given(Vec<SourceRecord>);

impl Source for Given {
    fn next(&mut self, count: usize) -> Result<Vec<SourceRecord>, Problem> {
        Ok(self.0.drain(..count.min(self.0.len())).collect())
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (0, Some(self.0.len() as u64))
    }
}

#[test]
fn a_file_goes_through_the_same_steps_and_its_end_closes_everything() {
    let spec = json!({
        "source": {"type": "file", "path": "events.ndjson"},
        "time": {"field": ".time"},
        "steps": [
            {"id": "sessions", "type": "session", "key": ".user", "gap": "30m", "output": {"stream": "sessions"}},
            {"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1h"], "measures": {"events": {"count": true}}, "into": ".rates"},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
        "errors": {"stream": "dead"},
    });
    let plan = Arc::new(
        compile(&Name::new("p").unwrap(), &serde_json::from_value(spec).unwrap(), &Compiler::for_check()).unwrap(),
    );
    let record = |position: u64, value: &str, fault: Option<&str>| SourceRecord {
        value: bytes::Bytes::from(value.to_owned()),
        position,
        fault: fault.map(str::to_owned),
    };
    let source = Given(vec![
        record(1, r#"{"user":"u","time":"2015-05-17T10:00:00Z"}"#, None),
        record(2, r#"{"user":"u","time":"2015-05-17T10:30:00Z"}"#, None),
        record(3, r#"{"user":"u","time":"2015-05-17T11:00:01Z"}"#, None),
        record(4, r#"{"user":"u","ti"#, Some("line 4: cut off")),
    ]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let around = Surrounding {
        lookups: &[],
        context: Context::without_node("."),
        clock: Arc::new(ManualClock::at(START)),
        limits: Arc::new(Limits::default()),
        handle: runtime.handle().clone(),
    };
    let mut written: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut last = Progress::default();
    let figures = files::run(
        &plan,
        "events.ndjson",
        Box::new(source),
        &around,
        &mut |stream, _, value| {
            let value = value.map_or(Value::Null, |value| serde_json::from_slice(value).unwrap());
            written.entry(stream.to_owned()).or_default().push(value);
            Ok(())
        },
        &mut |progress| last = progress,
    )
    .unwrap();
    let events: Vec<Value> = written["sessions"].iter().map(|session| session["events"].clone()).collect();
    assert_eq!(events, [json!(2), json!(1)]);
    let rates: Vec<Value> = written["out"].iter().map(|event| event["rates"]["events_1h"].clone()).collect();
    assert_eq!(rates, [json!(1), json!(2), json!(2)]);
    assert_eq!(written["dead"][0]["position"], json!({"stream": "events.ndjson", "partition": 0, "offset": 4}));
    assert_eq!((last.events, figures.dead.load(std::sync::atomic::Ordering::Relaxed)), (4, 1));
}

#[test]
fn an_event_of_a_file_gets_its_answer_before_the_run_ends() {
    let spec = json!({
        "source": {"type": "file", "path": "events.ndjson"},
        "steps": [
            {"id": "listing", "type": "lookup", "lookup": {"type": "http", "gate": "file"}, "key": ".listing", "into": ".listed",
             "timeout": "10s"},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
        "errors": {"stream": "dead"},
    });
    let plan = Arc::new(
        compile(&Name::new("p").unwrap(), &serde_json::from_value(spec).unwrap(), &Compiler::for_check()).unwrap(),
    );
    let gate = Gate::named("file");
    let events = 200;
    let record = |n: u64| {
        gate.answer(&n.to_string(), Ok(Some("42")));
        SourceRecord { value: json!({"listing": n.to_string()}).to_string().into(), position: n, fault: None }
    };
    let source = Given((0..events).map(record).collect());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let around = Surrounding {
        lookups: LOOKUPS,
        context: Context::without_node("."),
        clock: Arc::new(ManualClock::at(START)),
        limits: Arc::new(Limits::default()),
        handle: runtime.handle().clone(),
    };
    let mut listed = Vec::new();
    files::run(
        &plan,
        "events.ndjson",
        Box::new(source),
        &around,
        &mut |_, _, value| {
            let value: Value = value.map_or(Value::Null, |value| serde_json::from_slice(value).unwrap());
            listed.push(value["listed"].clone());
            Ok(())
        },
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(listed, vec![json!(42); events as usize]);
}
