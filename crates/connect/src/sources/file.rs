//! Source `file`: NDJSON, CSV or a combined access log; packed by gzip where the file says so.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use headwater_base::Problem;
use headwater_kernel::port::{Context, Source, SourceKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::csv::Rows;
use super::lines::{Counted, Format as LineFormat, Lines, Progress};

/// The row of this source.
pub const KIND: SourceKind = SourceKind { name: "file", schema: || schemars::schema_for!(Spec).to_value(), build };

const BUFFER_BYTES: usize = 256 * 1024;

/// `{type: file, ...}`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    /// Always `file`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// The file; a relative name starts from the working folder.
    path: String,
    /// How events are written in it; by the name's ending if it is left out.
    format: Option<Format>,
}

/// How events are written.
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

fn build(spec: &Value, context: &Context) -> Result<Box<dyn Source>, Problem> {
    let spec: Spec = serde_json::from_value(spec.clone()).map_err(|error| {
        Problem::new("HW-CONNECT-031", format!("a file source: {error}"))
            .help("write `{type: file, path: events.ndjson}`")
    })?;
    let path = context.folder.join(&spec.path);
    let cannot = |error: std::io::Error| {
        Problem::new("HW-CONNECT-030", format!("`{}` cannot be read: {error}", path.display()))
            .help("check the name; a relative one starts from the working folder")
    };
    let file = File::open(&path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Problem::new("HW-CONNECT-030", format!("`{}` is a folder", path.display())));
    }
    let progress = Progress { total: metadata.is_file().then_some(metadata.len()), ..Progress::default() };
    let name = path.display().to_string();
    let mut input = BufReader::with_capacity(BUFFER_BYTES, Counted::new(file, &progress));
    let packed = std::io::BufRead::fill_buf(&mut input).map_err(cannot)?.starts_with(&[0x1f, 0x8b]);
    let format = spec.format.unwrap_or_else(|| guess(&path));
    if packed {
        return read(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(input)), name, format, progress);
    }
    read(input, name, format, progress)
}

/// A source over any input.
///
/// # Errors
/// `HW-CONNECT-030` when its beginning cannot be read.
pub fn read(
    input: impl std::io::BufRead + Send + 'static,
    name: String,
    format: Format,
    progress: Progress,
) -> Result<Box<dyn Source>, Problem> {
    Ok(match format {
        Format::Ndjson => Box::new(Lines::new(input, name, LineFormat::Ndjson, progress)),
        Format::Combined => Box::new(Lines::new(input, name, LineFormat::Combined, progress)),
        Format::Csv => Box::new(Rows::new(input, name, progress)?),
    })
}

fn guess(path: &Path) -> Format {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("csv") => Format::Csv,
        Some("log") => Format::Combined,
        _ => Format::Ndjson,
    }
}
