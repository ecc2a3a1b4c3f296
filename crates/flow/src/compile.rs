//! From a spec to a [`Plan`]: every program compiled and typed, every path parsed, every stream numbered.
//!
//! What it is NOT: it opens no connector and reads no stream, so a plan can be made anywhere, also for `check` and
//! `diff`. All faults are found in one go, each at its own field.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_base::{Name, Place, Problem};

use crate::operators::{
    Aggregate, AggregateConfig, Kind, Measure, SessionConfig, Sessions, WatermarkConfig, WindowConfig, Windows, session,
};
use crate::path::Path;
use crate::program::{Compiler, Condition, Program};
use crate::runtime::outbox::Target;
use crate::spec::{
    AggregateSpec, AggregateWindow, DedupeSpec, Emit, MeasureSpec, Measures, OutputSpec, PipelineSpec, SessionSpec,
    SourceSpec, StepSpec, WindowKind, WindowSpec,
};

mod circle;
mod layout;
mod plan;
mod wiring;

pub use circle::Onward;
pub use layout::{Layout, incompatible};
pub use plan::*;

/// A problem with the field it is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// JSON pointer from the resource's root, such as `/spec/steps/2/program`.
    pub pointer: String,
    /// Line inside the field's text, from 1; 0 when it is the whole field.
    pub line: u32,
    /// Column in characters inside that line, from 1.
    pub column: u32,
    /// What is wrong.
    pub problem: Problem,
}

/// Makes a plan of a spec.
///
/// # Errors
/// All faults: `HW-FLOW-010` to `HW-FLOW-019` of the wiring, `HW-FLOW-110` to `HW-FLOW-114` of paths and programs.
pub fn compile(name: &Name, spec: &PipelineSpec, compiler: &Compiler) -> Result<Plan, Vec<Fault>> {
    let mut make = Make { compiler, faults: Vec::new(), streams: Vec::new(), conditions: BTreeMap::new() };
    wiring::check(name, spec, &mut make.faults);
    let plan = make.plan(name, spec);
    match plan {
        Some(plan) if make.faults.is_empty() => Ok(plan),
        _ => Err(make.faults),
    }
}

/// The stream that holds a table's documents.
pub fn table_stream(table: &Name) -> String {
    format!("table.{table}")
}

/// Every stream that a pipeline's events and results go to.
pub fn written(spec: &PipelineSpec) -> Vec<String> {
    wiring::written(spec).map(|(_, stream)| stream).filter(|stream| !stream.is_empty()).collect()
}

struct Make<'a> {
    compiler: &'a Compiler,
    faults: Vec<Fault>,
    streams: Vec<Name>,
    /// The places of the measures' conditions, by their texts.
    conditions: BTreeMap<String, usize>,
}

impl Make<'_> {
    fn plan(&mut self, name: &Name, spec: &PipelineSpec) -> Option<Plan> {
        let input = match &spec.source {
            SourceSpec::Stream(source) | SourceSpec::Http(source) => Some((source.stream.clone(), source.start)),
            SourceSpec::File(_) | SourceSpec::Stdin(_) => None,
        };
        let time = spec.time.as_ref().and_then(|time| self.path("/spec/time/field", &time.field));
        let watermark = spec.time.as_ref().map_or_else(WatermarkConfig::default, |time| WatermarkConfig {
            disorder: time.disorder.duration(),
            lateness: time.lateness.duration(),
            idle: time.idle.duration(),
            ahead: time.ahead.duration(),
        });
        let key = spec.key.as_ref().and_then(|key| self.path("/spec/key", key));
        let lateness = watermark.lateness;
        let steps: Vec<Step> = spec
            .steps
            .iter()
            .enumerate()
            .filter_map(|(index, step)| {
                let work = self.work(&format!("/spec/steps/{index}"), step, lateness)?;
                Some(Step { id: step.id().clone(), work })
            })
            .collect();
        let outputs: Vec<Output> = spec
            .outputs
            .iter()
            .enumerate()
            .filter_map(|(index, output)| self.output(&format!("/spec/outputs/{index}"), output))
            .collect();
        let side = |stream: &Option<crate::spec::SideSpec>, word: &str| match stream {
            Some(side) => Ok(side.stream.clone()),
            None => Name::new(&format!("{name}.{word}")),
        };
        let dead = self.named("/spec/errors", side(&spec.errors, "dead"))?;
        let late = if spec.steps.iter().any(StepSpec::stateful) {
            Some(self.named("/spec/late", side(&spec.late, "late"))?)
        } else {
            None
        };
        let retry = spec.retry.as_ref().map(|retry| RetryPlan {
            target: self.target(&retry.stream),
            delay: retry.delay.duration(),
            attempts: retry.attempts,
        });
        let streams = std::mem::take(&mut self.streams);
        Some(Plan {
            name: name.clone(),
            spec: spec.clone(),
            input,
            time,
            watermark,
            key,
            steps,
            outputs,
            streams,
            dead,
            late,
            retry,
        })
    }

    fn work(&mut self, at: &str, step: &StepSpec, lateness: Duration) -> Option<Work> {
        Some(match step {
            StepSpec::Filter(step) => Work::Filter(self.condition(&format!("{at}/when"), &step.when)?),
            StepSpec::Transform(step) => Work::Transform(self.program(&format!("{at}/program"), &step.program)?),
            StepSpec::Lookup(step) => {
                let key = self.path(&format!("{at}/key"), &step.key);
                let into = self.path(&format!("{at}/into"), &step.into);
                Work::Lookup(LookupPlan { ask: Ask::Key(key?), into: into? })
            }
            StepSpec::Score(step) => {
                let into = self.path(&format!("{at}/into"), &step.into);
                let fields = self.fields(&format!("{at}/fields"), &step.fields);
                Work::Lookup(LookupPlan { ask: Ask::Fields(fields?), into: into? })
            }
            StepSpec::Aggregate(step) => Work::Aggregate(self.aggregate(at, step)?),
            StepSpec::Window(step) => Work::Keyed(self.window(at, step, lateness)?),
            StepSpec::Session(step) => Work::Keyed(self.session(at, step, lateness)?),
            StepSpec::Dedupe(DedupeSpec { key, within, .. }) => {
                Work::Dedupe(DedupePlan { key: self.path(&format!("{at}/key"), key)?, within: within.duration() })
            }
        })
    }

    fn aggregate(&mut self, at: &str, step: &AggregateSpec) -> Option<AggregatePlan> {
        let key = self.path(&format!("{at}/key"), &step.key);
        let into = step.into.as_ref().map(|into| self.path(&format!("{at}/into"), into));
        let (measures, inputs) = self.measures(&format!("{at}/measures"), &step.measures)?;
        let length = |window: &AggregateWindow| match window {
            AggregateWindow::Last(span) => Some((span.to_string(), span.duration())),
            AggregateWindow::All => None,
        };
        let mut windows: Vec<(String, Duration)> = step.windows.iter().filter_map(length).collect();
        windows.sort_by_key(|(_, span)| *span);
        windows.dedup();
        let all = match (step.windows.contains(&AggregateWindow::All), step.idle) {
            (true, None) => {
                let problem = Problem::new("HW-FLOW-014", format!("`{}`: the window `all` has no end", step.id));
                let help = "say how long a key without events is kept, as in `idle: 90d`";
                self.fault(&format!("{at}/windows"), problem.help(help));
                return None;
            }
            (false, Some(_)) => {
                let problem = Problem::new("HW-FLOW-014", format!("`{}` has `idle` without a use", step.id));
                let help = "leave it out, or add `all` to `windows`: what is in the other windows ends with them";
                self.fault(&format!("{at}/idle"), problem.help(help));
                return None;
            }
            (_, idle) => idle.map(|idle| idle.duration()),
        };
        let config = AggregateConfig { windows, all, measures };
        if let Err(error) = Aggregate::new(config.clone()) {
            self.fault(at, Problem::new("HW-FLOW-014", format!("`{}`: {error}", step.id)));
        }
        let into = match into {
            Some(into) => Some(into?),
            None => None,
        };
        let output = step.output.as_ref().map(|side| self.target(&side.stream));
        Some(AggregatePlan { config, key: key?, inputs, into, entity: step.entity.clone(), output })
    }

    fn window(&mut self, at: &str, step: &WindowSpec, lateness: Duration) -> Option<KeyedPlan> {
        let key = step.key.as_ref().map(|key| self.path(&format!("{at}/key"), key));
        let (measures, inputs) = self.measures(&format!("{at}/measures"), &step.measures)?;
        let every = match (step.kind, step.every) {
            (WindowKind::Sliding, Some(every)) => every.duration(),
            (WindowKind::Sliding, None) => {
                let problem = Problem::new("HW-FLOW-015", format!("the sliding window `{}` has no `every`", step.id));
                self.fault(at, problem.help("say how often a window begins: `every: 10s`"));
                return None;
            }
            (WindowKind::Tumbling, None) => step.size.duration(),
            (WindowKind::Tumbling, Some(_)) => {
                let problem = Problem::new("HW-FLOW-015", format!("the tumbling window `{}` has `every`", step.id));
                self.fault(&format!("{at}/every"), problem.help("write `kind: sliding`, or leave `every` out"));
                return None;
            }
        };
        let config = WindowConfig { size: step.size.duration(), every, lateness, measures };
        if let Err(error) = Windows::new(config.clone()) {
            self.fault(at, Problem::new("HW-FLOW-014", format!("`{}`: {error}", step.id)));
        }
        let key = match key {
            Some(key) => Some(key?),
            None => None,
        };
        Some(KeyedPlan { config: KeyedConfig::Windows(config), key, inputs, output: self.target(&step.output.stream) })
    }

    fn session(&mut self, at: &str, step: &SessionSpec, lateness: Duration) -> Option<KeyedPlan> {
        let key = self.path(&format!("{at}/key"), &step.key);
        let (measures, mut inputs) = self.measures(&format!("{at}/measures"), &step.measures)?;
        if let Some(path) = &step.path {
            inputs
                .push(InputPlan { value: Some(self.path(&format!("{at}/path/field"), &path.field)?), condition: None });
        }
        let config = SessionConfig {
            gap: step.gap.duration(),
            lateness,
            measures,
            path_max: step.path.as_ref().map(|path| path.max as usize),
            emit: match step.emit {
                Emit::Close => session::Emit::Close,
                Emit::Update => session::Emit::Update,
            },
        };
        if let Err(error) = Sessions::new(config.clone()) {
            self.fault(at, Problem::new("HW-FLOW-014", format!("`{}`: {error}", step.id)));
        }
        Some(KeyedPlan {
            config: KeyedConfig::Sessions(config),
            key: Some(key?),
            inputs,
            output: self.target(&step.output.stream),
        })
    }

    fn measures(&mut self, at: &str, measures: &Measures) -> Option<(Vec<Measure>, Vec<InputPlan>)> {
        let mut kinds = Vec::with_capacity(measures.len());
        let mut inputs = Vec::with_capacity(measures.len());
        for (name, measure) in measures {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let Some(n) = self.kept(&at, name, measure) else { continue };
            let last = Kind::Last { n };
            let given: Vec<(&str, Kind, Option<&String>)> = [
                ("count", Kind::Count, measure.count == Some(true), None),
                ("sum", Kind::Sum, measure.sum.is_some(), measure.sum.as_ref()),
                ("min", Kind::Min, measure.min.is_some(), measure.min.as_ref()),
                ("max", Kind::Max, measure.max.is_some(), measure.max.as_ref()),
                ("mean", Kind::Mean, measure.mean.is_some(), measure.mean.as_ref()),
                ("distinct", Kind::Distinct, measure.distinct.is_some(), measure.distinct.as_ref()),
                ("last", last, measure.last.is_some(), measure.last.as_ref()),
                ("first", Kind::First, measure.first.is_some(), measure.first.as_ref()),
            ]
            .into_iter()
            .filter(|(_, _, given, _)| *given)
            .map(|(word, kind, _, path)| (word, kind, path))
            .collect();
            let [(word, kind, path)] = given.as_slice() else {
                let problem = Problem::new(
                    "HW-FLOW-013",
                    format!("the measure `{name}` has {} kinds; it needs exactly one", given.len()),
                );
                self.fault(&at, problem.help("write `{count: true}`, or one of `sum`, `min`, `max`, `mean`, `distinct`, `last`, `first` with a path"));
                continue;
            };
            let value = match path {
                Some(path) => match self.path(&format!("{at}/{word}"), path) {
                    Some(path) => Some(path),
                    None => continue,
                },
                None => None,
            };
            let condition = match &measure.condition {
                Some(source) => match self.condition(&format!("{at}/where"), source) {
                    Some(condition) => Some(InputCondition { condition, place: self.place(source) }),
                    None => continue,
                },
                None => None,
            };
            kinds.push(Measure::new(name.clone(), *kind));
            inputs.push(InputPlan { value, condition });
        }
        (kinds.len() == measures.len()).then_some((kinds, inputs))
    }

    /// How many values a measure keeps.
    fn kept(&mut self, at: &str, name: &str, measure: &MeasureSpec) -> Option<u16> {
        let Some(n) = measure.n else { return Some(1) };
        let at = format!("{at}/n");
        if measure.last.is_none() {
            let problem = Problem::new("HW-FLOW-014", format!("the measure `{name}` has `n` without a use"));
            self.fault(&at, problem.help("leave it out: it says how many values `last` keeps"));
            return None;
        }
        let kept = u16::try_from(n).ok().filter(|kept| *kept > 0);
        if kept.is_none() {
            let fact = format!("`n` of the measure `{name}` is {n}; it can be 1 to {}", u16::MAX);
            self.fault(&at, Problem::new("HW-FLOW-014", fact).help("leave it out to keep the last value alone"));
        }
        kept
    }

    fn output(&mut self, at: &str, output: &OutputSpec) -> Option<Output> {
        let (when, key) = match output {
            OutputSpec::Stream(output) => (&output.when, output.key.as_ref()),
            OutputSpec::Table(output) => (&output.when, Some(&output.key)),
        };
        let when = self.optional(when.as_ref(), |make, when| make.condition(&format!("{at}/when"), when))?;
        let key = self.optional(key, |make, key| make.path(&format!("{at}/key"), key))?;
        match output {
            OutputSpec::Stream(output) => Some(Output { target: self.target(&output.stream), when, key, table: None }),
            OutputSpec::Table(output) => {
                let delete = self
                    .optional(output.delete.as_ref(), |make, delete| make.condition(&format!("{at}/delete"), delete))?;
                let fields =
                    self.optional(output.fields.as_ref(), |make, fields| make.fields(&format!("{at}/fields"), fields))?;
                let stream = Name::new(&table_stream(&output.table));
                let target = self.named(&format!("{at}/table"), stream)?;
                Some(Output { target, when, key, table: Some(TablePlan { delete, fields }) })
            }
        }
    }

    /// None when the field is there and wrong.
    fn optional<S: ?Sized, T>(
        &mut self,
        field: Option<&S>,
        read: impl FnOnce(&mut Self, &S) -> Option<T>,
    ) -> Option<Option<T>> {
        match field {
            Some(field) => read(self, field).map(Some),
            None => Some(None),
        }
    }

    fn fields(&mut self, at: &str, fields: &BTreeMap<String, String>) -> Option<Vec<(String, Path)>> {
        let read: Vec<(String, Path)> = fields
            .iter()
            .filter_map(|(name, path)| Some((name.clone(), self.path(&format!("{at}/{name}"), path)?)))
            .collect();
        (read.len() == fields.len()).then_some(read)
    }

    fn target(&mut self, stream: &Name) -> Target {
        self.streams.iter().position(|name| name == stream).unwrap_or_else(|| {
            self.streams.push(stream.clone());
            self.streams.len() - 1
        })
    }

    fn named(&mut self, at: &str, stream: Result<Name, Problem>) -> Option<Target> {
        match stream {
            Ok(stream) => Some(self.target(&stream)),
            Err(problem) => {
                self.fault(at, problem);
                None
            }
        }
    }

    fn path(&mut self, at: &str, text: &str) -> Option<Path> {
        let read = Path::parse(text);
        self.keep(at, read)
    }

    fn condition(&mut self, at: &str, source: &str) -> Option<Condition> {
        let read = self.compiler.condition(source, &start_of_text());
        self.keep(at, read)
    }

    /// The place of a measure's condition.
    fn place(&mut self, source: &str) -> usize {
        let next = self.conditions.len();
        *self.conditions.entry(source.to_owned()).or_insert(next)
    }

    fn program(&mut self, at: &str, source: &str) -> Option<Program> {
        let read = self.compiler.program(source, &start_of_text());
        self.keep(at, read)
    }

    /// Keeps the problem with its place inside the field's text, for whoever knows where the field was written.
    fn keep<T>(&mut self, at: &str, read: Result<T, Problem>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(mut problem) => {
                let (line, column) = problem.place.take().map_or((0, 0), |place| (place.line, place.column));
                self.faults.push(Fault { pointer: at.to_owned(), line, column, problem });
                None
            }
        }
    }

    fn fault(&mut self, at: &str, problem: Problem) {
        self.faults.push(Fault { pointer: at.to_owned(), line: 0, column: 0, problem });
    }
}

fn start_of_text() -> Place {
    Place { path: String::new(), line: 1, column: 1 }
}
