//! Runs made from a seed, beside the real ones: long ones, on shared machines and spot prices that change meanwhile, with
//! attempts that overlap and fail, and some that nobody has a price for.
//!
//! What it is NOT: a model of how workflows behave. Its runs are there to be counted in every way the conventions have.

use headwater_cost::Time;
use serde_json::{Value, json};

use crate::solution::clickstream::traffic::chance;

/// Milliseconds of an hour.
const HOUR: u64 = 3_600_000;

/// The day before which no run and no price begins.
const BEGIN: &str = "2026-10-10T00:00:00Z";

/// Days that runs begin on.
const DAYS: u64 = 30;

/// What is made.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Spot prices over that time, as `DescribeSpotPriceHistory` answers.
    pub spot: Value,
    /// Launches and what they used: a run's record, or answers of AWS.
    pub runs: Vec<(Value, Value)>,
}

/// Numbers that follow from the seed.
struct Draw {
    seed: u64,
    number: u64,
}

impl Draw {
    /// Below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.number += 1;
        chance(self.seed, self.number) % bound.max(1)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.below(of.len() as u64);
        of.get(usize::try_from(at).ok()?).copied()
    }

    fn is_one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// Type, cores and memory of the machines.
const MACHINES: [(&str, u64, u64); 4] =
    [("c5.large", 2, 4), ("m5.large", 2, 8), ("c6i.xlarge", 4, 8), ("r5.2xlarge", 8, 64)];

/// Types and zones that have spot prices, and the price in ten thousandths.
const SPOT: [(&str, &str, u64); 3] =
    [("c5.large", "us-east-1a", 340), ("m5.large", "us-east-1b", 380), ("r5.2xlarge", "us-east-1a", 2_010)];

/// Makes `count` runs and the spot prices that they need.
pub fn generate(seed: u64, count: u64) -> Generated {
    let begin = Time::parse(BEGIN).unwrap_or_default();
    let mut draw = Draw { seed, number: 0 };
    let mut history = Vec::new();
    for (kind, zone, base) in SPOT {
        let mut at = 0;
        while at < (DAYS + 2) * 24 * HOUR {
            let price = base + draw.below(base / 5) - base / 10;
            history.push(json!({
                "AvailabilityZone": zone, "InstanceType": kind, "ProductDescription": "Linux/UNIX",
                "SpotPrice": format!("0.{price:04}"), "Timestamp": begin.plus((at / 1_000 * 1_000) as i64)
            }));
            at += HOUR / 4 + draw.below(6 * HOUR);
        }
    }
    let runs = (0..count)
        .map(|number| {
            let launch = launch(&mut draw, number, begin);
            let usage = if number % 4 == 3 { answers(&mut draw, &launch) } else { record(&mut draw, &launch) };
            (launch, usage)
        })
        .collect();
    Generated { spot: json!({ "SpotPriceHistory": history }), runs }
}

/// What is known of a launch before anybody asks what it used.
fn launch(draw: &mut Draw, number: u64, begin: Time) -> Value {
    let started = begin.plus(draw.below(DAYS * 24 * HOUR) as i64);
    let ended = started.plus((HOUR / 12 + draw.below(6 * HOUR)) as i64);
    json!({
        "id": format!("generated-{number:03}"),
        "workflow": draw.one_of(&["assembly", "rnaseq", "variants"]),
        "dataset": draw.one_of(&["small", "medium", "large"]),
        "consumer": draw.one_of(&["lab-east", "lab-west", "core-facility"]),
        "account": draw.one_of(&["research", "clinic", ""]),
        "service": draw.one_of(&["batch", "eks", "parallelcluster", "on-premises"]),
        "started": started,
        "ended": ended,
        "status": "COMPLETE",
    })
}

/// A moment within a launch.
fn within(draw: &mut Draw, launch: &Value) -> (Time, Time) {
    let time = |name: &str| launch[name].as_str().and_then(Time::parse).unwrap_or_default();
    let (started, ended) = (time("started"), time("ended"));
    let all = (ended.0 - started.0).unsigned_abs();
    let from = draw.below(all * 3 / 4);
    let ms = 1 + draw.below(all - from);
    (started.plus(from as i64), started.plus((from + ms) as i64))
}

/// A run's record.
fn record(draw: &mut Draw, launch: &Value) -> Value {
    let service = launch["service"].as_str().unwrap_or_default();
    let mut instances = Vec::new();
    let mut volumes = Vec::new();
    for number in 0..=draw.below(3) {
        let id = format!("i-{number}");
        let (from, to) = within(draw, launch);
        let (mut kind, cpus, memory) = draw.one_of(&MACHINES).unwrap_or(("c5.large", 2, 4));
        let (mut purchase, mut zone, mut region) = ("on_demand", "us-east-1c", "us-east-1");
        if service == "on-premises" {
            (kind, purchase, zone, region) = ("rack", "on_premises", "", "basement");
        } else if draw.is_one_in(2) {
            (kind, zone, _) = draw.one_of(&SPOT).unwrap_or(("c5.large", "us-east-1a", 0));
            purchase = "spot";
        } else if matches!(kind, "m5.large" | "r5.2xlarge") && draw.is_one_in(2) {
            purchase = "reserved";
        }
        if draw.is_one_in(25) {
            kind = "x9.huge";
        }
        let mut machine = json!({
            "id": id, "type": kind, "purchase": purchase, "region": region, "zone": zone, "cpus": cpus,
            "memory_gib": memory, "shared": draw.is_one_in(3)
        });
        if draw.is_one_in(2)
            && let Some(fields) = machine.as_object_mut()
        {
            fields.insert("started".to_owned(), json!(from));
            fields.insert("ended".to_owned(), json!(to));
        }
        instances.push(machine);
        if service != "on-premises" && draw.is_one_in(2) {
            let mut volume = json!({
                "id": format!("vol-{number}"), "type": "gp3", "region": "us-east-1",
                "size_gib": 20 + draw.below(500), "instance": id
            });
            if draw.is_one_in(3) {
                volume["iops"] = json!(3_000 + 100 * draw.below(20));
                volume["throughput_mibps"] = json!(125 + draw.below(100));
            } else if draw.is_one_in(4) {
                volume["type"] = json!("io2");
                volume["iops"] = json!(1_000 + draw.below(2_000));
            }
            volumes.push(volume);
        }
    }
    let machines = instances.len() as u64;
    let jobs: Vec<Value> = (0..1 + draw.below(8)).map(|number| job(draw, launch, number, machines)).collect();
    let mut usage = launch.clone();
    if let Some(fields) = usage.as_object_mut() {
        fields.remove("status");
        fields.insert("jobs".to_owned(), json!(jobs));
        fields.insert("instances".to_owned(), json!(instances));
        fields.insert("volumes".to_owned(), json!(volumes));
        if service == "eks" {
            let share = format!("0.{}", 1 + draw.below(9));
            let cluster = json!({"id": "eks-1", "type": "eks", "region": "us-east-1", "share": share});
            fields.insert("clusters".to_owned(), json!([cluster]));
        }
        if draw.is_one_in(3) {
            let (kind, share) =
                (draw.one_of(&["lustre-scratch_2-ssd", "lustre-persistent_2-ssd-250"]), 1 + draw.below(99));
            let system = json!({
                "id": "fs-1", "type": kind, "region": "us-east-1", "size_gib": 1_200 * (1 + draw.below(4)),
                "share": format!("0.{share:02}")
            });
            fields.insert("file_systems".to_owned(), json!([system]));
        }
    }
    usage
}

fn job(draw: &mut Draw, launch: &Value, number: u64, machines: u64) -> Value {
    let tries = 1 + draw.below(3);
    let attempts: Vec<Value> = (1..=tries)
        .map(|attempt| {
            let (from, to) = within(draw, launch);
            let mut one = json!({
                "instance": format!("i-{}", draw.below(machines)), "failed": attempt < tries, "started": from, "ended": to
            });
            if !draw.is_one_in(3) {
                one["cpus"] = json!(1 + draw.below(2));
                one["memory_gib"] = json!(format!("{}.5", draw.below(4)));
            }
            one
        })
        .collect();
    json!({ "id": format!("job-{number}"), "name": draw.one_of(&["align", "sort", "call"]), "attempts": attempts })
}

/// Answers of AWS about the same kind of run.
fn answers(draw: &mut Draw, launch: &Value) -> Value {
    let text = |name: &str| launch[name].as_str().unwrap_or_default();
    let ms = |time: Time| json!(time.0);
    let mut jobs = Vec::new();
    let machines = 1 + draw.below(2);
    for number in 0..1 + draw.below(4) {
        let tries = 1 + draw.below(2);
        let mut attempts = Vec::new();
        for attempt in 1..=tries {
            let (from, to) = within(draw, launch);
            attempts.push(json!({
                "container": {"containerInstanceArn": format!("arn:ci/{}", draw.below(machines)), "exitCode": i32::from(attempt < tries)},
                "startedAt": ms(from), "stoppedAt": ms(to)
            }));
        }
        let times = |name: &str| Time::parse(text(name)).map(ms);
        jobs.push(json!({
            "jobId": format!("job-{number}"), "jobName": "align", "status": "SUCCEEDED",
            "createdAt": times("started"), "stoppedAt": times("ended"), "attempts": attempts,
            "container": {"resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]}
        }));
    }
    let mut instances = Vec::new();
    let mut volumes = Vec::new();
    for number in 0..machines {
        let (kind, zone, _) = draw.one_of(&SPOT).unwrap_or(("c5.large", "us-east-1a", 0));
        let (from, to) = within(draw, launch);
        let end = to.to_string().get(..19).unwrap_or_default().replace('T', " ");
        let mut machine = json!({
            "InstanceId": format!("i-{number}"), "InstanceType": kind, "LaunchTime": from, "Placement": {"AvailabilityZone": zone},
            "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2}, "StateTransitionReason": format!("User initiated ({end} GMT)"),
        });
        // To the second, as the reason has it; a machine of less than a second would end before it begins.
        machine["LaunchTime"] = json!(from.plus(-1_000));
        if draw.is_one_in(2) {
            machine["InstanceLifecycle"] = json!("spot");
        }
        if draw.is_one_in(3) {
            machine["Tags"] = json!([{"Key": "headwater:shared", "Value": "true"}]);
        }
        instances.push(machine);
        volumes.push(json!({
            "VolumeId": format!("vol-{number}"), "VolumeType": "gp3", "Size": 50 + draw.below(200), "Iops": 3_000,
            "Throughput": 125, "AvailabilityZone": zone, "CreateTime": from.plus(-1_000),
            "Attachments": [{"InstanceId": format!("i-{number}")}]
        }));
    }
    let arns: Vec<Value> = (0..machines)
        .map(|number| json!({"containerInstanceArn": format!("arn:ci/{number}"), "ec2InstanceId": format!("i-{number}")}))
        .collect();
    json!({
        "jobs": jobs, "containerInstances": arns, "Reservations": [{"Instances": instances}], "Volumes": volumes,
        "FileSystems": [{
            "FileSystemId": "fs-1", "FileSystemType": "LUSTRE", "StorageType": "SSD", "StorageCapacity": 1_200,
            "ResourceARN": "arn:aws:fsx:us-east-1:1:file-system/fs-1", "CreationTime": 1_700_000_000,
            "LustreConfiguration": {"DeploymentType": "SCRATCH_2"}
        }]
    })
}
