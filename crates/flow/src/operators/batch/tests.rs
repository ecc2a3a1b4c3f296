use std::time::Duration;

use super::*;
use crate::operators::{Emit, Kind};

fn config() -> SessionConfig {
    SessionConfig {
        gap: Duration::from_secs(30),
        lateness: Duration::ZERO,
        measures: vec![Measure::new("events", Kind::Count)],
        path_max: None,
        emit: Emit::Close,
    }
}

fn rows(seconds: &[i64]) -> Vec<SessionRow> {
    let item = |(offset, seconds): (usize, &i64)| Item {
        key: Bytes::from_static(b"anna"),
        time: Micros(seconds * 1_000_000),
        position: (0, offset as i64),
        hops: 0,
        inputs: vec![Input::Unit],
    };
    sessions(&config(), &seconds.iter().enumerate().map(item).collect::<Vec<_>>())
}

#[test]
fn right_sessions_need_no_repair() {
    let given = rows(&[0, 10, 100]);
    assert_eq!(differences(&given, &rows(&[0, 10, 100])), Differences { same: 2, ..Differences::default() });
}

#[test]
fn a_missing_session_is_added_and_a_wrong_one_gets_its_next_revision() {
    let given = rows(&[0, 10]);
    let repair = differences(&given, &rows(&[0, 10, 20, 100]));
    assert_eq!(repair.same, 0);
    let seen: Vec<_> =
        repair.upserts.iter().map(|row| (row.session_id == given[0].session_id, row.revision, row.events)).collect();
    assert_eq!(seen, [(true, 2, 3), (false, 1, 1)]);
    assert_eq!(repair.tombstones, []);
}

#[test]
fn bridged_sessions_become_the_one_with_the_most_time_in_common() {
    let given = rows(&[0, 100, 110]);
    let repair = differences(&given, &rows(&[0, 25, 50, 75, 100, 110]));
    assert_eq!(repair.upserts.len(), 1);
    assert_eq!((repair.upserts[0].session_id, repair.upserts[0].revision), (given[1].session_id, 2));
    let gone = Tombstone {
        key: given[0].key.clone(),
        session_id: given[0].session_id,
        revision: 2,
        merged_into: given[1].session_id,
        hops: 0,
    };
    assert_eq!(repair.tombstones, [gone]);
}

#[test]
fn a_session_that_never_was_goes() {
    let given = rows(&[0, 500]);
    let repair = differences(&given, &rows(&[0]));
    assert_eq!((repair.same, repair.upserts.len(), repair.tombstones.len()), (1, 0, 1));
    assert_eq!(repair.tombstones[0].merged_into, given[1].session_id);
}
