//! Sends traffic to a stream, open-loop: each record has a moment at which it is to be sent, whatever happened to the
//! records before it.
//!
//! Requests follow each other without waiting for answers; how late an answer is counts from the intended moment of the
//! oldest record in it, so a node that stalls does not look fast (no coordinated omission).

use std::time::{Duration, Instant};

use bytes::BytesMut;
use hdrhistogram::Histogram;
use headwater_base::Problem;
use headwater_base::partition::partition_of;
use headwater_wire::batch::{Builder, Compression};
use tokio::sync::mpsc;

use super::traffic::{Traffic, World};
use crate::solution::client::Sender;
use crate::solution::node::{Node, wall_ms};

/// How traffic is sent.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Records each second; None = as fast as the node takes them.
    pub per_second: Option<u64>,
    /// Records in all.
    pub records: u64,
    /// Requests on their way at once; more wait.
    pub in_flight: usize,
    /// Compression of the batches.
    pub compression: Compression,
}

/// How it went.
#[derive(Debug)]
pub struct Fed {
    /// Records acknowledged.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
    /// Intended moment to acknowledgement, in microseconds.
    pub acks: Histogram<u64>,
    /// How far behind its own plan the sender was at worst.
    pub behind: Duration,
}

/// Records of one partition that go out together.
const BATCH_BYTES: usize = 256 * 1024;
/// How long records wait for others.
const LINGER: Duration = Duration::from_millis(2);

/// Sends `traffic` to `stream`; `tell` hears how many records are on their way.
///
/// # Errors
/// `HW-CLI-203` when the node cannot be reached or refuses.
pub async fn feed(
    node: &Node,
    stream: &str,
    traffic: &mut Traffic,
    pace: &Pace,
    tell: impl FnMut(u64),
) -> Result<Fed, Problem> {
    feed_records(node, stream, |_, value| format!("v{:07}", traffic.next(value).visitor), pace, tell).await
}

/// Sends records to `stream` as [`feed`] does. `next` gets the moment at which a record is meant to be sent, in milliseconds
/// since 1970, writes its value into what it is given, over what is there, and answers its key.
///
/// # Errors
/// `HW-CLI-203` when the node cannot be reached or refuses.
pub async fn feed_records(
    node: &Node,
    stream: &str,
    mut next: impl FnMut(i64, &mut Vec<u8>) -> String,
    pace: &Pace,
    mut tell: impl FnMut(u64),
) -> Result<Fed, Problem> {
    let mut client = node.connect().await?;
    let partitions = client.partitions(stream).await?;
    let (mut sender, mut receiver) = client.split();
    let (asked, mut asked_for) = mpsc::channel::<(Instant, u64)>(pace.in_flight.max(1));
    let answers = tokio::spawn(async move {
        let mut acks = histogram()?;
        let mut records = 0;
        while let Some((intended, count)) = asked_for.recv().await {
            receiver.produced().await?;
            records += count;
            acks.saturating_record(u64::try_from(intended.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        Ok::<_, Problem>((acks, records))
    });
    let start = Instant::now();
    let start_ms = wall_ms();
    let mut bytes = 0;
    let mut sent = 0;
    let mut behind = Duration::ZERO;
    let mut value = Vec::new();
    let mut open: Vec<Open> = (0..partitions).map(|_| Open::new(pace.compression)).collect();
    while sent < pace.records {
        let elapsed = start.elapsed();
        let due = match pace.per_second {
            Some(rate) => {
                pace.records.min(u64::try_from(elapsed.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX))
            }
            None => pace.records.min(sent + 2_000),
        };
        if let Some(rate) = pace.per_second.filter(|_| sent < due) {
            behind = behind.max(elapsed.saturating_sub(moment(sent, rate)));
        }
        let first = sent;
        while sent < due {
            // The record's time is the moment it was meant to be sent at, from which everybody downstream can measure.
            let time_ms = pace.per_second.map_or_else(wall_ms, |rate| start_ms + moment(sent, rate).as_millis() as i64);
            let key = next(time_ms, &mut value);
            let place = partition_of(key.as_bytes(), partitions) as usize;
            bytes += value.len() as u64;
            sent += 1;
            let Some(batch) = open.get_mut(place) else { continue };
            batch.builder.push(time_ms, Some(key.as_bytes()), Some(&value), &[]);
            batch.count += 1;
            if batch.builder.bytes() >= BATCH_BYTES {
                break;
            }
        }
        if sent > first {
            let intended = pace.per_second.map_or_else(Instant::now, |rate| start + moment(first, rate));
            send(&mut sender, stream, &mut open, pace.compression).await?;
            if asked.send((intended, sent - first)).await.is_err() {
                break;
            }
            tell(sent);
        }
        if pace.per_second.is_some() && sent < pace.records {
            tokio::time::sleep(LINGER).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
    drop(asked);
    let (acks, records) =
        answers.await.map_err(|error| Problem::new("HW-CLI-203", "the feed broke off").because(error))??;
    Ok(Fed { records, bytes, took: start.elapsed(), acks, behind })
}

/// Sends `traffic` in small requests, one after the other, and again until each is acknowledged, through restarts of the
/// node. A request whose answer was lost is sent again as an idempotent producer does: with the same sequence numbers, by
/// which the node knows what it has. (The traffic's own repetitions are the pipelines' business.)
///
/// # Errors
/// `HW-CLI-203` when the node stays away for 30 seconds.
pub async fn feed_through(
    node: &Node,
    stream: &str,
    traffic: &mut Traffic,
    records: u64,
    mut sent_so_far: impl FnMut(u64),
) -> Result<(), Problem> {
    /// Few enough that a node is killed in many different places.
    const REQUEST_RECORDS: u64 = 60;
    let mut client = None;
    let partitions = partitions_of(node, &mut client, stream).await?;
    let (id, epoch) = node.connect().await?.producer().await?;
    let mut sequences = vec![0; partitions as usize];
    let mut value = Vec::new();
    let mut sent = 0;
    while sent < records {
        let count = REQUEST_RECORDS.min(records - sent);
        let mut open: Vec<Open> = (0..partitions).map(|_| Open::new(Compression::None)).collect();
        for _ in 0..count {
            let record = traffic.next(&mut value);
            let key = format!("v{:07}", record.visitor);
            let Some(batch) = open.get_mut(partition_of(key.as_bytes(), partitions) as usize) else { continue };
            batch.builder.push(wall_ms(), Some(key.as_bytes()), Some(&value), &[]);
            batch.count += 1;
        }
        let mut batches: Vec<(u32, BytesMut)> = Vec::new();
        for ((place, batch), sequence) in
            (0..).zip(&mut open).zip(&mut sequences).filter(|((_, open), _)| open.count > 0)
        {
            batch.builder.producer(id, epoch, *sequence);
            *sequence += i32::try_from(batch.count).unwrap_or(i32::MAX);
            batches.push((place, batch.take(Compression::None)));
        }
        loop {
            partitions_of(node, &mut client, stream).await?;
            let Some(connection) = &mut client else { continue };
            match connection.produce(stream, &batches).await {
                Ok(_) => break,
                Err(_) => client = None,
            }
        }
        sent += count;
        sent_so_far(sent);
    }
    Ok(())
}

/// The stream's partitions, over the connection there is or a new one, as soon as there is a node.
async fn partitions_of(
    node: &Node,
    client: &mut Option<crate::solution::client::Client>,
    stream: &str,
) -> Result<u32, Problem> {
    let start = Instant::now();
    loop {
        let outcome = async {
            let connection = match client.take() {
                Some(connection) => client.insert(connection),
                None => client.insert(node.connect().await?),
            };
            connection.partitions(stream).await
        };
        match outcome.await {
            Ok(partitions) => return Ok(partitions),
            Err(problem) if start.elapsed() > Duration::from_secs(30) => return Err(problem),
            Err(_) => *client = None,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends the traffic: one event for each partition, hours after the last one, so that every session closes.
///
/// # Errors
/// `HW-CLI-203`.
pub async fn close(node: &Node, stream: &str, template: &str, after_ms: i64) -> Result<u64, Problem> {
    let mut client = node.connect().await?;
    let partitions = client.partitions(stream).await?;
    let time = headwater_base::Micros::from_millis(after_ms).to_string();
    let mut batches = Vec::new();
    for partition in 0..partitions {
        // Behind the pipelines the key decides again: find one that stays in this partition everywhere.
        let key = (0..)
            .map(|n: u32| format!("end-{n}"))
            .find(|key| partition_of(key.as_bytes(), partitions) == partition)
            .unwrap_or_default();
        let value = template.replace("{key}", &key).replace("{time}", &time);
        let mut builder = Builder::new(Compression::None);
        builder.push(wall_ms(), Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        batches.push((partition, builder.finish()));
    }
    client.produce(stream, &batches).await?;
    Ok(u64::from(partitions))
}

/// Writes documents to a table's stream, as an import does.
///
/// # Errors
/// `HW-CLI-203`.
pub async fn import(
    node: &Node,
    table: &str,
    documents: impl Iterator<Item = (String, String)>,
) -> Result<u64, Problem> {
    let stream = format!("table.{table}");
    let mut client = node.connect().await?;
    let partitions = client.partitions(&stream).await?;
    let mut open: Vec<Open> = (0..partitions).map(|_| Open::new(Compression::None)).collect();
    let mut count = 0;
    for (key, document) in documents {
        let place = partition_of(key.as_bytes(), partitions) as usize;
        let Some(batch) = open.get_mut(place) else { continue };
        batch.builder.push(wall_ms(), Some(key.as_bytes()), Some(document.as_bytes()), &[]);
        batch.count += 1;
        count += 1;
        if batch.builder.bytes() >= BATCH_BYTES {
            client.produce(&stream, &[(place as u32, batch.take(Compression::None))]).await?;
        }
    }
    for (place, batch) in open.iter_mut().enumerate() {
        if batch.count > 0 {
            client.produce(&stream, &[(place as u32, batch.take(Compression::None))]).await?;
        }
    }
    Ok(count)
}

/// A marketplace's users, as documents of the table `users`.
pub fn users(world: &World) -> impl Iterator<Item = (String, String)> + '_ {
    (0..world.users).map(|user| (format!("u{user:07}"), world.user_document(user)))
}

/// A batch in the making.
struct Open {
    builder: Builder,
    count: u64,
}

impl Open {
    fn new(compression: Compression) -> Self {
        Self { builder: Builder::new(compression), count: 0 }
    }

    fn take(&mut self, compression: Compression) -> BytesMut {
        self.count = 0;
        std::mem::replace(&mut self.builder, Builder::new(compression)).finish()
    }
}

async fn send(sender: &mut Sender, stream: &str, open: &mut [Open], compression: Compression) -> Result<(), Problem> {
    let filled = open.iter_mut().enumerate().filter(|(_, batch)| batch.count > 0);
    let batches: Vec<(u32, BytesMut)> = filled.map(|(place, batch)| (place as u32, batch.take(compression))).collect();
    sender.produce(stream, &batches).await
}

/// When record number `record` is due.
fn moment(record: u64, rate: u64) -> Duration {
    Duration::from_micros(u64::try_from(u128::from(record) * 1_000_000 / u128::from(rate.max(1))).unwrap_or(u64::MAX))
}

/// A histogram up to a minute, in microseconds, to three digits.
pub(super) fn histogram() -> Result<Histogram<u64>, Problem> {
    Histogram::new_with_bounds(1, 60_000_000, 3)
        .map_err(|error| Problem::new("HW-CLI-203", "no histogram").because(error))
}
