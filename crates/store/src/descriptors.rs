//! File descriptors: how many the process may have open. Segments and connections share them, and a log that cannot
//! open a segment cannot go on, so connections are held below this.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as far as the system lets us, and answers what holds then; None without bound.
pub fn raise() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let bound = if raised.is_ok() { limit.maximum } else { limit.current };
    bound.and_then(|bound| usize::try_from(bound).ok())
}
