//! THIRD-PARTY-NOTICES.md: written for the packages that Cargo.lock names now.

use super::Tree;
use crate::notices::{FILE, stamp};

/// Checks that the notices carry the stamp of the lock file.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let wanted = stamp(&tree.lock);
    let fresh = tree.markdown.iter().any(|page| page.path == FILE && page.text.contains(&wanted));
    if fresh {
        Vec::new()
    } else {
        vec![format!("{FILE}: older than Cargo.lock; write it anew with `cargo xtask notices`")]
    }
}
