//! Figures of a node's parts under the names that `/metrics` gives them.

use std::sync::Arc;

use headwater_api::http;
use headwater_api::http::metrics::{Figures, Sample};
use headwater_flow::runtime::pipelines::Pipelines;
use headwater_kernel::{Kernel, Ready};
use headwater_log::groups::Groups;
use headwater_log::{Log, Stream};
use headwater_work::Engine;

/// Of pipelines, their steps, the streams they write and their lookups.
pub(crate) fn of_pipelines(pipelines: Pipelines) -> Figures {
    Arc::new(move || {
        let mut samples = Vec::new();
        for (pipeline, figures) in pipelines.figures() {
            samples.extend(figures.into_iter().map(|(name, value)| {
                Sample::new(format!("hw_flow_{name}"), value).label("pipeline", pipeline.as_str())
            }));
        }
        for ((pipeline, step), figures) in pipelines.step_figures() {
            samples.extend(figures.into_iter().map(|(name, value)| {
                Sample::new(format!("hw_flow_step_{name}"), value)
                    .label("pipeline", pipeline.as_str())
                    .label("step", step.as_str())
            }));
        }
        samples.extend(pipelines.written_figures().into_iter().map(|((pipeline, stream), records)| {
            Sample::count("hw_flow_written_total", records).label("pipeline", pipeline).label("stream", stream)
        }));
        for ((pipeline, step), figures) in pipelines.lookup_figures() {
            samples.extend(figures.into_iter().map(|(name, value)| {
                Sample::count(format!("hw_flow_lookup_{name}"), value)
                    .label("pipeline", pipeline.as_str())
                    .label("step", step.as_str())
            }));
        }
        samples
    })
}

/// Of the workflow engine.
pub(crate) fn of_engine(engine: Engine) -> Figures {
    Arc::new(move || {
        let figures = engine.figures().into_iter();
        figures.map(|(name, value)| Sample::new(format!("hw_work_{name}"), value)).collect()
    })
}

/// Of each of several things of one kind, such as every dataset.
pub(crate) fn of_each<F>(
    area: &'static str,
    label: &'static str,
    list: impl Fn() -> Vec<(String, F)> + Send + Sync + 'static,
) -> Figures
where
    F: IntoIterator<Item = (&'static str, u64)>,
{
    Arc::new(move || {
        let mut samples = Vec::new();
        for (of, figures) in list() {
            samples.extend(
                figures
                    .into_iter()
                    .map(|(name, value)| Sample::count(format!("hw_{area}_{name}"), value).label(label, of.as_str())),
            );
        }
        samples
    })
}

/// Of resources, by state.
pub(crate) fn of_kernel(kernel: &Arc<Kernel>) -> Figures {
    let kernel = kernel.clone();
    Arc::new(move || {
        let count =
            |ready: Ready| kernel.list(None).iter().filter(|resource| resource.status.ready == ready).count() as u64;
        [("ready", Ready::True), ("failed", Ready::False), ("pending", Ready::Unknown)]
            .map(|(state, ready)| Sample::count("hw_kernel_resources", count(ready)).label("state", state))
            .to_vec()
    })
}

/// Of streams: what each has taken.
pub(crate) fn of_streams(log: &Arc<dyn Log>) -> Figures {
    let log = log.clone();
    Arc::new(move || {
        let taken = |stream: &Arc<Stream>| -> u64 {
            (0..stream.config.partitions)
                .filter_map(|partition| log.ends(&stream.name, partition).ok())
                .map(|ends| ends.durable.unsigned_abs())
                .sum()
        };
        let sample = |stream: Arc<Stream>| {
            Sample::count("hw_log_stream_events_total", taken(&stream)).label("stream", stream.name.as_str())
        };
        log.streams().into_iter().map(sample).collect()
    })
}

/// Of consumer groups: how far each is behind.
pub(crate) fn of_groups(groups: &Arc<Groups>, log: &Arc<dyn Log>) -> Figures {
    let (groups, log) = (groups.clone(), log.clone());
    Arc::new(move || {
        let mut samples = Vec::new();
        for group in groups.list() {
            for place in http::groups::places(&groups, &*log, &group.group) {
                let sample = Sample::count("hw_log_group_lag_events", place.lag.unsigned_abs())
                    .label("group", group.group.as_str());
                samples.push(sample.label("stream", place.stream).label("partition", place.partition.to_string()));
            }
        }
        samples
    })
}
