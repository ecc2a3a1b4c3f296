//! The one walk over a key's state that takes an event in, forgets what has left the windows, and writes the values: the
//! first two if there is an event, the last if somebody wants to see them.
//!
//! Panes go by newest first, so one running total for each measure is enough: when the next pane is out of a window, the
//! total is that window's value. Panes that need no change are copied as bytes; without anybody who wants the totals, all
//! of them from the first on behind which no bound has moved, unread.

use headwater_base::Micros;
use smallvec::SmallVec;

use crate::operators::aggregate::VERSION;
use crate::operators::aggregate::recent::Recent;
use crate::operators::aggregate::shape::{Shape, Slot};
use crate::operators::codec::{Corrupt, Reader, put_i64, put_u64};
use crate::operators::distinct::hash;
use crate::operators::measure::{At, Measured};
use crate::operators::number::{Number, Sum};
use crate::operators::seen::Seen;
use crate::operators::value::render_int;
use crate::operators::{Input, Kind};

/// An event on its way into a state.
pub(super) struct Event<'a> {
    pub(super) at: At,
    pub(super) tick: i64,
    pub(super) inputs: &'a [Input<'a>],
}

/// Memory that one walk leaves to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The new state, after a walk with an event.
    pub(super) out: Vec<u8>,
    panes: Vec<u8>,
    totals: Vec<Measured>,
    pane: Vec<Measured>,
    seen: Vec<Seen>,
    counts: Vec<Vec<u64>>,
    recent: Vec<Recent>,
}

impl Shape {
    /// Goes over the state `value` when the tick is `now` (or the state's newest one, if that is later) and writes the
    /// values as JSON behind `json`, if there is one. With an event, the new state is in `scratch.out` after that.
    pub(super) fn run(
        &self,
        value: Option<&[u8]>,
        now: i64,
        event: Option<&Event<'_>>,
        scratch: &mut Scratch,
        json: Option<&mut Vec<u8>>,
    ) -> Result<(), Corrupt> {
        let Some(json) = json else { return self.walk(value, now, event, scratch, None) };
        let before = json.len();
        let result = self.walk(value, now, event, scratch, Some(&mut *json));
        if result.is_err() {
            json.truncate(before);
        }
        result
    }

    fn walk(
        &self,
        value: Option<&[u8]>,
        now: i64,
        event: Option<&Event<'_>>,
        scratch: &mut Scratch,
        mut json: Option<&mut Vec<u8>>,
    ) -> Result<(), Corrupt> {
        let mut reader = Reader::new(&[]);
        let (mut head, mut known) = (now, false);
        if let Some(value) = value {
            let mut stored = Reader::versioned(value, VERSION)?;
            let newest = stored.i64()?;
            // Over is over, whether a sweep has come by or not: no value shows when that was.
            if !self.is_over(newest, now) {
                (reader, head, known) = (stored, newest, true);
            }
        }
        let now = now.max(head);
        let bounds: SmallVec<[i64; 8]> = self.windows.iter().map(|window| window.bound(now)).collect();
        // An event older than all windows goes into the all-time measures only.
        let target = event.and_then(|event| self.pane(event.tick, &bounds));
        scratch.out.clear();
        scratch.out.push(VERSION);
        put_i64(&mut scratch.out, now);

        let all = self.all_time(&mut reader, known, event, &mut scratch.out)?;
        let entering = event.filter(|_| target.is_some());
        let aim =
            Aim { head: known.then_some(head), now, bounds: &bounds, writes: event.is_some(), shows: json.is_some() };
        self.without_panes(&mut reader, aim, entering, scratch)?;
        if let Some(json) = json.as_deref_mut() {
            json.push(b'{');
        }
        let mut walk = Walk::new(self, aim, scratch, json.as_deref_mut());
        if known {
            walk.panes(&mut reader, head, entering.zip(target))?;
        } else if let Some((event, target)) = entering.zip(target) {
            walk.event(target, event)?;
        }
        walk.finish()?;
        let Some(json) = json else { return Ok(()) };
        if self.all {
            for (index, label) in self.labels.last().into_iter().flatten().enumerate() {
                comma(json);
                json.extend_from_slice(label);
                all.get(index).unwrap_or(&Measured::Count(0)).value().render(json);
            }
        }
        json.push(b'}');
        Ok(())
    }

    /// The measures over all time.
    fn all_time(
        &self,
        reader: &mut Reader<'_>,
        known: bool,
        event: Option<&Event<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<Vec<Measured>, Corrupt> {
        let mut all = Vec::new();
        if !self.all {
            return Ok(all);
        }
        for (index, measure) in self.config().measures.iter().enumerate() {
            let mut measured = match known {
                true => Measured::read(measure.kind, reader, Micros(0))?,
                false => Measured::new(measure.kind),
            };
            if let Some(event) = event {
                measured.add(event.inputs.get(index).unwrap_or(&Input::Skip), event.at);
                measured.put(out, Micros(0));
            }
            all.push(measured);
        }
        Ok(all)
    }

    /// `distinct` and `last`, which keep one structure for all windows.
    fn without_panes(
        &self,
        reader: &mut Reader<'_>,
        aim: Aim<'_>,
        event: Option<&Event<'_>>,
        scratch: &mut Scratch,
    ) -> Result<(), Corrupt> {
        let Aim { head, now, bounds, writes, shows } = aim;
        let Some(oldest) = bounds.last() else { return Ok(()) };
        for (index, slot) in self.measures.iter().enumerate() {
            let input = event.and_then(|event| Some((event, event.inputs.get(index)?)));
            match *slot {
                Slot::Pane(..) => {}
                Slot::Seen(nth) => {
                    if scratch.seen.len() <= nth {
                        scratch.seen.push(Seen::default());
                        scratch.counts.push(Vec::new());
                    }
                    let (Some(seen), Some(counts)) = (scratch.seen.get_mut(nth), scratch.counts.get_mut(nth)) else {
                        continue;
                    };
                    let added = input.and_then(|(event, input)| Some((hash(input)?, now.saturating_sub(event.tick))));
                    // Within a tick nothing leaves the windows, and the values of a key are mostly those it had.
                    if head == Some(now) && !shows {
                        let mut ahead = *reader;
                        if let Some(same) = Seen::unchanged(&mut ahead, now, added)? {
                            scratch.out.extend_from_slice(same);
                            *reader = ahead;
                            continue;
                        }
                    }
                    match head {
                        Some(head) => seen.read(reader, head, now, now.saturating_sub(*oldest))?,
                        None => seen.clear(),
                    }
                    if let Some((hash, since)) = added {
                        seen.add(hash, now, since);
                    }
                    if shows {
                        let reaches: SmallVec<[i64; 8]> =
                            bounds.iter().map(|bound| now.saturating_sub(*bound)).collect();
                        seen.counts(now, &reaches, counts);
                    }
                    if writes {
                        seen.put(&mut scratch.out);
                    }
                }
                Slot::Recent(nth, max) => {
                    if scratch.recent.len() <= nth {
                        scratch.recent.push(Recent::default());
                    }
                    let Some(recent) = scratch.recent.get_mut(nth) else { continue };
                    match head {
                        Some(head) => recent.read(reader, self.start(head), self.start(*oldest), max)?,
                        None => recent.clear(),
                    }
                    if let Some((event, input)) = input {
                        recent.add(event.at, input, max);
                    }
                    if writes {
                        recent.put(&mut scratch.out, self.start(now));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where a walk is, and what for.
#[derive(Clone, Copy)]
struct Aim<'p> {
    /// The newest tick of the state; None without one.
    head: Option<i64>,
    /// The tick that the values are as of.
    now: i64,
    /// The first tick of each window at `now`.
    bounds: &'p [i64],
    /// Whether there is a new state.
    writes: bool,
    /// Whether somebody wants the values.
    shows: bool,
}

/// The way along the panes, newest first, and with it the values of the windows.
struct Walk<'w, 'a> {
    shape: &'w Shape,
    bounds: &'w [i64],
    scratch: &'w mut Scratch,
    json: Option<&'w mut Vec<u8>>,
    /// The pane being put together: its tick, and its bytes as long as they need no change; else it is in
    /// `Scratch::pane`.
    open: Option<(i64, Option<&'a [u8]>)>,
    /// Panes written, and the tick of the last of them.
    count: u64,
    last: i64,
    /// The window whose values come next.
    window: usize,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(shape: &'w Shape, aim: Aim<'w>, scratch: &'w mut Scratch, json: Option<&'w mut Vec<u8>>) -> Self {
        let Aim { now, bounds, shows, .. } = aim;
        scratch.panes.clear();
        scratch.totals.clear();
        if shows {
            scratch.totals.extend(shape.kinds().map(Measured::new));
        }
        Self { shape, bounds, scratch, json, open: None, count: 0, last: now, window: 0 }
    }

    /// Goes along the panes of a state whose newest tick was `head`; the event enters in its place.
    fn panes(&mut self, reader: &mut Reader<'a>, head: i64, event: Option<(&Event<'_>, i64)>) -> Result<(), Corrupt> {
        let mut entering = event;
        let settled = self.settled(head);
        let mut tick = head;
        let panes = reader.count()?;
        for nth in 0..panes {
            tick = tick.saturating_sub(i64::try_from(reader.u64()?).unwrap_or(i64::MAX));
            // Out of all windows, and so are all behind it.
            let Some(start) = self.shape.pane(tick, self.bounds) else { break };
            if let Some((event, target)) = entering.filter(|(_, target)| *target > start) {
                self.event(target, event)?;
                entering = None;
            }
            if tick < settled && tick == start && entering.is_none() && self.open.is_none_or(|(open, _)| open != start)
            {
                return self.rest(start, reader.rest(), panes - nth);
            }
            let bytes = reader.rest();
            for kind in self.shape.kinds() {
                skip(kind, reader)?;
            }
            let Some(bytes) = bytes.get(..bytes.len() - reader.left()) else { break };
            self.pane(start, bytes)?;
        }
        match entering {
            Some((event, target)) => self.event(target, event),
            None => Ok(()),
        }
    }

    /// Panes before this tick stay as they were when the newest one was `head`: no window that they are in begins later
    /// now, and none of them is asked for its values.
    fn settled(&self, head: i64) -> i64 {
        if self.json.is_some() {
            return i64::MIN;
        }
        let mut any = false;
        for (window, bound) in self.shape.windows.iter().zip(self.bounds).rev() {
            let before = window.bound(head);
            if before != *bound {
                return if any { before } else { i64::MIN };
            }
            any = true;
        }
        i64::MAX
    }

    /// The panes of the state from that of `tick` on, whose bytes begin behind its tick.
    fn rest(&mut self, tick: i64, bytes: &[u8], panes: usize) -> Result<(), Corrupt> {
        self.close()?;
        put_u64(&mut self.scratch.panes, u64::try_from(self.last.saturating_sub(tick)).unwrap_or(0));
        self.scratch.panes.extend_from_slice(bytes);
        self.count += panes as u64;
        Ok(())
    }

    /// A pane of the state, which belongs to `tick` now.
    fn pane(&mut self, tick: i64, bytes: &'a [u8]) -> Result<(), Corrupt> {
        match self.open {
            Some((open, _)) if open == tick => {
                self.change()?;
                merge(self.shape, &mut self.scratch.pane, bytes)
            }
            _ => {
                self.close()?;
                self.open = Some((tick, Some(bytes)));
                Ok(())
            }
        }
    }

    /// The event, which belongs to the pane of `tick`.
    fn event(&mut self, tick: i64, event: &Event<'_>) -> Result<(), Corrupt> {
        if self.open.is_none_or(|(open, _)| open != tick) {
            self.close()?;
            self.open = Some((tick, Some(&[])));
        }
        self.change()?;
        for (slot, input) in self.shape.measures.iter().zip(event.inputs) {
            if let Slot::Pane(nth, _) = slot
                && let Some(measured) = self.scratch.pane.get_mut(*nth)
            {
                measured.add(input, event.at);
            }
        }
        Ok(())
    }

    /// Takes the open pane out of its bytes; none at all are an empty pane.
    fn change(&mut self) -> Result<(), Corrupt> {
        let Some((_, bytes)) = &mut self.open else { return Ok(()) };
        let Some(bytes) = bytes.take() else { return Ok(()) };
        self.scratch.pane.clear();
        self.scratch.pane.extend(self.shape.kinds().map(Measured::new));
        if bytes.is_empty() { Ok(()) } else { merge(self.shape, &mut self.scratch.pane, bytes) }
    }

    /// Writes the open pane and adds it to the totals, after the values of the windows it lies behind.
    fn close(&mut self) -> Result<(), Corrupt> {
        let Some((tick, bytes)) = self.open.take() else { return Ok(()) };
        let shows = self.json.is_some();
        while shows && self.bounds.get(self.window).is_some_and(|bound| tick < *bound) {
            self.values()?;
        }
        put_u64(&mut self.scratch.panes, u64::try_from(self.last.saturating_sub(tick)).unwrap_or(0));
        self.last = tick;
        self.count += 1;
        let from = self.scratch.panes.len();
        match bytes {
            Some(bytes) => {
                self.scratch.panes.extend_from_slice(bytes);
            }
            None => {
                for measured in &self.scratch.pane {
                    measured.put(&mut self.scratch.panes, Micros(0));
                }
            }
        }
        if !shows {
            return Ok(());
        }
        let bytes = self.scratch.panes.get(from..).unwrap_or_default();
        merge(self.shape, &mut self.scratch.totals, bytes)
    }

    /// The values of the next window: all panes so far are in it, all others are not.
    fn values(&mut self) -> Result<(), Corrupt> {
        let window = self.window;
        self.window += 1;
        let Some(json) = self.json.as_deref_mut() else { return Ok(()) };
        let (Some(labels), Some(bound)) = (self.shape.labels.get(window), self.bounds.get(window)) else {
            return Ok(());
        };
        for (slot, label) in self.shape.measures.iter().zip(labels) {
            comma(json);
            json.extend_from_slice(label);
            match *slot {
                Slot::Pane(nth, _) => match self.scratch.totals.get(nth) {
                    Some(Measured::Count(count)) => render_int(json, i128::from(*count)),
                    Some(measured) => measured.value().render(json),
                    None => {}
                },
                Slot::Seen(nth) => {
                    let count = self.scratch.counts.get(nth).and_then(|counts| counts.get(window));
                    render_int(json, i128::from(count.copied().unwrap_or(0)));
                }
                Slot::Recent(nth, max) => {
                    if let Some(recent) = self.scratch.recent.get(nth) {
                        recent.render(self.shape.start(*bound), max, json)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Corrupt> {
        self.close()?;
        while self.json.is_some() && self.window < self.bounds.len() {
            self.values()?;
        }
        put_u64(&mut self.scratch.out, self.count);
        self.scratch.out.extend_from_slice(&self.scratch.panes);
        Ok(())
    }
}

/// Adds the bytes of a pane.
fn merge(shape: &Shape, into: &mut [Measured], bytes: &[u8]) -> Result<(), Corrupt> {
    let mut reader = Reader::new(bytes);
    for (measured, kind) in into.iter_mut().zip(shape.kinds()) {
        measured.merge_read(kind, &mut reader, Micros(0))?;
    }
    Ok(())
}

/// Passes over one measure.
fn skip(kind: Kind, reader: &mut Reader<'_>) -> Result<(), Corrupt> {
    match kind {
        Kind::Count => reader.skip_varint(),
        Kind::Sum => Sum::skip(reader),
        Kind::Mean => {
            reader.skip_varint()?;
            Sum::skip(reader)
        }
        Kind::Min | Kind::Max => Number::read(reader).map(drop),
        _ => Measured::read(kind, reader, Micros(0)).map(drop),
    }
}

fn comma(json: &mut Vec<u8>) {
    if json.last() != Some(&b'{') {
        json.push(b',');
    }
}
