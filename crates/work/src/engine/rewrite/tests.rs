use headwater_base::Micros;
use headwater_kernel::port::Cause;
use headwater_kernel::port::workflows::ExecutionState;
use proptest::prelude::*;

use super::*;
use crate::engine::Unknown;
use crate::engine::rows::Parent;
use crate::execution::Attempt;
use crate::execution::record::codec::nowhere;

const TAGS: &[u8; 11] = b"hetdowmrplb";

/// A key that any tag takes: a thread's number, an attempt or an alarm.
fn key(tag: u8) -> Vec<u8> {
    let rest: &[u8] = match tag {
        b't' | b'd' => &[0, 0, 0, 1],
        b'w' => &[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3],
        _ => &[0; 16],
    };
    [&[7_u8; 16][..], &[tag], rest].concat()
}

fn head(threads: Vec<(u32, u32)>) -> Head {
    Head {
        workflow: "w".to_owned(),
        name: "n".to_owned(),
        version: Some(3),
        definition: [1; 32],
        machine: 0,
        express: false,
        state: ExecutionState::Failed,
        started: Micros(5),
        stopped: Some(Micros(-6)),
        input: [2; 16],
        first: 7,
        last: 8,
        events: 9,
        threads,
        parent: Some(Parent { key: [3; 16], attempt: Attempt { thread: 1, visit: 2, number: 3 } }),
        map_run: None,
        maps: vec![Attempt { thread: 0, visit: 4, number: 0 }],
        unknown: Unknown::Ask,
        retention_s: 60,
        redrives: 1,
        redriven: Some(Micros(10)),
        redrive_tokens: vec![("t".to_owned(), Micros(10))],
        cause: Some(Cause { id: "c".to_owned(), hops: 2 }),
        parked: None,
        blobs: 2,
        alias: Some("live".to_owned()),
    }
}

fn again(tag: u8, value: &[u8], inline_max: usize) {
    // Whatever hash is asked for, this is what is behind it.
    let Ok(first) = row(&key(tag), value, &|_| Some(value.to_vec()), inline_max) else { return };
    let fetch = |hash: &[u8; 32]| first.large.iter().find(|(one, _)| one == hash).map(|(_, bytes)| bytes.clone());
    assert_eq!(row(&key(tag), &first.value, &fetch, inline_max).as_ref(), Ok(&first), "tag {tag}");
}

#[test]
fn a_version_that_is_not_known_is_refused() {
    for tag in [b'h', b'e', b't', b'd', b'o', b'm', b'r', b'p', b'l'] {
        for version in [5_u8, 9, 255] {
            let value = [&[version][..], &[0; 64]].concat();
            assert_eq!(row(&key(tag), &value, &nowhere, 0).unwrap_err().code, "HW-WORK-002", "tag {tag}");
        }
    }
    assert_eq!(row(&key(b'?'), b"", &nowhere, 0).unwrap_err().code, "HW-WORK-002");
    assert_eq!(row(b"short", b"", &nowhere, 0).unwrap_err().code, "HW-WORK-002");
}

#[test]
fn a_head_comes_back_and_nothing_may_follow_it() {
    let bytes = head(vec![(0, 2), (5, 6)]).encode();
    assert_eq!(row(&key(b'h'), &bytes, &nowhere, 0).unwrap().value, bytes);
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(row(&key(b'h'), &longer, &nowhere, 0).unwrap_err().code, "HW-WORK-002");
}

#[test]
fn threads_that_cannot_be_are_refused() {
    for threads in [vec![(0, 0)], vec![(3, 2)], vec![(0, 2), (1, 3)], vec![(5, 6), (0, 1)]] {
        assert!(Head::decode(&head(threads.clone()).encode()).is_err(), "{threads:?}");
    }
}

#[test]
fn lists_of_false_lengths_inside_each_other_take_no_room() {
    // A thread's data whose input is a list of as many items as bytes follow, the first of which is such a list; the
    // innermost has no item that can be.
    let mut value = vec![1];
    for _ in 0..200 {
        value.extend_from_slice(&[7, 0x80, 0xea, 0x11]);
    }
    value.resize(300_000, 255);
    assert_eq!(row(&key(b'd'), &value, &nowhere, 0).unwrap_err().code, "HW-WORK-002");
}

#[test]
fn a_place_in_a_list_comes_back() {
    let text = format!("5-{}", "0a".repeat(16));
    assert_eq!(place(&text), Ok(text.clone()));
    for text in ["", "5", "5-0a", "x-00", "5-\u{e9}0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"] {
        assert_eq!(place(text).unwrap_err().code, "HW-WORK-033", "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_as_any_row(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        version in 1_u8..5,
        inline_max in prop_oneof![Just(0_usize), Just(40), Just(usize::MAX)],
    ) {
        let versioned = [&[version][..], &bytes].concat();
        for tag in TAGS {
            again(*tag, &bytes, inline_max);
            again(*tag, &versioned, inline_max);
        }
        let _ = row(&bytes, &bytes, &nowhere, inline_max);
        let _ = (named(&versioned), version_of(&bytes), piece(&bytes, &|_| Some(bytes.clone())));
    }

    #[test]
    fn a_damaged_head_is_read_or_refused(at in 0_usize..400, byte in any::<u8>()) {
        let mut bytes = head(vec![(0, 2), (5, 6)]).encode().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        again(b'h', &bytes, 0);
    }

    #[test]
    fn any_text_is_a_place_or_a_token_or_neither(text in ".*") {
        if let Ok(first) = place(&text) {
            prop_assert_eq!(place(&first), Ok(first.clone()));
        }
        let _ = is_token(&text);
    }
}

fn version_of(bytes: &[u8]) -> Option<Bytes> {
    let first = version(bytes, "{}")?;
    assert_eq!(version(&first, "{}").as_ref(), Some(&first));
    Some(first)
}
