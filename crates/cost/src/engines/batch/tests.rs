use serde_json::json;

use super::*;

fn answers() -> Value {
    json!({
        "jobs": [{
            "jobId": "j-1", "jobName": "align", "jobDefinition": "arn:aws:batch:us-east-1:1:job-definition/align:3",
            "status": "SUCCEEDED", "createdAt": 1_709_542_800_000_i64, "startedAt": 1_709_542_860_000_i64, "stoppedAt": 1_709_546_400_000_i64,
            "container": {"resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "2048"}]},
            "attempts": [
                {"container": {"containerInstanceArn": "arn:ci/1", "exitCode": 137}, "startedAt": 1_709_542_860_000_i64, "stoppedAt": 1_709_544_600_000_i64},
                {"container": {"containerInstanceArn": "arn:ci/1", "exitCode": 0}, "startedAt": 1_709_544_660_000_i64, "stoppedAt": 1_709_546_400_000_i64}
            ]
        }],
        "containerInstances": [{"containerInstanceArn": "arn:ci/1", "ec2InstanceId": "i-1"}],
        "Reservations": [{"Instances": [{
            "InstanceId": "i-1", "InstanceType": "c5.large", "InstanceLifecycle": "spot", "LaunchTime": "2024-03-04T09:00:30+00:00",
            "Placement": {"AvailabilityZone": "us-east-1b"}, "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2},
            "StateTransitionReason": "User initiated (2024-03-04 10:01:00 GMT)", "Tags": [{"Key": "Name", "Value": "x"}]
        }]}],
        "Volumes": [{"VolumeId": "vol-1", "VolumeType": "gp3", "Size": 100, "Iops": 3000, "Throughput": 125,
            "AvailabilityZone": "us-east-1b", "CreateTime": "2024-03-04T09:00:30Z", "Attachments": [{"InstanceId": "i-1"}]}],
        "FileSystems": [{"FileSystemId": "fs-1", "FileSystemType": "LUSTRE", "StorageType": "SSD", "StorageCapacity": 1200,
            "ResourceARN": "arn:aws:fsx:us-east-1:1:file-system/fs-1", "CreationTime": 1_700_000_000.5, "LustreConfiguration": {"DeploymentType": "SCRATCH_2"}}],
        "clusters": [{"name": "lab", "arn": "arn:aws:eks:us-east-1:1:cluster/lab"}]
    })
}

#[test]
fn answers_of_aws_become_a_run() {
    let about = About { id: "r".to_owned(), ..About::default() };
    let run = read(&answers(), &about).unwrap();
    let machine = &run.instances[0];
    assert_eq!(
        (machine.purchase, machine.region.as_str(), machine.zone.as_str()),
        (Purchase::Spot, "us-east-1", "us-east-1b")
    );
    assert_eq!(machine.ended, Time::parse("2024-03-04T10:01:00Z"));
    assert_eq!(machine.cpus, Some(Decimal::TWO));
    let failed: Vec<bool> = run.jobs[0].attempts.iter().map(|attempt| attempt.failed).collect();
    assert_eq!((run.jobs[0].name.as_str(), failed), ("align", vec![true, false]));
    assert_eq!(run.jobs[0].attempts[0].memory_gib, Some(Decimal::TWO));
    assert_eq!((run.volumes[0].ended, run.volumes[0].instance.as_deref()), (machine.ended, Some("i-1")));
    // It was there before the run, which pays from its own beginning on.
    assert_eq!(
        (run.file_systems[0].kind.as_str(), run.file_systems[0].started),
        ("lustre-scratch_2-ssd", Some(run.started))
    );
    assert_eq!(run.clusters[0].kind, "eks");
}

#[test]
fn an_attempt_on_a_machine_that_nobody_knows_is_refused() {
    let mut answers = answers();
    answers["containerInstances"] = json!([]);
    let problem = read(&answers, &About { id: "r".to_owned(), ..About::default() }).unwrap_err();
    assert_eq!(problem.place.unwrap().path, "jobs[0].attempts[0]");
}

#[test]
fn a_run_is_not_read_while_its_jobs_go_on() {
    let mut answers = answers();
    answers["jobs"][0]["status"] = json!("RUNNING");
    answers["jobs"][0]["attempts"].as_array_mut().unwrap().pop();
    let problem = read(&answers, &About { id: "r".to_owned(), ..About::default() }).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.place.unwrap().path.as_str()), ("HW-COST-002", "jobs[0]"));
    // One that never got a machine is over, too.
    answers["jobs"][0]["status"] = json!("FAILED");
    assert!(read(&answers, &About { id: "r".to_owned(), ..About::default() }).is_ok());
}

#[test]
fn zones_tell_their_regions() {
    for (zone, expected) in [
        ("us-east-1a", "us-east-1"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("ap-southeast-2c", "ap-southeast-2"),
        ("", ""),
    ] {
        assert_eq!(region(zone), expected);
    }
}
