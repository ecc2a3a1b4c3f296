//! A disk that is full: what a Kafka client sees, and what is left of what it was told.

use headwater_log::Log;
use headwater_testkit::{FaultyDisk, log_on};

use super::*;

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_acknowledged_is_lost() {
    let disk = FaultyDisk::default();
    let (log, clock) = log_on(Arc::new(disk.clone()), Limits::default());
    let house = Arc::new(House::over(log.clone(), clock, Limits::default(), None).await);
    let mut peer = Peer::of(&house).await;
    create(&mut peer, 12).await;
    disk.set_full(true);
    let mut next = 0;
    let refused = loop {
        match produce(&mut peer, batch(&"x".repeat(900_000))).await {
            Ok(offset) => assert_eq!(offset, next),
            Err(code) => break code,
        }
        next += 1;
        assert!(next < 1_000, "the disk is full");
    };
    // Clients try again after this one.
    assert_eq!(refused, kafka_protocol::ResponseError::KafkaStorageError.code());
    // A topic cannot be made either, and nothing of it is left.
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(name("more").into()));
    let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    let answer: MetadataResponse = peer.ask(3, 12, request).await;
    let made = answer.topics[0].error_code == 0;
    assert_eq!(log.stream("more").is_some(), made);
    // What is there can still be fetched.
    let wanted = fetch_request::FetchPartition::default().with_partition_max_bytes(100).with_fetch_offset(next - 1);
    let topic = fetch_request::FetchTopic::default().with_topic(name("orders").into()).with_partitions(vec![wanted]);
    let fetch = FetchRequest::default().with_max_bytes(100).with_topics(vec![topic]);
    let answer: FetchResponse = peer.ask(1, 11, fetch).await;
    assert!(answer.responses[0].partitions[0].records.as_ref().is_some_and(|records| records.len() > 900_000));
    disk.set_full(false);
    let offset = loop {
        match produce(&mut peer, batch("again")).await {
            Ok(offset) => break offset,
            Err(code) => assert_eq!(code, refused),
        }
    };
    assert_eq!(offset, next, "what was refused was not written");
    drop(peer);
    drop(house);
    drop(log);
    disk.cut();
    disk.power_on(1);
    let (log, _) = log_on(Arc::new(disk), Limits::default());
    assert_eq!(log.ends(&headwater_base::Name::new("orders").unwrap(), 0).unwrap().durable, next + 1);
}

#[tokio::test]
async fn a_fetch_that_waits_for_the_disk_holds_nobody_else_up() {
    let disk = FaultyDisk::default();
    // Nothing stays in memory once it is filed.
    let limits = || Limits { tail_cache_bytes: 0, ..Limits::default() };
    let (log, clock) = log_on(Arc::new(disk.clone()), limits());
    let house = Arc::new(House::over(log.clone(), clock, limits(), None).await);
    let mut peer = Peer::of(&house).await;
    create(&mut peer, 12).await;
    produce(&mut peer, batch("v")).await.unwrap();
    log.maintain_now().unwrap();
    let held = disk.hold_reads();
    let fetching = tokio::spawn(async move {
        let wanted = fetch_request::FetchPartition::default().with_partition_max_bytes(100);
        let topic = fetch_request::FetchTopic::default().with_topic(name("orders").into());
        let fetch = FetchRequest::default().with_max_bytes(100).with_topics(vec![topic.with_partitions(vec![wanted])]);
        let answer: FetchResponse = peer.ask(1, 11, fetch).await;
        answer.responses[0].partitions[0].records.as_ref().map_or(0, Bytes::len)
    });
    while disk.reads_held() == 0 && !fetching.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(!fetching.is_finished(), "it was answered without the disk");
    // The test has one thread for all connections.
    assert_eq!(create(&mut Peer::of(&house).await, 12).await.topics[0].error_code, 0);
    drop(held);
    assert!(fetching.await.unwrap() > 0, "the read was not held for as long as it may be");
}
