use expect_test::{Expect, expect};

use super::*;
use crate::operators::{Input, MemoryState};

const SECOND: Duration = Duration::from_secs(1);

fn config(size: u32, every: u32) -> WindowConfig {
    let measures = vec![Measure::new("events", Kind::Count)];
    WindowConfig { size: size * SECOND, every: every * SECOND, lateness: 60 * SECOND, measures }
}

fn event(key: &[u8], time: Micros, offset: i64) -> Event<'_> {
    Event { key, time, position: (0, offset), hops: 0, inputs: &[Input::Unit] }
}

/// Events at seconds (`Ok`) and watermarks (`Err`).
fn check(config: WindowConfig, steps: &[Result<i64, i64>], want: Expect) {
    let mut operator = Windows::new(config).unwrap();
    let mut state = MemoryState::default();
    let mut text = String::new();
    for (offset, step) in steps.iter().enumerate() {
        let mut out = Vec::new();
        match step {
            Ok(seconds) => {
                let time = Micros(seconds * 1_000_000);
                let outcome = operator.event(&mut state, &event(b"DE", time, offset as i64), &mut out).unwrap();
                if outcome != Outcome::Taken {
                    text += &format!("late: {seconds}\n");
                }
            }
            Err(seconds) => {
                assert_eq!(operator.advance(&mut state, Micros(seconds * 1_000_000), &mut out).unwrap(), Advance::Done);
            }
        }
        for emission in out {
            let Emission::Window(row) = emission else { panic!() };
            text += &format!(
                "{}..{} r{} {:?}\n",
                row.start.0 / 1_000_000,
                row.end.0 / 1_000_000,
                row.revision,
                row.measures
            );
        }
    }
    text += &format!("{} windows left\n", state.entries.len());
    want.assert_eq(&text);
}

#[test]
fn a_window_holds_its_start_and_not_its_end() {
    check(
        config(60, 60),
        &[Ok(0), Ok(59), Ok(60), Ok(-1), Err(59), Err(60), Err(120)],
        expect![[r#"
            -60..0 r1 [Int(1)]
            0..60 r1 [Int(2)]
            60..120 r1 [Int(1)]
            1 windows left
        "#]],
    );
}

#[test]
fn late_events_give_revisions_until_the_lateness_is_over() {
    check(
        config(60, 60),
        &[Ok(10), Err(60), Ok(20), Ok(30), Err(60), Err(89), Ok(29), Ok(28), Err(119), Ok(59), Err(120), Ok(59)],
        expect![[r#"
            0..60 r1 [Int(1)]
            0..60 r2 [Int(3)]
            late: 28
            0..60 r3 [Int(4)]
            0..60 r4 [Int(5)]
            late: 59
            0 windows left
        "#]],
    );
}

#[test]
fn sliding_windows_overlap() {
    check(
        config(30, 10),
        &[Ok(5), Ok(25), Err(1_000)],
        expect![[r#"
            -20..10 r1 [Int(1)]
            -10..20 r1 [Int(1)]
            0..30 r1 [Int(2)]
            10..40 r1 [Int(1)]
            20..50 r1 [Int(1)]
            0 windows left
        "#]],
    );
}

#[test]
fn a_jump_of_the_watermark_is_worked_off_in_pieces() {
    let mut operator = Windows::new(config(60, 60)).unwrap();
    let mut state = MemoryState::default();
    let mut out = Vec::new();
    let keys = ADVANCE_MAX + 10;
    for key in 0..keys as u32 {
        operator.event(&mut state, &event(&key.to_be_bytes(), Micros(1), 1), &mut out).unwrap();
    }
    assert_eq!(operator.advance(&mut state, Micros(60_000_000), &mut out), Ok(Advance::More));
    assert_eq!(out.len(), ADVANCE_MAX);
    assert_eq!(operator.advance(&mut state, Micros(60_000_000), &mut out), Ok(Advance::Done));
    assert_eq!(out.len(), keys);
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    assert!(Windows::new(config(0, 1)).is_err());
    assert!(Windows::new(config(1, 0)).is_err());
    assert!(Windows::new(config(10, 11)).is_err());
    assert!(Windows::new(config(1_001, 1)).is_err());
    assert!(Windows::new(config(1_000, 1)).is_ok());
}
