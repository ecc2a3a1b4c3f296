//! Rows that a table's files say are deleted: by their place in a file, or by the values of some columns.
//!
//! Which file of deleted rows is about which data file is told by sequence numbers and partitions alone, when the files
//! are listed. Those that none is about are scanned as ever. What is deleted of the others is read when a query runs
//! (`deletes/left.rs`), in the memory of queries.
//!
//! Invariants: what is known of the others' rows (how many, between which values) is an estimate, so nothing is answered
//! with it; that a filter leaves files closed stays right, because no row is there that was not there before.
//!
//! # Source
//! Iceberg table specification, "Scan Planning", "Position Delete Files" and "Equality Delete Files".

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::physical_plan::ExecutionPlan;
use iceberg::arrow::type_to_arrow_type;
use iceberg::metadata_columns::{
    RESERVED_COL_NAME_DELETE_FILE_PATH, RESERVED_COL_NAME_DELETE_FILE_POS, RESERVED_FIELD_ID_DELETE_FILE_PATH,
    RESERVED_FIELD_ID_DELETE_FILE_POS,
};
use iceberg::spec::{DataContentType, Literal, NestedField, PrimitiveLiteral, PrimitiveType, Type};

use super::fields::Fields;
use super::files::{self, Columns, Entry, Listing, Store};
use crate::commit::Version;
use crate::files::key_of;
use crate::rows::Keys;

mod left;

use left::LeftExec;

/// What is deleted of some files of a version.
#[derive(Debug)]
pub struct Deletes {
    table: String,
    /// Those of the table, those that it had once and rows are deleted by, and the number of a row's file.
    columns: Columns,
    /// How many of them are the table's.
    width: usize,
    /// The files, each with its number.
    files: Vec<PartitionedFile>,
    /// What decides about the rows of each.
    touched: Vec<Touched>,
    by_place: ByPlace,
    by_key: Vec<ByKey>,
}

/// A data file that rows may be deleted of.
#[derive(Debug)]
struct Touched {
    location: String,
    sequence: i64,
    part: usize,
}

/// A file of deleted rows.
#[derive(Debug)]
struct DeleteFile {
    file: PartitionedFile,
    sequence: i64,
    /// The partition that it is about; None for all of them.
    part: Option<usize>,
}

/// Files that name a row by its file and its place there.
#[derive(Debug)]
struct ByPlace {
    columns: Columns,
    files: Vec<DeleteFile>,
}

/// Files that name rows by the same columns.
#[derive(Debug)]
struct ByKey {
    /// Among the columns of data files.
    keys: Keys,
    /// Of the files themselves.
    columns: Columns,
    files: Vec<DeleteFile>,
}

impl Deletes {
    /// The files of a version, those apart that these deletes may be about.
    ///
    /// # Errors
    /// Why SQL cannot read them.
    pub fn apart(
        table: &str,
        version: &Version,
        of: &SchemaRef,
        fields: &Arc<Fields>,
        data: &[Entry],
        deletes: &[Entry],
    ) -> Result<Listing, String> {
        let mut parts = Parts::default();
        let mut reach = Reach::default();
        let (mut by_place, mut by_ids) = (Vec::new(), BTreeMap::<Vec<i32>, Vec<DeleteFile>>::new());
        for entry in deletes {
            let (sequence, part, file) = (sequence(entry)?, parts.of(entry), entry.1.data_file());
            let delete = |part| DeleteFile {
                file: PartitionedFile::new(key_of(file.file_path()), file.file_size_in_bytes()),
                sequence,
                part,
            };
            if entry.1.content_type() == DataContentType::PositionDeletes {
                match file.referenced_data_file() {
                    Some(location) => latest(&mut reach.files, (location, part), sequence),
                    None => latest(&mut reach.places, part, sequence),
                }
                by_place.push(delete(Some(part)));
            } else {
                let spec = version.partition_spec(entry.0).map_err(|error| error.message().to_owned())?;
                let part = (!spec.is_unpartitioned()).then_some(part);
                latest(&mut reach.keys, part, sequence);
                let mut ids = file.equality_ids().unwrap_or_default();
                ids.sort_unstable();
                by_ids.entry(ids).or_default().push(delete(part));
            }
        }
        let mut read = of.fields().to_vec();
        let names = by_ids.keys().map(|ids| names(ids, version, fields, &mut read)).collect::<Result<Vec<_>, _>>()?;
        let read: SchemaRef = Arc::new(ArrowSchema::new(read));
        let (mut whole, mut files, mut touched) = (Vec::new(), Vec::new(), Vec::new());
        let mut least = Least::default();
        for entry in data {
            let (sequence, part) = (sequence(entry)?, parts.of(entry));
            let file = files::listed(version, entry, of)?;
            if !reach.has(entry.1.file_path(), part, sequence) {
                whole.push(file);
                continue;
            }
            files.push(numbered(file, touched.len(), read.fields().len() - of.fields().len()));
            least.add(part, sequence);
            touched.push(Touched { location: entry.1.file_path().to_owned(), sequence, part });
        }
        by_place.retain(|delete| least.of(delete.part).is_some_and(|least| least <= delete.sequence));
        let mut by_key = Vec::new();
        for (mut files, names) in by_ids.into_values().zip(names) {
            files.retain(|delete| least.of(delete.part).is_some_and(|least| least < delete.sequence));
            if !files.is_empty() {
                by_key.push(ByKey::new(&read, fields, &names, files).map_err(|error| error.to_string())?);
            }
        }
        let number = Field::new(fields.free_name(), DataType::Int32, false);
        let deletes = Self {
            table: table.to_owned(),
            columns: Columns::new(&read, Some(fields)).with_constant(number),
            width: of.fields().len(),
            files,
            touched,
            by_place: ByPlace::new(by_place),
            by_key,
        };
        let deletes = (!deletes.files.is_empty()).then(|| Arc::new(deletes));
        Ok(Listing { whole: whole.into(), deletes })
    }

    /// A scan of the rows that are left.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn scan(
        self: &Arc<Self>,
        session: &dyn Session,
        store: &Store,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted = projection.cloned().unwrap_or_else(|| (0..self.width).collect());
        let mut read = wanted.clone();
        for deletes in &self.by_key {
            read.extend(deletes.keys.columns());
        }
        let number = self.columns.schema().fields().len() - 1;
        read.extend((!self.by_key.is_empty()).then_some(number));
        read.sort_unstable();
        read.dedup();
        let keys: Option<Vec<Keys>> = self.by_key.iter().map(|deletes| deletes.keys.within(&read)).collect();
        let keys = keys.ok_or_else(|| DataFusionError::Internal("a key is not among its columns".to_owned()))?;
        let rows = files::scan(session, store, &self.columns, self.files.clone(), Some(&read), None).await?;
        let left = LeftExec::new(rows, Arc::clone(self), keys, store.known_to(session));
        files::narrowed(Arc::new(left), &read, &wanted)
    }
}

impl ByPlace {
    fn new(files: Vec<DeleteFile>) -> Self {
        let column = |id, name, kind| NestedField::required(id, name, Type::Primitive(kind));
        let path =
            column(RESERVED_FIELD_ID_DELETE_FILE_PATH, RESERVED_COL_NAME_DELETE_FILE_PATH, PrimitiveType::String);
        let place = column(RESERVED_FIELD_ID_DELETE_FILE_POS, RESERVED_COL_NAME_DELETE_FILE_POS, PrimitiveType::Long);
        let schema = ArrowSchema::new(vec![
            Field::new(RESERVED_COL_NAME_DELETE_FILE_PATH, DataType::Utf8, false),
            Field::new(RESERVED_COL_NAME_DELETE_FILE_POS, DataType::Int64, false),
        ]);
        let fields = Arc::new(Fields::reserved([path, place]));
        Self { columns: Columns::new(&Arc::new(schema), Some(&fields)), files }
    }
}

impl ByKey {
    fn new(
        read: &SchemaRef,
        fields: &Arc<Fields>,
        names: &[String],
        files: Vec<DeleteFile>,
    ) -> Result<Self, DataFusionError> {
        let keys = Keys::new(read, names)?;
        let own = keys.columns().iter().filter_map(|column| read.fields().get(*column));
        // Null is a value of its own here, whatever the table says of the column.
        let own: Vec<Field> = own.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let columns = Columns::new(&Arc::new(ArrowSchema::new(own)), Some(fields));
        Ok(Self { keys, columns, files })
    }
}

/// What scans call the columns of these ids. Those that the table has no more are read as well.
fn names(ids: &[i32], version: &Version, fields: &Fields, read: &mut Vec<Arc<Field>>) -> Result<Vec<String>, String> {
    if ids.is_empty() {
        return Err("it has a file of deleted rows that names no columns to delete by".to_owned());
    }
    let own = version.metadata.current_schema().as_struct();
    let name = |id: &i32| -> Result<String, String> {
        if let Some(field) = own.field_by_id(*id) {
            return Ok(field.name.clone());
        }
        let unknown = || format!("it has rows deleted by the field {id}, which is no column by itself");
        let (name, field) = fields.once(*id).ok_or_else(unknown)?;
        if read.iter().all(|known| known.name() != name) {
            let of = type_to_arrow_type(&field.field_type).map_err(|error| error.message().to_owned())?;
            read.push(Arc::new(Field::new(name, of, true)));
        }
        Ok(name.to_owned())
    };
    ids.iter().map(name).collect()
}

/// A file with its number, and with nothing known of columns that the table has no more.
fn numbered(mut file: PartitionedFile, number: usize, once: usize) -> PartitionedFile {
    let mut known = file.statistics.take().map(Arc::unwrap_or_clone).unwrap_or_default();
    known.column_statistics.extend(std::iter::repeat_n(ColumnStatistics::new_unknown(), once));
    let number = ScalarValue::Int32(i32::try_from(number).ok());
    file.with_partition_values(vec![number]).with_statistics(Arc::new(known))
}

/// The number that a file of a touched table has.
fn number(file: &PartitionedFile) -> Option<usize> {
    match file.partition_values.first() {
        Some(ScalarValue::Int32(Some(number))) => usize::try_from(*number).ok(),
        _ => None,
    }
}

fn sequence((_, entry): &Entry) -> Result<i64, String> {
    entry.sequence_number().ok_or_else(|| format!("its file `{}` has no sequence number", entry.file_path()))
}

/// Partitions, numbered.
#[derive(Default)]
struct Parts(HashMap<(i32, Vec<Option<Literal>>), usize>);

impl Parts {
    fn of(&mut self, (spec, entry): &Entry) -> usize {
        let next = self.0.len();
        let values = entry.data_file().partition().iter().map(|value| value.map(widened)).collect();
        *self.0.entry((*spec, values)).or_insert(next)
    }
}

/// A value of a partition, which is the same one in a manifest that is older than the column's wider type.
fn widened(value: &Literal) -> Literal {
    match value {
        Literal::Primitive(PrimitiveLiteral::Int(it)) => Literal::long(*it),
        Literal::Primitive(PrimitiveLiteral::Float(it)) => Literal::double(it.0),
        other => other.clone(),
    }
}

/// Up to which sequence number rows are deleted.
#[derive(Default)]
struct Reach {
    /// By place, of a partition.
    places: HashMap<usize, i64>,
    /// By place, of one file of a partition.
    files: HashMap<(String, usize), i64>,
    /// By key, of a partition or of all.
    keys: HashMap<Option<usize>, i64>,
}

impl Reach {
    /// Whether rows of a data file may be deleted: those of its own snapshot by place only.
    fn has(&self, location: &str, part: usize, sequence: i64) -> bool {
        let own_or_later = |latest: Option<&i64>| latest.is_some_and(|latest| *latest >= sequence);
        let later = |latest: Option<&i64>| latest.is_some_and(|latest| *latest > sequence);
        own_or_later(self.places.get(&part))
            || later(self.keys.get(&None))
            || later(self.keys.get(&Some(part)))
            || (!self.files.is_empty() && own_or_later(self.files.get(&(location.to_owned(), part))))
    }
}

fn latest<K: Eq + Hash>(known: &mut HashMap<K, i64>, of: K, sequence: i64) {
    known.entry(of).and_modify(|latest| *latest = sequence.max(*latest)).or_insert(sequence);
}

/// The least sequence number of the data files of each partition.
#[derive(Default)]
struct Least(HashMap<Option<usize>, i64>);

impl Least {
    fn add(&mut self, part: usize, sequence: i64) {
        for part in [None, Some(part)] {
            self.0.entry(part).and_modify(|least| *least = sequence.min(*least)).or_insert(sequence);
        }
    }

    /// Of a partition, or of all.
    fn of(&self, part: Option<usize>) -> Option<i64> {
        self.0.get(&part).copied()
    }
}
