//! Kind ExternalTable: files that somebody else writes, or a table of a PostgreSQL server, as a relation of SQL.
//!
//! What it is NOT: a copy. Each question reads the files or the table as they are then.

pub mod postgres;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};
use headwater_base::Problem;
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use postgres::PostgresSpec;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "ExternalTable",
    plural: "externaltables",
    short: &["external"],
    doc: "Files that somebody else writes (CSV, NDJSON, Parquet), or a table of a PostgreSQL server, as a relation of SQL, `external.NAME`, read anew by each question.",
    schema: kind::schema::<ExternalTableSpec>,
    example: EXAMPLE,
    effective: kind::effective::<ExternalTableSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: ExternalTable
metadata: {name: budgets}
spec:
  description: What each country is meant to sell.
  path: /srv/finance/budgets-*.csv
  types: {cost_centre: text}
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalTableSpec {
    /// What its rows are, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the files are, from the root of the node's file system: one file, several by `*` and `?`, or a folder with
    /// a `/` at its end. Either this or `postgres`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// A table of a PostgreSQL server, instead of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresSpec>,
    /// What the files are. By the ending of `path` if it is left out; `.gz`, `.zst`, `.bz2` and `.xz` behind it mean
    /// that they are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What stands between the values of CSV, one character. A comma if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The types of columns, instead of what is made out of the first thousand rows: `text`, `integer`, `bigint`,
    /// `double`, `decimal(12,2)`, `boolean`, `date`, `timestamp`, `timestamptz`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
}

/// What files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// A JSON object on each line.
    Ndjson,
    /// Parquet.
    Parquet,
}

/// Endings of compressed files.
const COMPRESSED: [&str; 4] = ["gz", "zst", "bz2", "xz"];

impl ExternalTableSpec {
    /// The ending that says how files are compressed, if they are.
    pub fn compression(&self) -> Option<&str> {
        Path::new(&self.path).extension()?.to_str().filter(|ending| COMPRESSED.contains(ending))
    }

    /// What the files are.
    pub fn form(&self) -> Option<Format> {
        self.format.or_else(|| {
            let path = Path::new(&self.path);
            let plain = path.with_extension("");
            let ending = if self.compression().is_some() { plain.extension() } else { path.extension() };
            match ending?.to_str()?.to_ascii_lowercase().as_str() {
                "csv" | "tsv" => Some(Format::Csv),
                "ndjson" | "jsonl" => Some(Format::Ndjson),
                "parquet" => Some(Format::Parquet),
                _ => None,
            }
        })
    }

    /// What stands between values of CSV.
    pub fn between(&self) -> u8 {
        let own = self.delimiter.as_deref().and_then(|text| text.as_bytes().first().copied());
        own.unwrap_or(if self.path.contains(".tsv") { b'\t' } else { b',' })
    }
}

/// The type that a word names.
pub fn type_of(word: &str) -> Option<DataType> {
    let word = word.trim().to_ascii_lowercase();
    Some(match word.as_str() {
        "text" => DataType::Utf8,
        "integer" | "int" => DataType::Int32,
        "bigint" | "long" => DataType::Int64,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => {
            let inner = word.strip_prefix("decimal(")?.strip_suffix(')')?;
            let (digits, scale) = inner.split_once(',')?;
            let (digits, scale): (u8, i8) = (digits.trim().parse().ok()?, scale.trim().parse().ok()?);
            (1..=38).contains(&digits).then_some(())?;
            (0..=i8::try_from(digits).ok()?).contains(&scale).then_some(())?;
            DataType::Decimal128(digits, scale)
        }
    })
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: ExternalTableSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    let mut fault = |at: &str, fact: String, help: &str| {
        problems.push(draft.origin.blame(at, Problem::new("HW-LAKE-054", fact).help(help)));
    };
    match &spec.postgres {
        Some(postgres) => table_faults(&spec, postgres, &mut fault),
        None if spec.path.is_empty() => {
            fault("/spec", "nothing says where the rows are".to_owned(), "say `path` for files, or `postgres`");
        }
        None => file_faults(&spec, &mut fault),
    }
    problems
}

/// What cannot be of a table of PostgreSQL.
fn table_faults(spec: &ExternalTableSpec, postgres: &PostgresSpec, fault: &mut dyn FnMut(&str, String, &str)) {
    let of_files = [
        ("/spec/path", !spec.path.is_empty()),
        ("/spec/format", spec.format.is_some()),
        ("/spec/delimiter", spec.delimiter.is_some()),
        ("/spec/types", !spec.types.is_empty()),
    ];
    for (at, _) in of_files.into_iter().filter(|(_, said)| *said) {
        fault(at, "this is about files, and the rows are in a table of PostgreSQL".to_owned(), "leave it out");
    }
    for (key, fact, help) in postgres.faults() {
        fault(&format!("/spec/postgres/{key}"), fact, help);
    }
}

/// What cannot be of files.
fn file_faults(spec: &ExternalTableSpec, fault: &mut dyn FnMut(&str, String, &str)) {
    if !Path::new(&spec.path).is_absolute() {
        let fact = format!("`{}` is no place from the root of the file system", spec.path.escape_debug());
        fault("/spec/path", fact, "begin with `/`: the node has no folder of yours to start from");
    }
    if spec.form().is_none() {
        fault(
            "/spec/path",
            "the ending does not say what the files are".to_owned(),
            "say `format: csv`, `ndjson` or `parquet`",
        );
    }
    if spec.delimiter.as_deref().is_some_and(|text| text.len() != 1) {
        fault("/spec/delimiter", "a delimiter is one ASCII character".to_owned(), "use `;`, `|` or `\"\t\"`");
    }
    for (column, word) in &spec.types {
        if type_of(word).is_none() {
            let at = format!("/spec/types/{}", column.replace('~', "~0").replace('/', "~1"));
            let fact = format!("`{}` is no type of a column", word.chars().take(40).collect::<String>().escape_debug());
            fault(
                &at,
                fact,
                "use `text`, `integer`, `bigint`, `double`, `decimal(12,2)`, `boolean`, `date`, `timestamp` or `timestamptz`",
            );
        }
    }
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<ExternalTableSpec>(spec.clone()) else { return Vec::new() };
    let password = spec.postgres.and_then(|postgres| postgres.password).into_iter();
    let at = || "/spec/postgres/password/secret".to_owned();
    password.map(|it| Ref { kind: "Secret", name: it.secret.to_string(), at: at(), needed: true }).collect()
}

fn reconcile(_: &Arc<Resource>, _: &Observed) -> Plan {
    Plan::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(path: &str) -> ExternalTableSpec {
        serde_json::from_value(serde_json::json!({ "path": path })).unwrap()
    }

    #[test]
    fn endings_say_what_files_are() {
        let of = |path: &str| (spec(path).form(), spec(path).compression().map(str::to_owned));
        assert_eq!(of("/a/b.csv"), (Some(Format::Csv), None));
        assert_eq!(of("/a/b-*.jsonl.gz"), (Some(Format::Ndjson), Some("gz".to_owned())));
        assert_eq!(of("/a/b.parquet"), (Some(Format::Parquet), None));
        assert_eq!(of("/a/b.xlsx"), (None, None));
        assert_eq!((spec("/a/b.tsv").between(), spec("/a/b.csv").between()), (b'\t', b','));
    }

    #[test]
    fn words_are_types() {
        assert_eq!(type_of(" Decimal(12, 2)"), Some(DataType::Decimal128(12, 2)));
        assert_eq!(type_of("text"), Some(DataType::Utf8));
        for none in ["decimal(39,2)", "decimal(2,3)", "decimal(0,0)", "string(3)", ""] {
            assert_eq!(type_of(none), None, "{none}");
        }
    }
}
