use std::error::Error as StdError;

use crate::credentials::{BoxFuture, Credentials, EnvironmentCredentials, ProfileFileCredentials, ProvideCredentials};

/// What a client uses unless told otherwise: [`EnvironmentCredentials`], else [`ProfileFileCredentials`], else, with
/// the feature `aws-config`, whatever the default chain of AWS's SDKs finds.
#[derive(Clone, Debug, Default)]
pub struct DefaultCredentials {
    profile: ProfileFileCredentials,
    #[cfg(feature = "aws-config")]
    aws_config: crate::credentials::AwsConfigCredentials,
}

impl DefaultCredentials {
    /// Reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl ProvideCredentials for DefaultCredentials {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            let sources: &[&dyn ProvideCredentials] = &[
                &EnvironmentCredentials::new(),
                &self.profile,
                #[cfg(feature = "aws-config")]
                &self.aws_config,
            ];
            let mut reasons = Vec::new();
            for source in sources {
                match source.provide_credentials().await {
                    Ok(credentials) => return Ok(credentials),
                    Err(reason) => reasons.push(reason.to_string()),
                }
            }
            Err(reasons.join("; ").into())
        })
    }
}
