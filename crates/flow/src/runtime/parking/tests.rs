use proptest::prelude::*;

use super::*;

fn holds(watermark: i64, time: i64) -> Option<Holds> {
    Some(Holds { watermark: Micros(watermark), until: Micros(time) })
}

#[test]
fn a_lane_goes_in_order_and_vanishes_when_empty() {
    let mut parking = Parking::default();
    let lane = Some(7);
    assert!(parking.is_clear(lane));
    let (a, b) = (parking.enter(lane, holds(1, 1)), parking.enter(lane, None));
    parking.put(a, "a", For::Answer(0));
    parking.put(b, "b", For::Turn);
    assert!(!parking.is_clear(lane) && parking.is_clear(Some(8)) && parking.is_clear(None));
    assert!(parking.is_first(a) && !parking.is_first(b));
    assert_eq!(parking.take(a, For::Answer(0)), Some("a"));
    assert_eq!(parking.leave(a), Next { follower: Some(b), oldest: None });
    assert_eq!(parking.take(b, For::Answer(0)), None, "it waits for its turn, not for an answer");
    assert_eq!(parking.take(b, For::Turn), Some("b"));
    assert_eq!(parking.leave(b), Next::default());
    assert!(parking.is_clear(lane) && parking.is_empty());
}

#[test]
fn an_answer_to_another_lifes_question_finds_nobody() {
    let inbox = crate::runtime::asking::Inbox::default();
    let mut lives = [Parking::default(), Parking::default()];
    let [before, now] = &mut lives;
    before.count_from(inbox.first_serial());
    now.count_from(inbox.first_serial());
    let (asked, waits) = (before.enter(None, None), now.enter(None, None));
    now.put(waits, "event", For::Answer(0));
    assert_eq!(now.take(asked, For::Answer(0)), None);
    assert_eq!(now.take(waits, For::Answer(0)), Some("event"));
}

#[test]
fn an_event_that_steps_aside_waits_on_and_holds_nobody_back() {
    let mut parking = Parking::default();
    let lane = Some(7);
    let (a, b) = (parking.enter(lane, holds(1, 1)), parking.enter(lane, holds(2, 2)));
    parking.put(b, "b", For::Turn);
    assert_eq!(parking.step_aside(a), Next { follower: Some(b), oldest: Some(b) });
    parking.put(a, "a", For::Answer(0));
    assert_eq!((parking.fence(), parking.len()), (Some(Micros(2)), 2));
    assert!(parking.is_first(a) && parking.is_first(b) && parking.may_pass(None, Micros(2)));
    assert_eq!(parking.take(b, For::Turn), Some("b"));
    assert_eq!(parking.leave(b), Next::default());
    assert!(parking.is_clear(lane) && parking.fence().is_none());
    assert_eq!(parking.event_mut(a), Some(&mut "a"));
    assert_eq!(parking.take(a, For::Answer(0)), Some("a"));
    assert_eq!(parking.leave(a), Next::default());
    assert!(parking.is_empty());
}

#[test]
fn the_watermark_waits_for_the_oldest_event() {
    let mut parking = Parking::default();
    let (a, b) = (parking.enter(None, holds(1, 1)), parking.enter(None, holds(2, 2)));
    parking.put(a, (), For::Answer(0));
    parking.put(b, (), For::Answer(0));
    assert_eq!(parking.fence(), Some(Micros(1)));
    parking.leave(b);
    assert_eq!(parking.fence(), Some(Micros(1)));
    parking.leave(a);
    assert_eq!(parking.fence(), None);
}

#[test]
fn an_event_does_not_overtake_a_much_older_one_unless_all_before_it_are_through() {
    let mut parking = Parking::default();
    let [a, b, c] = [10, 500, 20].map(|time| parking.enter(None, holds(0, time)));
    for ticket in [a, b, c] {
        parking.put(ticket, (), For::Turn);
    }
    assert!(parking.may_pass(None, Micros(10)) && !parking.may_pass(None, Micros(11)));
    assert!(!parking.may_pass(Some(b), Micros(400)));
    assert_eq!(parking.leave(a), Next { follower: None, oldest: Some(b) });
    assert!(!parking.may_pass(None, Micros(400)), "c is older still");
    assert!(parking.may_pass(Some(b), Micros(400)), "and came after b, who need not wait for it");
    assert_eq!(parking.leave(c), Next::default());
    assert!(parking.may_pass(None, Micros(400)));
}

#[test]
fn late_and_retried_events_hold_no_time_back() {
    let mut parking = Parking::default();
    let a = parking.enter(None, None);
    parking.put(a, (), For::Answer(0));
    assert_eq!(parking.fence(), None);
    assert!(parking.may_pass(None, Micros::MAX));
    assert_eq!(parking.leave(a), Next::default());
}

#[test]
fn only_events_that_still_wait_have_a_deadline() {
    let mut parking = Parking::default();
    let (second, short) = (Duration::from_secs(1), Duration::from_millis(15));
    let a = parking.enter(None, None);
    parking.put(a, (), For::Answer(0));
    parking.limit(a, 0, Duration::ZERO, second);
    let b = parking.enter(None, None);
    parking.put(b, (), For::Answer(0));
    parking.limit(b, 0, Duration::ZERO, short);
    assert_eq!(parking.deadline(), Some(short));
    assert!(parking.take(b, For::Answer(0)).is_some());
    parking.leave(b);
    assert_eq!(parking.deadline(), Some(second));
    assert_eq!(parking.expired(short), None);
    assert_eq!(parking.expired(second), Some((a, 0)));
}

#[derive(Clone, Debug)]
enum Step {
    /// With a lane, and the event time that is held back.
    Enter(Option<u64>, Option<i64>),
    Aside(usize),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let enter = (proptest::option::of(0..4_u64), proptest::option::weighted(0.8, 0..9_i64));
    prop_oneof![
        4 => enter.prop_map(|(lane, time)| Step::Enter(lane, time)),
        2 => any::<usize>().prop_map(Step::Aside),
        2 => any::<usize>().prop_map(Step::Leave),
    ]
}

/// An event that waits: its lane, its time and the watermark that it came at, as far as it holds others back.
type Waiting = (Ticket, Option<u64>, Option<(i64, i64)>);

fn behind(first: Ticket, mut queue: impl Iterator<Item = Ticket>) -> Option<Ticket> {
    queue.next().filter(|ticket| *ticket == first).and_then(|_| queue.next())
}

fn freed(all: &[Waiting], (ticket, lane, _): Waiting) -> Next {
    let of_lane = all.iter().filter(|(_, other, _)| other.is_some() && *other == lane);
    let holding = all.iter().filter(|(.., held)| held.is_some());
    let ticket_of = |waiting: &Waiting| waiting.0;
    Next { follower: behind(ticket, of_lane.map(ticket_of)), oldest: behind(ticket, holding.map(ticket_of)) }
}

proptest! {
    #[test]
    fn those_hold_others_back_that_wait_and_have_not_stepped_aside(steps in proptest::collection::vec(step(), 1..150)) {
        let mut parking = Parking::default();
        let mut all: Vec<Waiting> = Vec::new();
        for (watermark, step) in (0_i64..).zip(steps) {
            match step {
                Step::Enter(lane, time) => {
                    let ticket = parking.enter(lane, time.and_then(|time| holds(watermark, time)));
                    parking.put(ticket, (), For::Turn);
                    all.push((ticket, lane, time.map(|time| (time, watermark))));
                }
                Step::Aside(at) | Step::Leave(at) if !all.is_empty() => {
                    let at = at % all.len();
                    let free = freed(&all, all[at]);
                    if matches!(step, Step::Aside(_)) {
                        prop_assert_eq!(parking.step_aside(all[at].0), free);
                        all[at] = (all[at].0, None, None);
                    } else {
                        prop_assert_eq!(parking.leave(all.remove(at).0), free);
                    }
                }
                Step::Aside(_) | Step::Leave(_) => {}
            }
            prop_assert_eq!(parking.len(), all.len());
            let oldest = all.iter().find_map(|(ticket, _, held)| Some((*ticket, (*held)?.1)));
            prop_assert_eq!(parking.fence(), oldest.map(|(_, watermark)| Micros(watermark)));
            for lane in 0..4 {
                let first = all.iter().find(|(_, of, _)| *of == Some(lane)).map(|waiting| waiting.0);
                prop_assert_eq!(parking.is_clear(Some(lane)), first.is_none());
                for (ticket, ..) in all.iter().filter(|(_, of, _)| *of == Some(lane)) {
                    prop_assert_eq!(parking.is_first(*ticket), first == Some(*ticket));
                }
            }
            for bound in 0..10 {
                let none_before = all.iter().all(|(.., held)| held.is_none_or(|(time, _)| time >= bound));
                prop_assert_eq!(parking.may_pass(None, Micros(bound)), none_before);
                for (ticket, ..) in &all {
                    let is_oldest = oldest.is_some_and(|(first, _)| first == *ticket);
                    prop_assert_eq!(parking.may_pass(Some(*ticket), Micros(bound)), none_before || is_oldest);
                }
            }
        }
    }
}
