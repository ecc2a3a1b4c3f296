//! `headwater solution feed`: marketplace traffic at a set rate into a running node, with what an outside consumer sees.
//!
//! Latencies count from the moment at which a record was meant to be sent: it is the record's time, and pipelines keep it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use headwater_base::Problem;
use headwater_wire::batch::Compression;
use serde::Serialize;
use tokio::sync::watch;

use super::catalogue::{Catalogue, Manner};
use super::feed::{self, Pace, histogram};
use super::traffic::{Traffic, World};
use crate::problems::Problems;
use crate::solution::node::{Node, wall_ms};
use crate::solution::package::{Package, Settings};
use crate::solution::reader;

/// What everybody downstream waits for.
const ENRICHED: &str = "clicks.enriched";

/// What is fed, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The traffic's seed.
    pub seed: u64,
    /// Events each second.
    pub rate: u64,
    /// For how long.
    pub time: Duration,
    /// Users that are imported first; the table stays as it is with 0.
    pub users: u32,
    /// Port of the catalogue stand-in.
    pub catalogue_port: u16,
    /// How the catalogue behaves.
    pub manner: Manner,
    /// Folder for the solution's files and secrets.
    pub folder: PathBuf,
}

/// A moment's figures, for a live line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Events enriched so far.
    pub enriched: u64,
    /// Bans so far.
    pub bans: u64,
    /// Sessions so far.
    pub sessions: u64,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Events each second that were asked for.
    pub rate: u64,
    /// Records acknowledged.
    pub records: u64,
    /// Mean size of their values, in bytes.
    pub record_bytes: u64,
    /// Seconds from the first to the last acknowledgement.
    pub seconds: f64,
    /// How far the sender fell behind its own plan; more than a few milliseconds spoils the run.
    pub sender_behind_ms: f64,
    /// What the sender, the catalogue and the consumers used of the CPU, in seconds; they are one process.
    pub sender_cpu_seconds: f64,
    /// Intended moment to acknowledgement.
    pub ack: Latency,
    /// Intended moment to the enriched event in a Kafka consumer's hands, first revisions.
    pub enriched: Latency,
    /// Of the event that decided it to the ban in a Kafka consumer's hands.
    pub ban: Latency,
    /// Enriched events that came a second time because their lookup had failed.
    pub revised: u64,
    /// Requests that the catalogue got.
    pub catalogue_requests: u64,
    /// How old the newest enriched event was at worst, over the first and the second half; flat is good.
    pub lag_ms: (u64, u64),
}

/// A distribution of latencies in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Half were faster.
    pub p50_ms: f64,
    /// 1 in 100 was slower.
    pub p99_ms: f64,
    /// 1 in 1,000 was slower.
    pub p999_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

impl Latency {
    /// Summary of a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros: u64| micros as f64 / 1_000.0;
        Self {
            count: histogram.len(),
            p50_ms: ms(histogram.value_at_quantile(0.5)),
            p99_ms: ms(histogram.value_at_quantile(0.99)),
            p999_ms: ms(histogram.value_at_quantile(0.999)),
            max_ms: ms(histogram.max()),
        }
    }
}

/// Feeds a node for the given time; `tell` hears about it once a second.
///
/// # Errors
/// What the node has to say, `HW-CLI-202` and `-206` of the solution's files.
pub async fn run(
    package: &Package,
    node: &Node,
    options: &Options,
    mut tell: impl FnMut(Moment),
) -> Result<Seen, Problems> {
    let world = World::full(options.seed, options.rate.max(1), wall_ms());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.catalogue_port));
    let catalogue = Catalogue::start(address, world.clone(), options.manner).await?;
    let settings = Settings {
        folder: options.folder.clone(),
        values: BTreeMap::from([("catalogue".to_owned(), catalogue.url())]),
    };
    node.apply(&package.resources(&settings)?).await?;
    node.pipelines_ready(Duration::from_secs(60)).await?;
    if options.users > 0 {
        feed::import(node, "users", feed::users(&World { users: options.users, ..world.clone() })).await?;
    }

    let (stop, stopped) = watch::channel(false);
    let counters = Arc::new(Counters::default());
    let enriched =
        tokio::spawn(consume(node.clone(), ENRICHED, stopped.clone(), Arc::clone(&counters), |c| &c.enriched));
    let bans = tokio::spawn(consume(node.clone(), "table.bans", stopped.clone(), Arc::clone(&counters), |c| &c.bans));
    let sessions =
        tokio::spawn(consume(node.clone(), "clicks.sessions", stopped, Arc::clone(&counters), |c| &c.sessions));

    // The events' own times begin now, when they are sent, not before the import.
    let mut traffic = Traffic::new(World { start_ms: wall_ms(), ..world });
    let records = u64::try_from(u128::from(options.rate) * options.time.as_millis() / 1_000).unwrap_or(u64::MAX);
    let pace = Pace { per_second: Some(options.rate), records, in_flight: 64, compression: Compression::None };
    let start = Instant::now();
    let cpu = cpu_seconds();
    let watching = async {
        let mut lag = (0, 0);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let moment = counters.moment();
            let due = u64::try_from(start.elapsed().as_millis() * u128::from(options.rate) / 1_000)
                .unwrap_or(u64::MAX)
                .min(records);
            let newest = counters.newest_ms.load(Ordering::Relaxed);
            if due < records && newest > 0 {
                let half = if start.elapsed() * 2 < options.time { &mut lag.0 } else { &mut lag.1 };
                *half = u64::try_from(wall_ms() - newest).unwrap_or(0).max(*half);
            }
            tell(moment);
            if moment.enriched >= records || start.elapsed() > options.time + Duration::from_secs(5) {
                return lag;
            }
        }
    };
    let feeding = async { feed::feed(node, "clicks.raw", &mut traffic, &pace, |_| ()).await };
    let (fed, lag) = tokio::join!(feeding, watching);
    let fed = fed?;
    let _ = stop.send(true);
    let joined = |error: tokio::task::JoinError| Problem::new("HW-CLI-203", "a consumer broke off").because(error);
    let (enriched, revised) = enriched.await.map_err(joined)??;
    let (bans, _) = bans.await.map_err(joined)??;
    sessions.await.map_err(joined)??;
    Ok(Seen {
        rate: options.rate,
        records: fed.records,
        record_bytes: fed.bytes / fed.records.max(1),
        seconds: fed.took.as_secs_f64(),
        sender_behind_ms: fed.behind.as_secs_f64() * 1_000.0,
        sender_cpu_seconds: cpu_seconds() - cpu,
        ack: Latency::of(&fed.acks),
        enriched: Latency::of(&enriched),
        ban: Latency::of(&bans),
        revised,
        catalogue_requests: catalogue.requests(),
        lag_ms: lag,
    })
}

#[derive(Default)]
struct Counters {
    enriched: AtomicU64,
    bans: AtomicU64,
    sessions: AtomicU64,
    /// The moment at which the newest enriched event was meant to be sent.
    newest_ms: AtomicI64,
}

impl Counters {
    fn moment(&self) -> Moment {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Moment { enriched: read(&self.enriched), bans: read(&self.bans), sessions: read(&self.sessions) }
    }
}

/// Reads what comes new into a stream until it is told to stop, and measures each first revision.
async fn consume(
    node: Node,
    stream: &'static str,
    stopped: watch::Receiver<bool>,
    counters: Arc<Counters>,
    counter: fn(&Counters) -> &AtomicU64,
) -> Result<(Histogram<u64>, u64), Problem> {
    let mut client = node.connect().await?;
    let partitions = client.partitions(stream).await?;
    let mut next = client.offsets(stream, partitions, -1).await?;
    let mut latencies = histogram()?;
    let mut revised = 0;
    while !*stopped.borrow() {
        let from: Vec<(u32, i64)> = (0..partitions).zip(next.iter().copied()).collect();
        for fetched in client.fetch(stream, &from, 250).await? {
            let Some(next) = next.get_mut(fetched.partition as usize) else { continue };
            let now = wall_micros();
            let offset = *next;
            *next = reader::records(&fetched.batches, offset, &mut |record| {
                let value = record.value.unwrap_or_default();
                if is_second(&value) {
                    revised += 1;
                    return;
                }
                counter(&counters).fetch_add(1, Ordering::Relaxed);
                if stream == ENRICHED {
                    counters.newest_ms.fetch_max(record.timestamp, Ordering::Relaxed);
                }
                latencies.saturating_record(u64::try_from(now - record.timestamp * 1_000).unwrap_or(0).max(1));
            })?;
        }
    }
    Ok((latencies, revised))
}

/// Whether an event says that it is a second revision; pipelines write that last.
fn is_second(value: &[u8]) -> bool {
    const WORDS: &[u8] = b"\"revision\":2";
    let end = value.get(value.len().saturating_sub(64)..).unwrap_or_default();
    end.windows(WORDS.len()).any(|window| window == WORDS)
}

/// CPU seconds that this process has used (proc_pid_stat(5), fields 14 and 15); 0 where there is no such file.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn wall_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
