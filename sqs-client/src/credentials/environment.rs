use std::error::Error as StdError;

use crate::credentials::{BoxFuture, Credentials, ProvideCredentials};

/// Reads credentials from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, again at each call.
///
/// ```
/// use sqs_client::Client;
/// use sqs_client::credentials::EnvironmentCredentials;
///
/// # fn main() -> Result<(), sqs_client::Error> {
/// let client = Client::builder().region("eu-west-1").credentials(EnvironmentCredentials::new()).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EnvironmentCredentials;

impl EnvironmentCredentials {
    /// Creates the provider. It reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl ProvideCredentials for EnvironmentCredentials {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            let credentials = from_names(|name| std::env::var(name).ok());
            credentials.map_err(|name| format!("the environment variable {name} is not set").into())
        })
    }
}

/// Returns the credentials under AWS's names for them, or else the name that is missing. An empty value is missing.
pub(super) fn from_names(value: impl Fn(&str) -> Option<String>) -> Result<Credentials, &'static str> {
    let set = |name: &str| value(name).filter(|value| !value.trim().is_empty());
    let required = |name| set(name).ok_or(name);
    let credentials = Credentials::new(required("AWS_ACCESS_KEY_ID")?, required("AWS_SECRET_ACCESS_KEY")?);
    Ok(match set("AWS_SESSION_TOKEN") {
        Some(token) => credentials.with_session_token(token),
        None => credentials,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret from a file often ends with a newline, which would only make the signature wrong.
    #[test]
    fn whitespace_around_a_value_is_trimmed() {
        let read = |name: &str| Some(format!(" {name}\r\n"));
        let expected = Credentials::new("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
        assert_eq!(from_names(read), Ok(expected.with_session_token("AWS_SESSION_TOKEN")));
        assert_eq!(from_names(|_| Some("\n".to_owned())), Err("AWS_ACCESS_KEY_ID"));
        let given = Credentials::new("AKID\n", "secret\n").with_session_token("token\n");
        assert_eq!(given, Credentials::new("AKID", "secret").with_session_token("token"));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let with = |secret: &'static str| {
            from_names(move |name| match name {
                "AWS_ACCESS_KEY_ID" => Some("AKID".to_owned()),
                "AWS_SECRET_ACCESS_KEY" => Some(secret.to_owned()),
                _ => Some(String::new()),
            })
        };
        assert_eq!(with("s"), Ok(Credentials::new("AKID", "s")));
        assert_eq!(with(""), Err("AWS_SECRET_ACCESS_KEY"));
    }
}
