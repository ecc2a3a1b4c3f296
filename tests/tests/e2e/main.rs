//! End to end: the real program, its real ports, outside clients.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as expected")]

mod clients;
mod solution;

/// The program under test.
const HEADWATER: &str = env!("CARGO_BIN_EXE_headwater-e2e");
