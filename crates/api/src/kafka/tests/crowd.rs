//! Many clients at once, and clients that do not take what they asked for.

use std::time::Duration;

use super::*;

/// Waits until `is`, but not for ever.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !is().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within 20 s");
        tokio::task::yield_now().await;
    }
}

/// All turns of the work that is done apart are taken, and given back.
#[tokio::test]
async fn metadata_of_many_partitions_is_made_apart_and_holds_up_nobody() {
    let house = Arc::new(House::new(Limits::default()).await);
    let mut config = config_keys::defaults(1_001, &house.service.limits);
    let wide = headwater_base::Name::new("wide").unwrap();
    house.service.log.create(wide, config.clone(), Vec::new()).await.unwrap();
    config.partitions = 2;
    house.service.log.create(headwater_base::Name::new("small").unwrap(), config, Vec::new()).await.unwrap();
    let turns = house.service.apart.acquire_many(house.service.limits.kafka_file_requests as u32).await.unwrap();
    let (mut peer, mut other) = (Peer::of(&house).await, Peer::of(&house).await);
    peer.send(&frame(3, 12, &MetadataRequest::default().with_topics(None))).await;
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(name("small").into()));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let answer: MetadataResponse = other.ask(3, 12, request).await;
    assert_eq!(answer.topics[0].partitions.len(), 2);
    let mut early = [0];
    let looked = peer.socket.try_read(&mut early);
    assert_eq!(looked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(turns);
    let mut answer = peer.next().await.unwrap();
    ResponseHeader::decode(&mut answer, MetadataResponse::header_version(12)).unwrap();
    let answer = MetadataResponse::decode(&mut answer, 12).unwrap();
    let mut partitions: Vec<usize> = answer.topics.iter().map(|topic| topic.partitions.len()).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [2, 1_001]);
}

#[tokio::test]
async fn connections_over_the_limit_end_at_once_and_come_in_when_one_leaves() {
    let house = Arc::new(House::new(Limits { kafka_connections: 50, ..Limits::default() }).await);
    let mut idle = Vec::new();
    for _ in 0..50 {
        let mut peer = Peer::of(&house).await;
        create(&mut peer, 12).await;
        idle.push(peer);
    }
    let mut refused = house.socket().await;
    assert!(refused.read_i32().await.is_err(), "the 51st connection is closed");
    // Those that are in go on.
    create(&mut idle[0], 12).await;
    idle.pop();
    until("a place is free again", async || {
        let mut peer = Peer::of(&house).await;
        peer.raw(b"\0\x12\0\0\0\0\0\x01\xff\xff").await.is_some()
    })
    .await;
}

/// Fetches of everything in `orders`, one after the other without waiting for the answers.
async fn ask_without_reading(socket: &mut TcpStream, times: usize) {
    let wanted = fetch_request::FetchPartition::default().with_partition_max_bytes(i32::MAX);
    let topic = fetch_request::FetchTopic::default().with_topic(name("orders").into()).with_partitions(vec![wanted]);
    let request = FetchRequest::default().with_max_bytes(i32::MAX).with_min_bytes(1).with_topics(vec![topic]);
    let frame = frame(1, 11, &request);
    for _ in 0..times {
        socket.write_all(&(frame.len() as i32).to_be_bytes()).await.unwrap();
        socket.write_all(&frame).await.unwrap();
    }
}

/// Thirty clients ask for 200 MB each and read nothing: the answers in memory stay within their bound, clients are put
/// out until there is room again, and others are served meanwhile.
#[tokio::test]
async fn clients_that_do_not_read_neither_fill_memory_nor_block_others() {
    const MIB: usize = 1 << 20;
    let limits = Limits { kafka_fetch_bytes: 8 * MIB, kafka_stalled_ms: 200, ..Limits::default() };
    let house = Arc::new(House::new(limits).await);
    let mut peer = Peer::of(&house).await;
    create(&mut peer, 12).await;
    for _ in 0..8 {
        produce(&mut peer, batch(&"x".repeat(MIB - 1_000))).await.unwrap();
    }
    let mut silent = Vec::new();
    for _ in 0..30 {
        let mut socket = house.socket().await;
        ask_without_reading(&mut socket, 25).await;
        silent.push(socket);
    }
    let held = || house.service.fetched_bytes.load(std::sync::atomic::Ordering::Relaxed);
    let mut most = 0;
    until("there is room again", async || {
        // Others are served all the while.
        create(&mut peer, 12).await;
        most = most.max(held());
        most > 8 * MIB && held() <= 8 * MIB
    })
    .await;
    // Twice the budget, and the one answer that passed it.
    assert!(most <= 2 * 8 * MIB + 8 * MIB, "{} MiB were held", most / MIB);
    // A reader that reads gets everything.
    let mut reader = house.socket().await;
    ask_without_reading(&mut reader, 1).await;
    assert!(reader.read_i32().await.unwrap() > 1_000_000);
}

#[tokio::test]
async fn a_large_request_that_stops_half_way_gives_its_memory_back() {
    let limits = Limits { kafka_requests_bytes: 4 << 20, kafka_stalled_ms: 200, ..Limits::default() };
    let house = Arc::new(House::new(limits).await);
    let all = house.service.request_room.available_permits();
    let mut slow = house.socket().await;
    slow.write_all(&(4_000_000_i32).to_be_bytes()).await.unwrap();
    slow.write_all(&[0; 100_000]).await.unwrap();
    until("it takes its share", async || house.service.request_room.available_permits() < all / 2).await;
    // Small requests of others need no share.
    create(&mut Peer::of(&house).await, 12).await;
    assert!(slow.read_i32().await.is_err(), "the connection ends");
    until("the share is given back", async || house.service.request_room.available_permits() == all).await;
}
