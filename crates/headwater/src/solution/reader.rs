//! Reads streams from their first to their last durable record.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_base::Problem;
use headwater_wire::batch::{self, Record};
use serde::de::DeserializeOwned;

use super::node::Node;

/// A batch that unpacks to more than this is not read.
const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Calls `each` for every record of a stream with its partition, in the order of each partition.
///
/// # Errors
/// `HW-CLI-203`.
pub async fn all(node: &Node, stream: &str, mut each: impl FnMut(u32, Record)) -> Result<u64, Problem> {
    let mut client = node.connect().await?;
    let partitions = client.partitions(stream).await?;
    let ends = client.offsets(stream, partitions, -1).await?;
    let mut next: Vec<i64> = client.offsets(stream, partitions, -2).await?;
    let mut count = 0;
    loop {
        let open: Vec<(u32, i64)> = (0..partitions)
            .zip(next.iter().zip(&ends))
            .filter(|(_, (next, end))| next < end)
            .map(|(p, (next, _))| (p, *next))
            .collect();
        if open.is_empty() {
            return Ok(count);
        }
        for fetched in client.fetch(stream, &open, 500).await? {
            let Some(next) = next.get_mut(fetched.partition as usize) else { continue };
            let from = *next;
            *next = records(&fetched.batches, from, &mut |record| {
                count += 1;
                each(fetched.partition, record);
            })?;
        }
    }
}

/// The newest value of each key of a stream, as its consumers should see it: a null value removes.
///
/// # Errors
/// `HW-CLI-203`.
pub async fn newest<T: DeserializeOwned>(node: &Node, stream: &str) -> Result<Vec<T>, Problem> {
    let mut rows: HashMap<Bytes, T> = HashMap::new();
    all(node, stream, |_, record| {
        let Some(key) = record.key else { return };
        match record.value.and_then(|value| serde_json::from_slice(&value).ok()) {
            Some(row) => rows.insert(key, row),
            None => rows.remove(&key),
        };
    })
    .await?;
    Ok(rows.into_values().collect())
}

/// Calls `each` for every record at or after `from` in whole batches; answers the next offset.
///
/// # Errors
/// `HW-CLI-203` for batches that cannot be read.
pub fn records(batches: &Bytes, from: i64, each: &mut impl FnMut(Record)) -> Result<i64, Problem> {
    let broken = |error: batch::BatchError| {
        Problem::new("HW-CLI-203", "the node sent a batch that cannot be read").because(error)
    };
    let mut next = from;
    for part in batch::split(batches) {
        // The last batch may be cut off by the limit of the fetch.
        let Ok((header, range)) = part else { break };
        for record in batch::records(&batches.slice(range), BATCH_BYTES_MAX).map_err(broken)? {
            let record = record.map_err(broken)?;
            if record.offset >= from {
                each(record);
            }
        }
        next = next.max(header.last_offset() + 1);
    }
    Ok(next)
}

/// Records in each of some streams.
///
/// # Errors
/// `HW-CLI-203`.
pub async fn counts(node: &Node, streams: &[&str]) -> Result<Vec<i64>, Problem> {
    let mut client = node.connect().await?;
    let mut counts = Vec::new();
    for stream in streams {
        let partitions = client.partitions(stream).await?;
        counts.push(client.offsets(stream, partitions, -1).await?.iter().sum());
    }
    Ok(counts)
}

/// Waits until `streams` have not grown for `quiet`, and `enough` is true of their counts.
///
/// # Errors
/// `HW-CLI-205` when they do not come to rest in time.
pub async fn settled(
    node: &Node,
    streams: &[&str],
    quiet: Duration,
    patience: Duration,
    mut enough: impl FnMut(&[i64]) -> bool,
) -> Result<Vec<i64>, Problem> {
    let start = Instant::now();
    let mut last = counts(node, streams).await?;
    let mut since = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = counts(node, streams).await?;
        if now != last {
            last = now;
            since = Instant::now();
        }
        if enough(&last) && since.elapsed() >= quiet {
            return Ok(last);
        }
        if start.elapsed() > patience {
            let shown: Vec<String> =
                streams.iter().zip(&last).map(|(stream, count)| format!("{stream}: {count}")).collect();
            return Err(Problem::new(
                "HW-CLI-205",
                format!("the pipelines have not finished after {} s", patience.as_secs()),
            )
            .because(shown.join(", ")));
        }
    }
}
