//! What a bus keeps of deliveries that wait, and of how far subscriptions are, as another version or a fault would have
//! left it: read, or taken for nothing; what was read is written as what is read.

use headwater_bus::pending::Pending;
use headwater_bus::runtime::cohort;

/// A byte for which of the two; what is kept.
pub fn run(bytes: &[u8]) {
    let Some((kind, kept)) = bytes.split_first() else { return };
    if kind % 2 == 0 {
        let Some((pending, body)) = Pending::decode(kept) else { return };
        let again = pending.encode(&body).expect("a body that was read is JSON");
        let key = pending.key();
        assert_eq!(Pending::decode(&again), Some((pending, body)));
        assert!(key.starts_with(headwater_bus::pending::PREFIX));
    } else if let Some((members, at)) = cohort::decode(kept) {
        assert_eq!(&cohort::encode(members, &at)[..], kept);
    }
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
    seeds
}
