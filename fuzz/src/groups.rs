//! What the log holds of consumer groups, as another version or a fault would have left it: groups open without it.

use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Limits;
use headwater_log::groups::{Groups, SPACE};
use headwater_log::{Commit, Delta, Log};

/// A byte for the key's length, the key, the value.
pub fn run(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let Some((key, value)) = rest.split_at_checked(usize::from(*length)) else { return };
    let (log, clock) = headwater_testkit::memory_log();
    let delta = Delta { key: Bytes::copy_from_slice(key), value: Some(Bytes::copy_from_slice(value)) };
    let mut commit = Commit { deltas: vec![(Arc::from(SPACE), vec![delta])], ..Commit::default() };
    let ticket = log.append(&mut commit).expect("a small commit");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(log.durable(ticket.sequence)).expect("memory is durable");
    let groups = Groups::open(log, clock, Arc::new(Limits::default()));
    for group in groups.list() {
        let _ = groups.describe(&group.group);
        let _ = groups.all_committed(&group.group);
    }
    runtime.block_on(groups.tick());
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut offset = b"\x0fo\0\x01g\0\x06orders\0\0\0\0".to_vec();
    offset.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut group = b"\x02gx".to_vec();
    group.extend_from_slice(&[1; 64]);
    vec![offset, group]
}
