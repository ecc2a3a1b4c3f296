//! What the machine is like at the moment: its load, and what an fsync costs.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

/// The load average over one, five and fifteen minutes.
pub(super) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Times of 200 appends of 16 KiB with fdatasync, in milliseconds.
pub(super) fn fsync(folder: &Path) -> Result<Value> {
    fs::create_dir_all(folder)?;
    let path = folder.join("probe");
    let mut file = File::create(&path)?;
    let block = vec![7_u8; 16 * 1024];
    let mut times: Vec<f64> = Vec::with_capacity(200);
    for _ in 0..200 {
        let start = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    fs::remove_file(path)?;
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let rounded = |ms: f64| (ms * 1_000.0).round() / 1_000.0;
    Ok(json!({"p50": rounded(at(50)), "p99": rounded(at(99))}))
}
