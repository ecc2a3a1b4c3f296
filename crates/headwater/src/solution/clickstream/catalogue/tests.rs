use super::*;

const SLOW: Manner =
    Manner { latency: Duration::from_millis(50), spread: Duration::from_millis(20), failures_per_mille: 20 };

#[test]
fn failures_and_delays_are_as_told() {
    let world = World::test(1);
    let failed = (0..100_000).filter(|n| answer(&world, SLOW, "/listings/l000017", *n).0.starts_with("503")).count();
    assert!((1_800..2_200).contains(&failed), "{failed}");
    let delays: Vec<Duration> = (0..10_000).map(|n| delay(&world, SLOW, n)).collect();
    assert!(delays.iter().all(|d| (30..=70).contains(&d.as_millis())));
    let mean = delays.iter().sum::<Duration>() / 10_000;
    assert!((49_000..51_000).contains(&mean.as_micros()), "{mean:?}");
}

#[test]
fn a_listing_is_the_same_each_time_and_an_unknown_one_is_not_found() {
    let world = World::test(1);
    let sure = Manner { failures_per_mille: 0, ..SLOW };
    let (status, body) = answer(&world, sure, "/listings/l000017", 1);
    assert_eq!(status, "200 OK");
    assert_eq!(body, answer(&world, sure, "/listings/l000017", 2).1);
    assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["price"].is_number());
    assert_eq!(answer(&world, sure, "/listings/l999999", 1).0, "404 Not Found");
    assert_eq!(answer(&world, sure, "/elsewhere", 1).0, "404 Not Found");
}
