use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    /// A commit of so many keys from one on, with values of a length or deleted.
    Commit {
        from: u16,
        keys: u16,
        value: Option<usize>,
    },
    /// The same without a commit.
    Durable {
        from: u16,
        keys: u16,
        value: Option<usize>,
    },
    /// The same as a snapshot says it.
    Load {
        from: u16,
        keys: u16,
        value: Option<usize>,
    },
    /// All commits but so many are durable now.
    Sync(u64),
    Forget,
    Snapshot {
        all: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![20 => 0..150_usize, 2 => 0..2_000_usize, 1 => 0..40_000_usize];
    let change = (0..300_u16, 1..120_u16, prop::option::weighted(0.7, length)).boxed();
    prop_oneof![
        8 => change.clone().prop_map(|(from, keys, value)| Step::Commit { from, keys, value }),
        2 => change.clone().prop_map(|(from, keys, value)| Step::Durable { from, keys, value }),
        1 => change.prop_map(|(from, keys, value)| Step::Load { from, keys, value }),
        4 => (0..4_u64).prop_map(Step::Sync),
        2 => Just(Step::Forget),
        2 => any::<bool>().prop_map(|all| Step::Snapshot { all }),
    ]
}

fn key(number: u16) -> Vec<u8> {
    vec![b'k'; usize::from(number % 23)].into_iter().chain(number.to_le_bytes()).collect()
}

/// Keys share hashes here, and all tags are of few kinds.
fn hash(key: &[u8]) -> u64 {
    let number = key.iter().rev().take(2).fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    (number / 3) | ((number % 2) << 31) | (0x15 << 32)
}

fn set(model: &mut Model, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => drop(model.insert(key.to_vec(), value.to_vec())),
        None => drop(model.remove(key)),
    }
}

/// A shard beside what it must show.
#[derive(Default)]
struct Both {
    shard: Shard,
    latest: Model,
    /// Values that keys had before the commits that are not durable, the oldest of a key first.
    replaced: Vec<(u64, Vec<u8>, Option<Vec<u8>>)>,
    /// What a snapshot and all that came on top of it have, and what has changed since.
    written: Model,
    sequence: u64,
    durable: u64,
    fill: u8,
}

impl Both {
    fn change(
        &mut self,
        from: u16,
        keys: u16,
        value: Option<usize>,
        mut change: impl FnMut(&mut Self, &[u8], Option<&[u8]>),
    ) {
        self.fill = self.fill.wrapping_add(1);
        let value = value.map(|length| vec![self.fill; length]);
        for number in from..from + keys {
            change(self, &key(number), value.as_deref());
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Commit { from, keys, value } => {
                self.sequence += 1;
                self.change(from, keys, value, |both, key, value| {
                    both.shard.put(both.sequence, both.durable, hash(key), key, value);
                    both.replaced.push((both.sequence, key.to_vec(), both.latest.get(key).cloned()));
                    set(&mut both.latest, key, value);
                });
            }
            Step::Durable { from, keys, value } => self.change(from, keys, value, |both, key, value| {
                both.shard.put(0, 0, hash(key), key, value);
                set(&mut both.latest, key, value);
            }),
            // Nothing is loaded on top of what no snapshot has.
            Step::Load { .. } if self.latest != self.written => {}
            Step::Load { from, keys, value } => self.change(from, keys, value, |both, key, value| {
                both.shard.load(hash(key), key, value);
                set(&mut both.latest, key, value);
                set(&mut both.written, key, value);
            }),
            Step::Sync(behind) => self.durable = self.durable.max(self.sequence.saturating_sub(behind)),
            Step::Forget => self.shard.forget(self.durable),
            Step::Snapshot { all } => self.snapshot(all),
        }
        self.replaced.retain(|(sequence, _, _)| *sequence > self.durable);
    }

    fn snapshot(&mut self, all: bool) {
        if all {
            self.written.clear();
        }
        let (mut put, mut deleted) = (Model::new(), Vec::new());
        let mut once = |key: &[u8], value: &[u8]| assert!(put.insert(key.to_vec(), value.to_vec()).is_none());
        self.shard.take_changes(all, &mut once, &mut |key| deleted.push(key.to_vec()));
        for key in deleted {
            assert!(self.written.remove(&key).is_some(), "a snapshot has what is deleted of it");
        }
        self.written.extend(put);
        assert!(self.written == self.latest);
    }

    fn check(&mut self) {
        let mut durable = self.latest.clone();
        for (_, key, value) in self.replaced.iter().rev() {
            set(&mut durable, key, value.as_deref());
        }
        let mut seen = Model::new();
        let mut once = |key: &[u8], value: &[u8]| assert!(seen.insert(key.to_vec(), value.to_vec()).is_none());
        self.shard.for_each_durable(self.durable, &mut once);
        assert!(seen == durable, "{} of {} entries", seen.len(), durable.len());
        seen.clear();
        self.shard.for_each(&mut |key, value| assert!(seen.insert(key.to_vec(), value.to_vec()).is_none()));
        assert!(seen == self.latest, "{} of {} entries", seen.len(), self.latest.len());
        for number in (0..420).step_by(7) {
            let key = key(number);
            let of = |model: &Model| model.get(&key).cloned();
            assert_eq!(self.shard.get(hash(&key), &key).map(<[u8]>::to_vec), of(&self.latest));
            let found = self.shard.get_durable(hash(&key), &key, self.durable).map(<[u8]>::to_vec);
            assert_eq!(found, of(&durable));
        }
        assert_eq!(self.shard.size().0, self.latest.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Both views and what snapshots are told are what plain maps say, whatever is overwritten in place and whatever moves.
    #[test]
    fn a_shard_matches_a_model(steps in prop::collection::vec(step(), 1..60)) {
        let mut both = Both::default();
        for step in &steps {
            both.take(step);
            both.check();
        }
    }
}

#[test]
fn what_is_deleted_gives_its_memory_back_and_leaves_the_durable_view_whole() {
    let mut shard = Shard::default();
    let value = |number: u16| [number.to_le_bytes(); 60].concat();
    for number in 0..10_000 {
        shard.put(0, 0, hash(&key(number)), &key(number), Some(&value(number)));
    }
    let full = shard.size().1;
    for number in 100..10_000 {
        shard.put(1, 0, hash(&key(number)), &key(number), None);
    }
    assert_eq!(shard.size().0, 100);
    for number in 0..10_000 {
        assert_eq!(shard.get_durable(hash(&key(number)), &key(number), 0), Some(&*value(number)));
    }
    shard.forget(1);
    let (entries, bytes) = shard.size();
    assert!(bytes < full / 40, "{entries} entries take {bytes} bytes of {full}");
    for number in 0..10_000 {
        let wanted = (number < 100).then(|| value(number));
        assert_eq!(shard.get_durable(hash(&key(number)), &key(number), 1), wanted.as_deref());
    }
    for number in 0..100 {
        shard.put(0, 0, hash(&key(number)), &key(number), None);
    }
    let (entries, bytes) = shard.size();
    assert!(entries == 0 && bytes < 4 << 10, "{entries} entries take {bytes} bytes");
}

#[test]
fn a_value_that_nobody_needs_any_more_is_overwritten_in_its_place() {
    let mut shard = Shard::default();
    shard.put(1, 1, 7, b"key", Some(&[0; 100]));
    let before = shard.size();
    for number in 2..1_000u64 {
        shard.put(number, number, 7, b"key", Some(&[number as u8; 100]));
        assert_eq!(shard.get(7, b"key"), Some(&[number as u8; 100][..]));
    }
    assert_eq!(shard.size(), before);
    // One that the durable view needs is not.
    shard.put(1_001, 1_000, 7, b"key", Some(&[1; 100]));
    assert_eq!(shard.get_durable(7, b"key", 1_000), Some(&[231; 100][..]));
    assert_eq!(shard.get_durable(7, b"key", 1_001), Some(&[1; 100][..]));
}

#[test]
fn an_entry_costs_about_thirty_bytes_more_than_its_content() {
    let mut shard = Shard::default();
    for number in 0..3_000u64 {
        let key = number.to_le_bytes();
        shard.put(0, 0, hash(&key), &key, Some(&[0; 24]));
    }
    let (entries, bytes) = shard.size();
    let overhead = bytes / entries - 32;
    assert!(overhead <= 30, "{overhead} bytes");
}

#[test]
fn values_that_grow_do_not_leave_behind_what_they_have_outgrown() {
    let mut shard = Shard::default();
    let mut worst = 0;
    for length in (40..200).step_by(4) {
        for number in 0..2_000u64 {
            let key = number.to_le_bytes();
            let sequence = length as u64 * 2_000 + number;
            shard.put(sequence, sequence - 100, number * 0x9e37, &key, Some(&[0; 200][..length]));
        }
        let content = 2_000 * (8 + length as u64 + 30);
        worst = worst.max(shard.size().1 * 100 / content);
    }
    assert!(worst < 150, "{worst} % of what is needed");
}
