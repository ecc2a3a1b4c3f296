//! ApiVersions: what is served. Its answer's header has no tagged fields in any version, and a version that is not
//! known gets the oldest answer, so that every client can read it (KIP-511).

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use super::answer::Answer;
use super::error::Broken;
use super::table::{APIS, Call};

/// Its key.
pub(super) const KEY: i16 = 18;

pub(super) async fn answer(call: Call) -> Result<Answer, Broken> {
    call.answer(&served())
}

/// The answer to a version that is not served.
pub(super) fn unknown(correlation: i32) -> Result<Answer, Broken> {
    let mut message = served();
    message.error_code = ResponseError::UnsupportedVersion.code();
    Answer::of(&message, 0, correlation)
}

fn served() -> ApiVersionsResponse {
    let keys = APIS.iter().map(|api| {
        ApiVersion::default().with_api_key(api.key).with_min_version(api.advertised).with_max_version(api.max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}
