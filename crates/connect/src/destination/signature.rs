//! Signatures of webhooks.
//!
//! Source: Standard Webhooks, "Signature scheme": HMAC-SHA256 over `id.timestamp.body`, written `v1,<base64>`; a key is
//! written `whsec_<base64>`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_base::Problem;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key that signs.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// Reads a key: `whsec_` and base64, or any bytes.
    ///
    /// # Errors
    /// `HW-CONNECT-109` for `whsec_` with something else behind it.
    pub fn read(secret: &[u8]) -> Result<Self, Problem> {
        match secret.strip_prefix(b"whsec_") {
            None => Ok(Self(secret.to_vec())),
            Some(coded) => STANDARD.decode(coded).map(Self).map_err(|_| {
                Problem::new("HW-CONNECT-109", "the signature's secret begins with `whsec_` and is no base64 behind it")
            }),
        }
    }

    /// The header `webhook-signature` of a message.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // A key of any length is one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}
