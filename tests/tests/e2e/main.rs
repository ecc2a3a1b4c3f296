//! End to end: the real program, its real ports, outside clients.

mod clients;
mod solution;

/// The program under test.
const HEADWATER: &str = env!("CARGO_BIN_EXE_headwater-e2e");
