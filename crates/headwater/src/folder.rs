//! The data folder of a node that does not run, for work on it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use headwater_base::Problem;

/// Holds the data folder for this process alone, as an open log does.
///
/// # Errors
/// `HW-CLI-013` when another process holds it, `HW-CLI-002` when it cannot be made.
pub fn lock(folder: &Path) -> Result<File, Problem> {
    let shown = folder.display();
    let failed =
        |error: io::Error| Problem::new("HW-CLI-002", format!("cannot use the data folder `{shown}`")).because(error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = File::options().create(true).write(true).truncate(false).open(folder.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Problem::new("HW-CLI-013", format!("another node uses the data folder `{shown}`"))
                .help("stop it, or choose another folder with `--data`"))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
