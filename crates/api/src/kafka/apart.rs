//! The border to work that reads files or unpacks batches: it runs apart from the threads that serve sockets.
//!
//! What it is NOT: the way of consumers at the end of the log, nor of what is produced to most streams: those are served
//! from memory where they are, in microseconds.

use std::io;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::KafkaService;
use super::connection::Client;
use super::error::Broken;

/// Does `work` on a thread that may wait, when it is its turn.
pub(super) async fn run<T: Send + 'static>(
    client: &Arc<Client>,
    work: impl FnOnce(&KafkaService) -> T + Send + 'static,
) -> Result<T, Broken> {
    let service = Arc::clone(&client.service);
    // A task of its own, so that nobody keeps a turn who is busy writing to a client that does not read. It ends with
    // this; work that has begun keeps its turn to its end.
    let mut own: JoinSet<io::Result<T>> = JoinSet::new();
    own.spawn(async move {
        let turn = Arc::clone(&service.apart).acquire_owned().await.map_err(io::Error::other)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&service)
        });
        done.await.map_err(io::Error::other)
    });
    match own.join_next().await {
        Some(Ok(done)) => Ok(done?),
        Some(Err(failed)) => Err(io::Error::other(failed).into()),
        None => Err(io::Error::other("nothing was done").into()),
    }
}
