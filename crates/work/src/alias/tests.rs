use super::*;

fn alias(routes: &[(u64, u8)]) -> Alias {
    let routes = routes.iter().map(|(version, weight)| Route { version: *version, weight: *weight }).collect();
    Alias { description: None, routes }
}

fn faults(name: &str, routes: &[(u64, u8)]) -> Vec<String> {
    let aliases = Aliases::from([(name.to_owned(), alias(routes))]);
    problems(&aliases).into_iter().map(|(_, problem)| problem.title).collect()
}

#[test]
fn executions_are_shared_by_weight_and_the_same_seed_draws_the_same() {
    let shared = alias(&[(3, 80), (7, 20)]);
    let mut chance = Chance::new([1; 32]);
    let drawn: Vec<u64> = (0..10_000).filter_map(|_| shared.pick(&mut chance)).collect();
    assert_eq!(drawn.len(), 10_000);
    let of_seven = drawn.iter().filter(|version| **version == 7).count();
    assert!((1_800..=2_200).contains(&of_seven), "{of_seven}");
    let mut chance = Chance::new([1; 32]);
    assert!(drawn.iter().all(|version| shared.pick(&mut chance) == Some(*version)));
    let mut chance = Chance::new([2; 32]);
    let never = alias(&[(3, 0), (7, 100)]);
    assert!((0..1_000).all(|_| never.pick(&mut chance) == Some(7)));
}

#[test]
fn what_an_alias_cannot_be_is_said() {
    assert_eq!(faults("live", &[(1, 100)]), Vec::<String>::new());
    assert_eq!(faults("v1.2", &[(1, 40), (2, 60)]), Vec::<String>::new());
    assert_eq!(faults("live", &[]), ["alias `live` routes to 0 versions; 1 to 2 are allowed"]);
    let three = [(1, 30), (2, 30), (3, 40)];
    assert_eq!(faults("live", &three), ["alias `live` routes to 3 versions; 1 to 2 are allowed"]);
    assert_eq!(faults("live", &[(1, 30), (2, 60)]), ["alias `live` has weights of 90 together; they add up to 100"]);
    assert_eq!(faults("live", &[(4, 30), (4, 70)]), ["alias `live` names version 4 twice"]);
    assert_eq!(faults("live", &[(0, 100)]), ["alias `live` names version 0; the first one is 1"]);
    for name in ["12", "", "a b", "a:b"] {
        assert_eq!(faults(name, &[(1, 100)]).len(), 1, "{name}");
    }
    let many: Aliases = (0..=ALIASES_MAX).map(|number| (format!("a{number}"), alias(&[(1, 100)]))).collect();
    let found: Vec<String> = problems(&many).into_iter().map(|(_, problem)| problem.title).collect();
    assert_eq!(found, ["there are 101 aliases; the limit is 100"]);
}
