use expect_test::{Expect, expect};

use super::*;
use crate::operators::{Input, MemoryState, Value};

const SECOND: Duration = Duration::from_secs(1);

/// Events as (seconds, offset, page) and watermarks; what is given out, one line each.
enum Do {
    Event(i64, i64, &'static str),
    To(i64),
}
use Do::{Event, To};

#[test]
fn nothing_of_a_key_is_left_in_the_next() {
    let kinds = [Kind::Count, Kind::Last { n: 2 }, Kind::Sum];
    let session = |birth: i64, events: i64, path: Option<Path>| {
        let mut session = Session::open((Micros(birth), (1, birth)), &kinds, path);
        for nth in 0..events {
            let inputs = [Input::Unit, Input::Text("a"), Input::Int(nth), Input::Text("page")];
            let (time, position) = (Micros(birth + nth), (1, birth + nth));
            session.add(&crate::operators::Event { key: b"k", time, position, hops: 1, inputs: &inputs }, Some(2));
        }
        session
    };
    let mut decoded = Decoded::default();
    for is_with_path in [true, false] {
        for counts in [&[5][..], &[0, 1][..], &[][..], &[3, 2, 1][..], &[1][..]] {
            let one = |(nth, events): (i64, &i64)| session(nth * 100, *events, is_with_path.then(Path::new));
            let sessions: Vec<Session> = (0..).zip(counts).map(one).collect();
            let mut bytes = Vec::new();
            stored::encode(&sessions, &mut bytes);
            decoded.read(&bytes, &kinds, is_with_path).unwrap();
            assert_eq!(decoded.sessions, sessions);
            assert!(decoded.read(&bytes[..bytes.len() - 1], &kinds, is_with_path).is_err());
        }
    }
}

fn check(emit: Emit, steps: &[Do], want: Expect) {
    let config = SessionConfig {
        gap: 30 * SECOND,
        lateness: 60 * SECOND,
        measures: vec![Measure::new("buys", Kind::Count)],
        path_max: Some(3),
        emit,
    };
    let mut operator = Sessions::new(config).unwrap();
    let mut state = MemoryState::default();
    let mut text = String::new();
    let mut names = Vec::new();
    let mut name = |id: u128| {
        let at = names.iter().position(|known| *known == id).unwrap_or_else(|| {
            names.push(id);
            names.len() - 1
        });
        (b'A' + at as u8) as char
    };
    for step in steps {
        let mut out = Vec::new();
        match *step {
            Event(seconds, offset, page) => {
                let buy = if page == "buy" { Input::Unit } else { Input::Skip };
                let time = Micros(seconds * 1_000_000);
                let inputs = [buy, Input::Text(page)];
                let event =
                    crate::operators::Event { key: b"anna", time, position: (0, offset), hops: 0, inputs: &inputs };
                let outcome = operator.event(&mut state, &event, &mut out).unwrap();
                if let Outcome::Late { bound } = outcome {
                    text += &format!("late: {seconds} is before {}\n", bound.0 / 1_000_000);
                }
            }
            To(seconds) => {
                let advance = operator.advance(&mut state, Micros(seconds * 1_000_000), &mut out).unwrap();
                assert_eq!(advance, Advance::Done);
            }
        }
        for emission in out {
            match emission {
                Emission::Session(row) => {
                    let pages = |value: &Value| if let Value::Text(text) = value { text.to_string() } else { panic!() };
                    let path = row.path.unwrap().iter().map(pages).collect::<Vec<_>>().join(" ");
                    text += &format!(
                        "{} r{}{} {}..{} events {} buys {:?} path {path} exit {}\n",
                        name(row.session_id),
                        row.revision,
                        if row.closed { "" } else { " open" },
                        row.start.0 / 1_000_000,
                        row.end.0 / 1_000_000,
                        row.events,
                        row.measures[0],
                        pages(&row.exit.unwrap()),
                    );
                }
                Emission::Tombstone(gone) => {
                    text += &format!(
                        "{} r{} gone, now in {}\n",
                        name(gone.session_id),
                        gone.revision,
                        name(gone.merged_into)
                    );
                }
                Emission::Window(_) => panic!(),
            }
        }
    }
    text += &format!("{} keys left\n", state.entries.len());
    want.assert_eq(&text);
}

#[test]
fn a_gap_splits_only_when_it_is_longer() {
    check(
        Emit::Close,
        &[Event(0, 1, "a"), Event(30, 2, "b"), Event(61, 3, "buy"), To(1_000)],
        expect![[r#"
            A r1 0..30 events 2 buys Int(0) path a b exit b
            B r1 61..61 events 1 buys Int(1) path buy exit buy
            0 keys left
        "#]],
    );
}

#[test]
fn a_session_closes_when_nothing_can_join_it_any_more() {
    check(
        Emit::Close,
        &[Event(0, 1, "a"), To(30), Event(30, 2, "b"), To(60), To(61), To(120), To(121)],
        expect![[r#"
            A r1 0..30 events 2 buys Int(0) path a b exit b
            0 keys left
        "#]],
    );
}

#[test]
fn a_late_event_extends_a_closed_session_under_its_id() {
    check(
        Emit::Close,
        &[Event(100, 1, "a"), To(131), Event(80, 2, "b"), Event(110, 3, "buy"), To(131), To(500)],
        expect![[r#"
            A r1 100..100 events 1 buys Int(0) path a exit a
            A r2 80..110 events 3 buys Int(1) path b a buy exit buy
            0 keys left
        "#]],
    );
}

#[test]
fn a_late_event_bridges_two_sessions_and_the_earlier_born_survives() {
    check(
        Emit::Close,
        &[Event(100, 1, "a"), Event(150, 2, "c"), To(181), Event(125, 3, "b"), To(181), To(500)],
        expect![[r#"
            A r1 100..100 events 1 buys Int(0) path a exit a
            B r1 150..150 events 1 buys Int(0) path c exit c
            B r2 gone, now in A
            A r2 100..150 events 3 buys Int(0) path a b c exit c
            0 keys left
        "#]],
    );
}

#[test]
fn the_order_in_which_sessions_become_known_does_not_decide_who_survives() {
    check(
        Emit::Close,
        &[Event(150, 1, "c"), To(150), Event(100, 2, "a"), To(181), Event(125, 3, "b"), To(500)],
        expect![[r#"
            A r1 100..100 events 1 buys Int(0) path a exit a
            B r1 150..150 events 1 buys Int(0) path c exit c
            B r2 gone, now in A
            A r2 100..150 events 3 buys Int(0) path a b c exit c
            0 keys left
        "#]],
    );
}

#[test]
fn bridging_before_anything_was_given_out_needs_no_tombstone() {
    check(
        Emit::Close,
        &[Event(100, 1, "a"), Event(150, 2, "c"), Event(125, 3, "b"), To(500)],
        expect![[r#"
            A r1 100..150 events 3 buys Int(0) path a b c exit c
            0 keys left
        "#]],
    );
}

#[test]
fn a_late_event_reopens_a_session_that_can_go_on() {
    check(
        Emit::Close,
        &[Event(100, 1, "a"), To(131), Event(125, 2, "b"), To(140), Event(150, 3, "c"), To(500)],
        expect![[r#"
            A r1 100..100 events 1 buys Int(0) path a exit a
            A r2 100..150 events 3 buys Int(0) path a b c exit c
            0 keys left
        "#]],
    );
}

#[test]
fn too_late_is_late_whatever_the_state_holds() {
    check(
        Emit::Close,
        &[Event(100, 1, "a"), To(161), Event(101, 2, "b"), Event(100, 3, "b"), To(500), Event(439, 4, "b")],
        expect![[r#"
            A r1 100..100 events 1 buys Int(0) path a exit a
            late: 100 is before 101
            A r2 100..101 events 2 buys Int(0) path a b exit b
            late: 439 is before 440
            0 keys left
        "#]],
    );
}

#[test]
fn open_sessions_are_given_out_once_for_each_micro_batch() {
    check(
        Emit::Update,
        &[Event(0, 1, "a"), Event(10, 2, "b"), To(5), To(6), Event(12, 3, "c"), Event(11, 4, "buy"), To(7), To(100)],
        expect![[r#"
            A r1 open 0..10 events 2 buys Int(0) path a b exit b
            A r2 open 0..12 events 4 buys Int(1) path a b buy exit c
            A r3 0..12 events 4 buys Int(1) path a b buy exit c
            1 keys left
        "#]],
    );
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let config = |gap, path_max| SessionConfig { gap, lateness: SECOND, measures: vec![], path_max, emit: Emit::Close };
    assert!(Sessions::new(config(Duration::ZERO, None)).is_err());
    assert!(Sessions::new(config(SECOND, Some(0))).is_err());
    assert!(Sessions::new(config(SECOND, Some(1))).is_ok());
}
