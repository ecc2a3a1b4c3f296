//! File systems of Amazon FSx in a price list, by the name that an answer of `DescribeFileSystems` gives them.
//!
//! A list says `Single-AZ` of a Lustre file system where the service says which deployment it is. The throughput tells
//! them apart, as far as no two deployments can have it.
//!
//! What it is NOT: for other file systems than Lustre, which are paid by throughput as well.
//!
//! # Source
//! botocore 1.42, fsx-2018-03-01: `PerUnitStorageThroughput` (which values a deployment can have) and
//! `LustreDeploymentType`. The attributes' names are those that programs over the price list ask for (`fileSystemType`,
//! `deploymentOption`, `storageType`, `throughputCapacity`; usage types that end in `BackupUsage`); no list of FSx was at
//! hand to compare.

use serde_json::Value;

/// Code of the service.
pub(super) const SERVICE: &str = "AmazonFSx";

/// What a product is the price of, or why it is the price of nothing that a run has.
pub(super) fn kind(product: &Value) -> Result<String, &'static str> {
    let attributes = &product["product"]["attributes"];
    let text = |name: &str| {
        let text = attributes[name].as_str().unwrap_or_default().trim();
        if text == "NA" || text == "N/A" { String::new() } else { text.to_lowercase() }
    };
    if product["product"]["productFamily"] != "Storage" {
        return Err("FSx beside storage");
    }
    if text("usagetype").ends_with("backupusage") {
        return Err("FSx backups");
    }
    if text("fileSystemType") != "lustre" {
        return Err("FSx other than Lustre");
    }
    let (storage, capacity) = (text("storageType"), text("throughputCapacity"));
    let throughput: String = capacity.chars().take_while(char::is_ascii_digit).collect();
    let option = text("deploymentOption").replace([' ', '-'], "_");
    let deployment = match (storage.as_str(), throughput.as_str()) {
        _ if option.starts_with("scratch") || option.starts_with("persistent") => option.as_str(),
        ("ssd", "50" | "100") | ("hdd", "12" | "40") => "persistent_1",
        ("ssd", "125" | "250" | "500" | "1000") => "persistent_2",
        // 200 is what a scratch file system has, and what a persistent one can have.
        _ => return Err("FSx for Lustre of an unknown deployment"),
    };
    // An answer of the service has the throughput of persistent file systems only.
    let throughput = if deployment.starts_with("scratch") { String::new() } else { throughput };
    let words = ["lustre", deployment, storage.as_str(), throughput.as_str()];
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lustre_is_named_as_the_service_does_or_left_out() {
        let of = |option: &str, storage: &str, throughput: &str| {
            let attributes = json!({
                "fileSystemType": "Lustre", "deploymentOption": option, "storageType": storage,
                "throughputCapacity": throughput, "usagetype": "USE1-Storage"
            });
            kind(&json!({"product": {"productFamily": "Storage", "attributes": attributes}}))
        };
        assert_eq!(of("Single-AZ", "SSD", "250"), Ok("lustre-persistent_2-ssd-250".to_owned()));
        assert_eq!(of("Single-AZ", "SSD", "100 MB/s/TiB"), Ok("lustre-persistent_1-ssd-100".to_owned()));
        assert_eq!(of("Single-AZ", "HDD", "12"), Ok("lustre-persistent_1-hdd-12".to_owned()));
        assert_eq!(of("SCRATCH_2", "SSD", "200"), Ok("lustre-scratch_2-ssd".to_owned()));
        assert_eq!(of("Persistent 1", "SSD", "200"), Ok("lustre-persistent_1-ssd-200".to_owned()));
        for unclear in [of("Single-AZ", "SSD", "200"), of("Single-AZ", "SSD", "N/A"), of("", "", "")] {
            assert_eq!(unclear, Err("FSx for Lustre of an unknown deployment"));
        }
    }

    #[test]
    fn what_is_no_storage_of_lustre_has_no_price_of_a_gigabyte() {
        let of = |family: &str, system: &str, usage: &str| {
            let attributes = json!({"fileSystemType": system, "storageType": "SSD", "usagetype": usage});
            kind(&json!({"product": {"productFamily": family, "attributes": attributes}}))
        };
        assert_eq!(of("Provisioned Throughput", "Windows", "x"), Err("FSx beside storage"));
        assert_eq!(of("Storage", "Lustre", "USE1-BackupUsage"), Err("FSx backups"));
        assert_eq!(of("Storage", "ONTAP", "x"), Err("FSx other than Lustre"));
    }
}
