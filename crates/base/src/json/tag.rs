//! Tags of names: a number for each name, which tells most of them apart. A name is looked for among the tags of others,
//! which lie side by side, before any text is compared.
//!
//! What it is NOT: a hash; two names that have the same tag still have to be compared.

/// A number that tells most names apart: the length, the first byte, one in the middle and the last one.
#[inline]
pub fn tag(name: &[u8]) -> u32 {
    let byte = |at: usize| name.get(at).copied().unwrap_or(0);
    u32::from_le_bytes([name.len() as u8, byte(0), byte(name.len() / 2), byte(name.len().saturating_sub(1))])
}

/// Where `wanted` stands last. Eight at a time, without a branch for each, which the compiler makes one comparison of.
#[inline]
pub fn last_of(tags: &[u32], wanted: u32) -> Option<usize> {
    let (first, eights) = tags.as_rchunks::<8>();
    for (at, eight) in eights.iter().enumerate().rev() {
        if eight.iter().fold(false, |any, tag| any | (*tag == wanted)) {
            return eight.iter().rposition(|tag| *tag == wanted).map(|place| first.len() + at * eight.len() + place);
        }
    }
    first.iter().rposition(|tag| *tag == wanted)
}

#[cfg(test)]
mod tests;
