//! Kind Dataset: a stream, or a table, written as an Iceberg table, which any engine reads.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_base::{Limits, Name, Problem, Size, Span};
use headwater_kernel::kind::{self, ApplyOptions, Kind, Ref, View};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::kinds::table::stream_name;
use headwater_kernel::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use headwater_log::StreamConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::columns::ColumnSpec;
use crate::columns::rollup::RollupSpec;
use crate::layout::Layout;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Dataset",
    plural: "datasets",
    short: &["ds"],
    doc: "A stream written as an Iceberg table of Parquet files, each event once, or a table as it is, or dead letters. Iceberg's REST catalog gives it to other engines.",
    schema: kind::schema::<DatasetSpec>,
    example: EXAMPLE,
    effective: kind::effective::<DatasetSpec>,
    validate,
    change,
    refs,
    reconcile,
};

/// The unit kind that writes a dataset.
pub const UNIT: &str = "dataset";

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  description: Every order, one row for each event.
  stream: orders
  columns:
    - {name: id, type: string, required: true}
    - {name: at, type: timestamp, path: .time}
    - {name: amount, type: double}
    - name: customer
      type: struct
      fields:
        - {name: id, type: long}
        - {name: country, type: string}
    - name: items
      type: list
      items: {type: json}
    - {name: offset, type: long, path: $offset}
  partition:
    - {column: at, transform: day}
  sort:
    - {column: at}
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatasetSpec {
    /// What a row says, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The stream whose events become rows, from its first event on. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// A table instead of a stream: one row for each of its documents, as it is now. Paths lead into the document; one
    /// column has the path `$key`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// A stream of dead letters instead: one row for each, with `time`, `code` and `reason`, the event's place (`stream`,
    /// `partition`, `offset`), who could not take it (`dataset`, `pipeline` and `step`, `forecast`, or `subscription`,
    /// `target`, `attempts` and `status`), and its `data`. What is no letter is a row, too, so that there are no dead letters
    /// of letters. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letters: Option<String>,
    /// The columns; of a rollup, what is read of an event. Without any they are `partition`, `offset`, `time`, `key` and
    /// `value` of the record as it is; of a table `key`, `updated` and `value`. Those of `letters` are given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnSpec>,
    /// Columns by which a row takes another one's place: the table has one row of each key, that of its last event. A record
    /// without a value deletes the row of its key, if the key's columns have the path `$key` (or `$partition`). Events of
    /// one key have to come in one partition of the stream. Cannot change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub key: Vec<String>,
    /// One row for all events of one time and the same dimensions, instead of one for each. Files and batches are rolled up
    /// by themselves, so equal rows may come more than once: queries add them up. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollup: Option<RollupSpec>,
    /// How rows are spread over files, so that readers pass over most of them. A change holds for files written from then on;
    /// those that are there stay as they are, until small ones are merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub partition: Vec<PartitionSpec>,
    /// How rows are sorted within a file. A change holds for files written from then on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub sort: Vec<SortSpec>,
    /// A new snapshot is made at most this often, unless what a dataset with a key has gathered needs room before. Default
    /// one minute.
    #[serde(default = "minute")]
    pub snapshot_interval: Span,
    /// Events, or the rows that they are rolled up to, are gathered in memory up to this size before they are written as a
    /// file. Default 32 MiB.
    #[serde(default = "file_size")]
    pub file_size: Size,
    /// Snapshots kept for readers that look back; older ones go with the files that only they have. Default 100.
    #[serde(default = "hundred")]
    #[schemars(range(min = 1, max = 10000))]
    pub snapshots: u32,
    /// The Bucket that the table's files are in. They are in the data folder if it is left out. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Name>,
    /// The stream of events that do not fit, which a dataset of `letters` makes a table of. Default `<name>.dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<String>,
}

/// One part of how rows are spread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartitionSpec {
    /// The column.
    pub column: String,
    /// What of it counts: `identity` (default), `year`, `month`, `day`, `hour`, `bucket[N]` or `truncate[N]`.
    #[serde(default = "identity")]
    pub transform: String,
}

/// One part of how rows are sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SortSpec {
    /// The column.
    pub column: String,
    /// Smallest or largest first. Default `asc`.
    #[serde(default)]
    pub order: OrderSpec,
}

/// A direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderSpec {
    /// Smallest first, nothing before everything.
    #[default]
    Asc,
    /// Largest first, nothing behind everything.
    Desc,
}

/// The largest `fileSize`: two of them are in memory while one is written.
const FILE_BYTES_MAX: u64 = 1 << 30;

fn minute() -> Span {
    Span::from_millis(60_000)
}

fn file_size() -> Size {
    Size::from_bytes(32 << 20)
}

const fn hundred() -> u32 {
    100
}

fn identity() -> String {
    "identity".to_owned()
}

impl DatasetSpec {
    /// The stream whose events become rows; of a table the one that its documents are written to.
    ///
    /// # Errors
    /// `HW-BASE-001` for a name that cannot be, `HW-LAKE-001` where none is named, or several are.
    pub fn source(&self) -> Result<Name, Problem> {
        let wrong = |fact: &str| Err(Problem::new("HW-LAKE-001", fact));
        match (&self.stream, &self.table, &self.letters) {
            (Some(stream), None, None) | (None, None, Some(stream)) => Name::new(stream),
            (None, Some(table), None) => stream_name(table),
            (None, None, None) => wrong("a dataset needs a `stream`, a `table` or `letters` that its rows are of"),
            _ => wrong("a dataset is of a `stream`, of a `table` or of `letters`, not of several"),
        }
    }

    /// The dead-letter stream of the dataset `name`. One of letters has none.
    ///
    /// # Errors
    /// `HW-BASE-001` for a name that cannot be, `HW-LAKE-001` where letters have one.
    pub fn dead_letters(&self, name: &Name) -> Result<Option<Name>, Problem> {
        match (&self.letters, &self.dead_letters) {
            (None, Some(stream)) => Name::new(stream).map(Some),
            (None, None) => Name::new(&format!("{name}.dead")).map(Some),
            (Some(_), None) => Ok(None),
            (Some(_), Some(_)) => {
                let fact = "every record of `letters` is a row: there are no `deadLetters` of them";
                Err(Problem::new("HW-LAKE-001", fact))
            }
        }
    }
}

/// The key-value space of a dataset: its table's pointer, and how far dead letters have been written.
pub fn space(name: &str) -> String {
    format!("{UNIT}/{name}")
}

/// The folder of a dataset's table within the data folder.
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from("lake").join("datasets").join(name)
}

/// Where a dataset's table lies in its bucket. The uid keeps it apart from one of the same name, earlier or of another node.
pub fn object_folder(name: &str, uid: &str) -> String {
    format!("{name}/{uid}")
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: DatasetSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if draft.name.as_str().contains('.') {
        let fact =
            format!("a dataset cannot be called `{}`: for SQL a dot leads from a namespace to a table", draft.name);
        problems.push(draft.origin.blame("/metadata/name", Problem::new("HW-LAKE-001", fact)));
    }
    let source = spec.source();
    if let Err(problem) = &source {
        let at = match (&spec.stream, &spec.table) {
            (Some(_), _) => "/spec/stream",
            (None, Some(_)) => "/spec/table",
            (None, None) => "/spec/letters",
        };
        problems.push(draft.origin.blame(at, problem.clone()));
    }
    if let Err(problem) = spec.dead_letters(&draft.name) {
        problems.push(draft.origin.blame("/spec/deadLetters", problem));
    }
    if let (Ok(Some(dead)), Ok(source)) = (spec.dead_letters(&draft.name), &source)
        && dead == *source
    {
        let fact = format!("the dead letters would come back as events of `{source}`");
        problems.push(draft.origin.blame("/spec/deadLetters", Problem::new("HW-LAKE-001", fact)));
    }
    if !(1 << 16..=FILE_BYTES_MAX).contains(&spec.file_size.bytes()) {
        let fact = format!("`fileSize` is {}; it can be 64 KiB to 1 GiB", spec.file_size);
        problems.push(draft.origin.blame("/spec/fileSize", Problem::new("HW-LAKE-001", fact)));
    }
    if let Err(faults) = Layout::of(&spec) {
        problems.extend(faults.into_iter().map(|(at, problem)| draft.origin.blame(&format!("/spec{at}"), problem)));
    }
    problems
}

fn change(old: &Resource, new: &Draft, options: &ApplyOptions) -> Vec<Problem> {
    let read = |spec: &Value| serde_json::from_value::<DatasetSpec>(spec.clone()).ok();
    let (Some(before), Some(after)) = (read(old.effective()), read(&new.spec)) else { return Vec::new() };
    if options.reset_state {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let fixed = [
        ("bucket", before.bucket != after.bucket, "the files that are there stay where they are"),
        ("rollup", before.rollup != after.rollup, "what the rows that are there stand for would be unknown"),
        ("stream", before.stream != after.stream, "which of its events are in the table would be unknown"),
        ("letters", before.letters != after.letters, "which of its records are in the table would be unknown"),
        ("table", before.table != after.table, "which of its documents are in the table would be unknown"),
        ("key", before.key != after.key, "which rows take the place of which would be unknown"),
    ];
    for (field, changed, why) in fixed {
        if changed {
            let problem = Problem::new("HW-LAKE-002", format!("`spec.{field}` of a dataset cannot change: {why}"))
                .help("make a dataset of another name, or build this one anew from its stream with `headwater apply --reset-state`");
            problems.push(new.origin.blame(&format!("/spec/{field}"), problem));
        }
    }
    if before.rollup == after.rollup
        && let (Ok(before), Ok(after)) = (Layout::of(&before), Layout::of(&after))
        && let Err(faults) = before.followed_by(&after)
    {
        // The columns of a rollup are the table's, which the spec does not list.
        let place =
            |at: &str| if after.rollup.is_some() { "/spec/rollup".to_owned() } else { format!("/spec/columns{at}") };
        problems.extend(faults.into_iter().map(|(at, problem)| new.origin.blame(&place(&at), problem)));
    }
    problems
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<DatasetSpec>(spec.clone()) else { return Vec::new() };
    let named = |kind, name: Option<String>, field: &str, needed| {
        name.map(|name| Ref { kind, name, at: format!("/spec/{field}"), needed })
    };
    // A stream is made where it is not there; a table is more than its stream.
    let of = [
        named("Stream", spec.stream, "stream", false),
        named("Stream", spec.letters, "letters", false),
        named("Table", spec.table, "table", true),
        named("Bucket", spec.bucket.map(|name| name.to_string()), "bucket", true),
    ];
    of.into_iter().flatten().collect()
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let name = &resource.metadata.name;
    let Ok(spec) = serde_json::from_value::<DatasetSpec>(resource.effective().clone()) else { return Plan::default() };
    let (Ok(source), Ok(dead)) = (spec.source(), spec.dead_letters(name)) else { return Plan::default() };
    let made = |name: Name, partitions: Option<u32>| {
        let base = default_config(&Limits::default());
        let config = StreamConfig { partitions: partitions.unwrap_or(base.partitions), ..base };
        StreamObject { name, config, extra: Vec::new(), alter: false }
    };
    // Whoever writes letters would make their stream with one partition.
    let own = spec.table.is_none().then(|| made(source.clone(), spec.letters.is_some().then_some(1)));
    // The pointer first: without it nobody finds the files.
    let mut owns = vec![Owned::Space(space(name.as_str())), Owned::Folder(folder(name.as_str()))];
    if let Some(bucket) = &spec.bucket {
        let folder = object_folder(name.as_str(), &resource.metadata.uid);
        owns.push(Owned::Outside(UNIT, format!("{bucket}/{folder}")));
    }
    Plan {
        streams: own.into_iter().chain(dead.map(|dead| made(dead, Some(1)))).collect(),
        reads: vec![source],
        units: vec![UnitSpec::of(UNIT, resource)],
        owns,
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests;
