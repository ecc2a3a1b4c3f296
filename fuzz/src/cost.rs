//! What costs are counted from: discounts, price lists, records of engines, runs and prices as functions are given
//! them, launches as a table has them. Read or refused; what was read can be written, and counting it never falls.

use headwater_cost::engines::{self, About, ENGINES, File};
use headwater_cost::lists::{self, Reservation};
use headwater_cost::{Book, Time, bill, discounts, focus, functions, report};
use serde_json::{Value, json};

const AS_OF: Time = Time(1_767_225_600_000);
/// Kinds of input before those of the engines.
const KINDS: u8 = 7;

/// A byte for the kind; the input.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let value = || serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    match kind % (KINDS + ENGINES.len() as u8) {
        0 => {
            if let Ok(rules) = discounts::read(bytes) {
                let again = serde_json::to_vec(&rules).expect("rules are JSON");
                assert_eq!(discounts::read(&again), Ok(rules));
            }
        }
        1 => listed(lists::aws(bytes, AS_OF, &Reservation::default()).ok()),
        2 => listed(lists::spot(bytes, AS_OF).ok()),
        3 => listed(lists::csv(bytes, AS_OF).ok()),
        4 => {
            if let Ok(bill) = functions::price_run(&value()) {
                assert!(bill["status"].is_string());
            }
        }
        5 => {
            if let Ok(collected) = functions::collect_resources(&value()) {
                let priced = functions::price_run(&json!({"run": collected["run"]}));
                assert!(priced.is_ok(), "{priced:?}");
            }
        }
        6 => reported(&value()),
        which => engine(which - KINDS, bytes),
    }
}

fn listed(list: Option<lists::List>) {
    let Some(list) = list else { return };
    for one in &list.series {
        assert!(one.points.is_sorted_by_key(|point| point.from));
    }
    let _ = Book::new("USD", list.series, Vec::new());
}

fn reported(value: &Value) {
    let documents = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let Ok(launches) = report::launches(&documents) else { return };
    for (_, by) in report::BY {
        for period in [None, Some(report::Period::Week)] {
            let _ = report::report(&launches, by, period);
        }
    }
    let _ = focus::export(&launches);
}

fn engine(which: u8, bytes: &[u8]) {
    let (_, engine) = ENGINES[usize::from(which)];
    // Each engine looks for its own file.
    let path = ["log.jsonl", "engine.txt", "workflow.log", "trace.txt", "run.json", "answers.json"][usize::from(which)];
    let machine = serde_json::from_value(json!({"type": "c5.large", "region": "r", "cpus": "4"})).ok();
    let about = About { id: "r".to_owned(), machine, ..About::default() };
    let Ok(run) = engines::read(engine, &[File { path, bytes }], &about) else { return };
    assert!(run.check().is_ok());
    let priced = bill::price(&run, &Book::default(), AS_OF);
    let _ = functions::answer(&run, &priced);
}

pub fn seeds() -> Vec<Vec<u8>> {
    let run = json!({
        "id": "r", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T10:00:00Z",
        "states": [{"state": "RUNNING", "at": "2024-03-04T09:00:00Z"}, {"state": "COMPLETE", "at": "2024-03-04T10:00:00Z"}],
        "jobs": [{"id": "j", "name": "align", "attempts": [{
            "instance": "m", "started": "2024-03-04T09:10:00Z", "ended": "2024-03-04T09:40:00Z", "cpus": "1", "failed": true
        }]}],
        "instances": [{"id": "m", "type": "c5.large", "region": "us-east-1", "cpus": "2", "shared": true}],
        "volumes": [{"id": "v", "type": "gp3", "region": "us-east-1", "size_gib": 73, "iops": 4000, "instance": "m"}],
        "file_systems": [{"id": "f", "type": "lustre", "region": "us-east-1", "size_gib": "1200", "share": "0.25"}],
        "clusters": [{"id": "c", "type": "eks", "region": "us-east-1"}],
    });
    let price = json!({
        "resource": "instance", "purchase": "on_demand", "type": "c5.large", "place": "us-east-1", "platform": "linux",
        "unit": "hour", "currency": "USD", "as_of": "2024-03-05T00:00:00Z",
        "points": [{"from": "2024-01-01T00:00:00Z", "to": "2024-03-04T09:20:00Z", "price": "0.085"}, {"from": "2024-03-04T09:20:00Z", "price": "0.09"}],
    });
    let rule = json!({"account": "a", "resource": "volume", "percent": "12.5", "from": "2026-01-01T00:00:00Z"});
    let dimension = |unit: &str, price: &str| json!({"unit": unit, "beginRange": "0", "pricePerUnit": {"USD": price}});
    let product = json!({
        "serviceCode": "AmazonEC2",
        "product": {"productFamily": "Compute Instance", "attributes": {"instanceType": "c5.large", "operatingSystem": "Linux", "regionCode": "us-east-1"}},
        "terms": {
            "OnDemand": {"A": {"effectiveDate": "2024-03-01T00:00:00Z", "priceDimensions": {"B": dimension("Hrs", "0.085")}}},
            "Reserved": {"R": {
                "effectiveDate": "2024-03-01T00:00:00Z",
                "termAttributes": {"LeaseContractLength": "1yr", "PurchaseOption": "No Upfront", "OfferingClass": "standard"},
                "priceDimensions": {"1": dimension("Quantity", "219"), "2": dimension("Hrs", "0.025")},
            }},
        },
    });
    let history = json!({"SpotPriceHistory": [{
        "ProductDescription": "Linux/UNIX", "Timestamp": 1_709_500_000.5, "SpotPrice": "0.03", "InstanceType": "c5.large",
        "AvailabilityZone": "us-east-1a",
    }]});
    let launch = json!({
        "id": "r", "status": "COMPLETE", "started": "2024-03-04T09:00:00Z", "ended": "2024-03-04T10:00:00Z", "currency": "USD",
        "total_cost": "0.5", "lines": [{"resource": "instance", "id": "m", "type": "c5.large", "place": "us-east-1",
            "from": "2024-03-04T09:00:00Z", "to": "2024-03-04T10:00:00Z", "quantity": "1", "unit": "hour", "amount": "0.085"}],
    });
    let answers = json!({
        "jobs": [{"jobId": "j", "status": "SUCCEEDED", "createdAt": 1_709_500_000_000_i64, "attempts": [{
            "startedAt": 1_709_500_000_000_i64, "stoppedAt": 1_709_500_900_000_i64, "container": {"containerInstanceArn": "i-1"}
        }]}],
        "Reservations": [{"Instances": [{"InstanceId": "i-1", "InstanceType": "c5.large", "Placement": {"AvailabilityZone": "us-east-1a"}, "CpuOptions": {"CoreCount": 2}}]}],
        "Volumes": [{"VolumeId": "v", "VolumeType": "gp3", "AvailabilityZone": "us-east-1a", "Size": 8}],
    });
    let seeds = [
        (0, json!([rule, {"account": "b", "rules": [{"account": "b", "percent": "3"}]}]).to_string()),
        (0, "percent,account,resource,from\n12.5 %,a,,2026-01-01T00:00:00Z\n1,b,instance,\n".to_owned()),
        (1, json!({"PriceList": [product.to_string(), product]}).to_string()),
        (2, history.to_string()),
        (3, "resource,type,place,unit,price,currency,from,included\nvolume,gp3,x,gb_month,0.08,USD,2024-01-01T00:00:00Z,3\n".to_owned()),
        (4, json!({"run": run, "prices": [price, null], "discounts": [rule]}).to_string()),
        (5, json!({"usage": run}).to_string()),
        (5, json!({"usage": answers, "launch": {"id": "r"}}).to_string()),
        (6, json!([launch]).to_string()),
        (7, "{\"event\":\"job_info\",\"time\":1709500000.5,\"job_id\":1,\"rule_name\":\"align\",\"threads\":2}\n{\"event\":\"job_started\",\"time\":1709500001,\"job_ids\":[1]}\n{\"event\":\"job_finished\",\"time\":1709500002,\"job_id\":1}".to_owned()),
        (8, "[2024-03-04 09:00:00] INFO [job align_2] cwltool\n[2024-03-04 09:00:01,250] INFO [job align_2] Max memory used: 12MiB\n[2024-03-04 09:00:02] INFO [job align_2] completed success\n".to_owned()),
        (9, "2026-11-28 14:39:52.282 wdl.w:v.t:call-a NOTICE task setup :: name: \"a\", x\n2026-11-28 14:39:53.282 wdl.w:v.t:call-a NOTICE done\n".to_owned()),
        (10, "name\tstatus\tsubmit\tduration\trealtime\tcpus\tmemory\n a (1)\tCOMPLETED\t2024-03-04 09:00:00\t1m 2.5s\t350ms\t2\t1.5 GB\n".to_owned()),
        (11, run.to_string()),
        (12, answers.to_string()),
    ];
    seeds.into_iter().map(|(kind, text)| [&[kind][..], text.as_bytes()].concat()).collect()
}
