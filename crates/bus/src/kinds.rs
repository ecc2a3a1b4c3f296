//! The kinds of this crate, a file each.

pub mod archive;
pub mod event_type;
pub mod pipe;
pub mod report;
pub mod rule;
pub mod schedule;

use std::sync::Arc;

use headwater_base::{Limits, Name, Problem};
use headwater_kernel::Origin;
use headwater_kernel::kind::Ref;
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::reconcile::{Owned, Plan, StreamObject, UnitSpec};
use headwater_kernel::resource::Resource;
use headwater_log::StreamConfig;
use headwater_pattern::Pattern;
use serde_json::{Map, Value};

use crate::spec::TargetSpec;
use crate::subscription::Target;

/// The most targets of one rule or schedule.
pub const TARGETS_MAX: usize = 20;

/// Reads a pattern that stands at `pointer` of a resource.
///
/// # Errors
/// `HW-PATTERN-*` with the place.
pub fn pattern(pattern: &Map<String, Value>, pointer: &str, origin: &Origin) -> Result<Pattern, Problem> {
    let text = serde_json::to_string(pattern).unwrap_or_default();
    Pattern::parse(&text).map_err(|mut problem| {
        // Where it stands in the pattern's own text says nothing to who wrote it as YAML.
        problem.place = None;
        origin.blame(pointer, problem)
    })
}

/// What is wrong with targets, beyond what the schema says.
fn target_problems(targets: &[TargetSpec], pointer: &str, origin: &Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    if targets.is_empty() || targets.len() > TARGETS_MAX {
        let fact = format!("there are {} targets; 1 to {TARGETS_MAX} are allowed", targets.len());
        problems.push(origin.blame(pointer, Problem::new("HW-BUS-003", fact)));
    }
    for (number, spec) in targets.iter().enumerate() {
        if let Err(problem) = Target::compile(number, spec) {
            problems.push(origin.blame(&format!("{pointer}/{number}"), problem));
        }
    }
    problems
}

/// What targets name.
fn target_refs(targets: &[TargetSpec], pointer: &str) -> Vec<Ref> {
    let one = |(number, spec): (usize, &TargetSpec)| {
        let (kind, name, field, needed) = match spec {
            TargetSpec::Stream(target) => ("Stream", &target.stream, "stream", false),
            TargetSpec::Table(target) => ("Table", &target.table, "table", true),
            TargetSpec::Pipeline(target) => ("Pipeline", &target.pipeline, "pipeline", true),
            TargetSpec::Reconcile(target) => ("Pipeline", &target.pipeline, "pipeline", true),
            TargetSpec::Workflow(target) => ("Workflow", &target.workflow, "workflow", true),
            TargetSpec::Destination(target) => ("Destination", &target.destination, "destination", true),
            // What a call names stands in its parameters, which an event may make.
            TargetSpec::Task(_) | TargetSpec::Log(_) => return None,
        };
        Some(Ref { kind, name: name.to_string(), at: format!("{pointer}/{number}/{field}"), needed })
    };
    targets.iter().enumerate().filter_map(one).collect()
}

/// A stream that is made where it is missing.
fn made(name: Name, partitions: u32) -> StreamObject {
    let config = StreamConfig { partitions, ..default_config(&Limits::default()) };
    StreamObject { name, config, extra: Vec::new(), alter: false }
}

/// The dead-letter stream of a resource: the one it names, or `<name>.dead`.
pub fn dead_letters(name: &Name, named: Option<&Name>) -> Name {
    named.cloned().or_else(|| Name::new(&format!("{name}.dead")).ok()).unwrap_or_else(|| name.clone())
}

/// The key-value space of a unit of this crate.
pub fn space(unit: &str, name: &Name) -> String {
    format!("{unit}/{name}")
}

/// The plan of a resource that reads `source` and delivers to `targets`.
fn plan(
    unit: &'static str,
    resource: &Arc<Resource>,
    source: Option<(Name, u32)>,
    targets: &[TargetSpec],
    dead: Option<&Name>,
) -> Plan {
    let name = &resource.metadata.name;
    let reads = source.iter().map(|(name, _)| name.clone()).collect();
    let mut streams: Vec<StreamObject> = source.into_iter().map(|(name, partitions)| made(name, partitions)).collect();
    let width = default_config(&Limits::default()).partitions;
    for target in targets {
        if let TargetSpec::Stream(target) = target {
            streams.push(made(target.stream.clone(), width));
        }
    }
    streams.push(made(dead_letters(name, dead), 1));
    Plan {
        streams,
        reads,
        units: vec![UnitSpec::of(unit, resource)],
        owns: vec![Owned::Space(space(unit, name))],
        ..Plan::default()
    }
}
