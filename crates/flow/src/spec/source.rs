//! Where events come from: `source` of a pipeline's spec.

use headwater_base::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceSpec {
    /// A stream of this node.
    Stream(StreamSource),
    /// HTTP ingest: `POST /v1/streams/{stream}/events` fills the stream, the pipeline reads it.
    Http(StreamSource),
    /// A file; for `headwater run`.
    File(FileSource),
    /// Standard input; for `headwater run`.
    Stdin(StdinSource),
}

/// A stream to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamSource {
    /// The stream's name.
    pub stream: Name,
    /// Where a new pipeline begins. Default: `earliest`.
    #[serde(default)]
    pub start: Start,
}

/// Where a new pipeline begins to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the oldest event kept.
    #[default]
    Earliest,
    /// At events that arrive from now on.
    Latest,
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    /// The file; `.gz` is unpacked. A relative name starts from the working folder.
    pub path: String,
    /// How events are written in it. Default: by the file's extension, else `ndjson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// Standard input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdinSource {
    /// How events are written. Default: `ndjson`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}

/// How events are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated values under a line of column names.
    Csv,
    /// Apache's and nginx's combined access log.
    Combined,
}
