//! Comparing without regard to case: both sides in lower case, character by character (Unicode's simple and full
//! lower-case mappings, no locale).
//!
//! What it is NOT: normalisation. Text that is not UTF-8 is folded by its ASCII letters only.

/// Appends the folded form of a text.
pub(crate) fn fold(text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.iter().map(u8::to_ascii_lowercase));
        return;
    }
    match std::str::from_utf8(text) {
        Ok(text) => {
            for lower in text.chars().flat_map(char::to_lowercase) {
                out.extend_from_slice(lower.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Err(_) => out.extend(text.iter().map(u8::to_ascii_lowercase)),
    }
}

/// The folded form of a text.
pub(crate) fn folded(text: &[u8]) -> Box<[u8]> {
    let mut out = Vec::with_capacity(text.len());
    fold(text, &mut out);
    out.into()
}
