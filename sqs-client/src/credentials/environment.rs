use std::error::Error as StdError;

use super::{BoxFuture, Credentials, ProvideCredentials};

/// Credentials of the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, read anew each
/// time they are asked for.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EnvironmentCredentials;

impl EnvironmentCredentials {
    /// Reads nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl ProvideCredentials for EnvironmentCredentials {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async { from_variables(|name| std::env::var(name).ok()) })
    }
}

fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Credentials, Box<dyn StdError + Send + Sync>> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let required = |name: &str| set(name).ok_or_else(|| format!("the environment variable {name} is not set"));
    let credentials = Credentials::new(required("AWS_ACCESS_KEY_ID")?, required("AWS_SECRET_ACCESS_KEY")?);
    Ok(match set("AWS_SESSION_TOKEN") {
        Some(token) => credentials.with_session_token(token),
        None => credentials,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set() {
        let with = |secret: &'static str| {
            from_variables(move |name| match name {
                "AWS_ACCESS_KEY_ID" => Some("AKID".to_owned()),
                "AWS_SECRET_ACCESS_KEY" => Some(secret.to_owned()),
                _ => Some(String::new()),
            })
        };
        assert_eq!(with("s").unwrap(), Credentials::new("AKID", "s"));
        assert!(with("").unwrap_err().to_string().contains("AWS_SECRET_ACCESS_KEY"));
    }
}
