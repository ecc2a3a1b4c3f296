use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use headwater_base::{Clock, Limits, ManualClock, Micros};
use headwater_store::disk::MemoryDisk;

use super::*;
use crate::embedded::Options;
use crate::{EmbeddedLog, Log};

mod machine;

/// Groups over a log in memory, with a clock that the test moves.
struct House {
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    groups: Arc<Groups>,
}

impl House {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Micros::from_millis(1_000_000)));
        let options = Options { wal_segment_bytes: 1 << 20, maintain_ms: None, ..Options::default() };
        let disk = Arc::new(MemoryDisk::default());
        let log = EmbeddedLog::open_with(disk, "/data", Arc::default(), clock.clone(), options).unwrap();
        let groups = Groups::open(
            Arc::clone(&log) as Arc<dyn Log>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Limits::default()),
        );
        Self { log, clock, groups }
    }

    /// The same log after the process came back.
    fn restarted(&self) -> Self {
        let (log, clock) = (Arc::clone(&self.log), Arc::clone(&self.clock));
        let groups = Groups::open(
            Arc::clone(&log) as Arc<dyn Log>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Limits::default()),
        );
        Self { log, clock, groups }
    }

    async fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.groups.tick().await;
    }

    /// Brings members to a stable generation; each one's assignment is its own id.
    async fn stable(&self, names: &[&str]) -> Vec<Joined> {
        let mut ids = Vec::new();
        for name in names {
            let Err(GroupError::MemberIdRequired(id)) = self.groups.join(request(name, "")).await else {
                panic!("no id")
            };
            ids.push(id);
        }
        let joined = join_all(names.iter().zip(&ids).map(|(name, id)| self.groups.join(request(name, id)))).await;
        let joined: Vec<Joined> = joined.into_iter().map(Result::unwrap).collect();
        let shares = |joined: &Joined| {
            joined
                .members
                .iter()
                .map(|member| (member.member_id.clone(), Bytes::from(member.member_id.clone())))
                .collect()
        };
        let synced = join_all(joined.iter().map(|joined| self.groups.sync(sync(joined, shares(joined))))).await;
        for (joined, synced) in joined.iter().zip(synced) {
            assert_eq!(synced.unwrap().assignment, joined.member_id);
        }
        joined
    }
}

fn request(name: &str, member_id: &str) -> Join {
    Join {
        group: "g".into(),
        identity: Identity { member_id: member_id.into(), instance: None },
        client_id: name.into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range"), protocol("roundrobin")],
        two_steps: true,
        may_skip_assignment: true,
    }
}

/// Subscribed to the stream `orders`.
fn protocol(name: &str) -> Protocol {
    Protocol { name: name.into(), metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x06orders\0\0\0\0") }
}

fn sync(joined: &Joined, assignments: Vec<(String, Bytes)>) -> Sync {
    Sync {
        group: "g".into(),
        identity: identity(joined),
        generation: joined.generation,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments,
    }
}

fn identity(joined: &Joined) -> Identity {
    Identity { member_id: joined.member_id.clone(), instance: None }
}

fn entry(partition: u32, offset: i64, at: Micros) -> OffsetEntry {
    OffsetEntry {
        topic: "orders".into(),
        partition,
        committed: Committed { offset, leader_epoch: 0, metadata: "note".into(), at },
    }
}

#[tokio::test]
async fn members_agree_on_a_generation_and_survive_a_restart() {
    let house = House::new();
    let joined = house.stable(&["a", "b", "c"]).await;
    assert!(joined.iter().all(|member| (member.generation, member.protocol.as_deref()) == (1, Some("range"))));
    assert_eq!(joined.iter().filter(|member| member.members.len() == 3).count(), 1, "one leader sees all");
    let house = house.restarted();
    let described = house.groups.describe("g").unwrap();
    assert_eq!((described.phase, described.members.len(), described.generation), (Phase::Stable, 3, 1));
    for member in &joined {
        house.groups.heartbeat("g", &identity(member), 1).unwrap();
        assert_eq!(house.groups.sync(sync(member, vec![])).await.unwrap().assignment, member.member_id);
    }
}

#[tokio::test]
async fn whoever_never_came_with_its_id_disturbs_nobody() {
    let house = House::new();
    let member = house.stable(&["a"]).await.remove(0);
    for leaves in [true, false] {
        let Err(GroupError::MemberIdRequired(id)) = house.groups.join(request("b", "")).await else { panic!("no id") };
        if leaves {
            let leaver = Leaver { identity: Identity { member_id: id, instance: None } };
            assert_eq!(house.groups.leave("g", &[leaver]).await.unwrap(), [Ok(())]);
        } else {
            house.pass(6_000).await;
            house.groups.heartbeat("g", &identity(&member), 1).unwrap();
            house.pass(6_000).await;
        }
        house.groups.heartbeat("g", &identity(&member), 1).unwrap();
        assert_eq!(house.groups.describe("g").unwrap().phase, Phase::Stable);
    }
}

#[tokio::test]
async fn a_member_whose_record_could_not_be_read_back_is_refused() {
    let house = House::new();
    let long = || "\u{e9}".repeat(40_000);
    let refused = [
        Join { identity: Identity { member_id: String::new(), instance: Some(long()) }, ..request("a", "") },
        Join { protocols: vec![protocol(&long())], ..request("a", "") },
        Join { protocol_type: long(), ..request("a", "") },
        Join { protocols: vec![protocol("range"); 101], ..request("a", "") },
    ];
    for join in refused {
        assert_eq!(house.groups.join(join).await, Err(GroupError::Full));
    }
    house.stable(&["a"]).await;
}

#[tokio::test]
async fn a_new_member_makes_the_others_join_again() {
    let house = House::new();
    let first = house.stable(&["a"]).await.remove(0);
    let newcomer = tokio::spawn({
        let groups = Arc::clone(&house.groups);
        async move {
            let Err(GroupError::MemberIdRequired(id)) = groups.join(request("b", "")).await else { panic!("no id") };
            groups.join(request("b", &id)).await
        }
    });
    while house.groups.describe("g").unwrap().phase == Phase::Stable {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.groups.heartbeat("g", &identity(&first), 1), Err(GroupError::RebalanceInProgress));
    let again = house.groups.join(request("a", &first.member_id)).await.unwrap();
    let newcomer = newcomer.await.unwrap().unwrap();
    assert_eq!((again.generation, newcomer.generation), (2, 2));
    assert_eq!(newcomer.leader, again.member_id);
    assert_eq!(house.groups.sync(sync(&first, vec![])).await, Err(GroupError::IllegalGeneration));
}

#[tokio::test]
async fn silence_ends_a_membership_and_the_rest_shares_out_anew() {
    let house = House::new();
    let joined = house.stable(&["a", "b"]).await;
    house.pass(9_000).await;
    house.groups.heartbeat("g", &identity(&joined[0]), 1).unwrap();
    house.pass(2_000).await;
    assert_eq!(house.groups.describe("g").unwrap().members.len(), 1);
    assert_eq!(house.groups.heartbeat("g", &identity(&joined[0]), 1), Err(GroupError::RebalanceInProgress));
    assert_eq!(house.groups.heartbeat("g", &identity(&joined[1]), 1), Err(GroupError::UnknownMember));
    house.pass(20_000).await;
    let described = house.groups.describe("g").unwrap();
    assert_eq!((described.phase, described.members.len()), (Phase::Empty, 0));
}

#[tokio::test]
async fn a_member_that_does_not_join_again_in_time_is_left_behind() {
    let house = House::new();
    let joined = house.stable(&["a", "b"]).await;
    let waiting = tokio::spawn({
        let (groups, id) = (Arc::clone(&house.groups), joined[0].member_id.clone());
        async move {
            let mut changed = request("a", &id);
            changed.protocols.pop();
            groups.join(changed).await
        }
    });
    while house.groups.describe("g").unwrap().phase == Phase::Stable {
        tokio::task::yield_now().await;
    }
    for _ in 0..6 {
        let _ = house.groups.heartbeat("g", &identity(&joined[1]), 1);
        house.pass(5_000).await;
    }
    let again = waiting.await.unwrap().unwrap();
    assert_eq!((again.generation, again.members.len()), (2, 1));
    assert_eq!(house.groups.heartbeat("g", &identity(&joined[1]), 1), Err(GroupError::UnknownMember));
}

#[tokio::test]
async fn leaving_is_at_once() {
    let house = House::new();
    let joined = house.stable(&["a", "b"]).await;
    let leaver = Leaver { identity: identity(&joined[0]) };
    let stranger = Leaver { identity: Identity { member_id: "x".into(), instance: None } };
    let answers = house.groups.leave("g", &[leaver, stranger]).await.unwrap();
    assert_eq!(answers, [Ok(()), Err(GroupError::UnknownMember)]);
    assert_eq!(house.groups.describe("g").unwrap().members.len(), 1);
    assert_eq!(house.groups.delete("g").await, Err(GroupError::NonEmpty));
    house.groups.leave("g", &[Leaver { identity: identity(&joined[1]) }]).await.unwrap();
    house.groups.delete("g").await.unwrap();
    assert!(house.groups.describe("g").is_none() && house.restarted().groups.list().is_empty());
}

#[tokio::test]
async fn a_static_member_comes_back_without_a_rebalance_and_fences_its_former_self() {
    let house = House::new();
    let as_static = |id: &str| {
        let mut join = request("a", id);
        join.identity.instance = Some("i1".into());
        join
    };
    let first = house.groups.join(as_static("")).await.unwrap();
    let mut share = sync(&first, vec![(first.member_id.clone(), Bytes::from_static(b"share"))]);
    share.identity.instance = Some("i1".into());
    house.groups.sync(share).await.unwrap();
    let second = house.groups.join(as_static("")).await.unwrap();
    assert_eq!((second.generation, second.skip_assignment), (1, true));
    assert_ne!(second.member_id, first.member_id);
    let former = Identity { member_id: first.member_id.clone(), instance: Some("i1".into()) };
    assert_eq!(house.groups.heartbeat("g", &former, 1), Err(GroupError::FencedInstance));
    let mut share = sync(&second, vec![]);
    share.identity.instance = Some("i1".into());
    assert_eq!(house.restarted().groups.sync(share).await.unwrap().assignment, "share");
}

#[tokio::test]
async fn offsets_are_kept_with_their_text_over_a_restart() {
    let house = House::new();
    let at = house.clock.now();
    let nobody = Identity::default();
    let long = OffsetEntry {
        committed: Committed { metadata: "x".repeat(5000), ..entry(2, 1, at).committed },
        ..entry(2, 1, at)
    };
    let answers = house.groups.commit("solo", &nobody, -1, &[entry(0, 7, at), entry(1, 9, at), long]).await.unwrap();
    assert_eq!(answers, [Ok(()), Ok(()), Err(GroupError::MetadataTooLarge)]);
    let house = house.restarted();
    assert_eq!(house.groups.committed("solo", "orders", 1), Some(entry(1, 9, at).committed));
    assert_eq!(house.groups.all_committed("solo"), [entry(0, 7, at), entry(1, 9, at)]);
    assert_eq!(house.groups.list()[0].group, "solo");
    house.groups.delete_offsets("solo", &[("orders".into(), 0)]).await.unwrap();
    assert_eq!(house.groups.all_committed("solo"), [entry(1, 9, at)]);
    house.clock.advance(OFFSETS_RETENTION + Duration::from_secs(1));
    house.groups.expire_offsets().await.unwrap();
    assert!(house.groups.all_committed("solo").is_empty() && house.groups.list().is_empty());
}

#[tokio::test]
async fn a_group_whose_end_the_log_refuses_is_still_there() {
    let house = House::new();
    let at = house.clock.now();
    house.groups.commit("solo", &Identity::default(), -1, &[entry(0, 7, at)]).await.unwrap();
    house.log.close().unwrap();
    assert_eq!(house.groups.delete("solo").await, Err(GroupError::Log(LogError::Closed)));
    assert_eq!(house.groups.list().len(), 1, "as after a restart");
}

#[tokio::test]
async fn only_members_of_the_generation_commit() {
    let house = House::new();
    let member = house.stable(&["a"]).await.remove(0);
    let at = house.clock.now();
    house.groups.commit("g", &identity(&member), 1, &[entry(0, 1, at)]).await.unwrap();
    assert_eq!(house.groups.commit("g", &identity(&member), 0, &[]).await, Err(GroupError::IllegalGeneration));
    assert_eq!(house.groups.commit("g", &Identity::default(), -1, &[]).await, Err(GroupError::UnknownMember));
    let refused = house.groups.delete_offsets("g", &[("orders".into(), 0), ("other".into(), 0)]).await.unwrap();
    assert_eq!(refused, [Err(GroupError::Subscribed), Ok(())]);
}

#[tokio::test]
async fn what_cannot_join_is_told_why() {
    let house = House::new();
    house.stable(&["a"]).await;
    let refused = |change: fn(&mut Join)| {
        let mut join = request("b", "");
        change(&mut join);
        let groups = Arc::clone(&house.groups);
        async move { groups.join(join).await.unwrap_err() }
    };
    assert_eq!(refused(|join| join.group.clear()).await, GroupError::InvalidGroupId);
    assert_eq!(refused(|join| join.session_timeout_ms = 1).await, GroupError::InvalidSessionTimeout);
    assert_eq!(refused(|join| join.protocols.clear()).await, GroupError::InconsistentProtocol);
    assert_eq!(refused(|join| join.protocol_type = "connect".into()).await, GroupError::InconsistentProtocol);
    assert_eq!(refused(|join| join.protocols = vec![protocol("other")]).await, GroupError::InconsistentProtocol);
    assert_eq!(refused(|join| join.identity.member_id = "x".into()).await, GroupError::UnknownMember);
}
