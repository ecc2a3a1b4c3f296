//! How far the threads of this process stand back for others: their nice values, from proc_pid_stat(5), fields 2 and 19.

/// That of the calling thread.
///
/// # Panics
/// Where the system does not tell.
#[allow(clippy::expect_used)]
pub fn own_niceness() -> i32 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok();
    stat.as_deref().and_then(named).expect("a thread has a nice value").1
}

/// Those of the threads of a name, of which the system keeps fifteen bytes; a thread that ends meanwhile is none.
pub fn niceness(of: &str) -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    stats.filter_map(|stat| named(&stat).filter(|(name, _)| *name == of).map(|(_, nice)| nice)).collect()
}

fn named(stat: &str) -> Option<(&str, i32)> {
    let (head, fields) = stat.rsplit_once(')')?;
    Some((head.split_once('(')?.1, fields.split_whitespace().nth(16)?.parse().ok()?))
}
