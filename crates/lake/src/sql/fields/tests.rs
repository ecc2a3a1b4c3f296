//! Batches as files have them, as the table has them.

use arrow::array::{Array as _, ArrayRef, Int32Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Schema as ArrowSchema;
use datafusion::physical_expr_adapter::BatchAdapterFactory;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{FormatVersion, Schema, SortOrder, TableMetadataBuilder, UnboundPartitionSpec};
use serde_json::{Value, json};

use super::*;

/// A table that had columns, and has others now.
fn table(columns: &[Value], names: Option<Value>) -> TableMetadata {
    let schema = |fields: &Value| -> Schema {
        serde_json::from_value(json!({"type": "struct", "schema-id": 0, "fields": fields})).unwrap()
    };
    let properties = names.map(|names| (DEFAULT_SCHEMA_NAME_MAPPING.to_owned(), names.to_string()));
    let builder = TableMetadataBuilder::new(
        schema(&columns[0]),
        UnboundPartitionSpec::default(),
        SortOrder::unsorted_order(),
        "file:///t".to_owned(),
        FormatVersion::V3,
        properties.into_iter().collect(),
    );
    let builder = columns[1..]
        .iter()
        .fold(builder.unwrap(), |builder, fields| builder.add_current_schema(schema(fields)).unwrap());
    builder.build().unwrap().metadata
}

/// A field with an id, or without one where that is 0.
fn field(id: i32, name: &str, of: DataType) -> Field {
    let field = Field::new(name, of, true);
    if id == 0 {
        return field;
    }
    field.with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]))
}

fn batch(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), columns).unwrap()
}

/// Rows of a file as those of the table.
fn adapted(table: &TableMetadata, file: &RecordBatch) -> Value {
    let to = Arc::new(schema_to_arrow_schema(table.current_schema()).unwrap());
    let factory = BatchAdapterFactory::new(to).with_adapter_factory(Arc::new(Fields::of(table).unwrap()));
    let rows = factory.make_adapter(&file.schema()).unwrap().adapt_batch(file).unwrap();
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    writer.write(&rows).unwrap();
    writer.finish().unwrap();
    serde_json::from_slice(&writer.into_inner()).unwrap()
}

fn refused(table: &TableMetadata) -> String {
    Fields::of(table).unwrap_err()
}

fn column(id: i32, name: &str, kind: impl Into<Value>) -> Value {
    let kind: Value = kind.into();
    json!({"id": id, "name": name, "type": kind, "required": false})
}

fn numbers(values: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn columns_are_what_their_ids_say() {
    let mut added = column(4, "d", "string");
    added["initial-default"] = json!("x");
    let table = table(
        &[
            json!([column(1, "a", "int"), column(2, "b", "string"), column(3, "c", "int")]),
            // Two have each other's names, one is another by now, one is new.
            json!([column(2, "a", "string"), added, column(1, "b", "long"), column(5, "c", "int")]),
        ],
        None,
    );
    let file = batch(vec![
        (field(1, "a", DataType::Int32), numbers(&[1, 2])),
        (field(2, "b", DataType::Utf8), texts(&["one", "two"])),
        (field(3, "c", DataType::Int32), numbers(&[7, 8])),
    ]);
    let seen = json!([{"a": "one", "d": "x", "b": 1}, {"a": "two", "d": "x", "b": 2}]);
    assert_eq!(adapted(&table, &file), seen);
    let once = Fields::of(&table).unwrap();
    let (name, dropped) = once.once(3).unwrap();
    assert_eq!((name, dropped.name.as_str()), ("#3", "c"));
    assert!(once.once(1).is_none());
}

#[test]
fn a_required_column_that_a_file_lacks_is_no_null() {
    let mut required = column(2, "b", "int");
    required["required"] = json!(true);
    let table = table(&[json!([column(1, "a", "int")]), json!([column(1, "z", "int"), required])], None);
    let to = Arc::new(schema_to_arrow_schema(table.current_schema()).unwrap());
    let factory = BatchAdapterFactory::new(to).with_adapter_factory(Arc::new(Fields::of(&table).unwrap()));
    let file = batch(vec![(field(1, "a", DataType::Int32), numbers(&[1]))]);
    let error = factory.make_adapter(&file.schema()).unwrap_err().to_string();
    assert!(error.contains("no column `b`"), "{error}");
}

#[test]
fn nested_fields_are_what_their_ids_say() {
    let inner = |fields: Value| json!({"type": "struct", "fields": fields});
    let mut added = column(4, "d", "int");
    added["initial-default"] = json!(5);
    let first = json!([column(1, "s", inner(json!([column(2, "a", "int"), column(3, "b", "string")])))]);
    let then = json!([column(1, "t", inner(json!([added, column(2, "b", "long")])))]);
    let table = table(&[first, then], None);
    let fields = vec![field(2, "a", DataType::Int32), field(3, "b", DataType::Utf8)];
    let values = vec![numbers(&[1, 2]), texts(&["one", "two"])];
    let nulls = Some(vec![true, false].into());
    let values: ArrayRef = Arc::new(StructArray::try_new(fields.into(), values, nulls).unwrap());
    let file = batch(vec![(field(1, "s", values.data_type().clone()), values)]);
    assert_eq!(adapted(&table, &file), json!([{"t": {"d": 5, "b": 1}}, {}]));
}

#[test]
fn items_of_lists_are_structs_by_id_as_well() {
    let list = |fields: Value| {
        let item = json!({"type": "struct", "fields": fields});
        json!({"type": "list", "element-id": 2, "element": item, "element-required": false})
    };
    let first = json!([column(1, "l", list(json!([column(3, "a", "int")])))]);
    let then = json!([column(1, "l", list(json!([column(4, "a", "string"), column(3, "n", "long")])))]);
    let table = table(&[first, then], None);
    let items = StructArray::try_new(vec![field(3, "a", DataType::Int32)].into(), vec![numbers(&[1, 2, 3])], None);
    let items = items.unwrap();
    let item = Arc::new(field(2, "element", items.data_type().clone()));
    let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
    let values: ArrayRef = Arc::new(ListArray::try_new(item, offsets, Arc::new(items), None).unwrap());
    let file = batch(vec![(field(1, "l", values.data_type().clone()), values)]);
    assert_eq!(adapted(&table, &file), json!([{"l": [{"n": 1}, {"n": 2}]}, {"l": []}, {"l": [{"n": 3}]}]));
    assert_eq!(adapted(&table, &file.slice(1, 2)), json!([{"l": []}, {"l": [{"n": 3}]}]));
}

#[test]
fn a_file_without_ids_is_read_by_the_name_mapping_or_by_names() {
    let columns =
        [json!([column(1, "a", "int"), column(2, "b", "int")]), json!([column(1, "z", "int"), column(2, "b", "int")])];
    let file =
        batch(vec![(field(0, "a", DataType::Int32), numbers(&[1])), (field(0, "b", DataType::Int32), numbers(&[2]))]);
    let names = json!([{"field-id": 1, "names": ["a", "z"]}, {"field-id": 2, "names": ["b"]}]);
    assert_eq!(adapted(&table(&columns, Some(names.clone())), &file), json!([{"z": 1, "b": 2}]));
    assert_eq!(adapted(&table(&columns, None), &file), json!([{"b": 2}]));
    let own = batch(vec![(field(2, "a", DataType::Int32), numbers(&[1]))]);
    assert_eq!(adapted(&table(&columns, Some(names)), &own), json!([{"b": 1}]), "its ids count");
    let crossed = json!([{"field-id": 1, "names": ["b"]}]);
    assert_eq!(
        adapted(&table(&columns, Some(crossed)), &file),
        json!([{"z": 2}]),
        "what it does not name is not there"
    );
    let twice = json!([{"field-id": 1, "names": ["a", "b"]}, {"field-id": 2, "names": ["b"]}]);
    assert!(refused(&table(&columns, Some(twice))).contains("`b`"));
    assert!(refused(&table(&columns, Some(json!(7)))).contains("cannot be read"));
}

/// Where nothing has changed, the engine does what it always did.
#[test]
fn a_file_like_the_table_is_left_to_the_engine() {
    let table = table(&[json!([column(1, "a", "int"), column(2, "b", "string")])], None);
    let to = Arc::new(schema_to_arrow_schema(table.current_schema()).unwrap());
    let file =
        batch(vec![(field(2, "b", DataType::Utf8), texts(&["x"])), (field(1, "a", DataType::Int32), numbers(&[3]))]);
    let adapter = Fields::of(&table).unwrap().create(Arc::clone(&to), file.schema()).unwrap();
    assert!(format!("{adapter:?}").starts_with("DefaultPhysicalExprAdapter"), "{adapter:?}");
    let renamed = batch(vec![(field(1, "was", DataType::Int32), numbers(&[3]))]);
    let adapter = Fields::of(&table).unwrap().create(to, renamed.schema()).unwrap();
    assert!(!format!("{adapter:?}").starts_with("DefaultPhysicalExprAdapter"), "{adapter:?}");
}
