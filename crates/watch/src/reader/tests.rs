use headwater_kernel::path::Path;
use proptest::prelude::*;
use serde_json::json;

use super::Reader;

#[test]
fn a_cohort_is_named_by_its_parts_and_no_two_share_a_name() {
    let path = |text: &str| Path::parse(text).unwrap();
    let cohort = [("country", ".country"), ("shop", ".shop")].map(|(name, text)| (name.to_owned(), path(text)));
    let reader = Reader { time: path(".at"), cohort: cohort.to_vec(), value: path(".sum") };
    let name = |country: &str, shop: serde_json::Value| {
        let event = json!({"at": "2024-01-01T00:00:00Z", "sum": 1, "country": country, "shop": shop});
        reader.read(event.to_string().as_bytes()).unwrap().cohort
    };
    assert_eq!(name("NL", json!(7)), "NL/7");
    assert_eq!(name("a/b", json!("c")), "a%2Fb/c");
    assert_eq!(name("a", json!("b/c")), "a/b%2Fc");
    assert_eq!(name("a%2Fb", json!("c")), "a%252Fb/c");
    let all = Reader { cohort: Vec::new(), ..reader };
    assert_eq!(all.read(br#"{"at": "2024-01-01T00:00:00Z", "sum": 1.5}"#).unwrap().cohort, "all");
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        time in ".{0,30}",
        value in any::<f64>(),
        who in ".{0,300}",
    ) {
        let reader = crate::testing::reader();
        let _ = reader.read(&bytes);
        let event = json!({"time": time, "value": value, "who": who}).to_string();
        if let Ok(measured) = reader.read(event.as_bytes()) {
            prop_assert!(measured.value.is_finite() && !measured.cohort.is_empty());
        }
    }
}
