//! Functions: `lambda:invoke`, and a function's own name as the resource.
//!
//! A function that is built in ([`headwater_kernel::port::FunctionKind`]) is pure and answers in the step's commit. Any
//! other is called at [`super::Settings::functions_url`] over the Invoke API of AWS Lambda, which the runtime
//! interface emulator, `sam local start-lambda` and the service itself speak. A function's own error fails the task
//! under its `errorType`, with the error as JSON for a cause.

use bytes::Bytes;
use headwater_base::Problem;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{self, HttpClient, Request, Response, Unanswered};
use super::parameters::Parameters;
use super::{Answer, Call, Internal, Plan, Services, failure, publish};
use crate::definition::resource::Service;
use crate::execution::Failure;

const FIELDS: &[&str] = &["FunctionName", "Payload", "InvocationType", "LogType", "ClientContext", "Qualifier"];

/// The largest payload, as in the recorded service.
const PAYLOAD_BYTES_MAX: usize = 6 << 20;

/// What is called, and in what shape it answers.
struct Invocation {
    name: String,
    qualifier: Option<String>,
    asynchronous: bool,
    /// With `ExecutedVersion`, `Payload` and `StatusCode` around the payload.
    whole: bool,
}

/// `lambda:invoke`.
pub(super) fn invoke(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, FIELDS)?;
    let (name, qualifier) = name(parameters.text("FunctionName")?);
    let asynchronous = match parameters.optional_text("InvocationType")? {
        None | Some("RequestResponse") => false,
        Some("Event") => true,
        Some(other) => return Err(failure::parameters(format!("there is no `InvocationType` `{other}`"))),
    };
    let qualifier = parameters.optional_text("Qualifier")?.map(str::to_owned).or(qualifier);
    let invocation = Invocation { name, qualifier, asynchronous, whole: true };
    let empty = json!({});
    planned(services, call, invocation, parameters.get("Payload").unwrap_or(&empty))
}

/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`: the parameters are the payload, the payload is the answer.
pub(super) fn by_name(services: &Services, arn: &str, call: &Call<'_>) -> Result<Plan, Failure> {
    let (name, qualifier) = name(arn);
    let invocation = Invocation { name, qualifier, asynchronous: false, whole: false };
    planned(services, call, invocation, call.parameters)
}

/// The name and the qualifier in a name, a partial or a whole ARN.
fn name(text: &str) -> (String, Option<String>) {
    let rest = text.split_once(":function:").map_or(text, |(_, rest)| rest);
    let (name, qualifier) = rest.split_once(':').map_or((rest, None), |(name, qualifier)| (name, Some(qualifier)));
    (name.to_owned(), qualifier.map(str::to_owned))
}

fn planned(services: &Services, call: &Call<'_>, invocation: Invocation, payload: &Value) -> Result<Plan, Failure> {
    if let Some(function) = services.functions.iter().find(|function| function.name == invocation.name) {
        let answer = (function.call)(payload).map_err(|problem| own_error(&problem))?;
        let answer = Answer::Known(invocation.shown(answer, None));
        return Ok(Plan::Internal(Internal::new(answer, publish::refused)));
    }
    let Some(base) = &services.http.settings().functions_url else {
        return Err(not_found(&invocation.name));
    };
    let mut url = client::address(base)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["2015-03-31", "functions", &invocation.name, "invocations"]);
    }
    if let Some(qualifier) = &invocation.qualifier {
        url.query_pairs_mut().append_pair("Qualifier", qualifier);
    }
    let body = payload.to_string();
    if body.len() > PAYLOAD_BYTES_MAX {
        let fact = format!("the payload has {} bytes; the limit is {PAYLOAD_BYTES_MAX}", body.len());
        return Err(Failure::new("Lambda.RequestTooLargeException", fact));
    }
    let kind = if invocation.asynchronous { "Event" } else { "RequestResponse" };
    let headers =
        [("X-Amz-Invocation-Type", kind), ("Content-Type", "application/json"), ("Idempotency-Key", call.key)];
    let request = Request {
        method: Method::POST,
        url,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Some(Bytes::from(body)),
        timeout: client::timeout(call.now, call.deadline),
    };
    let http = services.http.clone();
    Ok(Plan::External(Box::pin(async move { invocation.call(&http, request).await })))
}

impl Invocation {
    async fn call(self, http: &HttpClient, request: Request) -> Result<Value, Failure> {
        let response = http.send(request).await.map_err(|why| match why {
            Unanswered::Closed(words) | Unanswered::Broken(words) => Failure::new("Lambda.SdkClientException", words),
            Unanswered::TooLarge(limit) => {
                Failure::new("States.DataLimitExceeded", format!("the answer has more than {limit} bytes"))
            }
        })?;
        let header = |name: &str| response.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        let text = String::from_utf8_lossy(&response.body).into_owned();
        if header("x-amz-function-error").is_some() {
            let error: Value = serde_json::from_str(&text).unwrap_or_default();
            let kind = error.get("errorType").and_then(Value::as_str).unwrap_or("Lambda.Unknown");
            return Err(Failure::new(kind, text));
        }
        if !(200..300).contains(&response.status) {
            return Err(self.refused(&response, &text));
        }
        let version = header("x-amz-executed-version").cloned();
        let payload = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(json!(text)) };
        Ok(self.shown(payload, version))
    }

    fn shown(&self, payload: Value, version: Option<String>) -> Value {
        if !self.whole {
            return payload;
        }
        if self.asynchronous {
            return json!({ "Payload": "", "StatusCode": 202 });
        }
        let version = version.unwrap_or_else(|| "$LATEST".to_owned());
        json!({ "ExecutedVersion": version, "Payload": payload, "StatusCode": 200 })
    }

    /// The API's own errors.
    fn refused(&self, response: &Response, text: &str) -> Failure {
        let name = match response.status {
            404 => return not_found(&self.name),
            413 => "RequestTooLargeException",
            429 => "TooManyRequestsException",
            500.. => "ServiceException",
            _ => "AWSLambdaException",
        };
        Failure::new(format!("Lambda.{name}"), format!("{} (Status Code: {})", text.trim(), response.status))
    }
}

fn not_found(name: &str) -> Failure {
    Failure::new("Lambda.ResourceNotFoundException", format!("Function not found: {name}"))
}

/// The error of a function that is built in, in the shape of any other's.
fn own_error(problem: &Problem) -> Failure {
    let error = json!({ "errorMessage": failure::words(problem), "errorType": problem.code });
    Failure::new(problem.code.clone(), error.to_string())
}
