//! What a test is told about a server.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::http::{self, Request, Response};
use super::process::Process;
use super::sigv4;

/// What is known of a server before it runs.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The environment variable of its address.
    pub(super) variable: &'static str,
    /// The path that answers 200 once it is ready.
    pub(super) ready: &'static str,
    pub(super) access_key: &'static str,
    pub(super) secret_key: &'static str,
}

/// A server that answers; one that was started here is stopped when this is dropped.
pub struct Server {
    name: &'static str,
    version: String,
    endpoint: String,
    region: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
    /// Where it came from, for the line that announces it.
    pub(super) origin: String,
    process: Option<Process>,
}

impl Server {
    /// The server at the address in the environment, if there is one.
    pub(super) fn given(kind: &Kind) -> Result<Option<Server>> {
        let variable = kind.variable;
        // CI systems set a variable that has no value to the empty string.
        let endpoint = std::env::var(variable).unwrap_or_default();
        if endpoint.is_empty() {
            return Ok(None);
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        // Any answer will do: what stands in front of a server may hide the path that says it is ready.
        http::exchange(&endpoint, &Request::get(kind.ready))
            .with_context(|| format!("{variable}={endpoint} does not answer"))?;
        let setting = |suffix: &str, default: &str| {
            std::env::var(format!("{variable}_{suffix}")).unwrap_or_else(|_| default.to_owned())
        };
        Ok(Some(Server {
            name: kind.name,
            version: "of unknown version".to_owned(),
            endpoint,
            region: setting("REGION", "us-east-1"),
            access_key: setting("ACCESS_KEY", kind.access_key),
            secret_key: setting("SECRET_KEY", kind.secret_key),
            origin: format!("given by {variable}"),
            process: None,
        }))
    }

    /// The server that `process` runs.
    pub(super) fn started(kind: &Kind, version: String, process: Process) -> Server {
        Server {
            name: kind.name,
            version,
            endpoint: process.endpoint(),
            region: "us-east-1".to_owned(),
            access_key: kind.access_key.to_owned(),
            secret_key: kind.secret_key.to_owned(),
            origin: "started here".to_owned(),
            process: Some(process),
        }
    }

    /// What it is called, such as `MinIO`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its version by its own word, or `of unknown version` where the environment gave only an address.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its address, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The region to sign for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// An access key that it accepts.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret of [`access_key`](Server::access_key).
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// The folder that a server which was started here keeps its data in, to look at.
    pub fn data(&self) -> Option<&Path> {
        self.process.as_ref().map(Process::data)
    }

    /// Creates a bucket, or leaves it as it is where it exists already.
    ///
    /// # Errors
    ///
    /// The server's answer, where that is not success.
    pub fn create_bucket(&self, bucket: &str) -> Result<()> {
        // Only us-east-1 wants no location; it knows the others by name.
        let location = match self.region.as_str() {
            "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        let path = format!("/{bucket}");
        let headers = vec![("content-type", "application/xml".to_owned())];
        let answer = self.signed(
            "s3",
            Request {
                method: "PUT",
                path: &path,
                headers,
                body: &location,
            },
        )?;
        let exists = answer.status == 409 && answer.body.contains("BucketAlreadyOwnedByYou");
        ensure!(
            exists || answer.is_success(),
            "{} did not create the bucket {bucket}: {answer}",
            self.name
        );
        Ok(())
    }

    /// One request, signed with the server's keys.
    pub(super) fn signed(&self, service: &str, mut request: Request<'_>) -> Result<Response> {
        let scope = sigv4::Scope {
            date: sigv4::now(),
            region: &self.region,
            service,
        };
        let keys = (self.access_key.as_str(), self.secret_key.as_str());
        sigv4::sign(keys, &scope, http::authority(&self.endpoint)?, &mut request);
        http::exchange(&self.endpoint, &request)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} at {} ({})",
            self.name, self.version, self.endpoint, self.origin
        )
    }
}

/// As `Display`: without the keys.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
