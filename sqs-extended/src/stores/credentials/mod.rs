//! The credentials that stores opened by URL sign with.

#[cfg(feature = "s3")]
mod s3;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::{CredentialProvider, Error, Result};

#[cfg(feature = "s3")]
pub(super) use s3::S3Credentials;
#[cfg(feature = "s3")]
pub(crate) use s3::SharedCredentials;

/// The longest time that object_store's own sources of credentials may take. A metadata service that is silent would
/// otherwise be asked for three minutes.
const OWN_SOURCE_TIMEOUT: Duration = Duration::from_secs(5);

/// A source of object_store's own, which has this long to respond.
#[derive(Debug)]
pub(super) struct Bounded<T>(pub(super) Arc<dyn CredentialProvider<Credential = T>>);

#[async_trait]
impl<T: std::fmt::Debug + Send + Sync + 'static> CredentialProvider for Bounded<T> {
    type Credential = T;

    async fn get_credential(&self) -> Result<Arc<T>> {
        match tokio::time::timeout(OWN_SOURCE_TIMEOUT, self.0.get_credential()).await {
            Ok(result) => result,
            Err(_elapsed) => Err(failed(format!(
                "no credentials within {OWN_SOURCE_TIMEOUT:?}: the environment names none, and the machine's metadata \
                 service does not respond"
            ))),
        }
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic {
        store: "credentials",
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Silent;

    #[async_trait]
    impl CredentialProvider for Silent {
        type Credential = ();

        async fn get_credential(&self) -> Result<Arc<()>> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_metadata_service_costs_seconds() {
        let begin = tokio::time::Instant::now();
        let error = Bounded(Arc::new(Silent)).get_credential().await.unwrap_err();
        assert!(begin.elapsed() <= Duration::from_secs(5));
        assert!(error.to_string().contains("metadata service"), "{error}");
    }
}
