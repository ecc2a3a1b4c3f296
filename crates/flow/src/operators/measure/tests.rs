use proptest::prelude::*;

use super::*;

const KINDS: [Kind; 9] = [
    Kind::Count,
    Kind::Sum,
    Kind::Min,
    Kind::Max,
    Kind::Mean,
    Kind::Distinct,
    Kind::Last { n: 1 },
    Kind::Last { n: 3 },
    Kind::First,
];

fn input(seed: u8) -> Input<'static> {
    match seed % 8 {
        0 => Input::Skip,
        1 => Input::Unit,
        2 => Input::Bool(seed & 64 > 0),
        3 => Input::Text(["a", "b", "c"][usize::from(seed / 8) % 3]),
        4 => Input::Json("{\"a\":[1]}"),
        5 => Input::Float(f64::from(seed) / 7.0),
        _ => Input::Int(i64::from(seed / 8) - 16),
    }
}

#[test]
fn an_input_is_stored_as_the_value_that_it_gives() {
    for seed in 0..=u8::MAX {
        let (mut stored, mut wanted) = (Vec::new(), Vec::new());
        let value = input(seed).value();
        value.iter().for_each(|value| value.put(&mut wanted));
        assert_eq!((input(seed).put(&mut stored), stored), (value.is_some(), wanted), "{:?}", input(seed));
    }
}

fn measure(kind: Kind, events: &[(i16, u8)], from: i64) -> Measured {
    let mut measured = Measured::new(kind);
    for (index, (time, seed)) in events.iter().enumerate() {
        measured.add(&input(*seed), (Micros(i64::from(*time)), (0, from + index as i64)));
    }
    measured
}

proptest! {
    #[test]
    fn order_grouping_and_storage_do_not_matter(events in prop::collection::vec(any::<(i16, u8)>(), 0..60), cut in 0_usize..60) {
        let (left, right) = events.split_at(cut.min(events.len()));
        for kind in KINDS {
            let want = measure(kind, &events, 0);
            let mut merged = measure(kind, right, left.len() as i64);
            merged.merge(measure(kind, left, 0));
            prop_assert_eq!(merged.value(), want.value());
            let mut bytes = Vec::new();
            want.put(&mut bytes, Micros(7));
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(Measured::read(kind, &mut reader, Micros(7)).unwrap(), want);
            prop_assert!(reader.end().is_ok());
        }
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>) {
        for kind in KINDS {
            if let Ok(measured) = Measured::read(kind, &mut Reader::new(&bytes), Micros(0)) {
                measured.value();
            }
        }
    }
}

#[test]
fn results_are_what_their_names_say() {
    let events = [(5, 7 + 8 * 20), (1, 6 + 8 * 18), (9, 3), (7, 0)]; // Int(4) at 5, Int(2) at 1, "a" at 9, nothing at 7
    let value = |kind| measure(kind, &events, 0).value();
    assert_eq!(value(Kind::Count), Value::Int(3));
    assert_eq!(value(Kind::Sum), Value::Int(6));
    assert_eq!(value(Kind::Min), Value::Int(2));
    assert_eq!(value(Kind::Max), Value::Int(4));
    assert_eq!(value(Kind::Mean), Value::Float(3.0));
    assert_eq!(value(Kind::Distinct), Value::Int(3));
    assert_eq!(value(Kind::Last { n: 1 }), Value::Text("a".into()));
    assert_eq!(value(Kind::Last { n: 2 }), Value::List(vec![Value::Text("a".into()), Value::Int(4)]));
    assert_eq!(value(Kind::First), Value::Int(2));
    for kind in KINDS {
        let nothing = Measured::new(kind).value();
        assert!(
            matches!(nothing, Value::Null | Value::Int(0)) || nothing == Value::List(vec![]),
            "{kind:?} {nothing:?}"
        );
    }
}
