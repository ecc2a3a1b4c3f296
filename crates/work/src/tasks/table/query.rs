//! Several documents of a table: `query` by key or index, `scan`.

use headwater_kernel::port::tables::Query;
use headwater_wire::exact::Exact;
use serde_json::{Map, Value, json};

use super::{Dialect, expression, key_condition, key_text, problem_of, reading, tables, validation};
use crate::definition::resource::Service;
use crate::execution::Failure;
use crate::tasks::parameters::Parameters;
use crate::tasks::{Call, Plan, Services};

/// Documents of one page where nothing says how many.
const COUNT: u64 = 100;

/// The most documents of one page.
const COUNT_MAX: u64 = 1_000;

/// The attribute in which DynamoDB's callers carry our place between pages.
const PLACE: &str = "headwaterPlace";

pub(in crate::tasks) fn query(services: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    match Dialect::of(service) {
        Dialect::Native => native(services, service, call),
        Dialect::DynamoDb => dynamodb(services, service, call, true),
    }
}

pub(in crate::tasks) fn scan(services: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    dynamodb(services, service, call, false)
}

fn native(services: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    const FIELDS: &[&str] = &[
        "Table",
        "Index",
        "Equals",
        "From",
        "To",
        "FilterExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
        "Descending",
        "After",
        "Limit",
    ];
    let parameters = Parameters::new(call.parameters, FIELDS)?;
    let query = Query {
        index: parameters.optional_text("Index")?.map(str::to_owned),
        equals: parameters.optional_list("Equals")?.into_iter().flatten().map(Exact::from).collect(),
        from: parameters.get("From").map(Exact::from),
        to: parameters.get("To").map(Exact::from),
        filter: match parameters.optional_text("FilterExpression")? {
            None => None,
            Some(text) => Some(expression(Dialect::Native, parameters, text)?),
        },
        descending: parameters.optional_flag("Descending")?.unwrap_or(false),
        after: parameters.optional_text("After")?.map(str::to_owned),
        count: count(parameters)?,
        ..Query::default()
    };
    reading(services, service, parameters.text("Table")?, move |tables, table| {
        let page = tables.query(table, &query)?;
        let shown = page.documents.iter().map(|found| {
            let document = Dialect::Native.shown(&found.value);
            json!({ "Key": found.key, "Version": found.version, "Document": document })
        });
        let mut answer = Map::new();
        answer.insert("Documents".to_owned(), shown.collect());
        answer.insert("Count".to_owned(), json!(page.documents.len()));
        answer.insert("Scanned".to_owned(), json!(page.scanned));
        answer.extend(page.next.map(|next| ("Next".to_owned(), json!(next))));
        Ok(Value::Object(answer))
    })
}

fn dynamodb(services: &Services, service: &Service, call: &Call<'_>, keyed: bool) -> Result<Plan, Failure> {
    const FIELDS: &[&str] = &[
        "TableName",
        "IndexName",
        "KeyConditionExpression",
        "FilterExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
        "ScanIndexForward",
        "ExclusiveStartKey",
        "Limit",
        "ProjectionExpression",
        "ConsistentRead",
        "ReturnConsumedCapacity",
        "Select",
    ];
    let dialect = Dialect::DynamoDb;
    let parameters = Parameters::new(call.parameters, FIELDS)?;
    let mut query = Query {
        index: parameters.optional_text("IndexName")?.map(str::to_owned),
        descending: !parameters.optional_flag("ScanIndexForward")?.unwrap_or(true),
        count: count(parameters)?,
        // What is looked at counts, as in DynamoDB: a page with a filter may have fewer documents, or none.
        scan_max: parameters.optional_number("Limit")?,
        filter: match parameters.optional_text("FilterExpression")? {
            None => None,
            Some(text) => Some(expression(dialect, parameters, text)?),
        },
        ..Query::default()
    };
    if let Some(place) = parameters.optional_object("ExclusiveStartKey")? {
        let text = place.get(PLACE).and_then(|place| place.get("S")).and_then(Value::as_str);
        let text =
            text.ok_or_else(|| validation("`ExclusiveStartKey` is not a `LastEvaluatedKey` of an earlier page"))?;
        query.after = Some(text.to_owned());
    }
    if keyed {
        let condition = expression(dialect, parameters, parameters.text("KeyConditionExpression")?)?;
        let (tables, table) = (tables(services)?, parameters.text("TableName")?);
        let keys = match &query.index {
            Some(index) => tables.index_fields(table, index),
            None => tables.key_field(table).map(|field| field.into_iter().collect()),
        };
        let keys = keys.map_err(|problem| problem_of(service, &problem))?;
        query.beyond = match key_condition::apply(&condition, &mut query, &keys)? {
            None => None,
            Some(left) => Some(expression(dialect, parameters, &left)?),
        };
        if query.index.is_none()
            && let Some(key) = query.equals.pop()
        {
            // Without an index the documents go by their one key, which is a text for numbers, too.
            let key = Exact::String(key_text(&key)?);
            (query.from, query.to) = (Some(key.clone()), Some(key));
        }
    }
    let counted = parameters.optional_text("Select")? == Some("COUNT");
    let paths = Projection::of(parameters)?;
    reading(services, service, parameters.text("TableName")?, move |tables, table| {
        let page = tables.query(table, &query)?;
        let mut answer = Map::new();
        answer.insert("Count".to_owned(), json!(page.documents.len()));
        answer.insert("ScannedCount".to_owned(), json!(page.scanned));
        if !counted {
            let items = page.documents.iter().map(|found| paths.of_item(dialect.shown(&found.value)));
            answer.insert("Items".to_owned(), items.collect());
        }
        answer.extend(page.next.map(|next| ("LastEvaluatedKey".to_owned(), json!({ PLACE: { "S": next } }))));
        Ok(Value::Object(answer))
    })
}

fn count(parameters: Parameters<'_>) -> Result<usize, Failure> {
    match parameters.optional_number("Limit")?.unwrap_or(COUNT) {
        0 => Err(validation("`Limit` is 1 or more")),
        count => Ok(usize::try_from(count.min(COUNT_MAX)).unwrap_or(usize::MAX)),
    }
}

/// The fields that `ProjectionExpression` names, those inside maps among them; all without one.
pub(super) struct Projection(Option<Vec<Vec<String>>>);

impl Projection {
    pub(super) fn of(parameters: Parameters<'_>) -> Result<Self, Failure> {
        let Some(projection) = parameters.optional_text("ProjectionExpression")? else { return Ok(Self(None)) };
        let names = parameters.optional_object("ExpressionAttributeNames")?;
        let mut paths = Vec::new();
        for path in projection.split(',').map(str::trim) {
            if path.is_empty() || path.contains('[') {
                return Err(validation(&format!("`{path}` in `ProjectionExpression` is no path of fields")));
            }
            let named = |part: &str| names.and_then(|names| names.get(part)?.as_str()).unwrap_or(part).to_owned();
            paths.push(path.split('.').map(named).collect());
        }
        Ok(Self(Some(paths)))
    }

    pub(super) fn of_item(&self, item: Value) -> Value {
        let Some(paths) = &self.0 else { return item };
        let mut chosen = Value::Object(Map::new());
        for path in paths {
            copy(&item, &mut chosen, path);
        }
        chosen
    }
}

/// Copies what lies at the end of a path, through the attribute values `{"M": {...}}` of the maps on the way.
fn copy(from: &Value, to: &mut Value, fields: &[String]) {
    let [field, rest @ ..] = fields else { return };
    let Some(found) = from.get(field) else { return };
    let Some(to) = to.as_object_mut() else { return };
    if rest.is_empty() {
        to.insert(field.clone(), found.clone());
    } else if let Some(inner) = found.get("M") {
        let slot = to.entry(field.clone()).or_insert_with(|| json!({ "M": {} }));
        if let Some(slot) = slot.get_mut("M") {
            copy(inner, slot, rest);
        }
    }
}
