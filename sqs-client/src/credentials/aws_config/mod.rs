//! Credentials from AWS's own crates, fetched over this crate's HTTP and TLS.

mod http;

use std::error::Error as StdError;
use std::sync::Arc;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::ProvideCredentials as SdkProvider;
use tokio::sync::OnceCell;

use crate::credentials::{BoxFuture, Credentials, ProvideCredentials};
use crate::error::Error;
use http::HttpClient;

/// Fetches credentials with the crate `aws-config`, or with any other provider of AWS's SDK for Rust.
///
/// `aws-config` supports profiles with roles, SSO, web identities, processes, containers (ECS, EKS) and instances (IMDSv2).
/// [`DefaultCredentials`](crate::credentials::DefaultCredentials) uses it last if the feature `aws-config` is on. The
/// providers use this crate's HTTP and TLS, so no second stack is linked.
///
/// ```no_run
/// # fn main() -> Result<(), sqs_client::Error> {
/// use sqs_client::Client;
/// use sqs_client::credentials::AwsConfigCredentials;
///
/// let client = Client::builder().region("eu-west-1").credentials(AwsConfigCredentials::new()).build()?;
/// # Ok(()) }
/// ```
///
/// To assume a role, use the builders of `aws-config`:
///
/// ```no_run
/// # async fn f() -> Result<(), sqs_client::Error> {
/// use aws_config::sts::AssumeRoleProvider;
/// use sqs_client::Client;
/// use sqs_client::credentials::AwsConfigCredentials;
///
/// let config = aws_config::defaults(aws_config::BehaviorVersion::latest());
/// let config = config.http_client(AwsConfigCredentials::http_client()?).load().await;
/// let role = AssumeRoleProvider::builder("arn:aws:iam::123456789012:role/reader").configure(&config).build().await;
/// let client = Client::builder().region("eu-west-1").credentials(AwsConfigCredentials::from_provider(role)).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct AwsConfigCredentials {
    /// The provider. Without a given one, the first call creates the default chain.
    provider: Arc<OnceCell<Box<dyn SdkProvider>>>,
}

impl AwsConfigCredentials {
    /// Creates a provider that uses the default chain of AWS's SDKs: environment, profiles, web identity, container,
    /// instance. It reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a provider that calls this provider of AWS's SDK.
    pub fn from_provider(provider: impl SdkProvider + 'static) -> Self {
        let provider: Box<dyn SdkProvider> = Box::new(provider);
        Self {
            provider: Arc::new(OnceCell::from(provider)),
        }
    }

    /// Returns an HTTP client for the builders of `aws-config`. It uses this crate's HTTP and TLS, because `aws-config`
    /// is linked without its own.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) if TLS cannot be set up.
    pub fn http_client() -> Result<impl aws_smithy_runtime_api::client::http::HttpClient + 'static, Error> {
        HttpClient::new()
    }
}

async fn default_chain() -> Result<Box<dyn SdkProvider>, Error> {
    let config = ProviderConfig::default().with_http_client(HttpClient::new()?);
    Ok(Box::new(
        DefaultCredentialsChain::builder().configure(config).build().await,
    ))
}

impl ProvideCredentials for AwsConfigCredentials {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            let provider = self.provider.get_or_try_init(default_chain).await?;
            let found = provider.provide_credentials().await?;
            let mut credentials = Credentials::new(found.access_key_id(), found.secret_access_key());
            if let Some(token) = found.session_token() {
                credentials = credentials.with_session_token(token);
            }
            if let Some(expiry) = found.expiry() {
                credentials = credentials.with_expiry(expiry);
            }
            Ok(credentials)
        })
    }
}
