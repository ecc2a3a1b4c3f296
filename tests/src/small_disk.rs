//! A file system of its own and of a known size, for what a node does when there is no room left.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use headwater_store::disk::room;

/// A file system in memory, mounted on a folder; both go when it is dropped.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one of `mebibytes`.
    ///
    /// # Errors
    /// When this user may not mount.
    pub fn mount(mebibytes: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "headwater-test"]).arg(folder.path());
        let mounted = command.output().context("there is no `mount`")?;
        if !mounted.status.success() {
            bail!("a file system cannot be mounted: {}", String::from_utf8_lossy(&mounted.stderr).trim());
        }
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that leaves so many bytes free.
    ///
    /// # Errors
    /// When less is free already, or it cannot be written.
    pub fn write_ballast(&self, name: &str, free_bytes: u64) -> Result<()> {
        let (free, _) = room(self.path())?;
        let bytes = free.checked_sub(free_bytes).with_context(|| format!("only {free} bytes are free"))?;
        let mut file = std::fs::File::create(self.path().join(name))?;
        std::io::copy(&mut std::io::Read::take(std::io::repeat(1), bytes), &mut file)?;
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still looks at it keeps it until then; the folder can go at once.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
