//! What the bytes of a key's state mean, computed once from the step's configuration.

use headwater_base::Micros;

use crate::operators::aggregate::AggregateConfig;
use crate::operators::aggregate::walk::Scratch;
use crate::operators::codec::Corrupt;
use crate::operators::seen::TICKS_MAX;
use crate::operators::value::render_text;
use crate::operators::{ConfigError, Kind};

/// Panes that one window may have.
const PANES_MAX: i64 = 240;
/// How often keys are looked through in the time that one may be idle.
const SWEEPS_PER_IDLE: i64 = 24;
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Grains a person would choose.
#[rustfmt::skip]
const GRAINS: [i64; 22] = [
    SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 20 * SECOND, 30 * SECOND,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 20 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR,
];

/// What the bytes of a key's state mean; enough to read them without the operator.
#[derive(Debug)]
pub struct Shape {
    config: AggregateConfig,
    /// Length of a tick: the finest grain.
    pub(super) tick: i64,
    /// How much event time lies between two looks for keys that are over.
    sweeping: i64,
    /// Ticks after its newest one at which a key still goes on; None where its windows alone end it.
    idle: Option<i64>,
    pub(super) windows: Vec<Window>,
    pub(super) measures: Vec<Slot>,
    /// What those compute that live in panes.
    kinds: Vec<Kind>,
    pub(super) all: bool,
    /// For each window (and `all`) and each measure: `"name_window":`.
    pub(super) labels: Vec<Vec<Vec<u8>>>,
}

/// One window.
#[derive(Debug)]
pub(super) struct Window {
    /// Ticks in one of its panes.
    pub(super) ratio: i64,
    panes: i64,
}

/// Where a measure lives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    /// In each pane, as its nth measure.
    Pane(usize, Kind),
    /// In the nth structure of values seen.
    Seen(usize),
    /// In the nth list of newest values.
    Recent(usize, u16),
}

impl Shape {
    pub(super) fn new(config: AggregateConfig) -> Result<Self, ConfigError> {
        let fail = |text: String| Err(ConfigError(text));
        if config.windows.is_empty() && config.all.is_none() {
            return fail("an aggregate needs at least one window".to_owned());
        }
        if config.measures.is_empty() {
            return fail("an aggregate needs at least one measure".to_owned());
        }
        let mut sizes = Vec::new();
        for (name, size) in &config.windows {
            let size = i64::try_from(size.as_micros()).unwrap_or(i64::MAX);
            if size < 1_000 {
                return fail(format!("window `{name}` is shorter than a millisecond"));
            }
            if sizes.last().is_some_and(|before| *before >= size) {
                return fail(format!("window `{name}` is not longer than the one before it"));
            }
            sizes.push(size);
        }
        let idle = config.all.map(|idle| i64::try_from(idle.as_micros()).unwrap_or(i64::MAX));
        if let (Some(idle), Some((name, _))) = (idle, config.windows.last())
            && sizes.last().is_some_and(|size| idle < *size)
        {
            return fail(format!("`idle` is shorter than the window `{name}`"));
        }
        if idle.is_some_and(|idle| idle < 1_000) {
            return fail("`idle` is shorter than a millisecond".to_owned());
        }
        let Some(grains) = grains(&sizes) else {
            let names: Vec<_> = config.windows.iter().map(|(name, _)| name.as_str()).collect();
            return fail(format!("windows {} have no panes that divide each other", names.join(", ")));
        };
        let tick = grains.first().copied().unwrap_or(1);
        if sizes.last().is_some_and(|size| size / tick > TICKS_MAX) {
            return fail("the longest window is too long for panes of the shortest".to_owned());
        }
        let coarsest = grains.last().copied().unwrap_or(1);
        let sweeping = idle.map_or(coarsest, |idle| coarsest.max(idle / SWEEPS_PER_IDLE));
        // One more than it has, so that the windows of a key that is over are empty wherever they begin.
        let idle = idle.map(|idle| (idle / tick).saturating_add(1));
        let window = |(size, grain): (&i64, &i64)| Window { ratio: grain / tick, panes: size / grain };
        let windows = sizes.iter().zip(&grains).map(window).collect();
        let (mut seen, mut recent, mut pane) = (0, 0, 0);
        let mut slot = |kind: Kind| match kind {
            Kind::Distinct => {
                seen += 1;
                Slot::Seen(seen - 1)
            }
            Kind::Last { n } => {
                recent += 1;
                Slot::Recent(recent - 1, n.max(1))
            }
            kind => {
                pane += 1;
                Slot::Pane(pane - 1, kind)
            }
        };
        let measures: Vec<Slot> = config.measures.iter().map(|measure| slot(measure.kind)).collect();
        let in_pane = |slot: &Slot| if let Slot::Pane(_, kind) = slot { Some(*kind) } else { None };
        let kinds = measures.iter().filter_map(in_pane).collect();
        let label = |field: String| {
            let mut label = Vec::new();
            render_text(&mut label, &field);
            label.push(b':');
            label
        };
        let labels = names(&config).map(|fields| fields.map(label).collect()).collect();
        let all = config.all.is_some();
        Ok(Self { config, tick, sweeping, idle, windows, measures, kinds, all, labels })
    }

    /// What it was built from.
    pub const fn config(&self) -> &AggregateConfig {
        &self.config
    }

    /// The names of the fields that [`Self::render`] writes, in order.
    pub fn fields(&self) -> Vec<String> {
        names(&self.config).flatten().collect()
    }

    /// The values of a key's state as of `at`, as [`super::Aggregate::event`] writes them.
    ///
    /// # Errors
    /// [`Corrupt`] when the state cannot be read.
    pub fn render(&self, value: &[u8], at: Micros, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        self.run(Some(value), self.tick(at), None, &mut Scratch::default(), Some(out))
    }

    /// The first time that a window whose values are as of `at` holds; None for a name that is not a window's. An
    /// event is in the window if it is not before this.
    pub fn since(&self, window: &str, at: Micros) -> Option<Micros> {
        let index = self.config.windows.iter().position(|(name, _)| name == window)?;
        let bound = self.windows.get(index)?.bound(self.tick(at));
        Some(Micros(bound.saturating_mul(self.tick)))
    }

    /// What the measures compute that live in panes.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.kinds.iter().copied()
    }

    /// How much event time lies between two looks for keys that are over, in microseconds: a coarsest pane, or a part of
    /// the time that a key may be idle.
    pub(super) const fn sweeping(&self) -> i64 {
        self.sweeping
    }

    pub(super) const fn tick(&self, time: Micros) -> i64 {
        time.0.div_euclid(self.tick)
    }

    /// The start of a tick.
    pub(super) const fn start(&self, tick: i64) -> Micros {
        Micros(tick.saturating_mul(self.tick))
    }

    /// When a key whose newest tick is `head` is over: all its windows are empty, or it has been idle for too long.
    pub(super) fn due(&self, head: i64) -> Option<Micros> {
        if let Some(idle) = self.idle {
            return Some(self.start(head.saturating_add(idle).saturating_add(1)));
        }
        let last = self.windows.last()?;
        Some(self.start((head.div_euclid(last.ratio).saturating_add(last.panes)).saturating_mul(last.ratio)))
    }

    /// Whether a key whose newest tick is `head` begins anew at `now`, because it has been idle for too long.
    pub(super) fn is_over(&self, head: i64, now: i64) -> bool {
        self.idle.is_some_and(|idle| now.saturating_sub(head) > idle)
    }

    /// The tick of the pane that holds `tick`, when the windows reach back to `bounds`; None outside of all windows.
    pub(super) fn pane(&self, tick: i64, bounds: &[i64]) -> Option<i64> {
        let index = bounds.iter().position(|bound| tick >= *bound)?;
        let ratio = self.windows.get(index)?.ratio;
        Some(tick.div_euclid(ratio).saturating_mul(ratio))
    }
}

impl Window {
    /// The first tick it holds when it is `now`.
    pub(super) const fn bound(&self, now: i64) -> i64 {
        now.div_euclid(self.ratio).saturating_sub(self.panes - 1).saturating_mul(self.ratio)
    }
}

/// The field names of each window.
fn names(config: &AggregateConfig) -> impl Iterator<Item = impl Iterator<Item = String>> {
    let windows = config.windows.iter().map(|(name, _)| name.as_str()).chain(config.all.map(|_| "all"));
    windows.map(|window| config.measures.iter().map(move |measure| format!("{}_{window}", measure.name)))
}

/// Grains for windows of these sizes: each divides its window and the next grain, and a pane that leaves a window is
/// still inside the next one.
fn grains(sizes: &[i64]) -> Option<Vec<i64>> {
    fn choose(sizes: &[i64], before: Option<(i64, i64)>) -> Option<Vec<i64>> {
        let Some((&size, longer)) = sizes.split_first() else { return Some(Vec::new()) };
        let exact = |panes: &i64| size % panes == 0;
        let nice = (6..=24).rev().filter(exact).filter(|panes| GRAINS.contains(&(size / panes)));
        let any = (4..=24).rev().chain(25..=PANES_MAX).filter(exact);
        nice.chain(any).map(|panes| size / panes).find_map(|grain| {
            let fits = |(size_before, before)| grain % before == 0 && grain <= size - size_before;
            if !before.is_none_or(fits) {
                return None;
            }
            let mut grains = choose(longer, Some((size, grain)))?;
            grains.insert(0, grain);
            Some(grains)
        })
    }
    choose(sizes, None)
}
