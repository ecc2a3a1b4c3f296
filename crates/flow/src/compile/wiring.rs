//! What fits together and what does not: ids, targets of `into`, streams read and written, the order of steps.

use std::collections::HashSet;

use headwater_base::{Name, Problem};

use super::{Fault, table_stream};
use crate::spec::{OutputSpec, PipelineSpec, SourceSpec, StepSpec};

/// Lookup types that answer from memory, so that an event never waits for them.
const AT_ONCE: [&str; 5] = ["table", "latest", "file", "mmdb", "ranges"];

pub(super) fn check(name: &Name, spec: &PipelineSpec, faults: &mut Vec<Fault>) {
    let mut fault = |pointer: String, problem: Problem| faults.push(Fault { pointer, line: 0, column: 0, problem });
    ids(spec, &mut fault);
    targets(spec, &mut fault);
    order(spec, &mut fault);
    cycles(name, spec, &mut fault);
    if written(spec).next().is_none() {
        let problem = Problem::new("HW-FLOW-019", "the pipeline writes nothing");
        fault("/spec".to_owned(), problem.help("add an output: `outputs: [{type: stream, stream: NAME}]`"));
    }
    if spec.retry.as_ref().is_some_and(|retry| retry.attempts == 0) {
        fault(
            "/spec/retry/attempts".to_owned(),
            Problem::new("HW-FLOW-018", "`attempts` is 0; at least 1 is needed")
                .help("leave `retry` out to retry nothing"),
        );
    }
}

fn ids(spec: &PipelineSpec, fault: &mut impl FnMut(String, Problem)) {
    let mut seen = HashSet::new();
    for (index, step) in spec.steps.iter().enumerate() {
        let id = step.id();
        if id.as_str() == "source" || id.as_str().contains('/') {
            fault(
                format!("/spec/steps/{index}/id"),
                Problem::new("HW-FLOW-010", format!("`{id}` is the pipeline's own name for its positions"))
                    .help("choose another id"),
            );
        } else if !seen.insert(id) {
            fault(
                format!("/spec/steps/{index}/id"),
                Problem::new("HW-FLOW-010", format!("two steps have the id `{id}`"))
                    .help("ids are unique within a pipeline"),
            );
        }
    }
}

/// Two steps that write to one place, or one inside the other, would silently lose the first answer.
fn targets(spec: &PipelineSpec, fault: &mut impl FnMut(String, Problem)) {
    let mut seen: Vec<(&str, &Name)> = Vec::new();
    for (index, step) in spec.steps.iter().enumerate() {
        let into = match step {
            StepSpec::Lookup(step) => Some(&step.into),
            StepSpec::Score(step) => Some(&step.into),
            StepSpec::Aggregate(step) => step.into.as_ref(),
            _ => None,
        };
        let Some(into) = into else { continue };
        let inside = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if let Some((other, id)) = seen.iter().find(|(other, _)| inside(other, into) || inside(into, other)) {
            let problem =
                Problem::new("HW-FLOW-011", format!("`{into}` is also written by step `{id}` (into `{other}`)"));
            fault(format!("/spec/steps/{index}/into"), problem.help("write each answer to a place of its own"));
        }
        if inside(".enrichment", into) || inside(".revision", into) {
            fault(
                format!("/spec/steps/{index}/into"),
                Problem::new("HW-FLOW-011", format!("`{into}` is written by the pipeline itself"))
                    .help("choose another place"),
            );
        }
        seen.push((into, step.id()));
    }
}

/// State changes with the event's commit, so an event must not have to wait between the two.
fn order(spec: &PipelineSpec, fault: &mut impl FnMut(String, Problem)) {
    let mut stateful: Option<&Name> = None;
    for (index, step) in spec.steps.iter().enumerate() {
        let waits = match step {
            StepSpec::Lookup(step) => {
                !step.lookup.get("type").and_then(|word| word.as_str()).is_some_and(|word| AT_ONCE.contains(&word))
            }
            StepSpec::Score(_) => true,
            _ => false,
        };
        if let (true, Some(before)) = (waits, stateful) {
            let problem = Problem::new(
                "HW-FLOW-016",
                format!("step `{}` may have to wait, and stands behind step `{before}`, which keeps state", step.id()),
            );
            fault(
                format!("/spec/steps/{index}"),
                problem.help("put it before, or into a second pipeline that reads this one's output"),
            );
        }
        if step.stateful() {
            stateful.get_or_insert(step.id());
        }
    }
}

fn cycles(name: &Name, spec: &PipelineSpec, fault: &mut impl FnMut(String, Problem)) {
    let (SourceSpec::Stream(source) | SourceSpec::Http(source)) = &spec.source else { return };
    for (pointer, stream) in written(spec).chain(sides(spec)) {
        if stream == source.stream.as_str() {
            let problem =
                Problem::new("HW-FLOW-012", format!("pipeline `{name}` would read what it writes to `{stream}`"));
            fault(pointer, problem.help("write to another stream"));
        }
    }
    let mut seen: Vec<String> = Vec::new();
    for (pointer, stream) in sides(spec) {
        if seen.contains(&stream) || written(spec).any(|(_, other)| other == stream) {
            fault(
                pointer,
                Problem::new("HW-FLOW-012", format!("`{stream}` is used for two purposes"))
                    .help("dead letters, late events and retries each have their own stream"),
            );
        }
        seen.push(stream);
    }
}

/// Every stream that events and results go to, with where it is named.
pub(super) fn written(spec: &PipelineSpec) -> impl Iterator<Item = (String, String)> {
    let outputs = spec.outputs.iter().enumerate().map(|(index, output)| match output {
        OutputSpec::Stream(output) => (format!("/spec/outputs/{index}/stream"), output.stream.to_string()),
        OutputSpec::Table(output) => (format!("/spec/outputs/{index}/table"), table_stream(&output.table)),
    });
    let steps = spec.steps.iter().enumerate().filter_map(|(index, step)| {
        let side = match step {
            StepSpec::Aggregate(step) => {
                // Values that can be read as features are a result, too.
                step.output
                    .as_ref()
                    .map(|side| side.stream.to_string())
                    .or_else(|| step.entity.as_ref().map(|_| String::new()))?
            }
            StepSpec::Window(step) => step.output.stream.to_string(),
            StepSpec::Session(step) => step.output.stream.to_string(),
            _ => return None,
        };
        Some((format!("/spec/steps/{index}/output/stream"), side))
    });
    outputs.chain(steps)
}

fn sides(spec: &PipelineSpec) -> impl Iterator<Item = (String, String)> {
    let side = |pointer: &str, side: &Option<crate::spec::SideSpec>| {
        side.as_ref().map(|side| (pointer.to_owned(), side.stream.to_string()))
    };
    let retry = spec.retry.as_ref().map(|retry| ("/spec/retry/stream".to_owned(), retry.stream.to_string()));
    [side("/spec/errors/stream", &spec.errors), side("/spec/late/stream", &spec.late), retry].into_iter().flatten()
}
