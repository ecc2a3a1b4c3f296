//! What the machine is like at the moment: its load, and what an fsync costs.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

/// A moment's state of the machine.
pub(super) struct Machine {
    /// The load average over one, five and fifteen minutes.
    pub load: String,
    /// Half of the fsyncs were faster, in milliseconds.
    pub fsync_p50_ms: f64,
    /// 1 in 100 was slower.
    pub fsync_p99_ms: f64,
}

impl Machine {
    pub(super) fn json(&self) -> Value {
        json!({"load_average": self.load, "fsync_probe_ms": {"p50": self.fsync_p50_ms, "p99": self.fsync_p99_ms}})
    }
}

/// Looks at the load, and times 500 appends of 16 KiB with fdatasync in `folder`.
pub(super) fn machine(folder: &Path) -> Result<Machine> {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').take(3).collect::<Vec<_>>().join(" ");
    fs::create_dir_all(folder)?;
    let path = folder.join("probe");
    let mut file = File::create(&path)?;
    let block = vec![7_u8; 16 * 1024];
    let mut times: Vec<f64> = Vec::with_capacity(500);
    for _ in 0..500 {
        let start = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    fs::remove_file(path)?;
    times.sort_by(f64::total_cmp);
    let at = |share: usize| super::rounded(times.get(times.len() * share / 100).copied().unwrap_or_default());
    Ok(Machine { load, fsync_p50_ms: at(50), fsync_p99_ms: at(99) })
}
