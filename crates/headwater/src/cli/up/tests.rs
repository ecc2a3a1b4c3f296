use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_base::Limits;
use headwater_kernel::SystemClock;
use headwater_log::EmbeddedLog;

use super::LOG_THREADS;

/// The names of this process's threads, as the system knows them.
fn threads() -> BTreeSet<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name =
        |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.unwrap().path().join("comm")).ok();
    tasks.filter_map(name).map(|name| name.trim().to_owned()).collect()
}

#[test]
fn a_panic_in_any_thread_of_the_log_is_one_that_the_process_ends_with() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), Arc::new(Limits::default()), Arc::new(SystemClock::new())).unwrap();
    let of_the_log = BTreeSet::from(["hw-log-filer", "hw-log-keeper", "hw-wal", "hw-wal-spare"].map(str::to_owned));
    assert!(of_the_log.iter().all(|name| name.starts_with(LOG_THREADS)));
    // A thread gives itself its name when it begins.
    let until = Instant::now() + Duration::from_secs(10);
    while !threads().is_superset(&of_the_log) {
        assert!(Instant::now() < until, "{:?}", threads());
        std::thread::yield_now();
    }
    log.close().unwrap();
}
