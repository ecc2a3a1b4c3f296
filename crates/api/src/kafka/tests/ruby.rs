//! Requests in the versions that ruby-kafka speaks, Fluentd's client in `out_kafka2` and `in_kafka_group`.
//!
//! The bytes are those that the encoders of the client's published source (`lib/kafka/protocol`) wrote under Ruby 3.1 for
//! the plug-ins' settings; what stands around the batch of a Produce is after the protocol's own description. They are
//! recorded as frames, not as a conversation: the client itself did not see the answers. Member ids are put in by the
//! tests.

use super::*;

/// ApiVersions v0.
const VERSIONS: &[u8] = b"\0\x12\0\0\0\0\0\x01\0\x07fluentd";
/// Metadata v1 of `orders`.
const METADATA: &[u8] = b"\0\x03\0\x01\0\0\0\x02\0\x07fluentd\0\0\0\x01\0\x06orders";
/// Produce v3: two records in partition 0 a quarter of a second apart, one without a key, one with a header.
const PRODUCE: &[u8] = b"\0\0\0\x03\0\0\0\x03\0\x07fluentd\xff\xff\xff\xff\0\0\x13\x88\0\0\0\x01\0\x06orders\0\0\
\0\x01\0\0\0\0\0\0\0h\0\0\0\0\0\0\0\0\0\0\0\\\0\0\0\0\x02M\xca A\0\0\0\0\0\x01\0\0\x01\
\x8b\xcf\xe5h}\0\0\x01\x8b\xcf\xe5iw\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\
\x02\x1a\0\0\0\x01\x0e{\"n\":1}\08\0\xf4\x03\x02\x02k\x0e{\"n\":2}\x02\x08from\x0efluent\
d";
/// ListOffsets v2: the earliest of partition 0, for a reader of what is committed.
const OFFSETS: &[u8] = b"\0\x02\0\x02\0\0\0\x04\0\x07fluentd\xff\xff\xff\xff\x01\0\0\0\x01\0\x06orders\0\0\0\x01\
\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xfe";
/// Fetch v4: partition 0 from the beginning, for a reader of what is committed.
const FETCH: &[u8] = b"\0\x01\0\x04\0\0\0\x05\0\x07fluentd\xff\xff\xff\xff\0\0\x03\xe8\0\0\0\x01\0\xa0\0\0\x01\
\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0";
/// Bytes of the batch at the end of [`PRODUCE`].
const BATCH_BYTES: usize = 104;

#[tokio::test]
async fn the_output_plug_in_produces_and_the_input_plug_in_fetches() {
    let mut peer = Peer::new().await;
    let versions = peer.raw(VERSIONS).await.unwrap();
    assert_eq!(&versions[..6], b"\0\0\0\x01\0\0");
    let metadata = peer.raw(METADATA).await.unwrap();
    assert!(metadata.windows(9).any(|window| window == b"127.0.0.1"));
    let partition = b"\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0";
    // No error, no time of arrival, no throttling.
    let placed =
        |offset: i64| [b"\0\0\0\x03".as_slice(), partition, &offset.to_be_bytes(), &[0xff; 8], &[0; 4]].concat();
    assert_eq!(peer.raw(PRODUCE).await.unwrap(), placed(0));
    let listed = peer.raw(OFFSETS).await.unwrap();
    assert_eq!(listed, [b"\0\0\0\x04\0\0\0\0".as_slice(), partition, &[0xff; 8], &[0; 8]].concat());
    let fetched = peer.raw(FETCH).await.unwrap();
    assert!(fetched.ends_with(&PRODUCE[PRODUCE.len() - BATCH_BYTES..]), "as it was sent: {fetched:?}");
    // A producer without an id may say the same twice: its sequence stays 0.
    assert_eq!(peer.raw(PRODUCE).await.unwrap(), placed(2));
}

/// FindCoordinator v1 of the group `fluent-group`.
const COORDINATOR: &[u8] = b"\0\x0a\0\x01\0\0\0\x01\0\x07fluentd\0\x0cfluent-group\0";
/// JoinGroup v1: session 30 s, rebalance 60 s, one protocol with a subscription to `orders`.
const JOIN: &[u8] = b"\0\x0b\0\x01\0\0\0\x02\0\x07fluentd\0\x0cfluent-group\0\0u0\0\0\xea`\0\0\0\x08consumer\0\
\0\0\x01\0\x0aroundrobin\0\0\0\x12\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff";
/// SyncGroup v0 of the leader: partitions 0 to 3 of `orders` for itself. `@` stands for the member id.
const SYNC: &[u8] = b"\0\x0e\0\0\0\0\0\x03\0\x07fluentd\0\x0cfluent-group\0\0\0\x01@\0\0\0\x01@\0\0\0&\0\0\0\0\
\0\x01\0\x06orders\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\xff\xff\xff\xff";
/// Heartbeat v0.
const HEARTBEAT: &[u8] = b"\0\x0c\0\0\0\0\0\x04\0\x07fluentd\0\x0cfluent-group\0\0\0\x01@";
/// OffsetCommit v2: offset 7 in partition 0, kept as long as the node likes, without metadata.
const COMMIT: &[u8] = b"\0\x08\0\x02\0\0\0\x05\0\x07fluentd\0\x0cfluent-group\0\0\0\x01@\0\0\0\0\0\0\0\0\0\0\0\
\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x07\xff\xff";
/// OffsetFetch v1 of partitions 0 and 1.
const COMMITTED: &[u8] = b"\0\x09\0\x01\0\0\0\x06\0\x07fluentd\0\x0cfluent-group\0\0\0\x01\0\x06orders\0\0\0\x02\0\
\0\0\0\0\0\0\x01";
/// LeaveGroup v0.
const LEAVE: &[u8] = b"\0\x0d\0\0\0\0\0\x07\0\x07fluentd\0\x0cfluent-group@";

/// Puts a member id, with its length, where `@` stands.
fn with_member(request: &[u8], member: &[u8]) -> Vec<u8> {
    let id = [&(member.len() as i16).to_be_bytes(), member].concat();
    request.split(|byte| *byte == b'@').collect::<Vec<_>>().join(id.as_slice())
}

#[tokio::test]
async fn the_input_plug_in_consumes_in_a_group() {
    let mut peer = Peer::new().await;
    create(&mut peer, 1).await;
    let coordinator = peer.raw(COORDINATOR).await.unwrap();
    assert!(coordinator.starts_with(b"\0\0\0\x01\0\0\0\0\0\0"), "no throttling, no error: {coordinator:?}");
    assert!(coordinator.windows(9).any(|window| window == b"127.0.0.1"));
    let joined = peer.raw(JOIN).await.unwrap();
    // No error, generation 1, the protocol, and this member leads.
    let head = b"\0\0\0\x02\0\0\0\0\0\x01\0\x0aroundrobin\0";
    assert!(joined.starts_with(head), "{joined:?}");
    let at = head.len();
    let member = joined[at + 1..][..usize::from(joined[at])].to_vec();
    assert!(joined.ends_with(b"\0\0\0\x12\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff"), "its own subscription");
    let synced = peer.raw(&with_member(SYNC, &member)).await.unwrap();
    let assignment = &SYNC[SYNC.len() - 38..];
    assert_eq!(synced, [b"\0\0\0\x03\0\0\0\0\0&".as_slice(), assignment].concat());
    let beat = peer.raw(&with_member(HEARTBEAT, &member)).await.unwrap();
    assert_eq!(beat.as_ref(), b"\0\0\0\x04\0\0");
    let committed = peer.raw(&with_member(COMMIT, &member)).await.unwrap();
    assert_eq!(committed.as_ref(), b"\0\0\0\x05\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0");
    let fetched = peer.raw(COMMITTED).await.unwrap();
    let zero = b"\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0";
    let one = b"\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    assert_eq!(fetched, [b"\0\0\0\x06\0\0\0\x01\0\x06orders\0\0\0\x02".as_slice(), zero, one].concat());
    let left = peer.raw(&with_member(LEAVE, &member)).await.unwrap();
    assert_eq!(left.as_ref(), b"\0\0\0\x07\0\0");
}
