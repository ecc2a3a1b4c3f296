//! Secret values by the name of their resource: read when they are used, kept nowhere, shown nowhere.

pub mod vault;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Problem, closest};

use crate::kinds::secret::SecretSpec;
use crate::port;
use crate::resources::Resources;

/// The largest secret.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// Reads secrets through their resources.
pub struct Secrets {
    resources: Arc<Resources>,
    folder: PathBuf,
}

impl Secrets {
    /// `folder` is where relative file names start.
    pub fn new(resources: Arc<Resources>, folder: PathBuf) -> Self {
        Self { resources, folder }
    }
}

impl port::Secrets for Secrets {
    fn read(&self, name: &str) -> Result<Bytes, Problem> {
        let Some(resource) = self.resources.get("Secret", name) else {
            let secrets = self.resources.list(Some("Secret"));
            let near = closest(name, secrets.iter().map(|secret| secret.metadata.name.as_str()));
            let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            return Err(Problem::new("HW-KERNEL-012", format!("there is no secret `{}`", crate::kind::short(name)))
                .help(format!("{near}`headwater explain secret` shows how to write one")));
        };
        let spec: SecretSpec = crate::kind::decode(&resource.spec, "/spec", &crate::Origin::resource(&resource.id()))?;
        read(&spec, &self.folder).map_err(|problem| problem.at(resource.id(), 0, 0))
    }
}

/// Reads the value a spec refers to.
///
/// # Errors
/// `HW-KERNEL-018`, which names the place and never any part of the value.
pub fn read(spec: &SecretSpec, folder: &Path) -> Result<Bytes, Problem> {
    let unreadable = |fact: String| Problem::new("HW-KERNEL-018", fact);
    match (&spec.from.env, &spec.from.file) {
        (Some(name), None) => match std::env::var_os(name) {
            Some(value) if value.is_empty() => Err(unreadable(format!("the environment variable `{name}` is empty"))),
            Some(value) => Ok(Bytes::from(value.into_encoded_bytes())),
            None => Err(unreadable(format!("the node has no environment variable `{name}`"))
                .help("set it where the node is started, and start the node again")),
        },
        (None, Some(path)) => file(&folder.join(path)),
        _ => Err(unreadable("the secret names no place".to_owned())
            .help("write `from: {env: NAME}` or `from: {file: PATH}`")),
    }
}

fn file(path: &Path) -> Result<Bytes, Problem> {
    let shown = path.display();
    let unreadable = |fact: String| Problem::new("HW-KERNEL-018", fact);
    let failed = |error: std::io::Error| unreadable(format!("the file `{shown}` cannot be read")).because(error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(unreadable(format!("`{shown}` is no file")));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(unreadable(format!("the file `{shown}` may be read by others than its owner (mode {mode:o})"))
            .help(format!("`chmod 600 {shown}`")));
    }
    let mut value = Vec::new();
    file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut value).map_err(failed)?;
    if value.len() > SECRET_BYTES_MAX {
        return Err(unreadable(format!(
            "the file `{shown}` has more than {SECRET_BYTES_MAX} bytes, which is the limit"
        )));
    }
    if value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
    if value.is_empty() {
        return Err(unreadable(format!("the file `{shown}` is empty")));
    }
    Ok(Bytes::from(value))
}

#[cfg(test)]
mod tests;
