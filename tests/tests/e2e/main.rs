//! End to end: the real program, its real ports, outside clients.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as expected")]

mod aws;
mod bucket;
mod bus;
mod calendar;
mod clickstream;
mod clients;
mod crowd;
mod dashboards;
mod disk;
mod ingest;
mod lake;
mod postgres;
mod reports;
mod sales_insights;
mod solution;
mod sql;
mod workflow_cost;
mod workflow_prices;
mod workflows;

/// The program under test.
const HEADWATER: &str = env!("CARGO_BIN_EXE_headwater-e2e");

/// Text that does not get much smaller, another one for each number.
fn noise(of: i64, length: usize) -> String {
    let mut state = u64::try_from(of + 1).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + u8::try_from(state % 64).unwrap())
    };
    (0..length).map(|_| letter()).collect()
}

/// Whether there is kcat; a note that a test is skipped, if not.
fn has_kcat(test: &str) -> bool {
    let found = std::process::Command::new("kcat").arg("-V").output().is_ok();
    if !found {
        e2e::note_skip(test, "kcat is not there; `cargo xtask test` installs it");
    }
    found
}
