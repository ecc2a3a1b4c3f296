//! What every implementation of the `Log` port must do, whichever engine is below.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headwater_base::Name;
use headwater_log::{Append, Cleanup, Commit, Delta, Log, LogError, StreamConfig, Ticket, View};
use headwater_wire::batch::{Builder, Compression};

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

/// A batch of `count` records.
pub fn batch(count: u32) -> BytesMut {
    let mut builder = Builder::new(Compression::None);
    for number in 0..count {
        builder.push(i64::from(number), Some(b"key"), Some(&number.to_le_bytes()), &[]);
    }
    builder.finish()
}

/// Holds a log to the port's contract; `make` answers an empty one each time.
///
/// # Panics
/// At the first thing that is not as it must be.
#[allow(clippy::unwrap_used)]
pub async fn conformance(make: &dyn Fn() -> Arc<dyn Log>) {
    let log = make();
    let name = Name::new("s").unwrap();
    let none = Name::new("none").unwrap();

    // Streams.
    let made = log.create(name.clone(), config(2), vec![("k".into(), "v".into())]).await.unwrap();
    assert_eq!(log.stream("s").as_ref(), Some(&made));
    assert_eq!(log.create(name.clone(), config(1), Vec::new()).await, Err(LogError::StreamExists(name.clone())));
    assert!(
        matches!(log.alter(&name, config(1), Vec::new()).await, Err(LogError::Config(_))),
        "partitions never shrink"
    );
    assert_eq!(log.alter(&name, config(3), Vec::new()).await.unwrap().id, made.id);
    assert!(matches!(log.create(none.clone(), config(0), Vec::new()).await, Err(LogError::Config(_))));
    assert_eq!(log.ends(&name, 3).unwrap_err(), LogError::UnknownPartition(name.clone(), 3));
    assert_eq!(log.ends(&none, 0).unwrap_err(), LogError::UnknownStream("none".into()));

    // Records: offsets follow on, a read inside a batch answers the whole batch, at least one and about as many as asked.
    for round in 0..3 {
        let ticket = append(&*log, &name, batch(4)).unwrap();
        assert_eq!((ticket.placed[0].first, ticket.placed[0].last), (round * 4, round * 4 + 3));
        log.durable(ticket.sequence).await.unwrap();
    }
    let ends = log.ends(&name, 0).unwrap();
    assert_eq!((ends.start, ends.durable, ends.stable, ends.appended), (0, 12, 12, 12));
    let one = log.read(&name, 0, 5, 1, View::Durable).unwrap().batches;
    assert_eq!(i64::from_be_bytes(one[..8].try_into().unwrap()), 4);
    assert_eq!(log.read(&name, 0, 0, 1 << 20, View::Durable).unwrap().batches.len(), one.len() * 3);
    assert!(log.read(&name, 0, 12, 100, View::Durable).unwrap().batches.is_empty());
    let outside = LogError::OffsetOutOfRange { wanted: 13, start: 0, end: 12 };
    assert_eq!(log.read(&name, 0, 13, 100, View::Durable).unwrap_err(), outside);
    assert_eq!(log.trim(&name, 0, 6).await, Ok(6));
    assert_eq!(log.ends(&name, 0).unwrap().start, 6);
    assert!(log.trim(&name, 0, 99).await.is_err());

    // All of a commit or nothing: the second append is refused, so the first and the state are not there.
    let delta = |value: &'static [u8]| Delta { key: Bytes::from_static(b"k"), value: Some(Bytes::from_static(value)) };
    let appends = vec![
        Append { stream: name.clone(), partition: 1, batches: batch(1) },
        Append { stream: none.clone(), partition: 0, batches: batch(1) },
    ];
    let refused = log.append(&Commit { appends, deltas: vec![(Arc::from("space"), vec![delta(b"1")])], fence: None });
    assert_eq!(refused.unwrap_err(), LogError::UnknownStream("none".into()));
    assert_eq!(log.ends(&name, 1).unwrap().appended, 0);
    assert_eq!(log.get("space", b"k", View::Appended), None);

    // State: the later change of a key wins, and is seen at once by those who may.
    let deltas = vec![(Arc::from("space"), vec![delta(b"1"), delta(b"2")])];
    let ticket = log.append(&Commit { deltas, ..Commit::default() }).unwrap();
    assert_eq!(log.get("space", b"k", View::Appended).as_deref(), Some(&b"2"[..]));
    log.durable(ticket.sequence).await.unwrap();
    assert_eq!(log.get("space", b"k", View::Durable).as_deref(), Some(&b"2"[..]));
    assert_eq!(log.scan("space", b"", None, 10), [(Bytes::from_static(b"k"), Bytes::from_static(b"2"))]);
    assert!(log.scan("space", b"", Some(b"k"), 10).is_empty());

    // A newer owner shuts out the older one.
    let owner = Name::new("owner").unwrap();
    let (old, new) = (log.fence(&owner).await.unwrap(), log.fence(&owner).await.unwrap());
    let fenced = |epoch| Commit { fence: Some((owner.clone(), epoch)), ..Commit::default() };
    assert_eq!(log.append(&fenced(old)).unwrap_err(), LogError::Fenced(owner.clone(), old));
    log.append(&fenced(new)).unwrap();
    assert_ne!(log.producer_id().await.unwrap(), log.producer_id().await.unwrap());

    // Gone is gone, and a stream of the same name is another one.
    log.drop_space("space").await.unwrap();
    assert_eq!(log.get("space", b"k", View::Durable), None);
    log.delete(&name).await.unwrap();
    assert_eq!(log.ends(&name, 0).unwrap_err(), LogError::UnknownStream("s".into()));
    let again = log.create(name.clone(), config(1), Vec::new()).await.unwrap();
    assert_ne!(again.id, made.id);
    assert_eq!(log.ends(&name, 0).unwrap().appended, 0);
}

fn append(log: &dyn Log, stream: &Name, batches: BytesMut) -> Result<Ticket, LogError> {
    let appends = vec![Append { stream: stream.clone(), partition: 0, batches }];
    log.append(&Commit { appends, ..Commit::default() })
}
