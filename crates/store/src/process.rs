//! What the system grants this process: open files and pages.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, as far as the system lets us, and answers what holds then; None
/// without bound. Segments and connections share them, and a log that cannot open a segment cannot go on, so connections
/// are held below this.
pub fn raise_open_files() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let bound = if raised.is_ok() { limit.maximum } else { limit.current };
    bound.and_then(|bound| usize::try_from(bound).ok())
}

/// Has memory mapped in small pages from now on. With huge ones a short-lived buffer costs the zeroing of two megabytes,
/// and what is scattered over them stays resident: a tenth more memory, and more time than their fewer misses save
/// (docs/benchmarks.md).
pub fn use_small_pages() {
    // A system that does not know the wish has no huge pages to spare us.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Has the calling thread stand back for the others of this machine by `steps` (a nice value, 0 to 19), unless it does so
/// more already: for work that may take its time.
pub fn stand_back(steps: i32) {
    let thread = Some(rustix::thread::gettid());
    // A system that refuses it has the thread as eager as before.
    let _ = rustix::process::getpriority_process(thread)
        .and_then(|now| rustix::process::setpriority_process(thread, steps.max(now)));
}
