//! Row groups that are read by several threads at once.
//!
//! The engine gives a row group to one thread. A table of some hundred thousand rows often is a single one, which one
//! thread then reads, and filters and adds up, while the others wait. Where there are fewer row groups than threads, each
//! is read in pieces of its rows.
//!
//! What it is NOT: it opens no file. How many rows a row group has is in the footer, which is known once a query has read
//! the file; before that, files stay whole. The same rows come out either way.
//!
//! Invariant: each row is in one piece. What is known of a file's columns is said of each of its pieces as well: what is
//! true of all rows is true of some.

use std::iter;

use datafusion::catalog::Session;
use datafusion::datasource::listing::PartitionedFile;
// The crate has another type of this name, which nothing keeps.
use datafusion::datasource::physical_plan::parquet::metadata::CachedParquetMetaData;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use parquet::arrow::arrow_reader::RowSelection;

/// Rows that are worth a thread more: reading passes over the pages before a piece, and opens the file once more.
const ROWS_MIN: usize = 16 * 1024;

/// Files as they are, or each in pieces, so that every thread of a query has something to read.
pub fn split(session: &dyn Session, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
    let threads = session.config().target_partitions();
    // A file has a row group at least.
    if files.len() >= threads {
        return files;
    }
    let groups: Option<Vec<Vec<usize>>> = files.iter().map(|file| rows_of_groups(session, file)).collect();
    let Some(groups) = groups else { return files };
    let total: usize = groups.iter().map(Vec::len).sum();
    if total == 0 || total >= threads {
        return files;
    }
    let pieces = threads.div_ceil(total);
    files.iter().zip(&groups).flat_map(|(file, groups)| in_pieces(file, groups, pieces)).collect()
}

/// How many rows each row group of a file has, if its footer has been read.
fn rows_of_groups(session: &dyn Session, file: &PartitionedFile) -> Option<Vec<usize>> {
    let footers = session.runtime_env().cache_manager.get_file_metadata_cache();
    let footer = footers.get(&file.object_meta.location)?;
    let known = footer.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>();
    let known = known.filter(|_| footer.is_valid_for(&file.object_meta))?;
    known.parquet_metadata().row_groups().iter().map(|group| usize::try_from(group.num_rows()).ok()).collect()
}

/// A file in up to so many pieces for each of its row groups, which have these rows.
fn in_pieces(file: &PartitionedFile, groups: &[usize], pieces: usize) -> Vec<PartitionedFile> {
    let mut all = Vec::with_capacity(groups.len() * pieces);
    for (group, rows) in groups.iter().copied().enumerate() {
        let each = rows.div_ceil((rows / ROWS_MIN).clamp(1, pieces)).max(1);
        for from in (0..rows).step_by(each) {
            let piece = iter::once(from..rows.min(from + each));
            let mut plan = ParquetAccessPlan::new_none(groups.len());
            plan.set(group, RowGroupAccess::Selection(RowSelection::from_consecutive_ranges(piece, rows)));
            all.push(file.clone().with_extension(plan));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of each piece: its row group, how many are passed over, and how many are read.
    fn cut(groups: &[usize], pieces: usize) -> Vec<(usize, usize, usize)> {
        let rows = |file: &PartitionedFile| {
            let plan = file.extension::<ParquetAccessPlan>().unwrap();
            let indexes = plan.row_group_indexes();
            let [group] = indexes.as_slice() else { panic!("{indexes:?}") };
            let RowGroupAccess::Selection(rows) = &plan.inner()[*group] else { panic!("{plan:?}") };
            let before = rows.iter().next().filter(|first| first.skip).map_or(0, |first| first.row_count);
            assert_eq!(rows.iter().map(|part| part.row_count).sum::<usize>(), groups[*group]);
            (*group, before, rows.row_count())
        };
        in_pieces(&PartitionedFile::new("t.parquet", 1), groups, pieces).iter().map(rows).collect()
    }

    #[test]
    fn each_row_is_in_one_piece_and_small_row_groups_stay_whole() {
        assert_eq!(cut(&[600_000], 2), [(0, 0, 300_000), (0, 300_000, 300_000)]);
        assert_eq!(cut(&[100_001], 3), [(0, 0, 33_334), (0, 33_334, 33_334), (0, 66_668, 33_333)]);
        assert_eq!(cut(&[40_000, 0, 25], 4), [(0, 0, 20_000), (0, 20_000, 20_000), (2, 0, 25)]);
        assert_eq!(cut(&[], 2), []);
    }
}
