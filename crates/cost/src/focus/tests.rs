use std::str::FromStr;

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

#[test]
fn a_line_over_the_ends_of_months_is_a_row_in_each_and_nothing_is_lost() {
    let line = |from: &str, to: &str| {
        json!({"resource": "volume", "id": "v", "type": "gp3", "place": "us-east-1", "quantity": "0.7", "unit": "gb_month",
            "from": from, "to": to, "amount": "0.01", "list_amount": "0.05"})
    };
    let rows = |line: serde_json::Value| -> Vec<[String; 7]> {
        let launch = json!({"id": "r", "status": "COMPLETE", "lines": [line]});
        let export = export(&launches(&[launch]).unwrap()).unwrap();
        let mut reader = csv::Reader::from_reader(export.csv.as_bytes());
        let header = reader.headers().unwrap().clone();
        let names = [
            "BillingPeriodStart",
            "ChargePeriodStart",
            "ChargePeriodEnd",
            "BillingPeriodEnd",
            "PricingQuantity",
            "BilledCost",
            "ListCost",
        ];
        let at = names.map(|name| header.iter().position(|title| title == name).unwrap());
        reader.records().map(|row| at.map(|at| row.as_ref().unwrap()[at].to_owned())).collect()
    };
    let found = rows(line("2024-12-31T12:00:00.500Z", "2025-02-01T00:00:00.500Z"));
    let [december, january, february] = ["2024-12", "2025-01", "2025-02"].map(|month| format!("{month}-01T00:00:00Z"));
    let march = "2025-03-01T00:00:00Z".to_owned();
    let periods: Vec<[&str; 4]> = found.iter().map(|[a, b, c, d, ..]| [a, b, c, d].map(String::as_str)).collect();
    assert_eq!(
        periods,
        [
            [&*december, "2024-12-31T12:00:00Z", &*january, &*january],
            [&*january, &*january, &*february, &*february],
            [&*february, &*february, "2025-02-01T00:00:01Z", &*march],
        ]
    );
    for (column, whole) in [(4, "0.7"), (5, "0.01"), (6, "0.05")] {
        let cells: Vec<Decimal> = found.iter().map(|row| Decimal::from_str(&row[column]).unwrap()).collect();
        assert_eq!(cells.iter().sum::<Decimal>(), Decimal::from_str(whole).unwrap());
        // Half a day and 31 days.
        assert!(cells[0] > Decimal::ZERO && cells[1] > cells[0] * Decimal::from(61), "{cells:?}");
    }
    // Where roundings of the first ones would take more than there is, none is below nothing.
    let mut tiny = line("2024-12-01T00:00:00Z", "2025-03-07T00:00:00Z");
    tiny["amount"] = json!("0.0000000002");
    let costs: Vec<Decimal> = rows(tiny).iter().map(|row| Decimal::from_str(&row[5]).unwrap()).collect();
    assert!(costs.iter().all(|cost| *cost >= Decimal::ZERO), "{costs:?}");
    assert_eq!((costs.len(), costs.iter().sum::<Decimal>()), (4, Decimal::new(2, 10)));
    // One that ends where the month does is in no other.
    assert_eq!(rows(line("2024-12-31T12:00:00Z", "2025-01-01T00:00:00Z")).len(), 1);
    assert_eq!(rows(line("2024-12-31T23:59:59.900Z", "2024-12-31T23:59:59.950Z"))[0][2], january);
}
