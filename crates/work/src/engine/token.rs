//! Tokens: the right to end one attempt at a task, once.
//!
//! A token names its task (execution, attempt) and holds 128 bits that cannot be guessed. It is worth something as long
//! as the task's row holds the same token; the row goes with the task, in the same commit. So tokens survive a restart
//! and are single use without any list of their own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_base::Problem;

use super::rows::{self, Key};
use crate::execution::Attempt;
use crate::hash;

/// The token of an attempt. `seed` is secret and never the same twice.
pub(super) fn make(key: &Key, attempt: &Attempt, seed: &[u8; 32]) -> String {
    let name = rows::attempt_bytes(attempt);
    let mut text = seed.to_vec();
    text.extend_from_slice(b"token");
    text.extend_from_slice(&name);
    let chance = hash::sha256(&text);
    let mut bytes = key.to_vec();
    bytes.extend_from_slice(&name);
    bytes.extend_from_slice(chance.get(..16).unwrap_or_default());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The task that a token names; whether the token is worth anything is its row's matter.
///
/// # Errors
/// `HW-WORK-032` for a text that is none.
pub(super) fn parse(token: &str) -> Result<(Key, Attempt), Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == 48);
    let parts = bytes.as_deref().and_then(|bytes| bytes.split_first_chunk::<16>());
    parts.and_then(|(key, rest)| Some((*key, rows::attempt_of(rest)?))).ok_or_else(invalid)
}

/// `HW-WORK-032`.
fn invalid() -> Problem {
    Problem::new("HW-WORK-032", "the text is no token that a node gives out").help("send the token as it came")
}

/// `HW-WORK-004`: no task waits for a token that looks like one. Whether there ever was such a task is not told.
pub(super) fn over() -> Problem {
    Problem::new("HW-WORK-004", "the task of this token is over")
        .help("a token ends its task once; after that, or after the task's time-out, it is void")
}
