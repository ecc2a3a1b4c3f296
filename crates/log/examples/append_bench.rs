//! Appends 1 KB records for some seconds and prints what it cost. Usage: append_bench FOLDER [SECONDS] [MB_PER_S]
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_base::{Clock, Limits, Micros, Name};
use headwater_log::{Append, Cleanup, Commit, EmbeddedLog, Log, StreamConfig};
use headwater_wire::batch::{Builder, Compression};

struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Micros {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Micros(since.as_micros() as i64)
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

fn status(field: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines().find(|line| line.starts_with(field)).unwrap_or_default().split_whitespace().skip(1).collect()
}

fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = text.split_whitespace().skip(13).take(2).filter_map(|one| one.parse().ok()).collect();
    fields.iter().sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("append_bench FOLDER [SECONDS] [MB_PER_S]")?;
    let seconds: f64 = arguments.next().unwrap_or_else(|| "5".into()).parse()?;
    let rate: f64 = arguments.next().unwrap_or_else(|| "33".into()).parse()?;
    let start = Instant::now();
    let log = EmbeddedLog::open(&folder, Arc::new(Limits::default()), Arc::new(Wall(Instant::now())))?;
    println!("open {:.1} ms, VmRSS {}", start.elapsed().as_secs_f64() * 1e3, status("VmRSS"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let name = Name::new("bench")?;
    let config = StreamConfig {
        partitions: 8,
        retention_ms: None,
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: 1 << 20,
        segment_bytes: 64 << 20,
        segment_ms: 3_600_000,
        delete_retention_ms: 1_000,
        append_time: false,
    };
    runtime.block_on(log.create(name.clone(), config, Vec::new()))?;
    let mut builder = Builder::new(Compression::None);
    for _ in 0..32 {
        builder.push(1, Some(b"key"), Some(&[7; 1_024]), &[]);
    }
    let batch = builder.finish();
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let (tell, told) = std::sync::mpsc::channel();
    let mut sent = 0u32;
    while start.elapsed().as_secs_f64() < seconds {
        let due = start + Duration::from_secs_f64(f64::from(sent) * batch.len() as f64 / (rate * 1e6));
        std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
        let append = Append { stream: name.clone(), partition: sent % 8, batches: batch.clone() };
        match log.append(&mut Commit { appends: vec![append], ..Commit::default() }) {
            Ok(ticket) => {
                let (log, tell) = (log.clone(), tell.clone());
                runtime.spawn(async move {
                    if log.durable(ticket.sequence).await.is_ok() {
                        tell.send(due.elapsed().as_secs_f64() * 1e3).ok();
                    }
                });
                sent += 1;
            }
            Err(headwater_log::LogError::Full(_)) => runtime.block_on(log.room(&[])),
            Err(error) => return Err(error.into()),
        }
    }
    let mut latencies: Vec<f64> = told.iter().take(sent as usize).collect();
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or_default();
    let megabytes = f64::from(sent) * batch.len() as f64 / 1e6;
    println!(
        "{:.1} MB/s, {:.2} CPU s/GB, ack p50 {:.2} ms p99 {:.2} ms, VmHWM {}",
        megabytes / start.elapsed().as_secs_f64(),
        (cpu_seconds() - cpu) / megabytes * 1e3,
        at(0.5),
        at(0.99),
        status("VmHWM")
    );
    let start = Instant::now();
    log.close()?;
    println!("close {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
