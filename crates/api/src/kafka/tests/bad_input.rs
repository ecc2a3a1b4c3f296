//! What the listener gets that it should not: cut off, oversized, corrupt, unknown, too much at once.

use super::*;

/// One partition's data in a Produce.
fn data(partition: i32, records: Bytes) -> produce_request::PartitionProduceData {
    produce_request::PartitionProduceData::default().with_index(partition).with_records(Some(records))
}

fn produce(partitions: Vec<produce_request::PartitionProduceData>) -> ProduceRequest {
    let topic = produce_request::TopicProduceData::default().with_name(name("orders").into());
    ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic.with_partition_data(partitions)])
}

async fn create_with(peer: &mut Peer, partitions: i32, cleanup: &'static str) {
    let config = create_topics_request::CreatableTopicConfig::default();
    let config = config.with_name(name("cleanup.policy")).with_value(Some(name(cleanup)));
    let topic = create_topics_request::CreatableTopic::default()
        .with_name(name("orders").into())
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(vec![config]);
    let made: CreateTopicsResponse = peer.ask(19, 7, CreateTopicsRequest::default().with_topics(vec![topic])).await;
    assert_eq!(made.topics[0].error_code, 0);
}

#[tokio::test]
async fn nonsense_ends_its_connection_and_nothing_else() {
    let house = Arc::new(House::new(Limits::default()).await);
    for frame in [
        &b"\0\x03\0\x01\0\0\0\x01\xff\xff\x7f\xff\xff\xff"[..],
        b"\0\x03\0\x63\0\0\0\x01\xff\xff",
        b"\0\0\0\x01\0\0\0\x01\xff\xff",
        b"\x7f\xff\0\0\0\0\0\x01\xff\xff",
        b"\0\0\0\x03\0\0\0\x01\xff\xff\xff\xff\xff\xff\0\0\0\0\x7f\xff\xff\xff",
    ] {
        assert_eq!(Peer::of(&house).await.raw(frame).await, None);
    }
    create(&mut Peer::of(&house).await, 12).await;
}

#[tokio::test]
async fn frames_that_announce_too_much_or_too_little_are_refused_at_once() {
    let house = Arc::new(House::new(Limits::default()).await);
    for length in [i32::MAX, 100 * 1024 * 1024 + 1, 7, 0, -1, i32::MIN] {
        let mut socket = house.socket().await;
        socket.write_all(&length.to_be_bytes()).await.unwrap();
        assert!(socket.read_i32().await.is_err(), "a frame of {length} bytes");
    }
}

/// The longest request of those the listener knows, so that it is cut in many places.
#[tokio::test]
async fn a_request_cut_off_anywhere_gets_no_answer_and_harms_nobody() {
    let house = Arc::new(House::new(Limits::default()).await);
    let mut peer = Peer::of(&house).await;
    create(&mut peer, 12).await;
    for version in [3, 9, 12] {
        let whole = frame(0, version, &produce(vec![data(0, batch("v"))]));
        // Cut behind its header, with a length that says so.
        for cut in 8..whole.len() {
            let mut other = Peer::of(&house).await;
            assert_eq!(other.raw(&whole[..cut]).await, None, "version {version}, {cut} of {} bytes", whole.len());
        }
        // Cut by the end of the connection.
        let mut socket = house.socket().await;
        socket.write_all(&(whole.len() as i32).to_be_bytes()).await.unwrap();
        socket.write_all(&whole[..whole.len() - 1]).await.unwrap();
        drop(socket);
        let answer: ProduceResponse = peer.ask(0, version, produce(vec![data(0, batch("v"))])).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    // What was cut off was not taken in.
    assert_eq!(end_of(&mut peer, 0).await, 3);
}

async fn end_of(peer: &mut Peer, partition: i32) -> i64 {
    let wanted =
        list_offsets_request::ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(-1);
    let topic = list_offsets_request::ListOffsetsTopic::default().with_name(name("orders").into());
    let request = ListOffsetsRequest::default().with_topics(vec![topic.with_partitions(vec![wanted])]);
    let answer: ListOffsetsResponse = peer.ask(2, 7, request).await;
    answer.topics[0].partitions[0].offset
}

#[tokio::test]
async fn a_produce_request_has_no_more_elements_than_any_other() {
    let house = Arc::new(House::new(Limits { kafka_request_elements: 10, ..Limits::default() }).await);
    let mut peer = Peer::of(&house).await;
    create(&mut peer, 12).await;
    let request = |partitions: i32| produce((0..partitions).map(|index| data(index, batch("v"))).collect());
    for version in [3, 9] {
        let answer: ProduceResponse = peer.ask(0, version, request(9)).await;
        assert_eq!(answer.responses[0].partition_responses.len(), 9, "with the topic they are ten");
        assert_eq!(Peer::of(&house).await.raw(&frame(0, version, &request(10))).await, None, "version {version}");
    }
}

#[tokio::test]
async fn bytes_behind_a_request_are_ignored() {
    // librdkafka's Metadata for all topics, version 12: null, four flags, no tags, and three bytes too many.
    let request = b"\0\x03\0\x0c\0\0\0\x01\0\x01x\0\0\0\0\0\0\x01\0\0";
    assert!(Peer::new().await.raw(request).await.is_some());
}

#[tokio::test]
async fn a_corrupt_batch_is_refused_and_its_neighbours_are_not() {
    let house = Arc::new(House::real(Limits::default()).await);
    let mut peer = Peer::of(&house).await;
    create(&mut peer, 12).await;
    let flipped = |at: usize| {
        let mut bytes = BytesMut::from(&batch("value")[..]);
        bytes[at] ^= 1;
        bytes.freeze()
    };
    let two = Bytes::from([batch("a"), batch("b")].concat());
    let last = batch("value").len() - 1;
    let partitions = vec![data(0, flipped(last)), data(1, flipped(17)), data(2, batch("fine")), data(3, two)];
    let answer: ProduceResponse = peer.ask(0, 9, produce(partitions)).await;
    let codes: Vec<i16> = answer.responses[0].partition_responses.iter().map(|one| one.error_code).collect();
    // A wrong byte of a record, a wrong checksum; two batches are against the protocol since message format 2.
    assert_eq!(codes, [2, 2, 0, 87]);
    let cut = batch("value").slice(..40);
    let answer: ProduceResponse = peer.ask(0, 9, produce(vec![data(0, cut), data(1, Bytes::new())])).await;
    let codes: Vec<i16> = answer.responses[0].partition_responses.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [2, 2]);
    assert_eq!((end_of(&mut peer, 0).await, end_of(&mut peer, 2).await), (0, 1));
}

#[tokio::test]
async fn a_compacted_stream_names_the_records_without_key() {
    let house = Arc::new(House::real(Limits::default()).await);
    let mut peer = Peer::of(&house).await;
    create_with(&mut peer, 1, "compact").await;
    let mut builder = Builder::new(Compression::Lz4);
    for key in [Some(b"a".as_slice()), None, Some(b"b"), None] {
        builder.push(1_000, key, Some(b"v"), &[]);
    }
    let answer: ProduceResponse = peer.ask(0, 8, produce(vec![data(0, builder.finish().freeze())])).await;
    let refused = &answer.responses[0].partition_responses[0];
    assert_eq!(refused.error_code, 87);
    assert_eq!(refused.record_errors.iter().map(|record| record.batch_index).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        refused.error_message.as_deref(),
        Some("invalid record: compacted stream `orders` needs a key in each record")
    );
}

#[tokio::test]
async fn a_batch_over_the_streams_limit_is_refused_by_its_size() {
    let house = Arc::new(House::real(Limits::default()).await);
    let mut peer = Peer::of(&house).await;
    create_with(&mut peer, 1, "delete").await;
    let answer: ProduceResponse = peer.ask(0, 8, produce(vec![data(0, batch(&"x".repeat(1 << 20)))])).await;
    let refused = &answer.responses[0].partition_responses[0];
    assert_eq!(refused.error_code, 10);
    let message = refused.error_message.as_deref().unwrap_or_default();
    assert!(message.ends_with("the limit of this stream is 1048588"), "{message}");
}

/// 48 MiB in one request: more than fits one commit, and more than may wait for the disk at once.
#[tokio::test]
async fn a_request_larger_than_a_commit_is_taken_piece_by_piece() {
    let limits = Limits { unsynced_bytes: 8 << 20, ..Limits::default() };
    let house = Arc::new(House::real(limits).await);
    let mut peer = Peer::of(&house).await;
    create_with(&mut peer, 48, "delete").await;
    let records = batch(&"x".repeat(1_000_000));
    let partitions = (0..48).map(|partition| data(partition, records.clone())).collect();
    let answer: ProduceResponse = peer.ask(0, 9, produce(partitions)).await;
    let answers = &answer.responses[0].partition_responses;
    assert!(answers.iter().all(|one| (one.error_code, one.base_offset) == (0, 0)), "{answers:?}");
    assert_eq!(end_of(&mut peer, 47).await, 1);
}

#[tokio::test]
async fn a_refusal_that_nobody_wants_to_hear_ends_the_connection() {
    let mut peer = Peer::new().await;
    let request = produce(vec![data(0, batch("v"))]).with_acks(0);
    assert_eq!(peer.raw(&frame(0, 9, &request)).await, None);
}

#[tokio::test]
async fn a_claimed_producer_id_is_left_to_its_owner() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    let anew = || InitProducerIdRequest::default().with_transactional_id(None);
    let owner: InitProducerIdResponse = peer.ask(22, 4, anew()).await;
    let sent = |sequence: i32| {
        let mut builder = Builder::new(Compression::None);
        builder.producer(owner.producer_id.0, owner.producer_epoch, sequence);
        builder.push(1_000, Some(b"k"), Some(b"v"), &[]);
        builder.finish().freeze()
    };
    let answer: ProduceResponse = peer.ask(0, 9, produce(vec![data(0, sent(0))])).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    // Whoever names its id and epoch, or any, is given neither.
    for (id, epoch) in [(owner.producer_id.0, owner.producer_epoch), (owner.producer_id.0, 7), (9_999, 0)] {
        let claim = anew().with_producer_id(id.into()).with_producer_epoch(epoch);
        let given: InitProducerIdResponse = peer.ask(22, 4, claim).await;
        assert_eq!((given.error_code, given.producer_epoch), (0, 0));
        assert!(given.producer_id != owner.producer_id && given.producer_id.0 != 9_999, "{:?}", given.producer_id);
    }
    let half: InitProducerIdResponse = peer.ask(22, 4, anew().with_producer_id(owner.producer_id)).await;
    assert_eq!((half.error_code, half.producer_id.0), (42, -1));
    let answer: ProduceResponse = peer.ask(0, 9, produce(vec![data(0, sent(1))])).await;
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "the owner goes on");
}

#[tokio::test]
async fn a_partition_that_is_named_twice_is_read_once() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    for value in ["a", "b"] {
        let _: ProduceResponse = peer.ask(0, 9, produce(vec![data(0, batch(value))])).await;
    }
    let place = || list_offsets_request::ListOffsetsPartition::default().with_timestamp(-3);
    let topic = list_offsets_request::ListOffsetsTopic::default().with_name(name("orders").into());
    let topics = vec![topic.clone().with_partitions(vec![place(), place()]), topic.with_partitions(vec![place()])];
    let answer: ListOffsetsResponse = peer.ask(2, 7, ListOffsetsRequest::default().with_topics(topics)).await;
    let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [0, 42, 42]);

    let wanted =
        |offset| fetch_request::FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = fetch_request::FetchTopic::default().with_topic(name("orders").into());
    let topics =
        vec![topic.clone().with_partitions(vec![wanted(0), wanted(0)]), topic.with_partitions(vec![wanted(1)])];
    let request = FetchRequest::default().with_max_bytes(1 << 20).with_topics(topics);
    let answer: FetchResponse = peer.ask(1, 12, request).await;
    let found: Vec<_> = answer.responses.iter().flat_map(|topic| &topic.partitions).collect();
    assert_eq!(found.len(), 1);
    let first = records(found[0].records.as_ref().unwrap(), 1 << 20).unwrap().next().unwrap().unwrap();
    assert_eq!(first.offset, 1, "as it was named last");
}

#[tokio::test]
async fn what_is_named_many_times_is_answered_once() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    let topic = || metadata_request::MetadataRequestTopic::default().with_name(Some(name("orders").into()));
    let request = MetadataRequest::default().with_topics(Some(vec![topic(); 1_000]));
    let answer: MetadataResponse = peer.ask(3, 12, request).await;
    assert_eq!(answer.topics.len(), 1);
    let resource = describe_configs_request::DescribeConfigsResource::default().with_resource_type(2);
    let resource = resource.with_resource_name(name("orders")).with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource; 1_000]);
    let answer: DescribeConfigsResponse = peer.ask(32, 4, request).await;
    assert_eq!(answer.results.len(), 1);
    let groups = vec![GroupId(name("g")), GroupId(name("other")), GroupId(name("g"))];
    let answer: DescribeGroupsResponse = peer.ask(15, 5, DescribeGroupsRequest::default().with_groups(groups)).await;
    assert_eq!(answer.groups.len(), 2);
}

#[tokio::test]
async fn a_setting_is_no_longer_than_it_may_be() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    let config = |operation: i8, value: String| {
        incremental_alter_configs_request::AlterableConfig::default()
            .with_name(name("leader.replication.throttled.replicas"))
            .with_config_operation(operation)
            .with_value(Some(StrBytes::from_string(value)))
    };
    for (operation, value, code) in [
        (0, "x".repeat(32_768), 40),
        (2, "a,".repeat(5_000), 0),
        (2, "b,c,d,".repeat(6_000), 40),
        (0, "x".repeat(20_000), 0),
        (2, "y".repeat(20_000), 40),
        (3, "x".repeat(20_000), 0),
    ] {
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(name("orders"))
            .with_configs(vec![config(operation, value)]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer: IncrementalAlterConfigsResponse = peer.ask(44, 1, request).await;
        assert_eq!(answer.responses[0].error_code, code, "{:?}", answer.responses[0].error_message);
    }
}
