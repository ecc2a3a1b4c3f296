//! What every implementation of the `Log` port must do, whichever engine is below: its documented contract, call by call.
//!
//! What it is NOT: a crash test. What survives a stop is up to each engine's own tests (`crash` for the embedded log).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use headwater_base::{Micros, Name};
use headwater_log::{Append, Cleanup, Commit, Delta, Log, LogError, StreamConfig, Ticket, View};
use headwater_wire::batch::{Builder, Compression};
use tokio::sync::Notify;

/// A stream configuration to start from.
pub fn config(partitions: u32) -> StreamConfig {
    StreamConfig {
        partitions,
        retention_ms: None,
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: 1 << 20,
        segment_bytes: 1 << 20,
        segment_ms: 3_600_000,
        delete_retention_ms: 1_000,
        append_time: false,
    }
}

/// A batch of `count` records, the first at time 0, each a millisecond later than the one before.
pub fn batch(count: u32) -> BytesMut {
    fill(Builder::new(Compression::None), count)
}

fn fill(mut builder: Builder, count: u32) -> BytesMut {
    for number in 0..count {
        builder.push(i64::from(number), Some(b"key"), Some(&number.to_le_bytes()), &[]);
    }
    builder.finish()
}

/// Holds a log to the port's contract; `make` answers an empty one each time.
///
/// # Panics
/// At the first thing that is not as it must be.
pub async fn conformance(make: &dyn Fn() -> Arc<dyn Log>) {
    streams(&*make()).await;
    records(&*make()).await;
    refusals(&*make()).await;
    producers(&*make()).await;
    commits(&*make()).await;
    state(&*make()).await;
    owners(&*make()).await;
    decided(&*make()).await;
    waiters(&*make()).await;
    times(&*make()).await;
}

/// Streams are created, grown and deleted; one created again under the same name is another one.
#[allow(clippy::unwrap_used)]
async fn streams(log: &dyn Log) {
    let (name, none) = (named("s"), named("none"));
    let made = log.create(name.clone(), config(2), vec![("k".into(), "v".into())]).await.unwrap();
    assert_eq!((made.name.as_str(), &made.config), ("s", &config(2)));
    assert_eq!(made.extra, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(log.stream("s").as_ref(), Some(&made));
    assert_eq!(log.create(name.clone(), config(1), Vec::new()).await, Err(LogError::StreamExists(name.clone())));
    assert!(matches!(log.create(none.clone(), config(0), Vec::new()).await, Err(LogError::Config(_))));
    let shrunk = log.alter(&name, config(1), Vec::new()).await;
    assert!(matches!(shrunk, Err(LogError::Config(_))), "partitions never shrink");
    assert_eq!(log.alter(&none, config(1), Vec::new()).await, Err(LogError::UnknownStream("none".into())));
    assert_eq!(log.ends(&name, 2).unwrap_err(), LogError::UnknownPartition(name.clone(), 2));
    let grown = log.alter(&name, config(3), Vec::new()).await.unwrap();
    assert_eq!((grown.id, grown.config.partitions, grown.created), (made.id, 3, made.created));
    assert_eq!(log.ends(&name, 2).unwrap().appended, 0);
    assert_eq!(log.ends(&none, 0).unwrap_err(), LogError::UnknownStream("none".into()));
    log.create(named("another"), config(1), Vec::new()).await.unwrap();
    let all: Vec<String> = log.streams().iter().map(|stream| stream.name.to_string()).collect();
    assert_eq!(all, ["another", "s"]);

    durable(log, append(log, &name, batch(1)).unwrap()).await;
    log.delete(&name).await.unwrap();
    assert!(log.stream("s").is_none());
    assert_eq!(log.ends(&name, 0).unwrap_err(), LogError::UnknownStream("s".into()));
    assert_eq!(append(log, &name, batch(1)).unwrap_err(), LogError::UnknownStream("s".into()));
    assert_eq!(log.delete(&name).await, Err(LogError::UnknownStream("s".into())));
    let again = log.create(name.clone(), config(1), Vec::new()).await.unwrap();
    assert_ne!(again.id, made.id);
    assert_eq!(log.ends(&name, 0).unwrap().appended, 0);
}

/// Offsets follow on; a read inside a batch answers the whole batch, at least one and about as many as asked.
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
async fn records(log: &dyn Log) {
    let name = named("s");
    log.create(name.clone(), config(1), Vec::new()).await.unwrap();
    for round in 0..3 {
        let ticket = append(log, &name, batch(4)).unwrap();
        let placed = ticket.placed[0];
        assert_eq!((placed.first, placed.last, placed.log_start), (round * 4, round * 4 + 3, 0));
        assert_eq!((placed.duplicate, placed.append_time), (false, None));
        assert_eq!(log.ends(&name, 0).unwrap().appended, round * 4 + 4, "appended at once");
        assert!(!log.read(&name, 0, round * 4, 1, View::Appended).unwrap().batches.is_empty(), "and readable at once");
        durable(log, ticket).await;
    }
    let ends = log.ends(&name, 0).unwrap();
    assert_eq!((ends.start, ends.durable, ends.stable, ends.appended), (0, 12, 12, 12));
    let one = log.read(&name, 0, 5, 1, View::Durable).unwrap();
    assert_eq!(one.ends, ends);
    let (header, _) = one.batches.each().next().unwrap().unwrap();
    assert_eq!((header.base_offset, header.last_offset()), (4, 7));
    assert_eq!(log.read(&name, 0, 0, 1 << 20, View::Durable).unwrap().batches.bytes(), one.batches.bytes() * 3);
    let two = log.read(&name, 0, 0, one.batches.bytes() * 2, View::Durable).unwrap().batches;
    assert_eq!(two.bytes(), one.batches.bytes() * 2);
    assert!(log.read(&name, 0, 12, 100, View::Durable).unwrap().batches.is_empty());
    let outside = LogError::OffsetOutOfRange { wanted: 13, start: 0, end: 12 };
    assert_eq!(log.read(&name, 0, 13, 100, View::Durable).unwrap_err(), outside);

    assert_eq!(log.trim(&name, 0, 6).await, Ok(6));
    assert_eq!(log.trim(&name, 0, 3).await, Ok(6), "a start never moves back");
    assert_eq!(log.ends(&name, 0).unwrap().start, 6);
    let before = LogError::OffsetOutOfRange { wanted: 5, start: 6, end: 12 };
    assert_eq!(log.read(&name, 0, 5, 100, View::Durable).unwrap_err(), before);
    assert!(!log.read(&name, 0, 6, 100, View::Durable).unwrap().batches.is_empty());
    assert!(matches!(log.trim(&name, 0, 99).await, Err(LogError::OffsetOutOfRange { .. })));
}

/// What a stream cannot take is refused, and nothing of it is there.
#[allow(clippy::unwrap_used)]
async fn refusals(log: &dyn Log) {
    let (name, table) = (named("s"), named("table"));
    log.create(name.clone(), StreamConfig { batch_bytes_max: 200, ..config(1) }, Vec::new()).await.unwrap();
    let compacted = StreamConfig { cleanup: Cleanup::Compact, ..config(1) };
    log.create(table.clone(), compacted, Vec::new()).await.unwrap();
    let mut flipped = batch(1);
    flipped.last_mut().into_iter().for_each(|byte| *byte ^= 1);
    assert!(matches!(append(log, &name, flipped), Err(LogError::CorruptBatch(_))));
    assert!(matches!(append(log, &name, BytesMut::new()), Err(LogError::CorruptBatch(_))));
    assert!(matches!(append(log, &name, batch(50)), Err(LogError::BatchTooLarge { limit: 200, .. })));
    let mut keyless = Builder::new(Compression::None);
    keyless.push(0, None, Some(b"value"), &[]);
    assert!(matches!(append(log, &table, keyless.finish()), Err(LogError::InvalidRecord(_))));
    for stream in [&name, &table] {
        assert_eq!(log.ends(stream, 0).unwrap().appended, 0);
    }
}

/// An idempotent producer's repeat answers the first sending's offsets; a gap and an old epoch are refused.
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
async fn producers(log: &dyn Log) {
    let name = named("s");
    log.create(name.clone(), config(1), Vec::new()).await.unwrap();
    let (id, other) = (log.producer_id().await.unwrap(), log.producer_id().await.unwrap());
    assert_ne!(id, other);
    let sent = |epoch: i16, sequence: i32| {
        let mut builder = Builder::new(Compression::None);
        builder.producer(id, epoch, sequence);
        fill(builder, 2)
    };
    for sequence in [0, 2, 4] {
        durable(log, append(log, &name, sent(0, sequence)).unwrap()).await;
    }
    let again = append(log, &name, sent(0, 2)).unwrap();
    assert_eq!((again.placed[0].first, again.placed[0].last, again.placed[0].duplicate), (2, 3, true));
    durable(log, again).await;
    let gap = LogError::OutOfOrderSequence { producer: id, got: 8, wanted: 6 };
    assert_eq!(append(log, &name, sent(0, 8)).unwrap_err(), gap);
    durable(log, append(log, &name, sent(1, 0)).unwrap()).await;
    assert_eq!(append(log, &name, sent(0, 6)).unwrap_err(), LogError::ProducerFenced(id, 0));
    assert_eq!(log.ends(&name, 0).unwrap().durable, 8);
}

/// All of a commit or nothing; a refused one is the caller's, whole, and may come again; of an accepted one the log has
/// the batches.
#[allow(clippy::unwrap_used)]
async fn commits(log: &dyn Log) {
    let (name, late) = (named("s"), named("late"));
    log.create(name.clone(), config(1), Vec::new()).await.unwrap();
    let mut builder = Builder::new(Compression::None);
    builder.producer(log.producer_id().await.unwrap(), 0, 0);
    let append = |stream: &Name, batches| Append { stream: stream.clone(), partition: 0, batches };
    let appends = vec![append(&name, fill(builder, 2)), append(&name, batch(1)), append(&late, batch(1))];
    let mut commit =
        Commit { appends, deltas: vec![(Arc::from("space"), vec![delta("k", Some("1"))])], ..Commit::default() };
    assert_eq!(log.append(&mut commit).unwrap_err(), LogError::UnknownStream("late".into()));
    assert_eq!(log.ends(&name, 0).unwrap().appended, 0);
    assert_eq!(log.get("space", b"k", View::Appended), None);
    log.create(late.clone(), config(1), Vec::new()).await.unwrap();
    let ticket = log.append(&mut commit).unwrap();
    assert!(commit.appends.iter().all(|append| append.batches.is_empty()));
    let placed: Vec<_> = ticket.placed.iter().map(|one| (one.first, one.last, one.duplicate)).collect();
    assert_eq!(placed, [(0, 1, false), (2, 2, false), (0, 0, false)], "also two appends to one partition");
    durable(log, ticket).await;
    assert_eq!(log.get("space", b"k", View::Durable).as_deref(), Some(&b"1"[..]));
    log.room(&commit.streams()).now_or_never().unwrap();
}

/// The later change of a key wins and is seen at once by those who may; spaces are listed in order, and dropped whole.
#[allow(clippy::unwrap_used)]
async fn state(log: &dyn Log) {
    let put = |deltas: Vec<Delta>| {
        log.append(&mut Commit { deltas: vec![(Arc::from("space"), deltas)], ..Commit::default() })
    };
    let ticket =
        put(vec![delta("b", Some("1")), delta("b", Some("2")), delta("a", Some("3")), delta("c", Some("4"))]).unwrap();
    assert_eq!(log.get("space", b"b", View::Appended).as_deref(), Some(&b"2"[..]));
    durable(log, ticket).await;
    assert_eq!(log.get("space", b"b", View::Durable).as_deref(), Some(&b"2"[..]));
    let mut shown: Vec<Option<Vec<u8>>> = Vec::new();
    for (space, key) in [("space", b"b"), ("space", b"z"), ("none", b"b")] {
        for view in [View::Appended, View::Durable] {
            log.look(space, key, view, &mut |value| shown.push(value.map(<[u8]>::to_vec)));
        }
    }
    let two = Some(b"2".to_vec());
    assert_eq!(shown, [two.clone(), two, None, None, None, None], "once for each look, whatever is there");
    durable(log, put(vec![delta("c", None), delta("bb", Some("5"))]).unwrap()).await;
    let pairs = |found: Vec<(Bytes, Bytes)>| -> Vec<String> {
        found.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect()
    };
    assert_eq!(pairs(log.scan("space", b"", None, 10)), ["a=3", "b=2", "bb=5"]);
    assert_eq!(pairs(log.scan("space", b"b", None, 10)), ["b=2", "bb=5"]);
    assert_eq!(pairs(log.scan("space", b"", Some(b"a"), 1)), ["b=2"]);
    let mut seen = Vec::new();
    log.for_each("space", &mut |key, value| seen.push(format!("{}={}", text(key), text(value))));
    seen.sort();
    assert_eq!(seen, ["a=3", "b=2", "bb=5"]);
    assert!(log.space_bytes("space") >= 7, "what its keys and values take, at least");
    assert!(log.space("none").is_none());
    let found = log.space("space").unwrap();
    let in_found = |key: &[u8], view| {
        let mut shown = Vec::new();
        found.look(key, view, &mut |value| shown.push(value.map(text)));
        shown
    };
    assert_eq!(in_found(b"a", View::Durable), [Some("3".to_owned())]);
    let ticket = put(vec![delta("a", Some("7"))]).unwrap();
    assert_eq!(in_found(b"a", View::Appended), [Some("7".to_owned())], "what is found shows what comes later");
    durable(log, ticket).await;
    assert_eq!(
        (in_found(b"a", View::Durable), in_found(b"z", View::Durable)),
        (vec![Some("7".to_owned())], vec![None])
    );
    assert!(!found.is_dropped());
    log.drop_space("space").await.unwrap();
    assert!(found.is_dropped() && log.space("space").is_none());
    assert_eq!(log.space_bytes("space"), 0);
    assert_eq!(log.get("space", b"a", View::Durable), None);
    assert!(log.scan("space", b"", None, 10).is_empty());
    durable(log, put(vec![delta("d", Some("6"))]).unwrap()).await;
    assert_eq!(pairs(log.scan("space", b"", None, 10)), ["d=6"]);
    assert!(found.is_dropped() && !log.space("space").unwrap().is_dropped(), "another of the same name");
}

/// A newer owner shuts out the older one.
#[allow(clippy::unwrap_used)]
async fn owners(log: &dyn Log) {
    let owner = named("owner");
    let (old, new) = (log.fence(&owner).await.unwrap(), log.fence(&owner).await.unwrap());
    let fenced = |epoch| Commit {
        fence: Some((owner.clone(), epoch)),
        deltas: vec![(Arc::from("space"), vec![delta("k", Some("v"))])],
        ..Commit::default()
    };
    assert_eq!(log.append(&mut fenced(old)).unwrap_err(), LogError::Fenced(owner.clone(), old));
    assert_eq!(log.get("space", b"k", View::Appended), None);
    durable(log, log.append(&mut fenced(new)).unwrap()).await;
}

/// A commit that was decided by what is appended is refused once more is, and where a producer sent it before.
#[allow(clippy::unwrap_used)]
async fn decided(log: &dyn Log) {
    let name = named("s");
    log.create(name.clone(), config(2), Vec::new()).await.unwrap();
    let commit = |batches, end| Commit {
        appends: vec![Append { stream: name.clone(), partition: 0, batches }],
        ends: vec![(name.clone(), 0, end), (name.clone(), 1, 0)],
        ..Commit::default()
    };
    durable(log, log.append(&mut commit(batch(2), 0)).unwrap()).await;
    assert_eq!(log.append(&mut commit(batch(1), 0)).unwrap_err(), LogError::Moved(name.clone(), 0, 2));
    let id = log.producer_id().await.unwrap();
    let sent = || {
        let mut builder = Builder::new(Compression::None);
        builder.producer(id, 0, 0);
        fill(builder, 1)
    };
    durable(log, log.append(&mut commit(sent(), 2)).unwrap()).await;
    assert_eq!(log.append(&mut commit(sent(), 3)).unwrap_err(), LogError::Repeated);
    assert_eq!(log.ends(&name, 0).unwrap().appended, 3);
}

/// Whoever waits for records is told once: when they come, at once when they are there, and when the stream goes.
#[allow(clippy::unwrap_used)]
async fn waiters(log: &dyn Log) {
    let name = named("s");
    log.create(name.clone(), config(1), Vec::new()).await.unwrap();
    for view in [View::Appended, View::Durable] {
        let end = log.ends(&name, 0).unwrap().appended;
        let waiter = Arc::new(Notify::new());
        log.wake_after(&name, 0, end, view, &waiter).unwrap();
        assert!(waiter.notified().now_or_never().is_none(), "nothing has come");
        durable(log, append(log, &name, batch(1)).unwrap()).await;
        waiter.notified().await;
        log.wake_after(&name, 0, end, view, &waiter).unwrap();
        assert!(waiter.notified().now_or_never().is_some(), "it is there already");
    }
    let waiter = Arc::new(Notify::new());
    log.wake_after(&name, 0, 100, View::Durable, &waiter).unwrap();
    log.delete(&name).await.unwrap();
    waiter.notified().await;
    let gone = log.wake_after(&name, 0, 0, View::Durable, &waiter);
    assert_eq!(gone, Err(LogError::UnknownStream("s".into())));
}

/// The first record at or after a time is found; a stream may keep the time of arrival instead of the producers'.
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
async fn times(log: &dyn Log) {
    let (name, arrival) = (named("s"), named("arrival"));
    log.create(name.clone(), config(1), Vec::new()).await.unwrap();
    durable(log, append(log, &name, batch(10)).unwrap()).await;
    let at = Micros::from_millis;
    assert_eq!(log.find_time(&name, 0, at(-5)), Ok(Some((0, at(0)))));
    assert_eq!(log.find_time(&name, 0, at(7)), Ok(Some((7, at(7)))));
    assert_eq!(log.find_time(&name, 0, at(10)), Ok(None));
    log.create(arrival.clone(), StreamConfig { append_time: true, ..config(1) }, Vec::new()).await.unwrap();
    let ticket = append(log, &arrival, batch(2)).unwrap();
    let time = ticket.placed[0].append_time.unwrap();
    durable(log, ticket).await;
    let read = log.read(&arrival, 0, 0, 1_000, View::Durable).unwrap().batches;
    let (header, _) = read.each().next().unwrap().unwrap();
    assert_eq!(header.max_timestamp, time.millis());
}

fn append(log: &dyn Log, stream: &Name, batches: BytesMut) -> Result<Ticket, LogError> {
    let appends = vec![Append { stream: stream.clone(), partition: 0, batches }];
    log.append(&mut Commit { appends, ..Commit::default() })
}

#[allow(clippy::unwrap_used)]
async fn durable(log: &dyn Log, ticket: Ticket) {
    log.durable(ticket.sequence).await.unwrap();
}

#[allow(clippy::unwrap_used)]
fn named(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn delta(key: &'static str, value: Option<&'static str>) -> Delta {
    Delta { key: Bytes::from_static(key.as_bytes()), value: value.map(|value| Bytes::from_static(value.as_bytes())) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
