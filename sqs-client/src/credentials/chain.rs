use std::error::Error as StdError;

use crate::credentials::{BoxFuture, Credentials, EnvironmentCredentials, ProfileFileCredentials, ProvideCredentials};
use crate::error::with_causes;

/// The default provider of a client: [`EnvironmentCredentials`], then [`ProfileFileCredentials`].
///
/// With the feature `aws-config`, the default chain of AWS's SDKs comes last.
///
/// ```
/// use sqs_client::Client;
/// use sqs_client::credentials::DefaultCredentials;
///
/// # fn main() -> Result<(), sqs_client::Error> {
/// let client = Client::builder().region("eu-west-1").credentials(DefaultCredentials::new()).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct DefaultCredentials {
    profile: ProfileFileCredentials,
    #[cfg(feature = "aws-config")]
    aws_config: crate::credentials::AwsConfigCredentials,
}

impl DefaultCredentials {
    /// Creates the provider. It reads nothing yet.
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
                    Err(reason) => reasons.push(with_causes(&*reason)),
                }
            }
            if !cfg!(feature = "aws-config") {
                reasons.extend(unsupported_source(|name| std::env::var_os(name).is_some()));
            }
            Err(reasons.join("; ").into())
        })
    }
}

/// Names the source of credentials that the environment points to, and that only the feature `aws-config` supports.
fn unsupported_source(is_set: impl Fn(&str) -> bool) -> Option<String> {
    const VARIABLES: [&str; 3] = [
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ];
    let name = VARIABLES.into_iter().find(|name| is_set(name))?;
    Some(format!(
        "{name} is set; enable the cargo feature `aws-config` of sqs-client to support it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_aws_config_is_named() {
        let text = unsupported_source(|name| name == "AWS_WEB_IDENTITY_TOKEN_FILE").unwrap();
        assert!(
            text.contains("AWS_WEB_IDENTITY_TOKEN_FILE") && text.contains("`aws-config`"),
            "{text}"
        );
        assert_eq!(unsupported_source(|_| false), None);
    }
}
