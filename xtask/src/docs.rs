//! `cargo xtask docs`: writes the pages of docs/reference anew from the code.
//!
//! The pages are the expectations of tests in `crates/headwater/src/reference.rs`, so that a stale page fails a test.

use anyhow::Result;

use crate::process::{linting_cargo, root, run};

/// Writes the pages.
///
/// # Errors
/// When the tests cannot be built.
pub fn execute() -> Result<()> {
    std::fs::create_dir_all(root().join("docs/reference"))?;
    run(linting_cargo()
        .args(["test", "--workspace", "--lib", "--locked", "--quiet", "reference::"])
        .env("UPDATE_EXPECT", "1"))
}
