//! Words of formats, which a fuzzer puts into inputs: it finds single bytes by itself, and whole words hardly.

/// Of every format in JSON.
const JSON: &[&str] =
    &["{", "}", "[", "]", "\":", "\",\"", "null", "true", "false", "1e400", "-0.0", "\\u0000", "\\ud800"];

const TIMES: &[&str] = &["2026-01-01T00:00:00Z", "9999-12-31T23:59:59", "0000-01-01", "+23:59", "T24:00"];

const EXPRESSIONS: &[&str] = &[
    "SET ",
    "REMOVE ",
    "ADD ",
    "DELETE ",
    " AND ",
    " OR ",
    "NOT ",
    " BETWEEN ",
    " IN (",
    "size(",
    "contains(",
    "begins_with(",
    "attribute_exists(",
    "attribute_not_exists(",
    "attribute_type(",
    "if_not_exists(",
    "list_append(",
    "#s",
    ":one",
    ":list",
    ":text",
    "<>",
    "1e9223372036854775807",
    "1e-9223372036854775808",
];

const SCHEDULES: &[&str] = &[
    "rate(",
    "cron(",
    "at(",
    " minutes)",
    " hour)",
    "MON-FRI",
    "LW",
    "15W",
    "6#3",
    "6L",
    "*/",
    "2199",
    "Pacific/Apia",
];

const STATES: &[&str] = &[
    "\"StartAt\"",
    "\"States\"",
    "\"Type\"",
    "\"Next\"",
    "\"End\":true",
    "\"Choices\"",
    "\"Variable\"",
    "\"Map\"",
    "\"ItemProcessor\"",
    "\"ItemSelector\"",
    "\"Parallel\"",
    "\"Branches\"",
    "\"Retry\"",
    "\"Catch\"",
    "\"Assign\"",
    "\"Output\"",
    "\"QueryLanguage\":\"JSONata\"",
    "{% ",
    " %}",
    "$states.input",
    "States.Format('{}', ",
    "States.Array($,$)",
    "States.JsonMerge(",
    "$..*",
    "[?(@.",
    "[1::9223372036854775807]",
    ".length()",
];

const SQL: &[&str] = &[
    "SELECT ",
    " FROM ",
    " WHERE ",
    " GROUP BY ",
    " UNION ALL ",
    " JOIN ",
    " OR ",
    " IS NULL",
    "::int",
    "CASE WHEN ",
    " END",
    "--",
    "/*",
    "*/",
    "$$",
    "E'",
    "\"",
    "current_user",
    "VALUES (1)",
    "WITH a AS (",
];

const VRL: &[&str] = &[
    "if ",
    " else { ",
    "del(.",
    "exists(.",
    " ?? ",
    "!(.",
    "string!(",
    "to_int!(",
    "parse_json!(",
    "parse_timestamp!(",
    "parse_regex!(",
    "r'",
    "s'",
    "for_each(",
    "map_values(",
    " -> |k, v| {",
    "%stream",
    "merge(",
    "abort",
    "null",
];

const COST: &[&str] = &[
    "\"account\":",
    "\"percent\":",
    "\"rules\":",
    "\"resource\":",
    "\"type\":",
    "\"price\":",
    "\"points\":",
    "\"run\":",
    "\"usage\":",
    "\"instances\":",
    "\"attempts\":",
    "\"included\":",
    "\"PriceList\":",
    "\"SpotPriceHistory\":",
    "\"Reserved\":",
    "79228162514264337593543950335",
    "0.0000000000000000000000000001",
    "on_demand",
    "gb_month",
];

const CSV: &[&str] =
    &["\"\"", "\",\"", "\r\n", "\n\n", "\u{feff}", "account,percent", "resource,type,place,unit,price"];

const ITEMS: &[&str] = &["s3://bucket/a", "\"files\":[{\"key\":\"a\"}]", "\"fileSchema\":", "\"fileFormat\":\"CSV\""];

const SCHEMAS: &[&str] = &[
    "\"type\":",
    "\"properties\":",
    "\"required\":",
    "\"pattern\":",
    "\"$ref\":\"#\"",
    "\"$defs\":",
    "\"allOf\":[",
    "\"anyOf\":[",
    "\"not\":{",
    "\"unevaluatedProperties\":false",
    "\"format\":\"date-time\"",
    "(a+)+$",
    "(?=a)",
];

const YAML: &[&str] = &["---\n", "&a ", "*a", "!!str ", ": |\n  ", ": >-\n  ", "? ", "<<: ", "- - - ", "0x", ".nan"];

const PATTERNS: &[&str] = &[
    "{\"prefix\":\"",
    "{\"suffix\":\"",
    "{\"anything-but\":",
    "{\"numeric\":[\">\",",
    "{\"exists\":false}",
    "{\"wildcard\":\"*",
    "{\"cidr\":\"10.0.0.0/8\"}",
    "{\"equals-ignore-case\":\"",
    "\"$or\":[",
];

/// Tokens of documents that are kept apart from their shape, and words of operations of their own.
const PACKED: &[&str] = &["{\"", "\":", "\",\"", "\\\"", "null", "-1.5e3", "\u{0}", "\u{4}"];

/// Messages behind a start, and what parameters say.
const POSTGRES: &[&str] = &[
    "SELECT $1",
    "BEGIN",
    "DECLARE c CURSOR FOR ",
    "FETCH 1 FROM c",
    "SET statement_timeout = ",
    "SHOW ALL",
    "user\u{0}",
    "options\u{0}",
    "P\u{0}",
    "B\u{0}",
    "E\u{0}",
    "Q\u{0}",
    "NaN",
    "-infinity",
    "1e300",
    "-0",
    "2000-01-01 00:00:00+00",
    "{1,NULL,\"a\"}",
    "\\x00",
];

const PARQUET: &[&str] = &["PAR1", "\u{15}\u{0}", "\u{19}\u{1c}", "\u{2c}\u{15}"];

/// The words of a target's formats.
fn of(target: &str) -> &'static [&'static [&'static str]] {
    match target {
        "compiler" => &[VRL, JSON],
        "condition" => &[EXPRESSIONS, JSON],
        "cost" => &[COST, CSV, JSON, TIMES],
        "definition" | "expression" => &[STATES, JSON],
        "cloudevents" | "doc" | "exact" | "ingest" | "letter" | "measured" | "pending" | "program" | "rows" => {
            &[JSON, TIMES]
        }
        "items" => &[ITEMS, CSV, JSON, PARQUET],
        "lookup" | "source" => &[CSV, JSON, TIMES],
        "columnar" => &[PARQUET],
        "packed" => &[PACKED],
        "pattern" | "template" => &[PATTERNS, JSON],
        "postgres" => &[POSTGRES],
        "schedule" => &[SCHEDULES, TIMES],
        "schema" => &[SCHEMAS, JSON],
        "statement" => &[SQL],
        "text" => &[TIMES],
        "yaml" => &[YAML, JSON],
        _ => &[],
    }
}

/// A dictionary as libFuzzer reads it. It is never empty, which libFuzzer takes for a fault.
pub fn dictionary(target: &str) -> String {
    let mut text = format!("# {target}\n");
    for word in of(target).iter().copied().flatten() {
        let shown: String = word.bytes().map(|byte| format!("\\x{byte:02X}")).collect();
        text.push_str(&format!("\"{shown}\"\n"));
    }
    text
}
