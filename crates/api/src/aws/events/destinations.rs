//! API destinations, which are Destinations here: an address under a connection's credentials and a rate limit.

use std::sync::Arc;

use headwater_base::Problem;
use headwater_kernel::{Draft, Resource};
use serde_json::{Map, Value, json};

use super::super::call::{Answer, Call, Operation, seconds};
use super::super::native::{self, held, held_text};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, name, text};
use super::{DESCRIPTION, DESTINATION, LIMIT, NEXT_TOKEN, connections, exists, listed, not_found, put_some};

const NAME: Member = must("Name", name(64));
const ENDPOINT: Shape = text(1, 2_048);
const METHOD: Shape = Shape::Choice(&["POST", "GET", "PUT", "PATCH", "DELETE"]);
const RATE: Member = may("InvocationRateLimitPerSecond", Shape::Integer(1, 100_000));

/// Requests in a second where the client does not say, as there.
const RATE_DEFAULT: i64 = 300;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateApiDestination",
        input: &[
            NAME,
            DESCRIPTION,
            must("ConnectionArn", text(1, 1_600)),
            must("InvocationEndpoint", ENDPOINT),
            must("HttpMethod", METHOD),
            RATE,
        ],
        run: |call| Box::pin(create(call)),
    },
    Operation {
        name: "UpdateApiDestination",
        input: &[
            NAME,
            DESCRIPTION,
            may("ConnectionArn", text(1, 1_600)),
            may("InvocationEndpoint", ENDPOINT),
            may("HttpMethod", METHOD),
            RATE,
        ],
        run: |call| Box::pin(update(call)),
    },
    Operation { name: "DeleteApiDestination", input: &[NAME], run: |call| Box::pin(delete(call)) },
    Operation { name: "DescribeApiDestination", input: &[NAME], run: |call| Box::pin(async move { describe(call) }) },
    Operation {
        name: "ListApiDestinations",
        input: &[may("NamePrefix", name(64)), may("ConnectionArn", text(1, 1_600)), LIMIT, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
];

/// What a connection gives a Destination: how it signs in, and headers.
pub struct Credentials {
    auth: Value,
    headers: Map<String, Value>,
}

/// The credentials of a connection in the words of a Destination.
///
/// # Errors
/// For what no Destination can do.
pub fn credentials(connection: &str, held: &Map<String, Value>) -> Result<Credentials, Refusal> {
    let parameters = held.get("AuthParameters").unwrap_or(&Value::Null);
    let text = |pointer: &str| parameters.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let secret = connections::key(connection);
    let missing = |member: &str| {
        Refusal::validation(format!("Parameter AuthParameters is not valid. Reason: {member} is a required argument."))
    };
    let given = |pointer: &str, member: &str| match text(pointer) {
        "" => Err(missing(member)),
        text => Ok(text.to_owned()),
    };
    let auth = match held.get("AuthorizationType").and_then(Value::as_str) {
        Some("BASIC") => {
            json!({ "type": "basic", "username": given("/BasicAuthParameters/Username", "Username")?, "password": { "secret": secret } })
        }
        Some("API_KEY") => {
            let header = given("/ApiKeyAuthParameters/ApiKeyName", "ApiKeyName")?;
            json!({ "type": "apiKey", "header": header, "key": { "secret": secret } })
        }
        _ => {
            let id = given("/OAuthParameters/ClientParameters/ClientID", "ClientID")?;
            let url = given("/OAuthParameters/AuthorizationEndpoint", "AuthorizationEndpoint")?;
            let mut auth =
                json!({ "type": "oauth", "clientId": id, "clientSecret": { "secret": secret }, "tokenUrl": url });
            ask(parameters, &mut auth)?;
            auth
        }
    };
    let mut headers = Map::new();
    for (name, value) in pairs(parameters.pointer("/InvocationHttpParameters/HeaderParameters")) {
        headers.insert(name, value.into());
    }
    for unserved in ["QueryStringParameters", "BodyParameters"] {
        let place = format!("/InvocationHttpParameters/{unserved}");
        if parameters.pointer(&place).and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
            return Err(Refusal::validation(format!(
                "Parameter InvocationHttpParameters is not valid. Reason: {unserved} are not served."
            )));
        }
    }
    Ok(Credentials { auth, headers })
}

/// What a token is asked for with: a scope and an audience in the body of a POST, and nothing else.
fn ask(parameters: &Value, auth: &mut Value) -> Result<(), Refusal> {
    let unserved = |what: &str| {
        let reason = format!("{what} of a token's request are not served; BodyParameters scope and audience are.");
        Err(Refusal::validation(format!("Parameter OAuthParameters is not valid. Reason: {reason}")))
    };
    if parameters.pointer("/OAuthParameters/HttpMethod").and_then(Value::as_str).is_some_and(|method| method != "POST")
    {
        return unserved("other methods than POST");
    }
    let http = parameters.pointer("/OAuthParameters/OAuthHttpParameters").unwrap_or(&Value::Null);
    if pairs(http.get("HeaderParameters")).next().is_some() || pairs(http.get("QueryStringParameters")).next().is_some()
    {
        return unserved("HeaderParameters and QueryStringParameters");
    }
    for (name, value) in pairs(http.get("BodyParameters")) {
        match name.as_str() {
            "scope" | "audience" => auth[name] = value.into(),
            // The node says it anyway.
            "grant_type" if value == "client_credentials" => {}
            _ => return unserved("other BodyParameters"),
        }
    }
    Ok(())
}

fn pairs(list: Option<&Value>) -> impl Iterator<Item = (String, String)> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|pair| Some((pair["Key"].as_str()?.to_owned(), pair["Value"].as_str()?.to_owned())))
}

/// The Destinations that sign in with a connection.
pub fn of_connection(call: &Call, connection: &str) -> Vec<Arc<Resource>> {
    let mut all = call.aws.all(DESTINATION);
    all.retain(|destination| held_text(destination, "Connection").as_deref() == Some(connection));
    all
}

/// A Destination with other credentials.
///
/// # Errors
/// What the kind says.
pub fn signed(call: &Call, destination: &Resource, credentials: &Credentials) -> Result<Draft, Vec<Problem>> {
    let mut spec = destination.spec.as_object().cloned().unwrap_or_default();
    sign(&mut spec, credentials);
    let (name, held) = (destination.metadata.name.as_str(), held(destination));
    call.aws.draft(DESTINATION, name, &Value::Object(spec), &held, Some(destination))
}

fn sign(spec: &mut Map<String, Value>, credentials: &Credentials) {
    spec.insert("auth".to_owned(), credentials.auth.clone());
    if credentials.headers.is_empty() {
        spec.shift_remove("headers");
    } else {
        spec.insert("headers".to_owned(), Value::Object(credentials.headers.clone()));
    }
}

async fn create(call: &Call) -> Answer {
    let name = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    if call.aws.kernel.get(DESTINATION, name).is_some() {
        return Err(exists(format!("An api-destination '{name}' already exists.")));
    }
    write(call, name, None).await
}

async fn update(call: &Call) -> Answer {
    let name = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    let old = find(call, name)?;
    write(call, name, Some(&old)).await
}

async fn write(call: &Call, name: &str, old: Option<&Resource>) -> Answer {
    let mut spec = old.and_then(|old| old.spec.as_object().cloned()).unwrap_or_default();
    let mut held = old.map(held).unwrap_or_default();
    if let Some(given) = call.text("ConnectionArn") {
        let connection = connections::named(given).unwrap_or_default();
        let Some(found) = connections::find(call, connection) else {
            return Err(not_found(format!("Connection '{given}' does not exist.")));
        };
        sign(&mut spec, &credentials(connection, &native::held(&found))?);
        held.insert("Connection".to_owned(), connection.into());
    }
    put_some(&mut spec, "description", call.text("Description"));
    put_some(&mut spec, "url", call.text("InvocationEndpoint"));
    put_some(&mut spec, "method", call.text("HttpMethod"));
    let rate = call.integer("InvocationRateLimitPerSecond");
    if let Some(rate) = rate.or_else(|| old.is_none().then_some(RATE_DEFAULT)) {
        spec.insert("rate".to_owned(), rate.into());
    }
    let draft = call.aws.draft(DESTINATION, name, &Value::Object(spec), &held, old)?;
    call.aws.write(vec![draft]).await?;
    Ok(Value::Object(outline(call, &*find(call, name)?)))
}

async fn delete(call: &Call) -> Answer {
    let name = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    find(call, name)?;
    call.aws.remove(DESTINATION, name).await?;
    Ok(json!({}))
}

fn find(call: &Call, name: &str) -> Result<Arc<Resource>, Refusal> {
    let absent =
        || not_found(format!("Failed to describe the api-destination(s). An api-destination '{name}' does not exist."));
    call.aws.find(DESTINATION, name).ok_or_else(absent)
}

fn outline(call: &Call, destination: &Resource) -> Map<String, Value> {
    let (name, uid) = (destination.metadata.name.as_str(), &destination.metadata.uid);
    let mut shown = Map::new();
    let arn = call.caller.arn("events", format_args!("api-destination/{name}/{uid}"));
    shown.insert("ApiDestinationArn".to_owned(), arn.into());
    shown.insert("ApiDestinationState".to_owned(), state(call, destination).into());
    shown.insert("CreationTime".to_owned(), seconds(destination.metadata.created));
    shown.insert("LastModifiedTime".to_owned(), seconds(destination.metadata.created));
    shown
}

fn state(call: &Call, destination: &Resource) -> &'static str {
    let connection = held_text(destination, "Connection");
    if connection.is_none_or(|connection| connections::find(call, &connection).is_some()) {
        "ACTIVE"
    } else {
        "INACTIVE"
    }
}

fn shown(call: &Call, destination: &Resource) -> Map<String, Value> {
    let mut shown = outline(call, destination);
    shown.insert("Name".to_owned(), destination.metadata.name.as_str().into());
    let connection = held_text(destination, "Connection");
    let found = connection.as_ref().and_then(|connection| connections::find(call, connection));
    if let (Some(connection), Some(found)) = (connection, found) {
        shown.insert("ConnectionArn".to_owned(), connections::arn(&call.caller, &connection, &found).into());
    }
    put_some(&mut shown, "InvocationEndpoint", native::text(destination, "/url"));
    put_some(&mut shown, "HttpMethod", native::text(destination, "/method"));
    #[expect(clippy::cast_possible_truncation, reason = "the service knows whole numbers only; saturates")]
    let rate = native::field(destination, "/rate").and_then(Value::as_f64).map(|rate| rate.ceil() as i64);
    put_some(&mut shown, "InvocationRateLimitPerSecond", rate);
    shown
}

fn describe(call: &Call) -> Answer {
    let found = find(call, call.given("Name"))?;
    let mut answer = shown(call, &found);
    put_some(&mut answer, "Description", native::text(&found, "/description"));
    Ok(Value::Object(answer))
}

fn list(call: &Call) -> Answer {
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let of = call.text("ConnectionArn").map(|given| connections::named(given).unwrap_or_default());
    let all = call.aws.all(DESTINATION);
    let kept = all.iter().filter(|destination| {
        destination.metadata.name.as_str().starts_with(prefix)
            && of.is_none_or(|of| held_text(destination, "Connection").as_deref() == Some(of))
    });
    let items =
        kept.map(|destination| (destination.metadata.name.to_string(), Value::Object(shown(call, destination))));
    listed(call, "ApiDestinations", items.collect())
}
