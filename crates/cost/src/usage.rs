//! What a run used: jobs and their attempts, machines, volumes, file systems, control planes.
//!
//! What it is NOT: it knows no price. A run that passed [`Run::check`] is consistent: ends follow beginnings, every
//! attempt's machine is listed, sizes are positive.

use std::collections::{BTreeMap, HashSet};

use headwater_base::Problem;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::time::{SPAN_MAX_MS, Span, Time};

/// Most attempts of a run, over all its jobs.
pub const ATTEMPTS_MAX: usize = 200_000;

/// Most machines, volumes, file systems and control planes of a run, each.
pub const RESOURCES_MAX: usize = 20_000;

/// The states of a launch, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the words say it")]
pub enum State {
    Preparing,
    Waiting,
    Ready,
    Running,
    Failed,
    Complete,
}

/// When a launch came into a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entered {
    /// The state.
    pub state: State,
    /// When it began.
    pub at: Time,
}

/// How a machine is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Purchase {
    #[default]
    OnDemand,
    Spot,
    Reserved,
    OnPremises,
}

/// One run of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Names it.
    pub id: String,
    /// What ran, such as `variants`.
    #[serde(default)]
    pub workflow: String,
    /// What it ran over.
    #[serde(default)]
    pub dataset: String,
    /// Who pays.
    #[serde(default)]
    pub consumer: String,
    /// The account whose discounts count.
    #[serde(default)]
    pub account: String,
    /// What computed: `ec2`, `batch`, `parallelcluster`, `eks`, `on-premises`.
    #[serde(default)]
    pub service: String,
    /// The engine whose records these are.
    #[serde(default)]
    pub engine: String,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
    /// When it came into which state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<Entered>,
    /// Things done, such as reads aligned, for the rate of iterations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,
    /// Other figures of the run, which reports carry along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// Its jobs.
    #[serde(default)]
    pub jobs: Vec<Job>,
    /// The machines it ran on.
    #[serde(default)]
    pub instances: Vec<Instance>,
    /// The volumes of those.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// File systems it used.
    #[serde(default)]
    pub file_systems: Vec<FileSystem>,
    /// Control planes it used.
    #[serde(default)]
    pub clusters: Vec<Cluster>,
}

/// A part of a run that is tried until it succeeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Names it within the run.
    pub id: String,
    /// What it does, the same for alike ones: the rule, the task.
    #[serde(default)]
    pub name: String,
    /// Its attempts, first to last.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// One try of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The machine's id.
    pub instance: String,
    /// Whether it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
    /// Cores it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Decimal>,
    /// Memory it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<Decimal>,
    /// Seconds of CPU it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// The most memory it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_mib: Option<f64>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Names it.
    pub id: String,
    /// Its type, such as `c5.large`; on premises the rate's name.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it is paid.
    #[serde(default)]
    pub purchase: Purchase,
    /// Its region; on premises the site.
    pub region: String,
    /// Its zone, which spot prices go by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Its operating system.
    #[serde(default = "linux")]
    pub platform: String,
    /// Its cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Decimal>,
    /// Its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<Decimal>,
    /// Whether others use it too: the run then pays its share alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// When it began; with the run if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended; with the run if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

/// A block volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Names it.
    pub id: String,
    /// Its type, such as `gp3`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its region.
    pub region: String,
    /// Its size.
    pub size_gib: Decimal,
    /// Operations a second that it is provisioned for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<Decimal>,
    /// Throughput that it is provisioned for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_mibps: Option<Decimal>,
    /// The machine it belongs to; its times are the volume's if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSystem {
    /// Names it.
    pub id: String,
    /// Its type, such as `lustre-scratch_2-ssd`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its region.
    pub region: String,
    /// Its size.
    pub size_gib: Decimal,
    /// The part of it that this run pays.
    #[serde(default = "whole")]
    pub share: Decimal,
    /// When it began; with the run if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended; with the run if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

/// A control plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Names it.
    pub id: String,
    /// Its type, such as `eks`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its region.
    pub region: String,
    /// The part of it that this run pays.
    #[serde(default = "whole")]
    pub share: Decimal,
    /// When it began; with the run if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
    /// When it ended; with the run if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

fn linux() -> String {
    "linux".to_owned()
}

fn whole() -> Decimal {
    Decimal::ONE
}

impl Run {
    /// The run's own time.
    pub fn span(&self) -> Span {
        Span { from: self.started, to: self.ended }
    }

    /// The time of something with its own beginning and end, where it has them.
    pub fn span_of(&self, started: Option<Time>, ended: Option<Time>) -> Span {
        Span { from: started.unwrap_or(self.started), to: ended.unwrap_or(self.ended) }
    }

    /// The time of a volume: its own, else its machine's, else the run's.
    pub fn span_of_volume(&self, volume: &Volume) -> Span {
        let of = volume.instance.as_ref().and_then(|id| self.instances.iter().find(|instance| instance.id == *id));
        let (started, ended) = of.map_or((None, None), |instance| (instance.started, instance.ended));
        self.span_of(volume.started.or(started), volume.ended.or(ended))
    }

    /// Every attempt with its job and its number from 1.
    pub fn attempts(&self) -> impl Iterator<Item = (&Job, usize, &Attempt)> {
        self.jobs
            .iter()
            .flat_map(|job| job.attempts.iter().enumerate().map(move |(at, attempt)| (job, at + 1, attempt)))
    }

    /// Refuses what cannot have been.
    ///
    /// # Errors
    /// `HW-COST-001` with the field's path.
    pub fn check(&self) -> Result<(), Problem> {
        let wrong = |path: String, fact: String| Err(refused(&self.id, &path, fact));
        if self.id.is_empty() || self.id.len() > 256 {
            return wrong("id".to_owned(), format!("an id has 1 to 256 bytes, this one has {}", self.id.len()));
        }
        let attempts: usize = self.jobs.iter().map(|job| job.attempts.len()).sum();
        let counts = [
            ("jobs", attempts.max(self.jobs.len()), ATTEMPTS_MAX),
            ("instances", self.instances.len(), RESOURCES_MAX),
            ("volumes", self.volumes.len(), RESOURCES_MAX),
            ("file_systems", self.file_systems.len(), RESOURCES_MAX),
            ("clusters", self.clusters.len(), RESOURCES_MAX),
        ];
        if let Some((path, count, most)) = counts.into_iter().find(|(_, count, most)| count > most) {
            return wrong(path.to_owned(), format!("a run has at most {most} of them, this one {count}"));
        }
        let mut spans = vec![(String::new(), self.span())];
        let mut positive: Vec<(String, Option<Decimal>)> = Vec::new();
        let mut shares = Vec::new();
        let mut machines = HashSet::new();
        for (at, instance) in self.instances.iter().enumerate() {
            let path = format!("instances[{at}]");
            if !machines.insert(instance.id.as_str()) {
                return wrong(format!("{path}.id"), format!("`{}` is there twice", instance.id.escape_debug()));
            }
            if instance.purchase == Purchase::Spot && instance.zone.is_empty() {
                return wrong(format!("{path}.zone"), "a spot price goes by zone, and there is none".to_owned());
            }
            if instance.purchase == Purchase::OnPremises && instance.cpus.is_none() {
                return wrong(format!("{path}.cpus"), "a rate for core-hours needs the number of cores".to_owned());
            }
            if instance.shared && instance.cpus.is_none() && instance.memory_gib.is_none() {
                return wrong(path, "a share needs the machine's `cpus` or `memory_gib`".to_owned());
            }
            positive.push((format!("{path}.cpus"), instance.cpus));
            positive.push((format!("{path}.memory_gib"), instance.memory_gib));
            spans.push((path, self.span_of(instance.started, instance.ended)));
        }
        for (at, volume) in self.volumes.iter().enumerate() {
            if let Some(id) = volume.instance.as_ref().filter(|id| !machines.contains(id.as_str())) {
                return wrong(
                    format!("volumes[{at}].instance"),
                    format!("there is no machine `{}`", id.escape_debug()),
                );
            }
            positive.push((format!("volumes[{at}].size_gib"), Some(volume.size_gib)));
            positive.push((format!("volumes[{at}].iops"), volume.iops));
            positive.push((format!("volumes[{at}].throughput_mibps"), volume.throughput_mibps));
            spans.push((format!("volumes[{at}]"), self.span_of_volume(volume)));
        }
        for (at, system) in self.file_systems.iter().enumerate() {
            positive.push((format!("file_systems[{at}].size_gib"), Some(system.size_gib)));
            shares.push((format!("file_systems[{at}].share"), system.share));
            spans.push((format!("file_systems[{at}]"), self.span_of(system.started, system.ended)));
        }
        for (at, cluster) in self.clusters.iter().enumerate() {
            shares.push((format!("clusters[{at}].share"), cluster.share));
            spans.push((format!("clusters[{at}]"), self.span_of(cluster.started, cluster.ended)));
        }
        for (at, job) in self.jobs.iter().enumerate() {
            for (number, attempt) in job.attempts.iter().enumerate() {
                let path = format!("jobs[{at}].attempts[{number}]");
                if !machines.contains(attempt.instance.as_str()) {
                    let id = attempt.instance.escape_debug();
                    return wrong(format!("{path}.instance"), format!("there is no machine `{id}`"));
                }
                positive.push((format!("{path}.cpus"), attempt.cpus));
                positive.push((format!("{path}.memory_gib"), attempt.memory_gib));
                spans.push((path, Span { from: attempt.started, to: attempt.ended }));
            }
        }
        for (path, span) in spans {
            let ms = span.to.0.saturating_sub(span.from.0);
            if !(0..=SPAN_MAX_MS).contains(&ms) {
                let fact = format!("from {} to {} is no time of at most ten years", span.from, span.to);
                return wrong(path, fact);
            }
        }
        let most = Decimal::from(1_000_000_000);
        for (path, value) in positive {
            if let Some(value) = value.filter(|value| *value <= Decimal::ZERO || *value > most || value.scale() > 6) {
                return wrong(path, format!("`{value}` is not above 0 and at most {most} with at most 6 decimals"));
            }
        }
        for (path, share) in shares {
            if share < Decimal::ZERO || share > Decimal::ONE || share.scale() > 6 {
                return wrong(path, format!("`{share}` is no share from 0 to 1 with at most 6 decimals"));
            }
        }
        Ok(())
    }
}

fn refused(id: &str, path: &str, fact: String) -> Problem {
    let id: String = id.chars().take(64).collect();
    let place = if path.is_empty() { format!("Run/{id}") } else { format!("Run/{id} {path}") };
    Problem::new("HW-COST-001", format!("a run's record cannot be: {fact}"))
        .at(place, 0, 0)
        .help("compare the record with the form in `headwater explain HW-COST-001`")
}

#[cfg(test)]
mod tests;
