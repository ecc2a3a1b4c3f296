//! Answers of AWS about a run: what AWS Batch says of its jobs, EC2 of their machines and volumes, FSx of file systems.
//!
//! One JSON object holds the answers' members side by side: `jobs` (DescribeJobs), `containerInstances`
//! (DescribeContainerInstances, which tells a job's machine), `Reservations` (DescribeInstances), `Volumes`
//! (DescribeVolumes), `FileSystems` (DescribeFileSystems), `clusters` (DescribeCluster of EKS). Times are taken as the
//! services and the aws command write them: RFC 3339, seconds or milliseconds since 1970.
//!
//! A machine with the tag `headwater:shared` = `true` is shared, a tag `headwater:purchase` = `reserved` says that a
//! reservation pays it, which DescribeInstances does not tell. A machine that has no end in its transition reason ends
//! with its last attempt.
//!
//! # Source
//! botocore 1.42: batch-2016-08-10, ecs-2014-11-13, ec2-2016-11-15, fsx-2018-03-01, eks-2017-11-01.

use std::collections::{BTreeMap, HashMap};

use headwater_base::Problem;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{ATTEMPTS_MAX, About, refused};
use crate::time::Time;
use crate::usage::{Attempt, Cluster, Entered, FileSystem, Instance, Job, Purchase, Run, State, Volume};

/// Reads the answers as one run.
///
/// # Errors
/// `HW-COST-002` with the path of what cannot be read, `HW-COST-001` for a run that cannot have been.
pub fn read(answers: &Value, about: &About) -> Result<Run, Problem> {
    if !answers.is_object() {
        return Err(wrong("", "answers of AWS are an object with `jobs`, `Reservations` and so on"));
    }
    let machine_of = machines(answers);
    let mut jobs = Vec::new();
    let mut times: Vec<Time> = Vec::new();
    let mut failed = false;
    let mut count = 0;
    for (at, job) in list(answers, "jobs").enumerate() {
        let path = format!("jobs[{at}]");
        let read = read_job(job, &path, &machine_of)?;
        count += read.attempts.len();
        if count > ATTEMPTS_MAX {
            return Err(wrong(&path, "there are too many attempts"));
        }
        times.extend(moment(job, "createdAt", &path)?);
        times.extend(moment(job, "stoppedAt", &path)?);
        times.extend(read.attempts.iter().flat_map(|attempt| [attempt.started, attempt.ended]));
        failed |= job["status"] == "FAILED";
        jobs.push(read);
    }
    let (Some(started), Some(ended)) = (times.iter().min().copied(), times.iter().max().copied()) else {
        return Err(wrong("jobs", "no job names a time"));
    };
    let mut last: HashMap<&str, Time> = HashMap::new();
    let mut running = None;
    for attempt in jobs.iter().flat_map(|job| &job.attempts) {
        let last = last.entry(attempt.instance.as_str()).or_insert(attempt.ended);
        *last = (*last).max(attempt.ended);
        running = Some(running.map_or(attempt.started, |first: Time| first.min(attempt.started)));
    }
    let instances = instances(answers, &last, ended)?;
    let ends: HashMap<&str, Option<Time>> =
        instances.iter().map(|instance| (instance.id.as_str(), instance.ended)).collect();
    let volumes = volumes(answers, &ends)?;
    let end = if failed { State::Failed } else { State::Complete };
    let states = [(State::Preparing, Some(started)), (State::Running, running), (end, Some(ended))];
    let states = states.into_iter().filter_map(|(state, at)| Some(Entered { state, at: at? })).collect();
    let service = if about.service.is_empty() { "batch" } else { about.service.as_str() };
    let run = Run {
        id: about.id.clone(),
        workflow: about.workflow.clone(),
        dataset: about.dataset.clone(),
        consumer: about.consumer.clone(),
        account: about.account.clone(),
        service: service.to_owned(),
        engine: "batch".to_owned(),
        started,
        ended,
        states,
        iterations: about.iterations,
        metrics: BTreeMap::new(),
        jobs,
        file_systems: file_systems(answers, started)?,
        clusters: clusters(answers)?,
        instances,
        volumes,
    };
    run.check()?;
    Ok(run)
}

/// Statuses of jobs that are not over.
const UNDER_WAY: [&str; 5] = ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"];

/// Machines' ids by the ARN that a job's attempt names.
fn machines(answers: &Value) -> HashMap<&str, &str> {
    let pairs = list(answers, "containerInstances");
    pairs.filter_map(|one| Some((one["containerInstanceArn"].as_str()?, one["ec2InstanceId"].as_str()?))).collect()
}

fn read_job(job: &Value, path: &str, machine_of: &HashMap<&str, &str>) -> Result<Job, Problem> {
    let id = job["jobId"].as_str().ok_or_else(|| wrong(path, "no `jobId`"))?;
    // What it goes on to use would never be paid for.
    if let Some(status) = job["status"].as_str().filter(|status| UNDER_WAY.contains(status)) {
        return Err(wrong(path, &format!("the job is `{status}`: a run is read when its jobs are over")));
    }
    let container = &job["container"];
    let cpus = resource(container, "VCPU", "vcpus");
    let memory = resource(container, "MEMORY", "memory").map(|mib| (mib / Decimal::from(1_024)).round_dp(6));
    let succeeded = job["status"] == "SUCCEEDED";
    let listed = job["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut attempts = Vec::new();
    for (at, one) in listed.iter().enumerate() {
        let path = format!("{path}.attempts[{at}]");
        let (Some(started), Some(ended)) = (moment(one, "startedAt", &path)?, moment(one, "stoppedAt", &path)?) else {
            // It never got a machine.
            continue;
        };
        let arn = one["container"]["containerInstanceArn"].as_str().or(container["containerInstanceArn"].as_str());
        let arn = arn.ok_or_else(|| wrong(&path, "no `containerInstanceArn`"))?;
        let Some(instance) = machine_of.get(arn).copied().or(arn.starts_with("i-").then_some(arn)) else {
            let arn: String = arn.chars().take(200).collect();
            return Err(wrong(
                &path,
                &format!("`containerInstances` does not say which machine `{}` is", arn.escape_debug()),
            ));
        };
        let is_last = at + 1 == listed.len();
        attempts.push(Attempt {
            instance: instance.to_owned(),
            failed: !(is_last && succeeded),
            started,
            ended,
            cpus,
            memory_gib: memory,
            cpu_seconds: None,
            memory_peak_mib: None,
        });
    }
    let name =
        job["jobDefinition"].as_str().and_then(|arn| arn.rsplit('/').next()).and_then(|name| name.split(':').next());
    let name = name.or(job["jobName"].as_str()).unwrap_or(id);
    Ok(Job { id: id.to_owned(), name: name.to_owned(), attempts })
}

/// What a container was promised: `resourceRequirements`, or the older field.
fn resource(container: &Value, kind: &str, older: &str) -> Option<Decimal> {
    let mut listed = list(container, "resourceRequirements");
    let text = listed.find(|one| one["type"] == kind).and_then(|one| one["value"].as_str());
    let value = text.map_or_else(|| container[older].as_f64(), |text| text.parse().ok())?;
    super::decimal(value)
}

fn instances(answers: &Value, last: &HashMap<&str, Time>, ended: Time) -> Result<Vec<Instance>, Problem> {
    let mut found = Vec::new();
    for (at, reservation) in list(answers, "Reservations").enumerate() {
        for (number, one) in list(reservation, "Instances").enumerate() {
            let path = format!("Reservations[{at}].Instances[{number}]");
            let text = |name: &str| one[name].as_str().ok_or_else(|| wrong(&path, &format!("no `{name}`")));
            let id = text("InstanceId")?;
            let zone = one["Placement"]["AvailabilityZone"].as_str().unwrap_or_default();
            let tag = |key: &str| list(one, "Tags").find(|tag| tag["Key"] == key).and_then(|tag| tag["Value"].as_str());
            let purchase = match (one["InstanceLifecycle"].as_str(), tag("headwater:purchase")) {
                (Some("spot"), _) => Purchase::Spot,
                (_, Some("reserved")) => Purchase::Reserved,
                _ => Purchase::OnDemand,
            };
            let options = &one["CpuOptions"];
            let cpus = options["CoreCount"]
                .as_i64()
                .map(|cores| cores.saturating_mul(options["ThreadsPerCore"].as_i64().unwrap_or(1)));
            let started = moment(one, "LaunchTime", &path)?;
            let reason = one["StateTransitionReason"].as_str().unwrap_or_default();
            found.push(Instance {
                id: id.to_owned(),
                kind: text("InstanceType")?.to_owned(),
                purchase,
                region: region(zone).to_owned(),
                zone: zone.to_owned(),
                platform: if one["Platform"] == "windows" { "windows" } else { "linux" }.to_owned(),
                cpus: cpus.map(Decimal::from),
                memory_gib: None,
                shared: tag("headwater:shared") == Some("true"),
                started,
                ended: transition(reason).or(last.get(id).copied()).or(Some(ended)),
            });
        }
    }
    Ok(found)
}

/// `User initiated (2024-03-04 09:00:00 GMT)`.
fn transition(reason: &str) -> Option<Time> {
    Time::parse(reason.split_once('(')?.1.split_once(')')?.0.trim_end_matches("GMT").trim_end())
}

fn volumes(answers: &Value, ends: &HashMap<&str, Option<Time>>) -> Result<Vec<Volume>, Problem> {
    let mut found = Vec::new();
    for (at, one) in list(answers, "Volumes").enumerate() {
        let path = format!("Volumes[{at}]");
        let text = |name: &str| one[name].as_str().ok_or_else(|| wrong(&path, &format!("no `{name}`")));
        let instance = list(one, "Attachments").find_map(|attachment| attachment["InstanceId"].as_str());
        let instance = instance.filter(|id| ends.contains_key(id));
        let number = |name: &str| one[name].as_i64().filter(|number| *number > 0).map(Decimal::from);
        found.push(Volume {
            id: text("VolumeId")?.to_owned(),
            kind: text("VolumeType")?.to_owned(),
            region: region(text("AvailabilityZone")?).to_owned(),
            size_gib: number("Size").ok_or_else(|| wrong(&path, "no `Size` above 0"))?,
            iops: number("Iops").filter(|_| matches!(one["VolumeType"].as_str(), Some("gp3" | "io1" | "io2"))),
            throughput_mibps: number("Throughput"),
            instance: instance.map(str::to_owned),
            started: moment(one, "CreateTime", &path)?,
            ended: instance.and_then(|id| ends.get(id).copied().flatten()),
        });
    }
    Ok(found)
}

/// File systems that were there before are paid from the run's beginning on.
fn file_systems(answers: &Value, started: Time) -> Result<Vec<FileSystem>, Problem> {
    let mut found = Vec::new();
    for (at, one) in list(answers, "FileSystems").enumerate() {
        let path = format!("FileSystems[{at}]");
        let text = |name: &str| one[name].as_str().ok_or_else(|| wrong(&path, &format!("no `{name}`")));
        let lustre = &one["LustreConfiguration"];
        let throughput = lustre["PerUnitStorageThroughput"].as_i64().map(|number| number.to_string());
        let words = [
            one["FileSystemType"].as_str(),
            lustre["DeploymentType"].as_str(),
            one["StorageType"].as_str(),
            throughput.as_deref(),
        ];
        let arn = one["ResourceARN"].as_str().unwrap_or_default();
        let size = one["StorageCapacity"].as_i64().filter(|size| *size > 0);
        found.push(FileSystem {
            id: text("FileSystemId")?.to_owned(),
            kind: words.into_iter().flatten().collect::<Vec<_>>().join("-").to_lowercase(),
            region: arn.split(':').nth(3).ok_or_else(|| wrong(&path, "no region in `ResourceARN`"))?.to_owned(),
            size_gib: size.map(Decimal::from).ok_or_else(|| wrong(&path, "no `StorageCapacity` above 0"))?,
            share: Decimal::ONE,
            started: moment(one, "CreationTime", &path)?.map(|created| created.max(started)),
            ended: None,
        });
    }
    Ok(found)
}

fn clusters(answers: &Value) -> Result<Vec<Cluster>, Problem> {
    let listed = list(answers, "clusters").chain(answers.get("cluster")).enumerate();
    listed
        .map(|(at, one)| {
            let path = format!("clusters[{at}]");
            let text = |name: &str| one[name].as_str().ok_or_else(|| wrong(&path, &format!("no `{name}`")));
            let region = text("arn")?.split(':').nth(3).ok_or_else(|| wrong(&path, "no region in `arn`"))?.to_owned();
            let id = text("name")?.to_owned();
            Ok(Cluster { id, kind: "eks".to_owned(), region, share: Decimal::ONE, started: None, ended: None })
        })
        .collect()
}

/// The region of a zone: `us-east-1a` lies in `us-east-1`, `us-west-2-lax-1a` in `us-west-2`.
pub(crate) fn region(zone: &str) -> &str {
    let mut end = 0;
    for part in zone.split('-') {
        end += part.len() + usize::from(end > 0);
        if part.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
            break;
        }
    }
    zone.get(..end).unwrap_or(zone).trim_end_matches(|c: char| c.is_ascii_lowercase())
}

fn moment(of: &Value, name: &str, path: &str) -> Result<Option<Time>, Problem> {
    let time = match &of[name] {
        Value::Null => return Ok(None),
        Value::String(text) => Time::parse(text),
        Value::Number(number) => number.as_f64().and_then(|number| {
            // No service writes seconds beyond the year 5138, or milliseconds before 1973.
            Time::from_seconds(if number.abs() < 1e11 { number } else { number / 1_000.0 })
        }),
        _ => None,
    };
    time.map(Some).ok_or_else(|| wrong(&format!("{path}.{name}"), "it is no time"))
}

fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}

fn wrong(path: &str, fact: &str) -> Problem {
    refused(path, 0, fact.to_owned())
}

#[cfg(test)]
mod tests;
