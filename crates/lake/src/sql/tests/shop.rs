//! Tables that clients of the catalog wrote: columns that have changed, and rows that are deleted.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{Array as _, ArrayRef, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use headwater_kernel::port::Catalog as _;
use headwater_kernel::port::catalog::TableChange;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, ManifestListWriter, ManifestWriterBuilder,
    Struct, UNASSIGNED_SEQUENCE_NUMBER,
};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::file::properties::WriterProperties;
use uuid::Uuid;

use super::*;
use crate::commit::Version;
use crate::files::Files;

/// The ids of the columns of position deletes.
const PATH: i32 = 2_147_483_546;
const POS: i32 = 2_147_483_545;

/// A node with the table `shop.orders`.
struct Shop(House);

fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn column(id: i32, name: &str, kind: &str) -> Value {
    json!({"id": id, "name": name, "type": kind, "required": false})
}

fn schema(columns: &[Value]) -> Value {
    json!({"type": "struct", "schema-id": 0, "fields": columns})
}

impl Shop {
    fn new(limits: Limits, columns: &[Value], parts: Value) -> Self {
        let shop = Self(House::new(limits));
        let table = json!({"name": "orders", "schema": schema(columns),
            "partition-spec": {"spec-id": 0, "fields": parts}});
        shop.0.runtime.block_on(async {
            shop.catalog().create_namespace("shop", Value::Null).await.unwrap();
            shop.catalog().create("shop", table).await.unwrap();
        });
        shop
    }

    fn catalog(&self) -> &LakeCatalog {
        &self.0.engine.0.sources.catalog
    }

    fn files(&self) -> &Files {
        self.0.datasets.tables().files()
    }

    fn version(&self) -> Version {
        self.0.runtime.block_on(self.catalog().version("shop", "orders")).unwrap()
    }

    fn update(&self, updates: &Value) {
        let request = json!({ "updates": updates });
        let change = TableChange { namespace: "shop".to_owned(), table: "orders".to_owned(), request };
        self.0.runtime.block_on(self.catalog().commit(vec![change])).unwrap();
    }

    fn reshape(&self, columns: &[Value]) {
        self.update(&json!([{"action": "add-schema", "schema": schema(columns)},
            {"action": "set-current-schema", "schema-id": -1}]));
    }

    /// A Parquet file of the table in groups of a few rows; a column whose id is 0 has none.
    fn file(&self, columns: &[(i32, &str, ArrayRef)]) -> DataFileBuilder {
        let fields = columns.iter().map(|(id, name, values)| {
            let field = Field::new(*name, values.data_type().clone(), true);
            let id = (*id != 0).then(|| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string()));
            field.with_metadata(id.into_iter().collect::<HashMap<_, _>>())
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = columns.iter().map(|(_, _, values)| Arc::clone(values)).collect();
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let group_rows = 3.max(rows.num_rows() / 10);
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let location = format!("{}/data/{}.parquet", self.version().metadata.location(), Uuid::now_v7());
        let mut file = DataFileBuilder::default();
        file.content(DataContentType::Data).file_path(location.clone()).file_format(DataFileFormat::Parquet);
        file.record_count(rows.num_rows() as u64).file_size_in_bytes(bytes.len() as u64);
        self.0.runtime.block_on(self.files().write(&location, bytes.into())).unwrap();
        file
    }

    /// Orders of these ids, each of the kind "k".
    fn orders(&self, ids: impl IntoIterator<Item = i64>) -> DataFile {
        let ids: Vec<i64> = ids.into_iter().collect();
        let kinds = texts(ids.iter().map(|_| "k"));
        self.file(&[(1, "id", longs(ids)), (2, "kind", kinds)]).build().unwrap()
    }

    /// A file that deletes these rows of files.
    fn places(&self, of: &[(&DataFile, i64)]) -> DataFileBuilder {
        let paths = texts(of.iter().map(|(file, _)| file.file_path()));
        let rows = longs(of.iter().map(|(_, row)| *row));
        let mut file = self.file(&[(PATH, "file_path", paths), (POS, "pos", rows)]);
        file.content(DataContentType::PositionDeletes);
        file
    }

    /// A file that deletes rows with these values.
    fn keys(&self, columns: &[(i32, &str, ArrayRef)]) -> DataFileBuilder {
        let mut file = self.file(columns);
        file.content(DataContentType::EqualityDeletes);
        file.equality_ids(Some(columns.iter().map(|(id, _, _)| *id).collect()));
        file
    }

    /// A snapshot more with these files, under the partition spec `spec`.
    fn add(&self, spec: i32, data: Vec<DataFile>, deletes: Vec<DataFile>) {
        let version = self.version();
        let metadata = &version.metadata;
        let (sequence, parent) = (metadata.next_sequence_number(), metadata.current_snapshot_id());
        let id = 100 + sequence;
        let list = format!("{}/metadata/snap-{id}.avro", metadata.location());
        self.0.runtime.block_on(async {
            let mut manifests = version.manifests(self.files()).await.unwrap();
            for (number, added) in [data, deletes].into_iter().enumerate().filter(|(_, added)| !added.is_empty()) {
                let location = format!("{}/metadata/{id}-m{number}.avro", metadata.location());
                let output = self.files().io().new_output(location).unwrap();
                let spec = version.partition_spec(spec).unwrap().as_ref().clone();
                let builder = ManifestWriterBuilder::new(output, Some(id), metadata.current_schema().clone(), spec);
                let mut writer = if number == 0 { builder.build_v2_data() } else { builder.build_v2_deletes() };
                for file in added {
                    writer.add_file(file, UNASSIGNED_SEQUENCE_NUMBER).unwrap();
                }
                manifests.push(writer.write_manifest_file().await.unwrap());
            }
            let output = self.files().io().new_output(&list).unwrap().writer().await.unwrap();
            let mut writer = ManifestListWriter::v2(output, id, parent, sequence);
            writer.add_manifests(manifests.into_iter()).unwrap();
            writer.close().await.unwrap();
        });
        self.lead_to(id, &list);
    }

    /// A snapshot more, with this list of manifests.
    fn lead_to(&self, id: i64, list: &str) {
        let version = self.version();
        let (metadata, parent) = (&version.metadata, version.metadata.current_snapshot_id());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        self.update(&json!([
            {"action": "add-snapshot", "snapshot": {"snapshot-id": id, "parent-snapshot-id": parent,
                "sequence-number": metadata.next_sequence_number(), "timestamp-ms": now, "manifest-list": list,
                "summary": {"operation": "overwrite"}, "schema-id": metadata.current_schema_id()}},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id},
        ]));
    }

    fn ids(&self) -> Value {
        let rows = self.0.rows("SELECT id FROM shop.orders ORDER BY id");
        rows.as_array().unwrap().iter().map(|row| row[0].clone()).collect()
    }
}

/// A table with the columns `id` and `kind`.
fn orders(parts: Value) -> Shop {
    Shop::new(Limits::default(), &[column(1, "id", "long"), column(2, "kind", "string")], parts)
}

#[test]
fn columns_that_were_renamed_dropped_added_moved_and_widened_are_read_right() {
    let first = [column(1, "id", "int"), column(2, "note", "string"), column(3, "price", "float")];
    let shop = Shop::new(Limits::default(), &first, json!([]));
    let prices: ArrayRef = Arc::new(Float32Array::from(vec![1.5, 2.5]));
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let notes = texts(["old", "older"]);
    let file = shop.file(&[(1, "id", ids), (2, "note", notes), (3, "price", prices)]).build().unwrap();
    shop.add(0, vec![file], vec![]);
    shop.reshape(&[column(3, "cost", "double"), column(1, "id", "long"), column(4, "note", "string")]);
    let all = "SELECT id, cost, note FROM shop.orders ORDER BY id";
    assert_eq!(shop.0.rows(all), json!([[1, 1.5, null], [2, 2.5, null]]));
    let file = shop.file(&[(4, "note", texts(["new"])), (1, "id", longs([3]))]).build().unwrap();
    shop.add(0, vec![file], vec![]);
    assert_eq!(shop.0.rows(all), json!([[1, 1.5, null], [2, 2.5, null], [3, null, "new"]]));
    assert_eq!(shop.0.rows("SELECT id FROM shop.orders WHERE cost > 2"), json!([[2]]));
    assert_eq!(shop.0.rows("SELECT id FROM shop.orders WHERE note = 'old' OR note = 'new'"), json!([[3]]));
    assert_eq!(shop.0.rows("SELECT count(*), count(cost), sum(id) FROM shop.orders"), json!([[3, 2, 6]]));
    // One of a writer that gives no ids.
    let names = json!([{"field-id": 1, "names": ["id", "number"]}, {"field-id": 3, "names": ["price", "cost"]}]);
    let names = json!({"schema.name-mapping.default": names.to_string()});
    shop.update(&json!([{"action": "set-properties", "updates": names}]));
    let prices: ArrayRef = Arc::new(Float32Array::from(vec![4.5]));
    let file = shop.file(&[(0, "price", prices), (0, "number", longs([4]))]).build().unwrap();
    shop.add(0, vec![file], vec![]);
    assert_eq!(shop.0.rows(&format!("{all} DESC LIMIT 1")), json!([[4, 4.5, null]]));
}

#[test]
fn a_place_is_deleted_of_files_that_are_not_younger() {
    let shop = orders(json!([]));
    let first = shop.orders(0..10);
    shop.add(0, vec![first.clone()], vec![]);
    let counted = "EXPLAIN FORMAT INDENT SELECT count(*) FROM shop.orders";
    assert!(!shop.0.text(counted, Format::Csv).unwrap().contains(".parquet"), "counting opens no file");
    // Of its own snapshot, and of one that comes later: a place in that one is no place of it yet.
    let (own, later) = (shop.orders(10..14), shop.orders(20..23));
    let places = shop.places(&[(&first, 0), (&first, 3), (&first, 4), (&first, 5), (&own, 2), (&later, 0)]);
    shop.add(0, vec![own], vec![places.build().unwrap()]);
    shop.add(0, vec![later.clone()], vec![]);
    assert_eq!(shop.ids(), json!([1, 2, 6, 7, 8, 9, 10, 11, 13, 20, 21, 22]));
    assert_eq!(shop.0.rows("SELECT count(*), sum(id), min(id) FROM shop.orders"), json!([[12, 130, 1]]));
    assert_eq!(shop.0.rows("SELECT count(*) FROM shop.orders WHERE kind = 'k' AND id < 7"), json!([[3]]));
    assert_eq!(shop.0.rows("SELECT id FROM shop.orders WHERE id = 3"), json!([]));
    let few = "SELECT count(*) FROM (SELECT id FROM shop.orders LIMIT 11)";
    assert_eq!(shop.0.rows(few), json!([[11]]));
    let plan = shop.0.text("EXPLAIN FORMAT INDENT SELECT id FROM shop.orders", Format::Csv).unwrap();
    assert!(plan.contains("LeftExec: position_deletes=1, equality_deletes=0"), "{plan}");
    // About the last file alone, by its name.
    let mut places = shop.places(&[(&later, 1), (&later, 1), (&later, 70)]);
    places.referenced_data_file(Some(later.file_path().to_owned()));
    shop.add(0, vec![], vec![places.build().unwrap()]);
    assert_eq!(shop.ids(), json!([1, 2, 6, 7, 8, 9, 10, 11, 13, 20, 22]));
    assert_eq!(
        shop.0.rows("SELECT a.id FROM shop.orders a JOIN shop.orders b ON a.id = b.id + 2 WHERE a.id > 19"),
        json!([[22]])
    );
}

#[test]
fn a_key_is_deleted_of_older_files() {
    let shop = orders(json!([]));
    shop.add(0, vec![shop.orders(0..8)], vec![]);
    // As a writer of upserts has it: the key goes, and its row comes anew.
    let key = shop.keys(&[(1, "id", longs([3, 5, 99]))]).build().unwrap();
    shop.add(0, vec![shop.orders([3])], vec![key]);
    assert_eq!(shop.ids(), json!([0, 1, 2, 3, 4, 6, 7]));
    let key = shop.keys(&[(2, "kind", texts(["k"])), (1, "id", longs([3]))]).build().unwrap();
    shop.add(0, vec![shop.orders([5])], vec![key]);
    assert_eq!(shop.ids(), json!([0, 1, 2, 4, 5, 6, 7]));
    assert_eq!(shop.0.rows("SELECT count(*) FROM shop.orders"), json!([[7]]));
    assert_eq!(shop.0.rows("SELECT kind FROM shop.orders WHERE id > 5"), json!([["k"], ["k"]]));
    // Nothing is equal to nothing, and a column that is dropped still decides.
    let nothing: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let file = shop.file(&[(1, "id", longs([8])), (2, "kind", Arc::clone(&nothing))]).build().unwrap();
    shop.add(0, vec![file], vec![]);
    let key = shop.keys(&[(2, "kind", nothing)]).build().unwrap();
    shop.add(0, vec![], vec![key]);
    assert_eq!(shop.ids(), json!([0, 1, 2, 4, 5, 6, 7]));
    shop.reshape(&[column(1, "number", "long")]);
    assert_eq!(shop.0.rows("SELECT count(*), sum(number) FROM shop.orders"), json!([[7, 25]]));
    let all = shop.0.rows("SELECT * FROM shop.orders ORDER BY 1");
    assert_eq!(all, json!([[0], [1], [2], [4], [5], [6], [7]]));
    let place = shop.places(&[(&shop.orders([9]), 0)]).build().unwrap();
    shop.add(0, vec![], vec![place]);
    assert_eq!(shop.0.rows("SELECT max(number) FROM shop.orders"), json!([[7]]), "a place of no file is no fault");
}

#[test]
fn a_partition_is_not_deleted_from_by_another() {
    let shop = orders(json!([{"source-id": 2, "field-id": 1000, "name": "part", "transform": "identity"}]));
    let part = |kind: &str| Struct::from_iter([Some(Literal::string(kind))]);
    let of = |kind: &'static str, ids: &[i64]| {
        let kinds = texts(ids.iter().map(|_| kind));
        let mut file = shop.file(&[(1, "id", longs(ids.iter().copied())), (2, "kind", kinds)]);
        file.partition(part(kind)).build().unwrap()
    };
    let (a, b) = (of("a", &[1, 2, 3]), of("b", &[1, 2, 3]));
    shop.add(0, vec![a, b.clone()], vec![]);
    let mut key = shop.keys(&[(1, "id", longs([1]))]);
    let mut place = shop.places(&[(&b, 1)]);
    // The place is in a file of the other partition: it is no place of this one.
    let deletes = vec![key.partition(part("a")).build().unwrap(), place.partition(part("a")).build().unwrap()];
    shop.add(0, vec![], deletes);
    let all = "SELECT kind, id FROM shop.orders ORDER BY 1, 2";
    assert_eq!(shop.0.rows(all), json!([["a", 2], ["a", 3], ["b", 1], ["b", 2], ["b", 3]]));
    // Under a spec without parts, a key is one of all partitions.
    shop.update(
        &json!([{"action": "add-spec", "spec": {"fields": []}}, {"action": "set-default-spec", "spec-id": -1}]),
    );
    let spec = shop.version().metadata.default_partition_spec_id();
    let mut key = shop.keys(&[(1, "id", longs([3]))]);
    shop.add(spec, vec![], vec![key.partition_spec_id(spec).build().unwrap()]);
    assert_eq!(shop.0.rows(all), json!([["a", 2], ["b", 1], ["b", 2]]));
}

/// Tables that were Hive's have what their folders are called in no file.
#[test]
fn a_column_that_files_lack_is_what_they_are_partitioned_by() {
    let shop = orders(json!([{"source-id": 2, "field-id": 1000, "name": "part", "transform": "identity"}]));
    let part = |kind: Option<&str>| Struct::from_iter([kind.map(Literal::string)]);
    let of = |kind: Option<&str>, ids: &[i64]| {
        shop.file(&[(1, "id", longs(ids.iter().copied()))]).partition(part(kind)).build().unwrap()
    };
    shop.add(0, vec![of(Some("a"), &[1, 2]), of(Some("b"), &[3, 4]), of(None, &[5])], vec![]);
    let all = "SELECT kind, id FROM shop.orders ORDER BY id";
    assert_eq!(shop.0.rows(all), json!([["a", 1], ["a", 2], ["b", 3], ["b", 4], [null, 5]]));
    assert_eq!(shop.0.rows("SELECT id FROM shop.orders WHERE kind = 'b' ORDER BY id"), json!([[3], [4]]));
    assert_eq!(shop.0.rows("SELECT id FROM shop.orders WHERE kind || '!' = 'a!' AND id > 1"), json!([[2]]));
    let counted = "SELECT kind, count(*) FROM shop.orders GROUP BY kind ORDER BY kind";
    assert_eq!(shop.0.rows(counted), json!([["a", 2], ["b", 2], [null, 1]]));
    // Those that rows are deleted of as well.
    let mut key = shop.keys(&[(2, "kind", texts(["a"])), (1, "id", longs([2]))]);
    shop.add(0, vec![], vec![key.partition(part(Some("a"))).build().unwrap()]);
    assert_eq!(shop.0.rows(all), json!([["a", 1], ["b", 3], ["b", 4], [null, 5]]));
    // One that has the column says the same; under another spec it is in the file alone.
    shop.update(
        &json!([{"action": "add-spec", "spec": {"fields": []}}, {"action": "set-default-spec", "spec-id": -1}]),
    );
    let spec = shop.version().metadata.default_partition_spec_id();
    let mut file = shop.file(&[(1, "id", longs([6])), (2, "kind", texts(["k"]))]);
    shop.add(spec, vec![file.partition_spec_id(spec).build().unwrap()], vec![]);
    assert_eq!(shop.0.rows("SELECT kind FROM shop.orders WHERE id > 4 ORDER BY id"), json!([[null], ["k"]]));
}

/// A manifest has the values of partitions in the types that their columns had when it was written.
#[test]
fn a_partition_is_the_same_one_when_its_column_is_wider() {
    let parts = json!([{"source-id": 1, "field-id": 1000, "name": "part", "transform": "identity"}]);
    let shop = Shop::new(Limits::default(), &[column(1, "id", "int"), column(2, "kind", "string")], parts);
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 1]));
    let mut file = shop.file(&[(1, "id", ids), (2, "kind", texts(["a", "b"]))]);
    let file = file.partition(Struct::from_iter([Some(Literal::int(1))])).build().unwrap();
    shop.add(0, vec![file.clone()], vec![]);
    shop.reshape(&[column(1, "id", "long"), column(2, "kind", "string")]);
    let all = "SELECT kind FROM shop.orders";
    assert_eq!(shop.0.rows(all), json!([["a"], ["b"]]));
    let part = || Struct::from_iter([Some(Literal::long(1))]);
    let (mut key, mut place) = (shop.keys(&[(2, "kind", texts(["b"]))]), shop.places(&[(&file, 0)]));
    shop.add(0, vec![], vec![key.partition(part()).build().unwrap()]);
    assert_eq!(shop.0.rows(all), json!([["a"]]));
    shop.add(0, vec![], vec![place.partition(part()).build().unwrap()]);
    assert_eq!(shop.0.rows(all), json!([]));
}

#[test]
fn what_is_deleted_is_held_to_the_memory_of_queries() {
    let limits = Limits { sql_memory_bytes: 8 << 20, ..Limits::default() };
    let shop = Shop::new(limits, &[column(1, "id", "long"), column(2, "kind", "string")], json!([]));
    shop.add(0, vec![shop.orders(0..10)], vec![]);
    shop.add(0, vec![], vec![shop.keys(&[(1, "id", longs(5..105))]).build().unwrap()]);
    let counted = "SELECT count(*) FROM shop.orders";
    assert_eq!(shop.0.rows(counted), json!([[5]]));
    shop.add(0, vec![], vec![shop.keys(&[(1, "id", longs(0..150_000))]).build().unwrap()]);
    let problem = shop.0.problem(counted);
    assert_eq!(problem.code, "HW-LAKE-085", "{problem}");
    assert!(problem.title.contains("`shop.orders`"), "{problem}");
}

/// As Spark names files, by way of Hadoop.
#[test]
fn files_that_are_named_with_one_slash_are_read() {
    let shop = orders(json!([]));
    let hadoops = |location: &str| location.replacen("file:///", "file:/", 1);
    let mut file = shop.file(&[(1, "id", longs(0..4)), (2, "kind", texts(["k"; 4]))]);
    let location = file.build().unwrap().file_path().to_owned();
    let data = file.file_path(hadoops(&location)).build().unwrap();
    shop.add(0, vec![data.clone()], vec![]);
    let mut file = shop.places(&[(&data, 1)]);
    let location = file.build().unwrap().file_path().to_owned();
    shop.add(0, vec![], vec![file.file_path(hadoops(&location)).build().unwrap()]);
    let version = shop.version();
    shop.lead_to(7, &hadoops(version.metadata.current_snapshot().unwrap().manifest_list()));
    assert_eq!(shop.ids(), json!([0, 2, 3]));
}

/// What the node can read, no client may have read by naming it.
#[test]
fn manifests_outside_of_a_tables_folder_are_not_read() {
    let shop = orders(json!([]));
    shop.add(0, vec![shop.orders(0..3)], vec![]);
    let version = shop.version();
    let list = version.metadata.current_snapshot().unwrap().manifest_list();
    let elsewhere = format!("{}/list.avro", version.metadata.location().rsplit_once('/').unwrap().0);
    shop.0.runtime.block_on(async {
        let list = shop.files().read(list).await.unwrap();
        shop.files().write(&elsewhere, list).await.unwrap();
    });
    shop.lead_to(7, &elsewhere);
    let problem = shop.0.problem("SELECT count(*) FROM shop.orders");
    assert_eq!(problem.code, "HW-LAKE-051");
    assert!(problem.title.contains("is not in its folder"), "{problem}");
}

#[test]
fn what_cannot_be_read_is_refused_and_named() {
    let shop = orders(json!([]));
    shop.add(0, vec![shop.orders(0..10)], vec![]);
    let mut vector = shop.places(&[(&shop.orders([1]), 0)]);
    vector.file_format(DataFileFormat::Puffin);
    shop.add(0, vec![], vec![vector.build().unwrap()]);
    let problem = shop.0.problem("SELECT count(*) FROM shop.orders");
    assert_eq!(problem.code, "HW-LAKE-051");
    assert!(problem.title.contains("deletion vectors"), "{problem}");
}
