use std::collections::BTreeMap;

use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::layout::Layout;
use crate::rows::Rows;
use crate::testing::{record, spec};

/// A rollup by minute and country of events with these further columns.
fn layout(columns: &[Value], metrics: &Value) -> Layout {
    let mut all = vec![json!({"name": "at", "type": "timestamp"}), json!({"name": "country", "type": "string"})];
    all.extend_from_slice(columns);
    let rollup = json!({"time": {"column": "at", "grain": "minute"}, "dimensions": ["country"], "metrics": metrics});
    Layout::of(&spec(json!({"stream": "s", "columns": all, "rollup": rollup}))).unwrap()
}

fn rows_of(layout: &Layout) -> Rows {
    Rows::new(layout, &layout.schema).unwrap()
}

fn rolled(rows: &mut Rows, events: &[Value]) -> RecordBatch {
    events.iter().for_each(|event| rows.push(&record(0, event), 0).unwrap());
    rows.finish().unwrap()
}

#[test]
fn events_of_a_minute_and_a_country_are_one_row() {
    let columns = [
        json!({"name": "pieces", "type": "int"}),
        json!({"name": "price", "type": "decimal", "precision": 8, "scale": 2}),
        json!({"name": "day", "type": "date"}),
    ];
    let metrics = json!([
        {"name": "events", "type": "count"},
        {"name": "pieces", "type": "sum", "column": "pieces"},
        {"name": "revenue", "type": "sum", "column": "price"},
        {"name": "cheapest", "type": "min", "column": "price"},
        {"name": "last", "type": "max", "column": "at"},
        {"name": "day", "type": "min", "column": "day"},
    ]);
    let layout = layout(&columns, &metrics);
    let batch = rolled(
        &mut rows_of(&layout),
        &[
            json!({"at": "2026-01-01T00:00:59.9Z", "country": "NL", "pieces": 1, "price": "0.10", "day": "2026-01-02"}),
            json!({"at": "2026-01-01T00:00:01Z", "country": "NL", "pieces": 2, "price": "0.20", "day": "2026-01-01"}),
            json!({"at": "2026-01-01T00:01:00Z", "country": "NL"}),
            json!({"at": "2026-01-01T00:00:01Z", "pieces": 5}),
            json!({"at": "2026-01-01T00:00:02Z", "country": null, "pieces": 6}),
            json!({"at": -1, "country": "DE"}),
            json!({"country": "DE"}),
        ],
    );
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["at", "country", "events", "pieces", "revenue", "cheapest", "last", "day"]);
    let minutes: Vec<_> = batch["at"].as_primitive::<TimestampMicrosecondType>().iter().collect();
    let minute = 1_767_225_600_000_000;
    let expected = [Some(minute), Some(minute + 60_000_000), Some(minute), Some(-60_000_000), None];
    assert_eq!(minutes, expected, "what is before 1970 is cut down, too");
    let countries: Vec<_> = batch["country"].as_string::<i32>().iter().collect();
    assert_eq!(countries, [Some("NL"), Some("NL"), None, Some("DE"), Some("DE")], "no value is a value");
    let longs = |name: &str| batch[name].as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    assert_eq!(longs("events"), [Some(2), Some(1), Some(2), Some(1), Some(1)]);
    assert_eq!(longs("pieces"), [Some(3), None, Some(11), None, None]);
    let decimals = |name: &str| batch[name].as_primitive::<Decimal128Type>().value(0);
    assert_eq!((decimals("revenue"), decimals("cheapest")), (30, 10));
    assert_eq!(batch["revenue"].data_type(), &DataType::Decimal128(38, 2));
    assert_eq!(batch["last"].as_primitive::<TimestampMicrosecondType>().value(0), minute + 59_900_000);
    assert_eq!(batch["day"].as_primitive::<Date32Type>().value(0), 20_454);
}

#[test]
fn what_a_required_column_becomes_is_always_there() {
    let columns = [json!({"name": "n", "type": "float", "required": true})];
    let metrics = json!([{"name": "events", "type": "count"}, {"name": "n", "type": "sum", "column": "n"}]);
    let layout = layout(&columns, &metrics);
    let mut rows = rows_of(&layout);
    let nullable: Vec<bool> = rows.merge().schema().fields().iter().map(|field| field.is_nullable()).collect();
    assert_eq!(nullable, [true, true, false, false]);
    let misfit = rows.push(&record(0, &json!({"at": 0})), 0).unwrap_err();
    assert_eq!(misfit.0, "`n` is missing");
    let batch = rolled(&mut rows, &[json!({"n": 0.5}), json!({"n": 1})]);
    assert_eq!(batch["n"].as_primitive::<Float64Type>().values().to_vec(), [1.5]);
}

#[test]
fn sums_that_fit_no_row_stay_apart() {
    let check = |column: Value, events: [Value; 4], sums: &[&str]| {
        let layout = layout(
            &[column],
            &json!([{"name": "events", "type": "count"}, {"name": "n", "type": "sum", "column": "n"}]),
        );
        let mut rows = rows_of(&layout);
        let batch = rolled(&mut rows, &events.map(|n| json!({"at": 0, "n": n})));
        let found: Vec<String> = (0..batch.num_rows())
            .map(|row| arrow::util::display::array_value_to_string(&batch["n"], row).unwrap())
            .collect();
        assert_eq!(found, sums);
        assert_eq!(batch["events"].as_primitive::<Int64Type>().iter().flatten().sum::<i64>(), 4);
        let again = rows.merge().of(&[batch.slice(0, 1), batch.clone()]);
        assert_eq!(again.unwrap().num_rows(), sums.len() + 1, "and after that, too");
    };
    let long = json!({"name": "n", "type": "long"});
    check(long, [json!(i64::MAX), json!(1), json!(2), json!(null)], &["9223372036854775807", "3"]);
    let decimal = json!({"name": "n", "type": "decimal", "precision": 38, "scale": 1});
    let most = "9999999999999999999999999999999999999.9";
    check(decimal, [json!(most), json!("0.1"), json!("0.2"), json!("0.1")], &[most, "0.4"]);
    let double = json!({"name": "n", "type": "double"});
    check(double, [json!(1.5e308), json!(1e308), json!(0.5e308), json!(null)], &["1.5e308", "1.5e308"]);
}

type Totals = BTreeMap<(Option<i64>, Option<String>), (i64, i128, i128, Option<i64>, Option<i64>)>;

/// What is in batches by time and country: events, sums of whole and of exact numbers, the least and the greatest.
fn totals(batches: &[RecordBatch]) -> Totals {
    let mut totals = Totals::new();
    for batch in batches {
        let long = |name: &str, row: usize| {
            let values = batch[name].as_primitive::<Int64Type>();
            values.is_valid(row).then(|| values.value(row))
        };
        let (times, countries) =
            (batch["at"].as_primitive::<TimestampMicrosecondType>(), batch["country"].as_string::<i32>());
        let exact = batch["exact"].as_primitive::<Decimal128Type>();
        for row in 0..batch.num_rows() {
            let time = times.is_valid(row).then(|| times.value(row));
            let country = countries.is_valid(row).then(|| countries.value(row).to_owned());
            let total = totals.entry((time, country)).or_insert((0, 0, 0, None, None));
            total.0 += long("events", row).unwrap();
            total.1 += i128::from(long("sum", row).unwrap_or(0));
            total.2 += if exact.is_valid(row) { exact.value(row) } else { 0 };
            total.3 = [total.3, long("min", row)].into_iter().flatten().min();
            total.4 = total.4.max(long("max", row));
        }
    }
    totals
}

/// Minute, country, a whole and an exact number.
type Event = (i64, Option<u8>, Option<i64>, i32);

fn events(n: impl Strategy<Value = i64>) -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0_i64..4, prop::option::of(0_u8..3), prop::option::of(n), any::<i32>()), 1..80)
}

proptest! {
    /// However events are split into batches, and however often those are put together: the totals are those of the
    /// events, and no row comes twice but where its sum did not fit.
    #[test]
    fn totals_stay_what_those_of_the_events_are(
        events in prop_oneof![events(-1_000_i64..1_000), events(any::<i64>())],
        splits in prop::collection::vec(1_usize..20, 1..20),
        merges in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let columns = [json!({"name": "n", "type": "long"}), json!({"name": "exact", "type": "decimal", "precision": 10, "scale": 0})];
        let layout = layout(&columns, &json!([
            {"name": "events", "type": "count"}, {"name": "sum", "type": "sum", "column": "n"},
            {"name": "exact", "type": "sum", "column": "exact"},
            {"name": "min", "type": "min", "column": "n"}, {"name": "max", "type": "max", "column": "n"},
        ]));
        let mut expected = Totals::new();
        for (minute, country, n, exact) in &events {
            let country = country.map(|it| it.to_string());
            let total = expected.entry((Some(minute * 60_000_000), country)).or_insert((0, 0, 0, None, None));
            total.0 += 1;
            total.1 += i128::from(n.unwrap_or(0));
            total.2 += i128::from(*exact);
            total.3 = [total.3, *n].into_iter().flatten().min();
            total.4 = total.4.max(*n);
        }
        let mut rows = rows_of(&layout);
        let mut left = events.as_slice();
        let mut batches = Vec::new();
        for split in splits.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let (now, later) = left.split_at(left.len().min(*split));
            left = later;
            let now: Vec<Value> = now.iter().map(|(minute, country, n, exact)| {
                json!({"at": minute * 60_000 + 7, "country": country.map(|it| it.to_string()), "n": n, "exact": exact})
            }).collect();
            batches.push(rolled(&mut rows, &now));
        }
        prop_assert_eq!(&totals(&batches), &expected);
        for at in merges {
            let at = at.index(batches.len());
            let merged = rows.merge().of(batches.iter().skip(at).take(2)).unwrap();
            batches.splice(at..(at + 2).min(batches.len()), [merged]);
            prop_assert_eq!(&totals(&batches), &expected);
        }
        let small = events.iter().all(|(_, _, n, _)| n.is_none_or(|n| n.unsigned_abs() <= 1_000));
        let all = rows.merge().of(&batches).unwrap();
        prop_assert!(!small || all.num_rows() == expected.len());
        prop_assert_eq!(&totals(&[all]), &expected);
    }
}
