use std::error::Error as StdError;

use super::{BoxFuture, Credentials, EnvironmentCredentials, ProfileFileCredentials, ProvideCredentials};

/// What a client uses unless told otherwise: [`EnvironmentCredentials`], else [`ProfileFileCredentials`].
#[derive(Clone, Debug, Default)]
pub struct DefaultCredentials {
    profile: ProfileFileCredentials,
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
            let environment = EnvironmentCredentials::new();
            let in_environment = match environment.provide_credentials().await {
                Ok(credentials) => return Ok(credentials),
                Err(error) => error,
            };
            let in_profile = match self.profile.provide_credentials().await {
                Ok(credentials) => return Ok(credentials),
                Err(error) => error,
            };
            Err(format!("{in_environment}; {in_profile}").into())
        })
    }
}
