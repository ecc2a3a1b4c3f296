#![allow(clippy::unwrap_used, clippy::panic)]

mod asking;
mod batches;
mod bench;
mod delivery;
mod ends;
mod powercut;
mod replays;
mod reports;
mod rules;
mod schedules;
