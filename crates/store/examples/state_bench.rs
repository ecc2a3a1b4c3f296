//! What state costs whose keys lie all over memory: nanoseconds per look and per put, milliseconds per checkpoint.
//!
//! `cargo run --release -p headwater-store --example state_bench [KEYS]`
//!
//! As in a pipeline, an event looks at one key of each of five spaces, and a commit of 1,024 events sets them all. Two
//! ways to do the same take turns, so that whatever else the machine does falls on both.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_store::disk::MemoryDisk;
use headwater_store::state::{Snapshots, State};

const SPACES: [&str; 5] = ["sessions", "users", "listings", "addresses", "devices"];
const EVENTS: usize = 1_024;
const ROUNDS: usize = 400;
static VALUE: [u8; 100] = [7; 100];

type Key = [u8; 8];

/// xorshift64*: repeatable, and cheap beside what is measured.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let next = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        ((u128::from(next) * u128::from(bound)) >> 64) as u64
    }

    /// One key of each space.
    fn event(&mut self, keys: u64) -> [Key; SPACES.len()] {
        std::array::from_fn(|_| self.below(keys).to_be_bytes())
    }
}

fn look(state: &State, event: &[Key; SPACES.len()], is_foreseen: bool) {
    if is_foreseen {
        let nothing: (&str, &[u8]) = ("", &[]);
        let mut keys = [nothing; SPACES.len()];
        for (slot, (space, key)) in keys.iter_mut().zip(SPACES.iter().zip(event)) {
            *slot = (*space, key.as_slice());
        }
        state.foresee(&keys);
    }
    for (space, key) in SPACES.iter().zip(event) {
        state.space_or_new(space).look(key, &mut |value| {
            std::hint::black_box(value.map(|value| value.iter().map(|byte| u64::from(*byte)).sum::<u64>()));
        });
    }
}

fn put(state: &State, sequence: u64, commit: &[[Key; SPACES.len()]], is_together: bool) {
    for (nth, space) in SPACES.iter().enumerate() {
        let space = state.space_or_new(space);
        let of = |event: &[Key; SPACES.len()]| event.get(nth).copied().unwrap_or_default();
        let changes: Vec<Key> = commit.iter().map(of).collect();
        if is_together {
            space.put_all(sequence, &changes, |key| (&key[..], Some(&VALUE[..])));
        } else {
            changes.iter().for_each(|key| space.put(sequence, key, Some(&VALUE)));
        }
    }
}

/// Runs `work` on commits of random events, every second time in the other way, and prints what each took for a key.
fn compare(what: [&str; 2], random: &mut Random, keys: u64, mut work: impl FnMut(&[[Key; SPACES.len()]], bool)) {
    let mut took = [Duration::ZERO; 2];
    for round in 0..ROUNDS {
        let commit: Vec<_> = (0..EVENTS).map(|_| random.event(keys)).collect();
        let is_other = round % 2 > 0;
        let began = Instant::now();
        work(&commit, is_other);
        if let Some(took) = took.get_mut(usize::from(is_other)) {
            *took += began.elapsed();
        }
    }
    for (what, took) in what.iter().zip(took) {
        let nanos = took.as_nanos() as f64 / (ROUNDS / 2 * EVENTS * SPACES.len()) as f64;
        println!("{what:32} {nanos:8.0} ns/key");
    }
}

fn main() {
    let keys: u64 = std::env::args().nth(1).map_or(300_000, |keys| keys.parse().unwrap());
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let state = State::default();
    for number in 0..keys {
        SPACES.iter().for_each(|space| state.space_or_new(space).put_durable(&number.to_be_bytes(), Some(&VALUE)));
    }
    let (entries, bytes) = state.size();
    println!("{entries} entries, {:.0} bytes each", bytes as f64 / entries as f64);

    compare(["look", "look, foreseen"], &mut random, keys, |commit, is_foreseen| {
        commit.iter().for_each(|event| look(&state, event, is_foreseen));
    });
    let mut sequence = 0;
    compare(["put", "put, a commit together"], &mut random, keys, |commit, is_together| {
        sequence += 1;
        put(&state, sequence, commit, is_together);
        state.set_durable(sequence);
    });

    let mut snapshots = Snapshots::open(Arc::new(MemoryDisk::default()), "/state".into(), &State::default()).unwrap();
    for percent in [100, 1, 5, 50] {
        let changed = if percent < 100 { keys * percent / 100 } else { 0 };
        for _ in 0..changed {
            let event = random.event(keys);
            let changes = SPACES.iter().zip(&event);
            changes.for_each(|(space, key)| state.space_or_new(space).put_durable(key, Some(&VALUE)));
        }
        let began = Instant::now();
        snapshots.write(&state, sequence, &|| true).unwrap();
        println!("checkpoint, {percent:3} % changed {:12.1} ms", began.elapsed().as_secs_f64() * 1_000.0);
    }
}
