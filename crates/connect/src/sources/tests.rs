use std::io::Write;

use headwater_base::Problem;
use headwater_kernel::port::{Context, SourceRecord};
use serde_json::{Value, json};

use super::SOURCES;

fn read(name: &str, content: &[u8], spec: Value) -> Result<Vec<SourceRecord>, Problem> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), content).unwrap();
    let context = Context::without_node(folder.path());
    let kind = SOURCES.iter().find(|kind| kind.name == "file").unwrap();
    let mut source = (kind.build)(&spec, &context)?;
    let mut all = Vec::new();
    loop {
        let records = source.next(2)?;
        if records.is_empty() {
            let (done, total) = source.progress();
            assert_eq!(Some(done), total, "all of the file has been read");
            return Ok(all);
        }
        all.extend(records);
    }
}

fn texts(records: &[SourceRecord]) -> Vec<(u64, String, bool)> {
    records
        .iter()
        .map(|record| (record.position, String::from_utf8(record.value.to_vec()).unwrap(), record.fault.is_some()))
        .collect()
}

#[test]
fn lines_of_json_keep_their_number_and_the_last_one_needs_no_end() {
    let records = read("a.ndjson", b"{\"a\":1}\r\n\n{\"a\":2}", json!({"type": "file", "path": "a.ndjson"})).unwrap();
    assert_eq!(texts(&records), [(1, "{\"a\":1}".into(), false), (3, "{\"a\":2}".into(), false)]);
}

#[test]
fn a_mark_of_the_byte_order_is_no_part_of_the_first_event() {
    let records = read("a.ndjson", "\u{feff}{\"a\":1}\n".as_bytes(), json!({"path": "a.ndjson"})).unwrap();
    assert_eq!(texts(&records), [(1, "{\"a\":1}".into(), false)]);
    let records = read("a.csv", "\u{feff}a\n1\n".as_bytes(), json!({"path": "a.csv"})).unwrap();
    assert_eq!(texts(&records), [(2, "{\"a\":1}".into(), false)]);
}

#[test]
fn packed_files_are_unpacked() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(b"{\"a\":1}\n").unwrap();
    let records = read("a.ndjson.gz", &packer.finish().unwrap(), json!({"path": "a.ndjson.gz"})).unwrap();
    assert_eq!(texts(&records), [(1, "{\"a\":1}".into(), false)]);
}

#[test]
fn rows_become_objects_and_a_short_row_a_fault() {
    let text = b"id,n,price,name,ok\n007,1,1.50,\"a, b\",true\n1,2\n8,,0.10000000000000000001,,false\n";
    let records = read("a.csv", text, json!({"path": "a.csv"})).unwrap();
    assert_eq!(
        texts(&records),
        [
            (2, r#"{"id":"007","n":1,"price":1.5,"name":"a, b","ok":true}"#.into(), false),
            (3, "1,2".into(), true),
            (4, r#"{"id":8,"n":null,"price":"0.10000000000000000001","name":null,"ok":false}"#.into(), false),
        ]
    );
}

#[test]
fn equal_column_names_are_refused_before_a_row_is_read() {
    let problem = read("a.csv", b"id,name,id\n1,a,2\n", json!({"path": "a.csv"})).unwrap_err();
    assert_eq!(problem.code, "HW-CONNECT-123");
    assert!(problem.title.ends_with("has more than one column `id`"), "{}", problem.title);
}

#[test]
fn a_row_that_is_no_text_keeps_its_bytes() {
    let records = read("a.csv", b"id,name\n1,caf\xe9\n2,b\n", json!({"path": "a.csv"})).unwrap();
    assert_eq!((records[0].position, &records[0].value[..]), (2, &b"1,caf\xe9"[..]));
    assert_eq!(records[0].fault.as_deref(), Some("line 2: `name` is not UTF-8"));
    assert_eq!((&records[1].value[..], &records[1].fault), (&b"{\"id\":2,\"name\":\"b\"}"[..], &None));
}

#[test]
fn a_quote_that_never_closes_does_not_take_the_rest_of_the_file_into_memory() {
    let text = [&b"a,b\n1,2\n3,\""[..], vec![b'x'; 17 << 20].as_slice()].concat();
    let problem = read("a.csv", &text, json!({"path": "a.csv"})).unwrap_err();
    assert_eq!(problem.code, "HW-CONNECT-122");
    assert!(problem.title.starts_with("the row at line 3 of "), "{}", problem.title);
    let text = [&b"a,b\n1,2\n3,\""[..], vec![b'x'; 15 << 20].as_slice(), &b"\"\n"[..]].concat();
    assert_eq!(read("a.csv", &text, json!({"path": "a.csv"})).unwrap().len(), 2);
}

#[test]
fn a_line_that_was_cut_off_is_told_with_its_position() {
    let line = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "curl""#;
    let text = format!("{line}\n{}", &line[..40]);
    let records = read("access.log", text.as_bytes(), json!({"path": "access.log"})).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].fault, None);
    let fault = records[1].fault.as_deref().unwrap();
    assert!(fault.starts_with("line 2: ") && fault.ends_with("the file ends inside the line"), "{fault}");
}

#[test]
fn what_is_not_there_or_misspelt_is_said() {
    assert_eq!(read("a.csv", b"", json!({"path": "b.csv"})).unwrap_err().code, "HW-CONNECT-030");
    assert_eq!(read("a.csv", b"", json!({"pth": "a.csv"})).unwrap_err().code, "HW-CONNECT-031");
}
