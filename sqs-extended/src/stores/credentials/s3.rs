//! The credentials of an S3 store.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::{CredentialProvider, Error, Result};
use sqs_client::Client;
use sqs_client::credentials::{CredentialsCache, DefaultCredentials};
use tokio::sync::OnceCell;

use crate::stores::credentials::bounded::{Bounded, failed};

/// The queue client's credentials once a client is known, and before that those of `sqs-client`'s default chain. Clones
/// share the client.
#[derive(Clone, Debug)]
pub(crate) struct SharedCredentials {
    client: Arc<OnceLock<CredentialsCache>>,
    default: CredentialsCache,
}

impl SharedCredentials {
    pub(in crate::stores) fn new() -> Self {
        Self {
            client: Arc::default(),
            default: CredentialsCache::new(DefaultCredentials::new()),
        }
    }

    /// Uses this client's credentials from now on. Further clients are ignored.
    pub(crate) fn use_client(&self, client: &Client) {
        let _ = self.client.set(client.credentials().clone());
    }
}

/// The shared credentials in S3's form. If the default chain finds none, object_store's own sources are next: they
/// support web identities, containers and instances without a feature.
pub(in crate::stores) struct S3Credentials {
    shared: SharedCredentials,
    builder: AmazonS3Builder,
    own: OnceCell<AwsCredentialProvider>,
}

impl S3Credentials {
    /// Creates the provider. `builder` must name the bucket but no provider of credentials.
    pub(in crate::stores) fn new(shared: SharedCredentials, builder: AmazonS3Builder) -> Self {
        Self {
            shared,
            builder,
            own: OnceCell::new(),
        }
    }

    async fn own(&self) -> Result<&AwsCredentialProvider> {
        let build = || async {
            let store = self.builder.clone().build()?;
            Ok::<_, Error>(Arc::new(Bounded(store.credentials().clone())) as AwsCredentialProvider)
        };
        self.own.get_or_try_init(build).await
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Credentials").finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for S3Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let found = match self.shared.client.get() {
            Some(client) => client.get().await.map_err(failed)?,
            None => match self.shared.default.get().await {
                Ok(found) => found,
                Err(error) => {
                    tracing::debug!(%error, "the default chain has no credentials; trying object_store's sources");
                    return self.own().await?.get_credential().await;
                }
            },
        };
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
