//! `Keyring`: the keys that a secret yields, one for each day or month, and the tokens they make.
//!
//! A token is HMAC-SHA256 (RFC 2104) under the period's key, cut to 128 bits and written as 32 hex digits. The
//! period's key is HMAC-SHA256(secret, "headwater token v1 <period>"), so any old key can be made again while the
//! secret is kept, and tokens of different periods cannot be linked by anyone who does not have it.
//! A plain hash would not do: all IPv4 addresses can be tried in seconds.

use std::fmt;

use bytes::Bytes;
use headwater_base::Micros;
use headwater_base::time::civil_from_days;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

/// How long one key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A new key with each UTC day.
    Day,
    /// A new key with each UTC month, for rates and bans that outlive midnight.
    Month,
    /// One key for as long as the secret.
    Forever,
}

impl Period {
    /// The words a program uses.
    pub const WORDS: [(&'static str, Self); 3] =
        [("day", Self::Day), ("month", Self::Month), ("forever", Self::Forever)];

    /// Which of its keys holds at `time`: the number of its first day.
    fn first_day(self, time: Micros) -> i64 {
        match self {
            Self::Day => time.day(),
            Self::Month => time.day() - (civil_from_days(time.day()).2 - 1),
            Self::Forever => 0,
        }
    }

    fn label(self, first_day: i64) -> String {
        let (year, month, day) = civil_from_days(first_day);
        match self {
            Self::Day => format!("{year:04}-{month:02}-{day:02}"),
            Self::Month => format!("{year:04}-{month:02}"),
            Self::Forever => "forever".to_owned(),
        }
    }
}

/// Keys kept ready for each keyring; more are made anew.
const KEYS_MAX: usize = 64;

/// The keys of one secret.
pub struct Keyring {
    secret: Bytes,
    ready: Mutex<Vec<Ready>>,
}

/// The key of the period that begins with `first_day`, ready to be used.
struct Ready {
    period: Period,
    first_day: i64,
    key: Hmac<Sha256>,
}

impl Keyring {
    /// Makes the keyring of a secret's bytes.
    pub fn new(secret: Bytes) -> Self {
        Self { secret, ready: Mutex::new(Vec::new()) }
    }

    /// The token of `value` under the key of the period in which `time` lies: 32 hex digits.
    pub fn token(&self, value: &[u8], period: Period, time: Micros) -> String {
        let mut mac = self.key(period, period.first_day(time));
        mac.update(value);
        let code = mac.finalize().into_bytes();
        let mut text = String::with_capacity(32);
        for byte in code.iter().take(16) {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
            }
        }
        text
    }

    fn key(&self, period: Period, first_day: i64) -> Hmac<Sha256> {
        let mut ready = self.ready.lock();
        if let Some(at) = ready.iter().position(|of| of.period == period && of.first_day == first_day) {
            // Most events are of the same day.
            ready.swap(0, at);
            if let Some(newest) = ready.first() {
                return newest.key.clone();
            }
        }
        let mut master = mac(&self.secret);
        master.update(b"headwater token v1 ");
        master.update(period.label(first_day).as_bytes());
        let key = mac(&master.finalize().into_bytes());
        if ready.len() >= KEYS_MAX {
            ready.pop();
        }
        ready.push(Ready { period, first_day, key: key.clone() });
        key
    }
}

/// HMAC takes keys of any length, so this cannot fail; the fallback is a key that is as good as unknown.
fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| {
        headwater_base::never!("HMAC refused a key");
        Hmac::new(&Default::default())
    })
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(…)")
    }
}
