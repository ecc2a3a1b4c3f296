//! Random numbers from a seed that is an input of the step: the same seed draws the same numbers, so a step can be
//! repeated. NOT for keys: whoever knows the seed knows the numbers.

use crate::hash;

/// A stream of random numbers: SHA-256 of the seed and a counter.
#[derive(Clone, Debug)]
pub struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    /// Starts at the first number of this seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut text = [0; 40];
        text[..32].copy_from_slice(&self.seed);
        text[32..].copy_from_slice(&self.drawn.to_be_bytes());
        self.drawn += 1;
        hash::sha256(&text)
    }

    /// The next 64 random bits.
    pub fn draw(&mut self) -> u64 {
        self.block().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }

    /// A number from 0 and below `end`; 0 when `end` is 0. The bias is below 2^-64 for each unit of `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        u64::try_from((u128::from(self.draw()) * u128::from(end)) >> 64).unwrap_or(0)
    }

    /// A number from 0 and below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let mut bytes = self.block();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = hash::hex(&bytes[..16]);
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }
}
