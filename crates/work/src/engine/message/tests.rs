use headwater_base::Micros;
use proptest::prelude::*;

use super::*;
use crate::execution::Attempt;

fn ended(output: &str) -> Message {
    let view = ExecutionView {
        id: "w/n".to_owned(),
        workflow: "w".to_owned(),
        version: None,
        alias: None,
        name: "n".to_owned(),
        state: ExecutionState::Succeeded,
        started: Micros(1),
        stopped: Some(Micros(2)),
        input: Some(Bytes::from_static(b"7")),
        output: Some(Bytes::copy_from_slice(output.as_bytes())),
        error: None,
        cause: None,
        redrives: 0,
        redriven: None,
        map_run: None,
    };
    let attempt = Attempt { thread: 1, visit: 2, number: 3 };
    Message::Ended { parent: Parent { key: [5; 16], attempt }, view: Box::new(view) }
}

#[test]
fn a_large_payload_is_named_and_comes_back() {
    let output = format!("\"{}\"", "x".repeat(10_000));
    for (inline_max, blobs) in [(100, 1), (usize::MAX, 0)] {
        let (row, large) = ended(&output).encode(inline_max);
        assert_eq!((Message::blobs(&row).len(), large.len()), (blobs, blobs));
        let fetch = |hash: &[u8; 32]| large.iter().find(|(one, _)| one == hash).map(|(_, bytes)| bytes.clone());
        let Message::Ended { view, .. } = Message::decode(&row, &fetch).unwrap() else { panic!("another kind") };
        assert_eq!((view.input.as_deref(), view.output.as_deref()), (Some(&b"7"[..]), Some(output.as_bytes())));
    }
    let (row, _) = ended(&output).encode(100);
    assert!(row.len() < 200);
    assert_eq!(Message::decode(&row, &|_| None).unwrap_err().code, "HW-WORK-002");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
        let _ = Message::decode(&bytes, &|_| Some(Vec::new()));
        let _ = Message::blobs(&bytes);
    }
}
