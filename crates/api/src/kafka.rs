//! The Kafka listener: the log and its consumer groups, for every client that speaks Kafka's protocol.
//!
//! How a request goes: [`connection`] cuts a frame off the socket, [`table`] finds the API and checks version and
//! [`shape`], one file per family decodes, calls the log or the groups, and encodes. Record batches stay opaque bytes
//! both ways.
//!
//! What it is NOT: it holds no state of its own but connections; streams live in the log, members in
//! [`headwater_log::groups`]. There are no transactions yet, no authentication, and one node: every leader, replica
//! and coordinator is this one.
//!
//! # Source
//! Apache Kafka 4.1, "Protocol Guide" and `clients/src/main/resources/common/message/*.json`.

mod answer;
mod apart;
mod cluster;
mod commits;
mod complaints;
mod config_keys;
mod configs;
mod connection;
mod error;
mod fetch;
mod groups;
mod metadata;
mod offsets;
mod partitions;
mod produce;
mod producers;
mod shape;
mod table;
mod topics;
mod versions;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use headwater_base::{Clock, Limits};
use headwater_log::{Log, Stream, StreamConfig, groups::Groups};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::warn;

/// The one node's id, as clients see it.
const NODE: i32 = 0;

/// The resource that says how a stream is kept, and what it would make of a configuration; None for a stream that no
/// resource describes.
pub type Owners = Arc<dyn Fn(&Stream, StreamConfig) -> Option<(String, StreamConfig)> + Send + Sync>;

/// What the listener serves and how.
pub struct KafkaService {
    /// The event log.
    pub log: Arc<dyn Log>,
    /// The consumer groups on it.
    pub groups: Arc<Groups>,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What clients are told.
    pub settings: Settings,
    owners: Owners,
    fetched_bytes: Arc<AtomicUsize>,
    /// Memory for large requests, in KiB.
    request_room: Arc<Semaphore>,
    /// Turns of [`apart`], `kafka_file_requests` of them.
    apart: Arc<Semaphore>,
    complaints: complaints::Complaints,
}

/// What clients are told about the node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host that clients connect to after the first contact. An address, not `localhost`, which some clients try
    /// as `::1` first.
    pub advertised_host: String,
    /// The port that clients connect to.
    pub advertised_port: u16,
    /// The name of the cluster.
    pub cluster_id: String,
    /// Whether asking for an unknown stream creates it.
    pub auto_create: bool,
    /// Partitions of a stream whose creator names no number.
    pub partitions: u32,
}

impl Settings {
    /// The defaults, for clients of this machine.
    pub fn local(port: u16) -> Self {
        Self {
            advertised_host: "127.0.0.1".into(),
            advertised_port: port,
            cluster_id: "headwater".into(),
            auto_create: true,
            partitions: 4,
        }
    }
}

impl KafkaService {
    /// A service over a log and its groups.
    pub fn new(
        log: Arc<dyn Log>,
        groups: Arc<Groups>,
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Self {
        let request_room = Arc::new(Semaphore::new(limits.kafka_requests_bytes / 1_024));
        let (fetched_bytes, complaints) = Default::default();
        let apart = Arc::new(Semaphore::new(limits.kafka_file_requests));
        let owners: Owners = Arc::new(|_, _| None);
        Self { log, groups, limits, clock, settings, owners, fetched_bytes, request_room, apart, complaints }
    }

    /// The same where resources describe streams: what they say is theirs to change.
    #[must_use]
    pub fn with_owners(mut self, owners: Owners) -> Self {
        self.owners = owners;
        self
    }
}

/// Serves Kafka clients on `listeners` until `stop` becomes true or its sender is gone; then connections end and the
/// future resolves. The groups' timers are the caller's to run ([`Groups::run`]).
pub async fn serve(listeners: Vec<TcpListener>, service: Arc<KafkaService>, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(service.limits.kafka_connections));
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let (service, permits, stop) = (Arc::clone(&service), Arc::clone(&permits), stop.clone());
        tasks.spawn(accept(listener, service, permits, stop));
    }
    connection::stopped(&mut stop).await;
    while tasks.join_next().await.is_some() {}
}

async fn accept(
    listener: TcpListener,
    service: Arc<KafkaService>,
    permits: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = connection::stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors: the ones in use come back when clients leave.
                warn!(%error, "kafka connection not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            // The protocol has no words for it: the client sees the connection end.
            let crowded = error::Broken::Crowded(service.limits.kafka_connections);
            service.complaints.about(peer, &crowded, &*service.clock);
            continue;
        };
        let (service, stop) = (Arc::clone(&service), stop.clone());
        connections.spawn(async move {
            if let Err(reason) = connection::run(socket, peer, Arc::clone(&service), stop).await {
                service.complaints.about(peer, &reason, &*service.clock);
            }
            drop(permit);
        });
    }
    while connections.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests;
