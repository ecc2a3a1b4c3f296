use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headwater_base::{Limits, ManualClock, Micros};
use headwater_wire::batch::{Builder, Compression, records, split};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

mod admin;
mod bad_input;
mod crowd;
mod disk;
mod ruby;
mod served;

/// A listener on a port of its own.
struct House {
    address: std::net::SocketAddr,
    service: Arc<KafkaService>,
    _stop: watch::Sender<bool>,
    /// The real log's folder.
    _folder: Option<tempfile::TempDir>,
}

impl House {
    /// Over a log in memory.
    async fn new(limits: Limits) -> Self {
        let (log, clock) = headwater_testkit::memory_log();
        Self::over(log, clock, limits, None).await
    }

    /// Over the real log.
    async fn real(limits: Limits) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
        let log = headwater_log::EmbeddedLog::open(folder.path(), Arc::new(limits.clone()), clock.clone()).unwrap();
        Self::over(log, clock, limits, Some(folder)).await
    }

    async fn over(
        log: Arc<dyn Log>,
        clock: Arc<ManualClock>,
        limits: Limits,
        _folder: Option<tempfile::TempDir>,
    ) -> Self {
        let limits = Arc::new(limits);
        let groups = Groups::open(log.clone(), clock.clone(), limits.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Settings::local(address.port());
        let service = KafkaService::new(log, groups, limits, clock, settings);
        Self::serving(listener, service, _folder)
    }

    fn serving(listener: TcpListener, service: KafkaService, _folder: Option<tempfile::TempDir>) -> Self {
        let (address, service) = (listener.local_addr().unwrap(), Arc::new(service));
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(serve(vec![listener], service.clone(), stopped));
        Self { address, service, _stop, _folder }
    }

    /// With other settings, or resources that describe streams.
    async fn but(change: impl FnOnce(KafkaService) -> KafkaService) -> Self {
        let (log, clock) = headwater_testkit::memory_log();
        let limits = Arc::new(Limits::default());
        let groups = Groups::open(log.clone(), clock.clone(), limits.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings::local(listener.local_addr().unwrap().port());
        Self::serving(listener, change(KafkaService::new(log, groups, limits, clock, settings)), None)
    }

    async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Micros::from_millis(1_000_000)))
}

/// A client that speaks any version, on a real socket.
struct Peer {
    socket: TcpStream,
    house: Arc<House>,
}

impl Peer {
    async fn new() -> Self {
        Self::of(&Arc::new(House::new(Limits::default()).await)).await
    }

    async fn of(house: &Arc<House>) -> Self {
        Self { socket: house.socket().await, house: house.clone() }
    }

    /// Sends a frame as it is; the answer's frame, or None when the connection ends.
    async fn raw(&mut self, frame: &[u8]) -> Option<Bytes> {
        self.send(frame).await;
        self.next().await
    }

    async fn send(&mut self, frame: &[u8]) {
        self.socket.write_all(&(frame.len() as i32).to_be_bytes()).await.unwrap();
        self.socket.write_all(frame).await.unwrap();
    }

    /// The next answer's frame, or None when the connection ends.
    async fn next(&mut self) -> Option<Bytes> {
        let length = self.socket.read_i32().await.ok()?;
        let mut answer = vec![0; length as usize];
        self.socket.read_exact(&mut answer).await.unwrap();
        Some(answer.into())
    }

    /// The answer to a request of any version.
    async fn ask<Q: Encodable + HeaderVersion, A: Decodable + HeaderVersion>(
        &mut self,
        key: i16,
        version: i16,
        request: Q,
    ) -> A {
        let frame = frame(key, version, &request);
        let answer = self.raw(&frame).await;
        let mut answer = answer.unwrap_or_else(|| panic!("api {key} version {version}: the connection ended"));
        let header = ResponseHeader::decode(&mut answer, A::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, 7);
        let message = A::decode(&mut answer, version).unwrap();
        assert!(answer.is_empty(), "api {key} version {version}: {} bytes are left", answer.len());
        message
    }
}

/// A request with its header.
fn frame<Q: Encodable + HeaderVersion>(key: i16, version: i16, request: &Q) -> BytesMut {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(7)
        .with_client_id(Some(StrBytes::from_static_str("test")));
    header.encode(&mut frame, Q::header_version(version)).unwrap();
    request.encode(&mut frame, version).unwrap();
    frame
}

fn name(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn batch(value: &str) -> Bytes {
    let mut builder = Builder::new(Compression::None);
    builder.push(1_000, Some(b"k"), Some(value.as_bytes()), &[]);
    builder.finish().freeze()
}

/// Produces one record to `orders`; its offset, or the error.
async fn produce(peer: &mut Peer, records: Bytes) -> Result<i64, i16> {
    let data = produce_request::PartitionProduceData::default().with_records(Some(records));
    let topic = produce_request::TopicProduceData::default().with_name(name("orders").into());
    let request = ProduceRequest::default().with_acks(-1);
    let request = request.with_topic_data(vec![topic.with_partition_data(vec![data])]);
    let answer: ProduceResponse = peer.ask(0, 9, request).await;
    let answer = &answer.responses[0].partition_responses[0];
    if answer.error_code == 0 { Ok(answer.base_offset) } else { Err(answer.error_code) }
}

async fn create(peer: &mut Peer, version: i16) -> MetadataResponse {
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(name("orders").into()));
    let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true);
    peer.ask(3, version, request).await
}

#[tokio::test]
async fn every_version_of_metadata_creates_and_describes() {
    let mut peer = Peer::new().await;
    for version in 0..=12 {
        let answer = create(&mut peer, version).await;
        assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions.len()), (0, 4), "version {version}");
    }
}

#[tokio::test]
async fn every_version_produces_lists_and_fetches() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    for version in 3..=12 {
        for (partition, code) in [(0, 0), (9, 3)] {
            let data =
                produce_request::PartitionProduceData::default().with_index(partition).with_records(Some(batch("v")));
            let topic = produce_request::TopicProduceData::default()
                .with_name(name("orders").into())
                .with_partition_data(vec![data]);
            let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
            let answer: ProduceResponse = peer.ask(0, version, request).await;
            let partition = &answer.responses[0].partition_responses[0];
            let offset = if code == 0 { i64::from(version) - 3 } else { -1 };
            assert_eq!((partition.error_code, partition.base_offset), (code, offset), "version {version}");
        }
    }
    for version in 1..=7 {
        for (time, offset) in [(-1, 10), (-2, 0), (500, 0), (2_000, -1), (-3, 9)] {
            let wanted = list_offsets_request::ListOffsetsPartition::default().with_timestamp(time);
            let topic = list_offsets_request::ListOffsetsTopic::default()
                .with_name(name("orders").into())
                .with_partitions(vec![wanted]);
            let answer: ListOffsetsResponse =
                peer.ask(2, version, ListOffsetsRequest::default().with_topics(vec![topic])).await;
            let found = &answer.topics[0].partitions[0];
            assert_eq!(found.error_code, 0);
            assert!(found.offset == offset || time == -3, "version {version}, time {time}: {}", found.offset);
        }
    }
    for version in 4..=12 {
        for (offset, code) in [(3, 0), (99, 1)] {
            let wanted =
                fetch_request::FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
            let topic =
                fetch_request::FetchTopic::default().with_topic(name("orders").into()).with_partitions(vec![wanted]);
            let request = FetchRequest::default()
                .with_max_bytes(1 << 20)
                .with_max_wait_ms(10)
                .with_min_bytes(1)
                .with_topics(vec![topic]);
            let answer: FetchResponse = peer.ask(1, version, request).await;
            let found = &answer.responses[0].partitions[0];
            assert_eq!(found.error_code, code, "version {version}");
            if code == 0 {
                let first = records(found.records.as_ref().unwrap(), 1 << 20).unwrap().next().unwrap().unwrap();
                assert_eq!((first.offset, found.high_watermark), (3, 10));
            }
        }
    }
}

#[tokio::test]
async fn a_large_request_keeps_its_place_between_small_ones() {
    let mut peer = Peer::of(&Arc::new(House::real(Limits::default()).await)).await;
    create(&mut peer, 12).await;
    let request = |partitions: i32, bytes: usize| {
        let data = |index| {
            let records = batch(&"v".repeat(bytes));
            produce_request::PartitionProduceData::default().with_index(index).with_records(Some(records))
        };
        let topic = produce_request::TopicProduceData::default().with_name(name("orders").into());
        let topics = vec![topic.with_partition_data((0..partitions).map(data).collect())];
        frame(0, 9, &ProduceRequest::default().with_acks(-1).with_topic_data(topics))
    };
    for frame in [request(1, 1), request(4, 700_000), request(1, 1)] {
        peer.send(&frame).await;
    }
    for places in [vec![(0, 0)], vec![(0, 1), (0, 0), (0, 0), (0, 0)], vec![(0, 2)]] {
        let mut answer = peer.next().await.unwrap();
        ResponseHeader::decode(&mut answer, ProduceResponse::header_version(9)).unwrap();
        let answer = ProduceResponse::decode(&mut answer, 9).unwrap();
        let placed = answer.responses[0].partition_responses.iter();
        assert_eq!(placed.map(|placed| (placed.error_code, placed.base_offset)).collect::<Vec<_>>(), places);
    }
}

#[tokio::test]
async fn a_fetch_does_not_wait_for_more_than_its_answer_may_hold() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    let data = produce_request::PartitionProduceData::default().with_index(0).with_records(Some(batch("v")));
    let topic = produce_request::TopicProduceData::default().with_name(name("orders").into());
    let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic.with_partition_data(vec![data])]);
    let _: ProduceResponse = peer.ask(0, 9, request).await;
    let wanted = fetch_request::FetchPartition::default().with_partition_max_bytes(1 << 20);
    let topic = fetch_request::FetchTopic::default().with_topic(name("orders").into()).with_partitions(vec![wanted]);
    let request = FetchRequest::default()
        .with_max_bytes(50)
        .with_min_bytes(1 << 20)
        .with_max_wait_ms(60_000)
        .with_topics(vec![topic]);
    let answered = tokio::time::timeout(std::time::Duration::from_secs(20), peer.ask(1, 12, request)).await;
    let answer: FetchResponse = answered.expect("an answer that is full goes at once");
    assert!(!answer.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
}

#[tokio::test]
async fn a_fetch_answers_large_and_tiny_batches_in_their_order() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    let sizes = [1, 700, 2, 3, 100_000, 600, 600, 5];
    for bytes in sizes {
        let records = batch(&"v".repeat(bytes));
        let data = produce_request::PartitionProduceData::default().with_index(0).with_records(Some(records));
        let topic = produce_request::TopicProduceData::default().with_name(name("orders").into());
        let topics = vec![topic.with_partition_data(vec![data])];
        let _: ProduceResponse = peer.ask(0, 9, ProduceRequest::default().with_acks(-1).with_topic_data(topics)).await;
    }
    for version in [4, 12] {
        let wanted = fetch_request::FetchPartition::default().with_partition_max_bytes(1 << 20);
        let topic =
            fetch_request::FetchTopic::default().with_topic(name("orders").into()).with_partitions(vec![wanted]);
        let request = FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![topic]);
        let answer: FetchResponse = peer.ask(1, version, request).await;
        let batches = answer.responses[0].partitions[0].records.clone().unwrap();
        let found = split(&batches).map(|found| {
            let record = records(&batches.slice(found.unwrap().1), 1 << 20).unwrap().next().unwrap().unwrap();
            (record.offset, record.value.unwrap().len())
        });
        assert_eq!(found.collect::<Vec<_>>(), (0..).zip(sizes).collect::<Vec<_>>(), "version {version}");
    }
}

#[tokio::test]
async fn every_version_of_the_group_protocol_goes_round() {
    let mut peer = Peer::new().await;
    create(&mut peer, 12).await;
    for version in 0..=9 {
        let group = GroupId(StrBytes::from_string(format!("g{version}")));
        let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(name("range"));
        let mut join = JoinGroupRequest::default().with_group_id(group.clone()).with_session_timeout_ms(10_000);
        join = join.with_protocol_type(name("consumer")).with_protocols(vec![protocol]);
        if version > 0 {
            join.rebalance_timeout_ms = 10_000;
        }
        let mut joined: JoinGroupResponse = peer.ask(11, version, join.clone()).await;
        if version >= 4 {
            assert_eq!(joined.error_code, 79);
            joined = peer.ask(11, version, join.with_member_id(joined.member_id)).await;
        }
        assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (0, 1, 1), "version {version}");
        let share = sync_group_request::SyncGroupRequestAssignment::default()
            .with_member_id(joined.member_id.clone())
            .with_assignment(Bytes::from_static(b"all"));
        let sync = SyncGroupRequest::default()
            .with_group_id(group.clone())
            .with_generation_id(1)
            .with_member_id(joined.member_id.clone());
        let synced: SyncGroupResponse = peer.ask(14, version.min(5), sync.with_assignments(vec![share])).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, b"all".as_slice()));
        let beat = HeartbeatRequest::default()
            .with_group_id(group.clone())
            .with_generation_id(1)
            .with_member_id(joined.member_id.clone());
        let beat: HeartbeatResponse = peer.ask(12, version.min(4), beat).await;
        assert_eq!(beat.error_code, 0);
        let place = offset_commit_request::OffsetCommitRequestPartition::default()
            .with_committed_offset(5)
            .with_committed_metadata(Some(name("m")));
        let topic = offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(name("orders").into())
            .with_partitions(vec![place]);
        let commit = OffsetCommitRequest::default().with_group_id(group.clone()).with_generation_id_or_member_epoch(1);
        let commit = commit.with_member_id(joined.member_id.clone()).with_topics(vec![topic]);
        let committed: OffsetCommitResponse = peer.ask(8, version.max(2), commit).await;
        assert_eq!(committed.topics[0].partitions[0].error_code, 0);
        let described: DescribeGroupsResponse =
            peer.ask(15, version.min(6), DescribeGroupsRequest::default().with_groups(vec![group.clone()])).await;
        assert_eq!(described.groups[0].group_state.as_str(), "Stable");
        let listed: ListGroupsResponse = peer.ask(16, version.min(5), ListGroupsRequest::default()).await;
        assert_eq!(listed.groups.len(), usize::try_from(version).unwrap() + 1);
        let version = version.clamp(1, 9);
        let mut fetch = OffsetFetchRequest::default();
        if version >= 8 {
            let topic = offset_fetch_request::OffsetFetchRequestTopics::default()
                .with_name(name("orders").into())
                .with_partition_indexes(vec![0]);
            fetch.groups = vec![
                offset_fetch_request::OffsetFetchRequestGroup::default()
                    .with_group_id(group)
                    .with_topics(Some(vec![topic])),
            ];
            let fetched: OffsetFetchResponse = peer.ask(9, version, fetch).await;
            assert_eq!(fetched.groups[0].topics[0].partitions[0].committed_offset, 5);
        } else {
            let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(name("orders").into())
                .with_partition_indexes(vec![0]);
            let fetched: OffsetFetchResponse =
                peer.ask(9, version, fetch.with_group_id(group).with_topics(Some(vec![topic]))).await;
            assert_eq!(fetched.topics[0].partitions[0].committed_offset, 5);
        }
    }
}

#[tokio::test]
async fn every_version_of_the_admin_apis_answers() {
    let mut peer = Peer::new().await;
    for version in 2..=7 {
        let topic = create_topics_request::CreatableTopic::default()
            .with_name(name("made").into())
            .with_num_partitions(2)
            .with_replication_factor(1);
        let made: CreateTopicsResponse =
            peer.ask(19, version, CreateTopicsRequest::default().with_topics(vec![topic.clone()])).await;
        assert_eq!(made.topics[0].error_code, 0, "version {version}");
        let again: CreateTopicsResponse =
            peer.ask(19, version, CreateTopicsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(again.topics[0].error_code, 36);
        let config = describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(name("made"))
            .with_configuration_keys(None);
        let described: DescribeConfigsResponse =
            peer.ask(32, version.clamp(1, 4), DescribeConfigsRequest::default().with_resources(vec![config])).await;
        assert_eq!((described.results[0].error_code, described.results[0].configs.len()), (0, config_keys::KEYS.len()));
        let grow = create_partitions_request::CreatePartitionsTopic::default()
            .with_name(name("made").into())
            .with_count(3)
            .with_assignments(None);
        let grown: CreatePartitionsResponse =
            peer.ask(37, version.min(3), CreatePartitionsRequest::default().with_topics(vec![grow])).await;
        assert_eq!(grown.results[0].error_code, 0);
        let mut delete = DeleteTopicsRequest::default();
        if version >= 6 {
            delete.topics =
                vec![delete_topics_request::DeleteTopicState::default().with_name(Some(name("made").into()))];
        } else {
            delete.topic_names = vec![name("made").into()];
        }
        let deleted: DeleteTopicsResponse = peer.ask(20, version.min(6), delete.clone()).await;
        assert_eq!(deleted.responses[0].error_code, 0);
        let again: DeleteTopicsResponse = peer.ask(20, version.min(6), delete).await;
        assert_eq!(again.responses[0].error_code, 3);
    }
    for version in 0..=6 {
        let mut find = FindCoordinatorRequest::default();
        if version >= 4 {
            find.coordinator_keys = vec![name("g")];
        } else {
            find.key = name("g");
        }
        let found: FindCoordinatorResponse = peer.ask(10, version, find).await;
        assert_eq!(found.coordinators.first().map_or(found.node_id, |coordinator| coordinator.node_id).0, NODE);
    }
    for version in 0..=5 {
        let given: InitProducerIdResponse =
            peer.ask(22, version, InitProducerIdRequest::default().with_transactional_id(None)).await;
        assert_eq!((given.error_code, given.producer_epoch), (0, 0));
        let refused = InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(name("t"))));
        let refused: InitProducerIdResponse = peer.ask(22, version, refused).await;
        assert_eq!(refused.error_code, 35);
    }
    for version in 0..=2 {
        let cluster: DescribeClusterResponse = peer.ask(60, version, DescribeClusterRequest::default()).await;
        assert_eq!(cluster.brokers.len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_gets_the_oldest_answer() {
    let mut peer = Peer::new().await;
    let answer = peer.raw(&[0, 18, 0, 99, 0, 0, 0, 9, 0xff, 0xff, 0]).await.unwrap();
    assert_eq!(&answer[..6], [0, 0, 0, 9, 0, 35]);
    for version in 0..=4 {
        let served: ApiVersionsResponse = peer.ask(18, version, ApiVersionsRequest::default()).await;
        assert_eq!(served.api_keys.len(), table::APIS.len());
    }
}
