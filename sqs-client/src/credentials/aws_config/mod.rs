//! Credentials of AWS's own crates, fetched over this crate's HTTP and TLS.

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

/// Credentials of the crate `aws-config`: profiles with roles, SSO, web identities, processes, containers (ECS, EKS)
/// and instances (IMDSv2), or of any provider that implements that ecosystem's `ProvideCredentials`.
///
/// [`DefaultCredentials`](crate::credentials::DefaultCredentials) ends with it where the crate's feature `aws-config` is on. The
/// providers make their requests over this crate's HTTP and TLS: no second stack is linked.
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
/// A role to assume, by the builders of `aws-config`:
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
    /// The provider; the default chain, made when it is first asked, unless given.
    provider: Arc<OnceCell<Box<dyn SdkProvider>>>,
}

impl AwsConfigCredentials {
    /// The default chain of AWS's SDKs: environment, profiles, web identity, container, instance. Nothing is read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A provider of that ecosystem.
    pub fn from_provider(provider: impl SdkProvider + 'static) -> Self {
        let provider: Box<dyn SdkProvider> = Box::new(provider);
        Self {
            provider: Arc::new(OnceCell::from(provider)),
        }
    }

    /// This crate's HTTP and TLS for the builders of `aws-config`, which has none of its own here.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) where TLS cannot be set up.
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
