//! What a bus keeps of deliveries that wait, of how far subscriptions are and of replays, as another version or a fault would
//! have left it: read, or taken for nothing; what was read is written as what is read.

use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Limits;
use headwater_bus::pending::Pending;
use headwater_bus::runtime::cohort;
use headwater_bus::runtime::replay::{Replays, SPACE};
use headwater_log::{Commit, Delta, Log};

/// A byte for which of the three; what is kept.
pub fn run(bytes: &[u8]) {
    let Some((kind, kept)) = bytes.split_first() else { return };
    if kind % 3 == 2 {
        replays(kept);
    } else if kind % 3 == 0 {
        let Some((pending, body)) = Pending::decode(kept) else { return };
        let again = pending.encode(&body).expect("a body that was read is JSON");
        let key = pending.key();
        assert_eq!(Pending::decode(&again), Some((pending, body)));
        assert!(key.starts_with(headwater_bus::pending::PREFIX));
    } else if let Some((members, at)) = cohort::decode(kept) {
        assert_eq!(&cohort::encode(members, &at)[..], kept);
    }
}

/// A bus opens whatever is kept of a replay; one under way ends, because there is no archive.
fn replays(kept: &[u8]) {
    let (log, clock) = headwater_testkit::memory_log();
    let delta = Delta { key: Bytes::from_static(b"r"), value: Some(Bytes::copy_from_slice(kept)) };
    let mut commit = Commit { deltas: vec![(Arc::from(SPACE), vec![delta])], ..Commit::default() };
    let ticket = log.append(&mut commit).expect("a small commit");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(log.durable(ticket.sequence)).expect("memory is durable");
    let replays = Replays::open(log, clock, Arc::new(Limits::default()));
    let found = replays.find("r");
    assert_eq!(found.is_some(), !replays.list().is_empty());
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = crate::texts(&[
        r#"{"target":1,"stream":"s","partition":0,"offset":7,"time":5,"cause":"c","hops":1,"first":6,"due":9,"attempts":2,"order":"k","body": {"a":[1.50,"\u00e9"]}}"#,
        r#"{"body":null,"target":0,"stream":"","partition":4294967295,"offset":-1,"time":-5,"cause":"","hops":0,"first":0,"due":0,"attempts":0}"#,
    ]);
    seeds.iter_mut().for_each(|seed| seed.insert(0, 0));
    let mut position = vec![1, 3, 0, 0, 0];
    position.extend_from_slice(&7_i64.to_le_bytes());
    position.extend_from_slice(&(-1_i64).to_le_bytes());
    seeds.push(position);
    for state in ["completed", "running"] {
        let replay = format!(
            r#"{{"name":"r","archive":"a","bus":"bus.default","from":1,"to":9,"rules":["x"],"state":"{state}","started":1,"ended":null,"replayedTo":5,"reason":null,"events":3,"leftOut":1,"next":-1,"end":5}}"#
        );
        seeds.push([&[2][..], replay.as_bytes()].concat());
    }
    seeds
}
