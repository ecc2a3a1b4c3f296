//! What administrators ask: every version of each API, and what refuses them.

use super::*;

async fn produce_some(peer: &mut Peer, count: usize) {
    for _ in 0..count {
        produce(peer, batch("v")).await.unwrap();
    }
}

/// Error code and low watermark.
async fn delete_records(peer: &mut Peer, version: i16, partition: i32, offset: i64) -> (i16, i64) {
    let wanted = delete_records_request::DeleteRecordsPartition::default();
    let wanted = wanted.with_partition_index(partition).with_offset(offset);
    let topic = delete_records_request::DeleteRecordsTopic::default().with_name(name("orders").into());
    let request = DeleteRecordsRequest::default().with_topics(vec![topic.with_partitions(vec![wanted])]);
    let answer: DeleteRecordsResponse = peer.ask(21, version, request).await;
    let answer = &answer.topics[0].partitions[0];
    (answer.error_code, answer.low_watermark)
}

#[tokio::test]
async fn records_are_deleted_up_to_an_offset_and_never_come_back() {
    let mut peer = Peer::of(&Arc::new(House::real(Limits::default()).await)).await;
    create(&mut peer, 12).await;
    produce_some(&mut peer, 10).await;
    assert_eq!(delete_records(&mut peer, 0, 0, 3).await, (0, 3));
    assert_eq!(delete_records(&mut peer, 1, 0, 2).await, (0, 3), "the start never goes back");
    assert_eq!(delete_records(&mut peer, 2, 0, 11).await, (1, -1), "behind the end");
    assert_eq!(delete_records(&mut peer, 2, 0, -2).await, (1, -1));
    assert_eq!(delete_records(&mut peer, 2, 9, 0).await, (3, -1), "no such partition");
    assert_eq!(delete_records(&mut peer, 2, 0, -1).await, (0, 10), "-1 stands for the end");
    let wanted = fetch_request::FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = fetch_request::FetchTopic::default().with_topic(name("orders").into());
    let request =
        FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![topic.with_partitions(vec![wanted])]);
    let answer: FetchResponse = peer.ask(1, 11, request).await;
    assert_eq!(
        (answer.responses[0].partitions[0].error_code, answer.responses[0].partitions[0].log_start_offset),
        (1, -1)
    );
}

/// A key's value and whether it was set by somebody.
async fn config(peer: &mut Peer, key: &'static str) -> (String, bool) {
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(name("orders"))
        .with_configuration_keys(Some(vec![name(key)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer: DescribeConfigsResponse = peer.ask(32, 4, request).await;
    let found = &answer.results[0].configs[0];
    (found.value.as_deref().unwrap_or_default().to_owned(), found.config_source == 1)
}

async fn alter(peer: &mut Peer, version: i16, configs: &[(&'static str, &'static str)], check_only: bool) -> i16 {
    let configs = configs.iter().map(|(key, value)| {
        alter_configs_request::AlterableConfig::default().with_name(name(key)).with_value(Some(name(value)))
    });
    let resource = alter_configs_request::AlterConfigsResource::default().with_resource_type(2);
    let resource = resource.with_resource_name(name("orders")).with_configs(configs.collect());
    let request = AlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(check_only);
    let answer: AlterConfigsResponse = peer.ask(33, version, request).await;
    answer.responses[0].error_code
}

#[tokio::test]
async fn alter_configs_replaces_all_that_was_set() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    for version in 0..=2 {
        assert_eq!(alter(&mut peer, version, &[("retention.ms", "60000"), ("flush.ms", "5")], false).await, 0);
        assert_eq!(config(&mut peer, "retention.ms").await, ("60000".into(), true));
        assert_eq!(config(&mut peer, "flush.ms").await, ("5".into(), true));
        assert_eq!(alter(&mut peer, version, &[("cleanup.policy", "compact")], true).await, 0);
        assert_eq!(config(&mut peer, "cleanup.policy").await, ("delete".into(), false), "only checked");
        assert_eq!(alter(&mut peer, version, &[("flush.ms", "6")], false).await, 0);
        assert_eq!(config(&mut peer, "retention.ms").await, ("604800000".into(), false), "back to its default");
    }
    // Whom the node made a stream for is none of what a client set, and is not lost by what it sets.
    let log = peer.house.service.log.clone();
    let orders = log.stream("orders").unwrap();
    assert_eq!(headwater_kernel::made::asked_by(&orders), Some("kafka/test"));
    let mark = (headwater_kernel::made::MARK.to_owned(), "Pipeline/p".to_owned());
    log.alter(&orders.name, orders.config.clone(), vec![mark.clone()]).await.unwrap();
    assert_eq!(alter(&mut peer, 2, &[("flush.ms", "6")], false).await, 0);
    assert_eq!(config(&mut peer, "flush.ms").await, ("6".into(), true));
    assert!(log.stream("orders").unwrap().extra.contains(&mark));
    assert_eq!(alter(&mut peer, 2, &[("retention.ms", "soon")], false).await, 40);
    assert_eq!(alter(&mut peer, 2, &[("retention.mss", "1")], false).await, 40);
    assert_eq!(alter(&mut peer, 2, &[("flush.ms", "1"), ("flush.ms", "2")], false).await, 42);
}

#[tokio::test]
async fn a_stream_takes_as_large_a_batch_as_it_says() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    let large = "x".repeat(2 << 20);
    assert_eq!(produce(&mut peer, batch(&large)).await, Err(10), "over the default");
    assert_eq!(alter(&mut peer, 2, &[("max.message.bytes", "3000000")], false).await, 0);
    assert_eq!(produce(&mut peer, batch(&large)).await, Ok(0));
    assert_eq!(produce(&mut peer, batch(&"x".repeat(3_000_000))).await, Err(10));
    // Nothing is promised that the log would not keep.
    assert_eq!(alter(&mut peer, 2, &[("max.message.bytes", "8388608")], false).await, 0);
    assert_eq!(alter(&mut peer, 2, &[("max.message.bytes", "8388609")], false).await, 40);
    assert_eq!(config(&mut peer, "max.message.bytes").await, ("8388608".into(), true));
}

/// Operations: 0 set, 1 back to the default, 2 append, 3 subtract.
async fn alter_some(
    peer: &mut Peer,
    version: i16,
    changes: &[(&'static str, i8, Option<&'static str>)],
) -> (i16, String) {
    let configs = changes.iter().map(|(key, operation, value)| {
        incremental_alter_configs_request::AlterableConfig::default()
            .with_name(name(key))
            .with_config_operation(*operation)
            .with_value(value.map(name))
    });
    let resource = incremental_alter_configs_request::AlterConfigsResource::default().with_resource_type(2);
    let resource = resource.with_resource_name(name("orders")).with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer: IncrementalAlterConfigsResponse = peer.ask(44, version, request).await;
    let answer = &answer.responses[0];
    (answer.error_code, answer.error_message.as_deref().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn incremental_alter_configs_changes_what_it_names() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    for version in 0..=1 {
        let changes = [("retention.ms", 0, Some("60000")), ("cleanup.policy", 2, Some("compact"))];
        assert_eq!(alter_some(&mut peer, version, &changes).await.0, 0);
        assert_eq!(config(&mut peer, "cleanup.policy").await, ("compact,delete".into(), true));
        let changes = [("cleanup.policy", 3, Some("compact"))];
        assert_eq!(alter_some(&mut peer, version, &changes).await.0, 0);
        assert_eq!(config(&mut peer, "retention.ms").await, ("60000".into(), true), "not named, not changed");
        assert_eq!(config(&mut peer, "cleanup.policy").await.0, "delete");
        assert_eq!(alter_some(&mut peer, version, &[("retention.ms", 1, None)]).await.0, 0);
        assert_eq!(config(&mut peer, "retention.ms").await, ("604800000".into(), false));
    }
    let (code, message) = alter_some(&mut peer, 1, &[("retention.ms", 2, Some("1"))]).await;
    assert_eq!((code, message.as_str()), (40, "`retention.ms` is not a list, which append and subtract need"));
}

#[tokio::test]
async fn what_a_resource_says_of_a_stream_is_changed_in_the_resource() {
    // A resource that keeps `orders` for a minute.
    let owners: Owners = Arc::new(|stream, wanted| {
        let kept = StreamConfig { retention_ms: Some(60_000), ..wanted };
        (stream.name.as_str() == "orders").then(|| ("Stream/orders".to_owned(), kept))
    });
    let mut peer = Peer::of(&Arc::new(House::but(|service| service.with_owners(owners)).await)).await;
    create(&mut peer, 12).await;
    assert_eq!(alter_some(&mut peer, 1, &[("retention.ms", 0, Some("60000"))]).await.0, 0, "it says the same");
    assert_eq!(alter_some(&mut peer, 1, &[("segment.bytes", 0, Some("1048576"))]).await.0, 0, "it says nothing of it");
    let (code, message) = alter_some(&mut peer, 1, &[("retention.ms", 0, Some("5"))]).await;
    let told = "`Stream/orders` says what `retention.ms` is; change the resource, it would change it back";
    assert_eq!((code, message.as_str()), (44, told));
    assert_eq!(config(&mut peer, "retention.ms").await.0, "60000");
    assert_eq!(
        alter(&mut peer, 2, &[("segment.bytes", "1048577")], false).await,
        44,
        "the default is another retention"
    );
    let request = DeleteTopicsRequest::default().with_topic_names(vec![name("orders").into()]);
    let answer: DeleteTopicsResponse = peer.ask(20, 5, request).await;
    assert_eq!(answer.responses[0].error_code, 44);
    assert!(answer.responses[0].error_message.as_ref().is_some_and(|message| message.contains("`Stream/orders`")));
    assert!(peer.house.service.log.stream("orders").is_some());
}

#[tokio::test]
async fn topics_are_not_made_by_naming_them_where_that_is_switched_off() {
    let off = |mut service: KafkaService| {
        service.settings.auto_create = false;
        service
    };
    let mut peer = Peer::of(&Arc::new(House::but(off).await)).await;
    assert_eq!(create(&mut peer, 12).await.topics[0].error_code, 3);
    assert!(peer.house.service.log.stream("orders").is_none());
    let resource = describe_configs_request::DescribeConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(name("0"))
        .with_configuration_keys(Some(vec![name("auto.create.topics.enable")]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer: DescribeConfigsResponse = peer.ask(32, 4, request).await;
    assert_eq!(answer.results[0].configs[0].value.as_deref(), Some("false"));
}

#[tokio::test]
async fn the_one_leader_has_epoch_0_since_the_beginning() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    produce_some(&mut peer, 5).await;
    for version in 2..=4 {
        // Partition, the epoch the client believes in, the epoch it asks for; code, epoch and end it is told.
        let cases = [(0, -1, 0, (0, 0, 5)), (1, -1, 0, (0, 0, 0)), (0, -1, 1, (0, -1, -1)), (9, -1, 0, (3, -1, -1))];
        for (partition, believed, wanted, told) in cases {
            let wanted = offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
                .with_partition(partition)
                .with_current_leader_epoch(believed)
                .with_leader_epoch(wanted);
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default();
            let topic = topic.with_topic(name("orders").into()).with_partitions(vec![wanted]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            let answer: OffsetForLeaderEpochResponse = peer.ask(23, version, request).await;
            let answer = &answer.topics[0].partitions[0];
            assert_eq!((answer.error_code, answer.leader_epoch, answer.end_offset), told, "version {version}");
        }
    }
}

fn group() -> GroupId {
    name("readers").into()
}

/// Commits offset 3 of partition 0, for no member in particular.
async fn commit(peer: &mut Peer) {
    let place = offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(3);
    let topic = offset_commit_request::OffsetCommitRequestTopic::default().with_name(name("orders").into());
    let request = OffsetCommitRequest::default().with_group_id(group()).with_generation_id_or_member_epoch(-1);
    let request = request.with_topics(vec![topic.with_partitions(vec![place])]);
    let answer: OffsetCommitResponse = peer.ask(8, 7, request).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
}

async fn committed(peer: &mut Peer) -> i64 {
    let topic = offset_fetch_request::OffsetFetchRequestTopic::default().with_name(name("orders").into());
    let topics = Some(vec![topic.with_partition_indexes(vec![0])]);
    let answer: OffsetFetchResponse =
        peer.ask(9, 7, OffsetFetchRequest::default().with_group_id(group()).with_topics(topics)).await;
    answer.topics[0].partitions[0].committed_offset
}

/// One member, which subscribes to `orders`.
async fn join(peer: &mut Peer) -> StrBytes {
    let subscription = Bytes::from_static(b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff");
    let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(name("range"));
    let request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(name("consumer"))
        .with_protocols(vec![protocol.with_metadata(subscription)]);
    let joined: JoinGroupResponse = peer.ask(11, 3, request).await;
    assert_eq!(joined.error_code, 0);
    joined.member_id
}

async fn leave(peer: &mut Peer, member: StrBytes) {
    let request = LeaveGroupRequest::default().with_group_id(group()).with_member_id(member);
    let left: LeaveGroupResponse = peer.ask(13, 0, request).await;
    assert_eq!(left.error_code, 0);
}

#[tokio::test]
async fn offsets_are_deleted_unless_a_member_reads_the_stream() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    commit(&mut peer).await;
    let request = |partition: i32, group: GroupId| {
        let partition = offset_delete_request::OffsetDeleteRequestPartition::default().with_partition_index(partition);
        let topic = offset_delete_request::OffsetDeleteRequestTopic::default().with_name(name("orders").into());
        OffsetDeleteRequest::default().with_group_id(group).with_topics(vec![topic.with_partitions(vec![partition])])
    };
    let member = join(&mut peer).await;
    let answer: OffsetDeleteResponse = peer.ask(47, 0, request(0, group())).await;
    assert_eq!((answer.error_code, answer.topics[0].partitions[0].error_code), (0, 86), "subscribed");
    assert_eq!(committed(&mut peer).await, 3);
    leave(&mut peer, member).await;
    let answer: OffsetDeleteResponse = peer.ask(47, 0, request(0, group())).await;
    assert_eq!((answer.error_code, answer.topics[0].partitions[0].error_code), (0, 0));
    assert_eq!(committed(&mut peer).await, -1);
    let answer: OffsetDeleteResponse = peer.ask(47, 0, request(9, group())).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, 3, "no such partition");
    let answer: OffsetDeleteResponse = peer.ask(47, 0, request(0, name("nobody").into())).await;
    assert_eq!(answer.error_code, 69, "no such group");
}

#[tokio::test]
async fn offsets_of_a_stream_are_not_those_of_the_next_one_of_its_name() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    commit(&mut peer).await;
    assert_eq!(committed(&mut peer).await, 3);
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![name("orders").into()]);
    let deleted: DeleteTopicsResponse = peer.ask(20, 5, delete).await;
    assert_eq!(deleted.responses[0].error_code, 0);
    create(&mut peer, 12).await;
    assert_eq!(committed(&mut peer).await, -1, "the new stream is read from its beginning");
    commit(&mut peer).await;
    assert_eq!(committed(&mut peer).await, 3);
}

#[tokio::test]
async fn groups_are_deleted_when_they_are_empty() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    for version in 0..=2 {
        commit(&mut peer).await;
        let request = || DeleteGroupsRequest::default().with_groups_names(vec![group(), name("nobody").into()]);
        let codes = |answer: DeleteGroupsResponse| answer.results.iter().map(|one| one.error_code).collect::<Vec<_>>();
        let member = join(&mut peer).await;
        assert_eq!(codes(peer.ask(42, version, request()).await), [68, 69], "a member is in; no such group");
        leave(&mut peer, member).await;
        assert_eq!(codes(peer.ask(42, version, request()).await), [0, 69]);
        assert_eq!(committed(&mut peer).await, -1, "its offsets went with it");
    }
}

#[tokio::test]
async fn the_cluster_is_this_node() {
    let mut peer = Peer::new().await;
    for version in 0..=2 {
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        let answer: DescribeClusterResponse = peer.ask(60, version, request).await;
        assert_eq!((answer.error_code, answer.controller_id.0, answer.cluster_id.as_str()), (0, NODE, "headwater"));
        let broker = &answer.brokers[0];
        assert_eq!((broker.broker_id.0, broker.host.as_str()), (NODE, "127.0.0.1"));
        assert_eq!(broker.port, i32::from(peer.house.address.port()));
        assert!(answer.cluster_authorized_operations > 0);
    }
}
