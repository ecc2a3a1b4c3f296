//! What a run cost: effective-dated prices, usage, and exact decimals.
//!
//! What it is NOT: it does no I/O and reads no clock; prices and usage are handed in.
