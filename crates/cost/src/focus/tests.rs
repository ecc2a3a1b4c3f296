use serde_json::json;

use super::*;
use crate::report::launches;

#[test]
fn a_line_is_a_row_and_lines_without_a_price_are_counted() {
    let line = |kind: &str, amount: serde_json::Value| {
        json!({"resource": "instance", "id": "m", "type": kind, "purchase": "spot", "place": "us-east-1a", "quantity": "0.5", "unit": "hour",
            "from": "2024-12-04T09:00:00.250Z", "to": "2024-12-04T09:30:00.250Z", "amount": amount, "list_amount": amount})
    };
    let launch = json!({"id": "r", "status": "COMPLETE", "workflow": "w", "consumer": "lab", "currency": "USD", "lines": [line("c5.large", json!("0.02")), line("x", json!(null))]});
    let export = export(&launches(&[launch]).unwrap()).unwrap();
    assert_eq!(export.unpriced, 1);
    let mut reader = csv::Reader::from_reader(export.csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cell = |name: &str| &rows[0][header.iter().position(|title| title == name).unwrap()];
    for (name, expected) in [
        ("BilledCost", "0.02"),
        ("ContractedUnitPrice", "0.04"),
        ("PricingCategory", "Dynamic"),
        ("RegionId", "us-east-1"),
        ("BillingPeriodStart", "2024-12-01T00:00:00Z"),
        ("BillingPeriodEnd", "2025-01-01T00:00:00Z"),
        ("ChargePeriodStart", "2024-12-04T09:00:00Z"),
        ("ChargePeriodEnd", "2024-12-04T09:30:01Z"),
        ("SubAccountId", "consumer:lab"),
    ] {
        assert_eq!(cell(name), expected, "{name}");
    }
    // A local zone has more behind its region's number.
    let mut local = line("c5.large", json!("0.02"));
    local["place"] = json!("us-west-2-lax-1a");
    let local = launches(&[json!({"id": "r", "status": "COMPLETE", "lines": [local]})]).unwrap();
    assert_eq!(region(&local[0].lines[0]), "us-west-2");
}
