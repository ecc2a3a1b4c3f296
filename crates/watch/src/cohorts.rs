//! `Cohorts`: the core of a forecast. Records in; verdicts, forecasts and changes of state out.
//!
//! Time is the records' own: that of a partition is the newest interval that it has had a value of. When it moves on,
//! every cohort of the partition that had no value for an interval before it gets that interval closed without one.
//! So the same partition gives the same, however it is cut into commits, and a cohort, whose records a key keeps in one
//! partition, depends on no other.
//!
//! Taking a record can bring more than one commit should hold (a partition that moves on a week closes a week of every
//! cohort). [`Cohorts::take`] then stops in between and is called again; how far it came is state like any other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use headwater_base::Micros;
use headwater_log::Offset;
use serde_json::{Map, Value};

use crate::holidays::Holidays;
use crate::reader::{Measured, Reader, Refused};
use crate::series::{BLOCK_POINTS, Closed, Series};
use crate::shape::{Index, Missing, Shape};
use crate::verdict::{Run, Verdict};

mod tell;

pub use tell::{About, Told};

/// What one commit should tell at most.
const TOLD_BYTES: usize = 256 * 1024;

/// One cohort.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// Its name.
    pub name: Arc<str>,
    /// Its parts.
    pub parts: Map<String, Value>,
    /// Where its records come from.
    pub partition: u32,
    /// What is known of it.
    pub series: Series,
    /// Intervals in succession outside the band.
    pub run: Run,
    /// Intervals in succession without a value.
    pub silent: i64,
}

/// How far one partition has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The next offset.
    pub next: Offset,
    /// Its time: the newest interval it has had a value of.
    pub newest: Option<Index>,
}

/// Whether a record is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is.
    Done,
    /// It is, but its interval had been closed: history was put right, nothing was judged.
    Late,
    /// Commit what there is and take the record again.
    More,
}

/// What has changed since the last commit.
#[derive(Debug, Default)]
pub struct Changed {
    /// Cohorts, with the blocks of their series.
    pub cohorts: BTreeMap<u32, BTreeSet<usize>>,
    /// Cohorts that are gone.
    pub gone: Vec<u32>,
    /// Partitions.
    pub partitions: BTreeSet<u32>,
}

impl Changed {
    /// Whether nothing has.
    pub fn is_empty(&self) -> bool {
        self.cohorts.is_empty() && self.gone.is_empty() && self.partitions.is_empty()
    }
}

/// The cohorts of one forecast.
pub struct Cohorts {
    shape: Arc<Shape>,
    reader: Reader,
    /// The most cohorts.
    most: usize,
    cohorts: BTreeMap<u32, Cohort>,
    numbers: HashMap<Arc<str>, u32>,
    partitions: BTreeMap<u32, Progress>,
    changed: Changed,
    told: Vec<Told>,
    told_bytes: usize,
}

impl Cohorts {
    /// Nothing is known yet; at most `most` cohorts.
    pub fn new(shape: Arc<Shape>, reader: Reader, most: usize) -> Self {
        Self {
            shape,
            reader,
            most,
            cohorts: BTreeMap::new(),
            numbers: HashMap::new(),
            partitions: BTreeMap::new(),
            changed: Changed::default(),
            told: Vec::new(),
            told_bytes: 0,
        }
    }

    /// Takes up a cohort that was written.
    pub fn restore(&mut self, number: u32, cohort: Cohort) {
        self.numbers.insert(Arc::clone(&cohort.name), number);
        self.cohorts.insert(number, cohort);
    }

    /// Takes up how far a partition had come.
    pub fn resume(&mut self, partition: u32, progress: Progress) {
        self.partitions.insert(partition, progress);
    }

    /// Goes on with other holidays, for all that is forecast from now on.
    pub fn know(&mut self, holidays: Holidays) {
        self.shape = Arc::new(Shape { holidays, ..Shape::clone(&self.shape) });
        for cohort in self.cohorts.values_mut() {
            cohort.series.reshape(Arc::clone(&self.shape));
        }
    }

    /// How far a partition has come.
    pub fn progress(&self, partition: u32) -> Progress {
        self.partitions.get(&partition).copied().unwrap_or_default()
    }

    /// A cohort by its number.
    pub fn cohort(&self, number: u32) -> Option<&Cohort> {
        self.cohorts.get(&number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cohorts.len()
    }

    /// Blocks of each one's series.
    pub fn blocks(&self) -> usize {
        usize::try_from(self.shape.points()).unwrap_or(0).div_ceil(BLOCK_POINTS)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cohorts.is_empty()
    }

    /// Everything before `next` of a partition is done with.
    pub fn pass(&mut self, partition: u32, next: Offset) {
        self.partitions.entry(partition).or_default().next = next;
        self.changed.partitions.insert(partition);
    }

    /// Whether a commit is due before more is taken.
    pub const fn is_full(&self) -> bool {
        self.told_bytes >= TOLD_BYTES
    }

    /// What is to be told since the last call.
    pub fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// What has changed since the last commit, which the next one begins without.
    pub fn drain(&mut self) -> Changed {
        self.told_bytes = 0;
        std::mem::take(&mut self.changed)
    }

    /// Takes a record. `until` is the latest end of an interval that can be believed.
    ///
    /// # Errors
    /// Why the record is refused; nothing has changed then.
    pub fn take(&mut self, partition: u32, record: &[u8], until: Micros) -> Result<Taken, Refused> {
        let measured = self.reader.read(record)?;
        let index = self.shape.index(measured.time);
        if self.shape.start(index.saturating_add(1)) > until {
            return Err(Refused(format!("its interval ends after {until}, which is implausible")));
        }
        let number = self.number(&measured.cohort)?;
        if let Some(cohort) = self.cohorts.get(&number)
            && index <= cohort.series.last()
        {
            return self.correct(number, index, &measured);
        }
        if self.advance(partition, index) == Taken::More {
            return Ok(Taken::More);
        }
        self.close_until(number, index - 1);
        let cohort = self.cohorts.entry(number).or_insert_with(|| Cohort {
            name: Arc::from(measured.cohort.as_str()),
            parts: measured.parts,
            partition,
            series: Series::new(Arc::clone(&self.shape), index - 1),
            run: Run::default(),
            silent: 0,
        });
        cohort.partition = partition;
        self.numbers.insert(Arc::clone(&cohort.name), number);
        self.close(number, Some(measured.value));
        Ok(Taken::Done)
    }

    /// The number of a cohort: its own, or one behind all others.
    fn number(&self, name: &str) -> Result<u32, Refused> {
        if let Some(number) = self.numbers.get(name) {
            return Ok(*number);
        }
        if self.cohorts.len() >= self.most {
            return Err(Refused(format!("it would be a cohort more than the {} there can be", self.most)));
        }
        Ok(self.cohorts.last_key_value().map_or(0, |(number, _)| number + 1))
    }

    fn correct(&mut self, number: u32, index: Index, measured: &Measured) -> Result<Taken, Refused> {
        let Some(cohort) = self.cohorts.get_mut(&number) else { return Ok(Taken::Done) };
        if !cohort.series.correct(index, measured.value) {
            return Err(Refused("its interval is older than the history".to_owned()));
        }
        let block = cohort.series.block_of(index);
        self.changed.cohorts.entry(number).or_default().insert(block);
        Ok(Taken::Late)
    }

    /// Moves a partition's time on to `index`: what stays without a value before it is closed, interval by interval.
    fn advance(&mut self, partition: u32, index: Index) -> Taken {
        let newest = self.progress(partition).newest;
        if newest.is_some_and(|newest| newest >= index) {
            return Taken::Done;
        }
        // After a pause longer than the history nothing that is known says anything of today.
        let begins = newest.is_none_or(|newest| index - newest > self.shape.points());
        let of: Vec<u32> = self
            .cohorts
            .iter()
            .filter(|(_, cohort)| cohort.partition == partition)
            .map(|(number, _)| *number)
            .collect();
        if begins {
            of.into_iter().for_each(|number| self.forget(number));
        } else {
            for at in newest.unwrap_or(index)..index {
                for number in &of {
                    self.close_until(*number, at);
                    if self.is_full() {
                        return Taken::More;
                    }
                }
                self.reach(partition, at);
            }
        }
        self.reach(partition, index);
        Taken::Done
    }

    fn reach(&mut self, partition: u32, index: Index) {
        self.partitions.entry(partition).or_default().newest = Some(index);
        self.changed.partitions.insert(partition);
    }

    /// Closes a cohort's intervals up to `index` without values.
    fn close_until(&mut self, number: u32, index: Index) {
        while self.cohorts.get(&number).is_some_and(|cohort| cohort.series.last() < index) {
            self.close(number, None);
        }
    }

    /// Closes a cohort's next interval, and tells what follows from it.
    fn close(&mut self, number: u32, value: Option<f64>) {
        let Some(cohort) = self.cohorts.get_mut(&number) else { return };
        cohort.silent = if value.is_some() { 0 } else { cohort.silent + 1 };
        if cohort.silent > self.shape.history() {
            return self.forget(number);
        }
        let value = value.or((self.shape.missing == Missing::Zero).then_some(0.0));
        let closed = cohort.series.close(value);
        let blocks = [closed.index, closed.next.0].map(|index| cohort.series.block_of(index));
        let verdict = judge(&mut cohort.run, &self.shape, &closed, value);
        let about = About { shape: &self.shape, cohort: &cohort.name, parts: &cohort.parts };
        let told = value.map(|value| about.verdict(closed.index, value, closed.stored, verdict));
        let told = told.into_iter().chain(closed.next.1.map(|band| about.forecast(closed.next.0, &band)));
        for one in told {
            self.told_bytes += one.bytes();
            self.told.push(one);
        }
        self.changed.cohorts.entry(number).or_default().extend(blocks);
    }

    fn forget(&mut self, number: u32) {
        let Some(cohort) = self.cohorts.remove(&number) else { return };
        self.numbers.remove(&cohort.name);
        self.changed.cohorts.remove(&number);
        self.changed.gone.push(number);
    }
}

fn judge(run: &mut Run, shape: &Shape, closed: &Closed, value: Option<f64>) -> Option<Verdict> {
    run.judge(shape, closed.index, value?, &closed.stored?)
}

#[cfg(test)]
mod tests;
