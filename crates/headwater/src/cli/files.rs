//! Resource files that `-f` names: files, folders (with everything below them) and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use headwater_base::{Limits, Problem};
use headwater_kernel::yaml;
use serde::Serialize;

use crate::problems::Problems;

/// Extensions of resource files.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Files of one command, at most.
const FILES_MAX: usize = 10_000;

/// A file's text under the name that problems give as their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its path, `-` for standard input.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Reads all files that the paths name, folders in the order of their names.
///
/// # Errors
/// `HW-CLI-002` for what cannot be read, `HW-CLI-009` when there is nothing to read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<File>, Problems> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            files.push(whole(path, std::io::stdin().lock())?);
        } else if path.is_dir() {
            let before = files.len();
            folder(path, &mut files)?;
            if files.len() == before {
                let problem =
                    Problem::new("HW-CLI-009", format!("there are no resource files in `{}`", path.display()));
                return Err(problem.help("resource files end in `.yaml`, `.yml` or `.json`").into());
            }
        } else {
            files.push(file(path)?);
        }
    }
    Ok(files)
}

/// `HW-CLI-009`: files without a resource, which is hardly what was meant.
pub fn nothing() -> Problem {
    Problem::new("HW-CLI-009", "there is no resource in what was read")
        .help("`headwater explain KIND` shows how a resource is written")
}

/// The body of a request that hands the files to a node.
pub fn body(files: &[File]) -> Vec<u8> {
    serde_json::json!({ "files": files }).to_string().into_bytes()
}

fn folder(path: &Path, files: &mut Vec<File>) -> Result<(), Problems> {
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(|error| unreadable(path, error))?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link to a folder could lead round for ever.
        if path.is_dir() && !hidden && !path.is_symlink() {
            folder(&path, files)?;
        } else if path.extension().is_some_and(|end| EXTENSIONS.iter().any(|known| end == *known)) && !hidden {
            if files.len() == FILES_MAX {
                return Err(Problem::new(
                    "HW-CLI-009",
                    format!("there are more than {FILES_MAX} files, which is the limit"),
                )
                .into());
            }
            files.push(file(&path)?);
        }
    }
    Ok(())
}

fn file(path: &Path) -> Result<File, Problems> {
    whole(path, std::fs::File::open(path).map_err(|error| unreadable(path, error))?)
}

/// Reads to the end what may be endless: no more than a resource file may have.
fn whole(path: &Path, from: impl Read) -> Result<File, Problems> {
    let (name, limits) = (path.display().to_string(), Limits::default());
    let mut bytes = Vec::new();
    let read = from.take(limits.resource_bytes as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, error))?;
    if bytes.len() > limits.resource_bytes {
        let fact = format!("the file has more than {} bytes, which is the limit", limits.resource_bytes);
        return Err(Problem::new("HW-KERNEL-002", fact).at(name, 0, 0).help("split it into several files").into());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(File { name, text }),
        // The reader of resources says where it ceases to be text.
        Err(error) => Err(match yaml::read(&name, error.as_bytes(), &limits) {
            Err(problems) => problems.into(),
            Ok(_) => unreadable(path, std::io::Error::other(error)).into(),
        }),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Problem {
    Problem::new("HW-CLI-002", format!("cannot read `{}`", path.display())).because(error)
}
