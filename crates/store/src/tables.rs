//! The view of the tables: keyed documents in one SQLite file, derived from compacted streams.
//!
//! What it is NOT: it is no truth. It holds the offset up to which it has applied each partition in the same
//! transaction as the documents, so that after a crash it goes on from there; it can be deleted at any time and is
//! built again. That is why SQLite runs with `synchronous=NORMAL`: a power cut may lose its newest transactions.
//!
//! A table may have indexes: an entry of one is bytes that its owner made of a document, in whose order the documents
//! are found.
//!
//! Invariants: documents, their entries and applied offsets change together; a table belongs to one stream id, and a
//! stream created anew under the same name starts from nothing.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

/// Read connections kept open; each has its own small page cache.
const READERS_MAX: usize = 8;

/// A reader's page cache in KiB: the upper levels of a large table and little more. Documents that are asked for again
/// are kept by whoever asks, and pages by the kernel, once for all readers.
const READER_CACHE_KIB: i32 = 1_024;

/// Version of the file's layout, in `PRAGMA user_version`. Another version is dropped and built again.
const LAYOUT: i32 = 2;

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
    /// It is this now, with its entries in the table's indexes.
    Put(Row, Vec<Entry>),
    /// The document of this key is gone.
    Delete(String),
}

/// An index of a table. Good as long as its [`TableId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexId(i64);

/// A document's entry in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The index.
    pub index: IndexId,
    /// The document's place in it, compared byte by byte.
    pub order: Vec<u8>,
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
             CREATE TABLE IF NOT EXISTS indexes (id INTEGER PRIMARY KEY AUTOINCREMENT, table_id INTEGER NOT NULL, definition TEXT NOT NULL,
                 built INTEGER NOT NULL, UNIQUE (table_id, definition));
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
                         value BLOB NOT NULL) WITHOUT ROWID;
                     CREATE TABLE x{id} (idx INTEGER NOT NULL, place BLOB NOT NULL, key TEXT NOT NULL,
                         PRIMARY KEY (idx, place, key)) WITHOUT ROWID;
                     CREATE INDEX k{id} ON x{id} (key);"
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
        transaction.execute(&format!("DELETE FROM x{}", table.0), [])?;
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
    /// `indexed` says whether the table has indexes.
    pub fn apply(
        &self,
        table: TableId,
        partition: u32,
        changes: &[Change],
        next: i64,
        indexed: bool,
    ) -> Result<(), ViewError> {
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
                if indexed {
                    replace_entries(&transaction, table, change)?;
                }
                match change {
                    Change::Put(row, _) => {
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
            let sql = format!(
                "SELECT key, version, updated, value FROM d{} WHERE {} ORDER BY key LIMIT ?2",
                table.0,
                behind(after)
            );
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
            let sql =
                format!("SELECT key, version, updated FROM d{} WHERE {} ORDER BY key LIMIT ?2", table.0, behind(after));
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

    /// The indexes of a table by their definitions, and whether each is complete; those not named any more are dropped.
    pub fn indexes(&self, table: TableId, definitions: &[&str]) -> Result<Vec<(IndexId, bool)>, ViewError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        let found: Vec<(i64, String, bool)> = transaction
            .prepare("SELECT id, definition, built FROM indexes WHERE table_id = ?1")?
            .query_map([table.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (id, _, _) in found.iter().filter(|(_, definition, _)| !definitions.contains(&definition.as_str())) {
            transaction.execute(&format!("DELETE FROM x{} WHERE idx = ?1", table.0), [id])?;
            transaction.execute("DELETE FROM indexes WHERE id = ?1", [id])?;
        }
        let mut indexes = Vec::with_capacity(definitions.len());
        for wanted in definitions {
            if let Some((id, _, built)) = found.iter().find(|(_, definition, _)| definition == wanted) {
                indexes.push((IndexId(*id), *built));
                continue;
            }
            let empty: bool =
                transaction
                    .query_row(&format!("SELECT NOT EXISTS (SELECT 1 FROM d{})", table.0), [], |row| row.get(0))?;
            let insert = "INSERT INTO indexes (table_id, definition, built) VALUES (?1, ?2, ?3)";
            transaction.execute(insert, params![table.0, wanted, empty])?;
            indexes.push((IndexId(transaction.last_insert_rowid()), empty));
        }
        transaction.commit()?;
        Ok(indexes)
    }

    /// Makes the entries of the next `count` documents behind `after` anew, and answers the last one's key; at the end
    /// it answers None, and `indexes` are complete.
    pub fn backfill(
        &self,
        table: TableId,
        indexes: &[IndexId],
        after: Option<&str>,
        count: usize,
        entries: &dyn Fn(&Row) -> Vec<Entry>,
    ) -> Result<Option<String>, ViewError> {
        // Nothing changes between reading and writing: the writer is ours.
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        let sql = format!(
            "SELECT key, version, updated, value FROM d{} WHERE {} ORDER BY key LIMIT ?2",
            table.0,
            behind(after)
        );
        let rows: Vec<Row> = transaction
            .prepare(&sql)?
            .query_map(params![after, i64::try_from(count).unwrap_or(i64::MAX)], row)?
            .collect::<Result<_, _>>()?;
        let last = rows.last().map(|row| row.key.clone()).filter(|_| rows.len() == count);
        for row in rows {
            let entries = entries(&row);
            replace_entries(&transaction, table, &Change::Put(row, entries))?;
        }
        if last.is_none() {
            for index in indexes {
                transaction.execute("UPDATE indexes SET built = 1 WHERE id = ?1", [index.0])?;
            }
        }
        transaction.commit()?;
        Ok(last)
    }

    /// Documents of an index with places in `range`, with those places, in order.
    pub fn find(&self, table: TableId, index: IndexId, range: &Range<'_>) -> Result<Vec<(Vec<u8>, Row)>, ViewError> {
        let (order, beyond) = if range.descending { ("DESC", "<") } else { ("ASC", ">") };
        let mut sql = format!(
            "SELECT d.key, d.version, d.updated, d.value, x.place FROM x{0} x JOIN d{0} d ON d.key = x.key
             WHERE x.idx = ?1 AND x.place >= ?2",
            table.0
        );
        sql.push_str(if range.below.is_some() { " AND x.place < ?3" } else { " AND ?3 IS NULL" });
        if range.after.is_some() {
            sql.push_str(&format!(" AND (x.place, x.key) {beyond} (?4, ?5)"));
        } else {
            sql.push_str(" AND ?4 IS NULL AND ?5 IS NULL");
        }
        sql.push_str(&format!(" ORDER BY x.place {order}, x.key {order} LIMIT ?6"));
        let count = i64::try_from(range.count).unwrap_or(i64::MAX);
        let (place, key) = range.after.map_or((None, None), |(place, key)| (Some(place), Some(key)));
        self.read(|reader| {
            let mut statement = reader.prepare_cached(&sql)?;
            let rows = statement.query_map(params![index.0, range.from, range.below, place, key, count], |found| {
                Ok((found.get(4)?, row(found)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Documents whose keys lie between `from` and `to`, both inclusive, in order.
    pub fn range(
        &self,
        table: TableId,
        (from, to): (Option<&str>, Option<&str>),
        after: Option<&str>,
        descending: bool,
        count: usize,
    ) -> Result<Vec<Row>, ViewError> {
        let mut sql = format!("SELECT key, version, updated, value FROM d{} WHERE key >= ?1", table.0);
        sql.push_str(if to.is_some() { " AND key <= ?2" } else { " AND ?2 IS NULL" });
        sql.push_str(match (after.is_some(), descending) {
            (false, _) => " AND ?3 IS NULL",
            (true, false) => " AND key > ?3",
            (true, true) => " AND key < ?3",
        });
        sql.push_str(if descending { " ORDER BY key DESC LIMIT ?4" } else { " ORDER BY key LIMIT ?4" });
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.read(|reader| {
            let mut statement = reader.prepare_cached(&sql)?;
            let rows = statement.query_map(params![from.unwrap_or(""), to, after, count], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
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
                reader.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
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

/// The condition for keys behind the first parameter, or all where that is null. SQLite looks through a whole table for a
/// condition that allows for both.
const fn behind(after: Option<&str>) -> &'static str {
    if after.is_some() { "key > ?1" } else { "?1 IS NULL" }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let version: i64 = row.get(1)?;
    Ok(Row { key: row.get(0)?, version: version.unsigned_abs(), updated_us: row.get(2)?, value: row.get(3)? })
}

/// What to look for in an index.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// Places from here on.
    pub from: &'a [u8],
    /// Places before here.
    pub below: Option<&'a [u8]>,
    /// Behind this place and key, in the direction of the search.
    pub after: Option<(&'a [u8], &'a str)>,
    /// Largest first.
    pub descending: bool,
    /// At most so many.
    pub count: usize,
}

/// Puts the entries of a changed document in the place of those that it had.
fn replace_entries(connection: &Connection, table: TableId, change: &Change) -> Result<(), ViewError> {
    let (key, entries) = match change {
        Change::Put(row, entries) => (&row.key, entries.as_slice()),
        Change::Delete(key) => (key, [].as_slice()),
    };
    connection.prepare_cached(&format!("DELETE FROM x{} WHERE key = ?1", table.0))?.execute([key])?;
    let insert = format!("INSERT OR REPLACE INTO x{} (idx, place, key) VALUES (?1, ?2, ?3)", table.0);
    let mut insert = connection.prepare_cached(&insert)?;
    for entry in entries {
        insert.execute(params![entry.index.0, entry.order, key])?;
    }
    Ok(())
}

fn drop_documents(connection: &Connection, id: i64) -> Result<(), ViewError> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS d{id}; DROP TABLE IF EXISTS x{id};"))?;
    connection.execute("DELETE FROM indexes WHERE table_id = ?1", [id])?;
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
