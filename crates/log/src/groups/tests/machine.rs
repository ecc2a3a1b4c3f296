//! Any order of requests and time leaves a group in a state that can be.

use std::collections::HashSet;

use proptest::prelude::*;

use super::super::group::Group;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    New { client: u8, is_static: bool },
    Again { member: usize, change: bool },
    Sync { member: usize },
    Beat { member: usize },
    Leave { member: usize },
    Wait { millis: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let member = 0usize..8;
    prop_oneof![
        4 => (0u8..4, any::<bool>()).prop_map(|(client, is_static)| Step::New { client, is_static }),
        4 => (member.clone(), any::<bool>()).prop_map(|(member, change)| Step::Again { member, change }),
        6 => member.clone().prop_map(|member| Step::Sync { member }),
        2 => member.clone().prop_map(|member| Step::Beat { member }),
        1 => member.prop_map(|member| Step::Leave { member }),
        2 => (1u64..40_000).prop_map(|millis| Step::Wait { millis }),
        1 => Just(Step::Restart),
    ]
}

/// What must hold after every step.
fn check(group: &Group, open: &HashSet<u64>) {
    let ids: HashSet<_> = group.members.iter().map(|member| &member.identity.member_id).collect();
    assert_eq!(ids.len(), group.members.len(), "ids are unique");
    let instances: Vec<_> = group.members.iter().filter_map(|member| member.identity.instance.as_ref()).collect();
    assert_eq!(instances.iter().collect::<HashSet<_>>().len(), instances.len(), "instances are unique");
    assert_eq!(group.phase == Phase::Empty, group.members.is_empty(), "empty is empty");
    if matches!(group.phase, Phase::Stable | Phase::Completing) {
        assert!(group.leader.as_ref().is_some_and(|leader| ids.contains(leader)), "the leader is a member");
        let protocol = group.protocol.as_ref().expect("a protocol is agreed");
        assert!(group.members.iter().all(|member| member.protocols.iter().any(|known| known.name == *protocol)));
        assert!(group.members.iter().all(|member| member.join.is_none()), "nobody waits to join");
    }
    if group.phase != Phase::Completing {
        assert!(group.members.iter().all(|member| member.sync.is_none()), "nobody waits for an assignment in vain");
    }
    let waiting: HashSet<u64> = group.members.iter().flat_map(|member| [member.join, member.sync]).flatten().collect();
    assert_eq!(&waiting, open, "whoever has no answer yet is waited for");
}

proptest! {
    #[test]
    fn every_order_of_steps_leaves_a_sound_group(steps in proptest::collection::vec(step(), 1..60)) {
        let limits = Limits { group_members: 6, ..Limits::default() };
        let mut group = Group::new(Micros(0));
        let (mut now, mut waiter, mut generation) = (Duration::ZERO, 0, 0);
        let mut open = HashSet::new();
        let mut ids: Vec<String> = Vec::new();
        for step in steps {
            waiter += 1;
            let identity = |member: usize| {
                let member = group.members.get(member % group.members.len().max(1));
                member.map(|member| member.identity.clone()).unwrap_or(Identity { member_id: ids.last().cloned().unwrap_or_default(), instance: None })
            };
            let effects = match step {
                Step::New { client, is_static } => {
                    let mut join = request(&format!("c{client}"), "");
                    join.identity.instance = is_static.then(|| format!("i{client}"));
                    join.two_steps = client % 2 == 0;
                    open.insert(waiter);
                    group.join(join, format!("id{waiter}"), waiter, now, &limits)
                }
                Step::Again { member, change } => {
                    let mut join = request("c", "");
                    join.identity = identity(member);
                    if change {
                        join.protocols.reverse();
                    }
                    open.insert(waiter);
                    group.join(join, format!("id{waiter}"), waiter, now, &limits)
                }
                Step::Sync { member } => {
                    open.insert(waiter);
                    let sync = Sync { group: "g".into(), identity: identity(member), generation: group.generation, ..Sync::default() };
                    group.sync(sync, waiter, now)
                }
                Step::Beat { member } => {
                    let _ = group.heartbeat(&identity(member), group.generation, now);
                    Effects::default()
                }
                Step::Leave { member } => group.leave(&[Leaver { identity: identity(member) }], now, Micros(0)).1,
                Step::Wait { millis } => {
                    now += Duration::from_millis(millis);
                    group.expire(now, Micros(0))
                }
                Step::Restart => {
                    let stored = record::encode(&group);
                    group = record::decode(&stored, now).expect("what is stored can be read");
                    open.clear();
                    Effects::default()
                }
            };
            for (answered, answer) in &effects.joins {
                prop_assert!(open.remove(answered), "answered once");
                if let Err(GroupError::MemberIdRequired(id)) = answer {
                    ids.push(id.clone());
                }
            }
            for (answered, _) in &effects.syncs {
                prop_assert!(open.remove(answered), "answered once");
            }
            prop_assert!(group.generation >= generation, "generations grow");
            generation = group.generation;
            check(&group, &open);
        }
        // Left alone, every group comes to rest, and everyone has an answer.
        for _ in 0..40 {
            now += Duration::from_secs(60);
            for (answered, _) in group.expire(now, Micros(0)).joins {
                open.remove(&answered);
            }
        }
        prop_assert!(group.members.iter().all(|member| member.sync.is_none()));
    }

    #[test]
    fn any_bytes_are_no_group_or_one(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = record::decode(&bytes, Duration::ZERO);
        let _ = (record::group_of(&bytes), record::offset_place(&bytes));
    }
}
