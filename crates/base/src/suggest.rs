//! "Did you mean": the nearest of a few known words.

/// The longest word that is compared: what two of them cost is the product of their lengths, in time and memory.
const WORD_BYTES_MAX: usize = 256;

/// Of so many words that are asked for together, and are not there, it is said what they may have meant: each is compared
/// with all that there is.
pub const SUGGESTED_MAX: usize = 20;

/// The candidate nearest to `word`, if it is near enough to be a likely slip of the hand. Nothing is near to a text that is
/// longer than any word.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let lower = word.to_lowercase();
    let edits_max = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX)
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| {
            *edits <= edits_max
                || (lower.len() >= 3
                    && (candidate.to_lowercase().starts_with(&lower) || lower.starts_with(&candidate.to_lowercase())))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
