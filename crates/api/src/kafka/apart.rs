//! The border to work that reads files or unpacks batches: it runs apart from the threads that serve sockets.
//!
//! What it is NOT: the way of consumers at the end of the log, nor of what is produced to most streams: those are served
//! from memory where they are, in microseconds.

use std::sync::Arc;

use super::KafkaService;
use super::connection::Client;
use super::error::Broken;

/// Such pieces of work at once, over all connections: each may hold a whole answer that nobody counts yet.
pub(super) const PIECES_MAX: usize = 8;

/// Does `work` on a thread that may wait, when it is its turn.
pub(super) async fn run<T: Send + 'static>(
    client: &Arc<Client>,
    work: impl FnOnce(&KafkaService) -> T + Send + 'static,
) -> Result<T, Broken> {
    let turn = Arc::clone(&client.service.apart).acquire_owned().await.map_err(std::io::Error::other)?;
    let service = Arc::clone(&client.service);
    let done = tokio::task::spawn_blocking(move || {
        // Its client may have left: the turn is over when the work is.
        let _turn = turn;
        work(&service)
    });
    done.await.map_err(|failed| std::io::Error::other(failed).into())
}
