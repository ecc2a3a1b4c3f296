//! Secret values that clients send: files that only this user may read, in the data folder's `secrets`.
//!
//! A value goes from the request into its file and nowhere else: not into the log, an answer, an error or a figure.
//! Invariant: a file is replaced as a whole and is never readable by others, not even while it is written.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use headwater_base::Problem;

/// The folder, from the data folder.
const FOLDER: &str = "secrets";

/// A value's file, from the data folder: what a Secret names.
pub fn file(name: &str) -> String {
    format!("{FOLDER}/{name}")
}

/// Writes a value under a name; durable on return.
///
/// # Errors
/// `HW-API-024`, which names the file.
pub async fn keep(data: PathBuf, name: String, value: String) -> Result<(), Problem> {
    blocking(data, name, move |path| replace(path, value.as_bytes())).await
}

/// Forgets a value; one that is not there is forgotten already.
///
/// # Errors
/// `HW-API-024`, which names the file.
pub async fn forget(data: PathBuf, name: String) -> Result<(), Problem> {
    blocking(data, name, |path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
    .await
}

async fn blocking(
    data: PathBuf,
    name: String,
    work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
) -> Result<(), Problem> {
    let path = data.join(file(&name));
    let shown = path.display().to_string();
    let failed = |cause: String| {
        Problem::new("HW-API-024", format!("the secret's file `{shown}` cannot be written"))
            .because(cause)
            .help("see that the node may write to its data folder, and send the request again")
    };
    match tokio::task::spawn_blocking(move || work(&path)).await {
        Ok(done) => done.map_err(|error| failed(error.to_string())),
        Err(ended) => Err(failed(ended.to_string())),
    }
}

fn replace(path: &Path, value: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What a crash left behind; its rights may be others.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(value)?;
    // Readers take one newline off the end, so that a value that ends with one keeps it.
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
