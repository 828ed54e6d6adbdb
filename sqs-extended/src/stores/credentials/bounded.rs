//! A time limit for object_store's own sources of credentials.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::{CredentialProvider, Error, Result};

/// The time limit. object_store itself would retry a silent metadata service for three minutes.
const OWN_SOURCE_TIMEOUT: Duration = Duration::from_secs(5);

/// A source of credentials with a time limit.
#[derive(Debug)]
pub(in crate::stores) struct Bounded<T>(pub(in crate::stores) Arc<dyn CredentialProvider<Credential = T>>);

#[async_trait]
impl<T: std::fmt::Debug + Send + Sync + 'static> CredentialProvider for Bounded<T> {
    type Credential = T;

    async fn get_credential(&self) -> Result<Arc<T>> {
        match tokio::time::timeout(OWN_SOURCE_TIMEOUT, self.0.get_credential()).await {
            Ok(result) => result,
            Err(_elapsed) => Err(failed(format!(
                "no credentials within {OWN_SOURCE_TIMEOUT:?}: the environment has none, and the machine's metadata \
                 service does not respond; set credentials in the environment or in the store's URL"
            ))),
        }
    }
}

pub(super) fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
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
    async fn a_silent_metadata_service_fails_within_seconds() {
        let begin = tokio::time::Instant::now();
        let error = Bounded(Arc::new(Silent)).get_credential().await.unwrap_err();
        assert!(begin.elapsed() <= Duration::from_secs(5));
        assert!(error.to_string().contains("metadata service"), "{error}");
    }
}
