//! Work beside the threads that serve requests: it reads the disk, or takes milliseconds.

use crate::http::fault::{Fault, stopping};

/// What `work` comes to. A panic in it is one of the request that asks for it.
///
/// # Errors
/// `HW-API-016` when the node is on its way down.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(stopping()),
    }
}

#[cfg(test)]
mod tests;
