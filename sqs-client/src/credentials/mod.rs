//! Credentials, their providers, and the cache that all clones of a client share.

#[cfg(feature = "aws-config")]
mod aws_config;
mod cache;
mod chain;
mod environment;
mod profile;

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

#[cfg(feature = "aws-config")]
pub use aws_config::AwsConfigCredentials;
pub use cache::CredentialsCache;
pub use chain::DefaultCredentials;
pub use environment::EnvironmentCredentials;
pub use profile::ProfileFileCredentials;

/// A boxed future, the return type of [`ProvideCredentials`].
///
/// ```
/// use sqs_client::credentials::BoxFuture;
///
/// let future: BoxFuture<'static, u32> = Box::pin(async { 1 });
/// ```
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An access key with its secret.
///
/// A clone is cheap. `Debug` shows neither the secret nor the session token.
///
/// ```
/// use sqs_client::Credentials;
///
/// let credentials = Credentials::new("AKIDEXAMPLE", "secret").with_session_token("token");
/// assert!(!format!("{credentials:?}").contains("secret"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(Arc<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expires_at: Option<SystemTime>,
}

/// Removes whitespace around a value. A newline after a secret would only make the signature wrong, and no part of
/// credentials begins or ends with whitespace.
fn trimmed(text: String) -> String {
    match text.trim() {
        trimmed if trimmed.len() == text.len() => text,
        trimmed => trimmed.to_owned(),
    }
}

impl Credentials {
    /// Creates long-lived credentials. Whitespace around id and secret is removed, such as a newline at the end of a
    /// file.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            access_key_id: trimmed(access_key_id.into()),
            secret_access_key: trimmed(secret_access_key.into()),
            session_token: None,
            expires_at: None,
        }))
    }

    /// Adds the session token of temporary credentials. Default: none.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).session_token = Some(trimmed(token.into()));
        self
    }

    /// Sets the time at which the credentials expire. Default: never. The client replaces them before that time.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        Arc::make_mut(&mut self.0).expires_at = Some(expires_at);
        self
    }

    /// Returns the access key's id, which is not secret.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.0.access_key_id
    }

    /// Returns the secret.
    #[must_use]
    pub fn secret_access_key(&self) -> &str {
        &self.0.secret_access_key
    }

    /// Returns the session token of temporary credentials.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.0.session_token.as_deref()
    }

    /// Returns the time at which the credentials expire, or `None` if they never do.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.0.access_key_id)
            .field("expires_at", &self.0.expires_at)
            .finish_non_exhaustive()
    }
}

/// A source of credentials.
///
/// The client calls a provider when it has no credentials, when they are about to expire, and when a server refuses
/// them. All clones of a client share one call at a time, which runs in a task of its own. A call may take up to
/// [`FETCH_TIMEOUT`](crate::credentials::CredentialsCache::FETCH_TIMEOUT). See [`CredentialsCache`].
///
/// ```
/// use std::error::Error;
/// use sqs_client::Credentials;
/// use sqs_client::credentials::{BoxFuture, ProvideCredentials};
///
/// #[derive(Debug)]
/// struct Vault;
///
/// impl ProvideCredentials for Vault {
///     fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn Error + Send + Sync>>> {
///         Box::pin(async { Ok(Credentials::new("AKIDEXAMPLE", "secret")) })
///     }
/// }
/// ```
pub trait ProvideCredentials: fmt::Debug + Send + Sync + 'static {
    /// Returns credentials that are valid now.
    ///
    /// # Errors
    ///
    /// Any error. Its text must not contain a secret. The client quotes it, with its causes, in an error of kind
    /// [`Credentials`](crate::ErrorKind::Credentials), whose source it becomes.
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>>;
}

impl ProvideCredentials for Credentials {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async { Ok(self.clone()) })
    }
}
