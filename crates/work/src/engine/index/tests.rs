#![allow(clippy::unwrap_used)]

use super::*;

const STATES: [ExecutionState; 3] = [ExecutionState::Running, ExecutionState::Succeeded, ExecutionState::Failed];

fn listing(group: &Group, number: u8, state: Option<ExecutionState>) -> Listing {
    // Two of them began at the same time.
    let started = Micros(i64::from(number / 2));
    Listing { group: group.clone(), place: (Reverse(started), [number; 16]), state, runs: Vec::new() }
}

#[test]
fn pages_of_any_size_have_each_execution_once_in_the_order_of_their_starts() {
    let groups = [Group::Workflow("a".into()), Group::Workflow("b".into()), Group::MapRun("run".into())];
    let all: Vec<(Group, u8, ExecutionState)> = (0..120)
        .map(|number| (groups[usize::from(number) % 3].clone(), number, STATES[usize::from(number / 3) % 3]))
        .collect();
    let listings = || all.iter().map(|(group, number, state)| listing(group, *number, Some(*state)));
    let (mut built, mut followed) = (Index::default(), Index::default());
    built.take_up(listings().take(50).collect());
    built.take_up(listings().skip(50).collect());
    listings().for_each(|listing| followed.note(Listing { state: Some(ExecutionState::Aborted), ..listing }));
    listings().for_each(|listing| followed.note(listing));
    for (group, state) in [
        (None, None),
        (Some(&groups[0]), None),
        (Some(&groups[2]), None),
        (None, Some(ExecutionState::Failed)),
        (Some(&groups[1]), Some(ExecutionState::Running)),
    ] {
        let wanted = all.iter().filter(|(of, _, is)| {
            group.map_or(matches!(of, Group::Workflow(_)), |group| group == of)
                && state.is_none_or(|state| state == *is)
        });
        let mut wanted: Vec<Place> = wanted.map(|(of, number, _)| listing(of, *number, None).place).collect();
        wanted.sort_unstable();
        assert!(wanted.len() > 10);
        for size in [1, 7, 1_000] {
            for index in [&built, &followed] {
                let mut found: Vec<Place> = Vec::new();
                loop {
                    let page = index.places(group, state, found.last().copied(), size);
                    assert!(page.len() <= size);
                    found.extend(&page);
                    if page.len() < size {
                        break;
                    }
                }
                assert_eq!(found, wanted, "{group:?} {state:?} {size}");
            }
        }
    }
    assert_eq!(built.counts(), followed.counts());
    assert_eq!(built.counts().len(), 2);
}

#[test]
fn of_executions_that_are_gone_nothing_stays() {
    let (mut index, group) = (Index::default(), Group::Workflow("a".into()));
    for state in STATES {
        index.note(listing(&group, 1, Some(state)));
    }
    index.note(listing(&group, 2, Some(ExecutionState::Running)));
    assert_eq!(index.counts()["a"].states, [1, 0, 1, 0, 0, 0]);
    assert_eq!(index.counts()["a"].started, Micros(1));
    for number in [1, 2, 2, 3] {
        index.note(listing(&group, number, None));
    }
    assert!(index.groups.is_empty() && index.places(None, None, None, 10).is_empty());
}

#[test]
fn a_map_run_is_found_until_its_execution_is_gone() {
    let (mut index, group) = (Index::default(), Group::Workflow("a".into()));
    let attempt = Attempt { thread: 1, visit: 2, number: 3 };
    index.name((1..=3).map(|run| (run_name(&format!("run/{run}")), ([run; 16], attempt))));
    index.forget([run_name("run/3")]);
    assert_eq!(index.owner("run/2"), Some(([2; 16], attempt)));
    assert_eq!((index.owner("run/3"), index.owner("run/4")), (None, None));
    index.note(listing(&group, 1, Some(ExecutionState::Running)));
    index.note(Listing { runs: vec![run_name("run/1")], ..listing(&group, 1, None) });
    assert_eq!((index.owner("run/1"), index.owner("run/2")), (None, Some(([2; 16], attempt))));
    assert_eq!(index.runs.len(), 1);
}
