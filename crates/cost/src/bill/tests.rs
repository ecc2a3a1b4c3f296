use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::book::{Discount, Point, Series};

fn series(resource: &str, purchase: Value, kind: &str, place: &str, unit: &str, price: &str) -> Series {
    let platform = if resource == "instance" && unit == "hour" { "linux" } else { "" };
    serde_json::from_value(json!({
        "resource": resource, "purchase": purchase, "type": kind, "place": place, "platform": platform, "unit": unit,
        "currency": "USD", "as_of": "2024-04-01T00:00:00Z",
        "points": [{"from": "2020-01-01T00:00:00Z", "price": price}]
    }))
    .unwrap()
}

fn book() -> Book {
    let spot = Series {
        points: vec![
            Point { from: Time::parse("2024-03-01T00:00:00Z").unwrap(), to: None, price: Decimal::new(3, 2) },
            Point { from: Time::parse("2024-03-04T09:30:00Z").unwrap(), to: None, price: Decimal::new(5, 2) },
        ],
        ..series("instance", json!("spot"), "c5.large", "us-east-1a", "hour", "0")
    };
    let mut iops = series("volume", Value::Null, "gp3", "us-east-1", "iops_month", "0.005");
    iops.included = Decimal::from(3_000);
    let all = vec![
        series("instance", json!("on_demand"), "c5.large", "us-east-1", "hour", "0.09"),
        series("instance", json!("reserved"), "c5.large", "us-east-1", "hour", "0.05"),
        series("instance", json!("on_premises"), "rack", "basement", "core_hour", "0.012"),
        series("volume", Value::Null, "gp3", "us-east-1", "gb_month", "0.08"),
        series("file_system", Value::Null, "lustre", "us-east-1", "gb_month", "0.146"),
        series("cluster", Value::Null, "eks", "us-east-1", "hour", "0.10"),
        iops,
        spot,
    ];
    Book::new("USD", all, vec![]).unwrap()
}

fn run(parts: Value) -> Run {
    let mut record = json!({"id": "r", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T10:00:00Z"});
    record.as_object_mut().unwrap().extend(parts.as_object().unwrap().clone());
    let run: Run = serde_json::from_value(record).unwrap();
    run.check().unwrap();
    run
}

fn bill(parts: Value) -> Bill {
    price(&run(parts), &book(), Time(0))
}

fn total(parts: Value) -> String {
    let bill = bill(parts);
    bill.word(bill.total())
}

fn machine(more: Value) -> Value {
    let mut machine = json!({"id": "m", "type": "c5.large", "region": "us-east-1", "zone": "us-east-1a", "cpus": 2});
    machine.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    machine
}

#[test]
fn each_row_of_the_conventions_is_how_it_is_counted() {
    let cases = [
        ("an hour on demand", json!({"instances": [machine(json!({}))]}), "0.09"),
        ("a reserved hour", json!({"instances": [machine(json!({"purchase": "reserved"}))]}), "0.05"),
        ("spot, half an hour at each price", json!({"instances": [machine(json!({"purchase": "spot"}))]}), "0.04"),
        (
            "ten seconds are a minute",
            json!({"instances": [machine(json!({"ended": "2024-03-04T09:00:10Z"}))]}),
            "0.0015",
        ),
        (
            "seconds that have begun are whole",
            json!({"instances": [machine(json!({"ended": "2024-03-04T09:01:59.001Z"}))]}),
            "0.003",
        ),
        (
            "cores on premises",
            json!({"instances": [{"id": "m", "type": "rack", "region": "basement", "purchase": "on_premises", "cpus": 16}]}),
            "0.192",
        ),
        (
            "a month has 730 hours",
            json!({"volumes": [{"id": "v", "type": "gp3", "region": "us-east-1", "size_gib": 730}]}),
            "0.08",
        ),
        (
            "operations beyond those that are included",
            json!({"volumes": [{"id": "v", "type": "gp3", "region": "us-east-1", "size_gib": 730, "iops": 10_300}]}),
            "0.13",
        ),
        (
            "operations within them",
            json!({"volumes": [{"id": "v", "type": "gp3", "region": "us-east-1", "size_gib": 730, "iops": 3_000}]}),
            "0.08",
        ),
        (
            "half a file system",
            json!({"file_systems": [{"id": "f", "type": "lustre", "region": "us-east-1", "size_gib": 1_460, "share": "0.5"}]}),
            "0.146",
        ),
        ("a control plane", json!({"clusters": [{"id": "c", "type": "eks", "region": "us-east-1"}]}), "0.10"),
        ("nothing", json!({}), "0.00"),
    ];
    for (name, parts, expected) in cases {
        assert_eq!(total(parts), expected, "{name}");
    }
}

#[test]
fn a_shared_machine_costs_the_share_that_attempts_take() {
    let attempts = json!([
        {"instance": "m", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T09:30:00Z", "cpus": 1, "failed": true},
        {"instance": "m", "started": "2024-03-04T09:30:00Z", "ended": "2024-03-04T09:40:00Z", "cpus": 2}
    ]);
    let parts = json!({"jobs": [{"id": "j", "attempts": attempts}], "instances": [machine(json!({"shared": true}))]});
    let bill = bill(parts);
    // 0.09 × (0.5 × 1/2 h + 1 × 1/6 h)
    assert_eq!(bill.word(bill.total()), "0.0375");
    assert_eq!(bill.word(bill.failed()), "0.0225");
    assert_eq!(bill.lines[0].idle, Some(Decimal::ZERO));
}

#[test]
fn attempts_that_overlap_are_charged_once_and_failed_ones_are_shown() {
    let attempt = |failed: bool| json!({"instance": "m", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T09:30:00Z", "failed": failed});
    let jobs = json!([{"id": "a", "attempts": [attempt(true)]}, {"id": "b", "attempts": [attempt(false)]}]);
    let bill = bill(json!({"jobs": jobs, "instances": [machine(json!({}))]}));
    let text = |amount: Option<Decimal>| crate::conventions::text(amount.unwrap());
    assert_eq!(
        (text(bill.total()), text(bill.failed()), text(bill.lines[0].idle)),
        ("0.09".into(), "0.0225".into(), "0.045".into())
    );
}

#[test]
fn what_has_no_price_is_unknown_and_never_nothing() {
    let parts = json!({"instances": [machine(json!({"type": "x9.huge"})), machine(json!({"id": "n"}))]});
    let bill = bill(parts);
    assert_eq!((bill.status, bill.word(bill.total()).as_str()), (Status::Unknown, "unknown"));
    assert_eq!(
        bill.lines[0].reason.as_deref(),
        Some("there is no price `instance:on_demand:x9.huge:us-east-1:linux:hour:USD`")
    );
    assert_eq!(bill.lines[1].amount, Some(Decimal::new(9, 2)));
}

#[test]
fn what_has_no_price_yet_is_pending() {
    let mut late = run(json!({"instances": [machine(json!({"purchase": "spot"}))]}));
    late.ended = Time::parse("2024-05-01T00:00:00Z").unwrap();
    let bill = price(&late, &book(), Time(0));
    assert_eq!((bill.status, bill.word(bill.total()).as_str()), (Status::Pending, "pending"));
}

#[test]
fn prices_of_another_currency_are_no_prices() {
    let euros = Series {
        currency: "EUR".into(),
        ..series("instance", json!("on_demand"), "c5.large", "us-east-1", "hour", "1")
    };
    let bill = price(
        &run(json!({"instances": [machine(json!({}))]})),
        &Book::new("USD", vec![euros], vec![]).unwrap(),
        Time(0),
    );
    assert_eq!(bill.status, Status::Unknown);
}

#[test]
fn a_discount_leaves_the_list_amount_beside_the_accounts() {
    let rule = Discount {
        account: "a".into(),
        resource: None,
        purchase: None,
        kind: None,
        percent: Decimal::from(20),
        from: None,
        to: None,
    };
    let on_demand = series("instance", json!("on_demand"), "c5.large", "us-east-1", "hour", "0.09");
    let book = Book::new("USD", vec![on_demand], vec![rule]).unwrap();
    let bill = price(&run(json!({"account": "a", "instances": [machine(json!({}))]})), &book, Time(0));
    assert_eq!(
        (bill.lines[0].amount, bill.lines[0].list_amount),
        (Some(Decimal::new(72, 3)), Some(Decimal::new(9, 2)))
    );
}

proptest! {
    /// Whatever runs when on whose machine: nobody pays more than the machine, and the parts are the whole.
    #[test]
    fn attempts_and_idle_time_add_up_to_the_line(
        attempts in prop::collection::vec((0_i64..3_600_000, 1_i64..3_600_000, 1_u32..5, any::<bool>()), 0..20),
        shared in any::<bool>(),
    ) {
        let begin = Time::parse("2024-03-04T09:00:00Z").unwrap();
        let attempts: Vec<Value> = attempts.into_iter().map(|(from, ms, cpus, failed)| json!({
            "instance": "m", "started": begin.plus(from), "ended": begin.plus(from + ms), "cpus": cpus, "failed": failed
        })).collect();
        let parts = json!({
            "jobs": [{"id": "j", "attempts": attempts}],
            "instances": [machine(json!({"shared": shared, "purchase": "spot", "cpus": 4}))]
        });
        let bill = bill(parts);
        let line = &bill.lines[0];
        let sum: Decimal = bill.attempts.iter().filter_map(|attempt| attempt.amount).sum();
        prop_assert_eq!(line.amount.unwrap(), sum + line.idle.unwrap());
        prop_assert!(line.amount.unwrap() <= Decimal::new(4, 2));
        let slack = Decimal::new(20, 10);
        prop_assert!(line.idle.unwrap() >= -slack);
        if shared {
            prop_assert!(line.idle.unwrap() <= slack);
        }
    }
}
