//! Whatever the order of arrival, the cut of micro-batches, restarts, idle partitions and wrong clocks: what remains at
//! a consumer who upserts by id equals the batch computation over the events that were taken.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::batch::{self, Item};
use super::*;

const ARRIVED: Micros = Micros(2_000_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// One thing that happens to a pipeline.
#[derive(Clone, Debug)]
enum Step {
    Event { partition: u32, key: u8, jitter: i64, seed: u8, twice: bool },
    WrongClock { partition: u32, key: u8, years: i64 },
    Cut,
    Restart,
    Quiet { partition: u32, seconds: u64 },
}

fn script() -> impl Strategy<Value = Vec<Step>> {
    let event = (
        0_u32..3,
        0_u8..3,
        prop_oneof![3 => -5_i64..=5, 2 => -40_i64..=40, 1 => -200_i64..=0],
        any::<u8>(),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(partition, key, jitter, seed, twice)| Step::Event { partition, key, jitter, seed, twice });
    let step = prop_oneof![
        20 => event,
        1 => (0_u32..3, 0_u8..3, prop_oneof![Just(-30_i64), Just(30), Just(5)])
            .prop_map(|(partition, key, years)| Step::WrongClock { partition, key, years }),
        6 => Just(Step::Cut),
        1 => Just(Step::Restart),
        2 => (0_u32..3, 0_u64..15).prop_map(|(partition, seconds)| Step::Quiet { partition, seconds }),
    ];
    prop::collection::vec(step, 1..150)
}

fn marks() -> WatermarkConfig {
    WatermarkConfig { disorder: 5 * SECOND, lateness: 40 * SECOND, idle: 10 * SECOND, ahead: 3_600 * SECOND }
}

fn measures() -> Vec<Measure> {
    vec![
        Measure::new("events", Kind::Count),
        Measure::new("spend", Kind::Sum),
        Measure::new("least", Kind::Min),
        Measure::new("most", Kind::Max),
        Measure::new("mean", Kind::Mean),
        Measure::new("devices", Kind::Distinct),
        Measure::new("last", Kind::Last { n: 3 }),
        Measure::new("first", Kind::First),
    ]
}

pub(super) fn inputs(seed: u8) -> Vec<Input<'static>> {
    let number =
        if seed.is_multiple_of(5) { Input::Float(f64::from(seed) / 10.0) } else { Input::Int(i64::from(seed) - 100) };
    let text = Input::Text(["a", "b", "c", "d", "e", "f", "g"][usize::from(seed) % 7]);
    let condition = if seed.is_multiple_of(3) { Input::Unit } else { Input::Skip };
    vec![condition, number, number, number, number, text, text, number, text]
}

/// A consumer who upserts by id, and is strict about it.
#[derive(Default)]
struct Consumer {
    rows: BTreeMap<String, (u32, Option<Emission>)>,
}

impl Consumer {
    fn take(&mut self, emissions: Vec<Emission>) {
        for emission in emissions {
            let (revision, row) = match &emission {
                Emission::Session(row) => (row.revision, Some(emission.clone())),
                Emission::Window(row) => (row.revision, Some(emission.clone())),
                Emission::Tombstone(tombstone) => (tombstone.revision, None),
            };
            let slot = self.rows.entry(emission.id()).or_insert((0, None));
            assert_eq!(revision, slot.0 + 1, "revisions grow by one: {emission:?}");
            assert!(slot.0 == 0 || slot.1.is_some(), "nothing comes after a tombstone: {emission:?}");
            assert!(row.is_some() || slot.1.is_some(), "only what was given out is taken back: {emission:?}");
            *slot = (revision, row);
        }
    }
}

/// Runs the script; answers what the consumer holds in the end, and the events taken.
fn run(build: &dyn Fn() -> Box<dyn Operator>, script: &[Step], start: Micros) -> (Consumer, Vec<Item<'static>>) {
    let mut operator = build();
    let mut state = MemoryState::default();
    let mut watermarks = Watermarks::new(marks(), 3);
    let mut consumer = Consumer::default();
    let mut taken = Vec::new();
    let mut elapsed = Duration::ZERO;
    let mut offsets = [0_i64; 3];
    let mut now = start;
    let mut out = Vec::new();
    for step in script {
        let (partition, key, time, seed, copies) = match *step {
            Step::Event { partition, key, jitter, seed, twice } => {
                now = now.plus(2 * SECOND);
                (partition, key, Micros(now.0 + jitter * 1_000_000), seed, 1 + usize::from(twice))
            }
            Step::WrongClock { partition, key, years } => {
                (partition, key, Micros(now.0 + years * 31_557_600_000_000), 1, 1)
            }
            Step::Cut => {
                advance(&mut *operator, &mut state, watermarks.advance(), &mut out);
                consumer.take(std::mem::take(&mut out));
                continue;
            }
            Step::Restart => {
                // Whatever was not committed is read again, so a restart is seen at the end of a micro-batch.
                advance(&mut *operator, &mut state, watermarks.advance(), &mut out);
                consumer.take(std::mem::take(&mut out));
                watermarks = Watermarks::decode(marks(), &watermarks.encode()).unwrap();
                operator = build();
                for (key, value) in state.entries.iter().rev() {
                    operator.restore(key, value).unwrap();
                }
                advance(&mut *operator, &mut state, watermarks.watermark(), &mut out);
                assert_eq!(out, [], "a restart gives nothing out again");
                continue;
            }
            Step::Quiet { partition, seconds } => {
                watermarks.empty(partition, elapsed);
                elapsed += Duration::from_secs(seconds);
                watermarks.empty(partition, elapsed);
                continue;
            }
        };
        for _ in 0..copies {
            let offset = &mut offsets[partition as usize];
            *offset += 1;
            let (key, position) = (Bytes::from(vec![b'k', key]), (partition, *offset));
            let item = Item { key, time, position, hops: u32::from(seed % 20), inputs: inputs(seed) };
            let arrived = Micros(now.0.max(ARRIVED.0));
            if watermarks.observe(partition, time, arrived) != Observed::OnTime {
                continue;
            }
            let event = Event { key: &item.key, time, position, hops: item.hops, inputs: &item.inputs };
            let outcome = operator.event(&mut state, &event, &mut out).unwrap();
            assert!(outcome == Outcome::Taken || time < watermarks.watermark());
            if outcome == Outcome::Taken {
                taken.push(item);
            }
        }
    }
    advance(&mut *operator, &mut state, watermarks.finish(), &mut out);
    consumer.take(out);
    assert_eq!(state.entries.len(), 0, "nothing is left behind");
    (consumer, taken)
}

fn advance(operator: &mut dyn Operator, state: &mut MemoryState, watermark: Micros, out: &mut Vec<Emission>) {
    while operator.advance(state, watermark, out).unwrap() == Advance::More {}
}

fn sessions(emit: Emit, path_max: Option<usize>) -> SessionConfig {
    SessionConfig { gap: 10 * SECOND, lateness: 40 * SECOND, measures: measures(), path_max, emit }
}

fn session_rows(consumer: Consumer) -> Vec<SessionRow> {
    let rows = consumer.rows.into_values().filter_map(|(_, row)| row);
    let mut rows: Vec<_> =
        rows.map(|row| if let Emission::Session(row) = row { row } else { panic!("{row:?}") }).collect();
    rows.sort_by(|a, b| (&a.key, a.start).cmp(&(&b.key, b.start)));
    rows
}

fn anonymous(rows: &[SessionRow]) -> Vec<SessionRow> {
    rows.iter().map(|row| SessionRow { session_id: 0, revision: 0, ..row.clone() }).collect()
}

fn check_sessions(config: &SessionConfig, script: &[Step]) {
    let build = || -> Box<dyn Operator> { Box::new(Sessions::new(config.clone()).unwrap()) };
    let (consumer, taken) = run(&build, script, ARRIVED.minus(600 * SECOND));
    let given = session_rows(consumer);
    let truth = batch::sessions(config, &taken);
    assert_eq!(anonymous(&given), anonymous(&truth));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn sessions_equal_the_batch(script in script()) {
        check_sessions(&sessions(Emit::Close, Some(4)), &script);
    }

    #[test]
    fn sessions_given_out_while_open_equal_the_batch(script in script()) {
        check_sessions(&sessions(Emit::Update, None), &script);
    }

    #[test]
    fn windows_equal_the_batch(script in script(), (size, every) in prop_oneof![Just((10, 10)), Just((30, 10)), Just((25, 10))]) {
        let config = WindowConfig { size: size * SECOND, every: every * SECOND, lateness: 40 * SECOND, measures: measures() };
        let build = || -> Box<dyn Operator> { Box::new(Windows::new(config.clone()).unwrap()) };
        let (consumer, taken) = run(&build, &script, ARRIVED.minus(600 * SECOND));
        let rows = consumer.rows.into_values().filter_map(|(_, row)| row);
        let mut rows: Vec<_> = rows.map(|row| if let Emission::Window(row) = row { row } else { panic!("{row:?}") }).collect();
        rows.sort_by(|a, b| (&a.key, a.start).cmp(&(&b.key, b.start)));
        rows.iter_mut().for_each(|row| row.revision = 1);
        prop_assert_eq!(rows, batch::windows(&config, &taken));
    }

    #[test]
    fn sessions_of_ordered_input_have_the_ids_of_the_batch(script in script()) {
        let ordered: Vec<_> = script.into_iter().filter_map(|step| match step {
            Step::Event { partition: _, key, jitter: _, seed, twice } => Some(Step::Event { partition: 0, key, jitter: 0, seed, twice }),
            Step::WrongClock { .. } => None,
            other => Some(other),
        }).collect();
        let config = sessions(Emit::Close, Some(4));
        let build = || -> Box<dyn Operator> { Box::new(Sessions::new(config.clone()).unwrap()) };
        let (consumer, taken) = run(&build, &ordered, ARRIVED.minus(600 * SECOND));
        prop_assert_eq!(session_rows(consumer), batch::sessions(&config, &taken));
    }

    #[test]
    fn nonsense_in_the_state_is_an_error_and_never_a_panic(bytes: Vec<u8>, version in any::<bool>()) {
        let bytes = if version { [vec![1], bytes].concat() } else { bytes };
        let key = [&[0x80, 0, 0, 0, 0, 0, 0, 0][..], b"key"].concat();
        let (session, window) = (sessions(Emit::Update, Some(3)), WindowConfig {
            size: 10 * SECOND, every: 10 * SECOND, lateness: SECOND, measures: measures(),
        });
        let operators: [Box<dyn Operator>; 2] = [Box::new(Sessions::new(session).unwrap()), Box::new(Windows::new(window).unwrap())];
        for mut operator in operators {
            let mut state = MemoryState::default();
            state.put(&key, &bytes);
            if operator.restore(&key, &bytes).is_ok() {
                let mut out = Vec::new();
                let event = Event { key: &key, time: Micros(5), position: (0, 1), hops: 3, inputs: &inputs(3) };
                let _ = operator.event(&mut state, &event, &mut out);
                let _ = operator.advance(&mut state, Micros(50), &mut out);
                let _ = operator.advance(&mut state, Micros::MAX, &mut out);
            }
        }
    }
}
