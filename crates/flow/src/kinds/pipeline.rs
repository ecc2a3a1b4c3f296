//! Kind Pipeline: what is read, done and written; see [`crate::spec`].
//!
//! A pipeline makes the streams it writes where they are missing; tables have to be there, since a table is more than
//! its stream.

use std::sync::Arc;

use headwater_base::{Limits, Name, Problem};
use headwater_kernel::kind::{self, ApplyOptions, Kind, Ref, View};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::origin::child;
use headwater_kernel::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use headwater_kernel::shape;
use headwater_log::StreamConfig;
use serde_json::Value;

use crate::compile::{self, Fault, Layout, Onward};
use crate::program::{self, Compiler};
use crate::runtime::backends;
use crate::spec::{Measures, OutputSpec, PipelineSpec, SourceSpec, StepSpec};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Pipeline",
    plural: "pipelines",
    short: &["pl"],
    doc: "Reads events, filters, transforms and enriches them, aggregates them over event time, and writes them on, exactly once.",
    schema: kind::schema::<PipelineSpec>,
    example: EXAMPLE,
    effective: kind::effective::<PipelineSpec>,
    validate,
    change,
    refs,
    reconcile,
};

/// The unit kind that runs a pipeline.
pub const UNIT: &str = "pipeline";

const EXAMPLE: &str = r#"apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: enrich}
spec:
  source: {type: stream, stream: clicks.raw, start: earliest}
  time: {field: .time, disorder: 5s, lateness: 1m}
  key: .user_id
  steps:
    - {id: keep, type: filter, when: '.kind != "heartbeat"'}
    - id: anonymise
      type: transform
      program: |
        .country = upcase(string(.country) ?? "")
        del(.email)
    - id: sessions
      type: session
      key: .user_id
      gap: 30m
      measures: {views: {count: true}, spend: {sum: .price}}
      path: {field: .page, max: 50}
      output: {stream: clicks.sessions}
  outputs:
    - {type: stream, stream: clicks.enriched, when: '.kind == "view"', key: .user_id}
  errors: {stream: clicks.dead}
  late: {stream: clicks.late}
"#;

/// Reads and compiles a draft.
///
/// # Errors
/// All faults, each with its place.
pub fn plan(draft: &Draft, compiler: &Compiler) -> Result<compile::Plan, Vec<Problem>> {
    let spec: PipelineSpec = kind::decode(&draft.spec, "/spec", &draft.origin).map_err(|problem| vec![problem])?;
    compile::compile(&draft.name, &spec, compiler)
        .map_err(|faults| faults.into_iter().map(|fault| placed(draft, fault)).collect())
}

/// A fault with the line and column at which it was written.
fn placed(draft: &Draft, fault: Fault) -> Problem {
    let place = if fault.line > 0 {
        draft.origin.inside(&fault.pointer, fault.line, fault.column)
    } else {
        draft.origin.place(&fault.pointer)
    };
    fault.problem.at(place.path, place.line, place.column)
}

fn validate(draft: &Draft, view: &View<'_>) -> Vec<Problem> {
    let plan = match plan(draft, &Compiler::for_check()) {
        Ok(plan) => plan,
        Err(problems) => return problems,
    };
    let mut problems = Vec::new();
    if plan.input.is_none() {
        let problem = Problem::new("HW-FLOW-017", "a pipeline over a file or standard input cannot run on a node");
        problems.push(
            draft.origin.blame("/spec/source", problem.help("run it with `headwater run FILE`, or read a stream")),
        );
    }
    problems
        .extend(plan.spec.steps.iter().enumerate().flat_map(|(index, step)| lookup_problems(draft, index, step, view)));
    if let Some(cycle) = cycle(&plan, view) {
        let fact = format!("events would go round for ever: {}", cycle.join(" -> "));
        problems.push(draft.origin.blame(
            "/spec/outputs",
            Problem::new("HW-FLOW-012", fact).help("write to a stream that leads nowhere back"),
        ));
    }
    problems
}

/// What is wrong with the spec of what a step asks.
fn lookup_problems(draft: &Draft, index: usize, step: &StepSpec, view: &View<'_>) -> Vec<Problem> {
    let Some(spec) = backends::asked(step) else { return Vec::new() };
    let at = match step {
        StepSpec::Lookup(_) => format!("/spec/steps/{index}/lookup"),
        _ => format!("/spec/steps/{index}/url"),
    };
    let kind = match backends::kind(view.registry.lookups(), &spec) {
        Ok(kind) => kind,
        Err(problem) => return vec![draft.origin.blame(&format!("{at}/type"), problem)],
    };
    let problems = shape::check(&(kind.schema)(), &spec, &at, &draft.origin);
    if !problems.is_empty() {
        return problems;
    }
    (kind.check)(&spec).err().map(|problem| draft.origin.blame(&at, problem)).into_iter().collect()
}

/// The way from a pipeline through the others of this apply back to its own input, if there is one.
fn cycle(plan: &compile::Plan, view: &View<'_>) -> Option<Vec<String>> {
    let (input, _) = plan.input.as_ref()?;
    let mut onward = Onward::default();
    for draft in view.drafts.values().filter(|draft| draft.kind == KIND.name && draft.name != plan.name) {
        let Ok(spec) = serde_json::from_value::<PipelineSpec>(draft.spec.clone()) else { continue };
        if let Some(source) = source_of(&spec) {
            onward.add(source.as_str(), &compile::written(&spec));
        }
    }
    onward.way_back(input.as_str(), &compile::written(&plan.spec))
}

/// What is allowed and worth a word: events that may come back to where they came from, and copies that wait where
/// nobody will look for them.
pub fn advice(drafts: &[Draft], stored: &[Arc<Resource>]) -> Vec<Problem> {
    let mut problems = circles(drafts, stored);
    problems
        .extend(drafts.iter().filter(|draft| draft.kind == KIND.name).filter_map(|draft| left_behind(draft, stored)));
    problems
}

/// The retry stream that a pipeline has had and would have no more: it reads one, and what waits on another stays there.
fn left_behind(draft: &Draft, stored: &[Arc<Resource>]) -> Option<Problem> {
    let retry = |spec: &Value| {
        let spec: PipelineSpec = serde_json::from_value(spec.clone()).ok()?;
        spec.retry.map(|retry| retry.stream)
    };
    let is_its = |resource: &&Arc<Resource>| resource.kind == KIND.name && resource.metadata.name == draft.name;
    let before = retry(stored.iter().find(is_its)?.effective())?;
    if retry(&draft.spec).as_ref() == Some(&before) {
        return None;
    }
    let fact = format!("what waits in `{before}` for another try of its lookups is tried no more by `{}`", draft.name);
    let help = "change it once the stream has nothing left to try, or run `headwater reconcile --repair` afterwards";
    Some(draft.origin.blame("/spec/retry", Problem::new("HW-FLOW-052", fact).help(help)))
}

/// Pipelines among `drafts` whose events may come back to them by a way that [`KIND`]'s check leaves open: over
/// pipelines that are there already, over dead letters and the like, or over what a table tells of its changes. It can
/// be meant, such as a second try behind a filter, and a running pipeline cuts what goes round too often.
fn circles(drafts: &[Draft], stored: &[Arc<Resource>]) -> Vec<Problem> {
    let drafted: Vec<(&Draft, String, Vec<String>)> = drafts
        .iter()
        .filter(|draft| draft.kind == KIND.name)
        .filter_map(|draft| {
            let (reads, writes) = ends(&draft.name, &draft.spec)?;
            Some((draft, reads, writes))
        })
        .collect();
    let mut onward = Onward::default();
    for (_, reads, writes) in &drafted {
        onward.add(reads, writes);
    }
    let stays = |resource: &&Arc<Resource>| {
        resource.kind == KIND.name && !drafted.iter().any(|(draft, ..)| draft.name == resource.metadata.name)
    };
    for resource in stored.iter().filter(stays) {
        if let Some((reads, writes)) = ends(&resource.metadata.name, resource.effective()) {
            onward.add(&reads, &writes);
        }
    }
    onward.add_changes();
    let warned = drafted.iter().filter_map(|(draft, reads, writes)| {
        let way = onward.way_back(reads, writes)?;
        let fact = format!("what `{}` writes may come back to it: {}", draft.name, way.join(" -> "));
        let problem = Problem::new("HW-FLOW-051", fact);
        let help = "let `when` of an output keep what has gone round; after some steps a chain is cut (HW-FLOW-050)";
        Some(draft.origin.blame("/spec/outputs", problem.help(help)))
    });
    warned.collect()
}

/// The stream that a pipeline reads and those it writes.
fn ends(name: &Name, spec: &Value) -> Option<(String, Vec<String>)> {
    let spec: PipelineSpec = serde_json::from_value(spec.clone()).ok()?;
    let mut writes = compile::written(&spec);
    writes.extend(made(name, &spec).into_iter().map(|(stream, _)| stream.to_string()));
    Some((source_of(&spec)?.to_string(), writes))
}

fn source_of(spec: &PipelineSpec) -> Option<&Name> {
    match &spec.source {
        SourceSpec::Stream(source) | SourceSpec::Http(source) => Some(&source.stream),
        SourceSpec::File(_) | SourceSpec::Stdin(_) => None,
    }
}

fn change(old: &Resource, new: &Draft, options: &ApplyOptions) -> Vec<Problem> {
    let compiler = Compiler::for_check();
    let (Ok(before), Ok(after)) = (plan(&old.draft(), &compiler), plan(new, &compiler)) else { return Vec::new() };
    if options.reset_state {
        return Vec::new();
    }
    let problems = compile::incompatible(&Layout::of(&before), &Layout::of(&after));
    problems.into_iter().map(|problem| new.origin.blame("/spec", problem)).collect()
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<PipelineSpec>(spec.clone()) else { return Vec::new() };
    let mut refs = Vec::new();
    if let Some(stream) = source_of(&spec) {
        refs.push(Ref {
            kind: "Stream",
            name: stream.to_string(),
            at: "/spec/source/stream".to_owned(),
            needed: false,
        });
    }
    for (index, step) in spec.steps.iter().enumerate() {
        let StepSpec::Lookup(step) = step else { continue };
        let secrets = step.lookup.get("headers").and_then(Value::as_object).into_iter().flatten();
        refs.extend(secrets.filter_map(|(header, value)| {
            let name = value.get("secret")?.as_str()?.to_owned();
            let at = child(&format!("/spec/steps/{index}/lookup/headers"), header);
            Some(Ref { kind: "Secret", name, at: format!("{at}/secret"), needed: true })
        }));
        let text = |field: &str| step.lookup.get(field).and_then(Value::as_str);
        let (kind, field) = match text("type") {
            Some("table") => ("Table", "table"),
            Some("latest") => ("Stream", "stream"),
            _ => continue,
        };
        if let Some(name) = text(field) {
            refs.push(Ref {
                kind,
                name: name.to_owned(),
                at: format!("/spec/steps/{index}/lookup/{field}"),
                needed: kind == "Table",
            });
        }
    }
    for (at, source) in programs(&spec) {
        refs.extend(program::secrets_of(source).iter().map(|name| Ref {
            kind: "Secret",
            name: name.clone(),
            at: at.clone(),
            needed: true,
        }));
    }
    for (index, output) in spec.outputs.iter().enumerate() {
        if let OutputSpec::Table(output) = output {
            refs.push(Ref {
                kind: "Table",
                name: output.table.to_string(),
                at: format!("/spec/outputs/{index}/table"),
                needed: true,
            });
        }
    }
    refs
}

/// Every VRL text of a spec, with where it stands.
fn programs(spec: &PipelineSpec) -> Vec<(String, &str)> {
    let mut programs: Vec<(String, &str)> = Vec::new();
    for (index, step) in spec.steps.iter().enumerate() {
        let at = format!("/spec/steps/{index}");
        let measures: Option<&Measures> = match step {
            StepSpec::Filter(step) => {
                programs.push((format!("{at}/when"), &step.when));
                None
            }
            StepSpec::Transform(step) => {
                programs.push((format!("{at}/program"), &step.program));
                None
            }
            StepSpec::Aggregate(step) => Some(&step.measures),
            StepSpec::Window(step) => Some(&step.measures),
            StepSpec::Session(step) => Some(&step.measures),
            StepSpec::Lookup(_) | StepSpec::Score(_) | StepSpec::Dedupe(_) => None,
        };
        for (name, measure) in measures.into_iter().flatten() {
            let at = child(&format!("{at}/measures"), name);
            programs.extend(measure.condition.as_deref().map(|condition| (format!("{at}/where"), condition)));
        }
    }
    for (index, output) in spec.outputs.iter().enumerate() {
        let at = format!("/spec/outputs/{index}");
        let (when, delete) = match output {
            OutputSpec::Stream(output) => (&output.when, None),
            OutputSpec::Table(output) => (&output.when, output.delete.as_deref()),
        };
        programs.extend(when.as_deref().map(|when| (format!("{at}/when"), when)));
        programs.extend(delete.map(|delete| (format!("{at}/delete"), delete)));
    }
    programs
}

fn reconcile(resource: &Arc<Resource>, observed: &Observed) -> Plan {
    let name = &resource.metadata.name;
    let Ok(spec) = serde_json::from_value::<PipelineSpec>(resource.effective().clone()) else { return Plan::default() };
    let Some(source) = source_of(&spec) else { return Plan::default() };
    let standard = default_config(&Limits::default());
    let object = |name: Name, config: StreamConfig| StreamObject { name, config, extra: Vec::new(), alter: false };
    let mut streams = vec![object(source.clone(), standard.clone())];
    let width = observed.streams.get(source).map_or(standard.partitions, |stream| stream.config.partitions);
    for (stream, narrow) in made(name, &spec) {
        let partitions = if narrow { 1 } else { width };
        if streams.iter().all(|known| known.name != stream) {
            streams.push(object(stream, StreamConfig { partitions, ..standard.clone() }));
        }
    }
    let mut owns: Vec<Owned> = vec![Owned::Space(format!("pipeline/{name}/source"))];
    owns.extend(
        spec.steps
            .iter()
            .filter(|step| step.stateful())
            .map(|step| Owned::Space(format!("pipeline/{name}/{}", step.id()))),
    );
    Plan { streams, reads: vec![source.clone()], units: vec![UnitSpec::of(UNIT, resource)], owns, ..Plan::default() }
}

/// Streams that the pipeline makes where they are missing, and whether one partition is enough.
fn made(name: &Name, spec: &PipelineSpec) -> Vec<(Name, bool)> {
    let outputs = spec.outputs.iter().filter_map(|output| match output {
        OutputSpec::Stream(output) => Some((output.stream.clone(), false)),
        OutputSpec::Table(_) => None,
    });
    let steps = spec.steps.iter().filter_map(|step| match step {
        StepSpec::Aggregate(step) => step.output.clone(),
        StepSpec::Window(step) => Some(step.output.clone()),
        StepSpec::Session(step) => Some(step.output.clone()),
        _ => None,
    });
    let mut made: Vec<(Name, bool)> = outputs.chain(steps.map(|side| (side.stream, false))).collect();
    let side = |side: &Option<crate::spec::SideSpec>, word: &str| match side {
        Some(side) => Some(side.stream.clone()),
        None => Name::new(&format!("{name}.{word}")).ok(),
    };
    made.extend(side(&spec.errors, "dead").map(|stream| (stream, true)));
    if spec.steps.iter().any(StepSpec::stateful) {
        made.extend(side(&spec.late, "late").map(|stream| (stream, true)));
    }
    made.extend(spec.retry.as_ref().map(|retry| (retry.stream.clone(), true)));
    made
}

#[cfg(test)]
mod tests;
