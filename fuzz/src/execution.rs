//! Records of executions as a damaged journal would give them: an execution or a refusal, and what was read is written
//! again as the same bytes.

use headwater_work::execution::record::{Changes, Stored};

use crate::definition;

pub fn run(bytes: &[u8]) {
    let Ok(changes) = Changes::from_bytes(bytes) else { return };
    let again = Changes::from_bytes(&changes.to_bytes());
    assert_eq!(again.as_ref(), Ok(&changes));
    let mut stored = Stored::default();
    stored.apply(changes);
    let _ = stored.restore();
}

pub fn seeds() -> Vec<Vec<u8>> {
    let limits = definition::limits();
    let mut seeds = Vec::new();
    for text in [definition::PATHS, definition::QUERIES] {
        seeds.extend(definition::changes(text, &limits).map(|changes| changes.to_bytes()));
    }
    seeds
}
