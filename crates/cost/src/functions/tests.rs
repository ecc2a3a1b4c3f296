use super::*;

fn usage() -> Value {
    json!({
        "id": "r", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T10:00:00Z", "iterations": 7_200,
        "jobs": [], "instances": [{"id": "m", "type": "c5.large", "region": "us-east-1"}],
        "volumes": [{"id": "v", "type": "gp3", "region": "us-east-1", "size_gib": 73, "instance": "m"}],
    })
}

fn price(kind: &str, resource: &str, unit: &str, price: &str) -> Value {
    let purchase = if resource == "instance" { json!("on_demand") } else { Value::Null };
    let platform = if resource == "instance" { "linux" } else { "" };
    json!({
        "resource": resource, "purchase": purchase, "type": kind, "place": "us-east-1", "platform": platform,
        "unit": unit, "currency": "USD", "as_of": "2024-03-05T00:00:00Z",
        "points": [{"from": "2024-01-01T00:00:00Z", "price": price}]
    })
}

#[test]
fn the_keys_that_are_asked_for_are_those_of_the_prices() {
    let collected = collect_resources(&json!({"usage": usage()})).unwrap();
    let keys = json!(["instance:on_demand:c5.large:us-east-1:linux:hour:USD", "volume:-:gp3:us-east-1:-:gb_month:USD"]);
    assert_eq!(collected["prices"], keys);
    let series: Series = serde_json::from_value(price("gp3", "volume", "gb_month", "0.08")).unwrap();
    assert_eq!(json!(series.key()), keys[1]);
}

#[test]
fn a_bill_has_the_four_strings_and_says_as_of_when() {
    let prices = [price("c5.large", "instance", "hour", "0.085"), price("gp3", "volume", "gb_month", "0.08")];
    let bill = price_run(&json!({"run": usage(), "prices": prices, "as_of": "2024-03-06T00:00:00Z"})).unwrap();
    for (name, expected) in [
        ("status", "priced"),
        ("total_cost", "0.093"),
        ("totalCost", "0.093"),
        ("instance_cost", "0.085"),
        ("volume_cost", "0.008"),
        ("filesystem_cost", "0.00"),
        ("currency", "USD"),
        ("as_of", "2024-03-06T00:00:00Z"),
    ] {
        assert_eq!(bill[name], expected, "{name}");
    }
    assert_eq!(bill["metrics"]["iterations_per_second"], 2.0);
    assert_eq!(bill["lines"][0]["as_of"], "2024-03-05T00:00:00Z");
}

#[test]
fn a_price_that_is_not_there_makes_the_total_unknown() {
    let bill =
        price_run(&json!({"run": usage(), "prices": [price("c5.large", "instance", "hour", "0.085"), null]})).unwrap();
    let of = |name: &str| bill[name].as_str().unwrap().to_owned();
    assert_eq!(
        (of("status"), of("total_cost"), of("instance_cost"), of("volume_cost")),
        ("unknown".into(), "unknown".into(), "0.085".into(), "unknown".into())
    );
}

#[test]
fn an_input_that_cannot_be_read_is_named_by_its_path() {
    let mut run = usage();
    run["instances"][0]["started"] = json!("yesterday");
    let problem = price_run(&json!({"run": run})).unwrap_err();
    assert_eq!(problem.place.unwrap().path, "the input of price-run run.instances[0].started");
}

/// Decimals end the thread where they leave their range.
#[test]
fn nothing_that_is_let_in_leaves_the_range_of_decimals() {
    let mut free = price("gp3", "volume", "gb_month", "0.08");
    free["included"] = json!("-79228162514264337593543950335");
    let problem = price_run(&json!({"run": usage(), "prices": [free]})).unwrap_err();
    assert_eq!(problem.code, "HW-COST-003");
    // The smallest part of the largest machine, for as long and at as much as there can be.
    let mut run = usage();
    run["ended"] = json!("2034-03-01T09:00:00Z");
    run["instances"][0]["cpus"] = json!("1000000000");
    let (started, ended) = (&run["started"], &run["ended"]);
    let attempt = json!({"instance": "m", "started": started, "ended": ended, "cpus": "0.000001"});
    run["jobs"] = json!([{"id": "j", "attempts": [attempt]}]);
    run["volumes"] = json!([]);
    let bill = price_run(&json!({"run": run, "prices": [price("c5.large", "instance", "hour", "1000000")]})).unwrap();
    assert_eq!((&bill["status"], &bill["attempts"][0]["amount"]), (&json!("priced"), &bill["instance_cost"]));
}
