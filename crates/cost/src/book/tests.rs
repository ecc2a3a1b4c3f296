use proptest::prelude::*;

use super::*;
use crate::bill::integrate;

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn decimal(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn series(points: &[(&str, Option<&str>, &str)]) -> Series {
    Series {
        resource: Resource::Instance,
        purchase: Some(Purchase::OnDemand),
        kind: "c5.large".to_owned(),
        place: "us-east-1".to_owned(),
        platform: "linux".to_owned(),
        unit: Unit::Hour,
        included: Decimal::ZERO,
        currency: "USD".to_owned(),
        as_of: time("2024-03-05T00:00:00Z"),
        source: String::new(),
        points: points
            .iter()
            .map(|(from, to, price)| Point { from: time(from), to: to.map(time), price: decimal(price) })
            .collect(),
    }
}

const NINE: &str = "2024-03-04T09:00:00Z";
const TEN: &str = "2024-03-04T10:00:00Z";
const ELEVEN: &str = "2024-03-04T11:00:00Z";

fn prices(one: Series, discounts: Vec<Discount>) -> Result<Vec<(String, String)>, Missing> {
    let wanted = one.wanted();
    let book = Book::new("USD", vec![one], discounts).unwrap();
    let span = Span { from: time(NINE), to: time(ELEVEN) };
    let stretches = book.stretches(&wanted, "lab", span)?;
    Ok(stretches.iter().map(|s| (s.span.from.to_string(), s.price.normalize().to_string())).collect())
}

#[test]
fn a_price_holds_until_the_next_begins() {
    let one = series(&[(TEN, None, "2"), ("2024-01-01T00:00:00Z", None, "1")]);
    assert_eq!(prices(one, vec![]), Ok(vec![(NINE.to_owned(), "1".to_owned()), (TEN.to_owned(), "2".to_owned())]));
}

#[test]
fn a_price_that_ends_gives_way_to_the_one_before_it() {
    let one = series(&[("2024-01-01T00:00:00Z", None, "1"), ("2024-03-01T00:00:00Z", Some(TEN), "0.5")]);
    assert_eq!(prices(one, vec![]), Ok(vec![(NINE.to_owned(), "0.5".to_owned()), (TEN.to_owned(), "1".to_owned())]));
}

#[test]
fn before_the_first_price_nothing_is_known() {
    let missing = prices(series(&[(TEN, None, "1")]), vec![]).unwrap_err();
    assert!(matches!(missing, Missing::Unknown(reason) if reason.contains(NINE)));
}

#[test]
fn behind_the_last_price_it_is_pending() {
    let missing = prices(series(&[("2024-01-01T00:00:00Z", Some(TEN), "1")]), vec![]).unwrap_err();
    assert!(matches!(missing, Missing::Pending(reason) if reason.contains(TEN)));
}

#[test]
fn spot_prices_are_pending_until_they_are_read_behind_the_run() {
    let mut one = series(&[("2024-01-01T00:00:00Z", None, "1")]);
    one.purchase = Some(Purchase::Spot);
    one.as_of = time(TEN);
    assert!(matches!(prices(one.clone(), vec![]), Err(Missing::Pending(_))));
    one.as_of = time(ELEVEN);
    assert_eq!(prices(one, vec![]).unwrap().len(), 1);
}

#[test]
fn discounts_multiply_while_they_hold_and_only_for_their_account() {
    let rule = |account: &str, percent: &str, from: Option<&str>| Discount {
        account: account.to_owned(),
        resource: None,
        purchase: None,
        kind: None,
        percent: decimal(percent),
        from: from.map(time),
        to: None,
    };
    let rules = vec![rule("lab", "10", None), rule("lab", "5", Some(TEN)), rule("other", "50", None)];
    let prices = prices(series(&[("2024-01-01T00:00:00Z", None, "1")]), rules);
    assert_eq!(prices, Ok(vec![(NINE.to_owned(), "0.9".to_owned()), (TEN.to_owned(), "0.855".to_owned())]));
}

#[test]
fn prices_that_cannot_be_are_refused() {
    for price in ["-1", "1000001", "0.00000000001"] {
        let problem = Book::new("USD", vec![series(&[(NINE, None, price)])], vec![]).unwrap_err();
        assert_eq!(problem.code, "HW-COST-003", "{price}");
    }
}

#[test]
fn a_newer_reading_wins_where_both_have_a_price() {
    let older = series(&[(NINE, None, "1"), (TEN, None, "2")]);
    let newer = Series { as_of: time("2024-04-01T00:00:00Z"), ..series(&[(TEN, None, "3"), (ELEVEN, None, "4")]) };
    // Files come in any order.
    for (mut one, other) in [(older.clone(), newer.clone()), (newer, older)] {
        one.merge(other);
        let prices: Vec<String> = one.points.iter().map(|point| point.price.to_string()).collect();
        assert_eq!((prices, one.as_of), (vec!["1".into(), "3".into(), "4".into()], time("2024-04-01T00:00:00Z")));
    }
}

fn spot_history() -> impl Strategy<Value = (Series, Span)> {
    let points = prop::collection::vec((0_i64..7_200, 1_u32..100_000), 0..30);
    (points, 0_i64..3_600_000, 1_i64..3_600_000).prop_map(|(points, from, ms)| {
        let mut one = series(&[]);
        one.purchase = Some(Purchase::Spot);
        one.as_of = Time(i64::MAX);
        one.points.push(Point { from: Time(0), to: None, price: Decimal::ONE });
        one.points.extend(points.into_iter().map(|(at, price)| Point {
            from: Time(at * 1_000),
            to: None,
            price: Decimal::new(price.into(), 4),
        }));
        (one, Span { from: Time(from), to: Time(from + ms) })
    })
}

fn price_ms(one: &Series, span: Span) -> Decimal {
    let book = Book::new("USD", vec![one.clone()], vec![]).unwrap();
    integrate(&book.stretches(&one.wanted(), "", span).unwrap(), 0, span).1
}

proptest! {
    /// Millisecond by millisecond in steps of the smallest unit the history has, which is a second.
    #[test]
    fn the_sum_is_that_of_asking_for_the_price_again_and_again((one, span) in spot_history()) {
        let mut sum = Decimal::ZERO;
        let mut at = span.from.0;
        while at < span.to.0 {
            let next = (at / 1_000 * 1_000 + 1_000).min(span.to.0);
            let mut newest = (Time(i64::MIN), Decimal::ZERO);
            for point in &one.points {
                if point.from.0 <= at && point.from >= newest.0 {
                    newest = (point.from, point.price);
                }
            }
            sum += newest.1 * Decimal::from(next - at);
            at = next;
        }
        prop_assert_eq!(price_ms(&one, span), sum);
    }

    #[test]
    fn cutting_a_span_changes_no_sum((one, span) in spot_history(), cut in 0.0_f64..1.0) {
        let middle = Time(span.from.0 + (span.ms() as f64 * cut) as i64);
        let parts = price_ms(&one, Span { to: middle, ..span }) + price_ms(&one, Span { from: middle, ..span });
        prop_assert_eq!(price_ms(&one, span), parts);
    }
}
