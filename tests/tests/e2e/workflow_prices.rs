//! The workflow-cost solution as somebody stocks it from outside: answers of AWS's price list, discounts, and the records
//! of Nextflow, each by way of `solution import`.

use std::path::Path;

use e2e::{Node, json, until};
use serde_json::{Value, json};

use super::HEADWATER;

/// A product as `GetProducts` answers it.
fn product(service: &str, family: &str, attributes: Value, unit: &str, price: &str) -> Value {
    let mut all = json!({"servicecode": service, "regionCode": "us-east-1", "locationType": "AWS Region"});
    all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    let dimension = json!({
        "unit": unit, "beginRange": "0", "endRange": "Inf", "description": "an example, nobody's price",
        "appliesTo": [], "rateCode": "S.JRTCKXETXF.6YS6EN2CT7", "pricePerUnit": {"USD": price}
    });
    let offer = json!({
        "sku": "S", "offerTermCode": "JRTCKXETXF", "effectiveDate": "2026-11-01T00:00:00Z", "termAttributes": {},
        "priceDimensions": {"S.JRTCKXETXF.6YS6EN2CT7": dimension}
    });
    json!({
        "product": {"productFamily": family, "sku": "S", "attributes": all}, "serviceCode": service,
        "terms": {"OnDemand": {"S.JRTCKXETXF": offer}}, "version": "20261101000000",
        "publicationDate": "2026-11-01T00:00:00Z"
    })
}

/// Two pages: JSON in strings as the service has it, and objects as a program that unpacked them writes it.
fn pages() -> [Value; 2] {
    let machine = |tenancy: &str, price: &str| {
        let attributes = json!({
            "instanceType": "c5.large", "operatingSystem": "Linux", "tenancy": tenancy, "preInstalledSw": "NA",
            "capacitystatus": "Used", "usagetype": "BoxUsage:c5.large"
        });
        product("AmazonEC2", "Compute Instance", attributes, "Hrs", price)
    };
    let lustre = json!({
        "fileSystemType": "Lustre", "deploymentOption": "Single-AZ", "storageType": "SSD", "throughputCapacity": "250"
    });
    let windows = json!({"fileSystemType": "Windows", "deploymentOption": "Multi-AZ"});
    let strings = [machine("Shared", "0.0850000000"), machine("Dedicated", "0.0900000000")];
    let objects = [
        product("AmazonEC2", "Storage", json!({"volumeApiName": "gp3"}), "GB-Mo", "0.0800000000"),
        product("AmazonFSx", "Storage", lustre, "GB-Mo", "0.2100000000"),
        product("AmazonFSx", "Provisioned Throughput", windows, "MiBps-Mo", "4.5000000000"),
    ];
    let strings: Vec<String> = strings.iter().map(Value::to_string).collect();
    [
        json!({"FormatVersion": "aws_v1", "NextToken": "more", "PriceList": strings}),
        json!({"FormatVersion": "aws_v1", "PriceList": objects}),
    ]
}

const TRACE: &str = "task_id\thash\tname\tstatus\texit\tsubmit\tduration\trealtime\t%cpu\tpeak_rss\tcpus
1\taa/1\tALIGN (s1)\tFAILED\t1\t2026-11-28 10:00:00.000\t10s\t10s\t50.0%\t1.5 GB\t2
2\taa/2\tALIGN (s1)\tCOMPLETED\t0\t2026-11-28 10:00:10.000\t1m\t1m\t100.0%\t1 GB\t2
";

/// What `-with-weblog` posts, an event in each line.
fn weblog() -> String {
    let trace = json!({
        "task_id": 1, "hash": "aa/1", "name": "ALIGN (s1)", "process": "ALIGN", "status": "COMPLETED", "exit": 0,
        "submit": 1_795_856_400_000_i64, "start": 1_795_856_405_000_i64, "complete": 1_795_858_140_000_i64, "cpus": 2
    });
    let events = [
        json!({"event": "started", "utcTime": "2026-11-28T09:00:00Z", "runName": "rna", "runId": "1"}),
        json!({"event": "process_completed", "utcTime": "2026-11-28T09:29:00Z", "runName": "rna", "trace": trace}),
        json!({
            "event": "completed", "utcTime": "2026-11-28T09:30:00Z", "runName": "rna",
            "metadata": {"workflow": {"success": true}}
        }),
    ];
    events.map(|event| event.to_string()).join("\n")
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn import(node: &Node, words: &[&str]) -> String {
    node.headwater(&[&["solution", "import", "workflow-cost"], words].concat(), "").unwrap()
}

/// The machine that a run had for itself.
fn about(folder: &Path, account: &str, file_systems: &Value) -> String {
    let machine = json!({
        "type": "c5.large", "region": "us-east-1", "cpus": 2, "memory_gib": 4, "file_systems": file_systems,
        "volumes": [{"id": "root", "type": "gp3", "region": "us-east-1", "size_gib": 100}]
    });
    let about = json!({"workflow": "rna", "dataset": "tiny", "account": account, "machine": machine});
    write(folder, "about.json", &about.to_string())
}

/// The launch once it is priced.
fn priced(node: &Node, id: &str) -> Value {
    let mut launch = Value::Null;
    until(&format!("{id} is priced"), || {
        let (status, page) = node.get(&format!("/v1/tables/launches/documents/{id}")).unwrap();
        launch = if status == 200 { json(&page).unwrap() } else { Value::Null };
        launch["cost_status"].is_string()
    })
    .unwrap();
    launch
}

#[test]
fn nextflow_is_priced_by_an_answer_of_the_price_list_and_discounts_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["solution", "apply", "workflow-cost"], "").unwrap();

    let [one, two] = pages();
    let (one, two) = (write(folder, "1.json", &one.to_string()), write(folder, "2.json", &two.to_string()));
    let said = import(&node, &["--prices", "aws", "--as-of", "2026-12-01T00:00:00Z", &one, &two]);
    assert_eq!(said, format!("{one}: 1 series\n{two}: 2 series\n"));
    let rules = json!([{"account": "research", "percent": "10"}]).to_string();
    let rules = write(folder, "rules.json", &rules);
    assert_eq!(import(&node, &["--discounts", &rules]), "1 rule of 1 account\n");
    let rules = write(folder, "rules.csv", "account,resource,percent\nclinic,volume,50\n");
    assert_eq!(import(&node, &["--discounts", &rules]), "1 rule of 1 account\n");
    // One account that no document can be called like, and none is written.
    let long = "z".repeat(100_000);
    let rules = write(folder, "all.csv", &format!("account,percent\nanother,5\n{long},5\n"));
    let said = node.run(&["solution", "import", "workflow-cost", "--discounts", &rules]).unwrap();
    assert!(!said.status.success(), "{said:?}");
    assert!(!node.run(&["table", "get", "discounts", "another"]).unwrap().status.success());

    // Half an hour of a machine, 100 GiB of a volume and 1,200 GiB of a file system, ten per cent off.
    let scratch = json!([
        {"id": "fs", "type": "lustre-persistent_2-ssd-250", "region": "us-east-1", "size_gib": 1_200}
    ]);
    let machine = about(folder, "research", &scratch);
    let records = write(folder, "weblog.jsonl", &weblog());
    let misspelt = write(folder, "misspelt.json", &json!({"acount": "research"}).to_string());
    let words = ["solution", "import", "workflow-cost", "--engine", "nextflow", "--id", "weblog", "--about"];
    let refused = node.run(&[&words[..], &[&misspelt, &records]].concat()).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("HW-COST-002") && said.contains("did you mean `account`?"), "{said}");
    let said = import(&node, &["--engine", "nextflow", "--id", "weblog", "--about", &machine, &records]);
    assert_eq!(said, "launch/weblog imported: 1 jobs, 1 attempts\n");
    let launch = priced(&node, "weblog");
    for (name, cost) in [
        ("cost_status", "priced"),
        ("instance_cost", "0.03825"),
        ("volume_cost", "0.0049315068"),
        ("filesystem_cost", "0.1553424658"),
        ("total_cost", "0.1985239726"),
    ] {
        assert_eq!(launch[name], cost, "{name}: {launch}");
    }

    // Seventy seconds, of which ten failed; half off the volume alone.
    let machine = about(folder, "clinic", &json!([]));
    let records = write(folder, "trace.txt", TRACE);
    let said = import(&node, &["--engine", "nextflow", "--id", "trace", "--about", &machine, &records]);
    assert_eq!(said, "launch/trace imported: 1 jobs, 2 attempts\n");
    let launch = priced(&node, "trace");
    for (name, cost) in [
        ("cost_status", "priced"),
        ("status", "COMPLETE"),
        ("instance_cost", "0.0016527778"),
        ("volume_cost", "0.0001065449"),
        ("filesystem_cost", "0.00"),
        ("total_cost", "0.0017593227"),
    ] {
        assert_eq!(launch[name], cost, "{name}: {launch}");
    }

    let said = node.run(&["solution", "import", "workflow-cost", "--discounts", &one]).unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("HW-COST-002"), "{said:?}");
}
