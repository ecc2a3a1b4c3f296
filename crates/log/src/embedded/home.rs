//! Where a data folder lives: the path by which files in it are named.
//!
//! Tables of the lake name their files by whole paths, as Iceberg wants it, so that a copy of the folder under another
//! path would go on in the original's files. The folder therefore keeps the path under which it was first opened, and
//! is opened only where that path leads to it, by whatever links and mounts.
//!
//! What it is NOT: a record of devices and inodes. Those change with a mount and with a backup that is put back, where
//! nothing is wrong; whether two paths lead to one folder is asked of the disk each time.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use headwater_base::Problem;
use headwater_store::disk::{Disk, read_exact_at};

use super::open::at_start;

/// The file with the path, and a line break behind it.
const FILE: &str = "home";

/// What is read of it at most; no path is as long.
const BYTES_MAX: u64 = 64 << 10;

/// The path of a folder that is opened; one that has none gets the path that led to it. Hold the folder's lock.
///
/// # Errors
/// `HW-LOG-005` when its path leads elsewhere, `HW-LOG-002` and `HW-STORE-006` when the disk refuses.
pub(super) fn settle(disk: &dyn Disk, folder: &Path) -> Result<PathBuf, Problem> {
    match read(disk, folder)? {
        Some(home) => belongs(disk, folder, &home).map(|()| home),
        None => write(disk, folder),
    }
}

/// Says whether a folder lies where it belongs, and changes nothing. One that has no path yet does.
///
/// # Errors
/// `HW-LOG-005` when it does not, `HW-LOG-002` when the disk refuses.
pub fn check(disk: &dyn Disk, folder: &Path) -> Result<(), Problem> {
    read(disk, folder)?.map_or(Ok(()), |home| belongs(disk, folder, &home))
}

/// Has a folder belong where it is, and answers that path. Hold the folder's lock meanwhile.
///
/// # Errors
/// `HW-LOG-006` when files in it are named by the path before, or another folder is there; `HW-LOG-002` and
/// `HW-STORE-006` when the disk refuses.
pub fn take(disk: &dyn Disk, folder: &Path) -> Result<PathBuf, Problem> {
    if let Some(home) = read(disk, folder)?
        && belongs(disk, folder, &home).is_err()
    {
        let refuse = |cause: String| {
            Problem::new("HW-LOG-006", format!("the data folder cannot stay in `{}`", shown(folder)))
                .because(cause)
                .help(format!("put it back, or have `{0}` lead to it by a link or a bind mount", home.display()))
        };
        let lake = folder.join("lake");
        if has_files(disk, &lake).map_err(|error| at_start("cannot read the lake", &lake, &error))? {
            return Err(refuse(format!("tables in `lake` name their files by paths below `{}`", home.display())));
        }
        if disk.files(&home).is_ok_and(|files| files.iter().any(|file| file == FILE)) {
            let cause = "there is a data folder still, so that this is a copy of it";
            return Err(refuse(format!("in `{}` {cause}", home.display())));
        }
    }
    write(disk, folder)
}

fn belongs(disk: &dyn Disk, folder: &Path, home: &Path) -> Result<(), Problem> {
    let cause = match disk.is_same(home, folder) {
        Ok(true) => return Ok(()),
        Ok(false) => format!("in `{}` there is another folder, so that this is a copy", home.display()),
        Err(error) => format!("`{}` cannot be reached: {error}", home.display()),
    };
    let fact = format!("the data folder of `{}` lies in `{}`", home.display(), shown(folder));
    Err(Problem::new("HW-LOG-005", fact).because(cause).help(format!(
        "put it back, or have `{}` lead to it by a link or a bind mount; without files of datasets it can stay: \
         `headwater doctor --moved`",
        home.display()
    )))
}

fn read(disk: &dyn Disk, folder: &Path) -> Result<Option<PathBuf>, Problem> {
    let path = folder.join(FILE);
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(&path, false)?;
        let count = usize::try_from(file.len()?.min(BYTES_MAX)).unwrap_or(usize::MAX);
        read_exact_at(&*file, 0, count)
    };
    match read() {
        Ok(bytes) => {
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            Ok(Some(PathBuf::from(OsStr::from_bytes(line))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at_start("cannot read where the data folder belongs", &path, &error)),
    }
}

/// Writes down, durably and all at once, that a folder belongs where it is.
fn write(disk: &dyn Disk, folder: &Path) -> Result<PathBuf, Problem> {
    let write = || -> io::Result<PathBuf> {
        // As it was named: what is below it will be named so too, and a link may be what its owner means to keep.
        let home = std::path::absolute(folder)?;
        let beside = folder.join("home.new");
        let file = disk.open(&beside, true)?;
        file.set_len(0)?;
        file.write_at(&[home.as_os_str().as_bytes(), b"\n"].concat(), 0)?;
        file.sync()?;
        disk.rename(&beside, &folder.join(FILE))?;
        disk.sync_dir(folder)?;
        Ok(home)
    };
    write().map_err(|error| at_start("cannot write down where the data folder belongs", folder, &error))
}

/// Whether there is any file in a folder or below it.
fn has_files(disk: &dyn Disk, folder: &Path) -> io::Result<bool> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        if !disk.files(&folder)?.is_empty() {
            return Ok(true);
        }
        open.extend(disk.folders(&folder)?.into_iter().map(|name| folder.join(name)));
    }
    Ok(false)
}

fn shown(folder: &Path) -> String {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string()
}
