use headwater_base::Micros;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;

use super::{caller, seconds, time};

fn who(signed: &str) -> String {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(signed).unwrap());
    let caller = caller(&headers);
    format!("{} {}", caller.region, caller.account)
}

#[test]
fn credentials_say_region_and_account_and_nothing_else() {
    let signed = |key: &str, region: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20261128/{region}/states/aws4_request, SignedHeaders=host, Signature=0"
        )
    };
    assert_eq!(who(&signed("AKIAIOSFODNN7EXAMPLE", "eu-west-1")), "eu-west-1 000000000000");
    assert_eq!(who(&signed("123456789012", "ap-south-2")), "ap-south-2 123456789012");
    for strange in
        ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=", &signed("a", "EU WEST"), &signed("a", &"r".repeat(99))]
    {
        assert_eq!(who(strange), "us-east-1 000000000000", "{strange}");
    }
}

#[test]
fn times_are_seconds_with_a_fraction() {
    assert_eq!(time(&json!(1_700_000_000)), Some(Micros(1_700_000_000_000_000)));
    assert_eq!(time(&json!(1_700_000_000.123)), Some(Micros(1_700_000_000_123_000)));
    assert_eq!(time(&json!(1e300)), Some(Micros(i64::MAX)));
    assert_eq!(time(&json!("now")), None);
    assert_eq!(seconds(Micros(1_700_000_000_123_456)).to_string(), "1700000000.123");
}
