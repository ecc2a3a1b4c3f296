//! Documents of tables: `table:*` with plain JSON, and the same verbs of DynamoDB with attribute values.
//!
//! Writes are internal plans, so a counter that a workflow adds to is added to once. Reads are external, behind the
//! commit of what the execution's own earlier steps wrote, and see it. A document has one key, so a `Key` of DynamoDB has one attribute, whatever its name.
//!
//! | native | DynamoDB (`arn:aws:states:::dynamodb:*`, `aws-sdk:dynamodb:*`) |
//! |---|---|
//! | `Table`, `Key` (a text), `Document` | `TableName`, `Key`, `Item` |
//! | answers `{Key}`, with `ReturnValues` also `Version` and `Document` | answers `{}`, with `ReturnValues` `Attributes` |

mod key_condition;
mod query;

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Name, Problem};
use headwater_kernel::expression::Update;
use headwater_kernel::port::tables::{Change, Document, Expression, TransactError, Write, Written};
use headwater_kernel::port::{Json, Tables};
use headwater_wire::dynamodb;
use headwater_wire::exact::Exact;
use serde_json::{Value, json};

use super::parameters::Parameters;
use super::{Answer, Call, Done, Internal, Plan, Refusal, Services, failure};
use crate::definition::resource::Service;
use crate::execution::Failure;

pub(super) use query::{query, scan};

/// Whose words are spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Native,
    DynamoDb,
}

impl Dialect {
    fn of(service: &Service) -> Self {
        if service.name.ends_with("dynamodb") { Self::DynamoDb } else { Self::Native }
    }

    fn pick(self, native: &'static str, dynamodb: &'static str) -> &'static str {
        if self == Self::Native { native } else { dynamodb }
    }

    fn table(self) -> &'static str {
        self.pick("Table", "TableName")
    }

    /// A value as it comes in, as plain JSON. The numbers of DynamoDB are texts, so that no digit of them is lost.
    fn plain(self, value: &Value) -> Result<Exact, Failure> {
        let value = Exact::from(value);
        match self {
            Self::Native => Ok(value),
            Self::DynamoDb => dynamodb::plain(&value).map_err(|problem| validation(&problem.title)),
        }
    }

    /// An object as it comes in, as plain JSON.
    fn document(self, value: &Value) -> Result<Exact, Failure> {
        if !value.is_object() {
            return Err(validation("a document is an object"));
        }
        let value = Exact::from(value);
        match self {
            Self::Native => Ok(value),
            Self::DynamoDb => dynamodb::document(&value).map_err(|problem| validation(&problem.title)),
        }
    }

    /// A stored document as it goes out.
    fn shown(self, document: &Json) -> Value {
        match self {
            Self::Native => Exact::read(document).map_or_else(|_| json!({}), |document| every_digit(&document)),
            Self::DynamoDb => {
                let item = dynamodb::item(document).ok();
                item.and_then(|item| item.to_value()).unwrap_or_else(|| json!({}))
            }
        }
    }
}

/// A value of a payload. A number that would lose digits there is its text, as all numbers of DynamoDB are.
fn every_digit(value: &Exact) -> Value {
    match value {
        Exact::Number(text) => value.to_value().unwrap_or_else(|| Value::String(text.to_string())),
        Exact::List(items) => Value::Array(items.iter().map(every_digit).collect()),
        Exact::Map(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), every_digit(value))).collect())
        }
        other => other.to_value().unwrap_or_default(),
    }
}

fn validation(fact: &str) -> Failure {
    failure::parameters(fact)
}

/// Reads one document.
pub(super) fn get(services: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    const NATIVE: &[&str] = &["Table", "Key"];
    const DYNAMODB: &[&str] = &[
        "TableName",
        "Key",
        "ConsistentRead",
        "ProjectionExpression",
        "ExpressionAttributeNames",
        "ReturnConsumedCapacity",
    ];
    let dialect = Dialect::of(service);
    let parameters = Parameters::new(call.parameters, if dialect == Dialect::Native { NATIVE } else { DYNAMODB })?;
    let table = parameters.text(dialect.table())?;
    let key = key(dialect, parameters)?;
    let paths = query::Projection::of(parameters)?;
    reading(services, service, table, move |tables, table| {
        let found = tables.get(table, &key)?;
        Ok(match (dialect, found) {
            (Dialect::Native, found) => {
                let version = found.as_ref().map_or(0, |document| document.version);
                json!({ "Key": key, "Version": version, "Document": found.map(|found| dialect.shown(&found.value)) })
            }
            (Dialect::DynamoDb, None) => json!({}),
            (Dialect::DynamoDb, Some(found)) => json!({ "Item": paths.of_item(dialect.shown(&found.value)) }),
        })
    })
}

/// Reads once the execution's own earlier writes are durable and the table shows them.
fn reading(
    services: &Services,
    service: &Service,
    table: &str,
    read: impl FnOnce(&dyn Tables, &str) -> Result<Value, Problem> + Send + 'static,
) -> Result<Plan, Failure> {
    let (tables, table, service) = (Arc::clone(tables(services)?), table.to_owned(), service.clone());
    Ok(Plan::External(Box::pin(async move {
        let settled = tables.settled(&table).await;
        settled.map_err(|problem| problem_of(&service, &problem))?;
        // A page of documents may come from the disk.
        let done = match tokio::task::spawn_blocking(move || read(&*tables, &table)).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => return Err(Failure::new("States.Runtime", error.to_string())),
        };
        done.map_err(|problem| problem_of(&service, &problem))
    })))
}

/// Writes a whole document.
pub(super) fn put(services: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let dialect = Dialect::of(service);
    let parameters = write_parameters(dialect, call, &["Document"], &["Item"])?;
    let table = parameters.text(dialect.table())?;
    let document = dialect.document(parameters.required(dialect.pick("Document", "Item"))?)?;
    let key = match parameters.get("Key") {
        Some(_) if dialect == Dialect::Native => key(dialect, parameters)?,
        _ => {
            let Some(field) = key_field(services, table)? else {
                return Err(validation(&format!(
                    "the table `{table}` names no field `key`, so the key is to be given as `Key`"
                )));
            };
            let value =
                document.get(&field).ok_or_else(|| validation(&format!("the document has no key field `{field}`")))?;
            key_text(value)?
        }
    };
    write(service, call, parameters, Change::Put(Json::from(document.to_string())), key)
}

/// Changes parts of a document.
pub(super) fn update(_: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let dialect = Dialect::of(service);
    let parameters = write_parameters(dialect, call, &["UpdateExpression"], &["UpdateExpression"])?;
    let key = key(dialect, parameters)?;
    let expression = expression(dialect, parameters, parameters.text("UpdateExpression")?)?;
    write(service, call, parameters, Change::Update(expression), key)
}

/// Deletes a document.
pub(super) fn delete(_: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let dialect = Dialect::of(service);
    let parameters = write_parameters(dialect, call, &[], &[])?;
    let key = key(dialect, parameters)?;
    write(service, call, parameters, Change::Delete, key)
}

/// The fields all writes have, and those of one.
fn write_parameters<'a>(
    dialect: Dialect,
    call: &Call<'a>,
    native: &[&'static str],
    dynamodb: &[&'static str],
) -> Result<Parameters<'a>, Failure> {
    let mut known = vec![
        "Key",
        "ConditionExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
        "ReturnValues",
        dialect.table(),
    ];
    match dialect {
        Dialect::Native => known.extend(["ExpectedVersion"].iter().chain(native)),
        Dialect::DynamoDb => known.extend(
            ["ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValuesOnConditionCheckFailure"]
                .iter()
                .chain(dynamodb),
        ),
    }
    Parameters::new(call.parameters, &known)
}

fn write(
    service: &Service,
    call: &Call<'_>,
    parameters: Parameters<'_>,
    change: Change,
    key: String,
) -> Result<Plan, Failure> {
    let dialect = Dialect::of(service);
    let table = Name::new(parameters.text(dialect.table())?).map_err(|problem| failure::of(&problem))?;
    let condition = match parameters.optional_text("ConditionExpression")? {
        None => None,
        Some(text) => Some(expression(dialect, parameters, text)?),
    };
    let returned = Returned::of(parameters, matches!(change, Change::Update(_)))?;
    let named = match (&change, returned) {
        // One that cannot be read is refused by the tables.
        (Change::Update(expression), Returned::UpdatedOld | Returned::UpdatedNew) => Update::parse(expression).ok(),
        _ => None,
    };
    let expect = parameters.optional_number("ExpectedVersion")?;
    let cause = call.cause.cloned();
    let write = Write { table, key: key.clone(), change, expect, present: false, condition, cause, who: None };
    let answer = match (returned, dialect) {
        (Returned::None, Dialect::Native) => Answer::Known(json!({ "Key": key })),
        (Returned::None, Dialect::DynamoDb) => Answer::Known(json!({})),
        _ => Answer::Of(Box::new(move |done: &Done| {
            let written = done.written.first().ok_or_else(|| validation("nothing was written"))?;
            Ok(returned.answer(dialect, &key, written, named.as_ref()))
        })),
    };
    Ok(Plan::Internal(Internal { writes: vec![write], ..Internal::new(answer, refused) }))
}

/// What a write gives back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Returned {
    None,
    AllOld,
    AllNew,
    UpdatedOld,
    UpdatedNew,
}

impl Returned {
    fn of(parameters: Parameters<'_>, update: bool) -> Result<Self, Failure> {
        match (parameters.optional_text("ReturnValues")?.unwrap_or("NONE"), update) {
            ("NONE", _) => Ok(Self::None),
            ("ALL_OLD", _) => Ok(Self::AllOld),
            ("ALL_NEW", true) => Ok(Self::AllNew),
            ("UPDATED_OLD", true) => Ok(Self::UpdatedOld),
            ("UPDATED_NEW", true) => Ok(Self::UpdatedNew),
            (other, _) => Err(validation(&format!("`ReturnValues` cannot be `{other}` here"))),
        }
    }

    /// Of the whole document, or of what `named` names of it.
    fn answer(self, dialect: Dialect, key: &str, written: &Written, named: Option<&Update>) -> Value {
        let document: Option<&Document> = match self {
            Self::AllOld | Self::UpdatedOld => written.old.as_ref(),
            _ => written.new.as_ref(),
        };
        let shown = document.map(|document| match named {
            None => dialect.shown(&document.value),
            Some(named) => Exact::read(&document.value)
                .map_or_else(|_| json!({}), |all| dialect.shown(&Json::from(named.touched(&all).to_string()))),
        });
        match (dialect, shown) {
            (Dialect::Native, shown) => {
                let version = document.map_or(0, |document| document.version);
                json!({ "Key": key, "Version": version, "Document": shown })
            }
            (Dialect::DynamoDb, Some(attributes)) if attributes != json!({}) => json!({ "Attributes": attributes }),
            (Dialect::DynamoDb, _) => json!({}),
        }
    }
}

/// An expression with the names and values that go with it.
fn expression(dialect: Dialect, parameters: Parameters<'_>, text: &str) -> Result<Expression, Failure> {
    let mut names = BTreeMap::new();
    for (name, field) in parameters.optional_object("ExpressionAttributeNames")?.into_iter().flatten() {
        let Some(field) = field.as_str() else {
            return Err(validation(&format!("`{name}` stands for no field's name")));
        };
        names.insert(name.clone(), field.to_owned());
    }
    let mut values = BTreeMap::new();
    for (name, value) in parameters.optional_object("ExpressionAttributeValues")?.into_iter().flatten() {
        values.insert(name.clone(), dialect.plain(value)?);
    }
    Ok(Expression { text: text.to_owned(), names, values })
}

fn key(dialect: Dialect, parameters: Parameters<'_>) -> Result<String, Failure> {
    let value = parameters.required("Key")?;
    if dialect == Dialect::Native {
        return key_text(&Exact::from(value));
    }
    let Exact::Map(fields) = dialect.document(value)? else { return Err(validation("`Key` is an object")) };
    match fields.as_slice() {
        [(_, value)] => key_text(value),
        _ => Err(validation(&format!("`Key` has {} attributes; a document here has one key", fields.len()))),
    }
}

fn key_text(value: &Exact) -> Result<String, Failure> {
    match value {
        Exact::String(text) if !text.is_empty() => Ok(text.clone()),
        Exact::Number(text) => Ok(text.to_string()),
        _ => Err(validation("a key is a text that is not empty, or a number")),
    }
}

/// The field of a table's documents that is their key, if it names one.
pub(super) fn key_field(services: &Services, table: &str) -> Result<Option<String>, Failure> {
    tables(services)?.key_field(table).map_err(|problem| failure::of(&problem))
}

fn tables(services: &Services) -> Result<&Arc<dyn Tables>, Failure> {
    services.context.tables.as_ref().ok_or_else(|| failure::unwired("tables"))
}

/// Error names begin with the service's own, which the two kinds of integrations spell differently.
fn family(service: &Service) -> &'static str {
    match service.name.as_str() {
        "dynamodb" => "DynamoDB",
        "aws-sdk:dynamodb" => "DynamoDb",
        _ => "Table",
    }
}

fn problem_of(service: &Service, problem: &Problem) -> Failure {
    let failed = failure::of(problem);
    let name = match (problem.code.as_str(), Dialect::of(service)) {
        ("HW-KERNEL-019", Dialect::DynamoDb) => "ResourceNotFoundException",
        ("HW-KERNEL-019", Dialect::Native) => "NotFound",
        (_, Dialect::DynamoDb) => "ValidationException",
        (_, Dialect::Native) => return failed,
    };
    Failure { error: Some(format!("{}.{name}", family(service))), ..failed }
}

/// Another try may help.
fn busy(service: &Service, cause: &str) -> Failure {
    let name = Dialect::of(service).pick("Busy", "InternalServerErrorException");
    Failure::new(format!("{}.{name}", family(service)), cause)
}

pub(super) fn refused(service: &Service, refusal: Refusal<'_>) -> Failure {
    let Refusal::Write(error) = refusal else { return validation("the write was refused") };
    match error {
        TransactError::Condition { .. } => {
            let name = Dialect::of(service).pick("ConditionFailed", "ConditionalCheckFailedException");
            Failure::new(format!("{}.{name}", family(service)), "The conditional request failed")
        }
        TransactError::Problem(problem) => problem_of(service, problem),
        TransactError::Full => busy(service, "too much waits for the disk"),
        TransactError::Behind(table) => busy(service, &format!("the table `{table}` is catching up")),
        TransactError::Log(error) => busy(service, &error.to_string()),
    }
}
