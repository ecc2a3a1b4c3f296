//! Connections: how API destinations sign in. A connection is the Secret `connection.NAME` here, whose value is in a
//! file ([`vault`]); its annotation holds the rest of what was sent, and no secret part of it.
//!
//! The credentials of a Destination name the Secret, so that a change of a connection reaches every Destination that was
//! made with it.

use std::sync::Arc;

use headwater_kernel::Resource;
use headwater_kernel::secrets::vault;
use serde_json::{Map, Value, json};

use super::super::arn::{Arn, Caller};
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::native::held;
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, name, secret, text};
use super::{DESCRIPTION, KEY, LIMIT, NEXT_TOKEN, SECRET, destinations, exists, keyless, listed, not_found, put_some};

const NAME: Member = must("Name", name(64));
const TYPES: &[&str] = &["BASIC", "OAUTH_CLIENT_CREDENTIALS", "API_KEY"];
const STATES: &[&str] = &[
    "CREATING",
    "UPDATING",
    "DELETING",
    "AUTHORIZED",
    "DEAUTHORIZED",
    "AUTHORIZING",
    "DEAUTHORIZING",
    "ACTIVE",
    "FAILED_CONNECTIVITY",
];

const PARAMETER: Shape =
    Shape::Structure(&[may("Key", text(0, 512)), may("Value", secret(0, 512)), may("IsValueSecret", Shape::Flag)]);
const PARAMETERS: Shape = Shape::Structure(&[
    may("HeaderParameters", Shape::List(&PARAMETER, 0, 100)),
    may("QueryStringParameters", Shape::List(&PARAMETER, 0, 100)),
    may("BodyParameters", Shape::List(&PARAMETER, 0, 100)),
]);
const AUTH: Shape = Shape::Structure(&[
    may("BasicAuthParameters", Shape::Structure(&[may("Username", text(1, 512)), may("Password", secret(1, 512))])),
    may(
        "ApiKeyAuthParameters",
        Shape::Structure(&[may("ApiKeyName", text(1, 512)), may("ApiKeyValue", secret(1, 512))]),
    ),
    may(
        "OAuthParameters",
        Shape::Structure(&[
            may(
                "ClientParameters",
                Shape::Structure(&[may("ClientID", text(1, 512)), may("ClientSecret", secret(1, 512))]),
            ),
            may("AuthorizationEndpoint", text(1, 2_048)),
            may("HttpMethod", Shape::Choice(&["GET", "POST", "PUT"])),
            may("OAuthHttpParameters", PARAMETERS),
        ]),
    ),
    may("InvocationHttpParameters", PARAMETERS),
    may("ConnectivityParameters", Shape::Structure(&[])),
]);
/// A way into a network of one's own.
const PRIVATE: Member = may("InvocationConnectivityParameters", Shape::Structure(&[]));

/// Where the three types keep their parts, and which of them is the secret one.
const SECRET_PARTS: [(&str, &str, &str); 3] = [
    ("BASIC", "/BasicAuthParameters", "Password"),
    ("API_KEY", "/ApiKeyAuthParameters", "ApiKeyValue"),
    ("OAUTH_CLIENT_CREDENTIALS", "/OAuthParameters/ClientParameters", "ClientSecret"),
];

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateConnection",
        input: &[
            NAME,
            DESCRIPTION,
            must("AuthorizationType", Shape::Choice(TYPES)),
            must("AuthParameters", AUTH),
            PRIVATE,
            KEY,
        ],
        run: |call| Box::pin(create(call)),
    },
    Operation {
        name: "UpdateConnection",
        input: &[
            NAME,
            DESCRIPTION,
            may("AuthorizationType", Shape::Choice(TYPES)),
            may("AuthParameters", AUTH),
            PRIVATE,
            KEY,
        ],
        run: |call| Box::pin(update(call)),
    },
    Operation { name: "DeauthorizeConnection", input: &[NAME], run: |call| Box::pin(deauthorize(call)) },
    Operation { name: "DeleteConnection", input: &[NAME], run: |call| Box::pin(delete(call)) },
    Operation { name: "DescribeConnection", input: &[NAME], run: |call| Box::pin(async move { describe(call) }) },
    Operation {
        name: "ListConnections",
        input: &[may("NamePrefix", name(64)), may("ConnectionState", Shape::Choice(STATES)), LIMIT, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
];

/// The Secret of a connection.
pub fn key(connection: &str) -> String {
    format!("connection.{connection}")
}

/// The connection that a name in full stands for.
pub fn named(given: &str) -> Option<&str> {
    let path = Arn::read(given).filter(|arn| arn.service == "events")?.path.strip_prefix("connection/")?;
    path.split('/').next()
}

/// A connection that is there.
pub fn find(call: &Call, connection: &str) -> Option<Arc<Resource>> {
    call.aws.find(SECRET, &key(connection)).filter(|secret| held(secret).contains_key("AuthorizationType"))
}

/// A connection's name in full.
pub fn arn(caller: &Caller, connection: &str, resource: &Resource) -> String {
    caller.arn("events", format_args!("connection/{connection}/{}", resource.metadata.uid))
}

/// What the node does not do is refused rather than passed over.
fn served(call: &Call) -> Result<(), Refusal> {
    keyless(call)?;
    let inner = call.value("AuthParameters").and_then(|sent| sent.get("ConnectivityParameters"));
    if call.value("InvocationConnectivityParameters").or(inner).is_some_and(|asked| !asked.is_null()) {
        return Err(Refusal::validation("Private connections are not served: the node calls what it reaches."));
    }
    Ok(())
}

/// What was sent, taken apart: what may be shown, and the secret.
struct Parts {
    held: Map<String, Value>,
    secret: Option<String>,
}

/// Takes the secret out of what was sent.
fn parts(call: &Call, kind: &str, mut held: Map<String, Value>) -> Result<Parts, Refusal> {
    held.insert("AuthorizationType".to_owned(), kind.into());
    put_some(&mut held, "Description", call.text("Description"));
    let Some(sent) = call.value("AuthParameters") else { return Ok(Parts { held, secret: None }) };
    let mut sent = sent.clone();
    let Some((_, place, member)) = SECRET_PARTS.iter().find(|(known, ..)| *known == kind) else {
        return Err(Refusal::validation("Parameter AuthorizationType is not valid."));
    };
    let part = sent.pointer_mut(place).and_then(Value::as_object_mut);
    let secret = part.and_then(|part| part.shift_remove(*member)).and_then(|value| value.as_str().map(str::to_owned));
    if SECRET_PARTS.iter().any(|(_, place, member)| sent.pointer(place).is_some_and(|part| part.get(member).is_some()))
    {
        return Err(Refusal::validation(format!(
            "Parameter AuthParameters is not valid. Reason: it has credentials of another type than {kind}."
        )));
    }
    if has_secret_parameter(&sent) {
        return Err(Refusal::validation(
            "Parameter IsValueSecret is not valid. Reason: secret HTTP parameters are not served; send the secret as \
             API key, password or client secret.",
        ));
    }
    held.insert("AuthParameters".to_owned(), sent);
    Ok(Parts { held, secret })
}

fn has_secret_parameter(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.get("IsValueSecret") == Some(&Value::Bool(true)) || members.values().any(has_secret_parameter)
        }
        Value::Array(items) => items.iter().any(has_secret_parameter),
        _ => false,
    }
}

async fn create(call: &Call) -> Answer {
    served(call)?;
    let connection = call.given("Name");
    let Parts { held, secret } = parts(call, call.given("AuthorizationType"), Map::new())?;
    let Some(secret) = secret else {
        return Err(Refusal::validation(
            "Parameter AuthParameters is not valid. Reason: the credentials of the authorization type are missing.",
        ));
    };
    let _turn = call.aws.turn.lock().await;
    if call.aws.kernel.get(SECRET, &key(connection)).is_some() {
        return Err(exists(format!("Connection {connection} already exists.")));
    }
    // On trial, before the secret is written: what an API destination would be made of.
    destinations::credentials(connection, &held)?;
    vault::keep(call.aws.kernel.context().folder, key(connection), secret).await?;
    let spec = json!({ "from": { "file": vault::file(&key(connection)) } });
    let draft = call.aws.draft(SECRET, &key(connection), &spec, &held, None)?;
    call.aws.write(vec![draft]).await?;
    outcome(call, connection)
}

async fn update(call: &Call) -> Answer {
    served(call)?;
    let connection = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    let old = find(call, connection).ok_or_else(|| absent(connection))?;
    let mut before = held(&old);
    let kind = before.get("AuthorizationType").and_then(Value::as_str).unwrap_or_default().to_owned();
    let wanted = call.text("AuthorizationType").unwrap_or(&kind);
    let parameters = call.value("AuthParameters").is_some();
    if wanted != kind && !parameters {
        return Err(Refusal::validation("AuthParameters must be given with another AuthorizationType."));
    }
    if parameters {
        before.shift_remove("AuthParameters");
    }
    let Parts { held, secret } = parts(call, wanted, before)?;
    let credentials = destinations::credentials(connection, &held)?;
    if wanted != kind && secret.is_none() {
        // The old one must not go out as what it is not, say a password as an API key in a header.
        return Err(Refusal::validation(
            "Parameter AuthParameters is not valid. Reason: the credentials of the authorization type are missing.",
        ));
    }
    if let Some(secret) = secret {
        vault::keep(call.aws.kernel.context().folder, key(connection), secret).await?;
    }
    let mut drafts = vec![call.aws.draft(SECRET, &key(connection), &old.spec, &held, Some(&old))?];
    for destination in destinations::of_connection(call, connection) {
        drafts.push(destinations::signed(call, &destination, &credentials)?);
    }
    call.aws.write(drafts).await?;
    outcome(call, connection)
}

async fn deauthorize(call: &Call) -> Answer {
    let connection = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    find(call, connection).ok_or_else(|| absent(connection))?;
    vault::forget(call.aws.kernel.context().folder, key(connection)).await?;
    outcome(call, connection)
}

async fn delete(call: &Call) -> Answer {
    let connection = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    find(call, connection).ok_or_else(|| absent(connection))?;
    let answer = outcome(call, connection)?;
    call.aws.remove(SECRET, &key(connection)).await?;
    vault::forget(call.aws.kernel.context().folder, key(connection)).await?;
    Ok(match answer {
        Value::Object(mut answer) => {
            answer.insert("ConnectionState".to_owned(), "DELETING".into());
            Value::Object(answer)
        }
        other => other,
    })
}

fn absent(connection: &str) -> Refusal {
    not_found(format!("Failed to describe the connection(s). Connection '{connection}' does not exist."))
}

fn outcome(call: &Call, connection: &str) -> Answer {
    let found = find(call, connection).ok_or_else(|| absent(connection))?;
    Ok(Value::Object(outline(call, connection, &found)))
}

fn outline(call: &Call, connection: &str, secret: &Resource) -> Map<String, Value> {
    let kept = call.aws.kernel.context().folder.join(vault::file(&key(connection))).exists();
    let mut shown = Map::new();
    shown.insert("ConnectionArn".to_owned(), arn(&call.caller, connection, secret).into());
    shown.insert("ConnectionState".to_owned(), if kept { "AUTHORIZED" } else { "DEAUTHORIZED" }.into());
    for time in ["CreationTime", "LastModifiedTime", "LastAuthorizedTime"] {
        shown.insert(time.to_owned(), seconds(secret.metadata.created));
    }
    shown
}

fn describe(call: &Call) -> Answer {
    let connection = call.given("Name");
    let found = find(call, connection).ok_or_else(|| absent(connection))?;
    let mut shown = outline(call, connection, &found);
    shown.insert("Name".to_owned(), connection.into());
    for (member, value) in held(&found) {
        if ["Description", "AuthorizationType", "AuthParameters"].contains(&member.as_str()) {
            shown.insert(member, value);
        }
    }
    let path = format!("secret:events!connection/{connection}/{}", found.metadata.uid);
    shown.insert("SecretArn".to_owned(), call.caller.arn("secretsmanager", path).into());
    Ok(Value::Object(shown))
}

fn list(call: &Call) -> Answer {
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let state = call.text("ConnectionState");
    let all = call.aws.all(SECRET);
    let items = all.iter().filter_map(|secret| {
        let connection = secret.metadata.name.as_str().strip_prefix("connection.")?;
        let held = held(secret);
        let kind = held.get("AuthorizationType")?;
        let mut shown = outline(call, connection, secret);
        let is_wanted = state.is_none_or(|state| shown["ConnectionState"].as_str() == Some(state));
        if !connection.starts_with(prefix) || !is_wanted {
            return None;
        }
        shown.insert("Name".to_owned(), connection.into());
        shown.insert("AuthorizationType".to_owned(), kind.clone());
        Some((connection.to_owned(), Value::Object(shown)))
    });
    listed(call, "Connections", items.collect())
}
