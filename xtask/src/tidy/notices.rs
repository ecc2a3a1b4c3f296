//! THIRD-PARTY-NOTICES.md: written for the packages that the lock files name now.

use super::Tree;
pub(super) use crate::notices::CONSOLE_LOCK;
use crate::notices::{FILE, stamp};

/// Checks that the notices carry the stamp of the lock files.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let wanted = stamp(&tree.lock, &tree.console_lock);
    let fresh = tree.markdown.iter().any(|page| page.path == FILE && page.text.contains(&wanted));
    if fresh {
        Vec::new()
    } else {
        vec![format!("{FILE}: older than Cargo.lock or {CONSOLE_LOCK}; write it anew with `cargo xtask notices`")]
    }
}
