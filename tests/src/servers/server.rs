//! A server as tests see it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::azurite;
use super::http::{self, Request, Response};
use super::process::Process;
use super::sigv4;

/// Properties of a server that are known before it runs.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The environment variable with its address.
    pub(super) variable: &'static str,
    /// The path that responds with [`ready_status`](Self::ready_status) once the server is ready.
    pub(super) ready: &'static str,
    pub(super) ready_status: u16,
    pub(super) access_key: &'static str,
    pub(super) secret_key: &'static str,
}

/// A server that is ready. Dropping this stops the server if it was started here.
///
/// [`Servers`](super::Servers) has an example.
pub struct Server {
    name: &'static str,
    version: String,
    endpoint: String,
    region: String,
    pub(super) access_key: String,
    pub(super) secret_key: String,
    /// The server's origin, for the line that announces it.
    pub(super) origin: String,
    process: Option<Process>,
}

impl Server {
    /// Returns the server at the address in the environment, if there is one.
    pub(super) fn given(kind: &Kind) -> Result<Option<Server>> {
        let variable = kind.variable;
        // CI systems set a variable without a value to the empty string.
        let endpoint = std::env::var(variable).unwrap_or_default();
        if endpoint.is_empty() {
            return Ok(None);
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        // Any response will do, because a proxy in front of the server may hide the readiness path.
        http::exchange(&endpoint, &Request::get(kind.ready))
            .with_context(|| format!("the server at {variable}={endpoint} does not respond"))?;
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

    /// Returns the server of a started process.
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

    /// Returns the server's name, such as `MinIO`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the version that the server reports, or `of unknown version` if the environment has only its address.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the server's URL, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns the region to sign for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns an access key id that the server accepts.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Returns the secret of [`access_key`](Server::access_key).
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Returns the data folder of a server that was started here, or `None` for any other.
    pub fn data(&self) -> Option<&Path> {
        self.process.as_ref().map(Process::data)
    }

    /// Returns the process id of a server that was started here, or `None` for any other.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Returns the time that a server took to become ready, or `None` if it was not started here.
    pub fn start_time(&self) -> Option<Duration> {
        self.process.as_ref().map(Process::start_time)
    }

    /// Creates a bucket. Does nothing if it already exists.
    ///
    /// # Errors
    ///
    /// Returns the server's response if it is an error.
    pub fn create_bucket(&self, bucket: &str) -> Result<()> {
        // The default region us-east-1 accepts no location. All other regions require one.
        let location = match self.region.as_str() {
            "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        let path = format!("/{bucket}");
        let headers = vec![("content-type", "application/xml".to_owned())];
        let response = self.signed(
            "s3",
            Request {
                method: "PUT",
                path: &path,
                headers,
                body: &location,
            },
        )?;
        let exists = response.status == 409 && response.body.contains("BucketAlreadyOwnedByYou");
        ensure!(
            exists || response.is_success(),
            "{} did not create the bucket {bucket}: {response}",
            self.name
        );
        Ok(())
    }

    /// Creates a container in the account of an Azure server. Does nothing if it already exists.
    ///
    /// # Errors
    ///
    /// Returns the server's response if it is an error.
    pub fn create_container(&self, container: &str) -> Result<()> {
        azurite::create_container(self, container)
    }

    /// Sends a request, signed with the server's keys.
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

/// Equals `Display`, which shows no keys.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
