//! The catalogue stand-in: an HTTP service that answers `GET /listings/{id}` as slowly and as unreliably as it is told.
//!
//! What it is NOT: part of the platform. It plays the outside service whose latency and failures the enrichment has to
//! live with. Its answers follow from the world's seed and the listing's number; which requests fail follows from the
//! number of the request, so that a retry can succeed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_base::Problem;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::traffic::World;

/// How the stand-in behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Middle of the time an answer takes.
    pub latency: Duration,
    /// Answers take this much less or more, evenly.
    pub spread: Duration,
    /// Failures among 1,000 requests.
    pub failures_per_mille: u64,
}

/// A running stand-in; it ends when this is dropped.
pub struct Catalogue {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

/// A request line longer than this ends the connection.
const LINE_BYTES_MAX: u64 = 4_096;

impl Catalogue {
    /// Starts one at `address` (port 0 picks a free one).
    ///
    /// # Errors
    /// `HW-CLI-207` when the address cannot be had.
    pub async fn start(address: SocketAddr, world: World, manner: Manner) -> Result<Self, Problem> {
        let fail = |error: std::io::Error| {
            Problem::new("HW-CLI-207", format!("the catalogue cannot listen at `{address}`")).because(error)
        };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let requests = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&requests);
        let world = Arc::new(world);
        let task = tokio::spawn(async move {
            // The connections' tasks end with this set.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(serve(stream, Arc::clone(&world), manner, Arc::clone(&counter)));
            }
        });
        Ok(Self { address, requests, task })
    }

    /// Where it listens: `http://127.0.0.1:41234`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Catalogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection, request after request (HTTP/1.1 without bodies, RFC 9112).
async fn serve(stream: TcpStream, world: Arc<World>, manner: Manner, requests: Arc<AtomicU64>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    loop {
        line.clear();
        if read_line(&mut reader, &mut line).await? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        loop {
            line.clear();
            if read_line(&mut reader, &mut line).await? == 0 || line.trim_end().is_empty() {
                break;
            }
        }
        let number = requests.fetch_add(1, Ordering::Relaxed);
        let (status, body) = answer(&world, manner, &path, number);
        let wait = delay(&world, manner, number);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        writer.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    }
}

async fn read_line(reader: &mut (impl tokio::io::AsyncBufRead + Unpin), line: &mut String) -> std::io::Result<usize> {
    use tokio::io::AsyncReadExt;
    let read = (&mut *reader).take(LINE_BYTES_MAX).read_line(line).await?;
    if read as u64 == LINE_BYTES_MAX { Err(std::io::ErrorKind::InvalidData.into()) } else { Ok(read) }
}

/// The answer to the request of this number.
fn answer(world: &World, manner: Manner, path: &str, number: u64) -> (&'static str, String) {
    if super::traffic::chance(world.seed, number) % 1_000 < manner.failures_per_mille {
        return ("503 Service Unavailable", "{}".to_owned());
    }
    let listing = path.strip_prefix("/listings/l").and_then(|id| id.parse::<u32>().ok());
    match listing.filter(|listing| *listing < world.listings) {
        Some(listing) => ("200 OK", world.listing_document(listing)),
        None => ("404 Not Found", "{}".to_owned()),
    }
}

fn delay(world: &World, manner: Manner, number: u64) -> Duration {
    let spread = manner.spread.as_micros() as u64;
    let shift = super::traffic::chance(world.seed, !number) % (2 * spread + 1);
    (manner.latency + Duration::from_micros(shift)).saturating_sub(manner.spread)
}

#[cfg(test)]
mod tests;
