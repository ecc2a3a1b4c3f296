use std::io::Write;
use std::path::PathBuf;

use headwater_base::Micros;
use headwater_store::blobs::Named;
use headwater_store::disk::MemoryDisk;
use serde_json::json;

use super::*;

fn blobs() -> Arc<Blobs> {
    Arc::new(Blobs::open(Arc::new(MemoryDisk::default()), PathBuf::from("/blobs")).unwrap())
}

fn put(blobs: &Blobs, key: &str, bytes: &[u8]) {
    let id = blobs.put(bytes).unwrap();
    let named = Named { key: key.to_owned(), blob: id.to_string(), bytes: bytes.len() as u64, written: Micros(0) };
    blobs.name(&Name::new("bucket").unwrap(), &named).unwrap();
}

/// Stands for whoever reads Parquet: here a file is its lines already.
fn columnar(file: Reader) -> std::io::Result<Box<dyn Read + Send>> {
    if file.size() == 0 {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "the Parquet file cannot be read: it is empty",
        ));
    }
    Ok(Box::new(file))
}

fn reader(verb: &str, config: Value, parameters: Value) -> Value {
    json!({"Resource": format!("arn:aws:states:::s3:{verb}"), "ReaderConfig": config, "Parameters": parameters})
}

fn read(blobs: &Arc<Blobs>, reader: &Value) -> Result<Vec<Value>, Failure> {
    open(reader, blobs, Some(columnar), &Limits::default())?.collect()
}

#[test]
fn each_type_of_file_is_read() {
    let blobs = blobs();
    put(&blobs, "a.json", b"[1, 2, 3]");
    put(&blobs, "a.jsonl", b"{\"n\": 1}\n\n {\"n\": 2} \r\n3");
    put(&blobs, "a.csv", b"n\n1\n2\n");
    let of = |key: &str, config| read(&blobs, &reader("getObject", config, json!({"Bucket": "bucket", "Key": key})));
    assert_eq!(of("a.json", json!({"InputType": "JSON", "MaxItems": 2})).unwrap(), [json!(1), json!(2)]);
    assert_eq!(of("a.jsonl", json!({"InputType": "JSONL"})).unwrap(), [json!({"n": 1}), json!({"n": 2}), json!(3)]);
    assert_eq!(of("a.csv", json!({"InputType": "CSV"})).unwrap(), [json!({"n": "1"}), json!({"n": "2"})]);
    assert_eq!(of("none", json!({})).unwrap_err().error.as_deref(), Some("States.ItemReaderFailed"));
    assert_eq!(of("a.jsonl", json!({"InputType": "PARQUET", "MaxItems": 1})).unwrap(), [json!({"n": 1})]);
    put(&blobs, "empty", b"");
    let failure = of("empty", json!({"InputType": "PARQUET"})).unwrap_err();
    assert_eq!(failure.cause.as_deref(), Some("the Parquet file cannot be read: it is empty"));
    assert!(of("a.json", json!({"InputType": "ORC"})).is_err());
    let place = json!({"Bucket": "bucket", "Key": "a.jsonl"});
    let without = open(&reader("getObject", json!({"InputType": "PARQUET"}), place), &blobs, None, &Limits::default());
    assert_eq!(without.err().unwrap().cause.as_deref(), Some("nobody here reads Parquet files"));
}

#[test]
fn there_is_a_limit_to_what_is_read() {
    let blobs = blobs();
    put(&blobs, "a.jsonl", b"1\n2\n3\n4\n");
    let read = |config, reader_items_max| {
        let reader = reader("getObject", config, json!({"Bucket": "bucket", "Key": "a.jsonl"}));
        let limits = Limits { reader_items_max, ..Limits::default() };
        open(&reader, &blobs, None, &limits).unwrap().collect::<Vec<_>>()
    };
    let items = read(json!({"InputType": "JSONL"}), 2);
    assert_eq!(items[..2], [Ok(json!(1)), Ok(json!(2))]);
    assert_eq!(
        (items.len(), items[2].as_ref().unwrap_err().cause.as_deref()),
        (3, Some("there are more than 2 items"))
    );
    assert_eq!(read(json!({"InputType": "JSONL", "MaxItems": 2}), 2).len(), 2);
    assert!(read(json!({"InputType": "JSONL"}), 4).iter().all(Result::is_ok));
}

#[test]
fn a_listing_gives_names_or_what_is_behind_them() {
    let blobs = blobs();
    put(&blobs, "in/1", b"[1]");
    put(&blobs, "in/2", b"[2, 3]");
    put(&blobs, "out/1", b"[4]");
    let of = |config| read(&blobs, &reader("listObjectsV2", config, json!({"Bucket": "bucket", "Prefix": "in/"})));
    let keys: Vec<Value> = of(json!({})).unwrap().into_iter().map(|mut item| item["Key"].take()).collect();
    assert_eq!(keys, [json!("in/1"), json!("in/2")]);
    let loaded = of(json!({"InputType": "JSON", "Transformation": "LOAD_AND_FLATTEN"})).unwrap();
    assert_eq!(loaded, [json!(1), json!(2), json!(3)]);
}

#[test]
fn a_manifest_leads_to_its_files() {
    let blobs = blobs();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"\"b\",\"k1\"\n\"b\",\"k2\"\n").unwrap();
    put(&blobs, "data/1.csv.gz", &packed.finish().unwrap());
    let manifest = json!({
        "destinationBucket": "arn:aws:s3:::bucket", "fileFormat": "CSV", "fileSchema": "Bucket, Key",
        "files": [{"key": "data/1.csv.gz"}],
    });
    put(&blobs, "manifest.json", manifest.to_string().as_bytes());
    let place = json!({"Bucket": "bucket", "Key": "manifest.json"});
    let items = read(&blobs, &reader("getObject", json!({"InputType": "MANIFEST"}), place)).unwrap();
    assert_eq!(items, [json!({"Bucket": "b", "Key": "k1"}), json!({"Bucket": "b", "Key": "k2"})]);
}

#[test]
fn an_inventory_of_parquet_needs_no_schema_and_one_of_orc_is_refused() {
    let blobs = blobs();
    put(&blobs, "data/1.parquet", b"{\"key\": \"k1\"}\n");
    put(&blobs, "data/2.parquet", b"{\"key\": \"k2\"}\n");
    let of = |format: &str| {
        let manifest = json!({
            "destinationBucket": "arn:aws:s3:::bucket", "fileFormat": format,
            "fileSchema": "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); }",
            "files": [{"key": "data/1.parquet"}, {"key": "data/2.parquet"}],
        });
        put(&blobs, "manifest.json", manifest.to_string().as_bytes());
        let config = json!({"ManifestType": "S3_INVENTORY"});
        read(&blobs, &reader("getObject", config, json!({"Bucket": "bucket", "Key": "manifest.json"})))
    };
    assert_eq!(of("Parquet").unwrap(), [json!({"key": "k1"}), json!({"key": "k2"})]);
    let cause = of("ORC").unwrap_err().cause.unwrap();
    assert_eq!(cause, "manifests of `ORC` files are not read; of CSV and Parquet they are");
}

#[test]
fn an_athena_manifest_names_files_of_the_type_that_the_reader_says() {
    let blobs = blobs();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"{\"n\": 1}\n").unwrap();
    put(&blobs, "out/a.gz", &packed.finish().unwrap());
    put(&blobs, "out/b", b"{\"n\": 2}\n");
    put(&blobs, "out/manifest.csv", b"s3://bucket/out/a.gz\r\n\n\"s3://bucket/out/b\"\n");
    put(&blobs, "out/other.csv", b"out/b\n");
    put(&blobs, "out/gone.csv", b"s3://bucket/out/b\ns3://bucket/out/c\n");
    let of = |key: &str, config: Value| {
        read(&blobs, &reader("getObject", config, json!({"Bucket": "bucket", "Key": format!("out/{key}.csv")})))
    };
    let lines = || json!({"InputType": "JSONL", "ManifestType": "ATHENA_DATA"});
    assert_eq!(of("manifest", lines()).unwrap(), [json!({"n": 1}), json!({"n": 2})]);
    let given = json!({
        "InputType": "CSV", "ManifestType": "ATHENA_DATA", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["all"]
    });
    assert_eq!(of("manifest", given).unwrap().len(), 2);
    let cause = |key: &str, config: Value| of(key, config).unwrap_err().cause.unwrap();
    assert_eq!(cause("other", lines()), "`out/b` of the manifest is no `s3://bucket/key`");
    assert_eq!(cause("gone", lines()), "there is no `out/c` in `bucket`");
    assert_eq!(
        cause("manifest", json!({"ManifestType": "ATHENA_DATA"})),
        "an Athena manifest does not say what its files are; `InputType` does"
    );
    assert_eq!(cause("manifest", json!({"ManifestType": "GLUE"})), "there is no `ManifestType` `GLUE`");
}

#[test]
fn a_line_that_is_too_long_or_no_json_names_itself() {
    let cause = |text: &str| {
        let config = json!({"ReaderConfig": {"InputType": "JSONL"}});
        of_text(&config, text, &Limits::default()).unwrap_err().cause.unwrap()
    };
    assert!(cause("1\n{").starts_with("line 2: an item is no JSON"));
    assert_eq!(cause(&format!("\"{}\"", "x".repeat(262_144))), "line 1: an item of more than 262144 bytes");
}

#[test]
fn batches_are_bounded_by_count_and_bytes() {
    let batches = |config: Value, items: Vec<Value>| Batcher::of(&config).unwrap().batches(items);
    let by_count = batches(json!({"MaxItemsPerBatch": 2, "BatchInput": {"a": 1}}), vec![json!(1), json!(2), json!(3)]);
    assert_eq!(
        by_count,
        [json!({"BatchInput": {"a": 1}, "Items": [1, 2]}), json!({"BatchInput": {"a": 1}, "Items": [3]})]
    );
    let items = vec![json!("aaaaaaaa"), json!("bbbbbbbb"), json!("c"), json!("d".repeat(99))];
    let by_bytes = batches(json!({"MaxInputBytesPerBatch": 36}), items);
    let lengths: Vec<usize> = by_bytes.iter().map(|batch| batch["Items"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [2, 1, 1]);
    assert!(by_bytes[..2].iter().all(|batch| batch.to_string().len() <= 36));
    assert!(Batcher::of(&json!({})).is_err());
    assert!(Batcher::of(&json!({"MaxItemsPerBatch": 0})).is_err());
}

fn child(name: &str, outcome: Result<Value, Failure>) -> ChildResult {
    let text = |kind: &str| format!("arn:aws:states:us-east-1:1:{kind}:m");
    ChildResult {
        arn: format!("{}:{name}", text("execution")),
        name: name.to_owned(),
        machine_arn: text("stateMachine"),
        input: json!({"n": 1}).to_string(),
        status: if outcome.is_ok() { "SUCCEEDED" } else { "FAILED" },
        outcome: outcome.map(|output| output.to_string()),
        started: Some(Micros(0)),
        stopped: Some(Micros(1_000_000)),
    }
}

#[test]
fn results_are_written_as_files_that_the_manifest_names() {
    let blobs = blobs();
    let bucket = Name::new("bucket").unwrap();
    let config = json!({
        "Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "bucket", "Prefix": "out/"},
        "WriterConfig": {"OutputType": "JSON", "Transformation": "FLATTEN"},
    });
    let mut writer =
        ResultWriter::open(&config, "arn:aws:states:us-east-1:1:mapRun:m/Map:id", &blobs, Micros(0)).unwrap();
    writer.add(&child("a", Ok(json!([1, 2])))).unwrap();
    writer.add(&child("b", Ok(json!({"x": 3})))).unwrap();
    writer.add(&child("c", Err(Failure::new("E", "why")))).unwrap();
    let answer = writer.finish().unwrap();
    let details = json!({"Bucket": "bucket", "Key": "out/id/manifest.json"});
    assert_eq!(answer["ResultWriterDetails"], details);
    let text = |key: &str| {
        let mut text = String::new();
        named(&blobs, &bucket, key).unwrap().read_to_string(&mut text).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let manifest = text("out/id/manifest.json");
    assert_eq!(manifest["ResultFiles"]["SUCCEEDED"][0]["Key"], "out/id/SUCCEEDED_0.json");
    assert_eq!(manifest["ResultFiles"]["PENDING"], json!([]));
    assert_eq!(text("out/id/SUCCEEDED_0.json"), json!([1, 2, {"x": 3}]));
    let failed = text("out/id/FAILED_0.json");
    assert_eq!((&failed[0]["Status"], &failed[0]["Error"]), (&json!("FAILED"), &json!("E")));
}

#[test]
fn a_file_of_nothing_but_empty_lists_is_one() {
    let blobs = blobs();
    for (lines, expected) in [("JSON", "[]"), ("JSONL", "")] {
        let config = json!({
            "Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "bucket", "Prefix": lines},
            "WriterConfig": {"OutputType": lines, "Transformation": "FLATTEN"},
        });
        let arn = "arn:aws:states:us-east-1:1:mapRun:m/Map:id";
        let mut writer = ResultWriter::open(&config, arn, &blobs, Micros(0)).unwrap();
        writer.add(&child("a", Ok(json!([])))).unwrap();
        writer.add(&child("b", Ok(json!([])))).unwrap();
        writer.finish().unwrap();
        let mut text = String::new();
        let key = format!("{lines}/id/SUCCEEDED_0.{}", lines.to_lowercase());
        named(&blobs, &Name::new("bucket").unwrap(), &key).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }
}

#[test]
fn without_a_place_results_are_the_states_own() {
    let blobs = blobs();
    let config = json!({"WriterConfig": {"OutputType": "JSON", "Transformation": "COMPACT"}});
    let writer = ResultWriter::open(&config, "arn", &blobs, Micros(0)).unwrap();
    assert!(!writer.to_files());
    assert_eq!(writer.own(vec![child("a", Ok(json!([1]))), child("b", Ok(json!(2)))]), json!([[1], 2]));
}
