//! The view of the tables: keyed documents in one SQLite file, derived from compacted streams.
//!
//! What it is NOT: it is no truth. It holds the offset up to which it has applied each partition in the same
//! transaction as the documents, so that after a crash it goes on from there; it can be deleted at any time and is
//! built again. That is why SQLite runs with `synchronous=NORMAL`: a power cut may lose its newest transactions.
//!
//! Invariants: documents and applied offsets change together; a table belongs to one stream id, and a stream created
//! anew under the same name starts from nothing.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

/// Read connections kept open; each has its own small page cache.
const READERS_MAX: usize = 8;

/// Version of the file's layout, in `PRAGMA user_version`. Another version is dropped and built again.
const LAYOUT: i32 = 1;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Grows with each write of the key.
    pub version: u64,
    /// When it was written, in microseconds since 1970.
    pub updated_us: i64,
    /// Its value.
    pub value: Vec<u8>,
}

/// One change of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is this now.
    Put(Row),
    /// The document of this key is gone.
    Delete(String),
}

/// Why the view did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The file is no database any more, in words: delete it and build it again.
    #[error("the view is damaged: {0}")]
    Damaged(String),
    /// Anything else, in words.
    #[error("{0}")]
    Failed(String),
}

/// A table of the view. Cheap to clone; good until the table is dropped or the file is opened anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableId(i64);

/// The view.
pub struct View {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl View {
    /// Opens the file, or makes it. A damaged one is removed and an empty one made; the words say so then.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(path: &Path) -> Result<(Self, Option<String>), ViewError> {
        match Self::open_once(path) {
            Err(ViewError::Damaged(words)) => {
                Self::remove(path)?;
                Ok((Self::open_once(path)?, Some(words)))
            }
            other => Ok((other?, None)),
        }
    }

    /// Deletes the file with what belongs to it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn remove(path: &Path) -> Result<(), ViewError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ViewError::Failed(format!("cannot remove `{}`: {error}", Path::new(&name).display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn open_once(path: &Path) -> Result<Self, ViewError> {
        let writer = Connection::open(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "NORMAL")?;
        writer.pragma_update(None, "temp_store", "MEMORY")?;
        writer.pragma_update(None, "cache_size", -16_384)?;
        // Folding the log of SQLite into its file costs a sync: seldom, and for many pages at once.
        writer.pragma_update(None, "wal_autocheckpoint", 8_192)?;
        writer.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        writer.busy_timeout(std::time::Duration::from_secs(5))?;
        writer.set_prepared_statement_cache_capacity(128);
        let layout: i32 = writer.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if layout != 0 && layout != LAYOUT {
            return Err(ViewError::Damaged(format!("its layout is version {layout}, not {LAYOUT}")));
        }
        writer.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             CREATE TABLE IF NOT EXISTS tables (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, stream TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS applied (table_id INTEGER NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
                 PRIMARY KEY (table_id, partition)) WITHOUT ROWID;
             PRAGMA user_version = {LAYOUT};
             COMMIT;"
        ))?;
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// The table `name` of the stream with this id; made where it is missing, emptied where it was another stream's.
    pub fn table(&self, name: &str, stream: u128) -> Result<TableId, ViewError> {
        let stream = format!("{stream:032x}");
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        let found: Option<(i64, String)> = transaction
            .query_row("SELECT id, stream FROM tables WHERE name = ?1", [name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let id = match found {
            Some((id, of)) if of == stream => id,
            other => {
                if let Some((old, _)) = other {
                    drop_documents(&transaction, old)?;
                }
                transaction.execute("INSERT INTO tables (name, stream) VALUES (?1, ?2)", params![name, stream])?;
                let id = transaction.last_insert_rowid();
                transaction.execute_batch(&format!(
                    "CREATE TABLE d{id} (key TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, updated INTEGER NOT NULL,
                         value BLOB NOT NULL) WITHOUT ROWID;"
                ))?;
                id
            }
        };
        transaction.commit()?;
        Ok(TableId(id))
    }

    /// Forgets a table.
    pub fn drop_table(&self, name: &str) -> Result<(), ViewError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        let found =
            transaction.query_row("SELECT id FROM tables WHERE name = ?1", [name], |row| row.get(0)).optional()?;
        if let Some(id) = found {
            drop_documents(&transaction, id)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Empties a table: it has applied nothing then.
    pub fn clear(&self, table: TableId) -> Result<(), ViewError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        transaction.execute(&format!("DELETE FROM d{}", table.0), [])?;
        transaction.execute("DELETE FROM applied WHERE table_id = ?1", [table.0])?;
        transaction.commit()?;
        Ok(())
    }

    /// One past the last offset of a partition that has been applied.
    pub fn applied(&self, table: TableId, partition: u32) -> Result<i64, ViewError> {
        self.read(|reader| {
            let mut statement =
                reader.prepare_cached("SELECT next FROM applied WHERE table_id = ?1 AND partition = ?2")?;
            Ok(statement.query_row(params![table.0, partition], |row| row.get(0)).optional()?.unwrap_or(0))
        })
    }

    /// Applies changes, later ones of a key winning, together with the offset from which to go on.
    pub fn apply(&self, table: TableId, partition: u32, changes: &[Change], next: i64) -> Result<(), ViewError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        {
            let mut put = transaction.prepare_cached(&format!(
                "INSERT INTO d{} (key, version, updated, value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE SET version = excluded.version, updated = excluded.updated, value = excluded.value",
                table.0
            ))?;
            let mut delete = transaction.prepare_cached(&format!("DELETE FROM d{} WHERE key = ?1", table.0))?;
            for change in changes {
                match change {
                    Change::Put(row) => {
                        let version = i64::try_from(row.version).unwrap_or(i64::MAX);
                        put.execute(params![row.key, version, row.updated_us, row.value])?;
                    }
                    Change::Delete(key) => {
                        delete.execute([key])?;
                    }
                }
            }
            let mut applied = transaction.prepare_cached(
                "INSERT INTO applied (table_id, partition, next) VALUES (?1, ?2, ?3)
                 ON CONFLICT (table_id, partition) DO UPDATE SET next = excluded.next",
            )?;
            applied.execute(params![table.0, partition, next])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// One document.
    pub fn get(&self, table: TableId, key: &str) -> Result<Option<Row>, ViewError> {
        self.read(|reader| {
            let mut statement = reader
                .prepare_cached(&format!("SELECT key, version, updated, value FROM d{} WHERE key = ?1", table.0))?;
            Ok(statement.query_row([key], row).optional()?)
        })
    }

    /// Documents in the order of their keys (by bytes), from behind `after`, at most `count`.
    pub fn list(&self, table: TableId, after: Option<&str>, count: usize) -> Result<Vec<Row>, ViewError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.read(|reader| {
            let sql = match after {
                Some(_) => format!(
                    "SELECT key, version, updated, value FROM d{} WHERE key > ?1 ORDER BY key LIMIT ?2",
                    table.0
                ),
                None => format!(
                    "SELECT key, version, updated, value FROM d{} WHERE ?1 IS NULL ORDER BY key LIMIT ?2",
                    table.0
                ),
            };
            let mut statement = reader.prepare_cached(&sql)?;
            let rows = statement.query_map(params![after, count], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Keys (with their versions) behind `after` whose documents were written before `time_us`, in key order, among
    /// the next `scan` keys; and the last key looked at, None at the end.
    pub fn older(&self, table: TableId, time_us: i64, after: Option<&str>, scan: usize) -> Result<Aged, ViewError> {
        let count = i64::try_from(scan).unwrap_or(i64::MAX);
        self.read(|reader| {
            let sql = format!(
                "SELECT key, version, updated FROM d{} WHERE key > ?1 OR ?1 IS NULL ORDER BY key LIMIT ?2",
                table.0
            );
            let mut statement = reader.prepare_cached(&sql)?;
            let mut rows = statement.query(params![after, count])?;
            let (mut keys, mut last, mut looked) = (Vec::new(), None, 0);
            while let Some(row) = rows.next()? {
                let (key, version, updated): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                if updated < time_us {
                    keys.push((key.clone(), version.unsigned_abs()));
                }
                last = Some(key);
                looked += 1;
            }
            Ok(Aged { keys, last: last.filter(|_| looked == scan) })
        })
    }

    /// How many documents a table has. Counts them: for people, not for hot paths.
    pub fn count(&self, table: TableId) -> Result<u64, ViewError> {
        self.read(|reader| {
            let count: i64 = reader.query_row(&format!("SELECT count(*) FROM d{}", table.0), [], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
    }

    /// Runs `work` on a read connection; several run at once, beside the writer.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, ViewError>) -> Result<T, ViewError> {
        let kept = self.readers.lock().pop();
        let reader = match kept {
            Some(reader) => reader,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let reader = Connection::open_with_flags(&self.path, flags)?;
                reader.busy_timeout(std::time::Duration::from_secs(5))?;
                reader.pragma_update(None, "cache_size", -4_096)?;
                reader.set_prepared_statement_cache_capacity(64);
                reader
            }
        };
        let result = work(&reader);
        if result.is_ok() {
            let mut readers = self.readers.lock();
            if readers.len() < READERS_MAX {
                readers.push(reader);
            }
        }
        result
    }
}

/// What [`View::older`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aged {
    /// Keys with their versions.
    pub keys: Vec<(String, u64)>,
    /// Where to go on.
    pub last: Option<String>,
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let version: i64 = row.get(1)?;
    Ok(Row { key: row.get(0)?, version: version.unsigned_abs(), updated_us: row.get(2)?, value: row.get(3)? })
}

fn drop_documents(connection: &Connection, id: i64) -> Result<(), ViewError> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS d{id};"))?;
    connection.execute("DELETE FROM applied WHERE table_id = ?1", [id])?;
    connection.execute("DELETE FROM tables WHERE id = ?1", [id])?;
    Ok(())
}

impl From<rusqlite::Error> for ViewError {
    fn from(error: rusqlite::Error) -> Self {
        let damaged = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            // A table that our own bookkeeping says is there.
            || error.to_string().contains("no such table");
        if damaged { Self::Damaged(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

#[cfg(test)]
mod tests;
