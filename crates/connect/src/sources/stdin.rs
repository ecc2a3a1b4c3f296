//! Source `stdin`: the same formats as a file, from standard input.

use std::io::BufReader;

use headwater_base::Problem;
use headwater_kernel::port::{Context, Source, SourceKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::{Format, read};
use super::lines::{Counted, Progress};

/// The row of this source.
pub const KIND: SourceKind = SourceKind { name: "stdin", schema: || schemars::schema_for!(Spec).to_value(), build };

/// `{type: stdin, ...}`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    /// Always `stdin`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// How events are written; `ndjson` if it is left out.
    format: Option<Format>,
}

fn build(spec: &Value, _: &Context) -> Result<Box<dyn Source>, Problem> {
    let spec: Spec = serde_json::from_value(spec.clone()).map_err(|error| {
        Problem::new("HW-CONNECT-031", format!("a source of standard input: {error}"))
            .help("write `{type: stdin, format: ndjson}`")
    })?;
    let progress = Progress::default();
    let input = BufReader::new(Counted::new(std::io::stdin(), &progress));
    read(input, "standard input".to_owned(), spec.format.unwrap_or(Format::Ndjson), progress)
}
