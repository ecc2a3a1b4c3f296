use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at() -> Time {
    Time::parse("2024-04-01T00:00:00Z").unwrap()
}

/// Keys and prices.
fn shown(list: &List) -> Vec<(String, String)> {
    let price = |point: &Point| point.price.normalize().to_string();
    list.series.iter().map(|one| (one.key(), one.points.iter().map(price).collect::<Vec<_>>().join(" "))).collect()
}

fn product(family: &str, attributes: Value, terms: Value) -> Value {
    let mut all = json!({"regionCode": "us-east-1"});
    all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    let product =
        json!({"product": {"productFamily": family, "attributes": all}, "serviceCode": "AmazonEC2", "terms": terms});
    // As the service answers: JSON in a string.
    Value::String(product.to_string())
}

fn on_demand(unit: &str, price: &str) -> Value {
    let dimension = json!({"unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": price}});
    json!({"OnDemand": {"A.B": {"effectiveDate": "2024-03-01T00:00:00Z", "priceDimensions": {"A.B.C": dimension}}}})
}

#[test]
fn get_products_gives_machines_volumes_and_reservations() {
    let machine = json!({"instanceType": "c5.large", "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"});
    let mut other = machine.clone();
    other["tenancy"] = json!("Dedicated");
    let mut terms = on_demand("Hrs", "0.0850000000");
    terms["Reserved"] = json!({"A.R": {
        "effectiveDate": "2024-03-01T00:00:00Z",
        "termAttributes": {"LeaseContractLength": "1yr", "PurchaseOption": "Partial Upfront", "OfferingClass": "standard"},
        "priceDimensions": {"1": {"unit": "Quantity", "pricePerUnit": {"USD": "219"}}, "2": {"unit": "Hrs", "pricePerUnit": {"USD": "0.025"}}}
    }});
    let answer = json!({"FormatVersion": "aws_v1", "PriceList": [
        product("Compute Instance", machine, terms),
        product("Compute Instance", other, on_demand("Hrs", "1")),
        product("Storage", json!({"volumeApiName": "gp3"}), on_demand("GB-Mo", "0.08")),
        product("System Operation", json!({"volumeApiName": "gp3"}), on_demand("IOPS-Mo", "0.005")),
        product("Provisioned Throughput", json!({"volumeApiName": "gp3"}), on_demand("GiBps-mo", "40.96")),
        product("Data Transfer", json!({}), on_demand("GB", "0.09")),
    ]});
    let reservation = Reservation { option: "Partial Upfront".to_owned(), ..Reservation::default() };
    let list = aws(answer.to_string().as_bytes(), at(), &reservation).unwrap();
    let expected = [
        ("instance:on_demand:c5.large:us-east-1:linux:hour:USD", "0.085"),
        ("instance:reserved:c5.large:us-east-1:linux:hour:USD", "0.05"),
        ("volume:-:gp3:us-east-1:-:gb_month:USD", "0.08"),
        ("volume:-:gp3:us-east-1:-:iops_month:USD", "0.005"),
        ("volume:-:gp3:us-east-1:-:mibps_month:USD", "0.04"),
    ];
    assert_eq!(shown(&list), expected.map(|(key, price)| (key.to_owned(), price.to_owned())));
    assert_eq!(list.series[3].included, Decimal::from(3_000));
    assert_eq!(list.skipped, BTreeMap::from([("Data Transfer".to_owned(), 1), ("other tenancies".to_owned(), 1)]));
}

#[test]
fn products_that_differ_in_what_no_price_goes_by_are_told_apart() {
    let windows = |license: &str| {
        json!({"instanceType": "m5.large", "operatingSystem": "Windows", "tenancy": "Shared", "preInstalledSw": "NA",
            "capacitystatus": "Used", "licenseModel": license})
    };
    let tier = |usage: &str| json!({"volumeApiName": "io2", "usagetype": usage});
    let answer = json!({"PriceList": [
        product("Compute Instance", windows("No License required"), on_demand("Hrs", "0.188")),
        product("Compute Instance", windows("Bring your own license"), on_demand("Hrs", "0.096")),
        product("System Operation", tier("EBS:VolumeP-IOPS.io2"), on_demand("IOPS-Mo", "0.065")),
        product("System Operation", tier("EBS:VolumeP-IOPS.io2.tier2"), on_demand("IOPS-Mo", "0.0455")),
        product("System Operation", tier("EBS:VolumeP-IOPS.io2.tier3"), on_demand("IOPS-Mo", "0.03185")),
    ]});
    let list = aws(answer.to_string().as_bytes(), at(), &Reservation::default()).unwrap();
    let expected = [
        ("instance:on_demand:m5.large:us-east-1:windows:hour:USD", "0.188"),
        ("volume:-:io2:us-east-1:-:iops_month:USD", "0.065"),
    ];
    assert_eq!(shown(&list), expected.map(|(key, price)| (key.to_owned(), price.to_owned())));
    assert_eq!(list.skipped, BTreeMap::from([("licences of one's own".to_owned(), 1), ("higher tiers".to_owned(), 2)]));
}

#[test]
fn spot_history_is_one_series_for_each_zone_in_order() {
    let row = |zone: &str, time: &str, price: &str| json!({"AvailabilityZone": zone, "InstanceType": "c5.large", "ProductDescription": "Linux/UNIX", "SpotPrice": price, "Timestamp": time});
    let answer = json!({"SpotPriceHistory": [
        row("us-east-1a", "2024-03-04T10:00:00+00:00", "0.0400"),
        row("us-east-1b", "2024-03-04T09:00:00Z", "0.0310"),
        row("us-east-1a", "2024-03-04T09:00:00Z", "0.0300"),
    ]});
    let list = spot(answer.to_string().as_bytes(), at()).unwrap();
    let key = |zone: &str| format!("instance:spot:c5.large:{zone}:linux:hour:USD");
    assert_eq!(shown(&list), [(key("us-east-1a"), "0.03 0.04".to_owned()), (key("us-east-1b"), "0.031".to_owned())]);
    assert!(!list.more);
    // The next page goes further back, and the service says whether there is one.
    let earlier = row("us-east-1a", "2024-03-03T09:00:00Z", "0.0200");
    for (token, more) in [(json!("abc"), true), (json!(""), false), (Value::Null, false)] {
        let page = json!({"NextToken": token, "SpotPriceHistory": [earlier]});
        let page = spot(page.to_string().as_bytes(), at()).unwrap();
        assert_eq!(page.more, more);
        let mut first = list.series[0].clone();
        first.merge(page.series[0].clone());
        let prices: Vec<String> = first.points.iter().map(|point| point.price.normalize().to_string()).collect();
        assert_eq!(prices, ["0.02", "0.03", "0.04"]);
    }
}

#[test]
fn csv_columns_come_in_any_order() {
    let text = "price,currency,unit,resource,type,place,purchase,from\n0.012,EUR,core_hour,instance,rack,basement,on_premises,2024-01-01T00:00:00Z\n";
    let list = csv(text.as_bytes(), at()).unwrap();
    assert_eq!(shown(&list), [("instance:on_premises:rack:basement:-:core_hour:EUR".to_owned(), "0.012".to_owned())]);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let row = |price: &str| {
        format!(
            "resource,type,place,unit,price,currency,from\nvolume,gp3,x,gb_month,{price},USD,2024-01-01T00:00:00Z\n"
        )
    };
    assert_eq!(csv(row("cheap").as_bytes(), at()).unwrap_err().place.unwrap().line, 2);
    assert_eq!(csv(row("-1").as_bytes(), at()).unwrap_err().place.unwrap().line, 2);
    // Two of them would be more than there are numbers for.
    assert_eq!(csv(row("79228162514264337593543950335").as_bytes(), at()).unwrap_err().place.unwrap().line, 2);
    let list = json!({"PriceList": ["{}", "{"]}).to_string();
    assert_eq!(aws(list.as_bytes(), at(), &Reservation::default()).unwrap_err().place.unwrap().path, "PriceList[1]");
    // Seconds before year 0 would be written as no time that can be read.
    for never in [json!("soon"), json!(-9e10)] {
        let history =
            json!({"SpotPriceHistory": [{"ProductDescription": "Linux/UNIX", "Timestamp": never}]}).to_string();
        assert_eq!(spot(history.as_bytes(), at()).unwrap_err().place.unwrap().path, "SpotPriceHistory[0].Timestamp");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[\\[\\]{}\",:a-zA-Z0-9.\n]{0,200}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = (aws(bytes, at(), &Reservation::default()), spot(bytes, at()), csv(bytes, at()));
        }
    }
}
