//! What workflows keep in the log, as another version or a fault would have left it: rows of every kind, versions, pieces
//! of history, and where a page of a list ended. Read or refused; what was read is written as what is read.

use std::num::NonZeroUsize;
use std::sync::Arc;

use headwater_kernel::port::workflows::{StartExecution, Workflows};
use headwater_kernel::port::{Context, Json};
use headwater_log::Log;
use headwater_work::engine::{Engine, Parts, Unknown, Workflow, rewrite};
use headwater_work::tasks::{Services, Settings};
use serde_json::json;

/// Payloads of more bytes are kept beside a row.
const INLINE: [usize; 3] = [usize::MAX, 40, 0];

/// A byte for the kind. Of a row: a byte for what is kept beside it, a payload that it may name, its key and its value, the
/// first two with a byte for their lengths.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => row(bytes),
        1 => {
            if let Some(first) = rewrite::version(bytes, "{}") {
                assert_eq!(rewrite::version(&first, "{}"), Some(first));
            }
        }
        2 => {
            let _ = rewrite::piece(bytes, &|_| Some(bytes.to_vec()));
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if let Ok(first) = rewrite::place(text) {
                assert_eq!(rewrite::place(&first), Ok(first));
            }
            let _ = rewrite::is_token(text);
        }
    }
}

fn row(bytes: &[u8]) {
    let Some((inline, bytes)) = bytes.split_first() else { return };
    let inline = INLINE[usize::from(*inline) % INLINE.len()];
    let Some((payload, bytes)) = part(bytes) else { return };
    let Some((key, value)) = part(bytes) else { return };
    let _ = rewrite::named(value);
    let Ok(first) = rewrite::row(key, value, &|_| Some(payload.to_vec()), inline) else { return };
    let fetch = |hash: &[u8; 32]| first.large.iter().find(|(one, _)| one == hash).map(|(_, bytes)| bytes.clone());
    let again = rewrite::row(key, &first.value, &fetch, inline);
    assert_eq!(again.as_ref(), Ok(&first));
}

/// Bytes behind a byte for their length, and the rest.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// A row as [`run`] takes it.
fn input(inline: u8, payload: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0, inline, payload.len() as u8][..], payload, &[key.len() as u8], key, value].concat()
}

/// The rows of an engine with executions that wait: key and value.
async fn rows() -> Vec<(Vec<u8>, Vec<u8>)> {
    let (log, clock) = headwater_testkit::memory_log();
    let folder = tempfile::tempdir().expect("a folder");
    let log: Arc<dyn Log> = log;
    let context = Context { log: Some(Arc::clone(&log)), ..Context::without_node(folder.path()) };
    let parts = Parts {
        log: Arc::clone(&log),
        clock,
        node_limits: Arc::default(),
        limits: headwater_work::Limits::default(),
        services: Services::new(context, Settings::default()).expect("services"),
        handle: tokio::runtime::Handle::current(),
        secret: [7; 32],
        tasks_in_flight: NonZeroUsize::MIN,
    };
    let engine = Engine::open(parts).await.expect("an engine opens");
    let wait = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}});
    let map = json!({"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "W", "States": wait["States"]}});
    let task = json!({"Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:work",
        "HeartbeatSeconds": 40, "End": true});
    let both = json!({"Type": "Parallel", "Branches": [wait, {"StartAt": "T", "States": {"T": task}}], "End": true});
    for (name, state, input) in [("both", both, json!({"a": [1.5, null, "x"]})), ("map", map, json!([1, {"b": 2}]))] {
        let text = json!({"StartAt": "S", "States": {"S": state}}).to_string();
        let workflow = Workflow::new(name, 1, &text, false, Unknown::Retry, 60);
        engine.register(workflow).await.expect("a definition without faults");
        let start = StartExecution {
            workflow: name.to_owned(),
            input: Some(Json::from(input.to_string())),
            ..StartExecution::default()
        };
        engine.start(start).await.expect("it begins");
    }
    let mut rows = Vec::new();
    for space in 0..4 {
        log.for_each(&format!("work/{space}"), &mut |row, value| rows.push((row.to_vec(), value.to_vec())));
    }
    engine.close().await;
    rows
}

pub fn seeds() -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let rows = runtime.expect("a runtime").block_on(rows());
    let mut seeds: Vec<Vec<u8>> = (0..).zip(&rows).map(|(n, (key, value))| input(n % 3, b"", key, value)).collect();
    // A start, that its head makes, and what stands in a head's place for an end that was refused.
    let head = rows.iter().find(|(key, value)| key.get(16) == Some(&b'h') && value.len() < 128 * 128);
    if let Some((_, head)) = head {
        let length = [(head.len() % 128) as u8 | 0x80, (head.len() / 128) as u8];
        let message = [&[3][..], &length, head.as_slice(), &[0, 1, b'7']].concat();
        seeds.push(input(0, b"", &[&[0; 16][..], b"m"].concat(), &message));
    }
    let refused = [&[2][..], &[1; 32], &[1, 1, b'e', 0]].concat();
    seeds.push(input(0, b"", &[&[0; 16][..], b"m"].concat(), &refused));
    // A Map Run's bounds, and a list of items that is elsewhere: a thread's data.
    seeds.push(input(0, b"", &[&[0; 16][..], b"l", &[0; 16]].concat(), &[1, 1, 4, 1, 2, 0]));
    let away = [&[1, 0, 0, 0][..], &[0xff; 9], &[1], &[5; 32]].concat();
    seeds.push(input(1, &[2, 0, 6, 1, b'x'], &[&[0; 16][..], b"d", &[0, 0, 0, 1]].concat(), &away));
    let mut version = [&[1; 32][..], &[0, 1], &60_u64.to_be_bytes()].concat();
    version.extend_from_slice(br#"{"live":{"routes":[{"version":1,"weight":100}]}}"#);
    seeds.push([&[1][..], &version].concat());
    let piece = format!(
        r#"[{{"id":1,"type":"ExecutionStarted","executionStartedEventDetails":{{"input":{{"blob":"sha256:{}"}}}}}}]"#,
        "01".repeat(32)
    );
    seeds.push([&[2][..], piece.as_bytes()].concat());
    seeds.push([&[3][..], format!("5-{}", "0a".repeat(16)).as_bytes()].concat());
    seeds.push([&[3][..], "A".repeat(64).as_bytes()].concat());
    seeds
}
