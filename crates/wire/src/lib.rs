//! Codecs: bytes on a wire or in a file <-> the house's types.
//!
//! What it is NOT: it does no I/O, starts no task, reads no clock and keeps no state between calls. Every parser here
//! takes arbitrary bytes and answers with a value or an error that names what is wrong; none panics, and none
//! allocates more than its caller allowed.

pub mod accesslog;
pub mod base64;
pub mod batch;
pub mod change;
pub mod cloudevents;
pub mod dynamodb;
pub mod exact;
pub mod percent;
