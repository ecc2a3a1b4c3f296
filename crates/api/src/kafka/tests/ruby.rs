//! Requests in the versions that ruby-kafka speaks, Fluentd's client in `out_kafka2` and `in_kafka`.
//!
//! The bytes of the consumer's requests come from a re-enactment of the encoders in the client's published source
//! (`lib/kafka/protocol`). No conversation was recorded off a wire. Member ids are put in by the tests.

use super::*;

/// Header: key, version, correlation id 1, client id `fluen`.
fn frame(key: u8, version: u8, body: &[u8]) -> Vec<u8> {
    [&[0, key, 0, version, 0, 0, 0, 1], b"\0\x05fluen".as_slice(), body].concat()
}

#[tokio::test]
async fn the_output_plug_in_produces_and_the_input_plug_in_fetches() {
    let mut peer = Peer::new().await;
    let versions = peer.raw(&frame(18, 0, b"")).await.unwrap();
    assert_eq!(&versions[..6], b"\0\0\0\x01\0\0");
    let metadata = peer.raw(&frame(3, 1, b"\0\0\0\x01\0\x06orders")).await.unwrap();
    assert!(metadata.windows(9).any(|window| window == b"127.0.0.1"));
    let records = batch("hello");
    let length = (records.len() as i32).to_be_bytes();
    let body = [b"\xff\xff\xff\xff\0\0\x27\x10\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0".as_slice(), &length, &records]
        .concat();
    let produced = peer.raw(&frame(0, 3, &body)).await.unwrap();
    // Partition 0, no error, offset 0, no time of arrival, no throttling.
    assert!(produced.ends_with(&[[0; 4].as_slice(), &[0; 2], &[0; 8], &[0xff; 8], &[0; 4]].concat()));
    let body = b"\xff\xff\xff\xff\0\0\0\x64\0\0\0\x01\0\x10\0\0\0\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\0";
    let fetched = peer.raw(&frame(1, 4, body)).await.unwrap();
    assert!(fetched.ends_with(b"hello\0"), "the last record has no headers");
}

/// JoinGroup v1: group `fluent-group`, session 30 s, rebalance 60 s, one protocol with a subscription to `orders`.
const JOIN: &[u8] = b"\0\x0b\0\x01\0\0\0\x01\0\x07fluentd\0\x0cfluent-group\0\0u0\0\0\xea`\0\0\0\x08consumer\
\0\0\0\x01\0\x0aroundrobin\0\0\0\x12\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff";
/// SyncGroup v0 of the leader: partitions 0 to 3 of `orders` for itself. `@` stands for the member id.
const SYNC: &[u8] = b"\0\x0e\0\0\0\0\0\x02\0\x07fluentd\0\x0cfluent-group\0\0\0\x01@\0\0\0\x01@\0\0\0&\0\0\0\0\0\x01\
\0\x06orders\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\xff\xff\xff\xff";
/// Heartbeat v0.
const HEARTBEAT: &[u8] = b"\0\x0c\0\0\0\0\0\x03\0\x07fluentd\0\x0cfluent-group\0\0\0\x01@";
/// OffsetCommit v2: offset 7 in partition 0, kept for ever, without metadata.
const COMMIT: &[u8] = b"\0\x08\0\x02\0\0\0\x04\0\x07fluentd\0\x0cfluent-group\0\0\0\x01@\0\0\0\0\0\0\0\0\0\0\0\x01\
\0\x06orders\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x07\xff\xff";
/// OffsetFetch v1 of partitions 0 and 1.
const FETCH: &[u8] =
    b"\0\x09\0\x01\0\0\0\x05\0\x07fluentd\0\x0cfluent-group\0\0\0\x01\0\x06orders\0\0\0\x02\0\0\0\0\0\0\0\x01";
/// LeaveGroup v0.
const LEAVE: &[u8] = b"\0\x0d\0\0\0\0\0\x06\0\x07fluentd\0\x0cfluent-group@";

/// Puts a member id, with its length, where `@` stands.
fn with_member(request: &[u8], member: &[u8]) -> Vec<u8> {
    let id = [&(member.len() as i16).to_be_bytes(), member].concat();
    request.split(|byte| *byte == b'@').collect::<Vec<_>>().join(id.as_slice())
}

#[tokio::test]
async fn the_input_plug_in_consumes_in_a_group() {
    let mut peer = Peer::new().await;
    create(&mut peer, 1).await;
    let joined = peer.raw(JOIN).await.unwrap();
    // No error, generation 1, the protocol, and this member leads.
    let head = b"\0\0\0\x01\0\0\0\0\0\x01\0\x0aroundrobin\0";
    assert!(joined.starts_with(head), "{joined:?}");
    let at = head.len();
    let member = joined[at + 1..][..usize::from(joined[at])].to_vec();
    assert!(joined.ends_with(b"\0\0\0\x12\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff"), "its own subscription");
    let synced = peer.raw(&with_member(SYNC, &member)).await.unwrap();
    let assignment = &SYNC[SYNC.len() - 38..];
    assert_eq!(synced, [b"\0\0\0\x02\0\0\0\0\0&".as_slice(), assignment].concat());
    let beat = peer.raw(&with_member(HEARTBEAT, &member)).await.unwrap();
    assert_eq!(beat.as_ref(), b"\0\0\0\x03\0\0");
    let committed = peer.raw(&with_member(COMMIT, &member)).await.unwrap();
    assert_eq!(committed.as_ref(), b"\0\0\0\x04\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\0\0\0");
    let fetched = peer.raw(FETCH).await.unwrap();
    let zero = b"\0\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\0";
    let one = b"\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0";
    assert_eq!(fetched, [b"\0\0\0\x05\0\0\0\x01\0\x06orders\0\0\0\x02".as_slice(), zero, one].concat());
    let left = peer.raw(&with_member(LEAVE, &member)).await.unwrap();
    assert_eq!(left.as_ref(), b"\0\0\0\x06\0\0");
}
