//! The table of configuration keys: Kafka's names, types, defaults and meanings, and which of our own settings each
//! one is. Keys that the log does not use are checked, kept and given back, so that tools which set them work.
//!
//! # Source
//! Apache Kafka 4.1, `TopicConfig.java`, `ServerConfigs.java`; types: `ConfigDef.Type`.

use headwater_base::Limits;
use headwater_log::{BATCH_BYTES_MAX, Cleanup, StreamConfig};

/// The longest value; a string of the protocol's older versions has no more.
const VALUE_BYTES_MAX: usize = i16::MAX as usize;

/// A key of a stream.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    /// The node's key that Kafka takes the default from.
    pub(super) server: &'static str,
    pub(super) help: &'static str,
    own: Option<Own>,
}

/// A setting of ours.
struct Own {
    get: fn(&StreamConfig) -> String,
    set: fn(&mut StreamConfig, &str) -> Option<()>,
}

/// What values a key takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Boolean,
    /// A 32-bit number of at least that.
    Int(i32),
    /// A 32-bit number between those.
    Between(i32, i32),
    /// A 64-bit number of at least that.
    Long(i64),
    /// A number between 0 and 1.
    Ratio,
    /// One of those words.
    Word(&'static [&'static str]),
    /// Any of those words, separated by commas.
    List(&'static [&'static str]),
    /// Any text.
    Text,
}

impl Kind {
    /// Its number in DescribeConfigs.
    pub(super) const fn number(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Word(_) => 2,
            Self::Int(_) | Self::Between(..) => 3,
            Self::Long(_) => 5,
            Self::Ratio => 6,
            Self::List(_) | Self::Text => 7,
        }
    }

    fn admits(self, value: &str) -> bool {
        match self {
            Self::Boolean => matches!(value, "true" | "false"),
            Self::Int(least) => value.parse::<i32>().is_ok_and(|number| number >= least),
            Self::Between(least, most) => value.parse::<i32>().is_ok_and(|number| (least..=most).contains(&number)),
            Self::Long(least) => value.parse::<i64>().is_ok_and(|number| number >= least),
            Self::Ratio => value.parse::<f64>().is_ok_and(|number| (0.0..=1.0).contains(&number)),
            Self::Word(words) => words.contains(&value),
            Self::List(words) => value.split(',').all(|word| words.contains(&word.trim())),
            Self::Text => true,
        }
    }

    fn wanted(self) -> String {
        match self {
            Self::Boolean => "`true` or `false`".into(),
            Self::Int(least) => format!("a whole number from {least} to {}", i32::MAX),
            Self::Between(least, most) => format!("a whole number from {least} to {most}"),
            Self::Long(least) => format!("a whole number from {least} to {}", i64::MAX),
            Self::Ratio => "a number from 0 to 1".into(),
            Self::Word(words) => format!("one of `{}`", words.join("`, `")),
            Self::List(words) => format!("a list of `{}`", words.join("`, `")),
            Self::Text => "text".into(),
        }
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, server: &'static str, help: &'static str) -> Key {
    Key { name, kind, default, server, help, own: None }
}

impl Key {
    const fn own(mut self, get: fn(&StreamConfig) -> String, set: fn(&mut StreamConfig, &str) -> Option<()>) -> Self {
        self.own = Some(Own { get, set });
        self
    }

    /// The value of a stream, and whether it was set rather than left alone.
    pub(super) fn value(&self, config: &StreamConfig, extra: &[(String, String)]) -> (String, bool) {
        let set = extra.iter().find(|(name, _)| name == self.name).map(|(_, value)| value);
        let value = match (&self.own, set) {
            (Some(own), _) => (own.get)(config),
            (None, Some(value)) => value.clone(),
            (None, None) => self.default.to_owned(),
        };
        let differs = set.is_some() || value != self.default;
        (value, differs)
    }
}

const CODECS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// Every key of a stream, by name.
pub(super) static KEYS: &[Key] = &[
    key(
        "cleanup.policy",
        Kind::List(&["delete", "compact"]),
        "delete",
        "log.cleanup.policy",
        "What becomes of old records: `delete` by age and size, `compact` to the newest of each key, or both.",
    )
    .own(cleanup, set_cleanup),
    key(
        "compression.type",
        Kind::Word(CODECS),
        "producer",
        "compression.type",
        "Kept for tools; batches stay as their producer compressed them.",
    ),
    key(
        "delete.retention.ms",
        Kind::Long(0),
        "86400000",
        "log.cleaner.delete.retention.ms",
        "How long a deletion marker stays readable in a compacted stream.",
    )
    .own(
        |config| config.delete_retention_ms.to_string(),
        |config, value| value.parse().map(|ms| config.delete_retention_ms = ms).ok(),
    ),
    key(
        "file.delete.delay.ms",
        Kind::Long(0),
        "60000",
        "log.segment.delete.delay.ms",
        "Kept for tools; files go at once.",
    ),
    key(
        "flush.messages",
        Kind::Long(1),
        "1",
        "log.flush.interval.messages",
        "Kept for tools; every record is synced before it is acknowledged.",
    ),
    key(
        "flush.ms",
        Kind::Long(0),
        "0",
        "log.flush.interval.ms",
        "Kept for tools; every record is synced before it is acknowledged.",
    ),
    key(
        "follower.replication.throttled.replicas",
        Kind::Text,
        "",
        "follower.replication.throttled.replicas",
        "Kept for tools; there are no followers.",
    ),
    key(
        "index.interval.bytes",
        Kind::Int(0),
        "4096",
        "log.index.interval.bytes",
        "Kept for tools; the log places its index entries itself.",
    ),
    key(
        "leader.replication.throttled.replicas",
        Kind::Text,
        "",
        "leader.replication.throttled.replicas",
        "Kept for tools; there are no followers.",
    ),
    key(
        "local.retention.bytes",
        Kind::Long(-2),
        "-2",
        "log.local.retention.bytes",
        "Kept for tools; there is no remote storage.",
    ),
    key(
        "local.retention.ms",
        Kind::Long(-2),
        "-2",
        "log.local.retention.ms",
        "Kept for tools; there is no remote storage.",
    ),
    key(
        "max.compaction.lag.ms",
        Kind::Long(1),
        "9223372036854775807",
        "log.cleaner.max.compaction.lag.ms",
        "Kept for tools; compaction chooses its time itself.",
    ),
    key(
        "max.message.bytes",
        Kind::Between(0, BATCH_BYTES_MAX as i32),
        "1048588",
        "message.max.bytes",
        "The largest batch, as it is sent.",
    )
    .own(
        |config| config.batch_bytes_max.to_string(),
        |config, value| value.parse().map(|bytes| config.batch_bytes_max = bytes).ok(),
    ),
    key(
        "message.timestamp.after.max.ms",
        Kind::Long(0),
        "3600000",
        "log.message.timestamp.after.max.ms",
        "Kept for tools; times are judged by pipelines.",
    ),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long(0),
        "9223372036854775807",
        "log.message.timestamp.before.max.ms",
        "Kept for tools; times are judged by pipelines.",
    ),
    key(
        "message.timestamp.type",
        Kind::Word(&["CreateTime", "LogAppendTime"]),
        "CreateTime",
        "log.message.timestamp.type",
        "Whether a record's time is its producer's or that of its arrival.",
    )
    .own(
        |config| if config.append_time { "LogAppendTime" } else { "CreateTime" }.into(),
        |config, value| {
            config.append_time = value == "LogAppendTime";
            Some(())
        },
    ),
    key(
        "min.cleanable.dirty.ratio",
        Kind::Ratio,
        "0.5",
        "log.cleaner.min.cleanable.ratio",
        "Kept for tools; compaction chooses its time itself.",
    ),
    key(
        "min.compaction.lag.ms",
        Kind::Long(0),
        "0",
        "log.cleaner.min.compaction.lag.ms",
        "Kept for tools; compaction chooses its time itself.",
    ),
    key("min.insync.replicas", Kind::Int(1), "1", "min.insync.replicas", "Kept for tools; there is one replica."),
    key(
        "preallocate",
        Kind::Boolean,
        "false",
        "log.preallocate",
        "Kept for tools; the write-ahead log is always preallocated.",
    ),
    key(
        "remote.storage.enable",
        Kind::Boolean,
        "false",
        "remote.log.storage.system.enable",
        "Kept for tools; there is no remote storage.",
    ),
    key(
        "retention.bytes",
        Kind::Long(-1),
        "-1",
        "log.retention.bytes",
        "Size of a partition above which its oldest segments go; -1 for no limit.",
    )
    .own(
        |config| optional(config.retention_bytes),
        |config, value| {
            value.parse().map(|bytes: i64| config.retention_bytes = Some(bytes).filter(|bytes| *bytes >= 0)).ok()
        },
    ),
    key(
        "retention.ms",
        Kind::Long(-1),
        "604800000",
        "log.retention.ms",
        "Age above which records go; -1 for no limit.",
    )
    .own(
        |config| optional(config.retention_ms),
        |config, value| value.parse().map(|ms: i64| config.retention_ms = Some(ms).filter(|ms| *ms >= 0)).ok(),
    ),
    key("segment.bytes", Kind::Int(14), "1073741824", "log.segment.bytes", "Size at which a segment file is closed.")
        .own(
            |config| config.segment_bytes.to_string(),
            |config, value| value.parse().map(|bytes| config.segment_bytes = bytes).ok(),
        ),
    key(
        "segment.index.bytes",
        Kind::Int(4),
        "10485760",
        "log.index.size.max.bytes",
        "Kept for tools; indexes grow as needed.",
    ),
    key(
        "segment.jitter.ms",
        Kind::Long(0),
        "0",
        "log.roll.jitter.ms",
        "Kept for tools; segments are closed without jitter.",
    ),
    key("segment.ms", Kind::Long(1), "604800000", "log.roll.ms", "Age at which a segment file is closed.").own(
        |config| config.segment_ms.to_string(),
        |config, value| value.parse().map(|ms| config.segment_ms = ms).ok(),
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        "unclean.leader.election.enable",
        "Kept for tools; there is one replica.",
    ),
];

/// The configuration of a stream about which nothing is said.
pub(super) fn defaults(partitions: u32, limits: &Limits) -> StreamConfig {
    StreamConfig {
        partitions,
        retention_ms: Some(7 * 86_400_000),
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: u32::try_from(limits.batch_bytes).unwrap_or(u32::MAX),
        segment_bytes: 1 << 30,
        segment_ms: 7 * 86_400_000,
        delete_retention_ms: 86_400_000,
        append_time: false,
    }
}

/// Sets `name` to `value`, or back to its default with None, and remembers that it was set.
///
/// # Errors
/// In words: an unknown key, or a value that it does not take.
pub(super) fn set(
    config: &mut StreamConfig,
    extra: &mut Vec<(String, String)>,
    name: &str,
    value: Option<&str>,
) -> Result<(), String> {
    let Some(key) = KEYS.iter().find(|key| key.name == name) else {
        let near = headwater_base::closest(name, KEYS.iter().map(|key| key.name));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("unknown topic config name: `{name}`{hint}"));
    };
    let text = value.unwrap_or(key.default).trim();
    check_length(name, text)?;
    let refused = || format!("invalid value `{text}` for configuration `{name}`: it takes {}", key.kind.wanted());
    if !key.kind.admits(text) {
        return Err(refused());
    }
    if let Some(own) = &key.own {
        (own.set)(config, text).ok_or_else(refused)?;
    }
    extra.retain(|(known, _)| known != name);
    if value.is_some() {
        extra.push((name.to_owned(), text.to_owned()));
    }
    Ok(())
}

/// Refuses a value that nobody means: the log would keep it, and give it out whenever the stream is described.
///
/// # Errors
/// In words.
pub(super) fn check_length(name: &str, value: &str) -> Result<(), String> {
    if value.len() > VALUE_BYTES_MAX {
        let bytes = value.len();
        return Err(format!("a value of `{bytes}` bytes for configuration `{name}`; the limit is `{VALUE_BYTES_MAX}`"));
    }
    Ok(())
}

fn optional(value: Option<i64>) -> String {
    value.unwrap_or(-1).to_string()
}

fn cleanup(config: &StreamConfig) -> String {
    match config.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
        Cleanup::CompactDelete => "compact,delete",
    }
    .into()
}

fn set_cleanup(config: &mut StreamConfig, value: &str) -> Option<()> {
    let has = |word| value.split(',').any(|part| part.trim() == word);
    config.cleanup = match (has("compact"), has("delete")) {
        (true, true) => Cleanup::CompactDelete,
        (true, false) => Cleanup::Compact,
        (false, true) => Cleanup::Delete,
        (false, false) => return None,
    };
    Some(())
}
