//! How a life begins: shutting out the one before, making or finding the table, and taking up where its last snapshot
//! ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Micros, Name, Problem};
use headwater_log::cursor::Cursor;
use headwater_log::outbox::Outbox;
use headwater_log::{Delta, Log, Offset, Stream, View};
use headwater_store::disk::is_full;
use tracing::{info, warn};

use super::{End, Life, Setup, failed, missing};
use crate::commit::{self, Garbage, Version};
use crate::evolution;
use crate::files::path_of;
use crate::kinds::dataset;
use crate::layout::CLASH;
use crate::positions::{EPOCH_KEY, Positions, STREAM_ID_KEY, SUMMARY_KEY, stream_id};
use crate::rows::Rows;
use crate::tables::{POINTER, Tables, no_space, unusable};

/// The key of how far dead letters have been written.
const LETTERED: &[u8] = b"lettered";

impl<'a> Life<'a> {
    pub(super) fn begin(setup: &'a Setup) -> Result<Self, End> {
        let log = Arc::clone(setup.tables.log());
        let owner = Name::new(&format!("dataset.{}", setup.name)).map_err(End::Failed)?;
        let fenced = waited(setup, log.fence(&owner))?;
        let fence = (owner, fenced.map_err(|error| failed(setup, &error))?);
        let Some(stream) = log.stream(setup.stream.as_str()) else { return Err(End::Failed(missing(&setup.stream))) };
        let letters = Outbox::open(&*log, setup.dead.as_slice()).map_err(|error| failed(setup, &error))?;
        let space = dataset::space(setup.name.as_str());
        let there = there(setup, &space)?;
        let (version, is_new, before) = match there {
            Some(version) if epoch_of(&version) >= setup.epoch => (version, false, None),
            before => (create(setup, &stream)?, true, before),
        };
        let from = if is_new { starts(setup, &*log, &stream) } else { taken_up(setup, &*log, &stream, &version)? };
        let lettered = match log.get(&space, LETTERED, View::Appended) {
            Some(bytes) if !is_new => serde_json::from_slice::<Vec<Offset>>(&bytes).unwrap_or_default(),
            _ => Vec::new(),
        };
        let lettered =
            from.iter().enumerate().map(|(at, from)| lettered.get(at).map_or(*from, |it| *from.max(it))).collect();
        let cursor = |(partition, from): (u32, &Offset)| {
            Cursor::new(setup.stream.clone(), partition, *from, setup.limits.batch_decompressed_bytes)
        };
        let mut life = Self {
            setup,
            fence,
            stream_id: stream.id,
            rows: rows(setup, &version)?,
            version: version.clone(),
            tail: setup.tables.open_tail(setup.name.as_str()),
            bytes: 0,
            cursors: (0..).zip(&from).map(cursor).collect(),
            from,
            lettered,
            letters,
            letter_bytes: 0,
            due: due(setup, &version),
            uncompacted: 0,
            log,
        };
        if is_new {
            let marks = life.lettered.clone();
            life.append(vec![Tables::delta(POINTER, &version), lettered_of(&marks)])?;
        }
        setup.tables.remember(&version);
        life.tail.settle(&version);
        life.evolve()?;
        life.tidy()?;
        if let Some(before) = before.filter(|before| before.metadata.location() != setup.location) {
            life.leave(&before)?;
        }
        Ok(life)
    }

    /// Gives the table the columns that the spec has got, and the way it spreads and sorts rows now. Where only what older
    /// files are called by stands against it, the table stays as it was, and its rows come: `apply` could not know.
    fn evolve(&mut self) -> Result<(), End> {
        let change = match evolution::change(self.setup.name.as_str(), &self.version, &self.setup.layout) {
            Err(problem) if problem.code == CLASH => {
                warn!(dataset = %self.setup.name, code = problem.code, title = problem.title, "the table stays as it was");
                self.setup.figures.refuse(Some(problem));
                return Ok(());
            }
            change => change.map_err(End::Failed)?,
        };
        let Some(mut change) = change else { return Ok(()) };
        change.properties = self.positions();
        self.commit(change)?;
        self.rows = rows(self.setup, &self.version)?;
        let metadata = &self.version.metadata;
        let (schema, partition) = (metadata.current_schema_id(), metadata.default_partition_spec_id());
        let sort = metadata.default_sort_order_id();
        info!(dataset = %self.setup.name, schema, partition, sort, "the table has changed");
        Ok(())
    }

    /// Removes the files of the table that was there before, which lay elsewhere. Where nobody answers any more they stay.
    fn leave(&self, before: &Version) -> Result<(), End> {
        let (tables, location) = (&self.setup.tables, before.metadata.location());
        match self.wait(tables.files().list(location))? {
            Ok(found) => tables.leases().retire(Garbage(found)),
            Err(error) => warn!(dataset = %self.setup.name, location, %error, "the files of the table before stay"),
        }
        Ok(())
    }

    /// Removes what earlier lives left behind.
    fn tidy(&mut self) -> Result<(), End> {
        let files = self.setup.tables.files();
        let orphans: Garbage =
            self.wait(commit::orphans(files, &self.version))?.map_err(|error| self.unusable(&error))?;
        if !orphans.0.is_empty() {
            info!(dataset = %self.setup.name, files = orphans.0.len(), "files that no snapshot has are removed");
        }
        self.setup.tables.leases().retire(orphans);
        Ok(())
    }
}

fn waited<F: Future>(setup: &Setup, future: F) -> Result<F::Output, End> {
    headwater_log::park::wait(future, &setup.stop).ok_or(End::Stopped)
}

/// The table that is there. One that is to be built anew need not be readable: that may be why.
fn there(setup: &Setup, space: &str) -> Result<Option<Version>, End> {
    let epoch = setup.tables.epoch(space, POINTER, View::Appended).map_err(End::Failed)?;
    match waited(setup, setup.tables.version(space, POINTER, View::Appended))? {
        Err(problem) if epoch.is_some_and(|epoch| epoch < setup.epoch) => {
            warn!(dataset = %setup.name, code = problem.code, title = problem.title, "the files of the table before stay");
            Ok(None)
        }
        found => found.map_err(End::Failed),
    }
}

/// When the next snapshot may be made: an interval behind the last one, as far as the wall clock can be believed.
fn due(setup: &Setup, version: &Version) -> Duration {
    let begun = setup.clock.elapsed();
    let Some(snapshot) = version.metadata.current_snapshot() else { return begun };
    let since = setup.clock.now().since(Micros::from_millis(snapshot.timestamp_ms()));
    begun + setup.interval.saturating_sub(since)
}

/// How far dead letters have been written, as a change of state.
pub(super) fn lettered_of(before: &[Offset]) -> Delta {
    let value = serde_json::to_vec(before).unwrap_or_default();
    Delta { key: Bytes::from_static(LETTERED), value: Some(Bytes::from(value)) }
}

fn rows(setup: &Setup, version: &Version) -> Result<Rows, End> {
    let rows = Rows::new(&setup.layout, version.metadata.current_schema());
    rows.map_err(|error| End::Failed(unusable(setup.name.as_str(), &error)))
}

fn epoch_of(version: &Version) -> u64 {
    version.metadata.properties().get(EPOCH_KEY).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn create(setup: &Setup, stream: &Stream) -> Result<Version, End> {
    let files = setup.tables.files();
    // The data folder itself is the log's, and durable.
    let folder = path_of(&setup.location);
    let below = folder.ancestors().nth(3).unwrap_or(&folder);
    files.create_folders(&setup.location, below).map_err(|error| {
        if is_full(&error) {
            return End::Failed(no_space(setup.name.as_str(), &error));
        }
        let problem = Problem::new("HW-LAKE-021", format!("the folder of the dataset `{}` cannot be made", setup.name));
        End::Failed(problem.because(error).help("`headwater doctor` checks the data folder and the disk"))
    })?;
    let properties = HashMap::from([
        ("write.parquet.compression-codec".to_owned(), "zstd".to_owned()),
        (STREAM_ID_KEY.to_owned(), stream_id(stream.id)),
        (EPOCH_KEY.to_owned(), setup.epoch.to_string()),
        ("headwater.stream".to_owned(), setup.stream.to_string()),
    ]);
    let layout = &setup.layout;
    let (schema, partition, sort) = (layout.schema.clone(), layout.partition.clone(), layout.sort.clone());
    let version = waited(setup, commit::create(files, &setup.location, schema, partition, sort, properties))?;
    version.map_err(|error| End::Failed(unusable(setup.name.as_str(), &error)))
}

/// Where each partition of the stream begins.
fn starts(setup: &Setup, log: &dyn Log, stream: &Stream) -> Vec<Offset> {
    let start = |partition| log.ends(&setup.stream, partition).map_or(0, |ends| ends.start);
    (0..stream.config.partitions).map(start).collect()
}

/// Where the table's newest snapshot ends, by partition.
fn taken_up(setup: &Setup, log: &dyn Log, stream: &Stream, version: &Version) -> Result<Vec<Offset>, End> {
    let id = stream_id(stream.id);
    if version.metadata.properties().get(STREAM_ID_KEY) != Some(&id) {
        return Err(End::Failed(missing(&setup.stream)));
    }
    let mut from = starts(setup, log, stream);
    let Some(snapshot) = version.metadata.current_snapshot() else { return Ok(from) };
    let text = snapshot.summary().additional_properties.get(SUMMARY_KEY);
    let Some(positions) = text.and_then(|text| Positions::decode(text)).filter(|positions| positions.stream == id)
    else {
        let fact =
            format!("the snapshot {} of `{}` does not say which events it has", snapshot.snapshot_id(), setup.name);
        let problem = Problem::new("HW-LAKE-024", fact);
        return Err(End::Failed(
            problem
                .help("somebody else wrote the table; `headwater apply --reset-state` builds it anew from its stream"),
        ));
    };
    for (partition, [_, end]) in positions.partitions {
        match from.get_mut(partition as usize) {
            Some(from) => *from = end,
            None => return Err(End::Failed(missing(&setup.stream))),
        }
    }
    Ok(from)
}
