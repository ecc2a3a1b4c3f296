//! What services answer, as far as the mock of a call is held against it (`fieldValidationMode`).
//!
//! Members that a service's model does not name are passed over in every mode.
//!
//! What it is NOT: the model of every service. The table has those whose calls a node can make by itself, by their own
//! names; the mock of any other call (`aws-sdk:` among them), and of one that a token ends, is taken as it is.
//!
//! Source: the outputs of the operations in botocore 1.44.8, with members as Step Functions shows them; "Mock validation
//! modes", Developer Guide.

use serde_json::Value;

use crate::definition::resource::{Pattern, Service};

/// How strictly a mock is held against the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// What must be there is there, and what is there fits.
    #[default]
    Strict,
    /// What is there fits.
    Present,
    /// It is not.
    None,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Any,
    /// Of so many characters at least and at most.
    Text(usize, usize),
    Choice(&'static [&'static str]),
    Number,
    Flag,
    List(&'static Kind),
    Map(&'static Kind),
    Structure(&'static [Member]),
    /// A typed value of a table's item, which holds others.
    Attribute,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    name: &'static str,
    kind: Kind,
    required: bool,
}

const fn may(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, required: false }
}

const fn must(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, required: true }
}

const TEXT: Kind = Kind::Text(0, usize::MAX);
const ARN: Kind = Kind::Text(1, 256);
const TEXTS: Kind = Kind::List(&TEXT);
const ITEM: Kind = Kind::Map(&Kind::Attribute);

const ATTRIBUTE: &[Member] = &[
    may("S", TEXT),
    may("N", TEXT),
    may("B", TEXT),
    may("SS", TEXTS),
    may("NS", TEXTS),
    may("BS", TEXTS),
    may("M", ITEM),
    may("L", Kind::List(&Kind::Attribute)),
    may("NULL", Kind::Flag),
    may("BOOL", Kind::Flag),
];

const CAPACITY: Kind = Kind::Structure(&[
    may("CapacityUnits", Kind::Number),
    may("ReadCapacityUnits", Kind::Number),
    may("WriteCapacityUnits", Kind::Number),
]);

const CONSUMED: Member = may(
    "ConsumedCapacity",
    Kind::Structure(&[
        may("TableName", Kind::Text(1, 1_024)),
        may("CapacityUnits", Kind::Number),
        may("ReadCapacityUnits", Kind::Number),
        may("WriteCapacityUnits", Kind::Number),
        may("Table", CAPACITY),
        may("LocalSecondaryIndexes", Kind::Map(&CAPACITY)),
        may("GlobalSecondaryIndexes", Kind::Map(&CAPACITY)),
    ]),
);

/// `lambda:invoke`; its payload is shown as what it is.
const INVOKED: &[Member] = &[
    may("StatusCode", Kind::Number),
    may("FunctionError", TEXT),
    may("LogResult", TEXT),
    may("Payload", Kind::Any),
    may("ExecutedVersion", Kind::Text(1, 1_024)),
];

/// `dynamodb:getItem`.
const GOT: &[Member] = &[may("Item", ITEM), CONSUMED];

/// `dynamodb:putItem`, `updateItem` and `deleteItem`.
const WRITTEN: &[Member] = &[
    may("Attributes", ITEM),
    CONSUMED,
    may(
        "ItemCollectionMetrics",
        Kind::Structure(&[may("ItemCollectionKey", ITEM), may("SizeEstimateRangeGB", Kind::List(&Kind::Number))]),
    ),
];

/// `events:putEvents`.
const PUT: &[Member] = &[
    may("FailedEntryCount", Kind::Number),
    may(
        "Entries",
        Kind::List(&Kind::Structure(&[
            may("EventId", Kind::Text(0, 64)),
            may("ErrorCode", TEXT),
            may("ErrorMessage", TEXT),
        ])),
    ),
];

/// `sns:publish`.
const PUBLISHED: &[Member] = &[may("MessageId", TEXT), may("SequenceNumber", TEXT)];

/// `sqs:sendMessage`.
const SENT: &[Member] = &[
    may("MD5OfMessageBody", TEXT),
    may("MD5OfMessageAttributes", TEXT),
    may("MD5OfMessageSystemAttributes", TEXT),
    may("MessageId", TEXT),
    may("SequenceNumber", TEXT),
];

/// `states:startExecution`.
const STARTED: &[Member] = &[must("ExecutionArn", ARN), must("StartDate", TEXT)];

/// What `states:startExecution.sync` waits for: `DescribeExecution`. Times are numbers or texts, and data is a text or
/// JSON, by the pattern.
const ENDED: &[Member] = &[
    must("ExecutionArn", ARN),
    must("StateMachineArn", ARN),
    must("Status", Kind::Choice(&["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"])),
    must("StartDate", Kind::Any),
    may("Name", Kind::Text(1, 80)),
    may("Error", Kind::Text(0, 256)),
    may("Cause", Kind::Text(0, 32_768)),
];

fn answer(service: &Service) -> Option<&'static [Member]> {
    match (service.name.as_str(), service.verb.as_str(), service.pattern) {
        ("lambda", "invoke", Pattern::Response) => Some(INVOKED),
        ("dynamodb", "getItem", Pattern::Response) => Some(GOT),
        ("dynamodb", _, Pattern::Response) => Some(WRITTEN),
        ("events", "putEvents", Pattern::Response) => Some(PUT),
        ("sns", "publish", Pattern::Response) => Some(PUBLISHED),
        ("sqs", "sendMessage", Pattern::Response) => Some(SENT),
        ("states", "startExecution", Pattern::Response) => Some(STARTED),
        ("states", "startExecution", Pattern::Sync | Pattern::Sync2) => Some(ENDED),
        _ => None,
    }
}

/// Why a mocked result is none that the service gives.
pub(super) fn fault(service: &Service, result: &Value, mode: Mode) -> Option<String> {
    if mode == Mode::None {
        return None;
    }
    structure(answer(service)?, result, mode)
}

fn structure(members: &[Member], value: &Value, mode: Mode) -> Option<String> {
    members.iter().find_map(|member| match value.get(member.name) {
        None | Some(Value::Null) => {
            (member.required && mode == Mode::Strict).then(|| format!("`{}` is missing", member.name))
        }
        Some(value) => held(member.kind, member.name, value, mode),
    })
}

fn held(kind: Kind, name: &str, value: &Value, mode: Mode) -> Option<String> {
    let is = |what: &str| Some(format!("`{name}` is {what}"));
    match (kind, value) {
        (Kind::Any, _) | (Kind::Number, Value::Number(_)) | (Kind::Flag, Value::Bool(_)) => None,
        (Kind::Text(min, max), Value::String(text)) => {
            let count = text.chars().count();
            if (min..=max).contains(&count) { None } else { is(&format!("a string of {min} to {max} characters")) }
        }
        (Kind::Choice(choices), Value::String(text)) => {
            if choices.contains(&text.as_str()) {
                None
            } else {
                is(&format!("one of {}", choices.join(", ")))
            }
        }
        (Kind::List(of), Value::Array(items)) => items.iter().find_map(|item| held(*of, name, item, mode)),
        (Kind::Map(of), Value::Object(entries)) => entries.values().find_map(|entry| held(*of, name, entry, mode)),
        (Kind::Structure(members), Value::Object(_)) => structure(members, value, mode),
        (Kind::Attribute, Value::Object(_)) => structure(ATTRIBUTE, value, mode),
        (Kind::Text(..) | Kind::Choice(_), _) => is("a string"),
        (Kind::Number, _) => is("a number"),
        (Kind::Flag, _) => is("true or false"),
        (Kind::List(_), _) => is("an array"),
        (Kind::Map(_) | Kind::Structure(_) | Kind::Attribute, _) => is("an object"),
    }
}
