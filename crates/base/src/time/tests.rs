use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Option<String> {
    Micros::parse_rfc3339(text).map(|t| t.to_string())
}

#[test]
fn reads_and_writes_rfc3339() {
    assert_eq!(read("1970-01-01T00:00:00Z").as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(read("2015-05-17T12:05:03.25+02:00").as_deref(), Some("2015-05-17T10:05:03.250Z"));
    assert_eq!(read("2024-02-29T23:59:59.1234567Z").as_deref(), Some("2024-02-29T23:59:59.123456Z"));
    assert_eq!(read("1969-12-31T23:59:59.999999Z").as_deref(), Some("1969-12-31T23:59:59.999999Z"));
}

#[test]
fn refuses_what_is_no_time() {
    for bad in [
        "",
        "2015-05-17",
        "2015-13-17T10:00:00Z",
        "2023-02-29T00:00:00Z",
        "2015-05-17T10:00:00",
        "2015-05-17T10:00:00.Z",
        "2015-05-17T10:00:00Zz",
        "2015-05-17T24:00:00Z",
        "é015-05-17T10:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59:60Z",
        "0000-01-01T00:00:00+00:01",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999) {
        prop_assert_eq!(Micros::parse_rfc3339(&Micros(micros).to_string()), Some(Micros(micros)));
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}") {
        let _ = Micros::parse_rfc3339(&text);
    }
}
