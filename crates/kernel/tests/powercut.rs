//! Transactions over tables while the power fails: conditions hold, counters are exact, tables, changes and the
//! caller's own state agree, and nothing that was acknowledged is lost.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::partition::partition_of;
use headwater_base::{Clock, Limits, ManualClock, Micros, Name};
use headwater_kernel::port::Tables;
use headwater_kernel::port::tables::{Change, Expression, TransactError, Write};
use headwater_kernel::{ApplyOptions, Kernel, Registry, Setup};
use headwater_log::{Commit, Delta, EmbeddedLog, Log, View};
use headwater_testkit::FaultyDisk;
use headwater_wire::batch;

const SEEDS: u64 = 8;
const LIVES: u64 = 4;

const TABLES: &str = "\
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: sums}
spec: {changes: {}}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: steps}
spec: {partitions: 3}
";

struct House {
    kernel: Arc<Kernel>,
    log: Arc<EmbeddedLog>,
}

async fn open(disk: &FaultyDisk, folder: &Path) -> Option<House> {
    let limits = Arc::new(Limits::default());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Micros(1_700_000_000_000_000)));
    let options = headwater_testkit::options(128 << 10);
    let disk = Arc::new(disk.clone());
    let log = EmbeddedLog::open_with(disk, Path::new("/data"), limits.clone(), clock.clone(), options).ok()?;
    let setup =
        Setup { log: log.clone(), folder: folder.to_owned(), clock, limits, registry: Registry::new(&[]), seed: 7 };
    let kernel = Kernel::open(setup).await.ok()?;
    kernel.start(Vec::new());
    Some(House { kernel, log })
}

fn write(table: &str, key: &str, update: &str, condition: Option<String>) -> Write {
    let expression = |text: String| Expression { text, ..Expression::default() };
    Write {
        change: Change::Update(expression(update.to_owned())),
        condition: condition.map(expression),
        ..Write::unconditional(&Name::new(table).unwrap(), key, None)
    }
}

/// One step: it counts, says which number it was, and moves the caller's own state, all or nothing.
fn step(house: &House, number: u64) -> Result<u64, TransactError> {
    let before = number - 1;
    let condition = if before == 0 { "attribute_not_exists(n)".to_owned() } else { format!("n = {before}") };
    let writes = [
        write("sums", "all", "ADD n 1", Some(condition)),
        write("steps", &format!("step-{number}"), &format!("SET n = {number}"), Some("attribute_not_exists(n)".into())),
    ];
    let value = Some(Bytes::copy_from_slice(number.to_string().as_bytes()));
    let delta = Delta { key: Bytes::from_static(b"number"), value };
    let mut also = Commit { deltas: vec![(Arc::from("walker"), vec![delta])], ..Commit::default() };
    let transacted = house.kernel.tables().transact(&writes, &mut also)?;
    // The same step cannot be taken twice, be the first durable or not.
    assert!(matches!(
        house.kernel.tables().transact(&writes, &mut also),
        Err(TransactError::Condition { index: 0, .. } | TransactError::Log(_) | TransactError::Problem(_))
    ));
    Ok(transacted.ticket.sequence)
}

/// How many records the change stream has, and the newest number among them.
fn told(log: &dyn Log) -> (u64, Option<String>) {
    let name = Name::new("table.sums.changes").unwrap();
    let (mut count, mut newest, mut at) = (0, None, 0);
    loop {
        let fetched = log.read(&name, 0, at, 1 << 20, View::Durable).unwrap();
        if fetched.batches.is_empty() {
            return (count, newest);
        }
        for part in fetched.batches.each() {
            let (header, batch) = part.unwrap();
            at = header.last_offset() + 1;
            for record in batch::records(&batch, 1 << 30).unwrap() {
                let change: serde_json::Value = serde_json::from_slice(&record.unwrap().value.unwrap()).unwrap();
                count += 1;
                newest = Some(change["newImage"]["n"].to_string());
            }
        }
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), wait).await.is_ok(), "{what} does not come");
}

/// Compares all that is there with the number of the last step; answers that number.
async fn check(house: &House, seed: u64, acknowledged: u64, tried: u64) -> u64 {
    let tables = house.kernel.tables();
    assert_eq!(house.kernel.settled(&["Table/sums".into(), "Table/steps".into()], Duration::from_secs(30)).await, []);
    let number = house.log.get("walker", b"number", View::Durable);
    let number: u64 = number.map_or(0, |value| std::str::from_utf8(&value).unwrap().parse().unwrap());
    assert!((acknowledged..=tried).contains(&number), "seed {seed}: {number} is not in {acknowledged}..={tried}");
    let sum = || tables.get("sums", "all").unwrap().map(|document| document.value);
    let wanted = (number > 0).then(|| Bytes::from(format!("{{\"n\":{number}}}")));
    until("the sum", || sum() == wanted).await;
    until("the steps", || tables.count("steps").unwrap() == number).await;
    for step in 1..=number {
        let key = format!("step-{step}");
        assert!(partition_of(key.as_bytes(), 3) < 3 && tables.get("steps", &key).unwrap().is_some(), "seed {seed}");
    }
    let newest = (number > 0).then(|| number.to_string());
    assert_eq!(told(&*house.log), (number, newest), "seed {seed}");
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_decided_together_is_there_together() {
    for seed in 0..SEEDS {
        let disk = FaultyDisk::default();
        let folder = tempfile::tempdir().unwrap();
        let house = open(&disk, folder.path()).await.unwrap();
        let drafts = house.kernel.registry().read("t.yaml", TABLES.as_bytes(), &Limits::default()).unwrap();
        house.kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
        let (mut acknowledged, mut tried) = (0, 0);
        let mut house = Some(house);
        for life in 0..LIVES {
            let Some(open_house) = house.take() else { break };
            let mut number = check(&open_house, seed, acknowledged, tried).await;
            disk.cut_after(20 + (seed * 37 + life * 101) % 400);
            for _ in 0..2_000 {
                tried = number + 1;
                match step(&open_house, number + 1) {
                    Ok(sequence) => {
                        number += 1;
                        // Some are acknowledged one by one, others several at once.
                        if number % 3 == seed % 3 {
                            match open_house.log.durable(sequence).await {
                                Ok(()) => acknowledged = number,
                                Err(_) => break,
                            }
                        }
                    }
                    Err(TransactError::Full) => open_house.log.room(&[]).await,
                    Err(TransactError::Condition { .. }) => panic!("seed {seed}: step {} was taken before", number + 1),
                    Err(_) => break,
                }
                if disk.is_off() {
                    break;
                }
            }
            open_house.kernel.stop().await;
            disk.cut();
            drop(open_house);
            disk.power_on(seed * 31 + life);
            house = open(&disk, folder.path()).await;
            assert!(house.is_some(), "seed {seed}: the log does not open");
        }
        let house = house.unwrap();
        check(&house, seed, acknowledged, tried).await;
        assert!(tried > 1, "seed {seed}: nothing was tried");
        house.kernel.stop().await;
    }
}
