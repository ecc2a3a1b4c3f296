//! Buckets over S3's protocol, signed with version 4 of AWS's signature.
//!
//! # Source
//! Amazon S3 API Reference; AWS Signature Version 4.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use headwater_base::{Name, Problem};
use headwater_kernel::port::Secrets;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::client::SpawnedReqwestConnector;
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use tokio::runtime::Handle;

use crate::kinds::bucket::BucketSpec;

/// How long one request may take, with what it carries.
const REQUEST: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Tries after the first one, and how long they may begin after it.
const RETRIES: usize = 4;
const RETRY: Duration = Duration::from_secs(15);

/// The objects of a bucket. Nobody is asked yet.
///
/// # Errors
/// `HW-LAKE-062` when the client cannot be made.
pub(super) fn open(
    spec: &BucketSpec,
    secrets: &Arc<dyn Secrets>,
    home: Handle,
) -> Result<Arc<dyn ObjectStore>, Problem> {
    let keys = Keys {
        secrets: Arc::clone(secrets),
        id: spec.access_key_id.secret.clone(),
        key: spec.secret_access_key.secret.clone(),
    };
    let options = ClientOptions::new()
        .with_timeout(REQUEST)
        .with_connect_timeout(CONNECT)
        .with_allow_http(spec.is_plain())
        .with_pool_idle_timeout(Duration::from_secs(60));
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(3), ..BackoffConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&spec.bucket)
        .with_region(spec.region())
        .with_virtual_hosted_style_request(spec.is_virtual_hosted())
        .with_credentials(Arc::new(keys))
        .with_client_options(options)
        .with_retry(RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY })
        .with_http_connector(SpawnedReqwestConnector::new(home));
    if let Some(endpoint) = &spec.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    let made = builder.build().map_err(|error| {
        Problem::new("HW-LAKE-062", format!("the bucket `{}` cannot be opened", spec.bucket)).because(error)
    })?;
    Ok(Arc::new(made))
}

/// Keys as their secrets say at the moment.
struct Keys {
    secrets: Arc<dyn Secrets>,
    id: Name,
    key: Name,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

impl Keys {
    fn read(&self, name: &Name) -> Result<String, String> {
        let value = self.secrets.read(name.as_str()).map_err(|problem| problem.title)?;
        let value = std::str::from_utf8(value.trim_ascii()).map_err(|_| format!("the secret `{name}` is no text"))?;
        Ok(value.to_owned())
    }
}

#[async_trait]
impl CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let unread = |fact: String| object_store::Error::Generic { store: "S3", source: fact.into() };
        let (key_id, secret_key) = (self.read(&self.id).map_err(unread)?, self.read(&self.key).map_err(unread)?);
        Ok(Arc::new(AwsCredential { key_id, secret_key, token: None }))
    }
}
