//! Blobs: bytes kept by the hash of their content, and names that point to them.
//!
//! ```text
//! blobs/3f/3fa9…            the bytes whose SHA-256 is 3fa9…
//! blobs/names/BUCKET/a1b2…  one name: {"key": …, "blob": …, "bytes": …, "written": …}
//! ```
//! Invariants: a blob's name is the hash of what is in it, so writing one twice is writing it once; a file takes its
//! name after its bytes are synced, so what has a name is whole; a name changes in one rename.
//!
//! What nobody points to any more goes with [`Blobs::sweep`]. Names point to blobs; who else does is the caller's to say.
//!
//! What it is NOT: a place for what the log can hold.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_base::{Micros, Name};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::disk::{Disk, DiskFile};

/// Bytes that a reader takes from the disk at once.
const READ_BYTES: usize = 64 * 1024;

/// Blobs that are remembered as put between two sweeps; beyond it the next sweep removes nothing.
const YOUNG_MAX: usize = 200_000;

/// The SHA-256 of a blob's content; as text `sha256:` and hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId([u8; 32]);

impl BlobId {
    /// The name of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for BlobId {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

/// What a name points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The name inside its bucket, any text.
    pub key: String,
    /// The blob, as text.
    pub blob: String,
    /// Its length.
    pub bytes: u64,
    /// When the name was written.
    pub written: Micros,
}

/// The blobs of a node.
#[derive(Debug)]
pub struct Blobs {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    drawn: AtomicU64,
    young: Mutex<Young>,
    /// Buckets whose folders this process has made durable: one that is there may be from a process that was killed
    /// before it had.
    buckets: Mutex<HashSet<Name>>,
}

/// Blobs put since the resting sweep before the newest: whoever put one may not have pointed to it yet.
#[derive(Debug, Default)]
struct Young {
    newest: HashSet<BlobId>,
    older: HashSet<BlobId>,
    /// Sweeps for which some that were put are not remembered.
    missed: u8,
}

impl Young {
    fn put(&mut self, id: BlobId) {
        if self.newest.len() < YOUNG_MAX {
            self.newest.insert(id);
        } else if !self.newest.contains(&id) {
            self.missed = 2;
        }
    }

    fn holds(&self, id: &BlobId) -> bool {
        self.missed > 0 || self.newest.contains(id) || self.older.contains(id)
    }

    fn swept(&mut self) {
        self.older = std::mem::take(&mut self.newest);
        self.missed = self.missed.saturating_sub(1);
    }
}

impl Blobs {
    /// Opens the blobs in `folder`, and throws away what an earlier process left half written.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: Arc<dyn Disk>, folder: PathBuf) -> io::Result<Self> {
        let blobs = Self { disk, folder, drawn: AtomicU64::new(0), young: Mutex::default(), buckets: Mutex::default() };
        blobs.disk.create_dir(&blobs.drafts())?;
        // The folder is there for good before anything in it is.
        blobs.disk.sync_dir(blobs.folder.parent().unwrap_or(&blobs.folder))?;
        for draft in blobs.disk.files(&blobs.drafts())? {
            blobs.disk.remove(&blobs.drafts().join(draft))?;
        }
        Ok(blobs)
    }

    /// Keeps bytes; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, bytes: &[u8]) -> io::Result<BlobId> {
        let mut writer = self.writer()?;
        writer.write(bytes)?;
        writer.finish().map(|(id, _)| id)
    }

    /// Keeps bytes whose name is known, unless they are kept already; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep(&self, id: BlobId, bytes: &[u8]) -> io::Result<()> {
        // Remembered before it is looked for, so that no sweep takes it in between.
        self.young.lock().put(id);
        match self.read(id)? {
            // Its name may not be durable yet: another may be about to make it so.
            Some(there) if there.size() == bytes.len() as u64 => {
                self.place(id).parent().map_or(Ok(()), |folder| self.disk.sync_dir(folder))
            }
            _ => self.put(bytes).map(drop),
        }
    }

    /// Removes blobs that nobody points to: no name, not `pointed`, and not put since the resting sweep before the newest.
    /// A sweep is `resting` when whoever put a blob before the last resting one has had the time to point to it. Answers
    /// how many went.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sweep(&self, resting: bool, pointed: &dyn Fn(&BlobId) -> bool) -> io::Result<u64> {
        let mut named = HashSet::new();
        let names = self.folder.join("names");
        for bucket in self.folders(&names)? {
            let bucket = names.join(bucket);
            for file in self.disk.files(&bucket)? {
                let found = self.named(&bucket.join(file))?;
                named.extend(found.and_then(|named| BlobId::from_str(&named.blob).ok()));
            }
        }
        let mut removed = 0;
        for folder in self.folders(&self.folder)?.into_iter().filter(|folder| folder.len() == 2) {
            for file in self.disk.files(&self.folder.join(folder))? {
                let Ok(id) = BlobId::from_str(&format!("sha256:{file}")) else { continue };
                if named.contains(&id) || pointed(&id) {
                    continue;
                }
                // Held while the file goes: whoever puts it again does so before this look, or after the removal.
                let young = self.young.lock();
                if !young.holds(&id) {
                    self.disk.remove(&self.place(id))?;
                    removed += 1;
                }
            }
        }
        if resting {
            self.young.lock().swept();
        }
        Ok(removed)
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        match self.disk.folders(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            found => found,
        }
    }

    /// Begins a blob whose bytes come piece by piece.
    ///
    /// # Errors
    /// What the disk says.
    pub fn writer(&self) -> io::Result<Writer<'_>> {
        let draft = self.drafts().join(self.drawn.fetch_add(1, Ordering::Relaxed).to_string());
        let file = self.disk.open(&draft, true)?;
        Ok(Writer { blobs: self, draft, file: Some(file), hash: Sha256::new(), bytes: 0 })
    }

    /// Opens a blob for reading; None when there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(&self, id: BlobId) -> io::Result<Option<Reader>> {
        match self.disk.open(&self.place(id), false) {
            Ok(file) => Ok(Some(Reader { bytes: file.len()?, file, at: 0, ahead: Vec::new(), taken: 0 })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a blob a name, in place of what had it; durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn name(&self, bucket: &Name, named: &Named) -> io::Result<()> {
        let bytes = serde_json::to_vec(named)?;
        let mut writer = self.writer()?;
        writer.write(&bytes)?;
        let folder = self.bucket(bucket);
        if !self.buckets.lock().contains(bucket) {
            self.disk.create_dir(&folder)?;
            self.disk.sync_dir(&self.folder.join("names"))?;
            self.disk.sync_dir(&self.folder)?;
            self.buckets.lock().insert(bucket.clone());
        }
        writer.settle(&folder, &folder.join(name_file(&named.key)))
    }

    /// What a name points to.
    ///
    /// # Errors
    /// What the disk says.
    pub fn find(&self, bucket: &Name, key: &str) -> io::Result<Option<Named>> {
        self.named(&self.bucket(bucket).join(name_file(key)))
    }

    /// Takes a name away; the blob stays. Durable on return.
    ///
    /// # Errors
    /// What the disk says.
    pub fn unname(&self, bucket: &Name, key: &str) -> io::Result<()> {
        match self.disk.remove(&self.bucket(bucket).join(name_file(key))) {
            Ok(()) => self.disk.sync_dir(&self.bucket(bucket)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The names of a bucket that begin with `prefix`, in order.
    ///
    /// # Errors
    /// What the disk says.
    pub fn list(&self, bucket: &Name, prefix: &str) -> io::Result<Vec<Named>> {
        let folder = self.bucket(bucket);
        let mut found = Vec::new();
        for file in self.disk.files(&folder)? {
            found.extend(self.named(&folder.join(file))?.filter(|named| named.key.starts_with(prefix)));
        }
        found.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    fn named(&self, path: &Path) -> io::Result<Option<Named>> {
        let file = match self.disk.open(path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
        Ok(Some(serde_json::from_slice(&crate::disk::read_exact_at(&*file, 0, length)?)?))
    }

    fn drafts(&self) -> PathBuf {
        self.folder.join("drafts")
    }

    fn bucket(&self, bucket: &Name) -> PathBuf {
        self.folder.join("names").join(bucket.as_str())
    }

    fn place(&self, id: BlobId) -> PathBuf {
        let hex = hex(&id.0);
        self.folder.join(hex.get(..2).unwrap_or_default()).join(hex)
    }
}

/// A blob in the making; dropped unfinished, it leaves nothing behind.
pub struct Writer<'a> {
    blobs: &'a Blobs,
    draft: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    hash: Sha256,
    bytes: u64,
}

impl Writer<'_> {
    /// Adds bytes.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::Error::other("the blob is finished")) };
        file.write_at(bytes, self.bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the blob; durable on return. Answers its name and length.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(mut self) -> io::Result<(BlobId, u64)> {
        let id = BlobId(std::mem::take(&mut self.hash).finalize().into());
        self.blobs.young.lock().put(id);
        let place = self.blobs.place(id);
        let folder = place.parent().unwrap_or(&self.blobs.folder);
        self.blobs.disk.create_dir(folder)?;
        self.blobs.disk.sync_dir(&self.blobs.folder)?;
        let bytes = self.bytes;
        self.settle(folder, &place)?;
        Ok((id, bytes))
    }

    /// Gives the synced draft its name.
    fn settle(mut self, folder: &Path, place: &Path) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            file.sync()?;
        }
        self.blobs.disk.rename(&self.draft, place)?;
        self.blobs.disk.sync_dir(folder)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What stays is thrown away at the next start.
            let _ = self.blobs.disk.remove(&self.draft);
        }
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("draft", &self.draft).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Reads a blob from its beginning.
#[derive(Debug)]
pub struct Reader {
    file: Arc<dyn DiskFile>,
    bytes: u64,
    at: u64,
    ahead: Vec<u8>,
    taken: usize,
}

impl Reader {
    /// The blob's length in bytes.
    pub const fn size(&self) -> u64 {
        self.bytes
    }

    /// Reads at a place, whatever was read before; fewer bytes only at the end.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ahead.len() {
            self.ahead.resize(READ_BYTES, 0);
            let got = self.file.read_at(&mut self.ahead, self.at)?;
            self.ahead.truncate(got);
            self.at += got as u64;
            self.taken = 0;
        }
        let rest = self.ahead.get(self.taken..).unwrap_or_default();
        let count = rest.len().min(into.len());
        for (to, from) in into.iter_mut().zip(rest) {
            *to = *from;
        }
        self.taken += count;
        Ok(count)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

impl FromStr for BlobId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or(())?;
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| ())?;
            if pair.bytes().any(|digit| !matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| ())?;
        }
        Ok(Self(id))
    }
}

/// A key can be longer than a file's name and hold any character, so its hash names the file.
fn name_file(key: &str) -> String {
    hex(&Sha256::digest(key.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests;
