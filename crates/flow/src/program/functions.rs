//! Which functions a program may call: VRL's own by an explicit list, and ours.
//!
//! A program is a function of the event, its metadata and the lookups' answers, and of nothing else: a replay, a
//! batch reconciliation and a second revision must come to the same result. So nothing here reads the network, files, the
//! environment, the host or a random number, nothing writes logs, and `now()` is the pipeline's clock.

mod now;
mod token;
mod truncate_ip;
mod user_agent;

use vrl::compiler::prelude::*;

pub(super) use token::{Keyrings, token};
pub(super) use truncate_ip::truncate_ip;
pub(super) use user_agent::UserAgents;

/// VRL functions that programs may call.
pub(super) const ALLOWED: &[&str] = &[
    "abs",
    "append",
    "array",
    "assert",
    "assert_eq",
    "basename",
    "bool",
    "boolean",
    "camelcase",
    "ceil",
    "chunks",
    "community_id",
    "compact",
    "contains",
    "contains_all",
    "crc",
    "decode_base16",
    "decode_base64",
    "decode_charset",
    "decode_mime_q",
    "decode_percent",
    "decode_punycode",
    "decrypt",
    "decrypt_ip",
    "del",
    "dirname",
    "downcase",
    "encode_base16",
    "encode_base64",
    "encode_charset",
    "encode_csv",
    "encode_json",
    "encode_key_value",
    "encode_logfmt",
    "encode_percent",
    "encode_punycode",
    "encrypt",
    "encrypt_ip",
    "ends_with",
    "exists",
    "filter",
    "find",
    "flatten",
    "float",
    "floor",
    "for_each",
    "format_int",
    "format_number",
    "format_timestamp",
    "from_entries",
    "from_unix_timestamp",
    "get",
    "haversine",
    "hmac",
    "includes",
    "int",
    "integer",
    "ip_aton",
    "ip_cidr_contains",
    "ip_ntoa",
    "ip_ntop",
    "ip_pton",
    "ip_subnet",
    "ip_to_ipv6",
    "ipv6_to_ipv4",
    "is_array",
    "is_boolean",
    "is_empty",
    "is_float",
    "is_integer",
    "is_ipv4",
    "is_ipv6",
    "is_json",
    "is_null",
    "is_nullish",
    "is_object",
    "is_regex",
    "is_string",
    "is_timestamp",
    "join",
    "kebabcase",
    "keys",
    "length",
    "map_keys",
    "map_values",
    "match",
    "match_any",
    "match_array",
    "match_datadog_query",
    "md5",
    "merge",
    "mod",
    "object",
    "object_from_array",
    "parse_apache_log",
    "parse_aws_alb_log",
    "parse_aws_cloudwatch_log_subscription_message",
    "parse_aws_vpc_flow_log",
    "parse_bytes",
    "parse_cbor",
    "parse_cef",
    "parse_common_log",
    "parse_csv",
    "parse_duration",
    "parse_float",
    "parse_glog",
    "parse_grok",
    "parse_influxdb",
    "parse_int",
    "parse_json",
    "parse_key_value",
    "parse_klog",
    "parse_linux_authorization",
    "parse_logfmt",
    "parse_nginx_log",
    "parse_query_string",
    "parse_regex",
    "parse_regex_all",
    "parse_ruby_hash",
    "parse_syslog",
    "parse_timestamp",
    "parse_tokens",
    "parse_url",
    "parse_user_agent",
    "parse_xml",
    "parse_yaml",
    "pascalcase",
    "pop",
    "push",
    "range",
    "redact",
    "remove",
    "replace",
    "replace_with",
    "round",
    "screamingsnakecase",
    "seahash",
    "set",
    "sha1",
    "sha2",
    "sha3",
    "shannon_entropy",
    "sieve",
    "slice",
    "snakecase",
    "split",
    "split_path",
    "starts_with",
    "string",
    "strip_ansi_escape_codes",
    "strip_whitespace",
    "strlen",
    "tag_types_externally",
    "tally",
    "tally_value",
    "timestamp",
    "to_bool",
    "to_entries",
    "to_float",
    "to_int",
    "to_regex",
    "to_string",
    "to_syslog_facility",
    "to_syslog_facility_code",
    "to_syslog_level",
    "to_syslog_severity",
    "to_unix_timestamp",
    "truncate",
    "type_def",
    "unflatten",
    "unique",
    "unnest",
    "upcase",
    "uuid_from_friendly_id",
    "values",
    "xxhash",
    "zip",
];

/// VRL functions that programs may not call, and why.
pub(super) const BLOCKED: &[(&str, &str)] = &[
    ("decode_gzip", "a few bytes can unpack to gigabytes"),
    ("decode_lz4", "a few bytes can unpack to gigabytes"),
    ("decode_snappy", "a few bytes can unpack to gigabytes"),
    ("decode_zlib", "a few bytes can unpack to gigabytes"),
    ("decode_zstd", "a few bytes can unpack to gigabytes"),
    ("dns_lookup", "it waits for the network; use a lookup step"),
    ("encode_gzip", "streams are compressed by their producers"),
    ("encode_lz4", "streams are compressed by their producers"),
    ("encode_proto", "it reads a file"),
    ("encode_snappy", "streams are compressed by their producers"),
    ("encode_zlib", "streams are compressed by their producers"),
    ("encode_zstd", "streams are compressed by their producers"),
    ("get_env_var", "it reads the environment; use a Secret"),
    ("get_hostname", "the result would depend on the machine"),
    ("get_timezone_name", "the result would depend on the machine"),
    ("http_request", "it waits for the network; use a lookup step"),
    ("log", "it would write event data to the log"),
    ("now", "replaced by one that asks the pipeline's clock"),
    ("parse_etld", "it reads a file"),
    ("parse_groks", "it reads files; use `parse_grok`"),
    ("parse_proto", "it reads a file"),
    ("random_bool", "a replay must give the same result; derive the value from the event's id"),
    ("random_bytes", "a replay must give the same result; derive the value from the event's id"),
    ("random_float", "a replay must give the same result; derive the value from the event's id"),
    ("random_int", "a replay must give the same result; derive the value from the event's id"),
    ("reverse_dns", "it waits for the network; use a lookup step"),
    ("uuid_v4", "a replay must give the same result; derive the id from the event's id"),
    ("uuid_v7", "a replay must give the same result; derive the id from the event's id"),
    ("validate_json_schema", "it reads a file; give the Stream a schema"),
];

/// The functions of a program.
pub(super) fn all() -> Vec<Box<dyn Function>> {
    let mut functions: Vec<Box<dyn Function>> =
        vrl::stdlib::all().into_iter().filter(|function| ALLOWED.contains(&function.identifier())).collect();
    for own in [now::NOW, token::TOKEN, truncate_ip::TRUNCATE_IP, user_agent::USER_AGENT] {
        functions.push(Box::new(own));
    }
    functions
}

/// A function of ours, as a row: what VRL wants to know about it.
#[derive(Clone, Copy, Debug)]
struct Own {
    name: &'static str,
    usage: &'static str,
    category: &'static Category,
    /// The kinds of its result.
    returns: u16,
    /// The same arguments give the same result.
    pure: bool,
    parameters: &'static [Parameter],
    compile: fn(&state::TypeState, &mut FunctionCompileContext, ArgumentList) -> Compiled,
}

impl Function for Own {
    fn identifier(&self) -> &'static str {
        self.name
    }

    fn usage(&self) -> &'static str {
        self.usage
    }

    fn category(&self) -> &'static str {
        self.category.as_ref()
    }

    fn return_kind(&self) -> u16 {
        self.returns
    }

    fn pure(&self) -> bool {
        self.pure
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.parameters
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(&self, state: &state::TypeState, ctx: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
        (self.compile)(state, ctx, arguments)
    }
}

/// Why a function is not there, if VRL has one of that name.
pub(super) fn blocked(name: &str) -> Option<&'static str> {
    BLOCKED.iter().find(|(blocked, _)| *blocked == name).map(|(_, reason)| *reason)
}
