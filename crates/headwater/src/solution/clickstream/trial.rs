//! `headwater solution test`: seeded traffic through the solution's pipelines on a private node, compared with what
//! really happened.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use headwater_base::Problem;
use headwater_wire::batch::Compression;

use super::catalogue::{Catalogue, Manner};
use super::feed::{self, Pace};
use super::traffic::{Flaw, Traffic, World};
use crate::problems::Problems;
use crate::solution::node::{Node, Private};
use crate::solution::package::{Package, Settings};
use crate::solution::reader;

mod compare;
mod verdict;

pub use verdict::Verdict;

/// How a trial is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// The traffic's seed.
    pub seed: u64,
    /// Records to send.
    pub records: u64,
    /// How many times the node is killed (`kill -9`) and started again while they are sent.
    pub kills: u32,
    /// File that gets what really happened, one JSON object on each line; nobody but the reader of it sees it.
    pub truth: Option<PathBuf>,
}

const END: &str = r#"{"id":"{key}","source":"end","kind":"view","visitor":"{key}","device":"{key}","ip":"192.0.2.1","time":"{time}"}"#;

/// Tries the solution.
///
/// # Errors
/// What the node has to say; a failed comparison is not an error but a verdict.
pub async fn run(
    package: &Package,
    options: &Options,
    mut tell: impl FnMut(&'static str, u64),
) -> Result<Verdict, Problems> {
    let start = Instant::now();
    let world = World::test(options.seed);
    let manner = Manner { latency: Duration::from_millis(3), spread: Duration::from_millis(2), failures_per_mille: 20 };
    let catalogue = Catalogue::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), world.clone(), manner).await?;
    let mut private = Private::start().await?;
    let node = private.node.clone();
    let node = &node;
    let settings = Settings {
        folder: private.folder.clone(),
        values: BTreeMap::from([("catalogue".to_owned(), catalogue.url())]),
    };
    node.apply(&package.resources(&settings)?).await?;
    node.pipelines_ready(Duration::from_secs(20)).await?;
    let (checks, unmet) = crate::solution::checks::run(package, node).await?;
    feed::import(node, "users", feed::users(&world)).await?;
    imported(node, world.users).await?;

    let mut traffic = Traffic::new(world);
    let mut verdict = Verdict { seed: options.seed, records: options.records, checks, ..Verdict::default() };
    if options.kills == 0 {
        let pace = Pace { per_second: None, records: options.records, in_flight: 8, compression: Compression::None };
        feed::feed(node, "clicks.raw", &mut traffic, &pace, |sent| tell("sending", sent)).await?;
    } else {
        verdict.restarts_ms = feed_and_kill(&mut private, &mut traffic, options, &mut tell).await?;
        node.pipelines_ready(Duration::from_secs(20)).await?;
    }
    let truth = traffic.truth();
    let end =
        truth.facts.iter().filter(|fact| fact.flaw == Flaw::None).map(|fact| fact.time_ms).max().unwrap_or_default();
    let closing = feed::close(node, "clicks.raw", END, end + 6 * 3_600_000).await?;

    let wanted = (truth.records - truth.duplicates + closing) as i64;
    let streams = [
        "clicks.enriched",
        "clicks.dead",
        "clicks.retry",
        "clicks.sessions",
        "clicks.decisions",
        "clicks.late",
        "table.bans",
    ];
    tell("settling", options.records);
    // Copies to be retried wait for two seconds: rest must last longer.
    reader::settled(
        node,
        &streams,
        Duration::from_millis(2_600),
        Duration::from_secs(120),
        |counts| matches!(counts, [enriched, dead, ..] if enriched + dead >= wanted),
    )
    .await?;
    tell("comparing", options.records);
    let late = compare::events(node, truth, &mut verdict).await?;
    compare::visits(node, truth, &late, &mut verdict).await?;
    compare::bans(node, truth, &private.folder, &mut verdict).await?;
    if let Some(path) = &options.truth {
        truth.write(path)?;
    }
    verdict.seconds = (start.elapsed().as_secs_f64() * 100.0).round() / 100.0;
    verdict.judge(truth, unmet);
    Ok(verdict)
}

/// Sends the traffic while the node is killed at moments that follow from the seed.
async fn feed_and_kill(
    private: &mut Private,
    traffic: &mut Traffic,
    options: &Options,
    tell: &mut impl FnMut(&'static str, u64),
) -> Result<Vec<u64>, Problem> {
    let node = private.node.clone();
    let (progress, mut progressed) = tokio::sync::watch::channel(0);
    let feeding = feed::feed_through(&node, "clicks.raw", traffic, options.records, |sent| {
        progress.send_replace(sent);
        tell("sending", sent);
    });
    let killing = async {
        let mut restarts = Vec::new();
        let mut moments: Vec<u64> = (0..options.kills)
            .map(|n| super::traffic::chance(options.seed, u64::from(n) + 1_000) % options.records.max(1))
            .collect();
        moments.sort_unstable();
        for (number, moment) in moments.into_iter().enumerate() {
            let _ = progressed.wait_for(|sent| *sent >= moment).await;
            // Not always between two requests.
            let wait = super::traffic::chance(options.seed, number as u64 + 2_000) % 4_000;
            tokio::time::sleep(Duration::from_micros(wait)).await;
            restarts.push(private.kill_and_restart().await?.as_millis() as u64);
        }
        Ok::<_, Problem>(restarts)
    };
    let (fed, killed) = tokio::join!(feeding, killing);
    fed?;
    killed
}

/// Waits until the table's view has every user.
async fn imported(node: &Node, users: u32) -> Result<(), Problems> {
    let last = format!("u{:07}", users.saturating_sub(1));
    for _ in 0..1_200 {
        if node.web.get(&["v1", "tables", "users", "documents", &last], &[]).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Err(Problem::new("HW-CLI-205", "the table `users` is not filled after 30 s").into())
}
