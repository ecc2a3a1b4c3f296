use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;
use crate::disk::{self, Disk, DiskFile, MemoryDisk};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn get_durable(space: &Space, key: &[u8]) -> Option<Bytes> {
    let mut found = None;
    space.look_durable(key, &mut |value| found = value.map(Bytes::copy_from_slice));
    found
}

fn all(state: &State, space: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    if let Some(space) = state.space(space) {
        space.for_each_durable(&mut |key, value| {
            assert!(found.insert(key.to_vec(), value.to_vec()).is_none(), "a key comes once");
        });
    }
    found
}

#[test]
fn the_durable_view_lags_until_the_commit_is_durable() {
    let state = State::default();
    let space = state.space_or_new("s");
    space.put(1, &bytes("k"), Some(b"one"));
    assert_eq!(space.get(b"k").as_deref(), Some(&b"one"[..]));
    assert_eq!(get_durable(&space, b"k"), None);
    assert!(all(&state, "s").is_empty());
    space.put(2, &bytes("k"), Some(b"two"));
    state.set_durable(1);
    assert_eq!(get_durable(&space, b"k").as_deref(), Some(&b"one"[..]));
    space.put(3, &bytes("k"), None);
    assert_eq!(space.get(b"k"), None);
    assert_eq!(all(&state, "s").get(&b"k"[..]).map(Vec::as_slice), Some(&b"one"[..]));
    state.set_durable(3);
    assert_eq!(get_durable(&space, b"k"), None);
}

#[test]
fn the_changes_of_a_commit_take_effect_in_their_order_however_many() {
    let state = State::default();
    let space = state.space_or_new("s");
    // Each key is set twice, then every third one deleted and the others set again.
    let round = |round: u8, key: u8| (vec![key; 3], (round < 2 || !key.is_multiple_of(3)).then(|| vec![round, key]));
    let changes: Vec<_> = (0..3).flat_map(|number| (0..200).map(move |key| round(number, key))).collect();
    space.put_all(1, &changes, |(key, value)| (key.as_slice(), value.as_deref()));
    assert!(all(&state, "s").is_empty());
    state.set_durable(1);
    let wanted: BTreeMap<_, _> =
        (0..200).filter_map(|key| round(2, key).1.map(|value| (vec![key; 3], value))).collect();
    assert_eq!(all(&state, "s"), wanted);
    assert_eq!(space.size().0, wanted.len() as u64);
    space.put_all(2, &changes, |(key, _)| (key.as_slice(), Some(&b"two"[..])));
    assert_eq!(all(&state, "s"), wanted);
    state.set_durable(2);
    let wanted: BTreeMap<_, _> = (0..200u8).map(|key| (vec![key; 3], b"two".to_vec())).collect();
    assert_eq!(all(&state, "s"), wanted);
}

#[test]
fn foreseeing_keys_changes_nothing_and_waits_for_nobody() {
    let state = State::default();
    for space in ["a", "b"] {
        for key in 0..100u8 {
            state.space_or_new(space).put_durable(&[key], Some(&[key; 70]));
        }
    }
    let before = (all(&state, "a"), all(&state, "b"));
    let keys: Vec<_> = (0..120u8).map(|key| [key]).collect();
    let keys: Vec<_> = keys.iter().flat_map(|key| ["a", "b", "missing"].map(|space| (space, key.as_slice()))).collect();
    state.foresee(&[]);
    state.foresee(&keys);
    // Whoever looks holds a part of the space, which is left out then.
    let mut looked = false;
    state.space_or_new("a").look(&[7], &mut |value| {
        state.foresee(&keys);
        looked = value == Some(&[7; 70][..]);
    });
    assert!(looked);
    assert_eq!((all(&state, "a"), all(&state, "b")), before);
    assert_eq!(state.spaces().len(), 2);
}

#[test]
fn the_parts_of_a_space_together_show_each_key_once_with_its_newest_value() {
    let state = State::default();
    let space = state.space_or_new("s");
    for key in 0..200u8 {
        space.put_durable(&[key], Some(b"old"));
        space.put(1, &[key], (key > 9).then_some(&[key][..]));
    }
    let mut seen = BTreeMap::new();
    for part in 0..=PARTS {
        space.for_part(part, &mut |key, value| {
            assert!(seen.insert(key.to_vec(), value.to_vec()).is_none(), "a key comes once");
        });
    }
    let wanted: BTreeMap<_, _> = (10..200u8).map(|key| (vec![key], vec![key])).collect();
    assert_eq!(seen, wanted);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Drop,
    Snapshot,
    Durable,
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (any::<u8>(), any::<u8>()).prop_map(|(key, value)| Step::Put(key % 40, value)),
        6 => any::<u8>().prop_map(|key| Step::Delete(key % 40)),
        1 => Just(Step::Drop),
        3 => Just(Step::Snapshot),
        3 => Just(Step::Durable),
        1 => Just(Step::Reload),
    ]
}

fn text(key: u8) -> Bytes {
    Bytes::from(vec![key; usize::from(key) * 5])
}

proptest! {
    /// Whatever happens, both views are what a plain map says, and a snapshot loads back to what it was taken of.
    #[test]
    fn both_views_and_snapshots_match_a_model(steps in prop::collection::vec(step(), 1..120)) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let mut state = State::default();
        let mut snapshots = Snapshots::open(disk.clone(), Path::new("/state").into(), &state).unwrap();
        let mut latest = BTreeMap::new();
        let mut durable = BTreeMap::new();
        let mut sequence = 0;
        for step in steps {
            match step {
                Step::Put(key, value) => {
                    sequence += 1;
                    state.space_or_new("s").put(sequence, &text(key), Some(&[value]));
                    latest.insert(text(key).to_vec(), vec![value]);
                }
                Step::Delete(key) => {
                    sequence += 1;
                    state.space_or_new("s").put(sequence, &text(key), None);
                    latest.remove(&text(key)[..]);
                }
                Step::Drop => {
                    state.drop_space("s");
                    latest.clear();
                    durable.clear();
                }
                Step::Durable => {
                    state.set_durable(sequence);
                    durable = latest.clone();
                }
                Step::Snapshot => {
                    state.set_durable(sequence);
                    durable = latest.clone();
                    snapshots.write(&state, sequence, &|| true).unwrap();
                }
                Step::Reload => {
                    state.set_durable(sequence);
                    durable = latest.clone();
                    snapshots.write(&state, sequence, &|| true).unwrap();
                    state = State::default();
                    snapshots = Snapshots::open(disk.clone(), Path::new("/state").into(), &state).unwrap();
                    state.set_durable(sequence);
                    prop_assert_eq!(snapshots.sequence(), sequence);
                }
            }
            prop_assert_eq!(all(&state, "s"), durable.clone());
            for key in 0..40 {
                let space = state.space_or_new("s");
                prop_assert_eq!(space.get(&text(key)).map(|v| v.to_vec()), latest.get(&text(key)[..]).cloned());
                prop_assert_eq!(get_durable(&space, &text(key)).map(|v| v.to_vec()), durable.get(&text(key)[..]).cloned());
            }
        }
    }

    /// No bytes make the parsers panic.
    #[test]
    fn arbitrary_snapshots_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let disk = MemoryDisk::default();
        disk.create_dir(Path::new("/state")).unwrap();
        let mut file = b"HWSTATE1".to_vec();
        file.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        file.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        file.extend_from_slice(&bytes);
        disk.open(Path::new("/state/1.kv"), true).unwrap().write_at(&file, 0).unwrap();
        let json = format!("{{\"sequence\":1,\"next\":2,\"files\":[{{\"name\":\"1.kv\",\"bytes\":{}}}]}}", file.len());
        let manifest = format!("{:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()));
        disk.open(Path::new("/state/manifest"), true).unwrap().write_at(manifest.as_bytes(), 0).unwrap();
        let _ = Snapshots::open(Arc::new(disk), Path::new("/state").into(), &State::default());
    }
}

type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A frame of a write-ahead log: the changes of one commit to the space `s`, or its end.
#[derive(Clone, Debug)]
enum Frame {
    Changes(Changes),
    Drop,
}

impl Frame {
    fn apply(&self, state: &State, sequence: u64) {
        match self {
            Self::Changes(changes) => {
                state.space_or_new("s").put_all(sequence, changes, |(key, value)| (key.as_slice(), value.as_deref()));
            }
            Self::Drop => state.drop_space("s"),
        }
    }

    fn add_to(&self, model: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        let Self::Changes(changes) = self else { return model.clear() };
        for (key, value) in changes {
            match value {
                Some(value) => drop(model.insert(key.clone(), value.clone())),
                None => drop(model.remove(key)),
            }
        }
    }
}

/// A disk in memory that refuses every change once it has taken as many as it is to. A name that was given stays given
/// where its folder cannot be synced any more.
#[derive(Clone, Debug)]
struct Refusing {
    disk: MemoryDisk,
    left: Arc<AtomicU64>,
}

#[derive(Debug)]
struct RefusingFile {
    file: Arc<dyn DiskFile>,
    left: Arc<AtomicU64>,
}

impl Refusing {
    fn new() -> Self {
        Self { disk: MemoryDisk::default(), left: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    fn refuse_after(&self, changes: u64) {
        self.left.store(changes, Ordering::Relaxed);
    }
}

fn take_one(left: &AtomicU64) -> io::Result<()> {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    taken.map(drop).map_err(|_| io::Error::from(io::ErrorKind::StorageFull))
}

impl Disk for Refusing {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        if create {
            take_one(&self.left)?;
        }
        Ok(Arc::new(RefusingFile { file: self.disk.open(path, create)?, left: Arc::clone(&self.left) }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        take_one(&self.left)?;
        self.disk.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        take_one(&self.left)?;
        self.disk.rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        take_one(&self.left)?;
        self.disk.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        take_one(&self.left)?;
        self.disk.remove_dir(path)
    }

    fn files(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.files(path)
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.folders(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        take_one(&self.left)?;
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

impl DiskFile for RefusingFile {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        take_one(&self.left)?;
        self.file.write_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        take_one(&self.left)?;
        self.file.sync()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        take_one(&self.left)?;
        self.file.allocate(bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        take_one(&self.left)?;
        self.file.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// What a start finds: the newest snapshot, with the frames behind it on top.
fn recovered(disk: &Refusing, frames: &[Frame]) -> (State, Snapshots) {
    let state = State::default();
    let snapshots = Snapshots::open(Arc::new(disk.clone()), Path::new("/state").into(), &state).unwrap();
    frames[snapshots.sequence() as usize..].iter().for_each(|frame| frame.apply(&state, 0));
    (state, snapshots)
}

#[derive(Clone, Debug)]
enum Life {
    Commit(Frame),
    /// A snapshot, which does or does not come to its end, and a commit that comes while it is written.
    Snapshot(Frame, bool),
    /// The same on a disk that refuses everything behind so many changes.
    Refused(Frame, u64),
    Crash,
}

fn life() -> impl Strategy<Value = Life> {
    let named = |key: u16| format!("key {key}").into_bytes();
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..9));
    let few = prop::collection::vec(((0..600_u16).prop_map(named), value), 0..8);
    // A key that is deleted and set again over and over fills the list of what has changed in its part.
    let often = (0..600_u16, 1..150_usize).prop_map(move |(key, times)| {
        (0..times).map(|time| (named(key), (!time.is_multiple_of(3)).then(|| vec![time as u8]))).collect::<Changes>()
    });
    let many = (0..600_u16, any::<u8>()).prop_map(move |(from, value)| {
        (from..600).map(|key| (named(key), (key % 7 > 0).then(|| vec![value]))).collect::<Changes>()
    });
    let frame = prop_oneof![
        6 => few.prop_map(Frame::Changes),
        3 => often.prop_map(Frame::Changes),
        1 => many.prop_map(Frame::Changes),
        1 => Just(Frame::Drop),
    ]
    .boxed();
    prop_oneof![
        6 => frame.clone().prop_map(Life::Commit),
        3 => (frame.clone(), prop::bool::weighted(0.8)).prop_map(|(frame, ends)| Life::Snapshot(frame, ends)),
        1 => (frame, 0..12_u64).prop_map(|(frame, changes)| Life::Refused(frame, changes)),
        1 => Just(Life::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A snapshot and the frames behind it are always what all frames are, whatever has changed how often, also while the
    /// snapshot was written.
    #[test]
    fn a_crash_at_any_moment_leaves_what_the_log_says(lives in prop::collection::vec(life(), 1..60)) {
        let disk = Refusing::new();
        let (mut frames, mut model) = (Vec::new(), BTreeMap::new());
        let (mut state, mut snapshots) = recovered(&disk, &frames);
        for life in lives.into_iter().chain([Life::Crash]) {
            let sequence = frames.len() as u64;
            match life {
                Life::Commit(frame) => {
                    frame.apply(&state, sequence + 1);
                    frame.add_to(&mut model);
                    frames.push(frame);
                }
                Life::Snapshot(frame, ends) => {
                    state.set_durable(sequence);
                    let settle = || {
                        frame.apply(&state, sequence + 1);
                        ends
                    };
                    prop_assert_eq!(snapshots.write(&state, sequence, &settle).is_ok(), ends);
                    frame.add_to(&mut model);
                    frames.push(frame);
                }
                Life::Refused(frame, changes) => {
                    state.set_durable(sequence);
                    let applied = Cell::new(false);
                    let settle = || {
                        frame.apply(&state, sequence + 1);
                        applied.set(true);
                        true
                    };
                    disk.refuse_after(changes);
                    // It may end well: few changes are enough for a small one.
                    let _ = snapshots.write(&state, sequence, &settle);
                    disk.refuse_after(u64::MAX);
                    if !applied.get() {
                        frame.apply(&state, sequence + 1);
                    }
                    frame.add_to(&mut model);
                    frames.push(frame);
                }
                Life::Crash => {
                    state.set_durable(sequence);
                    prop_assert_eq!(all(&state, "s"), model.clone());
                    (state, snapshots) = recovered(&disk, &frames);
                    prop_assert_eq!(all(&state, "s"), model.clone());
                }
            }
        }
    }
}

#[test]
fn snapshots_are_exact_with_the_frames_behind_them_while_commits_go_on() {
    const FRAMES: u64 = 400;
    // Commits of many keys, more than a block of a snapshot has, and now and then the end of the space.
    let frame = |number: u64| match number % 97 {
        96 => Frame::Drop,
        _ => {
            let key = |nth: u64| format!("key {:0120}", (number * 7_919 + nth * 104_729) % 3_000).into_bytes();
            let value = |nth: u64| (!nth.is_multiple_of(5)).then(|| [number, nth].map(u64::to_le_bytes).concat());
            Frame::Changes((0..60).map(|nth| (key(nth), value(nth))).collect())
        }
    };
    let (state, disk) = (State::default(), MemoryDisk::default());
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), Path::new("/state").into(), &state).unwrap();
    let (frames, ended) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..FRAMES {
                // Whoever knows of a frame knows that it is applied.
                let mut frames = frames.lock();
                let frame = frame(number);
                frame.apply(&state, number + 1);
                state.set_durable(number + 1);
                frames.push(frame);
            }
            ended.store(true, Ordering::Release);
        });
        let mut checked = 0;
        let mut model = BTreeMap::new();
        loop {
            let last = ended.load(Ordering::Acquire);
            let sequence = frames.lock().len();
            snapshots.write(&state, sequence as u64, &|| true).unwrap();
            let frames = frames.lock();
            frames[checked..].iter().for_each(|frame: &Frame| frame.add_to(&mut model));
            checked = frames.len();
            let read = State::default();
            Snapshots::read_in(&disk, Path::new("/state"), &read).unwrap();
            frames[sequence..].iter().for_each(|frame| frame.apply(&read, 0));
            assert!(all(&read, "s") == model, "a snapshot up to {sequence}, and frames up to {checked}");
            if last {
                break;
            }
        }
    });
}

#[test]
fn an_entry_costs_about_forty_bytes_more_than_its_content() {
    let state = State::default();
    let space = state.space_or_new("s");
    for number in 0..200_000u64 {
        space.put_durable(&number.to_le_bytes(), Some(&[0; 24]));
    }
    let (entries, bytes) = space.size();
    let overhead = bytes / entries - 32;
    assert!(overhead <= 48, "{overhead} bytes");
}

#[test]
fn a_checkpoint_writes_only_what_changed() {
    let state = State::default();
    let space = state.space_or_new("s");
    let disk = MemoryDisk::default();
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), Path::new("/state").into(), &state).unwrap();
    for number in 0..50_000u64 {
        space.put_durable(&number.to_le_bytes(), Some(&[0; 24]));
    }
    snapshots.write(&state, 1, &|| true).unwrap();
    let base = snapshots.bytes();
    space.put_durable(&7u64.to_le_bytes(), Some(b"new"));
    snapshots.write(&state, 2, &|| true).unwrap();
    assert!(snapshots.bytes() - base < 100, "{} bytes", snapshots.bytes() - base);
    snapshots.write(&state, 3, &|| true).unwrap();
    assert_eq!(disk.files(Path::new("/state")).unwrap().len(), 3, "an empty change makes no file");
    assert_eq!(snapshots.sequence(), 3);
    // What was read back is not written again either.
    let state = State::default();
    let mut snapshots = Snapshots::open(Arc::new(disk), Path::new("/state").into(), &state).unwrap();
    let before = snapshots.bytes();
    state.space_or_new("s").put_durable(&8u64.to_le_bytes(), Some(b"new"));
    snapshots.write(&state, 4, &|| true).unwrap();
    assert!(snapshots.bytes() - before < 100, "{} bytes", snapshots.bytes() - before);
}

#[test]
fn a_key_is_written_once_however_often_it_has_changed() {
    let state = State::default();
    let space = state.space_or_new("s");
    let mut snapshots = Snapshots::open(Arc::new(MemoryDisk::default()), Path::new("/state").into(), &state).unwrap();
    for number in 0..1_000u64 {
        space.put_durable(&number.to_le_bytes(), Some(&[0; 24]));
    }
    snapshots.write(&state, 1, &|| true).unwrap();
    // Few changes of a key are listed one by one, many are not.
    for (sequence, changes) in [(2, 3), (3, 1_000), (4, 3)] {
        let before = snapshots.bytes();
        for change in 0..changes {
            space.put_durable(&7u64.to_le_bytes(), None);
            space.put_durable(&7u64.to_le_bytes(), Some(format!("{sequence} {change}").as_bytes()));
        }
        snapshots.write(&state, sequence, &|| true).unwrap();
        let written = snapshots.bytes() - before;
        assert!((1..100).contains(&written), "{written} bytes of {changes} changes");
    }
}

#[test]
fn keys_that_come_and_go_between_checkpoints_leave_nothing() {
    let (state, disk) = (State::default(), MemoryDisk::default());
    let space = state.space_or_new("s");
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), Path::new("/state").into(), &state).unwrap();
    space.put_durable(b"stays", Some(b"1"));
    snapshots.write(&state, 1, &|| true).unwrap();
    let before = snapshots.bytes();
    for number in 0..10_000u64 {
        for value in [Some(&b"1"[..]), Some(&b"2"[..]), None, Some(&b"3"[..]), None] {
            space.put_durable(&number.to_le_bytes(), value);
        }
    }
    snapshots.write(&state, 2, &|| true).unwrap();
    assert_eq!(snapshots.bytes(), before);
    // One that a checkpoint has does not come back, whatever became of it since.
    for value in [None, Some(&b"2"[..]), None] {
        space.put_durable(b"stays", value);
    }
    snapshots.write(&state, 3, &|| true).unwrap();
    let read = State::default();
    Snapshots::open(Arc::new(disk), Path::new("/state").into(), &read).unwrap();
    assert!(all(&read, "s").is_empty());
}

#[test]
fn a_large_snapshot_is_read_by_several_threads_as_it_was_written() {
    const ENTRIES: u64 = 60_000;
    let key = |number: u64| format!("key-{number:08}").into_bytes();
    let disk = MemoryDisk::default();
    let state = State::default();
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), Path::new("/state").into(), &state).unwrap();
    for space in ["a", "b"] {
        for number in 0..ENTRIES {
            state.space_or_new(space).put_durable(&key(number), Some(&[number as u8; 150]));
        }
    }
    snapshots.write(&state, 1, &|| true).unwrap();
    assert!(snapshots.bytes() > 16 << 20);
    // On top of it: a space dropped and made again, keys deleted and keys set, all of it large again.
    state.drop_space("b");
    for number in 0..ENTRIES {
        state.space_or_new("b").put_durable(&key(number), Some(&[1; 150]));
        let value = Some(&[2; 150][..]).filter(|_| number % 3 > 0);
        state.space_or_new("a").put_durable(&key(number), value);
    }
    snapshots.write(&state, 2, &|| true).unwrap();
    assert_eq!(disk.files(Path::new("/state")).unwrap().len(), 3);
    let read = State::default();
    Snapshots::open(Arc::new(disk), Path::new("/state").into(), &read).unwrap();
    for space in ["a", "b"] {
        assert!(all(&read, space) == all(&state, space), "{space}");
    }
    assert_eq!(read.size().0, ENTRIES + ENTRIES / 3 * 2);
}

#[test]
fn a_snapshot_says_how_large_its_spaces_are_and_nobody_believes_too_much() {
    let disk = MemoryDisk::default();
    let state = State::default();
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), Path::new("/state").into(), &state).unwrap();
    // Most of it comes with changes on top of the base.
    for (sequence, keys) in [(1, 0..2_000u64), (2, 2_000..3_500)] {
        for number in keys {
            state.space_or_new("large").put_durable(&number.to_le_bytes(), Some(b"value"));
        }
        state.space_or_new("small").put_durable(b"key", Some(b"value"));
        snapshots.write(&state, sequence, &|| true).unwrap();
    }
    let path = Path::new("/state/manifest");
    let file = disk.open(path, false).unwrap();
    let text = String::from_utf8(disk::read_exact_at(&*file, 0, file.len().unwrap() as usize).unwrap()).unwrap();
    let (_, json) = text.trim_end().split_once('\n').unwrap();
    assert!(json.contains(r#""entries":[["large",3500]]"#), "{json}");
    // As many as that would take all memory there is.
    let json = json.replace("3500", &u64::MAX.to_string());
    let manifest = format!("{:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()));
    file.set_len(0).unwrap();
    file.write_at(manifest.as_bytes(), 0).unwrap();
    let read = State::default();
    Snapshots::open(Arc::new(disk), Path::new("/state").into(), &read).unwrap();
    assert!(all(&read, "large") == all(&state, "large"));
}

#[test]
fn files_stay_while_the_manifest_that_names_them_is_missing() {
    let state = State::default();
    state.space_or_new("s").put_durable(b"key", Some(b"value"));
    let (disk, folder) = (MemoryDisk::default(), Path::new("/state"));
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), folder.into(), &state).unwrap();
    snapshots.write(&state, 1, &|| true).unwrap();
    disk.rename(&folder.join("manifest"), Path::new("/manifest")).unwrap();
    let without = Snapshots::open(Arc::new(disk.clone()), folder.into(), &State::default()).unwrap();
    assert_eq!(without.sequence(), 0);
    disk.rename(Path::new("/manifest"), &folder.join("manifest")).unwrap();
    let read = State::default();
    Snapshots::open(Arc::new(disk), folder.into(), &read).unwrap();
    assert_eq!(all(&read, "s"), all(&state, "s"));
}

#[test]
fn a_damaged_snapshot_is_an_error() {
    let state = State::default();
    state.space_or_new("s").put_durable(b"key", Some(b"value"));
    let disk = MemoryDisk::default();
    let mut snapshots = Snapshots::open(Arc::new(disk.clone()), Path::new("/state").into(), &state).unwrap();
    snapshots.write(&state, 1, &|| true).unwrap();
    disk.open(Path::new("/state/000001.kv"), false).unwrap().write_at(b"X", 30).unwrap();
    let problem = Snapshots::open(Arc::new(disk), Path::new("/state").into(), &State::default()).unwrap_err();
    assert_eq!(problem.code, "HW-STORE-004");
}
