use headwater_base::{Limits, ManualClock, Micros};
use headwater_log::{Append, Cleanup, Commit, EmbeddedLog, StreamConfig};
use headwater_wire::batch::{Builder, Compression};

use super::*;

fn config() -> StreamConfig {
    StreamConfig {
        partitions: 2,
        retention_ms: None,
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: 1 << 20,
        segment_bytes: 1 << 20,
        segment_ms: 1 << 40,
        delete_retention_ms: 1 << 40,
        append_time: false,
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    log: Arc<dyn Log>,
    context: Context,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Micros(1)));
        let log: Arc<dyn Log> =
            EmbeddedLog::open(folder.path().join("log"), Arc::new(Limits::default()), clock).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let context = Context { log: Some(log.clone()), ..Context::without_node(folder.path()) };
        Self { runtime, log, context, _folder: folder }
    }

    fn create(&self) {
        self.runtime.block_on(self.log.create(Name::new("prices").unwrap(), config(), Vec::new())).unwrap();
    }

    fn write(&self, partition: u32, key: Option<&str>, value: Option<&str>) {
        let mut batch = Builder::new(Compression::None);
        batch.push(1, key.map(str::as_bytes), value.map(str::as_bytes), &[]);
        let append = Append { stream: Name::new("prices").unwrap(), partition, batches: batch.finish() };
        let ticket = self.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
        self.runtime.block_on(self.log.durable(ticket.sequence)).unwrap();
    }

    fn build(&self, spec: Value) -> Arc<dyn Lookup> {
        build(&spec, &self.context).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn find(&self, lookup: &Arc<dyn Lookup>, key: &str) -> Option<String> {
        let answer = lookup.at_once(key).unwrap_or_else(|| self.runtime.block_on(lookup.get(key))).unwrap();
        answer.map(|json| String::from_utf8(json.to_vec()).unwrap())
    }
}

#[test]
fn the_newest_value_of_a_key_is_the_answer() {
    let bench = Bench::new();
    let lookup = bench.build(json!({"type": "latest", "stream": "prices"}));
    let part = bench.build(json!({"type": "latest", "stream": "prices", "field": ".price.amount"}));
    assert_eq!(bench.find(&lookup, "a"), None, "a stream that does not exist yet knows nothing");
    bench.create();
    bench.write(0, Some("a"), Some(r#"{"price":{"amount":1}}"#));
    bench.write(1, Some("b"), Some(r#"{"price":2}"#));
    assert_eq!(bench.find(&lookup, "a").as_deref(), Some(r#"{"price":{"amount":1}}"#));
    assert_eq!((bench.find(&part, "a").as_deref(), bench.find(&part, "b")), (Some("1"), None));
    bench.write(0, Some("a"), Some(r#"{"price":{"amount":3}}"#));
    bench.write(0, Some("a"), Some("not JSON"));
    bench.write(0, None, Some("{}"));
    assert_eq!(bench.find(&lookup, "a").as_deref(), Some(r#"{"price":{"amount":3}}"#));
    assert_eq!(bench.find(&part, "a").as_deref(), Some("3"));
    bench.write(0, Some("a"), None);
    assert_eq!((bench.find(&lookup, "a"), bench.find(&lookup, "b").is_some()), (None, true));
}

#[test]
fn a_long_stream_is_caught_up_with_on_the_side() {
    let bench = Bench::new();
    bench.create();
    let filler = format!("\"{}\"", "x".repeat(400 * 1024));
    for n in 0..12 {
        bench.write(n % 2, Some(&n.to_string()), Some(&filler));
    }
    let lookup = bench.build(json!({"type": "latest", "stream": "prices"}));
    assert_eq!(lookup.at_once("11"), None);
    assert_eq!(bench.find(&lookup, "11").as_deref(), Some(filler.as_str()));
    let held = bench.runtime.block_on(lookup.get("0")).unwrap();
    assert_eq!(held.map(|json| json.len()), Some(filler.len()));
    assert!(lookup.at_once("11").is_some(), "caught up");
}

#[test]
fn a_stream_created_anew_starts_over() {
    let bench = Bench::new();
    bench.create();
    bench.write(0, Some("a"), Some("1"));
    let lookup = bench.build(json!({"type": "latest", "stream": "prices"}));
    assert_eq!(bench.find(&lookup, "a").as_deref(), Some("1"));
    bench.runtime.block_on(bench.log.delete(&Name::new("prices").unwrap())).unwrap();
    assert_eq!(bench.find(&lookup, "a"), None);
    bench.create();
    bench.write(0, Some("b"), Some("2"));
    assert_eq!((bench.find(&lookup, "a"), bench.find(&lookup, "b").as_deref()), (None, Some("2")));
}

#[test]
fn a_stream_over_the_bounds_is_neither_held_nor_read_any_more() {
    let bench = Bench::new();
    bench.create();
    let within = |keys: usize, bytes: usize| {
        let bounds = Bounds { keys, bytes };
        let (log, stream) = (bench.log.clone(), Name::new("prices").unwrap());
        Latest(Arc::new(Inner { log, stream, field: Vec::new(), bounds, state: Mutex::default() }))
    };
    let large = format!("\"{}\"", "x".repeat(600));
    bench.write(0, Some("a"), Some(&large));
    let (keys, bytes) = (within(2, 10_000), within(10, 1_000));
    assert!(matches!(bytes.at_once("a"), Some(Ok(Some(_)))));
    bench.write(0, Some("b"), Some(&large));
    assert!(matches!(bytes.at_once("a"), Some(Err(LookupError::Unavailable(_)))));
    bench.write(0, Some("a"), Some("1"));
    assert!(matches!(bytes.at_once("a"), Some(Err(_))), "the whole of it would have to be read again");
    assert!(matches!(keys.at_once("b"), Some(Ok(Some(_)))));
    bench.write(1, Some("c"), Some("1"));
    let Some(Err(LookupError::Unavailable(reason))) = keys.at_once("a") else { panic!("three keys are too many") };
    assert_eq!(reason, "the stream `prices` has more than 2 keys or 10000 bytes of values");
    for full in [&bytes, &keys] {
        let mut state = full.0.lock();
        assert_eq!((state.values.len(), state.bytes), (0, 0));
        assert!(full.0.follow(&mut state, 0).is_err(), "no read is needed to say so");
    }
    bench.runtime.block_on(bench.log.delete(&Name::new("prices").unwrap())).unwrap();
    bench.create();
    bench.write(0, Some("b"), Some("2"));
    assert!(matches!(keys.at_once("b"), Some(Ok(Some(_)))), "a new stream starts over");
}
