use std::collections::{HashMap, HashSet};

use super::*;

fn take(world: World, count: usize) -> (Vec<(Sent, Vec<u8>)>, Truth) {
    let mut traffic = Traffic::new(world);
    let mut out = Vec::new();
    let records = (0..count)
        .map(|_| {
            let sent = traffic.next(&mut out);
            (sent, out.clone())
        })
        .collect();
    (records, traffic.truth().clone())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let (first, _) = take(World::test(7), 5_000);
    let (again, _) = take(World::test(7), 5_000);
    let (other, _) = take(World::test(8), 5_000);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn records_arrive_evenly_and_the_truth_adds_up() {
    let (records, truth) = take(World::test(1), 60_000);
    assert!(records.windows(2).all(|pair| pair[0].0.arrival_ms <= pair[1].0.arrival_ms));
    let span = records[59_999].0.arrival_ms - records[0].0.arrival_ms;
    assert_eq!(span, 59_999 * 1_000 / 15, "15 events a second");
    assert_eq!(truth.records, 60_000);
    assert_eq!(truth.events + truth.duplicates, truth.records);
    assert_eq!(truth.facts.len() as u64, truth.events);
    assert!((200..400).contains(&truth.duplicates), "{}", truth.duplicates);
    assert!(truth.too_late > 20 && truth.ahead > 0 && truth.malformed > 10, "{truth:?}");
    let ids: HashSet<u64> = truth.facts.iter().map(|fact| fact.id).collect();
    assert_eq!(ids.len() as u64, truth.events);
}

#[test]
fn events_are_json_of_about_1200_bytes_with_one_first_level() {
    let (records, truth) = take(World::test(2), 20_000);
    let mut bytes = 0;
    let mut malformed = 0;
    let mut kinds: HashMap<String, u64> = HashMap::new();
    for (_, record) in &records {
        bytes += record.len();
        let Ok(event) = serde_json::from_slice::<serde_json::Value>(record) else {
            malformed += 1;
            continue;
        };
        for field in ["id", "source", "kind", "time", "visitor", "device", "ip", "user_agent", "page"] {
            assert!(event[field].is_string(), "{field} in {event}");
        }
        assert!(headwater_base::Micros::parse_rfc3339(event["time"].as_str().unwrap()).is_some());
        *kinds.entry(event["kind"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(malformed, truth.malformed);
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    let mean = bytes / records.len();
    assert!((1_100..1_300).contains(&mean), "{mean}");
}

#[test]
fn few_listings_are_seen_often_and_most_rarely() {
    let (records, _) = take(World { flaws: false, ..World::test(3) }, 30_000);
    let mut seen: HashMap<String, u64> = HashMap::new();
    for (_, record) in &records {
        let event: serde_json::Value = serde_json::from_slice(record).unwrap();
        if let Some(listing) = event["listing_id"].as_str() {
            *seen.entry(listing.to_owned()).or_default() += 1;
        }
    }
    let mut counts: Vec<u64> = seen.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let total: u64 = counts.iter().sum();
    let top: u64 = counts.iter().take(50).sum();
    // Zipf with exponent 0.9 over 5,000: the first 50 hold (50^0.1 - 1) / (5000^0.1 - 1) = 36 %.
    assert!((total * 30 / 100..total * 42 / 100).contains(&top), "{top} of {total}");
}

#[test]
fn every_kind_of_attacker_comes_and_many_hide_among_people() {
    let (_, truth) = take(World::test(4), 120_000);
    let kinds: HashSet<&str> = truth.attackers.iter().map(|attacker| attacker.kind).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    assert!(truth.attackers.len() >= 20, "{}", truth.attackers.len());
    let people: HashSet<_> = truth.facts.iter().filter(|fact| fact.attacker.is_none()).map(|f| f.address).collect();
    let hidden = truth.attackers.iter().filter(|attacker| people.contains(&attacker.address)).count();
    let share = hidden * 100 / truth.attackers.len();
    assert!((25..50).contains(&share), "{hidden} of {}", truth.attackers.len());
    assert!(truth.attackers.iter().any(|attacker| attacker.devices.len() > 1));
    let devices: HashSet<String> = (0..20_000).map(|user| format!("d{:08x}", World::test(4).device(user))).collect();
    assert!(truth.attackers.iter().flat_map(|attacker| &attacker.devices).all(|device| !devices.contains(device)));
}

#[test]
fn the_full_world_has_the_size_of_a_marketplace() {
    let world = World::full(1, 27_800, 0);
    assert!(world.users >= 1_000_000 && world.listings >= 200_000);
    let addresses: HashSet<u32> = (0..world.users).map(|user| world.home(user)).collect();
    assert!(addresses.len() >= 500_000, "{}", addresses.len());
}

#[test]
fn sessions_lie_on_both_sides_of_the_gap() {
    let (_, truth) = take(World::test(5), 60_000);
    let gap = 30 * 60_000;
    let found = sessions(truth.facts.iter().filter(|fact| fact.flaw == Flaw::None), gap);
    assert!(found.len() > 2_000, "{}", found.len());
    let mut times: HashMap<u32, Vec<i64>> = HashMap::new();
    for fact in truth.facts.iter().filter(|fact| fact.flaw == Flaw::None) {
        times.entry(fact.visitor).or_default().push(fact.time_ms);
    }
    let mut exact = 0;
    let mut over = 0;
    for list in times.values_mut() {
        list.sort_unstable();
        exact += list.windows(2).filter(|pair| pair[1] - pair[0] == gap).count();
        over += list.windows(2).filter(|pair| pair[1] - pair[0] == gap + 1).count();
    }
    assert!(exact > 5 && over > 5, "{exact} {over}");
}

#[test]
fn a_million_users_cost_no_memory_and_pass_quickly() {
    let mut traffic = Traffic::new(World::full(9, 27_800, 1_772_409_600_000));
    let mut out = Vec::new();
    let mut visitors = HashSet::new();
    for _ in 0..100_000 {
        visitors.insert(traffic.next(&mut out).visitor);
    }
    assert!(visitors.len() > 20_000, "{}", visitors.len());
}
