//! The hot tail of a dataset: the rows that its thread has read and no snapshot has yet, as queries share them.
//!
//! What it is NOT: any truth. It may lag behind the log, or be empty; a query takes as much of it as is durable, and
//! reads the rest from the log. Rows are in memory first; the dataset's thread writes them as files when they have become
//! many.
//!
//! Invariant: pieces stand in the order in which their events were read. Whoever takes some of them, from the first one
//! on, and goes on in the log where the last one ends, has each event once.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use headwater_log::Offset;
use iceberg::spec::DataFile;
use parking_lot::RwLock;

use crate::commit::Version;
use crate::rows::Merge;

/// Rows of one batch, at most, when small ones are put together.
const BATCH_ROWS: usize = 65_536;

/// What stands behind the current version of a table.
#[derive(Default)]
pub struct Tail(RwLock<State>);

#[derive(Default)]
struct State {
    /// Location of the version that the pieces stand behind.
    version: String,
    pieces: Vec<Piece>,
}

struct Piece {
    rows: Rows,
    /// One past the last event that this piece or one before it has, by partition.
    ends: Arc<[Offset]>,
}

enum Rows {
    Memory(RecordBatch),
    Files(Vec<DataFile>),
}

/// As much of a tail as a query takes.
#[derive(Debug, Default)]
pub struct Taken {
    /// Files.
    pub files: Vec<DataFile>,
    /// Rows in memory.
    pub batches: Vec<RecordBatch>,
    /// Where it ends, by partition; None when it is empty.
    pub ends: Option<Arc<[Offset]>>,
}

impl Tail {
    /// Adds rows, read up to `ends`. Small batches that have long been `durable` are put together by `merge`, so that there
    /// are never many.
    ///
    /// # Errors
    /// What Arrow says of batches of different columns.
    pub fn push(
        &self,
        batch: RecordBatch,
        ends: Arc<[Offset]>,
        durable: &[Offset],
        merge: &Merge,
    ) -> Result<(), ArrowError> {
        // Only this thread changes pieces: what is put together here is still there afterwards.
        let merged = self.0.read().small(durable, merge)?;
        let mut state = self.0.write();
        if let Some((from, merged)) = merged {
            let ends = state.pieces.last().map(|piece| Arc::clone(&piece.ends)).unwrap_or_default();
            state.pieces.truncate(from);
            state.pieces.push(Piece { rows: Rows::Memory(merged), ends });
        }
        state.pieces.push(Piece { rows: Rows::Memory(batch), ends });
        Ok(())
    }

    /// The rows in memory.
    pub fn batches(&self) -> Vec<RecordBatch> {
        self.0.read().pieces.iter().filter_map(Piece::batch).cloned().collect()
    }

    /// The files, in the order in which they were written.
    pub fn files(&self) -> Vec<DataFile> {
        self.0.read().pieces.iter().flat_map(Piece::files).cloned().collect()
    }

    /// Bytes of the rows in memory.
    pub fn bytes(&self) -> usize {
        self.0.read().pieces.iter().filter_map(Piece::batch).map(RecordBatch::get_array_memory_size).sum()
    }

    /// Puts files in the place of all rows in memory.
    pub fn seal(&self, files: Vec<DataFile>) {
        let mut state = self.0.write();
        let Some(ends) = state.pieces.last().map(|piece| Arc::clone(&piece.ends)) else { return };
        state.pieces.retain(|piece| piece.batch().is_none());
        state.pieces.push(Piece { rows: Rows::Files(files), ends });
    }

    /// Goes on behind a version that has all rows of this tail.
    pub fn settle(&self, version: &Version) {
        *self.0.write() = State { version: version.location.clone(), pieces: Vec::new() };
    }

    /// Goes on behind a version that has none of them.
    pub fn follow(&self, version: &Version) {
        self.0.write().version.clone_from(&version.location);
    }

    /// What stands behind that version, up to what is durable of each partition; None when it is not the current one,
    /// or this tail does not know it yet.
    pub fn take(&self, version: &Version, durable: &[Offset]) -> Option<Taken> {
        let state = self.0.read();
        if state.version != version.location {
            return None;
        }
        let mut taken = Taken::default();
        for piece in state.pieces.iter().take_while(|piece| piece.within(durable)) {
            taken.files.extend_from_slice(piece.files());
            taken.batches.extend(piece.batch().cloned());
            taken.ends = Some(Arc::clone(&piece.ends));
        }
        Some(taken)
    }
}

impl State {
    /// The last batches as one, and the first of them, if they are durable and the newest is not smaller than the one
    /// before: so each row is put together with others a few times, and not each time that some come.
    fn small(&self, durable: &[Offset], merge: &Merge) -> Result<Option<(usize, RecordBatch)>, ArrowError> {
        if !self.pieces.last().is_some_and(|piece| piece.within(durable)) {
            return Ok(None);
        }
        let (mut from, mut rows) = (self.pieces.len(), 0);
        for piece in self.pieces.iter().rev() {
            let Some(batch) = piece.batch() else { break };
            if rows + batch.num_rows() > BATCH_ROWS || (rows > 0 && rows < batch.num_rows()) {
                break;
            }
            rows += batch.num_rows();
            from -= 1;
        }
        if from + 1 >= self.pieces.len() {
            return Ok(None);
        }
        let merged = merge.of(self.pieces.iter().skip(from).filter_map(Piece::batch))?;
        Ok(Some((from, merged)))
    }
}

impl Piece {
    fn batch(&self) -> Option<&RecordBatch> {
        match &self.rows {
            Rows::Memory(batch) => Some(batch),
            Rows::Files(_) => None,
        }
    }

    fn files(&self) -> &[DataFile] {
        match &self.rows {
            Rows::Memory(_) => &[],
            Rows::Files(files) => files,
        }
    }

    fn within(&self, durable: &[Offset]) -> bool {
        self.ends
            .iter()
            .enumerate()
            .all(|(partition, end)| durable.get(partition).is_some_and(|durable| end <= durable))
    }
}

#[cfg(test)]
mod tests;
