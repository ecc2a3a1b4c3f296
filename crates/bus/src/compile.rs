//! From resources to subscriptions.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Name, Problem, Span};
use headwater_kernel::kind;
use headwater_kernel::origin::Origin;
use headwater_kernel::resource::Resource;

use crate::kinds::archive::{self, ArchiveSpec};
use crate::kinds::pipe::{self, EnrichmentSpec, PipeSpec, Shape};
use crate::kinds::report::{self, ReportSpec};
use crate::kinds::rule::{self, RuleSpec};
use crate::kinds::schedule::{self, Calendar, Missed, ScheduleSpec};
use crate::kinds::{dead_letters, pattern, space};
use crate::schedule::{Dialect, Expression};
use crate::spec::{Attributes, Start, StreamTarget, TargetSpec};
use crate::subscription::{self, Batch, Enrichment, Subscription, Target};

/// Finds a resource by kind and name.
pub type Find = Arc<dyn Fn(&str, &str) -> Option<Arc<Resource>> + Send + Sync>;

/// What a resource of this crate runs as.
#[derive(Debug)]
pub struct Compiled {
    /// The subscription.
    pub subscription: Subscription,
    /// The stream it reads; None for what is due by the clock.
    pub source: Option<Name>,
    /// When it is due.
    pub calendar: Option<Calendar>,
}

/// Compiles a resource.
///
/// # Errors
/// `HW-KERNEL-010` and `HW-PATTERN-*` for a spec that an older version took, `HW-BUS-006` for a pipeline without a
/// stream.
pub fn compile(resource: &Resource, find: &Find) -> Result<Compiled, Problem> {
    match resource.kind.as_str() {
        "Rule" => rule_of(resource, find),
        "Pipe" => pipe_of(resource, find),
        "Schedule" => schedule_of(resource, find),
        _ => archive_of(resource),
    }
}

fn decode<T: serde::de::DeserializeOwned>(resource: &Resource) -> Result<(T, Origin), Problem> {
    let origin = Origin::resource(&resource.id());
    Ok((kind::decode(resource.effective(), "/spec", &origin)?, origin))
}

fn blank(unit: &'static str, resource: &Resource, dead: Option<&Name>) -> Subscription {
    let name = &resource.metadata.name;
    Subscription {
        unit,
        name: name.clone(),
        space: Arc::from(space(unit, name)),
        patterns: Vec::new(),
        shape: Shape::Plain,
        start: Start::Latest,
        targets: Vec::new(),
        enrichment: None,
        batch: None,
        dead: dead_letters(name, dead),
        archive: None,
    }
}

fn targets(specs: &[TargetSpec], find: &Find) -> Result<Vec<Target>, Problem> {
    let compile = |(number, spec): (usize, &TargetSpec)| {
        let mut target = Target::compile(number, spec)?;
        if let TargetSpec::Pipeline(spec) = spec {
            let name = spec.pipeline.as_str();
            let stream = find("Pipeline", name)
                .and_then(|pipeline| pipeline.effective().pointer("/source/stream")?.as_str().map(str::to_owned))
                .and_then(|stream| Name::new(&stream).ok());
            target.stream = Some(stream.ok_or_else(|| {
                Problem::new("HW-BUS-006", format!("the pipeline `{name}` reads no stream, so it takes no events"))
                    .help("let it read a stream: `source: {type: stream, stream: NAME}`")
            })?);
        }
        Ok(target)
    };
    specs.iter().enumerate().map(compile).collect()
}

fn rule_of(resource: &Resource, find: &Find) -> Result<Compiled, Problem> {
    let (spec, origin): (RuleSpec, _) = decode(resource)?;
    let mut subscription = blank(rule::UNIT, resource, spec.dead_letter.as_ref());
    subscription.start = spec.start;
    subscription.targets = targets(&spec.targets, find)?;
    let calendar = match &spec.schedule {
        None => None,
        Some(text) => Some(Calendar {
            expression: Expression::parse(text, Dialect::Rule)?,
            zone: chrono_tz::UTC,
            anchor: resource.metadata.created,
            start: None,
            end: None,
            window: std::time::Duration::ZERO,
            missed: Missed::Once,
            afterwards: schedule::Afterwards::Keep,
        }),
    };
    let source = match &spec.pattern {
        None => None,
        Some(text) => {
            subscription.patterns.push(pattern(text, "/spec/pattern", &origin)?);
            Some(Name::new(&spec.source)?)
        }
    };
    Ok(Compiled { subscription, source, calendar })
}

fn pipe_of(resource: &Resource, find: &Find) -> Result<Compiled, Problem> {
    let (spec, origin): (PipeSpec, _) = decode(resource)?;
    let mut subscription = blank(pipe::UNIT, resource, spec.dead_letter.as_ref());
    let (source, start) = spec.source.stream()?;
    subscription.start = start;
    subscription.shape = spec.source.shape();
    subscription.targets = targets(std::slice::from_ref(&spec.target), find)?;
    for (number, text) in spec.filter.iter().enumerate() {
        subscription.patterns.push(pattern(text, &format!("/spec/filter/{number}"), &origin)?);
    }
    subscription.batch = spec.batch.map(|batch| Batch {
        size: batch.size as usize,
        window: Duration::from_millis(batch.window.map_or(0, Span::millis)),
    });
    if let Some(asked) = spec.enrichment {
        let input = subscription::input(EnrichmentSpec::input(&asked), "enrichment")?;
        if let Some(delivery) = asked.delivery() {
            for target in &mut subscription.targets {
                target.deliver_by(delivery)?;
            }
        }
        subscription.enrichment = Some((Enrichment::Of(Box::new(asked)), input));
    }
    Ok(Compiled { subscription, source: Some(source), calendar: None })
}

fn schedule_of(resource: &Resource, find: &Find) -> Result<Compiled, Problem> {
    let (spec, origin): (ScheduleSpec, _) = decode(resource)?;
    let mut subscription = blank(schedule::UNIT, resource, spec.dead_letter.as_ref());
    subscription.targets = targets(&spec.targets, find)?;
    let calendar = Calendar::of(&spec, resource.metadata.created)
        .map_err(|(key, problem)| origin.blame(&format!("/spec/{key}"), problem))?;
    Ok(Compiled { subscription, source: None, calendar: Some(calendar) })
}

/// What a report runs as: what makes it, as a schedule whose event is answered by charts, and what sends it, as a pipe.
///
/// # Errors
/// As [`compile`].
pub fn report_of(resource: &Resource, find: &Find) -> Result<(Compiled, Compiled), Problem> {
    let (spec, origin): (ReportSpec, _) = decode(resource)?;
    let stream = spec.stream(&resource.metadata.name)?;
    let mut post = blank(report::POST, resource, spec.dead_letter.as_ref());
    let to: Vec<TargetSpec> = spec.to.iter().map(report::ReportTarget::target).collect();
    post.targets = targets(&to, find)?;
    let post = Compiled { subscription: post, source: Some(stream.clone()), calendar: None };

    let mut draw = blank(report::UNIT, resource, spec.dead_letter.as_ref());
    let event = Attributes { source: report::SOURCE.to_owned(), kind: report::TYPE.to_owned() };
    let made = TargetSpec::Stream(StreamTarget { stream, input: None, key: None, event: Some(event) });
    draw.targets = targets(std::slice::from_ref(&made), find)?;
    let calendar = spec
        .calendar(resource.metadata.created)
        .map_err(|(key, problem)| origin.blame(&format!("/spec/{key}"), problem))?;
    let whole = subscription::input(None, "report")?;
    draw.enrichment = Some((Enrichment::Report(Box::new(spec)), whole));
    Ok((Compiled { subscription: draw, source: None, calendar: Some(calendar) }, post))
}

fn archive_of(resource: &Resource) -> Result<Compiled, Problem> {
    let (spec, origin): (ArchiveSpec, Origin) = decode::<ArchiveSpec>(resource)?;
    let stream = archive::stream_name(resource.metadata.name.as_str())?;
    let mut subscription = blank(archive::UNIT, resource, None);
    if let Some(text) = &spec.pattern {
        subscription.patterns.push(pattern(text, "/spec/pattern", &origin)?);
    }
    subscription.archive = Some(stream);
    Ok(Compiled { subscription, source: Some(Name::new(&spec.source)?), calendar: None })
}
