//! The rows of files that are left of what was deleted.
//!
//! What is deleted is read by whichever partition of a plan comes first, whole: places become the rows that the reader of
//! a file passes over, keys are looked for among the rows that it gives. Both count as memory of the query.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
};
use futures::StreamExt as _;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::PageIndexPolicy;
use tokio::sync::OnceCell;

use super::{ByKey, Deletes, number};
use crate::rows::Keys;
use crate::sql::{fault, files, hints, nodes};

/// What a place takes while places are gathered, which may be twice as many as there are.
const PLACE_BYTES: usize = 2 * size_of::<u64>();
/// What a key takes besides its bytes, about.
const KEY_BYTES: usize = 64;

/// Rows of files without those that are deleted.
pub(super) struct LeftExec {
    rows: Arc<dyn ExecutionPlan>,
    deletes: Arc<Deletes>,
    /// The keys that rows are deleted by, among the columns of the rows.
    keys: Arc<[Keys]>,
    url: ObjectStoreUrl,
    deleted: Arc<OnceCell<Arc<Deleted>>>,
    /// The scan with what it passes over. Of this plan alone: a scan is carried out once.
    scan: Arc<OnceCell<Arc<dyn ExecutionPlan>>>,
    properties: Arc<PlanProperties>,
}

/// What is deleted.
#[derive(Debug)]
struct Deleted {
    /// By the number of a file, which of its rows are read.
    plans: HashMap<usize, Arc<ParquetAccessPlan>>,
    /// In the order of the keys.
    keys: Vec<Later>,
    _room: MemoryReservation,
}

/// By partition, or for all of them: keys, and the latest sequence number that each was deleted with.
type Later = HashMap<Option<usize>, HashMap<Box<[u8]>, i64>>;

impl LeftExec {
    /// What is left of `rows`; `keys` are those of the deletes among their columns, and the last column is the number of
    /// a row's file where there are any. The files are behind `url`.
    pub(super) fn new(
        rows: Arc<dyn ExecutionPlan>,
        deletes: Arc<Deletes>,
        keys: Vec<Keys>,
        url: ObjectStoreUrl,
    ) -> Self {
        let properties = nodes::properties(rows.schema(), rows.output_partitioning().partition_count());
        let (deleted, scan) = (Arc::default(), Arc::default());
        Self { rows, deletes, keys: keys.into(), url, deleted, scan, properties }
    }

    fn over(&self, rows: Arc<dyn ExecutionPlan>) -> Self {
        let (deletes, deleted) = (Arc::clone(&self.deletes), Arc::clone(&self.deleted));
        Self { deleted, ..Self::new(rows, deletes, self.keys.to_vec(), self.url.clone()) }
    }
}

impl fmt::Debug for LeftExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for LeftExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyed: usize = self.deletes.by_key.iter().map(|deletes| deletes.files.len()).sum();
        let placed = self.deletes.by_place.files.len();
        write!(f, "LeftExec: position_deletes={placed}, equality_deletes={keyed}")
    }
}

impl ExecutionPlan for LeftExec {
    fn name(&self) -> &'static str {
        "LeftExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.rows]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.rows));
        Ok(Arc::new(self.over(rows)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(self.rows.partition_statistics(partition)?.as_ref().clone().to_inexact()))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        hints::below(self, filters)
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(hints::above(result))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (rows, deletes, keys) = (Arc::clone(&self.rows), Arc::clone(&self.deletes), Arc::clone(&self.keys));
        let (url, deleted, scan) = (self.url.clone(), Arc::clone(&self.deleted), Arc::clone(&self.scan));
        let left = async move {
            let read = || async { Deleted::read(&deletes, &url, &context).await.map(Arc::new) };
            let deleted = Arc::clone(deleted.get_or_try_init(read).await?);
            let scan = scan.get_or_try_init(|| async { deleted.passed_over(rows) }).await?;
            let left = scan.execute(partition, Arc::clone(&context))?;
            Ok::<_, DataFusionError>(left.map(move |batch| deleted.left(&deletes, &keys, batch?)))
        };
        Ok(nodes::rows(self.schema(), left))
    }
}

impl Deleted {
    /// Reads what is deleted.
    ///
    /// # Errors
    /// `HW-LAKE-085` when it takes more memory than there is.
    async fn read(deletes: &Deletes, url: &ObjectStoreUrl, context: &Arc<TaskContext>) -> Result<Self> {
        let reading = async {
            let room = MemoryConsumer::new("deleted rows").register(context.memory_pool());
            let plans = by_place(deletes, url, context, &room).await?;
            let mut keys = Vec::with_capacity(deletes.by_key.len());
            for deletes in &deletes.by_key {
                keys.push(by_key(deletes, url, context, &room).await?);
            }
            Ok::<_, DataFusionError>(Self { plans, keys, _room: room })
        };
        reading.await.map_err(|error| match error.find_root() {
            DataFusionError::ResourcesExhausted(words) => fault::overfull(&deletes.table, words),
            _ => error,
        })
    }

    /// A scan that passes over what is deleted by place.
    fn passed_over(&self, rows: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = rows.transform_up(|part| {
            let files = part.downcast_ref::<DataSourceExec>();
            let Some((config, _)) = files.and_then(|files| files.downcast_to_file_source::<ParquetSource>()) else {
                return Ok(Transformed::no(part));
            };
            let groups = config.file_groups.iter().map(|group| {
                let files = group.files().iter().map(|file| {
                    let mut file = file.clone();
                    if let Some(plan) = number(&file).and_then(|number| self.plans.get(&number)) {
                        file.extensions.insert_arc(Arc::clone(plan));
                    }
                    file
                });
                FileGroup::new(files.collect())
            });
            let config = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups.collect()).build();
            Ok(Transformed::yes(DataSourceExec::from_data_source(config) as Arc<dyn ExecutionPlan>))
        });
        Ok(scan?.data)
    }

    /// The rows of a batch whose keys are not deleted.
    fn left(&self, deletes: &Deletes, keys: &[Keys], batch: RecordBatch) -> Result<RecordBatch> {
        if self.keys.iter().all(Later::is_empty) {
            return Ok(batch);
        }
        let numbers = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int32Type>());
        let numbers = numbers.ok_or_else(|| odd("a row has no number of its file"))?;
        let mut left = vec![true; batch.num_rows()];
        for (keys, later) in keys.iter().zip(&self.keys).filter(|(_, later)| !later.is_empty()) {
            for ((key, number), left) in keys.of(&batch)?.iter().zip(numbers.values().iter()).zip(&mut left) {
                let touched = usize::try_from(*number).ok().and_then(|number| deletes.touched.get(number));
                let touched = touched.ok_or_else(|| odd("a row has the number of no file"))?;
                let is_deleted = |part: Option<usize>| {
                    let sequence = later.get(&part).and_then(|keys| keys.get(key.data()));
                    sequence.is_some_and(|sequence| *sequence > touched.sequence)
                };
                *left &= !is_deleted(None) && !is_deleted(Some(touched.part));
            }
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(left))?)
    }
}

/// Which rows of each file are read, of those files that have deleted ones.
async fn by_place(
    deletes: &Deletes,
    url: &ObjectStoreUrl,
    context: &Arc<TaskContext>,
    room: &MemoryReservation,
) -> Result<HashMap<usize, Arc<ParquetAccessPlan>>> {
    let numbers: HashMap<&str, usize> =
        deletes.touched.iter().enumerate().map(|(number, touched)| (touched.location.as_str(), number)).collect();
    let mut places: HashMap<usize, Vec<u64>> = HashMap::new();
    for delete in &deletes.by_place.files {
        let mut batches = files::read(url, &deletes.by_place.columns, delete.file.clone(), context)?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let paths = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
            let rows = batch.columns().get(1).and_then(|column| column.as_primitive_opt::<Int64Type>());
            let (Some(paths), Some(rows)) = (paths, rows) else { return Err(odd("deleted rows have no place")) };
            let mut added = 0;
            for (path, row) in paths.iter().zip(rows.values().iter()) {
                let number = path.and_then(|path| numbers.get(path).copied());
                let touched = number.and_then(|number| Some((number, deletes.touched.get(number)?)));
                let Some((number, touched)) = touched else { continue };
                let is_about = Some(touched.part) == delete.part && touched.sequence <= delete.sequence;
                if let (true, Ok(row)) = (is_about, u64::try_from(*row)) {
                    places.entry(number).or_default().push(row);
                    added += PLACE_BYTES;
                }
            }
            room.try_grow(added)?;
        }
    }
    let objects = context.runtime_env().object_store(url)?;
    let mut plans = HashMap::with_capacity(places.len());
    for file in &deletes.files {
        let Some(number) = number(file) else { continue };
        let Some(mut rows) = places.remove(&number) else { continue };
        let gathered = rows.len() * PLACE_BYTES;
        rows.sort_unstable();
        rows.dedup();
        // At most, each is passed over between two that are read.
        room.try_grow((2 * rows.len() + 1) * size_of::<RowSelector>())?;
        let footers = context.runtime_env().cache_manager.get_file_metadata_cache();
        let footer = DFParquetMetadata::new(&*objects, &file.object_meta)
            .with_file_metadata_cache(Some(footers))
            .with_page_index_policy(Some(PageIndexPolicy::Skip))
            .fetch_metadata()
            .await?;
        let groups = footer.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        plans.insert(number, Arc::new(without(&rows, groups)?));
        room.shrink(gathered);
    }
    Ok(plans)
}

/// What is read of row groups with so many rows each, without these rows of the file, which are in their order.
fn without(mut deleted: &[u64], groups: impl Iterator<Item = u64>) -> Result<ParquetAccessPlan> {
    let row = |row: u64| usize::try_from(row).map_err(|_| odd("a row group has more rows than memory has room for"));
    let (mut begin, mut access) = (0, Vec::new());
    for rows in groups {
        let end = begin + rows;
        let (here, later) = deleted.split_at(deleted.partition_point(|place| *place < end));
        deleted = later;
        let (mut ranges, mut next) = (Vec::new(), begin);
        for place in here.iter().copied().chain([end]) {
            if next < place {
                ranges.push(row(next - begin)?..row(place - begin)?);
            }
            next = place + 1;
        }
        access.push(match (here.is_empty(), ranges.is_empty()) {
            (true, _) => RowGroupAccess::Scan,
            (false, true) => RowGroupAccess::Skip,
            (false, false) => {
                let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), row(rows)?);
                RowGroupAccess::Selection(selection)
            }
        });
        begin = end;
    }
    Ok(ParquetAccessPlan::new(access))
}

/// The keys of rows that are deleted by some columns.
async fn by_key(
    deletes: &ByKey,
    url: &ObjectStoreUrl,
    context: &Arc<TaskContext>,
    room: &MemoryReservation,
) -> Result<Later> {
    let own = deletes.keys.within(deletes.keys.columns()).ok_or_else(|| odd("a key is not among its columns"))?;
    let mut all = Later::new();
    for delete in &deletes.files {
        let later = all.entry(delete.part).or_default();
        let mut batches = files::read(url, &deletes.columns, delete.file.clone(), context)?;
        while let Some(batch) = batches.next().await {
            let mut bytes = 0;
            for key in own.of(&batch?)?.iter() {
                match later.get_mut(key.data()) {
                    Some(sequence) => *sequence = delete.sequence.max(*sequence),
                    None => {
                        bytes += key.data().len() + KEY_BYTES;
                        later.insert(key.data().into(), delete.sequence);
                    }
                }
            }
            room.try_grow(bytes)?;
        }
    }
    Ok(all)
}

fn odd(fact: &str) -> DataFusionError {
    DataFusionError::Internal(fact.to_owned())
}

#[cfg(test)]
mod tests;
